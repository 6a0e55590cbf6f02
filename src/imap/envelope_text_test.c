/* What SEARCH finds in an ENVELOPE: fields of whole messages, as text in capitals
 * (i;unicode-casemap folds that way). */
#include "imap/envelope_text.h"

#include "imap/summarize.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct memory {
	struct store_reader reader; /* first member */
	struct slice bytes;
};

static struct status read_memory(const struct store_reader *r, uint64_t offset, uint8_t *p,
                                 size_t n, size_t *ret_n)
{
	struct slice s = slice_sub(((const struct memory *)r)->bytes, (size_t)offset, n);
	memcpy(p, s.p, s.n);
	*ret_n = s.n;
	return ok();
}

/* False: the envelope does not tell. */
static bool text_of(struct slice message, enum imap_envelope_field field, struct imap_fold *fold)
{
	struct memory m = {.reader = {.size = message.n, .read = read_memory}, .bytes = message};
	struct store_summary summary;
	struct arena arena;
	arena_init(&arena, (size_t)64 * 1024 * 1024);
	assert_true(is_ok(imap_summarize(&m.reader, &arena, &summary)));
	bool told = imap_envelope_text(summary.envelope, field, fold);
	arena_done(&arena);
	return told;
}

static void fields_are_read_back(void **state)
{
	static const struct {
		struct slice header;
		enum imap_envelope_field field;
		const char *text; /* NULL: it does not tell */
	} cases[] = {
	        {SLICE("Subject: one\r\n"), IMAP_ENVELOPE_SUBJECT, "ONE"},
	        {SLICE("Subject:\r\n"), IMAP_ENVELOPE_SUBJECT, ""},
	        {SLICE("Date: x\r\n"), IMAP_ENVELOPE_SUBJECT, ""},
	        {SLICE("Subject: a\r\n b\r\n"), IMAP_ENVELOPE_SUBJECT, "A B"},
	        {SLICE("Subject: \"q\" \\ \\\"\r\n"), IMAP_ENVELOPE_SUBJECT, "\"Q\" \\ \\\""},
	        {SLICE("Subject: {3} (NIL)\r\n"), IMAP_ENVELOPE_SUBJECT, "{3} (NIL)"},
	        {SLICE("Subject: NIL\r\n"), IMAP_ENVELOPE_SUBJECT, "NIL"},
	        {SLICE("Subject: =?utf-8?q?caf=C3=A9?= =?utf-8?q?_au?= lait\r\n"),
	         IMAP_ENVELOPE_SUBJECT, "CAFE\xcc\x81 AU LAIT"},
	        {SLICE("Subject: caf\xc3\xa9\r\n"), IMAP_ENVELOPE_SUBJECT, "CAFE\xcc\x81"},
	        {SLICE("Subject: caf\xe9 \"x\"\r\n"), IMAP_ENVELOPE_SUBJECT, "CAFE\xcc\x81 \"X\""},
	        {SLICE("Subject: =?broken\r\n"), IMAP_ENVELOPE_SUBJECT, "=?BROKEN"},
	        {SLICE("Subject: a\0b\r\n"), IMAP_ENVELOPE_SUBJECT,
	         "A\xe2\x82\xac"
	         "B"},
	        {SLICE("From: a@x.example\r\n"), IMAP_ENVELOPE_FROM, "A@X.EXAMPLE"},
	        {SLICE("From: Ann B <a@x.example>\r\n"), IMAP_ENVELOPE_FROM, "ANN B <A@X.EXAMPLE>"},
	        {SLICE("From: \"B, \\\"Ann\\\"\" <a@x.example>\r\n"), IMAP_ENVELOPE_FROM,
	         "B, \"ANN\" <A@X.EXAMPLE>"},
	        {SLICE("From: =?utf-8?b?SsO2cmc=?= <\"j o\"@x.example>\r\n"), IMAP_ENVELOPE_FROM,
	         "JO\xcc\x88RG <J O@X.EXAMPLE>"},
	        {SLICE("Subject: \"s\"\r\nFrom: a@x\r\nTo: b@x, C <c@x>\r\nCc: d@x\r\nBcc: "
	               "e@x\r\n"),
	         IMAP_ENVELOPE_TO, "B@X, C <C@X>"},
	        {SLICE("From: a@x\r\nSender: z@x\r\nTo: b@x\r\nCc: d@x, e@x\r\n"), IMAP_ENVELOPE_CC,
	         "D@X, E@X"},
	        {SLICE("From: a@x\r\nReply-To: z@x\r\nBcc: e@x\r\n"), IMAP_ENVELOPE_BCC, "E@X"},
	        {SLICE("From: a@x\r\nTo: b@x\r\n"), IMAP_ENVELOPE_CC, ""},
	        {SLICE("To: friends: a@x, B <b@x>;, c@x\r\n"), IMAP_ENVELOPE_TO,
	         "FRIENDS:, A@X, B <B@X>, , C@X"},
	        {SLICE("To: root\r\n"), IMAP_ENVELOPE_TO, "ROOT"},
	        {SLICE("To: not an address\r\n"), IMAP_ENVELOPE_TO, "NOT AN ADDRESS"},
	        {SLICE("From: a@x\r\nFrom: b@x\r\n"), IMAP_ENVELOPE_FROM, "A@X, B@X"},
	        {SLICE(""), IMAP_ENVELOPE_SUBJECT, NULL},
	        {SLICE("X-Other: y\r\n"), IMAP_ENVELOPE_FROM, NULL},
	};
	struct imap_fold fold;
	(void)state;
	imap_fold_init(&fold);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		bool told = text_of(cases[i].header, cases[i].field, &fold);
		if (told != (cases[i].text != NULL) ||
		    (told && !slice_eq_str(buf_slice(&fold.folded), cases[i].text)))
			print_error("%zu: got      %d %.*s\n   expected %s\n", i, told,
			            SLICE_FMT(buf_slice(&fold.folded)), cases[i].text);
		assert_int_equal(told, cases[i].text != NULL);
		if (told)
			assert_true(slice_eq_str(buf_slice(&fold.folded), cases[i].text));
	}
	imap_fold_done(&fold);
}

