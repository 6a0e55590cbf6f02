/* The cache of RSA keys: what it knows, forgets and gives to several at once. */
#include "mailauth/dkim_key_cache_private.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define THREADS 8
#define ROUNDS  300

static const uint8_t exponent[] = {1, 0, 1};

/* No key with which anything is signed; libcrypto takes any odd number. */
static struct dkim_key key_of(uint8_t modulus[256], unsigned number)
{
	memset(modulus, 0xa5, 256);
	modulus[100] = (uint8_t)number;
	modulus[101] = (uint8_t)(number >> 8);
	return (struct dkim_key){.type = DKIM_KEY_RSA,
	                         .bits = 2048,
	                         .modulus = slice_of(modulus, 256),
	                         .exponent = slice_of(exponent, sizeof(exponent)),
	                         .sha256 = true,
	                         .email = true};
}

static void get(struct dkim_key_cache *cache, unsigned number)
{
	uint8_t modulus[256];
	struct dkim_key key = key_of(modulus, number);
	struct dkim_public_key *public_key;
	assert_true(is_ok(dkim_key_cache_get(cache, &key, &public_key)));
	dkim_public_key_free(public_key);
}

static void a_key_is_taken_in_once(void **state)
{
	(void)state;
	struct dkim_key_cache *cache = dkim_key_cache_new();
	for (int i = 0; i < 5; i++)
		get(cache, 1);
	assert_int_equal(dkim_key_cache_n_missed(cache), 1);
	get(cache, 2);
	get(cache, 1);
	assert_int_equal(dkim_key_cache_n_missed(cache), 2);
	dkim_key_cache_free(cache);
	dkim_key_cache_free(NULL);
}

static void the_same_modulus_is_not_the_same_key(void **state)
{
	(void)state;
	static const uint8_t three[] = {3};
	struct dkim_key_cache *cache = dkim_key_cache_new();
	uint8_t modulus[256];
	struct dkim_key key = key_of(modulus, 1);
	struct dkim_public_key *public_key;
	get(cache, 1);
	key.exponent = slice_of(three, 1);
	assert_true(is_ok(dkim_key_cache_get(cache, &key, &public_key)));
	dkim_public_key_free(public_key);
	assert_int_equal(dkim_key_cache_n_missed(cache), 2);
	dkim_key_cache_free(cache);
}

static void the_longest_unused_goes_first(void **state)
{
	(void)state;
	struct dkim_key_cache *cache = dkim_key_cache_new();
	for (unsigned i = 0; i < DKIM_KEY_CACHE_MAX; i++)
		get(cache, i);
	get(cache, 0);
	get(cache, 1000); /* in the place of 1 */
	assert_int_equal(dkim_key_cache_n_missed(cache), DKIM_KEY_CACHE_MAX + 1);
	get(cache, 0);
	get(cache, 2);
	assert_int_equal(dkim_key_cache_n_missed(cache), DKIM_KEY_CACHE_MAX + 1);
	get(cache, 1);
	assert_int_equal(dkim_key_cache_n_missed(cache), DKIM_KEY_CACHE_MAX + 2);
	dkim_key_cache_free(cache);
}

static void what_is_no_key_is_not_kept(void **state)
{
	(void)state;
	struct dkim_key_cache *cache = dkim_key_cache_new();
	uint8_t modulus[256];
	struct dkim_key revoked = key_of(modulus, 1), large = key_of(modulus, 1);
	struct dkim_public_key *public_key = NULL;
	revoked.revoked = true;
	large.bits = DKIM_RSA_BITS_MAX + 1;
	assert_int_equal(dkim_key_cache_get(cache, &revoked, &public_key).code, ERR_INVALID);
	assert_int_equal(dkim_key_cache_get(cache, &large, &public_key).code, ERR_LIMIT);
	assert_null(public_key);
	get(cache, 1);
	assert_int_equal(dkim_key_cache_n_missed(cache), 2);
	dkim_key_cache_free(cache);
}

static void a_key_outlives_its_place(void **state)
{
	(void)state;
	static const uint8_t digest[DKIM_HASH_SIZE];
	struct dkim_key_cache *cache = dkim_key_cache_new();
	uint8_t modulus[256], signature[256] = {1};
	struct dkim_key key = key_of(modulus, 7);
	struct dkim_public_key *public_key;
	assert_true(is_ok(dkim_key_cache_get(cache, &key, &public_key)));
	dkim_key_cache_free(cache);
	assert_false(dkim_public_key_verify(public_key, digest, slice_of(signature, 256)));
	dkim_public_key_free(public_key);
}

static void *use(void *context)
{
	static const uint8_t digest[DKIM_HASH_SIZE];
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t modulus[256], signature[256] = {1};
		struct dkim_key key = key_of(modulus, i * 7 % (DKIM_KEY_CACHE_MAX + 16));
		struct dkim_public_key *public_key;
		assert_true(is_ok(dkim_key_cache_get(context, &key, &public_key)));
		(void)dkim_public_key_verify(public_key, digest, slice_of(signature, 256));
		dkim_public_key_free(public_key);
	}
	return NULL;
}

static void many_threads_use_it(void **state)
{
	(void)state;
	struct dkim_key_cache *cache = dkim_key_cache_new();
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use, cache), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	dkim_key_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_key_is_taken_in_once),
	        cmocka_unit_test(the_same_modulus_is_not_the_same_key),
	        cmocka_unit_test(the_longest_unused_goes_first),
	        cmocka_unit_test(what_is_no_key_is_not_kept),
	        cmocka_unit_test(a_key_outlives_its_place),
	        cmocka_unit_test(many_threads_use_it),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
