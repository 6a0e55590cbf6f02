/* What the SMTP client costs by itself: whole conversations in memory, no sockets.
 *
 *     smtp_client_bench       prints one line a measurement
 *
 * - transactions of 1 KB and 10 KB on one connection, pipelined DATA, BDAT, one command at a time:
 *   transactions a second of CPU
 * - one message to 100 recipients: recipients a second
 * - a message of 64 MB by DATA (clean text, text full of dots) and by BDAT: MB a second
 */
#include "base/stream_mem.h"
#include "smtp/client.h"

#include <stdio.h>
#include <time.h>

#define TRANSACTIONS 100000u
#define RCPTS        100u
#define LARGE        ((size_t)64 * 1000 * 1000)

enum state { COMMANDS, DATA, CHUNK };

/* A server that says yes to everything, as fast as can be. */
struct server {
	struct stream stream;
	struct buf input; /* replies not yet read */
	size_t at;
	enum state state;
	uint64_t n_chunk;
	struct buf line;
	uint8_t last[5]; /* octets of DATA, for its end */
};

static struct status server_read(struct stream *stream, uint8_t *p, size_t n, int timeout_ms,
                                 size_t *ret_n)
{
	struct server *s = (struct server *)stream;
	(void)timeout_ms;
	*ret_n = MIN(n, s->input.n - s->at);
	memcpy(p, s->input.p + s->at, *ret_n);
	s->at += *ret_n;
	if (s->at == s->input.n) {
		buf_reset(&s->input);
		s->at = 0;
	}
	return ok();
}

static void command(struct server *s, struct slice line)
{
	uint64_t n;
	if (slice_starts(line, SLICE("DATA"))) {
		s->state = DATA;
		memset(s->last, 0, sizeof(s->last));
		buf_add_str(&s->input, "354 go\r\n");
	} else if (slice_starts(line, SLICE("BDAT "))) {
		struct slice digits, rest;
		(void)slice_cut(slice_from(line, 5), ' ', &digits, &rest);
		if (slice_to_u64(digits, UINT64_MAX, &n))
			s->n_chunk = n;
		s->state = CHUNK;
	} else if (slice_starts(line, SLICE("EHLO"))) {
		buf_add_str(&s->input,
		            "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n"
		            "250 SIZE\r\n");
	} else {
		buf_add_str(&s->input, "250 2.0.0 ok\r\n");
	}
}

/* The end of DATA is looked for in the last octets only: text is never looked through. */
static void take_data(struct server *s, struct slice *bytes)
{
	size_t n = MIN(bytes->n, sizeof(s->last));
	memmove(s->last, s->last + n, sizeof(s->last) - n);
	memcpy(s->last + sizeof(s->last) - n, bytes->p + bytes->n - n, n);
	*bytes = slice_empty();
	if (memcmp(s->last, "\r\n.\r\n", 5) == 0) {
		s->state = COMMANDS;
		buf_add_str(&s->input, "250 2.0.0 taken\r\n");
	}
}

static void take_line(struct server *s, struct slice *bytes)
{
	struct slice line, rest;
	if (!slice_cut(*bytes, '\n', &line, &rest)) {
		buf_add(&s->line, *bytes);
		*bytes = rest;
		return;
	}
	*bytes = rest;
	buf_add(&s->line, line);
	command(s, buf_slice(&s->line));
	buf_reset(&s->line);
}

static void take_chunk(struct server *s, struct slice *bytes)
{
	size_t n = (size_t)MIN((uint64_t)bytes->n, s->n_chunk);
	s->n_chunk -= n;
	*bytes = slice_from(*bytes, n);
	if (s->n_chunk > 0)
		return;
	s->state = COMMANDS;
	buf_add_str(&s->input, "250 2.0.0 taken\r\n");
}

static struct status server_write(struct stream *stream, struct slice bytes, int timeout_ms)
{
	struct server *s = (struct server *)stream;
	(void)timeout_ms;
	while (bytes.n > 0) {
		if (s->state == DATA)
			take_data(s, &bytes);
		else if (s->state == CHUNK)
			take_chunk(s, &bytes);
		else
			take_line(s, &bytes);
	}
	return ok();
}

static struct status server_wait(struct stream *stream, int wake_fd, int timeout_ms,
                                 enum stream_event *ret_event)
{
	(void)stream;
	(void)wake_fd;
	(void)timeout_ms;
	*ret_event = STREAM_INPUT;
	return ok();
}

