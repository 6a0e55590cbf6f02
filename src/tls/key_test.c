/* Keys and certificates: made, written, read back; what is wrong with a file is said in words. */
#include "tls/certificate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/pem.h>

#define NOW_S 1700000000

static struct slice key_pem(enum tls_key_type type, struct buf *out)
{
	struct tls_key *key;
	assert_true(is_ok(tls_key_generate(type, &key)));
	buf_reset(out);
	assert_true(is_ok(tls_key_to_pem(key, out)));
	tls_key_free(key);
	return buf_slice(out);
}

static void every_type_signs_and_survives_pem(void **state)
{
	static const struct {
		enum tls_key_type type;
		enum tls_sign_scheme good, bad;
		size_t n_signature; /* at most */
	} cases[] = {
	        {TLS_KEY_EC_P256, TLS_SIGN_ECDSA_SHA256, TLS_SIGN_RSA_PSS_SHA256, 72},
	        {TLS_KEY_EC_P256, TLS_SIGN_ECDSA_SHA512, TLS_SIGN_ED25519, 72},
	        {TLS_KEY_EC_P384, TLS_SIGN_ECDSA_SHA384, TLS_SIGN_RSA_PKCS1_SHA256, 104},
	        {TLS_KEY_RSA_2048, TLS_SIGN_RSA_PKCS1_SHA256, TLS_SIGN_ECDSA_SHA256, 256},
	        {TLS_KEY_RSA_2048, TLS_SIGN_RSA_PSS_SHA512, TLS_SIGN_ED25519, 256},
	        {TLS_KEY_ED25519, TLS_SIGN_ED25519, TLS_SIGN_ECDSA_SHA256, 64},
	};
	struct buf pem;
	struct arena arena;
	(void)state;
	buf_init(&pem, TLS_PEM_MAX);
	arena_init(&arena, 65536);
	tls_crypto_warm_up();
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tls_key *key;
		enum tls_key_type type;
		uint8_t signature[TLS_SIGNATURE_MAX];
		size_t n = 0;
		struct slice text = SLICE("text to be signed");
		assert_true(tls_key_type_of(slice_str(tls_key_type_name(cases[i].type)), &type));
		assert_int_equal(type, cases[i].type);
		assert_true(is_ok(tls_key_from_pem(key_pem(type, &pem), "key.pem", &key, &arena)));
		assert_true(is_ok(
		        tls_key_sign(key, cases[i].good, text, signature, sizeof(signature), &n)));
		assert_true(n > 0 && n <= cases[i].n_signature);
		assert_int_equal(
		        tls_key_sign(key, cases[i].bad, text, signature, sizeof(signature), &n)
		                .code,
		        ERR_INVALID);
		assert_int_equal(tls_key_sign(key, cases[i].good, text, signature, 32, &n).code,
		                 ERR_LIMIT);
		tls_key_free(key);
	}
	assert_false(tls_key_type_of(SLICE("rsa-1024"), &(enum tls_key_type){0}));
	arena_done(&arena);
	buf_done(&pem);
}

/* PEM of an RSA key of that size, of an EC key on that curve, encrypted with a passphrase. */
static void odd_pem(const char *kind, struct buf *out)
{
	struct slice name = slice_str(kind);
	EVP_PKEY *key = NULL;
	if (slice_eq_str(name, "rsa-1024"))
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	else if (slice_eq_str(name, "x25519"))
		key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	else
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC",
		                        slice_eq_str(name, "p-521") ? "P-521" : "P-256");
	const EVP_CIPHER *cipher = slice_eq_str(name, "encrypted") ? EVP_aes_128_cbc() : NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, cipher ? "secret" : NULL,
	                                               cipher ? 6 : 0, NULL, NULL),
	                 1);
	long n = BIO_get_mem_data(bio, &text);
	buf_reset(out);
	buf_add(out, slice_of(text, (size_t)n));
	BIO_free(bio);
	EVP_PKEY_free(key);
}

