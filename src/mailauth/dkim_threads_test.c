/* Keys fetched by threads of their own while the body comes in: TSan looks on. */
#include "mailauth/dkim_testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define N_SIGNATURES 6
#define N_KEYS       3

struct fetch {
	struct dkim_verifier *v;
	size_t i;
	const struct dns_resolver *resolver;
	struct arena arena;
	pthread_t thread;
};

static void *fetch(void *argument)
{
	struct fetch *f = argument;
	struct mailauth_dns dns;
	testing_dns(&dns, f->resolver, &f->arena);
	dkim_verifier_fetch_key(f->v, f->i, &dns);
	return NULL;
}

static void keys_come_while_the_body_does(void **state)
{
	static const char message[] = "From: a@example.com\r\n\r\nline\r\nanother  line\r\n";
	struct testing_key keys[N_KEYS];
	struct dkim_sign_options options[N_SIGNATURES];
	struct dns_table table;
	struct buf signed_message;
	struct arena arena;
	struct dkim_verifier *v;
	struct fetch fetches[N_KEYS];
	static const char *const selectors[N_KEYS] = {"a", "b", "c"};
	(void)state;
	dns_table_init(&table);
	buf_init(&signed_message, MIB);
	arena_init(&arena, DKIM_VERIFIER_ARENA);
	for (size_t i = 0; i < N_KEYS; i++) {
		char name[64];
		testing_key_init(&keys[i], i % 2 ? DKIM_KEY_RSA : DKIM_KEY_ED25519);
		snprintf(name, sizeof(name), "%s._domainkey.example.com", selectors[i]);
		testing_tell(&table, name, buf_cstr(&keys[i].record));
	}
	for (size_t i = 0; i < N_SIGNATURES; i++)
		options[i] = (struct dkim_sign_options){
		        .domain = SLICE("example.com"),
		        .selector = slice_str(selectors[i % N_KEYS]),
		        .key = &keys[i % N_KEYS].signer,
		        .body_canon = i < N_KEYS ? DKIM_SIMPLE : DKIM_RELAXED};
	testing_sign(slice_str(message), options, N_SIGNATURES, &signed_message);
	struct slice all = buf_slice(&signed_message);
	assert_true(is_ok(dkim_verifier_new(
	        testing_header(all), &(struct dkim_options){.now_s = TESTING_NOW_S}, &arena, &v)));
	assert_int_equal(dkim_verifier_n_keys(v), N_KEYS);
	for (size_t i = 0; i < N_KEYS; i++) {
		fetches[i] = (struct fetch){.v = v, .i = i, .resolver = &table.resolver};
		arena_init(&fetches[i].arena, MAILAUTH_DNS_ARENA);
		assert_int_equal(pthread_create(&fetches[i].thread, NULL, fetch, &fetches[i]), 0);
	}
	struct slice body = testing_body(all);
	for (size_t at = 0; at < body.n; at++)
		dkim_verifier_feed(v, slice_sub(body, at, 1));
	for (size_t i = 0; i < N_KEYS; i++)
		pthread_join(fetches[i].thread, NULL);
	dkim_verifier_finish(v);
	for (size_t i = 0; i < N_SIGNATURES; i++)
		assert_int_equal(dkim_verifier_results(v).v[i].result, MAILAUTH_PASS);
	dkim_verifier_free(v);
	for (size_t i = 0; i < N_KEYS; i++) {
		arena_done(&fetches[i].arena);
		testing_key_done(&keys[i]);
	}
	arena_done(&arena);
	buf_done(&signed_message);
	dns_table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(keys_come_while_the_body_does),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
