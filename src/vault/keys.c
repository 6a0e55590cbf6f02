/* TLS private keys with their certificate chains, one file each, all in memory.
 *
 * Content of keys/ID, lines ended by LF:
 *
 *	origin self-signed | imported | generated
 *	key-size N
 *	name NAME                 (self-signed: what it was made for; any number)
 *	(an empty line)
 *	N bytes of PEM: the private key, then PEM of the chain up to the end
 *
 * A key in use is never changed: a change makes a new object and swaps it in under the lock, so
 * signing holds the lock for reading only. Renewal keeps the key, so that TLSA records stay valid.
 */
#include "os/file.h"
#include "vault/vault_private.h"

#include "base/cursor.h"
#include "vault/sealed_file.h"

#include <openssl/crypto.h>

#define SELF_SIGNED_DAYS 397U
#define RENEW_BEFORE_S   ((int64_t)30 * 86400)
#define CONTENT_MAX      SEALED_FILE_MAX
#define INFO_MAX         ((size_t)256 * 1024) /* bytes of names and texts of one key */

enum origin {
	ORIGIN_SELF_SIGNED,
	ORIGIN_IMPORTED,
	ORIGIN_GENERATED,
};

static const char *const origin_names[] = {
        [ORIGIN_SELF_SIGNED] = "self-signed",
        [ORIGIN_IMPORTED] = "imported",
        [ORIGIN_GENERATED] = "generated",
};

struct vault_key {
	struct arena arena; /* holds the slices below */
	struct slice id;
	enum origin origin;
	struct tls_key *key;
	struct slice chain;           /* PEM, may be empty */
	const struct slice *made_for; /* the names that were asked for */
	size_t n_made_for;
	struct tls_certificate_info cert; /* zero without a chain */
};

static void key_free(struct vault_key *key)
{
	if (!key)
		return;
	tls_key_free(key->key);
	arena_done(&key->arena);
	base_free(key);
}

/* Ends a key that cannot be used. `why` may lie in its arena or another that ends: the fault gets
 * the text, the status a general one. */
static struct status discard(struct vault_key *key, struct status status,
                             struct os_fault *ret_fault)
{
	(void)os_refuse(ret_fault, status.code, status.why, NULL);
	key_free(key);
	return fail(status.code, "key or certificate cannot be used");
}

/* --- content of a file --- */

static struct status print_key(const struct vault_key *key, struct secret *out)
{
	struct buf pem, text;
	buf_init(&pem, CONTENT_MAX);
	buf_init(&text, CONTENT_MAX);
	buf_reserve(&pem, 8192); /* a key is shorter: neither buffer moves and leaves a copy */
	buf_reserve(&text, CONTENT_MAX);
	struct status status = tls_key_to_pem(key->key, &pem);
	buf_printf(&text, "origin %s\nkey-size %zu\n", origin_names[key->origin], pem.n);
	for (size_t i = 0; i < key->n_made_for; i++) {
		buf_add_str(&text, "name ");
		buf_add_line_safe(&text, key->made_for[i]);
		buf_add_byte(&text, '\n');
	}
	buf_add_byte(&text, '\n');
	buf_add(&text, buf_slice(&pem));
	buf_add(&text, key->chain);
	if (is_ok(status) && buf_failed(&text))
		status = fail(ERR_LIMIT, "key and certificates are too long");
	if (is_ok(status)) {
		secret_init(out, text.n);
		status = secret_set(out, buf_slice(&text));
	}
	OPENSSL_cleanse(pem.p, pem.capacity);
	OPENSSL_cleanse(text.p, text.capacity);
	buf_done(&pem);
	buf_done(&text);
	return status;
}

static bool is_line_byte(uint8_t c)
{
	return c != '\n';
}

static struct slice parse_line(struct cursor *c, const char *name)
{
	if (!cursor_skip_text(c, name))
		cursor_fail(c, "line is missing");
	struct slice value = cursor_while(c, is_line_byte);
	cursor_expect(c, '\n', "line does not end");
	return value;
}

static void parse_origin(struct cursor *c, struct vault_key *key)
{
	struct slice text = parse_line(c, "origin ");
	for (size_t i = 0; i < N_ELEMENTS(origin_names); i++) {
		if (slice_eq_str(text, origin_names[i])) {
			key->origin = (enum origin)i;
			return;
		}
	}
	cursor_fail(c, "origin is unknown");
}

