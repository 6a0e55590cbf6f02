/* The vault on a real directory: passwords, keys, secrets, damage. */
#include "vault/vault.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define KIB_SMALL 64 /* fast where the cost does not matter */

/* A clock that is set by hand. */
struct test_clock {
	struct clock clock;
	int64_t now_us;
};

static int64_t test_now_us(const struct clock *clock)
{
	return ((const struct test_clock *)clock)->now_us;
}

static int64_t test_monotonic_ms(const struct clock *clock)
{
	return ((const struct test_clock *)clock)->now_us / 1000;
}

struct fixture {
	char path[64];
	int dir_fd;
	struct test_clock clock;
	struct vault_options options;
	struct vault *vault;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	snprintf(f->path, sizeof(f->path), "/tmp/vault_test.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_true(is_ok(file_open_dir(AT_FDCWD, f->path, &f->dir_fd, NULL)));
	f->clock = (struct test_clock){{test_now_us, test_monotonic_ms}, 0};
	f->clock.now_us = clock_now_us(clock_real());
	f->options = (struct vault_options){
	        .dir_fd = f->dir_fd,
	        .clock = &f->clock.clock,
	        .argon2_kib = KIB_SMALL,
	        .argon2_passes = 1,
	        .scram_iterations = SASL_ITERATIONS_MIN,
	        .cram_md5 = true,
	};
	assert_true(is_ok(vault_open(&f->options, &f->vault, NULL)));
	return 0;
}

static void remove_tree(int dir_fd)
{
	static const char *const folders[] = {"passwords", "keys", "dkim", "secrets", "damaged"};
	for (size_t i = 0; i < N_ELEMENTS(folders); i++) {
		unlinkat(dir_fd, folders[i], AT_REMOVEDIR);
	}
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	CLEANUP(arena_done) struct arena arena;
	const struct slice *names;
	const struct vault_key_info *keys;
	const struct vault_dkim_info *dkim;
	size_t n;
	arena_init(&arena, (size_t)MIB);
	if (is_ok(vault_dkim_list(f->vault, slice_empty(), &dkim, &n, &arena)))
		for (size_t i = 0; i < n; i++)
			vault_dkim_remove(f->vault, dkim[i].domain, dkim[i].selector, NULL);
	if (is_ok(vault_password_list(f->vault, &names, &n, &arena)))
		for (size_t i = 0; i < n; i++)
			vault_password_remove(f->vault, names[i], NULL);
	if (is_ok(vault_key_list(f->vault, &keys, &n, &arena)))
		for (size_t i = 0; i < n; i++)
			vault_key_remove(f->vault, keys[i].id, NULL);
	if (is_ok(vault_secret_list(f->vault, &names, &n, &arena)))
		for (size_t i = 0; i < n; i++)
			vault_secret_remove(f->vault, names[i], NULL);
	vault_close(f->vault);
	unlinkat(f->dir_fd, "seed", 0);
	unlinkat(f->dir_fd, "nobody", 0);
	unlinkat(f->dir_fd, "damaged/k", 0);
	unlinkat(f->dir_fd, "damaged/a.example", 0);
	remove_tree(f->dir_fd);
	close(f->dir_fd);
	assert_int_equal(rmdir(f->path), 0); /* nothing else is left behind */
	base_free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	vault_close(f->vault);
	f->vault = NULL;
	assert_true(is_ok(vault_open(&f->options, &f->vault, NULL)));
}

/* --- passwords --- */

static void passwords_are_verified_and_outlive_a_restart(void **state)
{
	struct fixture *f = *state;
	for (int round = 0; round < 2; round++) {
		if (round == 0)
			assert_true(is_ok(vault_password_set(f->vault, SLICE("me"),
			                                     SLICE("mailkeep"), NULL)));
		assert_true(is_ok(vault_verify_plain(f->vault, SLICE("me"), SLICE("mailkeep"))));
		assert_int_equal(vault_verify_plain(f->vault, SLICE("me"), SLICE("Mailkeep")).code,
		                 ERR_AUTH);
		assert_int_equal(vault_verify_plain(f->vault, SLICE("me"), SLICE("")).code,
		                 ERR_AUTH);
		assert_int_equal(vault_verify_plain(f->vault, SLICE("you"), SLICE("mailkeep")).code,
		                 ERR_AUTH);
		assert_int_equal(vault_verify_plain(f->vault, SLICE(""), SLICE("mailkeep")).code,
		                 ERR_AUTH);
		reopen(f);
	}
}

static void a_new_password_replaces_the_old_at_once(void **state)
{
	struct fixture *f = *state;
	assert_true(is_ok(vault_password_set(f->vault, SLICE("me"), SLICE("first one"), NULL)));
	assert_true(is_ok(vault_verify_plain(f->vault, SLICE("me"), SLICE("first one"))));
	assert_true(is_ok(vault_password_set(f->vault, SLICE("me"), SLICE("second"), NULL)));
	assert_int_equal(vault_verify_plain(f->vault, SLICE("me"), SLICE("first one")).code,
	                 ERR_AUTH);
	assert_true(is_ok(vault_verify_plain(f->vault, SLICE("me"), SLICE("second"))));
	assert_true(is_ok(vault_password_remove(f->vault, SLICE("me"), NULL)));
	assert_int_equal(vault_verify_plain(f->vault, SLICE("me"), SLICE("second")).code, ERR_AUTH);
	assert_int_equal(vault_password_remove(f->vault, SLICE("me"), NULL).code, ERR_NOT_FOUND);
}

static void strange_names_and_passwords_are_refused_or_kept_apart(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {
	        "../seed", ".hidden", "a/b",       "\xc3\xa9t\xc3\xa9", "A",
	        "a",       "a%2Fb",   "user name", "x@example.org"};
	CLEANUP(arena_done) struct arena arena;
	const struct slice *listed;
	size_t n;
	arena_init(&arena, (size_t)MIB);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		char password[32];
		snprintf(password, sizeof(password), "password %zu", i);
		assert_true(is_ok(vault_password_set(f->vault, slice_str(names[i]),
		                                     slice_str(password), NULL)));
	}
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		char password[32];
		snprintf(password, sizeof(password), "password %zu", i);
		assert_true(is_ok(
		        vault_verify_plain(f->vault, slice_str(names[i]), slice_str(password))));
	}
	assert_true(is_ok(vault_password_list(f->vault, &listed, &n, &arena)));
	assert_int_equal(n, N_ELEMENTS(names));
	assert_true(slice_eq_str(listed[0], "../seed"));
	static const struct {
		struct slice name, password;
	} bad[] = {
	        {SLICE(""), SLICE("password")},
	        {SLICE("0123456789012345678901234567890123456789012345678901234567890123456789"),
	         SLICE("password")},
	        {SLICE("me"), SLICE("")},
	        {SLICE("me"), SLICE("with\x00nul")},
	        {SLICE("me"), SLICE("tab\there")},
	        {SLICE("me"), SLICE("not utf-8 \xff")},
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(
		        vault_password_set(f->vault, bad[i].name, bad[i].password, NULL).code,
		        ERR_INVALID);
	assert_int_equal(vault_verify_plain(f->vault, SLICE("nobody"), SLICE("x")).code, ERR_AUTH);
}

