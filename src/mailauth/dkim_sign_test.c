/* Signing: which fields, what the field looks like, what is refused; private keys. */
#include "mailauth/dkim_testing.h"

#include "base/encode.h"
#include "mailauth/dkim_crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#undef fail

static const char message[] = "Received: from x\r\n"
                              "From: Ada <ada@example.com>\r\n"
                              "to: charles@example.org\r\n"
                              "Subject: engines\r\n"
                              "MIME-Version: 1.0\r\n"
                              "List-Id: <l.example.com>\r\n"
                              "\r\n"
                              "body\r\n";

/* Signs with the digest itself, so that a test sees what was hashed. */
static struct status echo(void *context, const uint8_t digest[DKIM_HASH_SIZE], uint8_t *signature,
                          size_t max, size_t *ret_n)
{
	(*(size_t *)context)++;
	if (max < DKIM_HASH_SIZE)
		return fail(ERR_LIMIT, "no room");
	memcpy(signature, digest, DKIM_HASH_SIZE);
	*ret_n = DKIM_HASH_SIZE;
	return ok();
}

static struct status refuse(void *context, const uint8_t digest[DKIM_HASH_SIZE], uint8_t *signature,
                            size_t max, size_t *ret_n)
{
	(void)context, (void)digest, (void)signature, (void)max, (void)ret_n;
	return fail(ERR_BUSY, "the vault is busy");
}

static struct status overflow(void *context, const uint8_t digest[DKIM_HASH_SIZE],
                              uint8_t *signature, size_t max, size_t *ret_n)
{
	(void)context, (void)digest, (void)signature;
	*ret_n = max + 1;
	return ok();
}

static struct status sign(const char *text, struct dkim_sign_options options, struct buf *out)
{
	struct dkim_body *body = dkim_body_new(dkim_sign_wants(&options, 1));
	buf_reset(out);
	dkim_body_feed(body, testing_body(slice_str(text)));
	dkim_body_finish(body);
	struct status status = dkim_sign(testing_header(slice_str(text)), body, &options, 1, out);
	dkim_body_free(body);
	return status;
}

struct fixture {
	size_t n_signed;
	struct dkim_signer_key key;
	struct buf out;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	f->key = (struct dkim_signer_key){DKIM_RSA_SHA256, echo, &f->n_signed};
	buf_init(&f->out, MIB);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	buf_done(&f->out);
	base_free(f);
	return 0;
}

static struct dkim_sign_options defaults(struct fixture *f)
{
	return (struct dkim_sign_options){
	        .domain = SLICE("Example.COM"), .selector = SLICE("Sel"), .key = &f->key};
}

static void the_field_is_written_as_it_is_documented(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options options = defaults(f);
	options.now_s = TESTING_NOW_S;
	options.lifetime_s = 86400;
	options.identity = SLICE("ada@mail.example.com");
	assert_true(is_ok(sign(message, options, &f->out)));
	assert_int_equal(f->n_signed, 1);
	struct slice text = buf_slice(&f->out);
	assert_true(slice_ends(text, SLICE("\r\n")));
	size_t b = slice_find(text, SLICE("\r\n\tb="));
	assert_true(b != SIZE_MAX);
	f->out.n = b;
	assert_string_equal(
	        buf_cstr(&f->out),
	        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=sel;\r\n"
	        "\tt=1700000000; x=1700086400; i=ada@mail.example.com; h=From:From:\r\n"
	        "\tReply-To:To:To:Cc:Subject:Subject:Date:Message-ID:Content-Type:\r\n"
	        "\tMIME-Version:MIME-Version:List-Id;\r\n"
	        "\tbh=Ck5SoRNWUpSR4X0COv7R5ub2pUTtl6xz4dTFz++ji4M=;");
}

