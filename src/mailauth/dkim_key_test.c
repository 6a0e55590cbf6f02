/* Key records: what is one, what is none and why; keys that nobody should trust. */
#include "mailauth/dkim_key.h"

#include "base/encode.h"
#include "mailauth/der.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

/* RFC 6376 appendix C, RFC 8463 appendix A.2 */
#define RSA_1024                                                                                   \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt"         \
	"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4O" \
	"uKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
#define ED25519 "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static void describe(const struct dkim_key *key, struct buf *out)
{
	buf_printf(out, "%s %u%s%s%s%s%s", dkim_key_type_name(key->type), key->bits,
	           key->revoked ? " revoked" : "", key->sha256 ? "" : " !sha256",
	           key->email ? "" : " !email", key->testing ? " testing" : "",
	           key->strict_identity ? " strict" : "");
	if (key->notes.n > 0)
		buf_printf(out, " n=%.*s", SLICE_FMT(key->notes));
}

static void check(struct slice in, const char *expected)
{
	struct arena arena;
	struct buf got;
	struct dkim_key key;
	arena_init(&arena, 256 * KIB);
	buf_init(&got, 64 * KIB);
	struct status status = dkim_key_parse(in, &arena, &key);
	if (is_ok(status))
		describe(&key, &got);
	else
		buf_printf(&got, "(%s: %s)", err_name(status.code), status.why);
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&got);
	arena_done(&arena);
}

static const struct {
	const char *in, *expected;
} records[] = {
        {"v=DKIM1; k=rsa; p=" RSA_1024, "rsa 1024"},
        {"p=" RSA_1024, "rsa 1024"},
        {"v=DKIM1; p=\t" RSA_1024 " ; ", "rsa 1024"},
        {"k=ed25519; p=" ED25519, "ed25519 256"},
        {"v=DKIM1; k=ed25519; p= 11qYAYKxCrfVS/7TyWQHOg7hcvPapiM lrwIaaPcHURo=", "ed25519 256"},
        {"v=DKIM1; p=", "rsa 0 revoked"},
        {"v=DKIM1; k=ed25519; p=;", "ed25519 0 revoked"},
        {"v=DKIM1; h=sha1 : sha256; s=email; t=s; p=" RSA_1024, "rsa 1024 strict"},
        {"v=DKIM1; h=sha1; s=tlsrpt; t=y:s; p=" RSA_1024, "rsa 1024 !sha256 !email testing strict"},
        {"v=DKIM1; h=; s=; t=; p=" RSA_1024, "rsa 1024 !sha256 !email"},
        {"v=DKIM1; h=SHA256; s=EMAIL:Email; t=Y; p=" RSA_1024, "rsa 1024 !sha256 !email"},
        {"v=DKIM1; h=x:sha256:y; s=x:*; t=x:y; p=" RSA_1024, "rsa 1024 testing"},
        {"v=DKIM1; g=*; n=a note; X_1=y; p=" RSA_1024, "rsa 1024 n=a note"},
        {"", "(syntax: a tag without a name)"},
        {"v=spf1 -all", "(unsupported: unknown version)"},
        {"v=DKIM1.0; p=" RSA_1024, "(unsupported: unknown version)"},
        {"v=dkim1; p=" RSA_1024, "(unsupported: unknown version)"},
        {"v=; p=" RSA_1024, "(unsupported: unknown version)"},
        {"p=" RSA_1024 "; v=DKIM1", "(syntax: v= does not stand first)"},
        {"v=DKIM1", "(syntax: p= is missing)"},
        {"v=DKIM1; P=" RSA_1024, "(syntax: p= is missing)"},
        {"v=DKIM1; p=; p=", "(syntax: a tag occurs twice)"},
        {"v=DKIM1; k=dsa; p=" RSA_1024, "(unsupported: unknown type of key)"},
        {"v=DKIM1; k=; p=" RSA_1024, "(unsupported: unknown type of key)"},
        {"v=DKIM1; k=RSA; p=" RSA_1024, "(unsupported: unknown type of key)"},
        {"v=DKIM1; p=garbage!", "(syntax: p= is no base64)"},
        {"v=DKIM1; p=AAA", "(syntax: p= is no base64)"},
        {"v=DKIM1; p=AAAA", "(invalid: p= holds no RSA key)"},
        {"v=DKIM1; p=" ED25519, "(invalid: p= holds no RSA key)"},
        {"v=DKIM1; k=ed25519; p=" RSA_1024, "(invalid: p= holds no Ed25519 key)"},
        {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUQ==",
         "(invalid: p= holds no Ed25519 key)"},
        {"v=DKIM1; p=\xc3\xa4", "(syntax: p= is no base64)"},
};

static void records_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(records); i++)
		check(slice_str(records[i].in), records[i].expected);
	check(SLICE("v=DKIM1; p=\0"), "(syntax: a byte that no tag's value may have)");
}

