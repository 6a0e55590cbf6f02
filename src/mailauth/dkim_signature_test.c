/* Signatures: what is one, what is none and why, and that what is written can be read. */
#include "mailauth/dkim_signature.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define HASH "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define SHA1 "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
/* A whole one, but for what a case adds. */
#define PLAIN "v=1;a=rsa-sha256;b=AAAA;bh=" HASH ";d=example.com;h=from;s=sel;"
#define AMS   "i=1;a=rsa-sha256;b=AAAA;bh=" HASH ";d=example.com;h=from;s=sel;"
#define SEAL  "i=1;a=rsa-sha256;b=AAAA;cv=none;d=example.com;s=sel;"

static void describe(const struct dkim_signature *s, struct buf *out)
{
	buf_printf(out, "%s %s/%s %s %s", dkim_algorithm_name(s->algorithm),
	           dkim_canon_name(s->header_canon), dkim_canon_name(s->body_canon), s->domain,
	           s->selector);
	for (size_t i = 0; i < s->n_names; i++)
		buf_printf(out, "%c%.*s", i ? ':' : ' ', SLICE_FMT(s->names[i]));
	if (s->has_identity)
		buf_printf(out, " i=%.*s@%s", SLICE_FMT(s->identity), s->identity_domain);
	if (s->has_length)
		buf_printf(out, " l=%" PRIu64, s->length);
	if (s->has_time)
		buf_printf(out, " t=%" PRId64, s->time_s);
	if (s->has_expiry)
		buf_printf(out, " x=%" PRId64, s->expiry_s);
	if (s->kind != DKIM_KIND_SIGNATURE)
		buf_printf(out, " #%u", s->instance);
	if (s->kind == DKIM_KIND_ARC_SEAL)
		buf_printf(out, " cv=%s", arc_cv_name(s->cv));
}

static void check(enum dkim_kind kind, struct slice in, const char *expected)
{
	struct arena arena;
	struct buf got;
	struct dkim_signature s;
	arena_init(&arena, 256 * KIB);
	buf_init(&got, 64 * KIB);
	struct status status = dkim_signature_parse(kind, in, &arena, &s);
	if (is_ok(status))
		describe(&s, &got);
	else
		buf_printf(&got, "(%s: %s)", err_name(status.code), status.why);
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&got);
	arena_done(&arena);
}

static const struct {
	const char *in, *expected;
} good[] = {
        /* RFC 6376 section 3.5, with a hash that has the right size */
        {" v=1; a=rsa-sha256; d=example.net; s=brisbane;\r\n   c=simple; q=dns/txt; "
         "i=@eng.example.net;\r\n   t=1117574938; x=1118006938;\r\n"
         "   h=from:to:subject:date;\r\n   z=From:foo@eng.example.net|To:joe@example.com|\r\n"
         "    Subject:demo=20run|Date:July=205,=202005=203:44:08=20PM=20-0700;\r\n"
         "   bh=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=;\r\n   "
         "b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR",
         "rsa-sha256 simple/simple example.net brisbane from:to:subject:date i=@eng.example.net "
         "t=1117574938 x=1118006938"},
        {PLAIN, "rsa-sha256 simple/simple example.com sel from"},
        {PLAIN "c=relaxed", "rsa-sha256 relaxed/simple example.com sel from"},
        {PLAIN "c=relaxed/relaxed", "rsa-sha256 relaxed/relaxed example.com sel from"},
        {PLAIN "c=simple/relaxed", "rsa-sha256 simple/relaxed example.com sel from"},
        {PLAIN "x_more=1; Z=", "rsa-sha256 simple/simple example.com sel from"},
        {PLAIN "q=x/y : dns/txt", "rsa-sha256 simple/simple example.com sel from"},
        {PLAIN "i=a=40b=3D c=3B@EXAMPLE.com",
         "rsa-sha256 simple/simple example.com sel from i=a@b=c;@example.com"},
        {PLAIN "i=\r\n j oe\r\n @exam\tple.com",
         "rsa-sha256 simple/simple example.com sel from i=joe@example.com"},
        {PLAIN "i=J=C3=B6rg@x.example.com",
         "rsa-sha256 simple/simple example.com sel from i=J\xc3\xb6rg@x.example.com"},
        {PLAIN "i=J\xc3\xb6rg@b\xc3\xbc"
               "cher.example",
         "rsa-sha256 simple/simple example.com sel from i=J\xc3\xb6rg@xn--bcher-kva.example"},
        {PLAIN "t=0; l=0", "rsa-sha256 simple/simple example.com sel from l=0 t=0"},
        {PLAIN "t=999999999999", "rsa-sha256 simple/simple example.com sel from t=999999999999"},
        {PLAIN "l=99999999999999999999999999",
         "rsa-sha256 simple/simple example.com sel from l=18446744073709551615"},
        {"v = 1 ; a\t=\trsa-sha256;b=A A\r\n A A;bh=" HASH
         ";d= EXAMPLE.Com ;h= From : TO\r\n :x-y;s=S.2_0-24",
         "rsa-sha256 simple/simple example.com s.2_0-24 From:TO:x-y"},
        {"v=1;a=ed25519-sha256;b=AAAA;bh=" HASH ";d=_x.b\xc3\xbc"
         "cher.example;h=from;s=\xc3\xa4.2024",
         "ed25519-sha256 simple/simple _x.xn--bcher-kva.example xn--4ca.2024 from"},
        {"v=1;a=rsa-sha1;b=AAAA;bh=" SHA1 ";d=example.com;h=from;s=sel",
         "rsa-sha1 simple/simple example.com sel from"},
};

