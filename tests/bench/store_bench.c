/* Figures for the account store: `store_bench [DIR] [case ...]`, all cases without names.
 *
 * Everything is durable (each append waits for its sync) and goes through store.h only. The summary
 * has the size of a real one but costs nothing to make, so that the store alone is measured. CPU is
 * the process's, user and system. */
#include "os/clock.h"
#include "os/file.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define ACCOUNTS_MAX 20
#define WRITERS_MAX  50

static void must(struct status status, const char *what)
{
	if (!is_ok(status)) {
		fprintf(stderr, "%s: %s\n", what, status.why);
		exit(1);
	}
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static char summary_text[600];

/* Some 350 bytes of ENVELOPE, 250 of BODYSTRUCTURE, 120 of BODY. */
static struct status summarize(const struct store_reader *r, struct arena *arena,
                               struct store_summary *ret_summary)
{
	(void)r;
	(void)arena;
	struct slice text = slice_of(summary_text, sizeof(summary_text));
	ret_summary->envelope = slice_sub(text, 0, 350);
	ret_summary->bodystructure = slice_sub(text, 0, 250);
	ret_summary->body = slice_sub(text, 0, 120);
	ret_summary->sent_at = 1700000000;
	ret_summary->sent_day = 19675;
	return ok();
}

struct account {
	char path[256];
	int fd;
	struct store *store;
	struct store_mailbox_id inbox, archive;
};

static uint64_t inline_max;

static struct store_mailbox_id find(struct store *store, const char *name)
{
	struct arena arena;
	struct store_mailbox m;
	arena_init(&arena, 1 << 20);
	must(store_mailbox_find(store, slice_str(name), &arena, &m), "find");
	arena_done(&arena);
	return m.id;
}

static void account_reopen(struct account *a)
{
	struct store_options options = {
	        .clock = clock_real(), .summarize = summarize, .inline_max = inline_max};
	store_close(a->store);
	a->store = NULL;
	must(store_open(a->fd, &options, &a->store), "store_open");
	a->inbox = find(a->store, "Inbox");
	a->archive = find(a->store, "Archive");
}

static void account_new(struct account *a, const char *base)
{
	*a = (struct account){.fd = -1};
	snprintf(a->path, sizeof(a->path), "%s/store-bench-XXXXXX", base);
	if (!mkdtemp(a->path))
		must(fail_errno(errno, "mkdtemp"), a->path);
	must(file_open_dir(AT_FDCWD, a->path, &a->fd, NULL), a->path);
	account_reopen(a);
}

static void remove_tree(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(fd, e->d_name, 0) != 0)
			remove_tree(fd, e->d_name); /* at most three levels: our own */
	if (dir)
		closedir(dir);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

static void account_done(struct account *a)
{
	store_close(a->store);
	close(a->fd);
	remove_tree(AT_FDCWD, a->path);
}

/* ---- appends --------------------------------------------------------------------------------- */

struct job {
	struct account *accounts;
	int n_accounts, n_messages, number;
	size_t size;
	double latency_ms, worst_ms;
};

static void append_one(struct account *a, const uint8_t *body, size_t size)
{
	struct store_spool *spool;
	must(store_spool_new(a->store, &spool), "spool");
	must(store_spool_write(spool, slice_of(body, size)), "spool_write");
	struct store_append append = {
	        .mailbox = a->inbox,
	        .spool = spool,
	        .prefix = SLICE("Received: from some.host.example (some.host.example [192.0.2.1])"
	                        " by mail.example.org with ESMTPS for <me@example.org>;"
	                        " Mon, 01 Jan 2024 10:00:00 +0000\r\nReturn-Path: <x@y.z>\r\n"),
	        .received_at = 1700000000,
	        .delivery_id = slice_empty(),
	};
	store_append(a->store, &append, 1, false);
	must(append.status, "append");
	store_spool_free(spool);
}

static void *append_many(void *context)
{
	struct job *job = context;
	uint8_t *body = base_alloc(job->size);
	for (size_t i = 0; i < job->size; i++)
		body[i] = (uint8_t)('a' + (i * 7 + (size_t)job->number) % 26);
	for (int i = 0; i < job->n_messages; i++) {
		double start = now_ms();
		append_one(&job->accounts[(i + job->number) % job->n_accounts], body, job->size);
		double took = now_ms() - start;
		job->latency_ms += took;
		job->worst_ms = MAX(job->worst_ms, took);
	}
	base_free(body);
	return NULL;
}

static void bench_append(const char *base, size_t size, int n_writers, int n_accounts)
{
	struct account accounts[ACCOUNTS_MAX];
	pthread_t threads[WRITERS_MAX];
	struct job jobs[WRITERS_MAX];
	int n_messages = (size <= 1024    ? 20000
	                  : size <= 10240 ? 10000
	                                  : 3000) /
	                 (n_writers == 1 ? 4 : 1) / n_writers;
	double latency = 0, worst = 0;
	for (int i = 0; i < n_accounts; i++)
		account_new(&accounts[i], base);
	double start = now_ms(), start_cpu = cpu_ms();
	for (int i = 0; i < n_writers; i++) {
		jobs[i] = (struct job){accounts, n_accounts, n_messages, i, size, 0, 0};
		pthread_create(&threads[i], NULL, append_many, &jobs[i]);
	}
	for (int i = 0; i < n_writers; i++) {
		pthread_join(threads[i], NULL);
		latency += jobs[i].latency_ms;
		worst = MAX(worst, jobs[i].worst_ms);
	}
	double took = now_ms() - start, cpu = cpu_ms() - start_cpu;
	int n = n_messages * n_writers;
	printf("append %6zu B  %2d writers  %2d accounts: %7.0f/s  cpu %.3f ms  mean %.2f ms"
	       "  worst %.1f ms\n",
	       size, n_writers, n_accounts, n / took * 1000, cpu / n, latency / n, worst);
	for (int i = 0; i < n_accounts; i++)
		account_done(&accounts[i]);
}

static void run_small(const char *base)
{
	bench_append(base, 1000, 10, 20);
	bench_append(base, 1000, 1, 1);
	bench_append(base, 1000, 10, 1);
	bench_append(base, 10000, 10, 20);
	bench_append(base, 100000, 10, 20);
}

static void run_append(const char *base)
{
	static const size_t sizes[] = {1000, 10000, 100000};
	static const int writers[] = {1, 10, 50};
	for (size_t s = 0; s < N_ELEMENTS(sizes); s++)
		for (size_t w = 0; w < N_ELEMENTS(writers); w++) {
			bench_append(base, sizes[s], writers[w], 1);
			bench_append(base, sizes[s], writers[w], 20);
		}
}

/* The inline limit: the same sizes inline and as files, written and read. */
static void bench_place(const char *base, size_t size, bool in_files)
{
	inline_max = in_files ? 1 : 4 * MIB;
	bench_append(base, size, 10, 20);
	struct account a;
	account_new(&a, base);
	uint8_t *body = base_alloc(size);
	int n = (int)MIN((size_t)20000, 64 * MIB / size);
	for (int i = 0; i < n; i++)
		append_one(&a, body, size);
	struct store_view *view;
	must(store_view_open(a.store, a.inbox, &view), "view");
	double start = now_ms();
	for (uint32_t i = 0; i < store_view_count(view); i++) {
		struct store_blob *blob;
		size_t got;
		must(store_blob_open(a.store, store_view_at(view, i)->message, &blob), "blob");
		struct store_reader *r = store_blob_reader(blob);
		struct slice bytes;
		if (!store_blob_bytes(blob, &bytes))
			for (uint64_t at = 0; at < r->size; at += got)
				must(r->read(r, at, body, size, &got), "read");
		store_blob_free(blob);
	}
	double took = now_ms() - start;
	printf("  read back, %s: %.1f us each, %.0f MB/s\n", in_files ? "files" : "inline",
	       took / n * 1000, (double)n * (double)size / took / 1000);
	store_view_unref(view);
	base_free(body);
	account_done(&a);
	inline_max = 0;
}

static void run_place(const char *base)
{
	static const size_t sizes[] = {4000, 16000, 32000, 64000, 128000, 256000};
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		bench_place(base, sizes[i], false);
		bench_place(base, sizes[i], true);
	}
}

