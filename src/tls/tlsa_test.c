/* TLSA records: usable ones and all the others, and how they are made. */
#include "tls/tlsa.h"

#include "base/encode.h"
#include "tls/certs_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/pem.h>

#define BYTES_MAX 4096

struct fixture {
	struct tls_test_cert root, leaf;
	struct buf root_der, leaf_der, leaf_key_der;
	struct buf pem; /* leaf, then root */
	struct arena arena;
};

static void key_der(const struct tls_test_cert *cert, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(cert->key, &der);
	buf_add(out, slice_of(der, (size_t)n));
	OPENSSL_free(der);
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	f->root = TLS_TEST_CERT(.common_name = "Root", .is_ca = true, .days = 30);
	f->leaf = TLS_TEST_CERT(.common_name = "leaf", .issuer = &f->root,
	                        .alt_names = "DNS:mx.example", .days = 30);
	buf_init(&f->root_der, BYTES_MAX);
	buf_init(&f->leaf_der, BYTES_MAX);
	buf_init(&f->leaf_key_der, BYTES_MAX);
	buf_init(&f->pem, 4 * BYTES_MAX);
	tls_test_cert_der(&f->root, &f->root_der);
	tls_test_cert_der(&f->leaf, &f->leaf_der);
	key_der(&f->leaf, &f->leaf_key_der);
	tls_test_cert_print(&f->leaf, &f->pem);
	tls_test_cert_print(&f->root, &f->pem);
	arena_init(&f->arena, 1024 * KIB);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	tls_test_cert_free(&f->root);
	tls_test_cert_free(&f->leaf);
	buf_done(&f->root_der);
	buf_done(&f->leaf_der);
	buf_done(&f->leaf_key_der);
	buf_done(&f->pem);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

static void digests_are_usable_by_their_length_alone(void **state)
{
	static const uint8_t bytes[300];
	(void)state;
	for (unsigned usage = 0; usage < 256; usage++)
		for (unsigned selector = 0; selector < 256; selector += selector < 3 ? 1 : 23)
			for (unsigned matching = 1; matching < 256;
			     matching += matching < 4 ? 1 : 23)
				for (size_t n = 0; n < sizeof(bytes); n += n < 70 ? 1 : 33) {
					const struct tls_tlsa record = {
					        (uint8_t)usage, (uint8_t)selector,
					        (uint8_t)matching, slice_of(bytes, n)};
					bool good = (usage == 2 || usage == 3) && selector < 2 &&
					            ((matching == 1 && n == 32) ||
					             (matching == 2 && n == 64));
					const char *why = tls_tlsa_unusable(&record);
					assert_int_equal(!why, good);
					assert_true(good || *why);
				}
}

static void full_ones_must_be_what_they_say_to_the_byte(void **state)
{
	struct fixture *f = *state;
	const struct slice cert = buf_slice(&f->leaf_der), key = buf_slice(&f->leaf_key_der);
	for (uint8_t usage = 2; usage < 4; usage++)
		for (uint8_t selector = 0; selector < 2; selector++) {
			struct slice right = selector ? key : cert;
			struct tls_tlsa record = {usage, selector, 0, right};
			assert_null(tls_tlsa_unusable(&record));
			for (size_t n = 0; n < right.n; n++) { /* cut short */
				record.bytes = slice_sub(right, 0, n);
				assert_non_null(tls_tlsa_unusable(&record));
			}
			record.bytes = selector ? cert : key; /* the other thing */
			assert_non_null(tls_tlsa_unusable(&record));
			uint8_t longer[BYTES_MAX];
			memcpy(longer, right.p, right.n);
			longer[right.n] = 0;
			record.bytes = slice_of(longer, right.n + 1);
			assert_non_null(tls_tlsa_unusable(&record));
		}
}

static void public_authorities_do_not_count_between_servers(void **state)
{
	static const uint8_t digest[32];
	(void)state;
	for (uint8_t usage = 0; usage < 2; usage++) {
		const struct tls_tlsa record = {usage, 1, 1, slice_of(digest, 32)};
		assert_non_null(strstr(tls_tlsa_unusable(&record), "public authorities"));
	}
}

/* RFC 7671 section 9: within a usage and selector the strongest digest counts, and Full always. */
static void stronger_digests_outdo_weaker_ones(void **state)
{
	static const uint8_t d[64];
	const struct tls_tlsa records[] = {
	        {3, 1, 1, slice_of(d, 32)}, /* outdone by 3 1 2 */
	        {3, 1, 2, slice_of(d, 64)}, {3, 1, 0, slice_of(d, 10)},
	        {3, 0, 1, slice_of(d, 32)}, /* another selector */
	        {2, 1, 1, slice_of(d, 32)}, /* another usage */
	        {2, 0, 1, slice_of(d, 32)}, /* its stronger one is unusable */
	        {2, 0, 2, slice_of(d, 63)},
	};
	const bool usable[] = {true, true, true, true, true, true, false};
	const bool outdone[] = {true, false, false, false, false, false, false};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(records); i++)
		assert_int_equal(tls_tlsa_is_outdone(records, usable, N_ELEMENTS(records), i),
		                 outdone[i]);
}

static void records_are_made_of_the_right_certificate(void **state)
{
	struct fixture *f = *state;
	struct slice pem = buf_slice(&f->pem);
	for (uint8_t usage = 0; usage < 4; usage++)
		for (uint8_t selector = 0; selector < 2; selector++)
			for (uint8_t matching = 0; matching < 3; matching++) {
				bool is_authority = usage == 0 || usage == 2;
				struct tls_tlsa record;
				struct slice expected = tls_tlsa_association(
				        buf_slice(is_authority ? &f->root_der : &f->leaf_der),
				        selector, matching, &f->arena);
				assert_true(is_ok(tls_tlsa_of_pem(pem, "file", usage, selector,
				                                  matching, &record, &f->arena)));
				assert_true(slice_eq(record.bytes, expected));
				assert_true(expected.n > 0);
				assert_int_equal(!tls_tlsa_unusable(&record), usage >= 2);
			}
}

