/* Header blocks: fields joined are the block again; values in one line hold no line end.
 * Parameters, dates, identifiers of whatever comes. */
#include "message/date.h"
#include "message/header.h"
#include "message/msgid.h"
#include "message/part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_field(const struct message_field *field, struct arena *arena)
{
	ASSERT(field->name.n + field->value.n <= field->raw.n);
	ASSERT(field->bad == (field->name.n == 0));
	struct slice line = message_unfold(field->value, arena);
	ASSERT(slice_index(line, '\r') == SIZE_MAX && slice_index(line, '\n') == SIZE_MAX);
	struct message_ids ids;
	message_ids_parse(field->value, arena, &ids);
	ASSERT(ids.n <= MESSAGE_IDS_MAX);
	for (size_t i = 0; i < ids.n; i++)
		ASSERT(ids.v[i].n > 0 && !slice_has_control(ids.v[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct slice block = slice_of(data, size);
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	size_t at = 0;
	arena_init(&arena, 4 * 1024 * 1024);
	while (message_headers_next(&headers, &field)) {
		ASSERT(field.raw.p == block.p + at && field.raw.n > 0);
		at += field.raw.n;
		check_field(&field, &arena);
	}
	ASSERT(at == headers.at && at <= size);
	arena_done(&arena);
	return 0;
}