static void options_choose_the_fields(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options options = defaults(f);
	struct slice names[] = {SLICE("from"), SLICE("Received"), SLICE("X-None"), SLICE("FROM")};
	options.names = names;
	options.n_names = N_ELEMENTS(names);
	options.header_canon = options.body_canon = DKIM_SIMPLE;
	assert_true(is_ok(sign(message, options, &f->out)));
	assert_non_null(strstr(buf_cstr(&f->out), "c=simple/simple; "));
	assert_non_null(strstr(buf_cstr(&f->out), "\th=from:from:Received:Received:X-None;"));
	assert_null(strstr(buf_cstr(&f->out), "t="));
	options.no_oversign = true;
	assert_true(is_ok(sign(message, options, &f->out)));
	assert_non_null(strstr(buf_cstr(&f->out), "h=from:Received;"));
}

static void identities_are_written_as_the_header_allows(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options options = defaults(f);
	options.domain = SLICE("b\xc3\xbc"
	                       "cher.example");
	options.identity = SLICE("j\xc3\xb6@b\xc3\xbc"
	                         "cher.example");
	assert_true(is_ok(sign(message, options, &f->out)));
	assert_non_null(strstr(buf_cstr(&f->out), "d=xn--bcher-kva.example;"));
	assert_non_null(strstr(buf_cstr(&f->out), "i=j=C3=B6@xn--bcher-kva.example;"));
	options.utf8 = true;
	assert_true(is_ok(sign(message, options, &f->out)));
	assert_non_null(strstr(buf_cstr(&f->out), "i=j\xc3\xb6@xn--bcher-kva.example;"));
}

/* The hash, by the words of RFC 6376 section 3.7. */
static void the_hash_is_that_of_the_rfc(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options options = defaults(f);
	struct slice names[] = {SLICE("From"), SLICE("To")};
	options.names = names;
	options.n_names = 2;
	assert_true(is_ok(sign(message, options, &f->out)));
	struct slice text = buf_slice(&f->out);
	struct buf input, expected;
	buf_init(&input, 64 * KIB);
	buf_init(&expected, 64 * KIB);
	buf_add_str(&input, "from:Ada <ada@example.com>\r\nto:charles@example.org\r\n"
	                    "dkim-signature:v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; "
	                    "s=sel; h=From:From:To:To; "
	                    "bh=Ck5SoRNWUpSR4X0COv7R5ub2pUTtl6xz4dTFz++ji4M=; b=");
	uint8_t digest[32];
	unsigned n;
	assert_int_equal(EVP_Digest(input.p, input.n, digest, &n, EVP_sha256(), NULL), 1);
	base64_encode(slice_of(digest, 32), &expected);
	buf_add_str(&expected, "\r\n");
	assert_true(slice_ends(text, buf_slice(&expected)));
	buf_done(&input);
	buf_done(&expected);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options bad[12];
	struct slice to_only = SLICE("To"), odd[] = {SLICE("From"), SLICE("a b")};
	struct dkim_signer_key sha1 = f->key, too_long = f->key;
	size_t n = 0;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = defaults(f);
	bad[n++].domain = SLICE("com");
	bad[n++].domain = SLICE("");
	bad[n++].domain = SLICE("a;b.example");
	bad[n++].selector = SLICE("");
	bad[n++].selector = SLICE("a\r\nb");
	bad[n++].identity = SLICE("ada@evil.example");
	bad[n++].identity = SLICE("ada");
	bad[n++].identity = SLICE("a\rb@example.com");
	bad[n].names = &to_only;
	bad[n++].n_names = 1;
	bad[n].names = odd;
	bad[n++].n_names = 2;
	sha1.algorithm = DKIM_RSA_SHA1;
	bad[n++].key = &sha1;
	too_long.sign = overflow;
	bad[n++].key = &too_long;
	assert_int_equal(n, N_ELEMENTS(bad));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sign(message, bad[i], &f->out).code, ERR_INVALID);
	f->key.sign = refuse;
	struct status status = sign(message, defaults(f), &f->out);
	assert_int_equal(status.code, ERR_BUSY);
	assert_string_equal(status.why, "the vault is busy");
}

