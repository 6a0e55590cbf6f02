/* Verifying: the examples of the RFCs, every way to fail, limits. */
#include "mailauth/dkim_key_cache.h"
#include "mailauth/dkim_sign_private.h"
#include "mailauth/dkim_testing.h"

#include "message/part.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

/* RFC 8463 appendix A */
#define RFC8463_RECORDS                                                                            \
	"brisbane._domainkey.football.example.com TXT \"v=DKIM1; k=ed25519; "                      \
	"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"                                       \
	"test._domainkey.football.example.com TXT \"v=DKIM1; k=rsa; "                              \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR\" "                                  \
	"\"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC\" "               \
	"\"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3\" "               \
	"\"Ip3G+2kryOTIKT+l/K4w3QIDAQAB\"\n"
static const char rfc8463[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                              " d=football.example.com; i=@football.example.com;\r\n"
                              " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
                              " subject : date : message-id : from : subject : date;\r\n"
                              " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                              " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
                              " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
                              "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
                              " d=football.example.com; i=@football.example.com;\r\n"
                              " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
                              " date : message-id : from : subject : date;\r\n"
                              " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                              " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
                              " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
                              " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
                              "From: Joe SixPack <joe@football.example.com>\r\n"
                              "To: Suzie Q <suzie@shopping.example.net>\r\n"
                              "Subject: Is dinner ready?\r\n"
                              "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
                              "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
                              "\r\n"
                              "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

/* RFC 6376 appendices A.2 and C. As it is printed the signature cannot verify: continuation lines
 * must be indented by six blanks, and one stands before "Are". */
#define RFC6376_RECORD                                                                             \
	"brisbane._domainkey.example.com TXT \"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ\" "   \
	"\"KBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt\" "                                      \
	"\"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v\" "                                      \
	"\"/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi\" "                                      \
	"\"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB\"\n"
static const char rfc6376[] = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
                              "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
                              "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
                              "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                              "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
                              "      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
                              "      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
                              "      4bmp/YzhwvcubU4=;\r\n"
                              "Received: from client1.football.example.com  [192.0.2.1]\r\n"
                              "      by submitserver.example.com with SUBMISSION;\r\n"
                              "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
                              "From: Joe SixPack <joe@football.example.com>\r\n"
                              "To: Suzie Q <suzie@shopping.example.net>\r\n"
                              "Subject: Is dinner ready?\r\n"
                              "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
                              "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
                              "\r\n"
                              "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n";

static const char plain[] = "Received: from x\r\n"
                            "From: Ada <ada@example.com>\r\n"
                            "To: charles@example.org\r\n"
                            "Subject: engines\r\n"
                            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                            "\r\n"
                            "First  line \r\n\r\nlast line\r\n\r\n";

struct fixture {
	struct testing_key rsa, ed25519;
	struct dns_table table;
	struct buf message, out;
	struct dkim_options options;
	struct dkim_key_cache *keys; /* of all tests: none is to find in it what it should not */
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	testing_key_init(&f->rsa, DKIM_KEY_RSA);
	testing_key_init(&f->ed25519, DKIM_KEY_ED25519);
	buf_init(&f->message, 4 * MIB);
	buf_init(&f->out, MIB);
	f->keys = dkim_key_cache_new();
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	testing_key_done(&f->rsa);
	testing_key_done(&f->ed25519);
	buf_done(&f->message);
	buf_done(&f->out);
	dkim_key_cache_free(f->keys);
	base_free(f);
	return 0;
}

static int begin(void **state)
{
	struct fixture *f = *state;
	dns_table_init(&f->table);
	testing_tell(&f->table, "rsa._domainkey.example.com", buf_cstr(&f->rsa.record));
	testing_tell(&f->table, "ed._domainkey.example.com", buf_cstr(&f->ed25519.record));
	dns_table_add_lines(&f->table, RFC8463_RECORDS RFC6376_RECORD);
	buf_reset(&f->message);
	f->options = (struct dkim_options){.now_s = 0, .keys = f->keys};
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;
	dns_table_done(&f->table);
	return 0;
}

static void check(struct fixture *f, struct slice message, const char *expected)
{
	buf_reset(&f->out);
	testing_verify(message, &f->table.resolver, f->options, 0, &f->out);
	assert_string_equal(buf_cstr(&f->out), expected);
}

static void the_examples_of_the_rfcs_pass(void **state)
{
	struct fixture *f = *state;
	f->options.now_s = 1528637999;
	check(f, slice_str(rfc8463), "football.example.com pass\nfootball.example.com pass\n");
	check(f, slice_str(rfc6376), "example.com pass\n");
}

static struct dkim_sign_options by(const struct fixture *f, const char *selector)
{
	return (struct dkim_sign_options){
	        .domain = SLICE("example.com"),
	        .selector = slice_str(selector),
	        .key = selector[0] == 'r' ? &f->rsa.signer : &f->ed25519.signer,
	        .now_s = TESTING_NOW_S,
	};
}

static struct slice sign(struct fixture *f, struct slice message, struct dkim_sign_options options)
{
	buf_reset(&f->message);
	testing_sign(message, &options, 1, &f->message);
	return buf_slice(&f->message);
}

static void what_is_signed_verifies(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options all[8];
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		all[i] = by(f, i % 2 ? "rsa" : "ed");
		all[i].header_canon = i & 2 ? DKIM_SIMPLE : DKIM_RELAXED;
		all[i].body_canon = i & 4 ? DKIM_SIMPLE : DKIM_RELAXED;
	}
	testing_sign(slice_str(plain), all, N_ELEMENTS(all), &f->message);
	for (size_t step = 0; step < sizeof(plain); step++) {
		buf_reset(&f->out);
		testing_verify(buf_slice(&f->message), &f->table.resolver, f->options, step,
		               &f->out);
		assert_string_equal(buf_cstr(&f->out),
		                    "example.com pass\nexample.com pass\nexample.com pass\n"
		                    "example.com pass\nexample.com pass\nexample.com pass\n"
		                    "example.com pass\nexample.com pass\n");
	}
}