static void a_damaged_file_is_corrupt_not_a_wrong_password(void **state)
{
	struct fixture *f = *state;
	CLEANUP(arena_done) struct arena arena;
	struct slice text;
	arena_init(&arena, (size_t)MIB);
	assert_true(is_ok(vault_password_set(f->vault, SLICE("me"), SLICE("mailkeep"), NULL)));
	assert_true(is_ok(file_read(f->dir_fd, "passwords/me", 10000, &arena, &text, NULL)));
	struct stat st;
	assert_int_equal(fstatat(f->dir_fd, "passwords/me", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	uint8_t *copy = base_alloc(text.n);
	for (size_t i = 0; i < text.n; i += 7) {
		memcpy(copy, text.p, text.n);
		copy[i] ^= 1;
		assert_true(is_ok(file_replace(f->dir_fd, "passwords/me", slice_of(copy, text.n),
		                               0600, NULL)));
		assert_int_equal(vault_verify_plain(f->vault, SLICE("me"), SLICE("mailkeep")).code,
		                 ERR_CORRUPT);
		assert_true(is_ok(
		        file_replace(f->dir_fd, "passwords/me", slice_of(text.p, i), 0600, NULL)));
		assert_int_equal(vault_verify_plain(f->vault, SLICE("me"), SLICE("mailkeep")).code,
		                 ERR_CORRUPT);
	}
	base_free(copy);
}

static void scram_works_and_strangers_get_stable_answers(void **state)
{
	struct fixture *f = *state;
	static const enum sasl_hash hashes[] = {SASL_SHA1, SASL_SHA256};
	assert_true(is_ok(vault_password_set(f->vault, SLICE("me"), SLICE("mailkeep"), NULL)));
	for (size_t i = 0; i < 2; i++) {
		uint8_t salt[SASL_SALT_MAX], again[SASL_SALT_MAX], other[SASL_SALT_MAX];
		uint8_t proof[SASL_HASH_MAX], expected[SASL_HASH_MAX], signature[SASL_HASH_MAX];
		size_t n, n_again;
		uint32_t iterations, iterations_again;
		struct slice text = SLICE("n=me,r=a,r=ab,s=x,i=1,c=biws,r=ab");
		size_t size = sasl_hash_size(hashes[i]);
		assert_true(
		        is_ok(vault_scram_parameters(f->vault, SLICE("me"), SLICE("me@localhost"),
		                                     hashes[i], salt, &n, &iterations)));
		assert_true(is_ok(sasl_scram_prove(hashes[i], SLICE("mailkeep"), slice_of(salt, n),
		                                   iterations, text, proof, expected)));
		assert_true(is_ok(vault_scram_verify(f->vault, SLICE("me"), hashes[i], text,
		                                     slice_of(proof, size), signature)));
		assert_memory_equal(signature, expected, size);
		assert_int_equal(vault_scram_verify(f->vault, SLICE("you"), hashes[i], text,
		                                    slice_of(proof, size), signature)
		                         .code,
		                 ERR_AUTH);
		proof[0] ^= 1;
		assert_int_equal(vault_scram_verify(f->vault, SLICE("me"), hashes[i], text,
		                                    slice_of(proof, size), signature)
		                         .code,
		                 ERR_AUTH);
		assert_true(
		        is_ok(vault_scram_parameters(f->vault, SLICE(""), SLICE("you"), hashes[i],
		                                     again, &n_again, &iterations_again)));
		assert_int_equal(n_again, n);
		assert_int_equal(iterations_again, iterations);
		reopen(f);
		assert_true(is_ok(vault_scram_parameters(f->vault, SLICE(""), SLICE("you"),
		                                         hashes[i], other, &n, &iterations)));
		assert_memory_equal(again, other, n);
		assert_true(is_ok(vault_scram_parameters(f->vault, SLICE(""), SLICE("them"),
		                                         hashes[i], other, &n, &iterations)));
		assert_memory_not_equal(again, other, n);
	}
}

static void nobody_costs_what_a_new_account_costs(void **state)
{
	struct fixture *f = *state;
	uint8_t salt[SASL_SALT_MAX];
	size_t n;
	uint32_t iterations, stranger;
	f->options.scram_iterations = SASL_ITERATIONS_MIN + 1;
	reopen(f);
	assert_true(is_ok(vault_password_set(f->vault, SLICE("me"), SLICE("mailkeep"), NULL)));
	assert_true(is_ok(vault_scram_parameters(f->vault, SLICE("me"), SLICE("me"), SASL_SHA256,
	                                         salt, &n, &iterations)));
	assert_true(is_ok(vault_scram_parameters(f->vault, SLICE("you"), SLICE("you"), SASL_SHA256,
	                                         salt, &n, &stranger)));
	assert_int_equal(iterations, SASL_ITERATIONS_MIN + 1);
	assert_int_equal(stranger, iterations);
}

static void cram_md5_works_where_it_is_allowed(void **state)
{
	struct fixture *f = *state;
	/* The example of RFC 2195 section 2. */
	struct slice challenge = SLICE("<1896.697170952@postoffice.reston.mci.net>");
	static const uint8_t digest[16] = {0xb9, 0x13, 0xa6, 0x02, 0xc7, 0xed, 0xa7, 0xa4,
	                                   0x95, 0xb4, 0xe6, 0xe7, 0x33, 0x4d, 0x38, 0x90};
	static const uint8_t wrong[16] = {0};
	assert_true(
	        is_ok(vault_password_set(f->vault, SLICE("tim"), SLICE("tanstaaftanstaaf"), NULL)));
	assert_true(is_ok(vault_cram_md5_verify(f->vault, SLICE("tim"), challenge, digest)));
	assert_int_equal(vault_cram_md5_verify(f->vault, SLICE("tim"), challenge, wrong).code,
	                 ERR_AUTH);
	assert_int_equal(vault_cram_md5_verify(f->vault, SLICE("tom"), challenge, digest).code,
	                 ERR_AUTH);
	f->options.cram_md5 = false;
	reopen(f);
	assert_true(
	        is_ok(vault_password_set(f->vault, SLICE("tim"), SLICE("tanstaaftanstaaf"), NULL)));
	assert_int_equal(vault_cram_md5_verify(f->vault, SLICE("tim"), challenge, digest).code,
	                 ERR_AUTH);
}

struct crowd {
	struct vault *vault;
	atomic_uint n_good, n_wrong, n_other;
};

static void *log_in_often(void *p)
{
	struct crowd *crowd = p;
	for (int i = 0; i < 20; i++) {
		bool right = i % 2 == 0;
		struct status status = vault_verify_plain(
		        crowd->vault, SLICE("me"), right ? SLICE("mailkeep") : SLICE("wrong"));
		if (is_ok(status) && right)
			atomic_fetch_add(&crowd->n_good, 1);
		else if (status.code == ERR_AUTH && !right)
			atomic_fetch_add(&crowd->n_wrong, 1);
		else
			atomic_fetch_add(&crowd->n_other, 1);
	}
	return NULL;
}

static void many_threads_log_in_at_once(void **state)
{
	struct fixture *f = *state;
	struct crowd crowd = {.vault = f->vault};
	pthread_t threads[8];
	assert_true(is_ok(vault_password_set(f->vault, SLICE("me"), SLICE("mailkeep"), NULL)));
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_often, &crowd), 0);
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.n_good, 80);
	assert_int_equal(crowd.n_wrong, 80);
	assert_int_equal(crowd.n_other, 0);
}