static void messages_without_one_from_are_not_signed(void **state)
{
	static const char *const messages[] = {"", "\r\nFrom: a@b.example\r\n", "To: x\r\n",
	                                       "From: a@b.example\r\nfrom : c@d.example\r\n\r\n",
	                                       "From\r\n: x\r\n"};
	struct fixture *f = *state;
	for (size_t i = 0; i < N_ELEMENTS(messages); i++)
		assert_int_equal(sign(messages[i], defaults(f), &f->out).code, ERR_INVALID);
	assert_int_equal(f->n_signed, 0);
}

static void too_much_is_refused(void **state)
{
	struct fixture *f = *state;
	struct buf large;
	buf_init(&large, MIB);
	buf_add_str(&large, "From: a@example.com\r\n");
	for (unsigned i = 0; i < DKIM_SIGNED_NAMES_MAX; i++)
		buf_add_str(&large, "To: x\r\n");
	assert_int_equal(sign(buf_cstr(&large), defaults(f), &f->out).code, ERR_LIMIT);
	for (unsigned i = 0; i < 10000; i++)
		buf_add_str(&large, "A: x\r\n");
	assert_int_equal(sign(buf_cstr(&large), defaults(f), &f->out).code, ERR_LIMIT);
	struct buf small;
	buf_init(&small, 100);
	assert_int_equal(sign(message, defaults(f), &small).code, ERR_LIMIT);
	buf_done(&small);
	buf_done(&large);
}

static void a_body_that_was_not_hashed_is_refused(void **state)
{
	struct fixture *f = *state;
	struct dkim_sign_options options = defaults(f);
	struct dkim_body *body = dkim_body_new(DKIM_BODY_SIMPLE);
	assert_int_equal(dkim_sign(slice_str(message), body, &options, 1, &f->out).code,
	                 ERR_INVALID);
	dkim_body_finish(body);
	assert_int_equal(dkim_sign(slice_str(message), body, &options, 1, &f->out).code,
	                 ERR_INVALID);
	dkim_body_free(body);
	dkim_body_free(NULL);
}

static void bodies_are_read_from_sources(void **state)
{
	struct message_source_mem source;
	struct buf text;
	(void)state;
	buf_init(&text, MIB);
	for (size_t i = 0; i < 3 * MESSAGE_BODY_PIECE; i++)
		buf_add_byte(&text, (uint8_t)(i % 70 == 69   ? '\n'
		                              : i % 70 == 68 ? '\r'
		                                             : ' ' + i % 50));
	static const size_t sizes[] = {0, 1, MESSAGE_BODY_PIECE, MESSAGE_BODY_PIECE + 1,
	                               3 * MESSAGE_BODY_PIECE};
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		struct dkim_body *read = dkim_body_new(DKIM_BODY_BOTH);
		struct dkim_body *fed = dkim_body_new(DKIM_BODY_BOTH);
		struct slice body = slice_sub(buf_slice(&text), 0, sizes[i]);
		struct slice part = slice_from(body, 1);
		message_source_mem_init(&source, body);
		assert_true(is_ok(dkim_body_read(read, &source.source, 1)));
		dkim_body_feed(fed, part);
		dkim_body_finish(read);
		dkim_body_finish(fed);
		for (size_t canon = 0; canon < DKIM_N_CANONS; canon++) {
			enum dkim_canon c = (enum dkim_canon)canon;
			assert_true(slice_eq(dkim_body_hash(read, c), dkim_body_hash(fed, c)));
			assert_int_equal(dkim_body_size(read, c), dkim_body_size(fed, c));
		}
		dkim_body_free(read);
		dkim_body_free(fed);
	}
	buf_done(&text);
}

/* --- hashes of RFC 6376 sections 3.4.3 and 3.4.4 --- */