static const struct {
	const char *in, *why;
} bad[] = {
        {"", "(syntax: a tag without a name)"},
        {"v=1", "(syntax: a= is missing)"},
        {"rsa", "(syntax: a tag without '=')"},
        {PLAIN "v=1", "(syntax: a tag occurs twice)"},
        {PLAIN PLAIN, "(syntax: a tag occurs twice)"},
        {PLAIN ";", "(syntax: a tag without a name)"},
        {"a=rsa-sha256;b=AAAA;bh=" HASH ";d=example.com;h=from;s=sel;", "(syntax: v= is missing)"},
        {"v=1;a=rsa-sha256;bh=" HASH ";d=example.com;h=from;s=s;", "(syntax: b= is missing)"},
        {"v=1;a=rsa-sha256;b=AAAA;d=example.com;h=from;s=sel;", "(syntax: bh= is missing)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH ";h=from;s=sel;", "(syntax: d= is missing)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH ";d=example.com;s=sel;", "(syntax: h= is missing)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH ";d=example.com;h=from;", "(syntax: s= is missing)"},
        {"V=1;A=rsa-sha256", "(syntax: v= is missing)"},
        {"v=2", "(unsupported: unknown version)"},
        {"v=1.0", "(unsupported: unknown version)"},
        {"v=01", "(unsupported: unknown version)"},
        {"v=", "(unsupported: unknown version)"},
        {"v=1;a=", "(unsupported: unknown algorithm)"},
        {"v=1;a=RSA-SHA256", "(unsupported: unknown algorithm)"},
        {"v=1;a=rsa-sha512", "(unsupported: unknown algorithm)"},
        {"v=1;a=rsa - sha256", "(unsupported: unknown algorithm)"},
        {"v=1;a=rsa-sha256;b=", "(syntax: b= is no base64)"},
        {"v=1;a=rsa-sha256;b=AAA", "(syntax: b= is no base64)"},
        {"v=1;a=rsa-sha256;b=AA==AA==", "(syntax: b= is no base64)"},
        {"v=1;a=rsa-sha256;b=garbage!", "(syntax: b= is no base64)"},
        {"v=1;a=rsa-sha256;b=AA\xc3\xa4", "(syntax: b= is no base64)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=", "(syntax: bh= is no base64)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=A", "(syntax: bh= is no base64)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=AAAA;d=example.com;h=from;s=sel;",
         "(syntax: bh= is no hash of its algorithm)"},
        {"v=1;a=rsa-sha1;b=AAAA;bh=" HASH ";d=example.com;h=from;s=sel;",
         "(syntax: bh= is no hash of its algorithm)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" SHA1 ";d=example.com;h=from;s=sel;",
         "(syntax: bh= is no hash of its algorithm)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH HASH, "(syntax: bh= is no base64)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=com", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=example.com.", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=.example.com", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=a..b", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=exam ple.com", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=-a.example", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=a-.example", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=a\\.example", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH "; d=\xff.example", "(syntax: d= is no domain name)"},
        {"v=1;a=rsa-sha256;b=AAAA;bh=" HASH
         "; d=a1234567890123456789012345678901234567890123456789012345678901234.example",
         "(syntax: d= is no domain name)"},
        {PLAIN "c=", "(unsupported: unknown canonicalization)"},
        {PLAIN "c=nofws", "(unsupported: unknown canonicalization)"},
        {PLAIN "c=relaxed/", "(unsupported: unknown canonicalization)"},
        {PLAIN "c=/relaxed", "(unsupported: unknown canonicalization)"},
        {PLAIN "c=relaxed / relaxed", "(unsupported: unknown canonicalization)"},
        {PLAIN "c=relaxed/simple/simple", "(unsupported: unknown canonicalization)"},
        {PLAIN "c=Relaxed", "(unsupported: unknown canonicalization)"},
        {PLAIN "i=", "(syntax: i= is no identity)"},
        {PLAIN "i=joe", "(syntax: i= is no identity)"},
        {PLAIN "i=joe@", "(syntax: i= is no identity)"},
        {PLAIN "i=joe@com", "(syntax: i= is no identity)"},
        {PLAIN "i=joe@example..com", "(syntax: i= is no identity)"},
        {PLAIN "i=a=b@example.com", "(syntax: i= is no identity)"},
        {PLAIN "i=a=3d@example.com", "(syntax: i= is no identity)"},
        {PLAIN "i=@example.com=4", "(syntax: i= is no identity)"},
        {PLAIN "i=a=00@example.com", "(syntax: i= is no identity)"},
        {PLAIN "i=a=0D=0A@example.com", "(syntax: i= is no identity)"},
        {PLAIN "i=a=FF@example.com", "(syntax: i= is no identity)"},
        {PLAIN "l=", "(syntax: l= is no number)"},
        {PLAIN "l=-1", "(syntax: l= is no number)"},
        {PLAIN "l=+1", "(syntax: l= is no number)"},
        {PLAIN "l=0x1", "(syntax: l= is no number)"},
        {PLAIN "l=1 0", "(syntax: l= is no number)"},
        {PLAIN "l=00000000000000000000000000000000000000000000000000000000000000000000000000000",
         "(syntax: l= is no number)"},
        {PLAIN "q=", "(unsupported: unknown way to its key)"},
        {PLAIN "q=dns", "(unsupported: unknown way to its key)"},
        {PLAIN "q=dns/txt/x:http", "(unsupported: unknown way to its key)"},
        {PLAIN "t=", "(syntax: t= is no time)"},
        {PLAIN "t=1 2345", "(syntax: t= is no time)"},
        {PLAIN "t=1234567890123", "(syntax: t= is no time)"},
        {PLAIN "t=-1", "(syntax: t= is no time)"},
        {PLAIN "x=", "(syntax: x= is no time)"},
        {PLAIN "x=1e9", "(syntax: x= is no time)"},
        {PLAIN "t=10;x=10", "(syntax: x= is not later than t=)"},
        {PLAIN "t=10;x=9", "(syntax: x= is not later than t=)"},
};

static void signatures_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		check(DKIM_KIND_SIGNATURE, slice_str(good[i].in), good[i].expected);
}