/* --- keys --- */

static struct slice handshake_text(void)
{
	static uint8_t text[64 + 34 + 32];
	memset(text, ' ', 64);
	memcpy(text + 64, "TLS 1.3, server CertificateVerify", 34);
	return slice_of(text, sizeof(text));
}

static const struct vault_key_info *only_key(struct fixture *f, struct arena *arena)
{
	const struct vault_key_info *keys;
	size_t n;
	assert_true(is_ok(vault_key_list(f->vault, &keys, &n, arena)));
	assert_int_equal(n, 1);
	return keys;
}

static void a_self_signed_key_is_made_once_and_renewed_in_time(void **state)
{
	struct fixture *f = *state;
	CLEANUP(arena_done) struct arena arena;
	const struct slice names[] = {SLICE("mail.example.org"), SLICE("192.0.2.1")};
	uint8_t signature[TLS_SIGNATURE_MAX];
	size_t n;
	arena_init(&arena, (size_t)MIB);
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("default"), names, 2, NULL)));
	struct slice first = only_key(f, &arena)->chain_pem;
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("default"), names, 2, NULL)));
	reopen(f);
	const struct vault_key_info *key = only_key(f, &arena);
	assert_true(slice_eq(key->chain_pem, first));
	assert_true(key->self_signed);
	assert_int_equal(key->n_names, 2);
	assert_true(slice_eq_str(key->names[1], "192.0.2.1"));
	assert_true(is_ok(vault_key_sign(f->vault, SLICE("default"), TLS_SIGN_ECDSA_SHA256,
	                                 handshake_text(), signature, sizeof(signature), &n)));
	assert_true(is_ok(vault_key_renew(f->vault, &n, NULL)));
	assert_int_equal(n, 0);
	f->clock.now_us += (int64_t)370 * 86400 * 1000000;
	assert_true(is_ok(vault_key_renew(f->vault, &n, NULL)));
	assert_int_equal(n, 1);
	assert_true(only_key(f, &arena)->not_after_s > key->not_after_s);
	assert_true(is_ok(vault_key_renew(f->vault, &n, NULL)));
	assert_int_equal(n, 0);
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("default"), names, 1, NULL)));
	assert_int_equal(only_key(f, &arena)->n_names, 1);
	/* Through all of that it was one key, which TLSA records may name. */
	struct tls_certificate_info before, after;
	assert_true(is_ok(tls_certificate_read(first, "first", &before, &arena)));
	struct slice last = only_key(f, &arena)->chain_pem;
	assert_true(is_ok(tls_certificate_read(last, "last", &after, &arena)));
	assert_false(slice_eq(before.fingerprint, after.fingerprint));
	assert_true(slice_eq(before.key_fingerprint, after.key_fingerprint));
}