static void odd_messages_verify(void **state)
{
	static const char *const messages[] = {
	        "From: a@example.com\r\n",
	        "From: a@example.com\r\n\r\n",
	        "From: a@example.com\r\n\r\n\r\n\r\n",
	        "From: a@example.com\r\n\r\n ",
	        "From: a@example.com\r\n\r\nno end",
	        "no field\r\nFrom: a@example.com\r\n: \r\nnone either\r\n\r\nx",
	        "From:a@example.com\nSubject: bare line ends\n\n",
	        "From:\r\n a@example.com\r\nSubject:\r\n\r\n\rx\n\r",
	        "from : a@example.com\r\nFROMM: x\r\n\r\nx",
	        "From: a@example.com",
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < N_ELEMENTS(messages); i++) {
		for (unsigned canons = 0; canons < 4; canons++) {
			struct dkim_sign_options options = by(f, "ed");
			options.header_canon = canons & 1 ? DKIM_SIMPLE : DKIM_RELAXED;
			options.body_canon = canons & 2 ? DKIM_SIMPLE : DKIM_RELAXED;
			check(f, sign(f, slice_str(messages[i]), options), "example.com pass\n");
		}
	}
	check(f, sign(f, SLICE("From: a@example.com\r\nX: \0\r\n\r\n\0 \0\r\n"), by(f, "rsa")),
	      "example.com pass\n");
	check(f, SLICE("From: a@example.com\r\n\r\nnot signed"), "");
	check(f, SLICE(""), "");
}

/* Replaces the first occurrence. */
static struct slice replace(struct fixture *f, struct slice message, const char *old,
                            const char *new)
{
	struct buf out;
	size_t at = slice_find(message, slice_str(old));
	assert_true(at != SIZE_MAX);
	buf_init(&out, 4 * MIB);
	buf_add(&out, slice_sub(message, 0, at));
	buf_add_str(&out, new);
	buf_add(&out, slice_from(message, at + strlen(old)));
	buf_reset(&f->message);
	buf_add(&f->message, buf_slice(&out));
	buf_done(&out);
	return buf_slice(&f->message);
}

#define OTHER_BODY "example.com fail: is for another body: it was changed\n"
#define OTHER_HEADER                                                                               \
	"example.com fail: does not fit its key: what it signs was changed, or another key made "  \
	"it\n"