static void what_is_none_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		check(DKIM_KIND_SIGNATURE, slice_str(bad[i].in), bad[i].why);
	check(DKIM_KIND_SIGNATURE, SLICE(PLAIN "t=1\0"),
	      "(syntax: a byte that no tag's value may have)");
}

static void names_in_h_are_names(void **state)
{
	static const char *const lists[] = {"",         ":",       "from:", ":from",
	                                    "from::to", "from to", "from;", "from:\xc3\xa4",
	                                    "a b:c"};
	struct buf in;
	(void)state;
	buf_init(&in, KIB);
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		buf_reset(&in);
		buf_printf(&in, "v=1;a=rsa-sha256;b=AAAA;bh=" HASH ";d=example.com;s=s;h=%s",
		           lists[i]);
		check(DKIM_KIND_SIGNATURE, buf_slice(&in),
		      slice_eq_str(slice_str(lists[i]), "from;")
		              ? "rsa-sha256 simple/simple example.com s from"
		              : "(syntax: h= holds what is no name of a field)");
	}
	buf_done(&in);
}

static void sizes_are_limited(void **state)
{
	struct buf in;
	struct arena small;
	struct dkim_signature s;
	(void)state;
	buf_init(&in, 64 * KIB);
	buf_add_str(&in, "v=1;a=rsa-sha256;b=AAAA;bh=" HASH ";d=example.com;s=s;h=a");
	for (size_t i = 1; i < DKIM_SIGNED_NAMES_MAX; i++)
		buf_add_str(&in, ":a");
	arena_init(&small, KIB);
	assert_int_equal(dkim_signature_parse(DKIM_KIND_SIGNATURE, buf_slice(&in), &small, &s).code,
	                 ERR_LIMIT);
	arena_done(&small);
	arena_init(&small, 64 * KIB);
	assert_true(is_ok(dkim_signature_parse(DKIM_KIND_SIGNATURE, buf_slice(&in), &small, &s)));
	arena_done(&small);
	buf_add_str(&in, ":a");
	check(DKIM_KIND_SIGNATURE, buf_slice(&in), "(limit: h= has too many names)");
	for (size_t size = DKIM_SIGNATURE_SIZE_MAX; size < 40000; size = size * 3 + 1) {
		buf_reset(&in);
		buf_add_str(&in, "v=1;a=rsa-sha256;bh=" HASH ";d=example.com;s=s;h=a;b=");
		for (size_t i = 0; i < size / 3; i++)
			buf_add_str(&in, "AAAA");
		check(DKIM_KIND_SIGNATURE, buf_slice(&in),
		      size == DKIM_SIGNATURE_SIZE_MAX ? "rsa-sha256 simple/simple example.com s a"
		                                      : "(limit: b= or bh= is too long)");
	}
	buf_done(&in);
}