static void only_handshakes_are_signed(void **state)
{
	struct fixture *f = *state;
	const struct slice names[] = {SLICE("mail.example.org")};
	uint8_t signature[TLS_SIGNATURE_MAX];
	size_t n;
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("k"), names, 1, NULL)));
	static const struct {
		const char *id;
		enum tls_sign_scheme scheme;
		bool handshake;
		enum err code;
	} cases[] = {
	        {"k", TLS_SIGN_ECDSA_SHA256, true, ERR_OK},
	        {"k", TLS_SIGN_ECDSA_SHA256, false, ERR_DENIED},
	        {"other", TLS_SIGN_ECDSA_SHA256, true, ERR_NOT_FOUND},
	        {"", TLS_SIGN_ECDSA_SHA256, true, ERR_NOT_FOUND},
	        {"k", TLS_SIGN_RSA_PSS_SHA256, true, ERR_INVALID},
	        {"k", TLS_SIGN_ED25519, true, ERR_INVALID},
	        {"k", (enum tls_sign_scheme)0x0201, true, ERR_INVALID},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice text = handshake_text();
		if (!cases[i].handshake)
			text = SLICE(
			        "a certificate request that somebody wants signed, which is "
			        "longer than sixty-four bytes so that it has a length like one");
		assert_int_equal(vault_key_sign(f->vault, slice_str(cases[i].id), cases[i].scheme,
		                                text, signature, sizeof(signature), &n)
		                         .code,
		                 cases[i].code);
	}
	assert_int_equal(vault_key_sign(f->vault, SLICE("k"), TLS_SIGN_ECDSA_SHA256,
	                                handshake_text(), signature, 10, &n)
	                         .code,
	                 ERR_LIMIT);
}

