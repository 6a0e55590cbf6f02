/* What the reception library costs by itself: whole sessions in memory, no sockets, no storage.
 *
 *     smtp_bench              prints one line a measurement
 *
 * - transactions of 1 KB, each a session of its own and 100 to a session: microseconds of CPU each
 * - one message of 1 MB by DATA and by BDAT: MB a second
 * - the DATA machine alone on 64 MB of clean and of dot-stuffed text: GB a second
 */
#include "base/stream_mem.h"
#include "smtp/server_fake.h"

#include <stdio.h>
#include <time.h>

#define SESSIONS       20000
#define MAILS_TOGETHER 100
#define LARGE          ((size_t)1000 * 1000)
#define HUGE_SIZE      ((size_t)64 * 1000 * 1000)

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char line_of_text[] =
        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n";

static void add_text(struct buf *out, size_t size)
{
	for (size_t n = 0; n + sizeof(line_of_text) - 1 <= size; n += sizeof(line_of_text) - 1)
		buf_add_str(out, line_of_text);
}

static void add_mail(struct buf *out, size_t size, bool chunked)
{
	CLEANUP(buf_done) struct buf content;
	buf_init(&content, SIZE_MAX / 2);
	buf_add_str(&content,
	            "Received: from a.example by b.example; Sun, 22 Nov 2026 17:18:10 +0000\r\n"
	            "From: a@client.example\r\nTo: u@example.org\r\nSubject: bench\r\n\r\n");
	add_text(&content, size - content.n);
	buf_add_str(out, "MAIL FROM:<a@client.example> SIZE=1000\r\nRCPT TO:<u@example.org>\r\n");
	if (chunked)
		buf_printf(out, "BDAT %zu LAST\r\n", content.n);
	else
		buf_add_str(out, "DATA\r\n");
	buf_add(out, buf_slice(&content));
	if (!chunked)
		buf_add_str(out, ".\r\n");
}

/* Seconds of CPU for all sessions; the input is the same for each. */
static double run_sessions(size_t n_sessions, size_t n_mails, size_t size, bool chunked)
{
	CLEANUP(buf_done) struct buf input;
	buf_init(&input, SIZE_MAX / 2);
	buf_add_str(&input, "EHLO client.example\r\n");
	for (size_t i = 0; i < n_mails; i++)
		add_mail(&input, size, chunked);
	buf_add_str(&input, "QUIT\r\n");
	double started = cpu_s();
	for (size_t i = 0; i < n_sessions; i++) {
		struct stream_mem mem;
		struct smtp_fake fake;
		struct smtp_server_options options;
		struct smtp_server_summary summary;
		stream_mem_init(&mem, buf_slice(&input), 0);
		smtp_fake_init(&fake);
		fake.quiet = true;
		smtp_fake_options(&fake, &mem.stream, &options);
		smtp_server_run(&options, &summary);
		ASSERT(summary.n_accepted == n_mails);
		stream_mem_done(&mem);
		smtp_fake_done(&fake);
	}
	return cpu_s() - started;
}

static void bench_machine(const char *name, const char *line)
{
	struct smtp_data data;
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, SIZE_MAX / 2);
	while (text.n < HUGE_SIZE)
		buf_add_str(&text, line);
	smtp_data_init(&data);
	uint64_t n_content = 0;
	double started = cpu_s();
	for (size_t at = 0; at < text.n; at += 16384) {
		struct slice in = slice_sub(buf_slice(&text), at, 16384);
		while (in.n > 0)
			n_content += smtp_data_next(&data, &in).n;
	}
	double seconds = cpu_s() - started;
	ASSERT(!smtp_data_faulty(&data) && n_content > 0);
	printf("DATA machine, %s: %.2f GB/s\n", name, (double)text.n / seconds / 1e9);
}

int main(void)
{
	run_sessions(100, 1, 1000, false); /* warm up */
	double one = run_sessions(SESSIONS, 1, 1000, false);
	printf("1 KB, a session each: %.2f us CPU, %.0f sessions/s\n", one / SESSIONS * 1e6,
	       SESSIONS / one);
	double many = run_sessions(SESSIONS / MAILS_TOGETHER, MAILS_TOGETHER, 1000, false);
	printf("1 KB, %d to a session: %.2f us CPU a transaction\n", MAILS_TOGETHER,
	       many / SESSIONS * 1e6);
	double data = run_sessions(200, 1, LARGE, false);
	printf("1 MB by DATA: %.0f MB/s\n", 200 * (double)LARGE / data / 1e6);
	double bdat = run_sessions(200, 1, LARGE, true);
	printf("1 MB by BDAT: %.0f MB/s\n", 200 * (double)LARGE / bdat / 1e6);
	bench_machine("lines of 79", line_of_text);
	bench_machine(
	        "lines of 79, one in ten stuffed",
	        "..x The quick brown fox jumps over the lazy dog.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps again.\r\n"
	        "The quick brown fox jumps over the lazy dog, and over the dog it jumps "
	        "again.\r\n");
	return 0;
}