static void the_fields_of_arc_differ(void **state)
{
	(void)state;
	check(DKIM_KIND_ARC_MESSAGE, SLICE(AMS "c=relaxed/simple; v=2; cv=x"),
	      "rsa-sha256 relaxed/simple example.com sel from #1");
	check(DKIM_KIND_ARC_SEAL, SLICE(SEAL "c=simple; bh=!; x=y; v=2; t=9"),
	      "rsa-sha256 relaxed/relaxed example.com sel t=9 #1 cv=none");
	check(DKIM_KIND_ARC_SEAL, SLICE("i=50;a=rsa-sha256;b=AAAA;cv=PASS;d=example.com;s=sel"),
	      "rsa-sha256 relaxed/relaxed example.com sel #50 cv=pass");
	check(DKIM_KIND_ARC_SEAL, SLICE(SEAL "h=from"), "(syntax: a seal has h=)");
	check(DKIM_KIND_ARC_SEAL, SLICE("i=1;a=rsa-sha256;b=AAAA;cv=;d=example.com;s=sel"),
	      "(syntax: cv= is none of none, pass and fail)");
	check(DKIM_KIND_ARC_SEAL, SLICE("i=1;a=rsa-sha256;b=AAAA;d=example.com;s=sel"),
	      "(syntax: cv= is missing)");
	check(DKIM_KIND_ARC_MESSAGE, SLICE(PLAIN), "(syntax: i= is missing)");
	static const char *const instances[] = {"",   "0", "00",  "51",  "001",
	                                        "-1", "a", "1 0", "@a.b"};
	struct buf in;
	buf_init(&in, KIB);
	for (size_t i = 0; i < N_ELEMENTS(instances); i++) {
		buf_reset(&in);
		buf_printf(&in, PLAIN "i=%s", instances[i]);
		check(DKIM_KIND_ARC_MESSAGE, buf_slice(&in),
		      "(syntax: i= is no number from 1 to 50)");
	}
	buf_done(&in);
}