static void make_pair(enum tls_key_type type, struct buf *key_pem, struct buf *chain_pem)
{
	struct tls_key *key;
	struct slice name = SLICE("imported.example");
	assert_true(is_ok(tls_key_generate(type, &key)));
	assert_true(is_ok(tls_key_to_pem(key, key_pem)));
	assert_true(is_ok(tls_certificate_self_sign(key, &name, 1, clock_now_s(clock_real()), 30,
	                                            chain_pem)));
	tls_key_free(key);
}

static void imports_are_checked(void **state)
{
	struct fixture *f = *state;
	struct buf key1, chain1, key2, chain2;
	CLEANUP(arena_done) struct arena arena;
	struct os_fault fault;
	arena_init(&arena, (size_t)MIB);
	buf_init(&key1, TLS_PEM_MAX);
	buf_init(&key2, TLS_PEM_MAX);
	buf_init(&chain1, TLS_PEM_MAX);
	buf_init(&chain2, TLS_PEM_MAX);
	make_pair(TLS_KEY_RSA_2048, &key1, &chain1);
	make_pair(TLS_KEY_EC_P384, &key2, &chain2);
	const struct {
		struct slice key, chain;
		const char *why; /* NULL: good */
	} cases[] = {
	        {buf_slice(&key1), buf_slice(&chain2),
	         "certificate: certificate was made for another private key"},
	        {buf_slice(&chain1), buf_slice(&chain1),
	         "private key: file holds a certificate but no private key"},
	        {SLICE("hello"), buf_slice(&chain1),
	         "private key: no private key in PEM form found"},
	        {buf_slice(&key1), SLICE("hello"), "certificate: no certificate in PEM form found"},
	        {buf_slice(&key1), SLICE(""), "certificate chain is missing or too long"},
	        {slice_sub(buf_slice(&key1), 0, 500), buf_slice(&chain1),
	         "private key: private key is damaged"},
	        {buf_slice(&key1), buf_slice(&chain1), NULL},
	        {buf_slice(&key2), buf_slice(&chain2), NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct status status = vault_key_import(f->vault, SLICE("k"), cases[i].key,
		                                        cases[i].chain, &fault);
		assert_int_equal(is_ok(status), !cases[i].why);
		if (cases[i].why)
			assert_string_equal(fault.text, cases[i].why);
	}
	struct slice name = SLICE("x.example");
	assert_int_equal(vault_key_self_signed(f->vault, SLICE("k"), &name, 1, NULL).code,
	                 ERR_EXISTS);
	assert_int_equal(vault_key_set_chain(f->vault, SLICE("k"), buf_slice(&chain1), &fault).code,
	                 ERR_INVALID);
	assert_true(is_ok(vault_key_set_chain(f->vault, SLICE("k"), buf_slice(&chain2), &fault)));
	assert_true(slice_eq_str(only_key(f, &arena)->names[0], "imported.example"));
	assert_int_equal(vault_key_generate(f->vault, SLICE("k"), TLS_KEY_ED25519, NULL).code,
	                 ERR_EXISTS);
	assert_true(is_ok(vault_key_remove(f->vault, SLICE("k"), NULL)));
	assert_int_equal(vault_key_remove(f->vault, SLICE("k"), NULL).code, ERR_NOT_FOUND);
	assert_true(is_ok(vault_key_generate(f->vault, SLICE("k"), TLS_KEY_ED25519, NULL)));
	reopen(f);
	assert_int_equal(only_key(f, &arena)->chain_pem.n, 0);
	buf_done(&key1);
	buf_done(&key2);
	buf_done(&chain1);
	buf_done(&chain2);
}

struct damage {
	char id[32], why[128];
	unsigned n;
};

static void note_damage(void *context, struct slice id, const char *why)
{
	struct damage *damage = context;
	snprintf(damage->id, sizeof(damage->id), "%.*s", SLICE_FMT(id));
	snprintf(damage->why, sizeof(damage->why), "%s", why);
	damage->n++;
}

/* The others serve on; the damaged one is named, kept, and its place is free for a new one. */
static void a_damaged_key_is_put_aside_and_named(void **state)
{
	struct fixture *f = *state;
	const struct slice names[] = {SLICE("mail.example.org")};
	struct damage damage = {.n = 0};
	CLEANUP(arena_done) struct arena arena;
	arena_init(&arena, (size_t)1024 * 1024);
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("good"), names, 1, NULL)));
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("k"), names, 1, NULL)));
	assert_true(
	        is_ok(file_replace(f->dir_fd, "keys/k", SLICE("mailkeep-key 2 x\n"), 0600, NULL)));
	f->options.damaged = note_damage;
	f->options.context = &damage;
	reopen(f);
	assert_int_equal(damage.n, 1);
	assert_string_equal(damage.id, "k");
	assert_string_equal(damage.why,
	                    "file is damaged, of another kind or of a newer version: keys/k");
	assert_true(slice_eq(only_key(f, &arena)->id, SLICE("good")));
	struct slice kept;
	assert_true(is_ok(file_read(f->dir_fd, "damaged/k", 1000, &arena, &kept, NULL)));
	assert_true(slice_eq(kept, SLICE("mailkeep-key 2 x\n")));
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("k"), names, 1, NULL)));
	damage.n = 0;
	reopen(f);
	assert_int_equal(damage.n, 0);
}