static void size_is_limited(void **state)
{
	struct buf in;
	(void)state;
	buf_init(&in, 70 * KIB);
	buf_add_str(&in, "p=; n=");
	while (in.n < DKIM_KEY_RECORD_MAX)
		buf_add_byte(&in, 'x');
	struct arena arena;
	struct dkim_key key;
	arena_init(&arena, 256 * KIB);
	assert_true(is_ok(dkim_key_parse(buf_slice(&in), &arena, &key)));
	assert_int_equal(key.notes.n, DKIM_KEY_NOTES_MAX);
	arena_done(&arena);
	buf_add_byte(&in, 'x');
	check(buf_slice(&in), "(limit: too long)");
	while (in.n < UINT16_MAX)
		buf_add_byte(&in, 'x');
	check(buf_slice(&in), "(limit: too long)");
	arena_init(&arena, 100);
	assert_int_equal(dkim_key_parse(SLICE("p=" RSA_1024), &arena, &key).code, ERR_LIMIT);
	arena_done(&arena);
	buf_done(&in);
}

/* --- numbers --- */

static void fill(uint8_t *p, size_t bits)
{
	size_t n = (bits + 7) / 8;
	memset(p, 0xa5, n);
	p[0] = (uint8_t)(1u << ((bits - 1) % 8));
	p[n - 1] |= 1;
}

static void check_numbers(struct slice modulus, struct slice exponent, const char *expected)
{
	struct buf der, record;
	buf_init(&der, 64 * KIB);
	buf_init(&record, 64 * KIB);
	buf_add_str(&record, "p=");
	der_rsa_print(modulus, exponent, &der);
	base64_encode(buf_slice(&der), &record);
	check(buf_slice(&record), expected);
	buf_done(&der);
	buf_done(&record);
}

static void odd_numbers_are_judged(void **state)
{
	static uint8_t modulus[4096];
	static const uint8_t f4[] = {1, 0, 1}, max[] = {1, 0xff, 0xff, 0xff, 0xff},
	                     past[] = {2, 0, 0, 0, 1}, huge[400] = {1, [399] = 1};
	static const uint8_t one[] = {1}, three[] = {3}, even[] = {4}, zero[] = {0};
	static const unsigned sizes[] = {9, 512, 1023, 1024, 1025, 2048, 4096, 8192, 8193, 16384};
	char expected[32];
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		fill(modulus, sizes[i]);
		snprintf(expected, sizeof(expected), "rsa %u", sizes[i]);
		check_numbers(slice_of(modulus, (sizes[i] + 7) / 8), slice_of(f4, 3), expected);
	}
	fill(modulus, 2048);
	struct slice n = slice_of(modulus, 256);
	check_numbers(n, slice_of(three, 1), "rsa 2048");
	check_numbers(n, slice_of(max, 5), "rsa 2048");
	check_numbers(n, slice_of(past, 5), "(invalid: p= holds an RSA key with a huge exponent)");
	check_numbers(n, slice_of(huge, 400),
	              "(invalid: p= holds an RSA key with a huge exponent)");
	static const char anybody[] = "(invalid: p= holds an RSA key that anybody could sign with)";
	check_numbers(n, slice_of(one, 1), anybody);
	check_numbers(n, slice_of(even, 1), anybody);
	check_numbers(n, slice_of(zero, 1), anybody);
	modulus[255] &= 0xfe;
	check_numbers(n, slice_of(f4, 3), anybody);
	check_numbers(slice_of(zero, 1), slice_of(f4, 3), anybody);
}

/* RSAPublicKey in hexadecimal: modulus 0x8001, exponent 3. */
static const struct {
	const char *hex, *expected;
} encodings[] = {
        {"3008020300800102 0103", "rsa 16"},
        {"301c300d06092a864886f70d0101010500030b003008020300800102 0103", "rsa 16"},
        {"301a300b06092a864886f70d010101030b003008020300800102 0103", "rsa 16"}, /* no NULL */
        {"", "rsa 0 revoked"},
        {"30", NULL},
        {"3008", NULL},
        {"300802030080010201", NULL},      /* ends early */
        {"300802030080010201 0300", NULL}, /* something follows */
        {"30090203008001020103 00", NULL}, /* the same within */
        {"300702028001020103", NULL},      /* negative */
        {"30090204000080010201 03", NULL}, /* a needless zero */
        {"3006020002 02 0103", NULL},      /* an empty number */
        {"300a02030080010203 0000 03", NULL},
        {"308108020300800102 0103", NULL}, /* a longer form than needed */
        {"3082000802030080010201 03", NULL},
        {"3080020300800102 01030000", NULL}, /* BER's indefinite length */
        {"3085000000000802030080010201 03", NULL},
        {"3008030300800102 0103", NULL},
        {"3108020300800102 0103", NULL},
        {"3008020300800103 0103", NULL},
        {"301c300d06092a864886f70d0101020500030b003008020300800102 0103", NULL}, /* md2WithRSA */
        {"301c300d06092a864886f70d0101010501030b003008020300800102 0103", NULL},
        {"301c300d06092a864886f70d0101010500030b013008020300800102 0103", NULL}, /* spare bits */
        {"301c300d06092a864886f70d0101010500040b003008020300800102 0103", NULL},
        {"3011300d06092a864886f70d01010105000300", NULL},
        {"301d300d06092a864886f70d0101010500030c003008020300800102 010300", NULL},
};

