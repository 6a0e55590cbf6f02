/* Content-Type and Content-Disposition with RFC 2231: limits kept, names lower case, no line ends;
 * and a raw extended value reads back as the same text. */
#include "message/param.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_extended(const struct message_param *param, struct arena *arena)
{
	struct buf field;
	struct message_content_type again;
	buf_init(&field, param->raw.n + 20);
	buf_add_str(&field, "a/b;x*=\"");
	for (size_t i = 0; i < param->raw.n; i++)
		if (param->raw.p[i] == '"' || param->raw.p[i] == '\\' || param->raw.p[i] == '\r')
			field.failed = true;
	buf_add(&field, param->raw);
	buf_add_str(&field, "\"");
	if (!buf_failed(&field)) {
		message_content_type_parse(buf_slice(&field), arena, &again);
		if (!arena_failed(arena)) {
			ASSERT(again.params.n == 1 && again.params.v[0].extended);
			ASSERT(slice_eq(again.params.v[0].value, param->value));
		}
	}
	buf_done(&field);
}

static void check(const struct message_params *params, struct arena *arena)
{
	ASSERT(params->n <= MESSAGE_PARAMS_MAX);
	for (size_t i = 0; i < params->n; i++) {
		const struct message_param *param = &params->v[i];
		ASSERT(param->name.n > 0);
		for (size_t k = 0; k < param->name.n; k++)
			ASSERT(!ascii_is_upper(param->name.p[k]));
		if (param->extended) {
			ASSERT(utf8_valid(param->value));
			check_extended(param, arena);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct message_content_type type;
	struct message_params params;
	struct slice token;
	size_t n;
	arena_init(&arena, 16 * 1024 * 1024);
	message_content_type_parse(slice_of(data, size), &arena, &type);
	check(&type.params, &arena);
	message_disposition_parse(slice_of(data, size), &arena, &token, &params);
	check(&params, &arena);
	message_token_list_parse(slice_of(data, size), &arena, &n);
	ASSERT(n <= MESSAGE_PARAMS_MAX);
	arena_done(&arena);
	return 0;
}