static void changes_are_seen(void **state)
{
	static const struct {
		const char *old, *new, *expected;
	} cases[] = {
	        {"last", "Last", OTHER_BODY},
	        {"last line\r\n", "last line\r\nPS\r\n", OTHER_BODY},
	        {"First  line \r\n", "First line\r\n", "example.com pass\n"},
	        {"\r\n\r\nlast", "\r\n\r\n\r\nlast", OTHER_BODY},
	        {"last line\r\n\r\n", "last line", "example.com pass\n"},
	        {"last line\r\n\r\n", "last line\n", OTHER_BODY},
	        {"engines", "Engines", OTHER_HEADER},
	        {"Subject: engines", "subject :\r\n\t engines ", "example.com pass\n"},
	        {"Ada <", "Eve <", OTHER_HEADER},
	        {"To:", "Cc:", OTHER_HEADER},
	        {"Received: from x", "Received: from y", "example.com pass\n"},
	        {"Received: from x", "X-Spam: yes", "example.com pass\n"},
	        /* oversigned */
	        {"Received: from x", "Subject: another", OTHER_HEADER},
	        {"Received: from x", "From: eve@evil.example", OTHER_HEADER},
	        {"Received: from x", "Content-Type: text/html", OTHER_HEADER},
	        {"Received: from x", "Reply-To: eve@evil.example", OTHER_HEADER},
	        /* the signature itself */
	        {"c=relaxed/relaxed", "c=relaxed/simple", OTHER_BODY},
	        {"t=1700000000", "t=1700000001", OTHER_HEADER},
	        {"v=1;", "v=1; x_y=z;", OTHER_HEADER},
	        {"v=1; a", "v=1;  a", "example.com pass\n"},
	        {"DKIM-Signature:", "dkim-signature :", "example.com pass\n"},
	        {"\r\n\tb=", "\r\n\r\n\tb=", ""},
	        {"\tb=", " b= \r\n\t", "example.com pass\n"},
	        {"\tb=", "\tb =", OTHER_HEADER},
	};
	struct fixture *f = *state;
	struct buf good;
	buf_init(&good, MIB);
	buf_add(&good, sign(f, slice_str(plain), by(f, "rsa")));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice changed = replace(f, buf_slice(&good), cases[i].old, cases[i].new);
		if (*cases[i].expected)
			check(f, changed, cases[i].expected);
	}
	buf_done(&good);
}

/* A signature that the signer would not make: `change` changes it before it is signed. */
static struct slice sign_oddly(struct fixture *f, const char *message, const char *const *names,
                               void (*change)(struct dkim_signature *s))
{
	struct arena arena;
	struct dkim_header header;
	struct slice list[4];
	struct dkim_body *body = dkim_body_new(DKIM_BODY_BOTH);
	struct slice text = slice_str(message);
	size_t n = 0;
	for (; names[n]; n++)
		list[n] = slice_str(names[n]);
	arena_init(&arena, MIB);
	assert_true(is_ok(dkim_header_index(testing_header(text), &arena, &header)));
	dkim_body_feed(body, testing_body(text));
	dkim_body_finish(body);
	struct dkim_signature s = {.domain = "example.com",
	                           .selector = "rsa",
	                           .names = list,
	                           .n_names = n,
	                           .identity = slice_empty()};
	if (change)
		change(&s);
	buf_reset(&f->message);
	assert_true(is_ok(
	        dkim_sign_message(&header, body, &f->rsa.signer, false, &arena, &s, &f->message)));
	buf_add(&f->message, text);
	dkim_body_free(body);
	arena_done(&arena);
	return buf_slice(&f->message);
}

static const char *const from_only[] = {"From", NULL};

static void l_all(struct dkim_signature *s)
{
	s->has_length = true;
	s->length = 25; /* "First line\r\n\r\nlast line\r\n" */
}

static void l_short(struct dkim_signature *s)
{
	s->has_length = true;
	s->length = 10;
}

static void l_nothing(struct dkim_signature *s)
{
	s->has_length = true;
}

static void l_long(struct dkim_signature *s)
{
	s->has_length = true;
	s->length = 1000;
}

static void a_part_of_the_body_does_not_count(void **state)
{
	struct fixture *f = *state;
	check(f, sign_oddly(f, plain, from_only, l_all), "example.com pass\n");
	struct slice longer = replace(f, buf_slice(&f->message), "\r\n\r\nlast line\r\n",
	                              "\r\n\r\nlast line\r\nmore\r\n");
	check(f, longer, "example.com policy: leaves 6 octets of the body unsigned\n");
	check(f, sign_oddly(f, plain, from_only, l_short),
	      "example.com policy: leaves 15 octets of the body unsigned\n");
	check(f, sign_oddly(f, plain, from_only, l_nothing),
	      "example.com policy: leaves 25 octets of the body unsigned\n");
	check(f, sign_oddly(f, "From: a@example.com\r\n", from_only, l_nothing),
	      "example.com pass\n");
	check(f, sign_oddly(f, plain, from_only, l_long),
	      "example.com permerror: has an l= that is larger than the body\n");
}

