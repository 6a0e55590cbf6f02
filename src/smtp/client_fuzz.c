/* Whole sessions against any server: no crash, each recipient gets an outcome, what is written is
 * lines that end in CRLF, nothing is delivered that was not sent whole, and the password is sent
 * only where it may be.
 *
 * Input: two bytes of flags, then what the server says, in bursts that are separated by 0x00 0xff:
 * a burst arrives when the client waits and has nothing to read.
 */
#include "base/stream_mem.h"
#include "smtp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	FLAG_TLS = 1,
	FLAG_AUTH = 2,
	FLAG_8BIT = 4,
	FLAG_BINARY = 8,
	FLAG_UTF8 = 16,
	FLAG_VERIFIED = 32,
	FLAG_SINGLE = 64, /* one octet a read */
	FLAG_FAULTY = 128,
};
enum second_flag {
	SECOND_STRICT = 1,
	SECOND_NO_CHUNKING = 2,
	SECOND_NO_PIPELINING = 4,
	SECOND_BY = 8,
	SECOND_DSN = 16,
	SECOND_REQUIRE_TLS = 32,
	SECOND_LONG = 64,
};

struct session {
	struct stream_mem mem;
	struct slice bursts;
	struct slice body;
	struct clock clock;
	int64_t now_ms;
};

static bool more(struct stream_mem *m, void *context)
{
	struct session *s = context;
	if (s->bursts.n == 0)
		return false;
	size_t at = slice_find(s->bursts, SLICE("\x00\xff"));
	stream_mem_feed(m, slice_sub(s->bursts, 0, at));
	s->bursts = at == SIZE_MAX ? slice_empty() : slice_from(s->bursts, at + 2);
	return true;
}

static int64_t now_us(const struct clock *clock)
{
	struct session *s = (struct session *)(uintptr_t)((const char *)clock -
	                                                  offsetof(struct session, clock));
	return ++s->now_ms * 1000;
}

static int64_t monotonic_ms(const struct clock *clock)
{
	return now_us(clock) / 1000;
}

static struct status read_body(void *context, uint64_t offset, uint8_t *p, size_t n, size_t *ret_n)
{
	const struct session *s = context;
	struct slice part = slice_sub(s->body, (size_t)offset, n);
	memcpy(p, part.p, part.n);
	*ret_n = part.n;
	return ok();
}

static struct status start_tls(void *context, struct stream *stream, int timeout_ms)
{
	(void)context;
	(void)timeout_ms;
	stream->tls.on = true;
	return ok();
}

static size_t bindings(void *context, struct sasl_binding binding[SASL_BINDINGS_MAX])
{
	(void)context;
	binding[0] = (struct sasl_binding){.type = "tls-exporter", .value = "x", .n = 1};
	return 1;
}

#define N_RCPTS 5

static const struct smtp_recipient recipients[N_RCPTS] = {
        {.address = SLICE("u1@example.org"), .orcpt = SLICE("rfc822;a+b=c@example.org")},
        {.address = SLICE("u2@example.net"), .notify = SMTP_NOTIFY_NEVER, .orcpt = SLICE("")},
        {.address = SLICE("\xc3\xa9@example.org"), .orcpt = SLICE("utf-8;\xc3\xa9@example.org")},
        {.address = SLICE("u@b\xc3\xbc\x63her.example"), .orcpt = SLICE("")},
        {.address = SLICE("x@y>\r\nDATA"), .orcpt = SLICE("")},
};

static void check_outcomes(const struct smtp_outcome *outcomes, struct slice said)
{
	bool whole = slice_find(said, SLICE("BDAT")) != SIZE_MAX ||
	             slice_find(said, SLICE("\r\n.\r\n")) != SIZE_MAX;
	for (size_t i = 0; i < N_RCPTS; i++) {
		const struct smtp_outcome *o = &outcomes[i];
		if (o->kind == SMTP_OUTCOME_NONE || !o->why)
			BUG("a recipient without an outcome");
		if (o->kind == SMTP_OUTCOME_DELIVERED && (!whole || o->code / 100 != 2))
			BUG("delivered what was not sent");
		if (o->kind != SMTP_OUTCOME_DELIVERED &&
		    o->enhanced[0] != (o->kind == SMTP_OUTCOME_FAILED ? '5' : '4'))
			BUG("an outcome with a code of another class");
	}
	if (outcomes[4].kind == SMTP_OUTCOME_DELIVERED)
		BUG("an address that is a command was sent");
}