static void parse_names(struct cursor *c, struct vault_key *key)
{
	struct slice *names = ARENA_ARRAY(&key->arena, TLS_CERT_NAMES_MAX, struct slice);
	size_t n = 0;
	while (names && cursor_ok(c) && cursor_peek(c) == 'n') {
		struct slice name = parse_line(c, "name ");
		if (n == TLS_CERT_NAMES_MAX)
			cursor_fail(c, "too many names");
		else
			names[n++] = arena_copy(&key->arena, name);
	}
	key->made_for = names;
	key->n_made_for = n;
}

/* Reads certificate facts and sees that they belong to the key. */
static struct status read_chain(struct vault_key *key, const char *source, struct arena *arena)
{
	if (key->chain.n == 0)
		return ok();
	TRY(tls_certificate_read(key->chain, source, &key->cert, &key->arena));
	return tls_certificate_check_key(key->chain, key->key, source, arena);
}

static struct status parse_key(struct slice content, const char *source, struct vault_key *key,
                               struct arena *arena)
{
	struct cursor c = cursor_of(content);
	parse_origin(&c, key);
	uint32_t size = 0;
	if (!slice_to_u32(parse_line(&c, "key-size "), (uint32_t)TLS_PEM_MAX, &size))
		cursor_fail(&c, "size is not a number");
	parse_names(&c, key);
	cursor_expect(&c, '\n', "empty line is missing");
	struct slice pem = cursor_take(&c, size);
	if (!cursor_ok(&c))
		return fail(ERR_CORRUPT, c.why);
	TRY(tls_key_from_pem(pem, source, &key->key, arena));
	key->chain = arena_copy(&key->arena, cursor_rest(&c));
	return read_chain(key, source, arena);
}

static struct vault_key *key_new(struct slice id)
{
	struct vault_key *key = base_alloc(sizeof(*key));
	arena_init(&key->arena, INFO_MAX + TLS_PEM_MAX);
	key->id = arena_copy(&key->arena, id);
	return key;
}

static struct status load_key(struct vault *vault, struct slice id, struct vault_key **ret_key,
                              struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	CLEANUP(secret_done) struct secret content = {.p = NULL};
	CLEANUP(arena_done) struct arena arena;
	arena_init(&arena, INFO_MAX);
	TRY(sealed_file_path("keys", id, path));
	TRY(sealed_file_read(vault->options.dir_fd, path, "key", &content, ret_fault));
	struct vault_key *key = key_new(id);
	struct status status = parse_key(secret_slice(&content), path, key, &arena);
	if (!is_ok(status))
		return discard(key, status, ret_fault);
	*ret_key = key;
	return ok();
}

/* --- the table --- */

/* Index of the id, or n_keys. Under the lock. */
static size_t find(const struct vault *vault, struct slice id)
{
	size_t i = 0;
	while (i < vault->n_keys && !slice_eq(vault->keys[i]->id, id))
		i++;
	return i;
}

static bool has_key(struct vault *vault, struct slice id)
{
	pthread_rwlock_rdlock(&vault->keys_lock);
	bool found = find(vault, id) < vault->n_keys;
	pthread_rwlock_unlock(&vault->keys_lock);
	return found;
}

/* Takes the key. */
static struct status put(struct vault *vault, struct vault_key *key)
{
	struct vault_key *old = NULL;
	struct status status = ok();
	pthread_rwlock_wrlock(&vault->keys_lock);
	size_t i = find(vault, key->id);
	if (i < vault->n_keys) {
		old = vault->keys[i];
		vault->keys[i] = key;
	} else if (vault->n_keys == VAULT_KEYS_MAX) {
		old = key;
		status = fail(ERR_LIMIT, "too many TLS keys");
	} else {
		vault->keys = base_realloc(vault->keys, (i + 1) * sizeof(*vault->keys));
		vault->keys[vault->n_keys++] = key;
	}
	pthread_rwlock_unlock(&vault->keys_lock);
	key_free(old);
	return status;
}