/* ---- a large mailbox ------------------------------------------------------------------------- */

static void fill(struct account *a, int n)
{
	static const uint8_t body[200] = "body";
	struct store_append *appends = base_alloc(1000 * sizeof(appends[0]));
	struct store_spool *spool;
	must(store_spool_new(a->store, &spool), "spool");
	must(store_spool_write(spool, slice_of(body, sizeof(body))), "spool_write");
	for (int done = 0; done < n; done += 1000) {
		for (int i = 0; i < 1000; i++)
			appends[i] = (struct store_append){.mailbox = a->inbox,
			                                   .spool = spool,
			                                   .prefix = slice_empty(),
			                                   .received_at = 1700000000 + done + i * 7,
			                                   .delivery_id = slice_empty()};
		store_append(a->store, appends, 1000, true);
		must(appends[0].status, "append");
	}
	store_spool_free(spool);
	base_free(appends);
}

static const struct store_uid_range everything[] = {{{1}, {UINT32_MAX}}};

static double flag(struct account *a, enum store_flags_op op, uint64_t flags,
                   struct store_uids uids)
{
	struct arena arena;
	struct store_uid *modified;
	size_t n;
	arena_init(&arena, 1 << 20);
	double start = now_ms();
	must(store_flags_update(a->store, a->inbox, uids, op, flags, NULL, 0, UINT64_MAX, &arena,
	                        &modified, &n),
	     "flags");
	double took = now_ms() - start;
	arena_done(&arena);
	return took;
}