static void check_output(struct slice said, bool binary)
{
	for (size_t i = 0; !binary && i < said.n; i++) {
		bool lf = said.p[i] == '\n', after_cr = i > 0 && said.p[i - 1] == '\r';
		if (lf != after_cr || said.p[i] == 0)
			BUG("a bare CR, bare LF or NUL was written");
	}
}

/* A connection that breaks in the middle of faulty content may end anywhere. */
static void check_faulty(struct slice said)
{
	if (slice_ends(said, SLICE("\r\n.\r\n")) ||
	    slice_find(said, SLICE("\n.\r\n.\r\n")) != SIZE_MAX)
		BUG("faulty content was finished");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	uint8_t flags = data[0], second = data[1];
	struct session s = {.bursts = slice_of(data + 2, size - 2)};
	static uint8_t long_body[70000];
	memset(long_body, 'x', sizeof(long_body));
	bool binary = (flags & FLAG_BINARY) != 0, faulty = (flags & FLAG_FAULTY) != 0 && !binary;
	s.body = binary   ? SLICE("\0\n.\r")
	         : faulty ? SLICE("Hi\n.\r\nMAIL FROM:<evil@example.org>\r\n")
	                  : SLICE(".Hi\r\n..\r\n.\r\n");
	if (second & SECOND_LONG && !binary && !faulty)
		s.body = slice_of(long_body, sizeof(long_body));
	s.clock = (struct clock){now_us, monotonic_ms};
	stream_mem_init(&s.mem, slice_empty(), flags & FLAG_SINGLE ? 1 : 0);
	s.mem.more = more;
	s.mem.context = &s;
	const struct smtp_client_tls tls = {start_tls, bindings, NULL};
	const struct smtp_client_options options = {
	        .stream = &s.mem.stream,
	        .clock = &s.clock,
	        .ehlo_name = "client.example",
	        .tls = &tls,
	        .strict_8bit = (second & SECOND_STRICT) != 0,
	        .no_chunking = (second & SECOND_NO_CHUNKING) != 0,
	        .no_pipelining = (second & SECOND_NO_PIPELINING) != 0,
	};
	const struct sasl_client_options credentials = {
	        .user = SLICE("user"),
	        .password = SLICE("PASSWORD"),
	        .channel_verified = (flags & FLAG_VERIFIED) != 0,
	        .test_nonce = SLICE("NONCE"),
	};
	const struct smtp_content content = {read_body, &s, s.body.n};
	const struct smtp_message message = {
	        .sender = SLICE("a@client.example"),
	        .prefix = SLICE("P: 1\r\n\r\n"),
	        .content = &content,
	        .has_8bit = (flags & FLAG_8BIT) != 0,
	        .binary = binary,
	        .utf8 = (flags & FLAG_UTF8) != 0,
	        .require_tls = (second & SECOND_REQUIRE_TLS) != 0,
	        .ret = second & SECOND_DSN ? SMTP_RET_HDRS : SMTP_RET_UNSTATED,
	        .envid = second & SECOND_DSN ? SLICE("a b+\r") : SLICE("id"),
	        .by_mode = second & SECOND_BY ? SMTP_BY_NOTIFY : SMTP_BY_NONE,
	        .by_s = 60,
	};
	struct smtp_outcome outcomes[N_RCPTS];
	struct smtp_client c;
	struct arena arena;
	enum sasl_mechanism mechanism;
	arena_init(&arena, 64 * 1024);
	smtp_client_init(&c, &options);
	struct status status = smtp_client_greet(&c);
	if (is_ok(status) && flags & FLAG_TLS)
		status = smtp_client_start_tls(&c, false);
	if (flags & FLAG_AUTH && smtp_client_usable(&c))
		(void)smtp_client_auth(&c, &credentials, &mechanism);
	size_t n_before = stream_mem_output(&s.mem).n;
	for (int i = 0; i < 2; i++) {
		smtp_client_send(&c, &message, recipients, N_RCPTS, outcomes, &arena);
		check_outcomes(outcomes, slice_from(stream_mem_output(&s.mem), n_before));
	}
	smtp_client_quit(&c);
	struct slice said = stream_mem_output(&s.mem);
	if (faulty)
		check_faulty(said);
	else
		check_output(said, binary);
	if (!(flags & FLAG_VERIFIED) && (slice_find(said, SLICE("UEFTU1dPUkQ")) != SIZE_MAX ||
	                                 slice_find(said, SLICE("AHVzZXIAUEFT")) != SIZE_MAX))
		BUG("the password was sent where others can read it");
	smtp_client_done(&c);
	arena_done(&arena);
	stream_mem_done(&s.mem);
	return 0;
}
