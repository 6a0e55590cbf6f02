/* FETCH and SEARCH over mailboxes that are read a batch at a time: every message comes once, whole,
 * in order, whatever is between them and whatever goes away meanwhile. */
#include "imap/read_ahead.h"

#include "base/stream_mem.h"
#include "imap/summarize.h"
#include "store/store_testing.h"

#define N_MESSAGES 700u
#define INLINE_MAX 3000u /* larger ones stand in files */

static int64_t zero(const struct clock *clock)
{
	(void)clock;
	return 0;
}
static const struct clock test_clock = {zero, zero};

struct run {
	struct stream_mem mem; /* first member */
	struct stream_ops ops;
	const struct stream_ops *mem_ops;
	struct fixture *f;
	size_t expunge_at; /* bytes written until `expunge` are expunged */
	const char *expunge;
};

/* Message i, from 1. */
static size_t message_text(uint32_t i, char *text, size_t max)
{
	int n = snprintf(text, max,
	                 "From: \"Sender %" PRIu32 "\" <s%" PRIu32 "@a.example>\r\nDate: %" PRIu32
	                 " Jan 2024 10:00:00 +0000\r\nSubject: =?utf-8?q?number?= %" PRIu32
	                 "\r\nX-Rest: %" PRIu32 "\r\n\r\n",
	                 i, i % 10, i % 28 + 1, i, i % 3);
	size_t size = (size_t)n + i * 37 % 1500 + (i % 50 == 0 ? 4000 : 0);
	for (size_t at = (size_t)n; at < size; at++)
		text[at] = (char)('a' + (at + i) % 26);
	return size;
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	static char texts[N_MESSAGES][8192];
	struct store_append *a = base_alloc(N_MESSAGES * sizeof(a[0]));
	fixture_init(f);
	f->options.summarize = imap_summarize;
	f->options.inline_max = INLINE_MAX;
	fixture_reopen(f);
	for (uint32_t i = 0; i < N_MESSAGES; i++) {
		size_t size = message_text(i + 1, texts[i], sizeof(texts[i]));
		a[i] = (struct store_append){.mailbox = mailbox_id(f, "Inbox"),
		                             .fd = -1,
		                             .flags = i % 4 == 0 ? STORE_SEEN : 0};
		assert_ok(store_spool_new(f->store, &a[i].spool));
		assert_ok(store_spool_write(a[i].spool, slice_of(texts[i], size)));
	}
	store_append(f->store, a, N_MESSAGES, true);
	for (uint32_t i = 0; i < N_MESSAGES; i++) {
		assert_ok(a[i].status);
		store_spool_free(a[i].spool);
	}
	base_free(a);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fixture_done(*state);
	base_free(*state);
	return 0;
}

static struct status write_and_expunge(struct stream *s, struct slice bytes, int timeout_ms)
{
	struct run *run = (struct run *)(void *)s;
	uint32_t n;
	TRY(run->mem_ops->write(s, bytes, timeout_ms));
	if (run->expunge && run->mem.output.n >= run->expunge_at) {
		assert_ok(store_expunge(run->f->store, mailbox_id(run->f, "Inbox"),
		                        uid_set(run->f, run->expunge), false, &n));
		assert_ok(store_idle(run->f->store));
		run->expunge = NULL;
	}
	return ok();
}

/* Runs one command; what the session says between SELECT and the end. */
static struct slice output_of(struct run *run, struct fixture *f, const char *command)
{
	const char *input =
	        arena_printf(&f->arena, "s SELECT INBOX\r\nt %s\r\nl LOGOUT\r\n", command);
	stream_mem_init(&run->mem, slice_str(input), 0);
	run->mem_ops = run->mem.stream.ops;
	run->ops = *run->mem_ops;
	run->ops.write = write_and_expunge;
	run->mem.stream.ops = &run->ops;
	run->f = f;
	struct imap_session_options options = {
	        .stream = &run->mem.stream, .store = f->store, .clock = &test_clock, .wake_fd = -1};
	(void)imap_session_run(&options);
	struct slice all = buf_slice(&run->mem.output);
	size_t selected = slice_find(all, SLICE("s OK"));
	assert_int_not_equal(selected, SIZE_MAX);
	struct slice rest = slice_from(all, selected);
	return slice_from(rest, slice_index(rest, '\n') + 1);
}

/* One whole response of a message is next in *at: taken. */
static void take_message(struct slice *at, uint32_t i)
{
	char text[8192], head[100];
	size_t size = message_text(i, text, sizeof(text));
	snprintf(head, sizeof(head), "* %" PRIu32 " FETCH (BODY[] {%zu}\r\n", i, size);
	if (!slice_starts(*at, slice_str(head)))
		print_error("expected %s got %.*s\n", head, SLICE_FMT(slice_sub(*at, 0, 60)));
	assert_true(slice_starts(*at, slice_str(head)));
	*at = slice_from(*at, strlen(head));
	assert_memory_equal(at->p, text, size);
	*at = slice_from(*at, size);
	assert_true(slice_starts(*at, SLICE(")\r\n")));
	*at = slice_from(*at, 3);
}

static void all_bodies_come_in_order(void **state)
{
	struct fixture *f = *state;
	struct run run = {0};
	struct slice at = output_of(&run, f, "FETCH 1:* BODY.PEEK[]");
	for (uint32_t i = 1; i <= N_MESSAGES; i++)
		take_message(&at, i);
	assert_true(slice_starts(at, SLICE("t OK")));
	stream_mem_done(&run.mem);
}