struct signing {
	struct vault *vault;
	atomic_bool stop;
	atomic_uint n_signed, n_failed;
};

static void *sign_often(void *p)
{
	struct signing *signing = p;
	uint8_t signature[TLS_SIGNATURE_MAX];
	uint8_t text[64 + 34 + 32];
	size_t n;
	memset(text, ' ', 64);
	memcpy(text + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(text + 98, 1, 32);
	while (!atomic_load(&signing->stop)) {
		struct status status = vault_key_sign(
		        signing->vault, SLICE("k"), TLS_SIGN_ECDSA_SHA256,
		        slice_of(text, sizeof(text)), signature, sizeof(signature), &n);
		atomic_fetch_add(is_ok(status) ? &signing->n_signed : &signing->n_failed, 1);
	}
	return NULL;
}

static void keys_change_while_they_sign(void **state)
{
	struct fixture *f = *state;
	struct signing signing = {.vault = f->vault};
	pthread_t threads[2];
	const struct slice names[] = {SLICE("a.example"), SLICE("b.example")};
	assert_true(is_ok(vault_key_self_signed(f->vault, SLICE("k"), names, 1, NULL)));
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &signing), 0);
	for (size_t i = 0; i < 20; i++)
		assert_true(
		        is_ok(vault_key_self_signed(f->vault, SLICE("k"), names, 1 + i % 2, NULL)));
	atomic_store(&signing.stop, true);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(signing.n_signed > 0);
	assert_int_equal(signing.n_failed, 0);
}