static void b_is_found_where_it_stands(void **state)
{
	struct arena arena;
	struct dkim_signature s;
	(void)state;
	arena_init(&arena, 64 * KIB);
	struct slice in =
	        SLICE("v=1; b = AA\r\n AA ; a=rsa-sha256;bh=" HASH ";d=example.com;h=from;s=sel");
	assert_true(is_ok(dkim_signature_parse(DKIM_KIND_SIGNATURE, in, &arena, &s)));
	assert_ptr_equal(s.b_raw.p, in.p + 8);
	assert_true(slice_eq_str(s.b_raw, " AA\r\n AA "));
	assert_true(slice_eq_str(s.b_text, "AAAA"));
	arena_done(&arena);
}

/* --- printing --- */

static const struct slice names[] = {SLICE("From"), SLICE("X-A-rather-long-name-of-a-field"),
                                     SLICE("to"), SLICE("X-Another-rather-long-name")};

static struct dkim_signature sample(enum dkim_kind kind)
{
	static const uint8_t bytes[DKIM_SIGNATURE_SIZE_MAX] = {1, 2, 3};
	return (struct dkim_signature){
	        .kind = kind,
	        .algorithm = DKIM_RSA_SHA256,
	        .domain = "example.com",
	        .selector = "2024",
	        .signature = slice_of(bytes, 256),
	        .body_hash = slice_of(bytes, DKIM_HASH_SIZE),
	        .names = names,
	        .n_names = N_ELEMENTS(names),
	        .has_time = true,
	        .time_s = 1700000000,
	        .instance = 7,
	        .cv = ARC_CV_PASS,
	};
}

static void signatures_are_written_folded(void **state)
{
	struct dkim_signature s = sample(DKIM_KIND_SIGNATURE);
	struct buf out;
	(void)state;
	buf_init(&out, 64 * KIB);
	s.signature.n = 48;
	s.has_expiry = true;
	s.expiry_s = 1700000009;
	s.has_identity = true;
	s.identity = SLICE("j\xc3\xb6 =;|");
	s.identity_domain = "mail.example.com";
	assert_true(is_ok(dkim_signature_print(&s, false, &out)));
	assert_string_equal(
	        buf_cstr(&out),
	        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=2024;\r\n"
	        "\tt=1700000000; x=1700000009; i=j=C3=B6=20=3D=3B|@mail.example.com;\r\n"
	        "\th=From:X-A-rather-long-name-of-a-field:to:X-Another-rather-long-name;\r\n"
	        "\tbh=AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;\r\n"
	        "\tb=AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	buf_done(&out);
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < DKIM_N_KINDS; kind++) {
		for (size_t size = 1; size <= DKIM_SIGNATURE_SIZE_MAX; size += 11) {
			struct dkim_signature s = sample((enum dkim_kind)kind), again;
			struct arena arena;
			struct buf out, first, second;
			struct slice name, value;
			arena_init(&arena, 64 * KIB);
			buf_init(&out, 64 * KIB);
			buf_init(&first, 64 * KIB);
			buf_init(&second, 64 * KIB);
			s.signature.n = size;
			assert_true(is_ok(dkim_signature_print(&s, false, &out)));
			assert_true(slice_cut(buf_slice(&out), ':', &name, &value));
			assert_true(is_ok(dkim_signature_parse(s.kind, value, &arena, &again)));
			assert_true(slice_eq(s.signature, again.signature));
			if (s.kind == DKIM_KIND_ARC_SEAL)
				s.n_names = 0;
			describe(&s, &first);
			describe(&again, &second);
			assert_string_equal(buf_cstr(&first), buf_cstr(&second));
			struct slice line, rest = buf_slice(&out);
			while (rest.n > 0) {
				slice_cut(rest, '\n', &line, &rest);
				assert_true(line.n <= 78);
			}
			arena_done(&arena);
			buf_done(&out);
			buf_done(&first);
			buf_done(&second);
		}
	}
}