/* A list that may have been cut is not told. */
static void full_lists_are_not_trusted(void **state)
{
	struct imap_fold fold;
	struct buf header;
	(void)state;
	imap_fold_init(&fold);
	for (unsigned n = MESSAGE_ADDRESSES_MAX - 1; n <= MESSAGE_ADDRESSES_MAX + 1; n++) {
		buf_init(&header, MIB);
		buf_add_str(&header, "To: a@x");
		for (unsigned i = 1; i < n; i++)
			buf_printf(&header, ",\r\n u%u@x", i);
		buf_add_str(&header, "\r\n\r\n");
		assert_int_equal(text_of(buf_slice(&header), IMAP_ENVELOPE_TO, &fold),
		                 n < MESSAGE_ADDRESSES_MAX);
		buf_done(&header);
	}
	imap_fold_done(&fold);
}

static void what_is_no_envelope_tells_nothing(void **state)
{
	static const struct slice bad[] = {
	        SLICE("x"),
	        SLICE("("),
	        SLICE("()"),
	        SLICE("(NIL"),
	        SLICE("(NIL \"a"),
	        SLICE("(NIL \"a\\"),
	        SLICE("(NIL \"a\\\""),
	        SLICE("(NIL {5}\r\nabc"),
	        SLICE("(NIL {99999999999999999999}\r\nabc NIL"),
	        SLICE("(NIL {18446744073709551615}\r\nabc NIL"),
	        SLICE("(NIL {}\r\n NIL"),
	        SLICE("(NIL {1\r\na NIL"),
	        SLICE("(NIL NIL"),
	        SLICE("(NIL NIL x"),
	        SLICE("(NIL NIL (NIL"),
	        SLICE("(NIL NIL ((NIL NIL NIL NIL"),
	        SLICE("(NIL NIL ((NIL NIL NIL NIL)"),
	        SLICE("(NIL NIL ((NIL NIL NIL) (NIL"),
	        SLICE("(NIL  NIL NIL"),
	};
	static const char good[] = "(NIL \"s\" ((\"n\" NIL \"m\" \"h\")) NIL NIL {2}\r\nab) NIL";
	struct imap_fold fold;
	(void)state;
	imap_fold_init(&fold);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		if (imap_envelope_text(bad[i], IMAP_ENVELOPE_FROM, &fold))
			print_error("%.*s\n", SLICE_FMT(bad[i]));
		assert_false(imap_envelope_text(bad[i], IMAP_ENVELOPE_FROM, &fold));
		assert_false(imap_envelope_text(bad[i], IMAP_ENVELOPE_BCC, &fold));
	}
	/* Cut anywhere, byte by byte: nothing is read behind the end. */
	for (size_t n = 0; n < sizeof(good); n++) {
		CLEANUP(base_freep) uint8_t *copy = base_alloc(n);
		memcpy(copy, good, n);
		(void)imap_envelope_text(slice_of(copy, n), IMAP_ENVELOPE_SUBJECT, &fold);
		assert_false(imap_envelope_text(slice_of(copy, n), IMAP_ENVELOPE_BCC, &fold));
	}
	imap_fold_done(&fold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fields_are_read_back),
	        cmocka_unit_test(full_lists_are_not_trusted),
	        cmocka_unit_test(what_is_no_envelope_tells_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