static void empty_bodies_have_the_hashes_of_the_rfc(void **state)
{
	struct dkim_body *body = dkim_body_new(DKIM_BODY_BOTH);
	struct buf text;
	(void)state;
	buf_init(&text, KIB);
	dkim_body_finish(body);
	base64_encode(dkim_body_hash(body, DKIM_SIMPLE), &text);
	base64_encode(dkim_body_hash(body, DKIM_RELAXED), &text);
	assert_string_equal(buf_cstr(&text), "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
	                                     "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
	dkim_body_free(body);
	buf_done(&text);
}

/* --- private keys --- */

static const char pkcs1_1024[] =
        "-----BEGIN RSA PRIVATE KEY-----\n"
        "MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\n"
        "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM\n"
        "KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\n"
        "AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm\n"
        "6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe\n"
        "zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy\n"
        "6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc\n"
        "uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy\n"
        "WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd\n"
        "WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a\n"
        "licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst\n"
        "o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe\n"
        "uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL\n"
        "-----END RSA PRIVATE KEY-----\n"; /* RFC 8463 appendix A.1 */

static void keys_of_the_rfcs_sign_as_there(void **state)
{
	struct dkim_private_key *key;
	struct arena arena;
	struct dkim_key half;
	struct buf record;
	(void)state;
	arena_init(&arena, 64 * KIB);
	buf_init(&record, 64 * KIB);
	assert_true(is_ok(dkim_private_key_from_pem(slice_str(pkcs1_1024), &key)));
	assert_true(is_ok(dkim_private_key_public(key, &arena, &half)));
	assert_true(is_ok(dkim_key_print(&half, &record)));
	assert_string_equal(buf_cstr(&record),
	                    "v=DKIM1; k=rsa; "
	                    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6W"
	                    "k08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/"
	                    "8uBsCR+yz1Lxj+PL6l"
	                    "HvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB");
	dkim_private_key_free(key);
	arena_done(&arena);
	buf_done(&record);
}

static void made_keys_survive_pem(void **state)
{
	static const struct {
		enum dkim_key_type type;
		unsigned bits;
		bool good;
	} cases[] = {
	        {DKIM_KEY_RSA, 2048, true},     {DKIM_KEY_ED25519, 0, true},
	        {DKIM_KEY_RSA, 1024, false},    {DKIM_KEY_RSA, 0, false},
	        {DKIM_KEY_RSA, 2049, false},    {DKIM_KEY_RSA, 8192, false},
	        {DKIM_KEY_ED25519, 256, false},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct dkim_private_key *key, *again;
		struct arena arena;
		struct dkim_key half;
		struct buf pem;
		struct status status =
		        dkim_private_key_generate(cases[i].type, cases[i].bits, &key);
		assert_int_equal(is_ok(status), cases[i].good);
		if (!is_ok(status))
			continue;
		arena_init(&arena, 64 * KIB);
		buf_init(&pem, 64 * KIB);
		assert_true(is_ok(dkim_private_key_to_pem(key, &pem)));
		assert_true(is_ok(dkim_private_key_from_pem(buf_slice(&pem), &again)));
		assert_true(is_ok(dkim_private_key_public(again, &arena, &half)));
		assert_int_equal(half.type, cases[i].type);
		struct dkim_signer_key signer = dkim_private_key_signer(again);
		struct dkim_public_key *public_key;
		uint8_t digest[DKIM_HASH_SIZE] = {1}, signature[DKIM_SIGNATURE_SIZE_MAX];
		size_t n;
		assert_int_equal(signer.sign(signer.context, digest, signature, 10, &n).code,
		                 ERR_LIMIT);
		assert_true(is_ok(
		        signer.sign(signer.context, digest, signature, sizeof(signature), &n)));
		assert_true(is_ok(dkim_public_key_new(&half, &public_key)));
		assert_true(dkim_public_key_verify(public_key, digest, slice_of(signature, n)));
		assert_false(
		        dkim_public_key_verify(public_key, digest, slice_of(signature, n - 1)));
		signature[n - 1] ^= 1;
		assert_false(dkim_public_key_verify(public_key, digest, slice_of(signature, n)));
		signature[n - 1] ^= 1;
		digest[0] ^= 1;
		assert_false(dkim_public_key_verify(public_key, digest, slice_of(signature, n)));
		dkim_public_key_free(public_key);
		dkim_private_key_free(key);
		dkim_private_key_free(again);
		buf_done(&pem);
		arena_done(&arena);
	}
	dkim_private_key_free(NULL);
	dkim_public_key_free(NULL);
}

static void pem_of(const char *algorithm, size_t bits, const char *passphrase, struct buf *out)
{
	EVP_PKEY *pkey = bits ? EVP_PKEY_Q_keygen(NULL, NULL, algorithm, bits)
	                 : strcmp(algorithm, "EC") == 0
	                         ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
	                         : EVP_PKEY_Q_keygen(NULL, NULL, algorithm);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
	                         bio, pkey, passphrase ? EVP_aes_128_cbc() : NULL, passphrase,
	                         passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
	                 1);
	long n = BIO_get_mem_data(bio, &text);
	buf_reset(out);
	buf_add(out, slice_of(text, (size_t)n));
	BIO_free(bio);
	EVP_PKEY_free(pkey);
}