static void each_key_has_one_encoding(void **state)
{
	struct buf hex, der, record;
	(void)state;
	buf_init(&hex, KIB);
	buf_init(&der, KIB);
	buf_init(&record, KIB);
	for (size_t i = 0; i < N_ELEMENTS(encodings); i++) {
		buf_reset(&hex);
		buf_reset(&der);
		buf_reset(&record);
		for (const char *p = encodings[i].hex; *p; p++)
			if (*p != ' ')
				buf_add_byte(&hex, (uint8_t)*p);
		assert_true(is_ok(hex_decode(buf_slice(&hex), &der)));
		buf_add_str(&record, "p=");
		base64_encode(buf_slice(&der), &record);
		check(buf_slice(&record), encodings[i].expected ? encodings[i].expected
		                                                : "(invalid: p= holds no RSA key)");
	}
	buf_done(&hex);
	buf_done(&der);
	buf_done(&record);
}

static void what_is_written_is_read(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"p=" RSA_1024, "v=DKIM1; k=rsa; p=" RSA_1024},
	        {"t=s:y;k=ed25519;p=" ED25519, "v=DKIM1; k=ed25519; t=y:s; p=" ED25519},
	        {"t=s;p=", "v=DKIM1; k=rsa; t=s; p="},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct dkim_key key;
		struct buf out;
		arena_init(&arena, 64 * KIB);
		buf_init(&out, 64 * KIB);
		assert_true(is_ok(dkim_key_parse(slice_str(cases[i].in), &arena, &key)));
		assert_true(is_ok(dkim_key_print(&key, &out)));
		assert_string_equal(buf_cstr(&out), cases[i].out);
		key.email = false;
		assert_int_equal(dkim_key_print(&key, &out).code, ERR_INVALID);
		key.email = true;
		key.revoked = false;
		key.exponent = key.ed25519 = slice_empty();
		assert_int_equal(dkim_key_print(&key, &out).code, ERR_INVALID);
		buf_done(&out);
		arena_done(&arena);
	}
}

static void keys_are_judged(void **state)
{
	static const struct {
		struct dkim_key key;
		enum mailauth_result result;
		const char *why;
	} cases[] = {
	        {{.bits = 1024, .sha256 = true, .email = true}, MAILAUTH_PASS, ""},
	        {{.bits = 8192, .sha256 = true, .email = true, .testing = true}, MAILAUTH_PASS, ""},
	        {{.type = DKIM_KEY_ED25519, .bits = 256, .sha256 = true, .email = true},
	         MAILAUTH_PASS,
	         ""},
	        {{.bits = 1023, .sha256 = true, .email = true},
	         MAILAUTH_POLICY,
	         "is RSA below 1024 bits"},
	        {{.bits = 8193, .sha256 = true, .email = true},
	         MAILAUTH_POLICY,
	         "is RSA above 8192 bits"},
	        {{.bits = 1023, .email = true}, MAILAUTH_PERMERROR, "is not for SHA-256"},
	        {{.bits = 1023, .sha256 = true}, MAILAUTH_PERMERROR, "is not for mail"},
	        {{.revoked = true}, MAILAUTH_PERMERROR, "was revoked"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const char *why;
		assert_int_equal(dkim_key_judge(&cases[i].key, &why), cases[i].result);
		assert_string_equal(why, cases[i].why);
	}
}

static void names_of_keys_fit_the_dns(void **state)
{
	struct arena arena;
	(void)state;
	arena_init(&arena, 64 * KIB);
	assert_string_equal(dkim_key_name("a.b", "example.com", &arena),
	                    "a.b._domainkey.example.com");
	char domain[DKIM_NAME_MAX + 1];
	memset(domain, 'a', sizeof(domain));
	domain[DKIM_NAME_MAX] = 0;
	assert_null(dkim_key_name("s", domain, &arena));
	domain[DKIM_NAME_MAX - strlen("s._domainkey.")] = 0;
	assert_non_null(dkim_key_name("s", domain, &arena));
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(records_are_read),
	        cmocka_unit_test(size_is_limited),
	        cmocka_unit_test(odd_numbers_are_judged),
	        cmocka_unit_test(each_key_has_one_encoding),
	        cmocka_unit_test(what_is_written_is_read),
	        cmocka_unit_test(keys_are_judged),
	        cmocka_unit_test(names_of_keys_fit_the_dns),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