static void every_from_must_be_signed(void **state)
{
	static const char *const no_from[] = {"To", "Subject", NULL};
	static const char *const two[] = {"from", "From", NULL};
	static const char two_from[] = "From: eve@evil.example\r\nFrom: ada@example.com\r\n\r\nx";
	struct fixture *f = *state;
	check(f, sign_oddly(f, plain, no_from, NULL),
	      "example.com permerror: does not sign the From field\n");
	check(f, sign_oddly(f, "To: x\r\n\r\n", from_only, NULL),
	      "example.com permerror: is for a message that has no From field\n");
	check(f, sign_oddly(f, two_from, from_only, NULL),
	      "example.com policy: does not sign every From field of the message\n");
	check(f, sign_oddly(f, two_from, two, NULL), "example.com pass\n");
	check(f,
	      sign_oddly(f, "From: a@example.com\nfrom : b@example.com\r\n\r\n", from_only, NULL),
	      "example.com policy: does not sign every From field of the message\n");
}

static void identity_below(struct dkim_signature *s)
{
	s->has_identity = true;
	s->identity = SLICE("ada");
	s->identity_domain = "mail.example.com";
}

static void identity_beside(struct dkim_signature *s)
{
	s->has_identity = true;
	s->identity_domain = "badexample.com";
}

static void expired(struct dkim_signature *s)
{
	s->has_expiry = true;
	s->expiry_s = TESTING_NOW_S - DKIM_CLOCK_SKEW_S - 1;
}

static void just_expired(struct dkim_signature *s)
{
	s->has_expiry = true;
	s->expiry_s = TESTING_NOW_S - DKIM_CLOCK_SKEW_S;
}

static void from_the_future(struct dkim_signature *s)
{
	s->has_time = true;
	s->time_s = TESTING_NOW_S + DKIM_CLOCK_SKEW_S + 1;
}

static void what_counts_not_is_said(void **state)
{
	struct fixture *f = *state;
	check(f, sign_oddly(f, plain, from_only, identity_below), "example.com pass\n");
	check(f, sign_oddly(f, plain, from_only, identity_beside),
	      "example.com permerror: has an i= that is not of the domain d=\n");
	check(f, sign_oddly(f, plain, from_only, just_expired), "example.com pass\n");
	check(f, sign_oddly(f, plain, from_only, expired), "example.com policy: has expired\n");
	check(f, sign_oddly(f, plain, from_only, from_the_future),
	      "example.com policy: was made in the future\n");
	struct slice changed =
	        replace(f, sign_oddly(f, plain, from_only, NULL), "a=rsa-sha256", "a=rsa-sha512");
	check(f, changed, "neutral: cannot be read: unknown algorithm\n");
	check(f,
	      SLICE("DKIM-Signature: v=1; a=rsa-sha1; d=example.com; s=rsa; "
	            "bh=2jmj7l5rSw0yVb/vlWAYkK/YBwk=; h=from; b=AAAA\r\nFrom: a@example.com\r\n"),
	      "example.com policy: uses rsa-sha1, which does not count any more\n");
	assert_int_equal(f->table.n_lookups, 2);
}

static bool only_example(void *context, const char *domain)
{
	(*(size_t *)context)++;
	return strcmp(domain, "example.com") == 0;
}

static void public_suffixes_are_asked_for(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;
	f->options.is_public_suffix = only_example;
	f->options.context = &n;
	check(f, sign_oddly(f, plain, from_only, NULL),
	      "example.com policy: is by a public suffix\n");
	assert_int_equal(n, 1);
	assert_int_equal(f->table.n_lookups, 0);
}

/* --- keys --- */

static void check_record(struct fixture *f, const char *record, const char *expected)
{
	dns_table_done(&f->table);
	dns_table_init(&f->table);
	dns_table_add(&f->table, record);
	check(f, buf_slice(&f->message), expected);
}