static double open_view(struct account *a)
{
	struct store_view *view;
	double start = now_ms();
	must(store_view_open(a->store, a->inbox, &view), "view");
	double took = now_ms() - start;
	store_view_unref(view);
	return took;
}

struct counted {
	size_t n, bytes;
};

static struct status count_summary(void *context, uint32_t index, const struct store_entry *entry,
                                   const struct store_summary *summary)
{
	struct counted *counted = context;
	(void)index;
	(void)entry;
	counted->n++;
	counted->bytes += summary->envelope.n + summary->bodystructure.n + summary->body.n;
	return ok();
}

static double summaries(struct account *a, uint32_t first, uint32_t n, unsigned columns)
{
	struct store_view *view;
	struct counted counted = {0, 0};
	const struct store_summary_ops ops = {NULL, count_summary};
	must(store_view_open(a->store, a->inbox, &view), "view");
	double start = now_ms();
	must(store_summaries(a->store, view, first, first + n - 1, columns, &ops, &counted),
	     "summaries");
	double took = now_ms() - start;
	if (counted.n != n)
		must(fail(ERR_CORRUPT, "a summary is missing"), "summaries");
	store_view_unref(view);
	return took;
}

static void bench_changes(struct account *a)
{
	static const struct store_uid_range some[] = {{{1000}, {10999}}};
	struct store_uids part = {some, 1};
	struct arena arena;
	struct store_uid *from, *to;
	uint32_t validity, n_gone;
	size_t n;
	arena_init(&arena, 64 << 20);
	double start = now_ms();
	must(store_copy(a->store, a->inbox, part, a->archive, false, &arena, &validity, &from, &to,
	                &n),
	     "copy");
	printf("copy of %zu: %.1f ms\n", n, now_ms() - start);
	start = now_ms();
	must(store_copy(a->store, a->inbox, part, a->archive, true, &arena, &validity, &from, &to,
	                &n),
	     "move");
	printf("move of %zu: %.1f ms\n", n, now_ms() - start);
	static const struct store_uid_range gone[] = {{{20000}, {29999}}};
	start = now_ms();
	must(store_expunge(a->store, a->inbox, (struct store_uids){gone, 1}, false, &n_gone),
	     "expunge");
	printf("expunge of %u: %.1f ms\n", n_gone, now_ms() - start);
	start = now_ms();
	must(store_idle(a->store), "idle");
	printf("removal of their bodies when idle: %.1f ms\n", now_ms() - start);
	arena_done(&arena);
}