static void bad_keys_are_explained(void **state)
{
	static const struct {
		const char *kind; /* for odd_pem, or NULL */
		struct slice text;
		const char *why;
	} cases[] = {
	        {NULL, SLICE(""), "key.pem: no private key in PEM form found"},
	        {NULL, SLICE("\x00\xff binary"), "key.pem: no private key in PEM form found"},
	        {NULL, SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
	         "key.pem: file holds a certificate but no private key"},
	        {NULL, SLICE("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
	         "key.pem: private key is damaged"},
	        {NULL, SLICE("-----BEGIN PRIVATE KEY-----\n"), "key.pem: private key is damaged"},
	        {"rsa-1024", SLICE(""), "key.pem: RSA key is shorter than 2048 bits"},
	        {"p-521", SLICE(""), "key.pem: elliptic curve is neither P-256 nor P-384"},
	        {"x25519", SLICE(""), "key.pem: key is neither RSA, ECDSA nor Ed25519"},
	        {"encrypted", SLICE(""),
	         "key.pem: private key is encrypted; store it without a passphrase"},
	};
	struct arena arena;
	struct buf pem;
	(void)state;
	buf_init(&pem, TLS_PEM_MAX);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tls_key *key = NULL;
		arena_init(&arena, 4096);
		if (cases[i].kind)
			odd_pem(cases[i].kind, &pem);
		struct status status = tls_key_from_pem(
		        cases[i].kind ? buf_slice(&pem) : cases[i].text, "key.pem", &key, &arena);
		assert_int_equal(status.code, ERR_INVALID);
		assert_string_equal(status.why, cases[i].why);
		assert_null(key);
		arena_done(&arena);
	}
	buf_done(&pem);
}

static void a_key_is_found_behind_its_certificate(void **state)
{
	struct tls_key *key;
	struct buf pem;
	struct arena arena;
	struct slice name = SLICE("a.example");
	(void)state;
	buf_init(&pem, TLS_PEM_MAX);
	arena_init(&arena, 65536);
	assert_true(is_ok(tls_key_generate(TLS_KEY_EC_P256, &key)));
	assert_true(is_ok(tls_certificate_self_sign(key, &name, 1, NOW_S, 1, &pem)));
	assert_true(is_ok(tls_key_to_pem(key, &pem)));
	tls_key_free(key);
	assert_true(is_ok(tls_key_from_pem(buf_slice(&pem), "both.pem", &key, &arena)));
	assert_true(is_ok(tls_certificate_check_key(buf_slice(&pem), key, "both.pem", &arena)));
	tls_key_free(key);
	arena_done(&arena);
	buf_done(&pem);
}

static void certificates_say_what_they_are_for(void **state)
{
	static const enum tls_key_type types[] = {TLS_KEY_EC_P256, TLS_KEY_RSA_2048,
	                                          TLS_KEY_ED25519};
	static const char *const kinds[] = {"EC", "RSA", "ED25519"};
	const struct slice names[] = {SLICE("Mail.Example.ORG"), SLICE("*.example.org"),
	                              SLICE("192.0.2.1"), SLICE("2001:db8::1")};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		struct tls_key *key, *other;
		struct buf pem;
		struct arena arena;
		struct tls_certificate_info info;
		buf_init(&pem, TLS_PEM_MAX);
		arena_init(&arena, 65536);
		assert_true(is_ok(tls_key_generate(types[i], &key)));
		assert_true(is_ok(tls_key_generate(types[i], &other)));
		assert_true(is_ok(tls_certificate_self_sign(key, names, 4, NOW_S, 90, &pem)));
		assert_true(is_ok(tls_certificate_self_sign(other, names, 1, NOW_S, 90, &pem)));
		assert_true(
		        is_ok(tls_certificate_read(buf_slice(&pem), "cert.pem", &info, &arena)));
		assert_int_equal(info.n_names, 4);
		assert_true(slice_eq_str(info.names[0], "mail.example.org"));
		assert_true(slice_eq_str(info.names[1], "*.example.org"));
		assert_true(slice_eq_str(info.names[2], "192.0.2.1"));
		assert_true(slice_eq_str(info.names[3], "2001:db8::1"));
		assert_int_equal(info.n_chain, 2);
		assert_int_equal(info.not_before_s, NOW_S - 3600);
		assert_int_equal(info.not_after_s, NOW_S + 90 * 86400);
		assert_true(info.self_signed);
		assert_true(slice_eq_str(info.key_type, kinds[i]));
		assert_int_equal(info.fingerprint.n, 64);
		assert_true(
		        is_ok(tls_certificate_check_key(buf_slice(&pem), key, "cert.pem", &arena)));
		struct status status =
		        tls_certificate_check_key(buf_slice(&pem), other, "cert.pem", &arena);
		assert_string_equal(status.why,
		                    "cert.pem: certificate was made for another private key");
		tls_key_free(key);
		tls_key_free(other);
		arena_done(&arena);
		buf_done(&pem);
	}
}