/* Writes the file, then uses the key. Takes the key. */
static struct status store(struct vault *vault, struct vault_key *key, struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	CLEANUP(secret_done) struct secret content = {.p = NULL};
	struct status status = sealed_file_path("keys", key->id, path);
	if (is_ok(status))
		status = print_key(key, &content);
	if (is_ok(status))
		status = sealed_file_write(vault->options.dir_fd, path, "key",
		                           secret_slice(&content), ret_fault);
	if (is_ok(status))
		return put(vault, key);
	key_free(key);
	return status;
}

/* A key that cannot be read serves nobody, but nor may it stop the others: the file is kept aside,
 * under its name, and who opened the vault is told. */
static struct status put_aside(struct vault *vault, struct slice id, const char *why,
                               struct os_fault *ret_fault)
{
	char from[SEALED_PATH_MAX], to[SEALED_PATH_MAX];
	TRY(sealed_file_path("keys", id, from));
	TRY(sealed_file_path("damaged", id, to));
	TRY(file_mkdir_all(vault->options.dir_fd, "damaged", 0700, ret_fault));
	TRY(file_rename(vault->options.dir_fd, from, vault->options.dir_fd, to, ret_fault));
	if (vault->options.damaged)
		vault->options.damaged(vault->options.context, id, why);
	return ok();
}

struct status vault_keys_load(struct vault *vault, struct os_fault *ret_fault)
{
	CLEANUP(arena_done) struct arena arena;
	const struct slice *ids;
	size_t n;
	arena_init(&arena, (size_t)(4 * MIB));
	TRY(sealed_file_list(vault->options.dir_fd, "keys", &ids, &n, &arena));
	for (size_t i = 0; i < n; i++) {
		struct vault_key *key = NULL;
		struct os_fault fault = {0};
		struct status status = load_key(vault, ids[i], &key, &fault);
		if (is_ok(status))
			status = put(vault, key);
		else if (status.code == ERR_CORRUPT || status.code == ERR_INVALID)
			status = put_aside(vault, ids[i], fault.text, &fault);
		if (!is_ok(status)) {
			if (ret_fault)
				*ret_fault = fault;
			return status;
		}
	}
	return ok();
}

void vault_keys_drop(struct vault *vault)
{
	for (size_t i = 0; i < vault->n_keys; i++)
		key_free(vault->keys[i]);
	base_free(vault->keys);
	vault->keys = NULL;
	vault->n_keys = 0;
}

/* --- making --- */

static struct status sign_chain(struct vault *vault, struct vault_key *key)
{
	CLEANUP(arena_done) struct arena arena;
	struct buf pem;
	arena_init(&arena, INFO_MAX);
	buf_init(&pem, TLS_PEM_MAX);
	struct status status = tls_certificate_self_sign(key->key, key->made_for, key->n_made_for,
	                                                 clock_now_s(vault->options.clock),
	                                                 SELF_SIGNED_DAYS, &pem);
	key->chain = arena_copy(&key->arena, buf_slice(&pem));
	buf_done(&pem);
	TRY(status);
	status = read_chain(key, "self-signed certificate", &arena);
	return is_ok(status) ? status : fail(status.code, "self-signed certificate is unusable");
}

static void copy_names(struct vault_key *key, const struct slice *names, size_t n_names)
{
	struct slice *copies = ARENA_ARRAY(&key->arena, MAX(n_names, (size_t)1), struct slice);
	for (size_t i = 0; copies && i < n_names; i++)
		copies[i] = arena_copy(&key->arena, names[i]);
	key->made_for = copies;
	key->n_made_for = copies ? n_names : 0;
}

struct status vault_key_generate(struct vault *vault, struct slice id, enum tls_key_type type,
                                 struct os_fault *ret_fault)
{
	if (has_key(vault, id))
		return os_refuse(ret_fault, ERR_EXISTS, "there is a key of that name", NULL);
	struct vault_key *key = key_new(id);
	key->origin = ORIGIN_GENERATED;
	struct status status = tls_key_generate(type, &key->key);
	if (is_ok(status))
		return store(vault, key, ret_fault);
	return discard(key, status, ret_fault);
}

enum fit {
	FIT_MISSING,
	FIT_GOOD,
	FIT_OTHER_NAMES,
	FIT_NOT_OURS,
};