static void bad_private_keys_are_explained(void **state)
{
	static const struct {
		const char *algorithm;
		size_t bits;
		const char *passphrase, *why;
	} cases[] = {
	        {"RSA", 512, NULL, "the RSA key is shorter than 1024 bits"},
	        {"EC", 0, NULL, "the key is neither RSA nor Ed25519"},
	        {"X25519", 0, NULL, "the key is neither RSA nor Ed25519"},
	        {"ED25519", 0, "secret", "the private key is encrypted"},
	        {NULL, 0, "", "there is no private key in PEM form"},
	        {NULL, 0, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	         "there is no private key in PEM form"},
	        {NULL, 0, "-----BEGIN PUBLIC KEY-----\n", "there is no private key in PEM form"},
	};
	struct buf pem;
	struct dkim_private_key *key;
	(void)state;
	buf_init(&pem, 64 * KIB);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		buf_reset(&pem);
		if (cases[i].algorithm)
			pem_of(cases[i].algorithm, cases[i].bits, cases[i].passphrase, &pem);
		else
			buf_add_str(&pem, cases[i].passphrase);
		struct status status = dkim_private_key_from_pem(buf_slice(&pem), &key);
		assert_int_equal(status.code, ERR_INVALID);
		assert_string_equal(status.why, cases[i].why);
	}
	struct slice large = slice_of(base_alloc(DKIM_PEM_MAX + 1), DKIM_PEM_MAX + 1);
	assert_int_equal(dkim_private_key_from_pem(large, &key).code, ERR_INVALID);
	base_free((void *)(uintptr_t)large.p);
	buf_done(&pem);
}

static void public_keys_are_read_from_pem(void **state)
{
	static const char ed25519[] =
	        "-----BEGIN PUBLIC KEY-----\n"
	        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
	        "-----END PUBLIC KEY-----\n";
	struct arena arena;
	struct dkim_key key;
	struct buf record;
	(void)state;
	arena_init(&arena, 64 * KIB);
	buf_init(&record, KIB);
	assert_true(is_ok(dkim_public_from_pem(slice_str(ed25519), &arena, &key)));
	assert_true(is_ok(dkim_key_print(&key, &record)));
	assert_string_equal(buf_cstr(&record), "v=DKIM1; k=ed25519; "
	                                       "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
	assert_int_equal(dkim_public_from_pem(slice_str(pkcs1_1024), &arena, &key).code,
	                 ERR_INVALID);
	buf_done(&record);
	arena_done(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_field_is_written_as_it_is_documented),
	        TEST(options_choose_the_fields),
	        TEST(identities_are_written_as_the_header_allows),
	        TEST(the_hash_is_that_of_the_rfc),
	        TEST(what_makes_no_sense_is_refused),
	        TEST(messages_without_one_from_are_not_signed),
	        TEST(too_much_is_refused),
	        TEST(a_body_that_was_not_hashed_is_refused),
	        cmocka_unit_test(bodies_are_read_from_sources),
	        cmocka_unit_test(empty_bodies_have_the_hashes_of_the_rfc),
	        cmocka_unit_test(keys_of_the_rfcs_sign_as_there),
	        cmocka_unit_test(made_keys_survive_pem),
	        cmocka_unit_test(bad_private_keys_are_explained),
	        cmocka_unit_test(public_keys_are_read_from_pem),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