static void an_unsigned_one_is_the_beginning_of_the_signed(void **state)
{
	(void)state;
	for (size_t n = 1; n < 60; n++) {
		struct dkim_signature s = sample(DKIM_KIND_SIGNATURE);
		struct slice name = slice_sub(
		        SLICE("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh"), 0,
		        n);
		struct buf with, without;
		buf_init(&with, 64 * KIB);
		buf_init(&without, 64 * KIB);
		s.names = &name;
		s.n_names = 1;
		assert_true(is_ok(dkim_signature_print(&s, false, &with)));
		s.signature = slice_empty();
		assert_true(is_ok(dkim_signature_print(&s, false, &without)));
		assert_true(slice_starts(buf_slice(&with), buf_slice(&without)));
		assert_true(slice_ends(buf_slice(&without), SLICE("b=")));
		buf_done(&with);
		buf_done(&without);
	}
}

static void what_could_not_be_read_is_not_written(void **state)
{
	struct dkim_signature bads[20];
	static const struct slice bad_names[] = {SLICE("a:b"), SLICE("a\r\nb"), SLICE(""),
	                                         SLICE("a;")};
	size_t n = 0;
	struct buf out;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bads); i++)
		bads[i] = sample(DKIM_KIND_SIGNATURE);
	bads[n++].domain = "com";
	bads[n++].domain = "a.b;c=d";
	bads[n++].domain = "a.b\r\nX: y";
	bads[n++].domain = NULL;
	bads[n++].selector = "";
	bads[n++].selector = "a\nb";
	bads[n++].selector = NULL;
	bads[n++].n_names = 0;
	bads[n++].time_s = -1;
	bads[n++].time_s = 1000000000000;
	bads[n].has_expiry = true;
	bads[n++].expiry_s = 1700000000;
	bads[n++].body_hash.n = 20;
	bads[n++].signature.n = DKIM_SIGNATURE_SIZE_MAX + 1;
	bads[n].has_identity = true;
	bads[n].identity = SLICE("a\nb");
	bads[n++].identity_domain = "example.com";
	bads[n].has_identity = true;
	bads[n].identity = SLICE("\xff");
	bads[n++].identity_domain = "example.com";
	bads[n].kind = DKIM_KIND_ARC_SEAL;
	bads[n++].instance = 51;
	for (size_t i = 0; i < N_ELEMENTS(bad_names); i++) {
		bads[n].names = &bad_names[i];
		bads[n++].n_names = 1;
	}
	assert_true(n <= N_ELEMENTS(bads));
	buf_init(&out, 64 * KIB);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(dkim_signature_print(&bads[i], true, &out).code, ERR_INVALID);
	buf_done(&out);
	buf_init(&out, 20);
	struct dkim_signature s = sample(DKIM_KIND_SIGNATURE);
	assert_int_equal(dkim_signature_print(&s, true, &out).code, ERR_LIMIT);
	buf_done(&out);
}

static void names_lie_within_names(void **state)
{
	(void)state;
	assert_true(dkim_name_is_within("example.com", "example.com"));
	assert_true(dkim_name_is_within("a.example.com", "example.com"));
	assert_false(dkim_name_is_within("xexample.com", "example.com"));
	assert_false(dkim_name_is_within("com", "example.com"));
	assert_false(dkim_name_is_within("example.com.evil.example", "example.com"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(signatures_are_read),
	        cmocka_unit_test(what_is_none_is_refused),
	        cmocka_unit_test(names_in_h_are_names),
	        cmocka_unit_test(sizes_are_limited),
	        cmocka_unit_test(the_fields_of_arc_differ),
	        cmocka_unit_test(b_is_found_where_it_stands),
	        cmocka_unit_test(signatures_are_written_folded),
	        cmocka_unit_test(what_is_written_is_read),
	        cmocka_unit_test(an_unsigned_one_is_the_beginning_of_the_signed),
	        cmocka_unit_test(what_could_not_be_read_is_not_written),
	        cmocka_unit_test(names_lie_within_names),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
