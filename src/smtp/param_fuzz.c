/* ESMTP parameters alone, so that the fuzzer need not find a path before it reaches xtext. */
#include "smtp/param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool print_mail(struct slice text, struct buf *out)
{
	struct arena arena;
	struct smtp_mail_params params;
	arena_init(&arena, 64 * KIB);
	bool good = smtp_mail_params_parse(text, &arena, &params) == SMTP_REPLY_NONE;
	if (good)
		smtp_mail_params_print(&params, out);
	ASSERT(!good || !params.has_envid || params.envid.n <= SMTP_ENVID_MAX);
	arena_done(&arena);
	return good;
}

static bool print_rcpt(struct slice text, struct buf *out)
{
	struct arena arena;
	struct smtp_rcpt_params params;
	arena_init(&arena, 64 * KIB);
	bool good = smtp_rcpt_params_parse(text, true, &arena, &params) == SMTP_REPLY_NONE;
	if (good)
		smtp_rcpt_params_print(&params, out);
	ASSERT(!good || params.notify == SMTP_NOTIFY_NEVER || !(params.notify & SMTP_NOTIFY_NEVER));
	arena_done(&arena);
	return good;
}

static void round_trip(struct slice text, bool (*print)(struct slice, struct buf *))
{
	CLEANUP(buf_done) struct buf once, twice;
	buf_init(&once, 8192);
	buf_init(&twice, 8192);
	if (!print(text, &once))
		return;
	ASSERT(!buf_failed(&once) && !slice_has_control(buf_slice(&once)));
	ASSERT(print(buf_slice(&once), &twice));
	ASSERT(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	round_trip(slice_of(data, size), print_mail);
	round_trip(slice_of(data, size), print_rcpt);
	return 0;
}