/* --- DKIM keys --- */

#define DIGEST "0123456789abcdef0123456789abcdef"

/* By nothing of ours: the public key from the list. */
static bool is_signature(struct slice public_key, struct slice signature)
{
	const unsigned char *der = public_key.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)public_key.n);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool good;
	if (EVP_PKEY_is_a(key, "RSA"))
		good = EVP_PKEY_verify_init(context) == 1 &&
		       EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
		       EVP_PKEY_verify(context, signature.p, signature.n, (const uint8_t *)DIGEST,
		                       32) == 1;
	else
		good = EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1 &&
		       EVP_DigestVerify(md, signature.p, signature.n, (const uint8_t *)DIGEST,
		                        32) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(key);
	return good;
}

static void assert_signs(struct fixture *f, struct slice domain, struct slice selector, bool can)
{
	const struct vault_dkim_info *keys;
	CLEANUP(arena_done) struct arena arena;
	uint8_t signature[1024];
	size_t n, n_signature = 0;
	bool is_ed25519 = false;
	arena_init(&arena, (size_t)MIB);
	struct status status =
	        vault_dkim_sign(f->vault, domain, selector, (const uint8_t *)DIGEST, signature,
	                        sizeof(signature), &n_signature, &is_ed25519);
	assert_int_equal(status.code, can ? ERR_OK : ERR_NOT_FOUND);
	assert_true(is_ok(vault_dkim_list(f->vault, domain, &keys, &n, &arena)));
	bool listed = false;
	for (size_t i = 0; i < n; i++) {
		assert_true(slice_eq(keys[i].domain, domain));
		if (!slice_eq(keys[i].selector, selector))
			continue;
		listed = true;
		assert_true(is_signature(keys[i].public_key, slice_of(signature, n_signature)));
		assert_int_equal(is_ed25519, n_signature == 64);
		assert_int_equal(keys[i].created_s, f->clock.now_us / 1000000);
	}
	assert_int_equal(listed, can);
}

static void dkim_keys_sign_and_stay(void **state)
{
	struct fixture *f = *state;
	struct slice a = SLICE("a.example"), b = SLICE("b.example");
	struct slice first = SLICE("2026a"), second = SLICE("2026_b-x");
	assert_true(is_ok(vault_dkim_generate(f->vault, a, first, TLS_KEY_ED25519, NULL)));
	assert_true(is_ok(vault_dkim_generate(f->vault, a, second, TLS_KEY_RSA_2048, NULL)));
	assert_true(is_ok(vault_dkim_generate(f->vault, b, first, TLS_KEY_ED25519, NULL)));
	for (int i = 0; i < 2; i++) {
		assert_signs(f, a, first, true);
		assert_signs(f, a, second, true);
		assert_signs(f, b, first, true);
		assert_signs(f, b, second, false);
		assert_signs(f, SLICE("c.example"), first, false);
		reopen(f);
	}
	assert_int_equal(vault_dkim_generate(f->vault, a, first, TLS_KEY_ED25519, NULL).code,
	                 ERR_EXISTS);
	assert_true(is_ok(vault_dkim_remove(f->vault, a, first, NULL)));
	assert_int_equal(vault_dkim_remove(f->vault, a, first, NULL).code, ERR_NOT_FOUND);
	assert_true(is_ok(vault_dkim_remove(f->vault, b, first, NULL)));
	for (int i = 0; i < 2; i++) {
		assert_signs(f, a, first, false);
		assert_signs(f, a, second, true);
		assert_signs(f, b, first, false);
		reopen(f);
	}
	assert_int_equal(faccessat(f->dir_fd, "dkim/b.example", F_OK, 0), -1);
}