static void failures_of_lookups_differ(void **state)
{
	static const struct {
		const char *fact, *expected;
	} cases[] = {
	        {"else.example A 192.0.2.1", "example.com permerror: has no key in the DNS\n"},
	        {"rsa._domainkey.example.com A 192.0.2.1",
	         "example.com permerror: has no key in the DNS\n"},
	        {"rsa._domainkey.example.com TXT servfail",
	         "example.com temperror: has a key that could not be looked up: server answered "
	         "SERVFAIL\n"},
	        {"rsa._domainkey.example.com TXT timeout",
	         "example.com temperror: has a key that could not be looked up: no answer in "
	         "time\n"},
	        {"rsa._domainkey.example.com TXT refused",
	         "example.com temperror: has a key that could not be looked up: server answered "
	         "REFUSED\n"},
	        {"rsa._domainkey.example.com TXT bogus",
	         "example.com temperror: has a key that could not be looked up: DNSSEC validation "
	         "failed\n"},
	        {"rsa._domainkey.example.com TXT \"v=spf1 -all\"",
	         "example.com permerror: has a key record that is none: unknown version\n"},
	        {"rsa._domainkey.example.com TXT \"\"",
	         "example.com permerror: has a key record that is none: a tag without a name\n"},
	        {"rsa._domainkey.example.com TXT \"p=AAAA\"",
	         "example.com permerror: has a key record that is none: p= holds no RSA key\n"},
	        {"rsa._domainkey.example.com TXT \"p=\"",
	         "example.com permerror: has a key that was revoked\n"},
	        {"rsa._domainkey.example.com TXT \"k=ed25519; "
	         "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"",
	         "example.com permerror: has a key for another algorithm\n"},
	};
	struct fixture *f = *state;
	sign_oddly(f, plain, from_only, NULL);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_record(f, cases[i].fact, cases[i].expected);
	struct buf fact;
	buf_init(&fact, 128 * KIB);
	buf_add_str(&fact, "rsa._domainkey.example.com TXT \"v=DKIM1; p=");
	while (fact.n < 64000)
		buf_add_byte(&fact, 'A');
	buf_add_byte(&fact, '"');
	check_record(f, buf_cstr(&fact),
	             "example.com permerror: has a key record that is none: too long\n");
	buf_done(&fact);
}

static void a_changed_body_needs_no_key(void **state)
{
	static const char *const facts[] = {
	        "rsa._domainkey.example.com TXT servfail", "rsa._domainkey.example.com TXT bogus",
	        "rsa._domainkey.example.com TXT \"p=\"", "else.example A 192.0.2.1"};
	struct fixture *f = *state;
	sign_oddly(f, plain, from_only, NULL);
	replace(f, buf_slice(&f->message), "last", "LAST");
	for (size_t i = 0; i < N_ELEMENTS(facts); i++)
		check_record(f, facts[i], OTHER_BODY);
}

static void records_restrict_their_key(void **state)
{
	static const struct {
		const char *tags, *expected;
	} cases[] = {
	        {"", "example.com pass\n"},
	        {"h=sha256;", "example.com pass\n"},
	        {"h=sha1;", "example.com permerror: has a key that is not for SHA-256\n"},
	        {"s=email;", "example.com pass\n"},
	        {"s=tlsrpt;", "example.com permerror: has a key that is not for mail\n"},
	        {"t=y;", "example.com pass (testing)\n"},
	        {"t=y; h=sha1;",
	         "example.com permerror: has a key that is not for SHA-256 (testing)\n"},
	        {"t=s;", "example.com permerror: has an i= in a subdomain, which its key does not "
	                 "allow\n"},
	};
	struct fixture *f = *state;
	struct buf fact;
	buf_init(&fact, 64 * KIB);
	sign_oddly(f, plain, from_only, identity_below);
	const char *key = strstr(buf_cstr(&f->rsa.record), " p=");
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		buf_reset(&fact);
		buf_printf(&fact, "rsa._domainkey.example.com TXT \"v=DKIM1; %s%s\"", cases[i].tags,
		           key);
		check_record(f, buf_cstr(&fact), cases[i].expected);
	}
	replace(f, buf_slice(&f->message), "last", "LAST");
	buf_reset(&fact);
	buf_printf(&fact, "rsa._domainkey.example.com TXT \"t=y; %s\"", key);
	check_record(f, buf_cstr(&fact),
	             "example.com fail: is for another body: it was changed (testing)\n");
	buf_done(&fact);
}

static void several_records_are_tried(void **state)
{
	struct fixture *f = *state;
	struct testing_key other;
	testing_key_init(&other, DKIM_KEY_RSA);
	sign_oddly(f, plain, from_only, NULL);
	static const char name[] = "rsa._domainkey.example.com";
	check_record(f, "rsa._domainkey.example.com TXT \"v=spf1 -all\"",
	             "example.com permerror: has a key record that is none: unknown version\n");
	testing_tell(&f->table, name, "p=");
	check(f, buf_slice(&f->message), "example.com permerror: has a key that was revoked\n");
	testing_tell(&f->table, name, buf_cstr(&other.record));
	check(f, buf_slice(&f->message), OTHER_HEADER);
	testing_tell(&f->table, name, buf_cstr(&f->rsa.record));
	check(f, buf_slice(&f->message), "example.com pass\n");
	/* the fifth is not looked at */
	check_record(f, "rsa._domainkey.example.com TXT \"a=\"",
	             "example.com permerror: has a key record that is none: p= is missing\n");
	for (unsigned i = 1; i < DKIM_KEY_RECORDS_MAX; i++)
		testing_tell(&f->table, name, "v=spf1 -all");
	testing_tell(&f->table, name, buf_cstr(&f->rsa.record));
	check(f, buf_slice(&f->message),
	      "example.com permerror: has a key record that is none: p= is missing\n");
	testing_key_done(&other);
}

