/* The text of verifiers, and hashing under pressure. */
#include "vault/hashing.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

static struct verifier sample(bool cram)
{
	struct verifier v = {.argon2 = {.kib = 19456, .passes = 2}};
	memset(v.argon2.salt, 0xab, sizeof(v.argon2.salt));
	memset(v.argon2.hash, 0x01, sizeof(v.argon2.hash));
	assert_true(is_ok(verifier_scram_make(SASL_SHA1, SLICE("pencil"), 4096, &v.scram_sha1)));
	assert_true(
	        is_ok(verifier_scram_make(SASL_SHA256, SLICE("pencil"), 4096, &v.scram_sha256)));
	if (cram)
		verifier_cram_make(SLICE("pencil"), &v.cram);
	return v;
}

static void what_is_printed_is_read_and_nothing_else(void **state)
{
	(void)state;
	for (int cram = 0; cram < 2; cram++) {
		struct verifier v = sample(cram), seen;
		struct buf text;
		buf_init(&text, VERIFIER_TEXT_MAX);
		verifier_print(&v, &text);
		assert_true(is_ok(verifier_parse(buf_slice(&text), &seen)));
		struct buf again;
		buf_init(&again, VERIFIER_TEXT_MAX);
		verifier_print(&seen, &again);
		assert_true(slice_eq(buf_slice(&again), buf_slice(&text)));
		buf_done(&again);
		/* The text without CRAM-MD5 is the only good beginning. */
		for (size_t n = 0; n < text.n; n++) {
			bool whole =
			        cram && slice_eq_str(slice_sub(buf_slice(&text), n, 8), "cram-md5");
			assert_int_equal(
			        verifier_parse(slice_sub(buf_slice(&text), 0, n), &seen).code,
			        whole ? ERR_OK : ERR_CORRUPT);
		}
		for (size_t i = 0; i < text.n; i++) {
			uint8_t kept = text.p[i];
			text.p[i] = 'X';
			assert_int_equal(verifier_parse(buf_slice(&text), &seen).code, ERR_CORRUPT);
			text.p[i] = kept;
		}
		buf_add_byte(&text, '\n');
		assert_int_equal(verifier_parse(buf_slice(&text), &seen).code, ERR_CORRUPT);
		buf_done(&text);
	}
}

static void costs_out_of_range_are_corrupt(void **state)
{
	static const char *const lines[] = {
	        "argon2id 0 2 ",        "argon2id 4194305 2 ", "argon2id 19456 0 ",
	        "argon2id 19456 1001 ", "argon2id -1 2 ",      "argon2id 99999999999999999999 2 ",
	        "argon2d 19456 2 ",
	};
	struct verifier v = sample(false), seen;
	struct buf good, bad;
	(void)state;
	buf_init(&good, VERIFIER_TEXT_MAX);
	buf_init(&bad, VERIFIER_TEXT_MAX);
	verifier_print(&v, &good);
	struct slice rest = slice_from(buf_slice(&good), strlen("argon2id 19456 2 "));
	for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
		buf_reset(&bad);
		buf_add_str(&bad, lines[i]);
		buf_add(&bad, rest);
		assert_int_equal(verifier_parse(buf_slice(&bad), &seen).code, ERR_CORRUPT);
	}
	buf_done(&good);
	buf_done(&bad);
}

static void cram_digests_are_hmac_md5(void **state)
{
	static const size_t sizes[] = {1, 16, 63, 64, 65, 200};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		uint8_t password[200], digest[16], expected[16];
		size_t n = 0;
		struct verifier_cram cram;
		struct slice challenge = SLICE("<123.456@localhost>");
		memset(password, 'p', sizeof(password));
		verifier_cram_make(slice_of(password, sizes[i]), &cram);
		verifier_cram_digest(&cram, challenge, digest);
		assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "MD5", NULL, password, sizes[i],
		                          challenge.p, challenge.n, expected, 16, &n));
		assert_memory_equal(digest, expected, 16);
	}
}

/* --- hashing --- */

struct test_clock {
	struct clock clock;
	_Atomic int64_t now_ms;
};

static int64_t test_now(const struct clock *clock)
{
	return ((const struct test_clock *)clock)->now_ms;
}