static void sets_with_holes_come_in_order(void **state)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {{3, 3}, {5, 5}, {48, 52}, {99, 101}, {110, 480}, {482, 482}, {650, 700}};
	struct fixture *f = *state;
	struct run run = {0};
	struct slice at =
	        output_of(&run, f, "FETCH 650:*,5,3,99:101,110:480,482,48:52 BODY.PEEK[]");
	for (size_t k = 0; k < N_ELEMENTS(ranges); k++)
		for (uint32_t i = ranges[k].first; i <= ranges[k].last; i++)
			take_message(&at, i);
	assert_true(slice_starts(at, SLICE("t OK")));
	stream_mem_done(&run.mem);
}

static void a_single_message_needs_no_batch(void **state)
{
	struct fixture *f = *state;
	for (uint32_t i = 48; i <= 52; i++) {
		struct run run = {0};
		struct slice at =
		        output_of(&run, f, arena_printf(&f->arena, "FETCH %u BODY.PEEK[]", i));
		take_message(&at, i);
		assert_true(slice_starts(at, SLICE("t OK")));
		stream_mem_done(&run.mem);
	}
}

/* Messages that were read already still come, the others are told to be gone. */
static void what_is_expunged_meanwhile_is_left_out(void **state)
{
	struct fixture *f = *state;
	struct run run = {.expunge = "2:40,300:310,400,699:700", .expunge_at = 30000};
	struct slice at = output_of(&run, f, "FETCH 1:* BODY.PEEK[]");
	for (uint32_t i = 1; i <= N_MESSAGES; i++) {
		char head[40];
		bool gone = (i >= 300 && i <= 310) || i == 400 || i >= 699;
		snprintf(head, sizeof(head), "* %" PRIu32 " FETCH", i);
		bool is_next = slice_starts(at, slice_str(head));
		if (gone)
			assert_false(is_next);
		else if (i > 40)
			assert_true(is_next);
		if (is_next)
			take_message(&at, i);
	}
	assert_true(slice_starts(at, SLICE("t NO [EXPUNGEISSUED]")));
	stream_mem_done(&run.mem);
}

static void expect_found(struct fixture *f, const char *keys, bool (*matches)(uint32_t i))
{
	struct buf expected;
	struct run run = {0};
	struct slice got = output_of(&run, f, arena_printf(&f->arena, "SEARCH %s", keys));
	buf_init(&expected, MIB);
	buf_add_str(&expected, "* SEARCH");
	for (uint32_t i = 1; i <= N_MESSAGES; i++)
		if (matches(i))
			buf_printf(&expected, " %" PRIu32, i);
	buf_add_str(&expected, "\r\nt OK");
	if (!slice_starts(got, buf_slice(&expected)))
		print_error("%s: got\n%.*s\nexpected\n%.*s\n", keys, SLICE_FMT(got),
		            SLICE_FMT(buf_slice(&expected)));
	assert_true(slice_starts(got, buf_slice(&expected)));
	buf_done(&expected);
	stream_mem_done(&run.mem);
}

static bool starts_with_77(uint32_t i)
{
	return i == 77;
}
static bool is_seventh_sender(uint32_t i)
{
	return i % 10 == 7;
}
static bool is_unseen_seventh(uint32_t i)
{
	return i % 10 == 7 && (i - 1) % 4 != 0;
}
static bool is_third(uint32_t i)
{
	return i % 3 == 2;
}
static bool is_seen_or_third(uint32_t i)
{
	return (i - 1) % 4 == 0 || i % 3 == 2;
}
static bool is_not_third_late(uint32_t i)
{
	return i % 3 != 2 && i % 28 + 1 >= 20;
}
static bool is_seventh_third(uint32_t i)
{
	return i % 10 == 7 && i % 3 == 2;
}
static bool is_far(uint32_t i)
{
	return i == 1 || i == 399 || i == 700;
}

static void searches_find_what_they_should(void **state)
{
	struct fixture *f = *state;
	expect_found(f, "SUBJECT \"number 77\"", starts_with_77);
	expect_found(f, "FROM s7@A.EXAMPLE", is_seventh_sender);
	expect_found(f, "UNSEEN FROM s7@A.EXAMPLE", is_unseen_seventh);
	expect_found(f, "HEADER X-Rest 2", is_third);
	expect_found(f, "OR SEEN HEADER X-Rest 2", is_seen_or_third);
	expect_found(f, "NOT HEADER X-Rest 2 SENTSINCE 20-Jan-2024", is_not_third_late);
	expect_found(f, "FROM s7@ HEADER X-Rest 2", is_seventh_third);
	expect_found(f, "TEXT \"X-Rest: 2\"", is_third);
	expect_found(f, "1,399,700 SUBJECT NUMBER", is_far);
	expect_found(f, "1,399,700 SUBJECT number BODY abc", is_far);
}

static void windows_follow_what_was_used(void **state)
{
	(void)state;
	assert_int_equal(imap_ahead_window(1, 256, 1, 1), 2);
	assert_int_equal(imap_ahead_window(16, 256, 16, 8), 32);
	assert_int_equal(imap_ahead_window(16, 256, 16, 7), 8);
	assert_int_equal(imap_ahead_window(200, 256, 200, 200), 256);
	assert_int_equal(imap_ahead_window(1, 256, 2, 0), 1);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(all_bodies_come_in_order),
	        TEST(sets_with_holes_come_in_order),
	        TEST(a_single_message_needs_no_batch),
	        TEST(searches_find_what_they_should),
	        TEST(windows_follow_what_was_used),
	        TEST(what_is_expunged_meanwhile_is_left_out), /* the last one */
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