/* A record of an RSA key of that size with a modulus that is no product of primes. */
static void tell_rsa(struct fixture *f, unsigned bits, const char *exponent, size_t exponent_size)
{
	static uint8_t modulus[2048 + 1];
	struct dkim_key key = {.sha256 = true, .email = true, .ed25519 = slice_empty()};
	struct buf record;
	memset(modulus, 0x5b, sizeof(modulus));
	modulus[0] = 0x80;
	key.modulus = slice_of(modulus, bits / 8);
	key.exponent = slice_of(exponent, exponent_size);
	buf_init(&record, DKIM_KEY_RECORD_MAX);
	assert_true(is_ok(dkim_key_print(&key, &record)));
	dns_table_done(&f->table);
	dns_table_init(&f->table);
	testing_tell(&f->table, "rsa._domainkey.example.com", buf_cstr(&record));
	buf_done(&record);
}

static void keys_of_odd_sizes_do_not_count(void **state)
{
	struct fixture *f = *state;
	struct slice message = sign_oddly(f, plain, from_only, NULL);
	tell_rsa(f, 512, "\x01\x00\x01", 3);
	check(f, message, "example.com policy: has a key that is RSA below 1024 bits\n");
	tell_rsa(f, 1016, "\x01\x00\x01", 3);
	check(f, message, "example.com policy: has a key that is RSA below 1024 bits\n");
	tell_rsa(f, 1024, "\x01\x00\x01", 3);
	check(f, message, OTHER_HEADER);
	tell_rsa(f, 8192, "\x01\x00\x01", 3);
	check(f, message, OTHER_HEADER);
	tell_rsa(f, 8200, "\x01\x00\x01", 3);
	check(f, message, "example.com policy: has a key that is RSA above 8192 bits\n");
	tell_rsa(f, 16384, "\x01\x00\x01", 3);
	check(f, message, "example.com policy: has a key that is RSA above 8192 bits\n");
	tell_rsa(f, 2048, "\x01", 1);
	check(f, message,
	      "example.com permerror: has a key record that is none: p= holds an RSA "
	      "key that anybody could sign with\n");
	tell_rsa(f, 2048, "\x01\x00\x00\x00\x00\x00\x01", 7);
	check(f, message,
	      "example.com permerror: has a key record that is none: p= holds an RSA "
	      "key with a huge exponent\n");
}

/* With the exponent 1 and no padding check s = EM would do; and with a modulus that is larger. */
static void a_forged_signature_is_none(void **state)
{
	struct fixture *f = *state;
	struct slice message = sign_oddly(f, plain, from_only, NULL);
	size_t b = slice_find(message, SLICE("\tb=")) + 3;
	size_t end = b + slice_find(slice_from(message, b), SLICE("From:"));
	struct buf forged;
	buf_init(&forged, MIB);
	static const char *const values[] = {
	        "AA==",
	        "AAAA",
	        "/////w==",
	        "AAH///////////////////////////////////////////////////////////////////"
	        "8AMDEwDQYJYIZIAW"
	        "UDBAIBBQAEIA==",
	};
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		buf_reset(&forged);
		buf_add(&forged, slice_sub(message, 0, b));
		buf_printf(&forged, "%s\r\n", values[i]);
		buf_add(&forged, slice_from(message, end));
		check(f, buf_slice(&forged), OTHER_HEADER);
	}
	buf_done(&forged);
}

/* --- limits --- */

static void many_signatures_cost_little(void **state)
{
	struct fixture *f = *state;
	struct buf many, expected;
	buf_init(&many, 4 * MIB);
	buf_init(&expected, MIB);
	struct slice good = sign(f, slice_str(plain), by(f, "ed"));
	size_t at = slice_find(good, SLICE("Received:"));
	for (unsigned i = 0; i < DKIM_LISTED_MAX + 10; i++) {
		struct slice field = slice_sub(good, 0, at);
		buf_add(&many, field);
	}
	buf_add(&many, slice_from(good, at));
	for (unsigned i = 0; i < DKIM_LISTED_MAX; i++)
		buf_add_str(&expected, i < DKIM_VERIFIED_MAX ? "example.com pass\n"
		                       : i < DKIM_READ_MAX
		                               ? "example.com policy: is one signature too many\n"
		                               : "policy: is one signature too many\n");
	check(f, buf_slice(&many), buf_cstr(&expected));
	assert_int_equal(f->table.n_lookups, 1);
	buf_done(&many);
	buf_done(&expected);
}

