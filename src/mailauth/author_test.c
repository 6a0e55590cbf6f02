/* The author domain: what counts, what does not, and what may not be read in two ways. */
#include "mailauth/author.h"

#include "mailauth/explain.h"
#include "message/part.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define ARENA_SIZE ((size_t)1024 * 1024)

/* "kind domain ... [+] <domain in a name>" */
static void describe(const struct mailauth_author *author, struct buf *out)
{
	buf_add_str(out, mailauth_author_kind_name(author->kind));
	for (size_t i = 0; i < author->n_domains; i++)
		buf_printf(out, " %s", author->domains[i].text);
	if (author->more_domains)
		buf_add_str(out, " +");
	if (*author->name_domain)
		buf_printf(out, " <%s>", author->name_domain);
}

static void check_header(struct slice header, const char *expected)
{
	struct arena arena;
	struct buf got;
	struct mailauth_author author;
	arena_init(&arena, ARENA_SIZE);
	buf_init(&got, 64 * KIB);
	mailauth_author_find(header, &arena, &author);
	describe(&author, &got);
	assert_string_equal(buf_cstr(&got), expected);
	if (author.kind == MAILAUTH_AUTHOR_FOUND)
		assert_string_equal(author.domain.text, author.domains[0].text);
	else
		assert_true(dns_name_is_root(author.domain));
	buf_done(&got);
	arena_done(&arena);
}

static void check_from(const char *value, const char *expected)
{
	struct buf header;
	buf_init(&header, MIB);
	buf_printf(&header, "Subject: x\r\nFrom: %s\r\nTo: y@z\r\n\r\nbody\r\n", value);
	check_header(buf_slice(&header), expected);
	buf_done(&header);
}

