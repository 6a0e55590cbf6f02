/* Times commands of a session on a mailbox of N messages, without a network:
 *
 *   imap_bench DIR [N [SIZE [COMMAND...]]]
 *
 * DIR is the account's directory; while its Inbox is empty, N messages of SIZE bytes are added
 * first. Commands given replace the usual ones. For each prints its time, the CPU time of that and
 * its bytes. */
#include "base/stream_mem.h"
#include "imap/session.h"
#include "imap/summarize.h"

#include <fcntl.h>

static int64_t real_us(const struct clock *clock)
{
	struct timespec t;
	(void)clock;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_ms(const struct clock *clock)
{
	struct timespec t;
	(void)clock;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const struct clock real_clock = {real_us, real_ms};

static const char *const usual_commands[] = {
        "SELECT INBOX",
        "SELECT INBOX",
        "FETCH 1:* (FLAGS)",
        "UID FETCH 1:* (FLAGS RFC822.SIZE INTERNALDATE)",
        "FETCH 1:10000 (ENVELOPE)",
        "FETCH 1:10000 (BODYSTRUCTURE)",
        "FETCH 1:* (BODY.PEEK[])",
        "FETCH 1:* (BODY.PEEK[])",
        "FETCH 1:10000 (BODY.PEEK[HEADER.FIELDS (From To Subject Date)])",
        "FETCH 1:10000 (BODY.PEEK[TEXT])",
        "SEARCH UNSEEN UNDELETED SINCE 1-Jan-2020",
        "SEARCH SENTSINCE 1-Jan-2020",
        "SEARCH 1:10000 SUBJECT nowhere",
        "SEARCH 1:10000 FROM nowhere",
        "SEARCH 1:10000 HEADER X-Nothing nowhere",
        "SEARCH 1:10000 BODY nowhere",
        "STORE 1:* +FLAGS (\\Flagged)",
        "STORE 1:* -FLAGS.SILENT (\\Flagged)",
        "STORE 5 +FLAGS (\\Answered)",
        "STORE 5 -FLAGS (\\Answered)",
        "COPY 1:10000 Archive",
        "STORE 1:10000 +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
        "NOOP",
        "LOGOUT",
};

struct bench {
	struct stream stream; /* first member */
	const char *const *commands;
	size_t n_commands, next;
	double started, cpu_started;
	uint64_t n_written;
};

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now_s(void)
{
	return seconds(CLOCK_MONOTONIC);
}

static double cpu_s(void)
{
	return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static struct status next_command(struct stream *s, uint8_t *p, size_t n, int timeout_ms,
                                  size_t *ret_n)
{
	struct bench *b = (struct bench *)(void *)s;
	(void)timeout_ms;
	double now = now_s();
	if (b->next > 0)
		printf("%9.2f ms %9.2f ms CPU %11" PRIu64 " bytes  %s\n",
		       (now - b->started) * 1000, (cpu_s() - b->cpu_started) * 1000, b->n_written,
		       b->commands[b->next - 1]);
	*ret_n = 0;
	if (b->next < b->n_commands) {
		*ret_n = (size_t)snprintf((char *)p, n, "a %s\r\n", b->commands[b->next++]);
		b->n_written = 0;
		b->started = now_s();
		b->cpu_started = cpu_s();
	}
	return ok();
}

static struct status count_output(struct stream *s, struct slice bytes, int timeout_ms)
{
	(void)timeout_ms;
	((struct bench *)(void *)s)->n_written += bytes.n;
	return ok();
}

static struct status input_is_there(struct stream *s, int wake_fd, int timeout_ms,
                                    enum stream_event *ret_event)
{
	(void)s;
	(void)wake_fd;
	(void)timeout_ms;
	*ret_event = STREAM_INPUT;
	return ok();
}

static const struct stream_ops bench_ops = {
        .read = next_command, .write = count_output, .wait = input_is_there};

static void fill(struct store *store, uint32_t n, size_t size)
{
	struct store_mailbox inbox;
	struct arena arena;
	arena_init(&arena, MIB);
	if (!is_ok(store_mailbox_find(store, SLICE("Inbox"), &arena, &inbox)))
		BUG("no Inbox");
	if (inbox.n_messages > 0)
		n = 0;
	char *text = base_alloc(size + 1);
	for (uint32_t done = 0; done < n;) {
		struct store_append batch[500] = {0};
		size_t k = 0;
		for (; k < N_ELEMENTS(batch) && done < n; k++, done++) {
			int used = snprintf(
			        text, size,
			        "From: Sender %" PRIu32 " <s%" PRIu32 "@a.example>\r\n"
			        "To: me@b.example, you@c.example\r\nSubject: message %" PRIu32
			        "\r\nDate: Fri, 5 Jan 2024 10:00:00 +0100\r\nMessage-ID: "
			        "<%" PRIu32 "@a.example>\r\n\r\n",
			        done, done, done, done);
			for (size_t i = (size_t)used; i < size; i++)
				text[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : 'x';
			batch[k] = (struct store_append){.mailbox = inbox.id, .fd = -1};
			if (!is_ok(store_spool_new(store, &batch[k].spool)) ||
			    !is_ok(store_spool_write(batch[k].spool, slice_of(text, size))))
				BUG("cannot write");
		}
		store_append(store, batch, k, true);
		if (!is_ok(batch[0].status))
			BUG("cannot append");
		for (size_t i = 0; i < k; i++)
			store_spool_free(batch[i].spool);
	}
	base_free(text);
	arena_done(&arena);
}

static uint32_t number(const char *text, uint32_t otherwise)
{
	uint32_t value = otherwise;
	return text && slice_to_u32(slice_str(text), UINT32_MAX, &value) ? value : otherwise;
}

int main(int argc, char **argv)
{
	struct store *store;
	struct store_options options = {.clock = &real_clock, .summarize = imap_summarize};
	int fd = argc > 1 ? openat(AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0 || !is_ok(store_open(fd, &options, &store))) {
		fprintf(stderr, "usage: imap_bench DIRECTORY [MESSAGES [SIZE [COMMAND...]]]\n");
		return 1;
	}
	double started = now_s();
	uint32_t n = number(argc > 2 ? argv[2] : NULL, 10000);
	fill(store, n, number(argc > 3 ? argv[3] : NULL, 1024));
	printf("%9.2f ms to add %" PRIu32 " messages\n", (now_s() - started) * 1000, n);
	struct bench b = {.commands = usual_commands, .n_commands = N_ELEMENTS(usual_commands)};
	if (argc > 4) {
		b.commands = (const char *const *)argv + 4;
		b.n_commands = (size_t)argc - 4;
	}
	stream_init(&b.stream, &bench_ops);
	struct imap_session_options session = {
	        .stream = &b.stream, .store = store, .clock = &real_clock, .wake_fd = -1};
	(void)imap_session_run(&session);
	stream_done(&b.stream);
	store_close(store);
	close(fd);
	return 0;
}