static void bad_dkim_keys_are_refused(void **state)
{
	struct fixture *f = *state;
	char long_domain[300];
	memset(long_domain, 'a', sizeof(long_domain));
	const struct {
		struct slice domain, selector;
		enum tls_key_type type;
	} cases[] = {
	        {SLICE(""), SLICE("s"), TLS_KEY_ED25519},
	        {SLICE("a.example"), SLICE(""), TLS_KEY_ED25519},
	        {SLICE("A.example"), SLICE("s"), TLS_KEY_ED25519},
	        {SLICE("a/../b"), SLICE("s"), TLS_KEY_ED25519},
	        {SLICE("a.example"), SLICE("s.t"), TLS_KEY_ED25519},
	        {SLICE("a.example"), SLICE("S"), TLS_KEY_ED25519},
	        {SLICE("a.example"), SLICE("s\nt"), TLS_KEY_ED25519},
	        {SLICE("a.example"), slice_of(long_domain, 64), TLS_KEY_ED25519},
	        {slice_of(long_domain, 254), SLICE("s"), TLS_KEY_ED25519},
	        {SLICE("a.example"), SLICE("s"), TLS_KEY_EC_P256},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct os_fault fault = {0};
		assert_int_equal(vault_dkim_generate(f->vault, cases[i].domain, cases[i].selector,
		                                     cases[i].type, &fault)
		                         .code,
		                 ERR_INVALID);
		assert_true(fault.text[0] != 0);
	}
	assert_int_equal(
	        vault_dkim_import(f->vault, SLICE("a.example"), SLICE("s"), SLICE("x"), NULL).code,
	        ERR_INVALID);
}

static void a_damaged_dkim_file_is_put_aside(void **state)
{
	struct fixture *f = *state;
	struct slice a = SLICE("a.example"), b = SLICE("b.example"), s = SLICE("s");
	assert_true(is_ok(vault_dkim_generate(f->vault, a, s, TLS_KEY_ED25519, NULL)));
	assert_true(is_ok(vault_dkim_generate(f->vault, b, s, TLS_KEY_ED25519, NULL)));
	assert_true(
	        is_ok(file_replace(f->dir_fd, "dkim/a.example", SLICE("rubbish\n"), 0600, NULL)));
	reopen(f);
	assert_signs(f, a, s, false);
	assert_signs(f, b, s, true);
	assert_int_equal(faccessat(f->dir_fd, "damaged/a.example", F_OK, 0), 0);
}

/* --- secrets --- */

static void secrets_are_kept(void **state)
{
	struct fixture *f = *state;
	struct secret secret;
	CLEANUP(arena_done) struct arena arena;
	const struct slice *names;
	size_t n;
	arena_init(&arena, (size_t)MIB);
	assert_int_equal(vault_secret_get(f->vault, SLICE("relay"), &secret, NULL).code,
	                 ERR_NOT_FOUND);
	assert_true(is_ok(vault_secret_set(f->vault, SLICE("relay"), SLICE("s3\x00kret\n"), NULL)));
	assert_true(is_ok(vault_secret_set(f->vault, SLICE("empty"), SLICE(""), NULL)));
	assert_true(is_ok(vault_secret_get(f->vault, SLICE("relay"), &secret, NULL)));
	assert_true(slice_eq(secret_slice(&secret), SLICE("s3\x00kret\n")));
	secret_done(&secret);
	assert_true(is_ok(vault_secret_get(f->vault, SLICE("empty"), &secret, NULL)));
	assert_int_equal(secret.n, 0);
	secret_done(&secret);
	assert_true(is_ok(vault_secret_list(f->vault, &names, &n, &arena)));
	assert_int_equal(n, 2);
	uint8_t *large = base_alloc(VAULT_SECRET_MAX + 1);
	assert_int_equal(vault_secret_set(f->vault, SLICE("large"),
	                                  slice_of(large, VAULT_SECRET_MAX + 1), NULL)
	                         .code,
	                 ERR_LIMIT);
	base_free(large);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(passwords_are_verified_and_outlive_a_restart),
	        TEST(a_new_password_replaces_the_old_at_once),
	        TEST(strange_names_and_passwords_are_refused_or_kept_apart),
	        TEST(a_damaged_file_is_corrupt_not_a_wrong_password),
	        TEST(scram_works_and_strangers_get_stable_answers),
	        TEST(nobody_costs_what_a_new_account_costs),
	        TEST(cram_md5_works_where_it_is_allowed),
	        TEST(many_threads_log_in_at_once),
	        TEST(a_self_signed_key_is_made_once_and_renewed_in_time),
	        TEST(only_handshakes_are_signed),
	        TEST(imports_are_checked),
	        TEST(a_damaged_key_is_put_aside_and_named),
	        TEST(keys_change_while_they_sign),
	        TEST(dkim_keys_sign_and_stay),
	        TEST(bad_dkim_keys_are_refused),
	        TEST(a_damaged_dkim_file_is_put_aside),
	        TEST(secrets_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