static void run_large(const char *base)
{
	struct account a;
	account_new(&a, base);
	double start = now_ms(), cpu = cpu_ms();
	fill(&a, 100000);
	printf("import of 100000 by 1000: %.0f ms, cpu %.0f ms\n", now_ms() - start,
	       cpu_ms() - cpu);
	start = now_ms();
	account_reopen(&a);
	printf("reopen: %.1f ms\n", now_ms() - start);
	double cold = open_view(&a), warm = open_view(&a);
	printf("view of 100000: cold %.1f ms, warm %.4f ms\n", cold, warm);
	account_reopen(&a);
	printf("view of 100000: cold %.1f ms\n", open_view(&a));
	struct store_uids all = {everything, 1};
	static const struct store_uid_range one[] = {{{50000}, {50000}}};
	for (int i = 0; i < 3; i++) {
		double add = flag(&a, STORE_FLAGS_ADD, STORE_SEEN, all);
		double remove = flag(&a, STORE_FLAGS_REMOVE, STORE_SEEN, all);
		double single = flag(&a, i & 1 ? STORE_FLAGS_REMOVE : STORE_FLAGS_ADD,
		                     STORE_FLAGGED, (struct store_uids){one, 1});
		printf("flags on 100000: add %.1f ms, remove %.1f ms; on one: %.2f ms\n", add,
		       remove, single);
	}
	for (int i = 0; i < 2; i++)
		printf("summaries of 10000: envelope %.1f ms, sent %.1f ms, all %.1f ms\n",
		       summaries(&a, 30000, 10000, STORE_COLUMN_ENVELOPE),
		       summaries(&a, 30000, 10000, STORE_COLUMN_SENT),
		       summaries(&a, 30000, 10000, 7));
	printf("summaries of 100000: sent %.1f ms\n", summaries(&a, 0, 100000, STORE_COLUMN_SENT));
	struct store_view *held;
	must(store_view_open(a.store, a.inbox, &held), "view");
	start = now_ms();
	for (int i = 0; i < 1000; i++)
		append_one(&a, (const uint8_t *)"x", 1);
	printf("append to 100000 with a view in use: %.3f ms each\n", (now_ms() - start) / 1000);
	store_view_unref(held);
	bench_changes(&a);
	account_done(&a);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Private memory of the process, in KB. */
static long private_kb(void)
{
	char line[256];
	long total = 0;
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	while (file && fgets(line, sizeof(line), file)) {
		struct slice name, rest, value, unit;
		uint64_t kb = 0;
		slice_cut(slice_str(line), ':', &name, &rest);
		slice_cut(slice_trim(rest), ' ', &value, &unit);
		if (slice_starts(name, SLICE("Private_")) && slice_to_u64(value, UINT32_MAX, &kb))
			total += (long)kb;
	}
	if (file)
		fclose(file);
	return total;
}

static void run_memory(const char *base)
{
	struct account accounts[ACCOUNTS_MAX];
	long start = private_kb();
	for (int i = 0; i < ACCOUNTS_MAX; i++) {
		account_new(&accounts[i], base);
		append_one(&accounts[i], (const uint8_t *)"x", 1);
		(void)open_view(&accounts[i]);
	}
	long used = private_kb();
	for (int i = 0; i < ACCOUNTS_MAX; i++)
		must(store_idle(accounts[i].store), "idle");
	long idle = private_kb();
	printf("memory of an open store: after use %ld KB, idle %ld KB (process: %ld KB)\n",
	       (used - start) / ACCOUNTS_MAX, (idle - start) / ACCOUNTS_MAX, idle);
	double first = now_ms();
	append_one(&accounts[0], (const uint8_t *)"x", 1);
	double second = now_ms();
	append_one(&accounts[0], (const uint8_t *)"x", 1);
	printf("append after idle: first %.2f ms, second %.2f ms\n", second - first,
	       now_ms() - second);
	for (int i = 0; i < ACCOUNTS_MAX; i++)
		account_done(&accounts[i]);
}

static const struct {
	const char *name;
	void (*run)(const char *base);
} cases[] = {
        {"append", run_append}, {"small", run_small}, {"large", run_large},
        {"memory", run_memory}, {"place", run_place},
};

int main(int argc, char **argv)
{
	const char *base = argc > 1 ? argv[1] : "/var/tmp";
	memset(summary_text, 'x', sizeof(summary_text));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		bool wanted = argc <= 2;
		for (int j = 2; j < argc; j++)
			wanted = wanted || strcmp(argv[j], cases[i].name) == 0;
		if (wanted)
			cases[i].run(base);
	}
	return 0;
}