static void those_of_the_author_come_first(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options options[3] = {by(f, "rsa"), by(f, "ed"), by(f, "ed")};
	options[0].domain = SLICE("list.example");
	options[1].domain = SLICE("other.example");
	f->options.n_verified_max = 1;
	testing_sign(slice_str(plain), options, N_ELEMENTS(options), &f->message);
	check(f, buf_slice(&f->message),
	      "list.example policy: is one signature too many\n"
	      "other.example policy: is one signature too many\nexample.com pass\n");
	/* with no From that fits: the uppermost */
	f->options.n_verified_max = 2;
	options[2].domain = SLICE("third.example");
	buf_reset(&f->message);
	testing_sign(slice_str(plain), options, N_ELEMENTS(options), &f->message);
	check(f, buf_slice(&f->message),
	      "list.example permerror: has no key in the DNS\n"
	      "other.example permerror: has no key in the DNS\n"
	      "third.example policy: is one signature too many\n");
	/* what cannot be read takes nobody's place */
	struct slice broken = replace(f, buf_slice(&f->message), "v=1; a=rsa", "v=2; a=rsa");
	check(f, broken,
	      "neutral: cannot be read: unknown version\n"
	      "other.example permerror: has no key in the DNS\n"
	      "third.example permerror: has no key in the DNS\n");
}

static void large_headers_are_taken(void **state)
{
	struct fixture *f = *state;
	struct buf large;
	buf_init(&large, 2 * MIB);
	buf_add_str(&large, "X: ");
	while (large.n < MIB)
		buf_add_str(&large, "a long  line of a field\r\n\tthat is folded often ");
	buf_add_str(&large, "\r\n");
	for (unsigned i = 0; i < 9000; i++)
		buf_printf(&large, "F%u: x\r\n", i);
	buf_add_str(&large, plain);
	struct slice names[] = {SLICE("From"), SLICE("x")};
	struct dkim_sign_options options = by(f, "ed");
	options.names = names;
	options.n_names = 2;
	check(f, sign(f, buf_slice(&large), options), "example.com pass\n");
	struct slice changed = replace(f, buf_slice(&f->message), "folded", "Folded");
	check(f, changed, OTHER_HEADER);
	buf_done(&large);
}

static void too_many_fields_are_not_trusted(void **state)
{
	struct fixture *f = *state;
	struct buf large;
	struct slice good = sign(f, slice_str(plain), by(f, "ed"));
	size_t body = slice_find(good, SLICE("\r\n\r\n")) + 2;
	buf_init(&large, 2 * MIB);
	buf_add(&large, slice_sub(good, 0, body));
	for (unsigned i = 0; i < MESSAGE_HEADERS_MAX; i++)
		buf_add_str(&large, "a:\r\n");
	buf_add_str(&large, "From: eve@evil.example");
	buf_add(&large, slice_from(good, body));
	check(f, buf_slice(&large), "example.com policy: is for a header with too many fields\n");
	buf_done(&large);
}

static void memory_is_limited(void **state)
{
	struct fixture *f = *state;
	struct slice good = sign(f, slice_str(plain), by(f, "ed"));
	struct dkim_options options = {.now_s = TESTING_NOW_S};
	size_t n_failed = 0;
	for (size_t budget = 0; budget < 20000; budget += 61) {
		struct arena arena;
		struct dkim_verifier *v = NULL;
		arena_init(&arena, budget);
		struct status status =
		        dkim_verifier_new(testing_header(good), &options, &arena, &v);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		n_failed += !is_ok(status);
		if (is_ok(status))
			dkim_verifier_free(v);
		arena_done(&arena);
	}
	assert_true(n_failed > 10 && n_failed < 300);
	dkim_verifier_free(NULL);
}

/* --- what is told --- */

