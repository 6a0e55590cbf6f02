/* Replies: the limits hold, nothing unclean is kept, and the reading does not depend on how the
 * octets come. */
#include "base/stream_mem.h"
#include "smtp/reply_parse.h"
#include "smtp/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t zero(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const struct clock still = {zero, zero};

static void check(const struct smtp_reply_in *reply)
{
	struct slice rest = buf_slice(&reply->text);
	size_t n_lines = reply->n_lines > 0;
	if (reply->n_lines > SMTP_REPLY_PARSE_LINES_MAX || buf_failed(&reply->text))
		BUG("a reply beyond its limits");
	while (rest.n > 0) {
		size_t n =
		        rest.p[0] == '\n' || ascii_is_print(rest.p[0]) ? 1 : smtp_utf8_size(rest);
		if (n == 0)
			BUG("a reply that is not clean");
		n_lines += rest.p[0] == '\n';
		rest = slice_from(rest, n);
	}
	if (n_lines != reply->n_lines)
		BUG("lines are counted wrong");
	if (reply->enhanced[0] && reply->enhanced[0] != '0' + reply->code / 100)
		BUG("an enhanced code of another class");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_mem whole, single;
	struct smtp_reply_in a, b;
	struct slice in = slice_of(data, size);
	stream_mem_init(&whole, in, 0);
	stream_mem_init(&single, in, 1);
	smtp_reply_in_init(&a);
	smtp_reply_in_init(&b);
	bool more = true;
	for (int i = 0; i < 10 && more; i++) {
		struct status sa = smtp_reply_in_read(&a, &whole.stream, &still, 1000);
		struct status sb = smtp_reply_in_read(&b, &single.stream, &still, 1000);
		check(&a);
		if (sa.code != sb.code || a.code != b.code || a.n_lines != b.n_lines ||
		    !slice_eq(buf_slice(&a.text), buf_slice(&b.text)))
			BUG("the reading depends on the split");
		more = is_ok(sa);
	}
	smtp_reply_in_done(&a);
	smtp_reply_in_done(&b);
	stream_mem_done(&whole);
	stream_mem_done(&single);
	return 0;
}
