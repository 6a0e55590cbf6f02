/* BINARY in pieces: whatever is asked for, in whatever order, is that part of the decoded whole. */
#include "base/stream_mem.h"
#include "imap/fetch_body.h"
#include "imap/summarize.h"
#include "message/transfer.h"
#include "store/store_testing.h"

#define DECODED_SIZE 150000u

static int64_t zero(const struct clock *clock)
{
	(void)clock;
	return 0;
}
static const struct clock test_clock = {zero, zero};

static uint8_t decoded[DECODED_SIZE];

/* Parts 1 to 4 hold the same bytes: base64, quoted-printable, as they are, and in an encoding that
 * nobody knows; part 5 is empty. */
static void build_message(struct buf *message)
{
	static const char *const encodings[] = {"base64", "quoted-printable", "8bit", "rot13",
	                                        "base64"};
	for (size_t i = 0; i < sizeof(decoded); i++)
		decoded[i] = i % 61 == 60   ? '\n'
		             : i % 61 == 59 ? '\r'
		                            : (uint8_t)("a =\xe9"[i * 7 % 4]);
	buf_add_str(message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (size_t i = 0; i < N_ELEMENTS(encodings); i++) {
		buf_printf(message, "--b\r\nContent-Transfer-Encoding: %s\r\n\r\n", encodings[i]);
		if (i == 0)
			message_base64_encode(slice_of(decoded, sizeof(decoded)), message);
		else if (i == 1)
			message_quoted_printable_encode(slice_of(decoded, sizeof(decoded)),
			                                message);
		else if (i < 4)
			buf_add(message, slice_of(decoded, sizeof(decoded)));
		buf_add_str(message, "\r\n");
	}
	buf_add_str(message, "--b--\r\n");
}

struct test {
	struct fixture f;
	struct buf commands, expected;
	unsigned n;
};

static int set_up(void **state)
{
	struct test *t = base_alloc(sizeof(*t));
	struct buf message;
	fixture_init(&t->f);
	t->f.options.summarize = imap_summarize;
	fixture_reopen(&t->f);
	buf_init(&message, 4 * MIB);
	build_message(&message);
	assert_ok(append(&t->f, mailbox_id(&t->f, "Inbox"), buf_slice(&message), 0, NULL));
	assert_ok(append(&t->f, mailbox_id(&t->f, "Inbox"), buf_slice(&message), 0, NULL));
	buf_done(&message);
	buf_init(&t->commands, MIB);
	buf_init(&t->expected, 64 * MIB);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct test *t = *state;
	buf_done(&t->commands);
	buf_done(&t->expected);
	fixture_done(&t->f);
	base_free(t);
	return 0;
}

/* The next command asks for this partial, which is cut at the part's end. */
static void ask(struct test *t, unsigned message, unsigned part, uint32_t offset, uint32_t size)
{
	struct slice whole = slice_of(decoded, part < 5 ? sizeof(decoded) : 0);
	struct slice wanted = slice_sub(whole, offset, size);
	buf_printf(&t->commands, "a%u FETCH %u BINARY.PEEK[%u]<%u.%u>\r\n", t->n, message, part,
	           offset, size);
	buf_printf(&t->expected, "* %u FETCH (BINARY[%u]<%u> {%zu}\r\n", message, part, offset,
	           wanted.n);
	buf_add(&t->expected, wanted);
	buf_printf(&t->expected, ")\r\na%u OK FETCH done\r\n", t->n++);
}

static void check(struct test *t)
{
	struct stream_mem mem;
	struct buf input;
	buf_init(&input, 2 * MIB);
	buf_add_str(&input, "s EXAMINE INBOX\r\n");
	buf_add(&input, buf_slice(&t->commands));
	stream_mem_init(&mem, buf_slice(&input), 0);
	struct imap_session_options options = {
	        .stream = &mem.stream, .store = t->f.store, .clock = &test_clock, .wake_fd = -1};
	(void)imap_session_run(&options);
	struct slice output = buf_slice(&mem.output);
	size_t start = slice_find(output, SLICE("s OK"));
	assert_int_not_equal(start, SIZE_MAX);
	output = slice_from(output, start);
	output = slice_from(output, slice_index(output, '\n') + 1);
	struct slice expected = buf_slice(&t->expected);
	size_t same = 0;
	while (same < MIN(output.n, expected.n) && output.p[same] == expected.p[same])
		same++;
	if (same < expected.n)
		print_error("differs at %zu: got %.*s\nexpected %.*s\n", same,
		            SLICE_FMT(slice_sub(output, same, 80)),
		            SLICE_FMT(slice_sub(expected, same, 80)));
	assert_true(same == expected.n);
	stream_mem_done(&mem);
	buf_done(&input);
}

static void pieces_make_the_whole(void **state)
{
	static const uint32_t sizes[] = {1000, 16384, 16383, 12288, 40000, 65536, 150000};
	struct test *t = *state;
	for (unsigned part = 1; part <= 3; part++)
		for (size_t i = 0; i < N_ELEMENTS(sizes); i++)
			for (uint32_t at = 0; at <= DECODED_SIZE; at += sizes[i])
				ask(t, 1, part, at, sizes[i]);
	check(t);
}

static void any_order_will_do(void **state)
{
	struct test *t = *state;
	uint64_t x = 99;
	for (int i = 0; i < 300; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		unsigned part = 1 + (unsigned)(x >> 33) % 3, message = 1 + (unsigned)(i / 7 % 2);
		uint32_t offset = (uint32_t)(x >> 40) % (DECODED_SIZE + 1000);
		uint32_t size = 1 + (uint32_t)(x >> 20) % 30000;
		ask(t, message, part, offset, size);
		ask(t, message, part, offset + size, size); /* the next one */
		if (i % 3 == 0)
			ask(t, message, part, offset + size, 1); /* again */
		if (i % 5 == 0)
			ask(t, message, part % 3 + 1, offset + 2 * size, size); /* another part */
	}
	ask(t, 1, 1, DECODED_SIZE - 1, 5);
	ask(t, 1, 1, DECODED_SIZE, 5);
	ask(t, 1, 1, 4000000000u, 5);
	ask(t, 1, 5, 0, 5);
	ask(t, 1, 5, 7, 5);
	check(t);
}

static void what_nobody_knows_is_refused(void **state)
{
	struct test *t = *state;
	ask(t, 1, 1, 0, 10);
	buf_add_str(&t->commands, "b FETCH 1 BINARY.PEEK[4]<0.5>\r\nc FETCH 1 BINARY.SIZE[4]\r\n");
	buf_add_str(&t->expected,
	            "* 1 FETCH ()\r\n"
	            "b NO [UNKNOWN-CTE] A part has a transfer encoding that nobody knows\r\n"
	            "* 1 FETCH ()\r\n"
	            "c NO [UNKNOWN-CTE] A part has a transfer encoding that nobody knows\r\n");
	ask(t, 1, 1, 10, 10);
	buf_add_str(&t->commands, "d FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[5] BINARY.SIZE[6])\r\n");
	buf_printf(&t->expected,
	           "* 1 FETCH (BINARY.SIZE[1] %u BINARY.SIZE[5] 0 BINARY.SIZE[6] 0)\r\nd OK FETCH "
	           "done\r\n",
	           DECODED_SIZE);
	check(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(pieces_make_the_whole, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(any_order_will_do, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(what_nobody_knows_is_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