static void results_tell_what_they_rest_on(void **state)
{
	struct fixture *f = *state;
	struct arena arena;
	struct mailauth_dns dns;
	struct dkim_verifier *v;
	struct dkim_options options = {.now_s = TESTING_NOW_S};
	struct dkim_sign_options signatures[] = {by(f, "rsa"), by(f, "ed")};
	signatures[0].identity = SLICE("j\xc3\xb6@mail.example.com");
	struct buf fact;
	buf_init(&fact, 64 * KIB);
	dns_table_done(&f->table);
	dns_table_init(&f->table);
	buf_printf(&fact, "rsa._domainkey.example.com TXT \"%s\" secure", buf_cstr(&f->rsa.record));
	dns_table_add(&f->table, buf_cstr(&fact));
	testing_sign(slice_str(plain), signatures, 2, &f->message);
	struct slice message = buf_slice(&f->message);
	arena_init(&arena, DKIM_VERIFIER_ARENA);
	assert_true(is_ok(dkim_verifier_new(testing_header(message), &options, &arena, &v)));
	assert_int_equal(dkim_verifier_n_keys(v), 2);
	assert_string_equal(dkim_verifier_key_name(v, 1), "ed._domainkey.example.com");
	testing_dns(&dns, &f->table.resolver, &arena);
	dkim_verifier_fetch_key(v, 0, &dns); /* not 1 */
	dkim_verifier_feed(v, testing_body(message));
	dkim_verifier_finish(v);
	struct dkim_results r = dkim_verifier_results(v);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.n_found, 2);
	assert_int_equal(r.n_from, 1);
	assert_int_equal(r.v[0].result, MAILAUTH_PASS);
	assert_int_equal(r.v[0].key_bits, 2048);
	assert_string_equal(r.v[0].identity, "j\xc3\xb6@mail.example.com");
	assert_string_equal(r.v[0].signature->selector, "rsa");
	assert_true(r.v[0].all_from_signed);
	assert_string_equal(mailauth_evidence_word(&r.v[0].evidence), "secure");
	assert_int_equal(r.v[0].b_prefix.n, 8);
	assert_int_equal(r.v[1].result, MAILAUTH_TEMPERROR);
	assert_string_equal(r.v[1].why, "has a key that nobody looked up");
	assert_string_equal(r.v[1].identity, "@example.com");
	assert_string_equal(mailauth_evidence_word(&r.v[1].evidence), "none");
	assert_int_equal(r.v[1].key_bits, 0);
	dkim_verifier_free(v);
	arena_done(&arena);
	buf_done(&fact);
}

static void prefixes_of_b_are_unique(void **state)
{
	static const struct {
		const char *b[3], *prefix[3];
	} cases[] = {
	        {{"AAAABBBBCCCC", "DDDDBBBBCCCC", "EEEEBBBBCCCC"},
	         {"AAAABBBB", "DDDDBBBB", "EEEEBBBB"}},
	        {{"AAAABBBBCCCC", "AAAABBBBCCDD", "AAAACCCC"},
	         {"AAAABBBBCCC", "AAAABBBBCCD", "AAAACCCC"}},
	        {{"AAAA", "AAAABBBB", "AAAABBBBCCCC"}, {"AAAA", "AAAABBBB", "AAAABBBBC"}},
	        {{"AAAABBBBCCCC", "AAAABBBBCCCC", "AAAA"},
	         {"AAAABBBBCCCC", "AAAABBBBCCCC", "AAAA"}},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct buf header;
		struct dkim_verifier *v;
		struct dkim_options options = {.now_s = TESTING_NOW_S};
		buf_init(&header, 64 * KIB);
		arena_init(&arena, DKIM_VERIFIER_ARENA);
		for (size_t j = 0; j < 3; j++)
			buf_printf(&header,
			           "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=from; "
			           "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=%.3s %s\r\n",
			           cases[i].b[j], cases[i].b[j] + 3);
		buf_add_str(&header, "From: a@example.com\r\n");
		assert_true(is_ok(dkim_verifier_new(buf_slice(&header), &options, &arena, &v)));
		dkim_verifier_finish(v);
		for (size_t j = 0; j < 3; j++)
			assert_true(slice_eq_str(dkim_verifier_results(v).v[j].b_prefix,
			                         cases[i].prefix[j]));
		dkim_verifier_free(v);
		arena_done(&arena);
		buf_done(&header);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_examples_of_the_rfcs_pass),
	        TEST(what_is_signed_verifies),
	        TEST(odd_messages_verify),
	        TEST(changes_are_seen),
	        TEST(a_part_of_the_body_does_not_count),
	        TEST(every_from_must_be_signed),
	        TEST(what_counts_not_is_said),
	        TEST(public_suffixes_are_asked_for),
	        TEST(failures_of_lookups_differ),
	        TEST(a_changed_body_needs_no_key),
	        TEST(records_restrict_their_key),
	        TEST(several_records_are_tried),
	        TEST(keys_of_odd_sizes_do_not_count),
	        TEST(a_forged_signature_is_none),
	        TEST(many_signatures_cost_little),
	        TEST(those_of_the_author_come_first),
	        TEST(large_headers_are_taken),
	        TEST(too_many_fields_are_not_trusted),
	        TEST(memory_is_limited),
	        TEST(results_tell_what_they_rest_on),
	        TEST(prefixes_of_b_are_unique),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