static void a_public_key_has_one_fingerprint(void **state)
{
	static const char key_text[] =
	        "-----BEGIN PUBLIC KEY-----\n"
	        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
	        "-----END PUBLIC KEY-----\n"; /* RFC 8463 appendix A.2 */
	struct tls_key *key;
	struct arena arena;
	struct buf pem;
	struct tls_certificate_info info;
	struct slice name = SLICE("a.example"), fingerprint;
	(void)state;
	arena_init(&arena, 64 * KIB);
	buf_init(&pem, TLS_PEM_MAX);
	assert_true(is_ok(tls_key_generate(TLS_KEY_ED25519, &key)));
	assert_true(is_ok(tls_certificate_self_sign(key, &name, 1, NOW_S, 1, &pem)));
	assert_true(is_ok(tls_certificate_read(buf_slice(&pem), "c", &info, &arena)));
	assert_true(is_ok(tls_public_key_fingerprint(buf_slice(&pem), "c", &fingerprint, &arena)));
	assert_true(slice_eq(fingerprint, info.key_fingerprint));
	assert_true(
	        is_ok(tls_public_key_fingerprint(slice_str(key_text), "k", &fingerprint, &arena)));
	assert_int_equal(fingerprint.n, 64);
	static const char *const bad[] = {"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n",
	                                  ("-----BEGIN CERTIFICATE-----\nAAAA\n"
	                                   "-----END CERTIFICATE-----\n")};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct status status =
		        tls_public_key_fingerprint(slice_str(bad[i]), "b", &fingerprint, &arena);
		assert_int_equal(status.code, ERR_INVALID);
		assert_string_equal(status.why,
		                    "b: no certificate and no public key in PEM form found");
	}
	tls_key_free(key);
	buf_done(&pem);
	arena_done(&arena);
}

static void bad_names_make_no_certificate(void **state)
{
	static const struct {
		struct slice name;
		enum err code;
	} cases[] = {
	        {SLICE(""), ERR_INVALID},
	        {SLICE("with blank"), ERR_INVALID},
	        {SLICE("nul\0byte"), ERR_INVALID},
	        {SLICE("\xc3\xa9t\xc3\xa9.example"), ERR_INVALID},
	        {SLICE("new\nline"), ERR_INVALID},
	        {SLICE("a,DNS:b"), ERR_INVALID},
	        {SLICE("localhost"), ERR_OK},
	        {SLICE("::1"), ERR_OK},
	        {SLICE("_25._tcp.example"), ERR_OK},
	};
	struct tls_key *key;
	struct buf pem;
	(void)state;
	buf_init(&pem, TLS_PEM_MAX);
	assert_true(is_ok(tls_key_generate(TLS_KEY_EC_P256, &key)));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(
		        tls_certificate_self_sign(key, &cases[i].name, 1, NOW_S, 1, &pem).code,
		        cases[i].code);
	assert_int_equal(tls_certificate_self_sign(key, NULL, 0, NOW_S, 1, &pem).code, ERR_LIMIT);
	tls_key_free(key);
	buf_done(&pem);
}