/* The digests that others have for the same bytes (openssl's own command agrees). */
static void associations_are_what_libcrypto_says(void **state)
{
	struct fixture *f = *state;
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n;
	EVP_Q_digest(NULL, "SHA512", NULL, f->leaf_key_der.p, f->leaf_key_der.n, digest, &n);
	assert_true(slice_eq(tls_tlsa_association(buf_slice(&f->leaf_der), 1, 2, &f->arena),
	                     slice_of(digest, n)));
	EVP_Q_digest(NULL, "SHA256", NULL, f->leaf_der.p, f->leaf_der.n, digest, &n);
	assert_true(slice_eq(tls_tlsa_association(buf_slice(&f->leaf_der), 0, 1, &f->arena),
	                     slice_of(digest, n)));
	assert_true(slice_eq(tls_tlsa_association(buf_slice(&f->leaf_der), 1, 0, &f->arena),
	                     buf_slice(&f->leaf_key_der)));
	assert_int_equal(tls_tlsa_association(SLICE("no DER"), 1, 1, &f->arena).n, 0);
	assert_int_equal(tls_tlsa_association(buf_slice(&f->leaf_der), 2, 1, &f->arena).n, 0);
	assert_int_equal(tls_tlsa_association(buf_slice(&f->leaf_der), 1, 3, &f->arena).n, 0);
}

static void a_public_key_alone_makes_records_of_it(void **state)
{
	struct fixture *f = *state;
	struct tls_tlsa record, of_cert;
	char *text;
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PUBKEY(bio, f->leaf.key);
	long n = BIO_get_mem_data(bio, &text);
	struct slice pem = slice_of(text, (size_t)n);
	assert_true(is_ok(tls_tlsa_of_pem(pem, "key", 3, 1, 1, &record, &f->arena)));
	assert_true(is_ok(tls_tlsa_of_pem(buf_slice(&f->pem), "c", 3, 1, 1, &of_cert, &f->arena)));
	assert_true(slice_eq(record.bytes, of_cert.bytes));
	struct status status = tls_tlsa_of_pem(pem, "key", 3, 0, 1, &record, &f->arena);
	assert_int_equal(status.code, ERR_INVALID);
	assert_non_null(strstr(status.why, "selector 1"));
	BIO_free(bio);
}

static void texts_without_a_certificate_are_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
	        "",
	        "hello",
	        "-----BEGIN CERTIFICATE-----\n",
	        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	};
	struct tls_tlsa record;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct status status =
		        tls_tlsa_of_pem(slice_str(bad[i]), "x.pem", 3, 1, 1, &record, &f->arena);
		assert_int_equal(status.code, ERR_INVALID);
		assert_true(slice_starts(slice_str(status.why), SLICE("x.pem: ")));
	}
	static const uint8_t numbers[][3] = {{4, 1, 1}, {3, 2, 1}, {3, 1, 3}, {255, 255, 255}};
	for (size_t i = 0; i < N_ELEMENTS(numbers); i++)
		assert_int_equal(tls_tlsa_of_pem(buf_slice(&f->pem), "x", numbers[i][0],
		                                 numbers[i][1], numbers[i][2], &record, &f->arena)
		                         .code,
		                 ERR_INVALID);
	/* Damage behind the first certificate is damage, too; so is a chain without end. */
	buf_add_str(&f->pem, bad[3]);
	assert_int_equal(tls_tlsa_of_pem(buf_slice(&f->pem), "x", 3, 1, 1, &record, &f->arena).code,
	                 ERR_INVALID);
	buf_reset(&f->pem);
	f->pem.max = 100000;
	for (unsigned i = 0; i < 17; i++)
		tls_test_cert_print(&f->leaf, &f->pem);
	assert_int_equal(tls_tlsa_of_pem(buf_slice(&f->pem), "x", 3, 1, 1, &record, &f->arena).code,
	                 ERR_INVALID);
}

static void records_are_printed_as_in_a_zone(void **state)
{
	struct buf text;
	(void)state;
	buf_init(&text, 100);
	const struct tls_tlsa record = {3, 1, 1, SLICE("\x00\xff\x1a")};
	tls_tlsa_print(&record, &text);
	assert_string_equal(buf_cstr(&text), "3 1 1 00ff1a");
	buf_done(&text);
	assert_string_equal(tls_tlsa_usage_name(2), "DANE-TA");
	assert_string_equal(tls_tlsa_selector_name(1), "SPKI");
	assert_string_equal(tls_tlsa_matching_name(2), "SHA2-512");
	assert_string_equal(tls_tlsa_usage_name(4), "");
	assert_string_equal(tls_tlsa_selector_name(255), "");
	assert_string_equal(tls_tlsa_matching_name(3), "");
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(digests_are_usable_by_their_length_alone),
	        WITH_FIXTURE(full_ones_must_be_what_they_say_to_the_byte),
	        cmocka_unit_test(public_authorities_do_not_count_between_servers),
	        cmocka_unit_test(stronger_digests_outdo_weaker_ones),
	        WITH_FIXTURE(records_are_made_of_the_right_certificate),
	        WITH_FIXTURE(associations_are_what_libcrypto_says),
	        WITH_FIXTURE(a_public_key_alone_makes_records_of_it),
	        WITH_FIXTURE(texts_without_a_certificate_are_refused),
	        cmocka_unit_test(records_are_printed_as_in_a_zone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
