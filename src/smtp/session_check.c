/* Checks of a whole session. */
#include "smtp/session_check.h"

#include "base/stream_mem.h"
#include "smtp/server_fake.h"

struct run {
	struct stream_mem mem;
	struct smtp_fake fake;
	struct smtp_server_summary summary;
};

static void run_session(struct run *run, struct slice prefix, struct slice input, size_t chunk,
                        bool tls)
{
	struct smtp_server_options options;
	stream_mem_init(&run->mem, prefix, chunk);
	stream_mem_feed(&run->mem, input);
	run->mem.allow_tls = tls;
	smtp_fake_init(&run->fake);
	smtp_fake_options(&run->fake, &run->mem.stream, &options);
	options.offer_tls = tls;
	options.limits.message_size = 4096;
	options.limits.header_size = 1024;
	options.limits.received = 5;
	options.limits.rcpts = 10;
	smtp_server_run(&options, &run->summary);
}

static void run_done(struct run *run)
{
	stream_mem_done(&run->mem);
	smtp_fake_done(&run->fake);
}

/* Reply-code ( "-" / SP ) text CRLF, printable, at most 512 octets */
static void check_replies(struct slice output)
{
	while (output.n > 0) {
		size_t end = slice_find(output, SLICE("\r\n"));
		ASSERT(end != SIZE_MAX && end >= 4 && end + 2 <= SMTP_REPLY_LINE_MAX);
		ASSERT(output.p[0] >= '2' && output.p[0] <= '5');
		ASSERT(ascii_is_digit(output.p[1]) && ascii_is_digit(output.p[2]));
		ASSERT(output.p[3] == '-' || output.p[3] == ' ');
		for (size_t i = 4; i < end; i++)
			ASSERT(ascii_is_print(output.p[i]));
		output = slice_from(output, end + 2);
	}
}

void smtp_session_check(struct slice prefix, struct slice input, size_t chunk, bool tls)
{
	struct run whole, split;
	run_session(&whole, prefix, input, 0, tls);
	run_session(&split, prefix, input, chunk, tls);
	check_replies(stream_mem_output(&whole.mem));
	check_replies(stream_mem_output(&split.mem));
	ASSERT(whole.summary.n_accepted <= whole.fake.n_messages);
	if (!tls) {
		ASSERT(slice_eq(stream_mem_output(&whole.mem), stream_mem_output(&split.mem)));
		ASSERT(slice_eq(buf_slice(&whole.fake.log), buf_slice(&split.fake.log)));
		ASSERT(whole.summary.n_commands == split.summary.n_commands);
	}
	run_done(&whole);
	run_done(&split);
}