static enum fit fit_of(struct vault *vault, struct slice id, const struct slice *names,
                       size_t n_names)
{
	enum fit fit = FIT_MISSING;
	pthread_rwlock_rdlock(&vault->keys_lock);
	size_t at = find(vault, id);
	if (at < vault->n_keys) {
		const struct vault_key *key = vault->keys[at];
		fit = key->origin != ORIGIN_SELF_SIGNED ? FIT_NOT_OURS
		      : key->n_made_for == n_names      ? FIT_GOOD
		                                        : FIT_OTHER_NAMES;
		for (size_t i = 0; fit == FIT_GOOD && i < n_names; i++)
			if (!slice_eq(key->made_for[i], names[i]))
				fit = FIT_OTHER_NAMES;
	}
	pthread_rwlock_unlock(&vault->keys_lock);
	return fit;
}

/* A changed copy of a stored key goes through its file: one way in, one set of checks. */
static struct status copy_of(struct vault *vault, struct slice id, struct vault_key **ret_key,
                             struct os_fault *ret_fault)
{
	if (!has_key(vault, id))
		return os_refuse(ret_fault, ERR_NOT_FOUND, "there is no key of that name", NULL);
	return load_key(vault, id, ret_key, ret_fault);
}

/* Gives a key new names and a certificate for them; takes the key. */
static struct status certify(struct vault *vault, struct vault_key *key, const struct slice *names,
                             size_t n_names, struct os_fault *ret_fault)
{
	copy_names(key, names, n_names);
	struct status status = sign_chain(vault, key);
	return is_ok(status) ? store(vault, key, ret_fault) : discard(key, status, ret_fault);
}

struct status vault_key_self_signed(struct vault *vault, struct slice id, const struct slice *names,
                                    size_t n_names, struct os_fault *ret_fault)
{
	struct vault_key *key = NULL;
	switch (fit_of(vault, id, names, n_names)) {
	case FIT_GOOD:
		return ok();
	case FIT_NOT_OURS:
		return os_refuse(ret_fault, ERR_EXISTS, "there is another key of that name", NULL);
	case FIT_OTHER_NAMES:
		TRY(copy_of(vault, id, &key, ret_fault));
		return certify(vault, key, names, n_names, ret_fault);
	case FIT_MISSING:
		break;
	}
	key = key_new(id);
	key->origin = ORIGIN_SELF_SIGNED;
	struct status status = tls_key_generate(TLS_KEY_EC_P256, &key->key);
	if (!is_ok(status))
		return discard(key, status, ret_fault);
	return certify(vault, key, names, n_names, ret_fault);
}

/* --- from outside --- */

struct status vault_key_import(struct vault *vault, struct slice id, struct slice key_pem,
                               struct slice chain_pem, struct os_fault *ret_fault)
{
	CLEANUP(arena_done) struct arena arena;
	arena_init(&arena, INFO_MAX);
	struct vault_key *key = key_new(id);
	key->origin = ORIGIN_IMPORTED;
	struct status status = tls_key_from_pem(key_pem, "private key", &key->key, &arena);
	key->chain = arena_copy(&key->arena, chain_pem);
	if (is_ok(status) && (arena_failed(&key->arena) || chain_pem.n == 0))
		status = fail(ERR_INVALID, "certificate chain is missing or too long");
	if (is_ok(status))
		status = read_chain(key, "certificate", &arena);
	if (is_ok(status))
		return store(vault, key, ret_fault);
	return discard(key, status, ret_fault);
}

struct status vault_key_set_chain(struct vault *vault, struct slice id, struct slice chain_pem,
                                  struct os_fault *ret_fault)
{
	CLEANUP(arena_done) struct arena arena;
	struct vault_key *key;
	arena_init(&arena, INFO_MAX);
	TRY(copy_of(vault, id, &key, ret_fault));
	key->origin = ORIGIN_IMPORTED;
	key->n_made_for = 0;
	key->chain = arena_copy(&key->arena, chain_pem);
	struct status status =
	        chain_pem.n == 0 || arena_failed(&key->arena)
	                ? fail(ERR_INVALID, "certificate chain is missing or too long")
	                : read_chain(key, "certificate", &arena);
	if (is_ok(status))
		return store(vault, key, ret_fault);
	return discard(key, status, ret_fault);
}

/* NULL when it is not there. */
static struct vault_key *take_out(struct vault *vault, struct slice id)
{
	pthread_rwlock_wrlock(&vault->keys_lock);
	size_t i = find(vault, id);
	struct vault_key *old = i < vault->n_keys ? vault->keys[i] : NULL;
	if (old)
		vault->keys[i] = vault->keys[--vault->n_keys];
	pthread_rwlock_unlock(&vault->keys_lock);
	return old;
}