static void too_many_certificates_are_refused(void **state)
{
	struct tls_key *key;
	struct buf pem, all;
	struct arena arena;
	struct tls_certificate_info info;
	struct slice name = SLICE("a.example");
	(void)state;
	buf_init(&pem, TLS_PEM_MAX);
	buf_init(&all, 2 * TLS_PEM_MAX);
	arena_init(&arena, 65536);
	assert_true(is_ok(tls_key_generate(TLS_KEY_EC_P256, &key)));
	assert_true(is_ok(tls_certificate_self_sign(key, &name, 1, NOW_S, 1, &pem)));
	for (size_t i = 1; i <= TLS_CHAIN_MAX + 1; i++) {
		buf_add(&all, buf_slice(&pem));
		assert_int_equal(tls_certificate_read(buf_slice(&all), "chain", &info, &arena).code,
		                 i <= TLS_CHAIN_MAX ? ERR_OK : ERR_INVALID);
	}
	buf_reset(&all);
	buf_add(&all, buf_slice(&pem));
	buf_add_str(&all, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	assert_int_equal(tls_certificate_read(buf_slice(&all), "chain", &info, &arena).code,
	                 ERR_INVALID);
	tls_key_free(key);
	arena_done(&arena);
	buf_done(&pem);
	buf_done(&all);
}

static void names_match_by_whole_labels(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} cases[] = {
	        {"a.example", "a.example", true},
	        {"a.example", "A.EXAMPLE", true},
	        {"*.example", "a.example", true},
	        {"*.example", "a.b.example", false},
	        {"*.example", ".example", false},
	        {"*.example", "example", false},
	        {"*.example", "", false},
	        {"a*.example", "ab.example", false},
	        {"a.example", "b.a.example", false},
	        {"*", "a", false},
	        {"*.", "a.", true},
	        {"", "", true},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(
		        tls_name_matches(slice_str(cases[i].pattern), slice_str(cases[i].name)),
		        cases[i].matches);
}

static void only_handshakes_are_signable(void **state)
{
	uint8_t text[TLS_SIGN_INPUT_MAX + 1];
	(void)state;
	/* TLS 1.3: every shorter and longer one, every changed byte of the fixed part. */
	memset(text, ' ', 64);
	memcpy(text + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(text + 98, 7, sizeof(text) - 98);
	for (size_t n = 0; n <= sizeof(text); n++)
		assert_int_equal(tls_signable(slice_of(text, n)), n == 98 + 32 || n == 98 + 48);
	for (size_t i = 0; i < 98; i++) {
		text[i] ^= 1;
		assert_false(tls_signable(slice_of(text, 98 + 32)));
		text[i] ^= 1;
	}
	/* A client's CertificateVerify is another text. */
	memcpy(text + 64, "TLS 1.3, client CertificateVerify", 34);
	assert_false(tls_signable(slice_of(text, 98 + 32)));
	/* TLS 1.2: randoms, named_curve, group, point. */
	memset(text, 9, sizeof(text));
	memcpy(text + 64, "\x03\x00\x1d\x20", 4);
	for (size_t n = 0; n <= sizeof(text); n++)
		assert_int_equal(tls_signable(slice_of(text, n)), n == 68 + 32);
	text[64] = 1; /* explicit_prime */
	assert_false(tls_signable(slice_of(text, 68 + 32)));
	memcpy(text + 64, "\x03\x00\x17\x00", 4);
	assert_false(tls_signable(slice_of(text, 68)));
	assert_true(tls_sign_scheme_is_known(0x0403));
	assert_false(tls_sign_scheme_is_known(0x0201)); /* rsa_pkcs1_sha1 */
	assert_false(tls_sign_scheme_is_known(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_type_signs_and_survives_pem),
	        cmocka_unit_test(bad_keys_are_explained),
	        cmocka_unit_test(a_key_is_found_behind_its_certificate),
	        cmocka_unit_test(certificates_say_what_they_are_for),
	        cmocka_unit_test(a_public_key_has_one_fingerprint),
	        cmocka_unit_test(bad_names_make_no_certificate),
	        cmocka_unit_test(too_many_certificates_are_refused),
	        cmocka_unit_test(names_match_by_whole_labels),
	        cmocka_unit_test(only_handshakes_are_signable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