static void one_domain_is_found(void **state)
{
	(void)state;
	static const struct {
		const char *value, *expected;
	} cases[] = {
	        {"a@example.com", "found example.com"},
	        {"<a@example.com>", "found example.com"},
	        {"A B <a@Example.COM>", "found example.com"},
	        {"\"A, B\" <a@example.com>", "found example.com"},
	        {"a@mail_1.example.com", "found mail_1.example.com"},
	        {"a@localhost", "found localhost"},
	        {"a@example . com (comment)", "found example.com"},
	        {"a@example.com,\r\n b@EXAMPLE.com", "found example.com"},
	        {"Us: a@example.com, b@example.com;", "found example.com"},
	        {"a@example.com, Nobody:;", "found example.com"},
	        {"\"quoted @ local\"@example.com", "found example.com"},
	        /* as many programs write: the address as its own name */
	        {"a@example.com <a@example.com>", "found example.com"},
	        {"a@example.com <b@EXAMPLE.COM>", "found example.com"},
	        /* IDNA: U-labels become A-labels, A-labels stay, whatever they are */
	        {"a@b\xc3\xbc"
	         "cher.example",
	         "found xn--bcher-kva.example"},
	        {"a@B\xc3\x9c"
	         "cher\xe3\x80\x82"
	         "example",
	         "found xn--bcher-kva.example"},
	        {"a@xn--bcher-kva.example", "found xn--bcher-kva.example"},
	        {"a@XN--BCHER-KVA.example", "found xn--bcher-kva.example"},
	        {"a@xn--99zzzz.example", "found xn--99zzzz.example"},
	        {"a@b\xc3\xbc"
	         "cher.example, b@xn--bcher-kva.example",
	         "found xn--bcher-kva.example"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_from(cases[i].value, cases[i].expected);
}

static void what_gives_no_domain_says_why(void **state)
{
	(void)state;
	static const struct {
		const char *value, *expected;
	} cases[] = {
	        {"", "empty"},
	        {" \t ", "empty"},
	        {"(a@example.com)", "empty"},
	        {"Undisclosed:;", "empty"},
	        {",", "empty"},
	        {"<>", "no-domain"},
	        {"root", "no-domain"},
	        {"root, a@example.com", "no-domain example.com"},
	        {"a@", "no-domain"},
	        {"Ann Other", "malformed"},
	        {"\"a@example.com\"", "malformed"},
	        {"@example.com", "malformed example.com"},
	        {"a@b@example.com", "malformed b example.com"},
	        {"a b@example.com", "malformed example.com"},
	        {"a@example.com (never closed", "malformed example.com"},
	        {"a@example.com (x\\)", "malformed example.com"},
	        {"a@example.com, rubbish here", "malformed example.com"},
	        {"a@[192.0.2.1]", "literal"},
	        {"a@[IPv6:2001:db8::1]", "literal"},
	        {"a@[192.0.2.1], b@example.com", "literal example.com"},
	        {"a@192.0.2.1", "bad-domain"},
	        {"a@example.com.", "bad-domain"},
	        {"a@.example.com", "bad-domain"},
	        {"a@example..com", "bad-domain"},
	        {"a@exam!ple.com", "bad-domain"},
	        {"a@*.com", "bad-domain"},
	        {"a@example.c/m", "bad-domain"},
	        {"a@\xff\xfe.example", "bad-domain"},
	        {"a@b\xfc"
	         "cher.example",
	         "bad-domain"},
	        {"a@b\xc3\xbc_.example..com", "bad-domain"},
	        {"a@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
	         "bad-domain"},
	        {"a@example.com, b@example.net", "several-domains example.com example.net"},
	        {"G: a@example.com, b@example.net;", "several-domains example.com example.net"},
	        {"a@a.example, a@b.example, a@c.example, a@d.example, a@e.example, a@f.example",
	         "several-domains a.example b.example c.example d.example e.example +"},
	        {"a@example.com, b@mail.example.com",
	         "several-domains example.com mail.example.com"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_from(cases[i].value, cases[i].expected);
}

static void two_readings_are_none(void **state)
{
	(void)state;
	static const struct {
		const char *value, *expected;
	} cases[] = {
	        {"ceo@bank.example <x@evil.example>", "ambiguous evil.example bank.example"},
	        {"<ceo@bank.example> <x@evil.example>",
	         "several-domains bank.example evil.example"},
	        {"\"ceo@bank.example <x@evil.example>", "ambiguous evil.example bank.example"},
	        {"<@bank.example:x@evil.example>", "ambiguous evil.example bank.example"},
	        {"ceo@bank.example: x@evil.example;", "several-domains bank.example evil.example"},
	        {"x@evil.example (hm <ceo@bank.example>", "malformed evil.example"},
	        {"a@example.com <x@[192.0.2.1]>", "literal example.com"},
	        {"<x@evil.example> ceo@bank.example", "several-domains evil.example bank.example"},
	        {"<x@evil.example\\> @bank.example>", "malformed evil.example bank.example"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_from(cases[i].value, cases[i].expected);
}

/* Out of DMARC's scope (RFC 9989 section 11.4), told all the same. */
static void addresses_in_names_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *value, *expected;
	} cases[] = {
	        {"\"ceo@bank.example\" <x@evil.example>", "found evil.example <bank.example>"},
	        {"\"CEO <ceo@bank.example>\" <x@evil.example>",
	         "found evil.example <bank.example>"},
	        {"x@evil.example (ceo@bank.example)", "found evil.example <bank.example>"},
	        {"=?utf-8?q?ceo=40bank.example?= <x@evil.example>",
	         "found evil.example <bank.example>"},
	        {"=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?= <x@evil.example>",
	         "found evil.example <bank.example>"},
	        {"\"=?utf-8?q?ceo=40bank.example?=\" <x@evil.example>",
	         "found evil.example <bank.example>"},
	        {"=?utf-8?q?ceo=40bank.example=00=0D=0AFrom=3A?= <x@evil.example>",
	         "found evil.example <bank.example>"},
	        {"\"ceo@bank.example\": x@evil.example;", "found evil.example <bank.example>"},
	        /* encoded words hide no address: this has none */
	        {"=?utf-8?q?ceo=40bank?=", "no-domain"},
	        {"=?utf-8?q?ceo=40bank.example?=", "malformed"},
	        {"=?utf-8?q?=3Cceo=40bank.example=3E?=", "malformed"},
	        {"x@=?utf-8?q?bank.example?=", "bad-domain"},
	        /* their own */
	        {"\"a@example.com\" <a@mail.example.com>", "found mail.example.com"},
	        {"\"a@mail.example.com\" <a@example.com>", "found example.com"},
	        {"\"me @home\" <a@example.com>", "found example.com"},
	        {"\"joe @ work.example\" <a@example.com>", "found example.com"},
	        {"\"a@b\" <a@example.com>", "found example.com"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_from(cases[i].value, cases[i].expected);
}

static void other_fields_do_not_count(void **state)
{
	(void)state;
	check_header(SLICE(""), "no-from");
	check_header(SLICE("\r\nFrom: a@b\r\n"), "no-from");
	check_header(SLICE("Sender: a@b\r\nResent-From: c@d\r\n\r\n"), "no-from");
	check_header(SLICE("X-From: a@b\r\n\r\nFrom: c@d\r\n"), "no-from");
	check_header(SLICE("From x@y Fri Feb 15 16:54:30 2002\r\nFrom: a@b\r\n"), "found b");
	check_header(SLICE("From: a@b"), "found b");
	check_header(SLICE("FROM : a@b\r\n\r\n"), "found b");
	check_header(SLICE("From: a@b\n\nbody"), "found b");
	check_header(SLICE("From: a@b\r\nSender: c@d\r\nResent-From: e@f\r\n"), "found b");
	check_header(SLICE("From:\r\n a@b\r\n\r\n"), "found b");
}

static void several_fields_are_none(void **state)
{
	(void)state;
	check_header(SLICE("From: a@b\r\nFrom: a@b\r\n\r\n"), "several-from b");
	check_header(SLICE("From: a@b\r\nfrom : c@d\r\n\r\n"), "several-from b d");
	check_header(SLICE("From: a@b\r\nTo: x@y\r\nFrom:\r\n\r\n"), "several-from b");
	/* what is no field here but may be one elsewhere */
	check_header(SLICE(" From: c@d\r\nFrom: a@b\r\n\r\n"), "malformed b");
	check_header(SLICE("From\1: c@d\r\nFrom: a@b\r\n\r\n"), "malformed b");
	check_header(SLICE("F\0rom: c@d\r\nFrom: a@b\r\n\r\n"), "malformed b");
	check_header(SLICE("From\xc2\xa0: c@d\r\nFrom: a@b\r\n\r\n"), "malformed b");
	check_header(SLICE("From c@d\r\nFrom: a@b\r\n\r\n"), "found b");
}

static void line_ends_hide_nothing(void **state)
{
	(void)state;
	check_header(SLICE("From: a@b\0c\r\n\r\n"), "control b");
	check_header(SLICE("From: a@b\0\r\n\r\n"), "control b");
	check_header(SLICE("From: \"\0\" <a@b>\r\n\r\n"), "control b");
	check_header(SLICE("X: y\rFrom: c@d\r\nFrom: a@b\r\n\r\n"), "control b");
	check_header(SLICE("X: y\r\r\nFrom: a@b\r\n\r\n"), "control b");
	check_header(SLICE("From: a@b\r"), "control b");
	check_header(SLICE("From: a@b\r\nX: y\nZ: z\r\n\r\n"), "control b");
	check_header(SLICE("From: a@b\r\n\nFrom: c@d\r\n\r\n"), "control b");
	check_header(SLICE("X: y\0\r\nFrom: a@b\r\n\r\n"), "found b");
}

static void fill(struct buf *header, const char *line, size_t n)
{
	buf_init(header, 4 * MIB);
	for (size_t i = 0; i < n; i++)
		buf_add_str(header, line);
}

static void work_is_bounded(void **state)
{
	struct buf header;
	(void)state;
	fill(&header, "X: y\r\n", MESSAGE_HEADERS_MAX - 1);
	buf_add_str(&header, "From: a@b\r\n\r\n");
	check_header(buf_slice(&header), "found b");
	buf_done(&header);
	fill(&header, "X: y\r\n", MESSAGE_HEADERS_MAX);
	buf_add_str(&header, "From: a@b\r\n\r\n");
	check_header(buf_slice(&header), "limit");
	buf_done(&header);
	/* 10,000 addresses in 64 KB */
	fill(&header, "From: ", 1);
	for (size_t i = 0; i < 10000; i++)
		buf_printf(&header, "a@b%zu,", i % 1000);
	check_header(buf_slice(&header), "limit b0 b1 b2 b3 b4 +");
	buf_done(&header);
	fill(&header, "From: ", 1);
	for (size_t i = 0; i < 256 * KIB; i++)
		buf_add_byte(&header, '(');
	check_header(buf_slice(&header), "limit");
	buf_done(&header);
	fill(&header, "From: a@b", 1);
	for (size_t i = 0; i < 64 * KIB; i++)
		buf_add_byte(&header, '(');
	check_header(buf_slice(&header), "malformed b");
	buf_done(&header);
}

/* With any budget there is a result, and never another domain. */
static void memory_is_bounded(void **state)
{
	struct slice header = SLICE("From: \"ceo@bank.example\" <x@evil.example>\r\n\r\n");
	struct mailauth_author author;
	struct arena arena;
	size_t n_found = 0;
	(void)state;
	for (size_t budget = 0; budget < 2000; budget += 8) {
		arena_init(&arena, budget);
		mailauth_author_find(header, &arena, &author);
		if (author.kind == MAILAUTH_AUTHOR_FOUND) {
			assert_string_equal(author.domain.text, "evil.example");
			assert_string_equal(author.name_domain, "bank.example");
			n_found++;
		} else {
			assert_int_equal(author.kind, MAILAUTH_AUTHOR_LIMIT);
			assert_true(dns_name_is_root(author.domain));
		}
		arena_done(&arena);
	}
	assert_true(n_found > 50 && n_found < 250);
}

static void kinds_have_words(void **state)
{
	(void)state;
	assert_string_equal(mailauth_author_kind_name(MAILAUTH_AUTHOR_FOUND), "found");
	assert_string_equal(mailauth_author_why(MAILAUTH_AUTHOR_NO_FIELD),
	                    "the message has no From field");
}

/* --- stories (explain.h) --- */

static void foreign_bytes_become_printable(void **state)
{
	struct arena arena;
	(void)state;
	arena_init(&arena, KIB);
	assert_string_equal(mailauth_printable(SLICE("a b"), 10, &arena), "a b");
	assert_string_equal(mailauth_printable(SLICE("a\r\n\0\\\xff"), 10, &arena),
	                    "a\\0d\\0a\\00\\5c\\ff");
	assert_string_equal(mailauth_printable(SLICE("abcdef"), 3, &arena), "abc...");
	assert_string_equal(mailauth_printable(SLICE("abc"), 3, &arena), "abc");
	assert_string_equal(mailauth_printable(SLICE("aaaaaaaaaa"), 2000, &arena), "aaaaaaaaaa");
	arena_done(&arena);
	arena_init(&arena, 8);
	assert_string_equal(mailauth_printable(SLICE("aaaaaaaaaa"), 2000, &arena), "");
	arena_done(&arena);
}

static void stories_are_bounded(void **state)
{
	struct mailauth_story story = {0};
	struct arena arena;
	struct buf out;
	(void)state;
	arena_init(&arena, MIB);
	buf_init(&out, MIB);
	for (unsigned i = 0; i < MAILAUTH_STEPS_MAX; i++)
		mailauth_tell(&story, &arena, "step %u", i);
	assert_false(story.truncated);
	mailauth_tell(&story, &arena, "one more");
	assert_true(story.truncated);
	assert_int_equal(story.n, MAILAUTH_STEPS_MAX);
	assert_string_equal(story.v[MAILAUTH_STEPS_MAX - 1], "step 199");
	mailauth_story_print(&story, &out);
	assert_true(slice_starts(buf_slice(&out), SLICE("step 0\nstep 1\n")));
	assert_true(slice_ends(buf_slice(&out), SLICE("and more that was not written down\n")));
	buf_done(&out);
	arena_done(&arena);
	struct mailauth_story poor = {0};
	arena_init(&arena, 8);
	mailauth_tell(&poor, &arena, "no room");
	assert_true(poor.truncated && poor.n == 0);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_domain_is_found),
	        cmocka_unit_test(what_gives_no_domain_says_why),
	        cmocka_unit_test(two_readings_are_none),
	        cmocka_unit_test(addresses_in_names_are_told),
	        cmocka_unit_test(other_fields_do_not_count),
	        cmocka_unit_test(several_fields_are_none),
	        cmocka_unit_test(line_ends_hide_nothing),
	        cmocka_unit_test(work_is_bounded),
	        cmocka_unit_test(memory_is_bounded),
	        cmocka_unit_test(kinds_have_words),
	        cmocka_unit_test(foreign_bytes_become_printable),
	        cmocka_unit_test(stories_are_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