struct status vault_key_remove(struct vault *vault, struct slice id, struct os_fault *ret_fault)
{
	pthread_mutex_lock(&vault->change_lock);
	struct status status = sealed_file_remove(vault->options.dir_fd, "keys", id, ret_fault);
	struct vault_key *old = is_ok(status) ? take_out(vault, id) : NULL;
	pthread_mutex_unlock(&vault->change_lock);
	key_free(old);
	return status;
}
/* --- renewal --- */

static struct status renew_one(struct vault *vault, struct slice id, struct os_fault *ret_fault)
{
	struct vault_key *key;
	TRY(copy_of(vault, id, &key, ret_fault));
	struct status status = sign_chain(vault, key);
	if (is_ok(status))
		return store(vault, key, ret_fault);
	return discard(key, status, ret_fault);
}

/* The first self-signed one that is due, copied; false when there is none. */
static bool next_due(struct vault *vault, struct arena *arena, struct slice *ret_id)
{
	int64_t due_s = clock_now_s(vault->options.clock) + RENEW_BEFORE_S;
	bool found = false;
	pthread_rwlock_rdlock(&vault->keys_lock);
	for (size_t i = 0; !found && i < vault->n_keys; i++) {
		const struct vault_key *key = vault->keys[i];
		found = key->origin == ORIGIN_SELF_SIGNED && key->cert.not_after_s < due_s;
		if (found)
			*ret_id = arena_copy(arena, key->id);
	}
	pthread_rwlock_unlock(&vault->keys_lock);
	return found;
}

struct status vault_key_renew(struct vault *vault, size_t *ret_n, struct os_fault *ret_fault)
{
	CLEANUP(arena_done) struct arena arena;
	struct slice id;
	size_t n = 0;
	arena_init(&arena, INFO_MAX);
	/* A renewed key is not due any more, so this ends; the bound is for a clock gone mad. */
	while (n < VAULT_KEYS_MAX && next_due(vault, &arena, &id)) {
		TRY(renew_one(vault, id, ret_fault));
		arena_reset(&arena);
		n++;
	}
	*ret_n = n;
	return ok();
}

/* --- using --- */

struct status vault_key_sign(struct vault *vault, struct slice id, enum tls_sign_scheme scheme,
                             struct slice input, uint8_t *signature, size_t max, size_t *ret_n)
{
	if (!tls_signable(input))
		return fail(ERR_DENIED, "text is no TLS server handshake");
	struct status status = fail(ERR_NOT_FOUND, "there is no key of that name");
	pthread_rwlock_rdlock(&vault->keys_lock);
	size_t i = find(vault, id);
	if (i < vault->n_keys)
		status = tls_key_sign(vault->keys[i]->key, scheme, input, signature, max, ret_n);
	pthread_rwlock_unlock(&vault->keys_lock);
	return status;
}

static void describe(const struct vault_key *key, struct vault_key_info *info, struct arena *arena)
{
	struct slice *names = ARENA_ARRAY(arena, MAX(key->cert.n_names, (size_t)1), struct slice);
	for (size_t i = 0; names && i < key->cert.n_names; i++)
		names[i] = arena_copy(arena, key->cert.names[i]);
	*info = (struct vault_key_info){
	        .id = arena_copy(arena, key->id),
	        .chain_pem = arena_copy(arena, key->chain),
	        .names = names,
	        .n_names = names ? key->cert.n_names : 0,
	        .not_after_s = key->cert.not_after_s,
	        .self_signed = key->origin == ORIGIN_SELF_SIGNED,
	};
}

struct status vault_key_list(struct vault *vault, const struct vault_key_info **ret_keys,
                             size_t *ret_n, struct arena *arena)
{
	pthread_rwlock_rdlock(&vault->keys_lock);
	size_t n = vault->n_keys;
	struct vault_key_info *infos = ARENA_ARRAY(arena, MAX(n, (size_t)1), struct vault_key_info);
	for (size_t i = 0; infos && i < n; i++)
		describe(vault->keys[i], &infos[i], arena);
	pthread_rwlock_unlock(&vault->keys_lock);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "list of keys does not fit");
	*ret_keys = infos;
	*ret_n = n;
	return ok();
}