static const struct stream_ops ops = {
        .read = server_read, .write = server_write, .wait = server_wait};

static int64_t now(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const struct clock still = {now, now};

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct status read_memory(void *context, uint64_t offset, uint8_t *p, size_t n,
                                 size_t *ret_n)
{
	const struct slice *text = context;
	struct slice part = slice_sub(*text, (size_t)offset, n);
	memcpy(p, part.p, part.n);
	*ret_n = part.n;
	return ok();
}

struct run {
	const char *line; /* the message is made of it */
	size_t size;
	unsigned n_transactions, n_rcpts;
	bool chunking, pipelining;
};

/* CPU seconds of all transactions on one connection. */
static double measure(const struct run *run)
{
	struct server s = {.state = COMMANDS};
	struct smtp_client c;
	struct buf text;
	struct smtp_recipient rcpts[RCPTS];
	struct smtp_outcome outcomes[RCPTS];
	struct arena arena;
	stream_init(&s.stream, &ops);
	buf_init(&s.input, SIZE_MAX / 2);
	buf_init(&s.line, 100000);
	buf_init(&text, SIZE_MAX / 2);
	buf_add_str(&text, "Subject: bench\r\n\r\n");
	while (text.n < run->size)
		buf_add_str(&text, run->line);
	struct slice body = buf_slice(&text);
	const struct smtp_content content = {read_memory, &body, body.n};
	const struct smtp_message message = {.sender = SLICE("a@client.example"),
	                                     .prefix = SLICE("Received: by bench\r\n"),
	                                     .content = &content,
	                                     .envid = SLICE("")};
	for (size_t i = 0; i < run->n_rcpts; i++)
		rcpts[i] = (struct smtp_recipient){.address = SLICE("user@example.org"),
		                                   .orcpt = SLICE("")};
	const struct smtp_client_options options = {.stream = &s.stream,
	                                            .clock = &still,
	                                            .ehlo_name = "client.example",
	                                            .no_chunking = !run->chunking,
	                                            .no_pipelining = !run->pipelining};
	arena_init(&arena, 1024 * 1024);
	buf_add_str(&s.input, "220 mx\r\n");
	smtp_client_init(&c, &options);
	if (smtp_client_greet(&c).code != ERR_OK)
		BUG("no greeting");
	double start = cpu_s();
	for (unsigned i = 0; i < run->n_transactions; i++) {
		arena_reset(&arena);
		smtp_client_send(&c, &message, rcpts, run->n_rcpts, outcomes, &arena);
		if (outcomes[0].kind != SMTP_OUTCOME_DELIVERED)
			BUG(outcomes[0].why);
	}
	double spent = cpu_s() - start;
	smtp_client_done(&c);
	stream_done(&s.stream);
	buf_done(&s.input);
	buf_done(&s.line);
	buf_done(&text);
	arena_done(&arena);
	return spent;
}

static const char plain_line[] =
        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n";

static void transactions(const char *name, size_t size, bool chunking, bool pipelining)
{
	const struct run run = {plain_line, size, TRANSACTIONS, 1, chunking, pipelining};
	double spent = measure(&run);
	printf("%-36s %9.0f transactions/s, %.2f us each\n", name, TRANSACTIONS / spent,
	       spent * 1e6 / TRANSACTIONS);
}

static void bulk(const char *name, const char *line, bool chunking)
{
	const struct run run = {line, LARGE, 4, 1, chunking, true};
	double spent = measure(&run) / 4;
	printf("%-36s %9.0f MB/s\n", name, (double)LARGE / 1e6 / spent);
}

int main(void)
{
	transactions("1 KB, DATA, pipelined", 1000, false, true);
	transactions("1 KB, DATA, one at a time", 1000, false, false);
	transactions("1 KB, BDAT", 1000, true, true);
	transactions("10 KB, DATA, pipelined", 10000, false, true);
	const struct run many = {plain_line, 1000, 2000, RCPTS, false, true};
	double spent = measure(&many);
	printf("%-36s %9.0f recipients/s\n", "100 recipients, DATA, pipelined",
	       2000.0 * RCPTS / spent);
	bulk("64 MB, DATA, plain text", plain_line, false);
	bulk("64 MB, DATA, every line a dot", ".\r\n", false);
	bulk("64 MB, BDAT", plain_line, true);
	return 0;
}