struct hashing_fixture {
	struct test_clock clock;
	struct vault_hashing *hashing;
	struct verifier_argon2 verifier;
};

static void hashing_begin(struct hashing_fixture *f, unsigned n_parallel, unsigned n_waiting,
                          uint32_t kib)
{
	f->clock.clock = (struct clock){test_now, test_now};
	f->clock.now_ms = 1000;
	const struct vault_hashing_options options = {.clock = &f->clock.clock,
	                                              .n_parallel = n_parallel,
	                                              .n_waiting = n_waiting,
	                                              .remember_s = 300};
	f->hashing = vault_hashing_new(&options);
	assert_true(is_ok(vault_hashing_make(f->hashing, SLICE("mailkeep"), kib, 1, &f->verifier)));
}

static void a_success_is_remembered_for_its_time_only(void **state)
{
	struct hashing_fixture f;
	(void)state;
	hashing_begin(&f, 1, 10, 64);
	static const struct {
		const char *account, *password;
		int64_t now_ms;
		bool computed;
		enum err code;
	} cases[] = {
	        {"me", "mailkeep", 1000, true, ERR_OK},
	        {"me", "mailkeep", 1000, false, ERR_OK},
	        {"me", "mailkeep", 300999, false, ERR_OK},
	        {"you", "mailkeep", 1000, true, ERR_OK},  /* another account */
	        {"me", "mailkeeq", 1000, true, ERR_AUTH}, /* another password */
	        {"me", "mailkeeq", 1000, true, ERR_AUTH}, /* failures are not remembered */
	        {"memail", "keep", 1000, true, ERR_AUTH}, /* the same bytes, cut elsewhere */
	        {"me", "mailkeep", 301000, true, ERR_OK}, /* time is over */
	        {"me", "mailkeep", 601000, true, ERR_OK},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint64_t before = vault_hashing_count(f.hashing);
		f.clock.now_ms = cases[i].now_ms;
		assert_int_equal(vault_hashing_verify(f.hashing, slice_str(cases[i].account),
		                                      &f.verifier, slice_str(cases[i].password))
		                         .code,
		                 cases[i].code);
		assert_int_equal(vault_hashing_count(f.hashing) - before, cases[i].computed);
	}
	/* A changed password has another verifier. */
	uint64_t before = vault_hashing_count(f.hashing);
	f.verifier.salt[0] ^= 1;
	assert_int_equal(
	        vault_hashing_verify(f.hashing, SLICE("me"), &f.verifier, SLICE("mailkeep")).code,
	        ERR_AUTH);
	assert_int_equal(vault_hashing_count(f.hashing) - before, 1);
	vault_hashing_free(f.hashing);
}

struct crowd {
	struct hashing_fixture *f;
	atomic_uint n_auth, n_busy, n_other;
};

static void *try_wrong(void *p)
{
	struct crowd *crowd = p;
	struct status status = vault_hashing_verify(crowd->f->hashing, SLICE("me"),
	                                            &crowd->f->verifier, SLICE("wrong"));
	atomic_fetch_add(status.code == ERR_AUTH   ? &crowd->n_auth
	                 : status.code == ERR_BUSY ? &crowd->n_busy
	                                           : &crowd->n_other,
	                 1);
	return NULL;
}

static void too_many_at_once_are_told_to_come_again(void **state)
{
	struct hashing_fixture f;
	struct crowd crowd = {.f = &f};
	pthread_t threads[40];
	(void)state;
	hashing_begin(&f, 1, 5, 65536);
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, try_wrong, &crowd), 0);
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.n_other, 0);
	assert_int_equal(crowd.n_auth + crowd.n_busy, N_ELEMENTS(threads));
	assert_true(crowd.n_auth >= 5);
	assert_true(crowd.n_busy > 0);
	assert_int_equal(
	        vault_hashing_verify(f.hashing, SLICE("me"), &f.verifier, SLICE("mailkeep")).code,
	        ERR_OK);
	vault_hashing_free(f.hashing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_printed_is_read_and_nothing_else),
	        cmocka_unit_test(costs_out_of_range_are_corrupt),
	        cmocka_unit_test(cram_digests_are_hmac_md5),
	        cmocka_unit_test(a_success_is_remembered_for_its_time_only),
	        cmocka_unit_test(too_many_at_once_are_told_to_come_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
