/* Any answers of a proxy, in any pieces: the verdict does not depend on the split, and what comes
 * behind a success is left to the target's protocol, every byte of it. First byte: size of the
 * pieces, and whether there is a login. */
#include "delivery/socks.h"

#include "base/stream_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t zero(const struct clock *clock)
{
	(void)clock;
	return 0;
}

struct result {
	enum err code;
	int reply;
	size_t n_left;
};

static struct result run(struct slice answer, size_t chunk, bool has_login)
{
	static const struct clock clock = {.now_us = zero, .monotonic_ms = zero};
	const struct socks_target target = {.name = SLICE("mx.example"), .port = 25};
	const struct socks_login login = {has_login ? SLICE("user") : SLICE(""),
	                                  has_login ? SLICE("password") : SLICE("")};
	struct stream_mem m;
	struct result result;
	stream_mem_init(&m, answer, chunk);
	result.code = socks_connect(&m.stream, &target, &login, &clock, 1000, &result.reply).code;
	result.n_left = stream_buffered(&m.stream).n + m.input.n - m.input_at;
	ASSERT(result.n_left <= answer.n);
	if (result.code == ERR_OK)
		ASSERT(result.reply == 0 && answer.n - result.n_left >= 2 + 4 + 3);
	ASSERT(stream_mem_output(&m).n <= 4 + 3 + 4 + 8 + 7 + 10);
	ASSERT(*socks_reply_text(result.reply));
	stream_mem_done(&m);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct slice answer = slice_of(data + 1, size - 1);
	struct result whole = run(answer, 0, data[0] & 1);
	struct result pieces = run(answer, (size_t)(data[0] >> 1) + 1, data[0] & 1);
	ASSERT(whole.code == pieces.code && whole.reply == pieces.reply);
	ASSERT(whole.n_left == pieces.n_left || whole.code != ERR_OK);
	return 0;
}
