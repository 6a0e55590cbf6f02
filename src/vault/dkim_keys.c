/* DKIM private keys (RFC 6376), all in memory; a file for each domain.
 *
 * Content of dkim/DOMAIN, for each selector:
 *
 *	selector NAME
 *	created UNIX-SECONDS
 *	key-size N
 *	N bytes of PEM
 *
 * A domain's file is written anew for each change, under change_lock; a key in use is never
 * changed, so signing holds keys_lock for reading only.
 */
#include "vault/vault_private.h"

#include "base/cursor.h"
#include "os/file.h"
#include "vault/sealed_file.h"

#include <openssl/crypto.h>

#define SELECTOR_MAX ((size_t)63) /* one label; RFC 6376 allows more, nobody needs them */

struct dkim_key {
	char domain[VAULT_DOMAIN_MAX + 1];
	char selector[SELECTOR_MAX + 1];
	int64_t created_s;
	struct tls_key *key;
};

static void key_free(struct dkim_key *key)
{
	if (!key)
		return;
	tls_key_free(key->key);
	base_free(key);
}

/* A selector is a label of letters, digits, hyphens and underscores; a domain is what the config
 * made of it. Both lower case, since names of files and of the DNS are compared by them. */
static bool is_name(struct slice name, size_t max, bool dots)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] != ascii_lower(name.p[i]) ||
		    !(ascii_is_alnum(name.p[i]) || name.p[i] == '-' || name.p[i] == '_' ||
		      (dots && name.p[i] == '.')))
			return false;
	return name.n > 0 && name.n <= max;
}

static struct status check_names(struct slice domain, struct slice selector,
                                 struct os_fault *ret_fault)
{
	if (!is_name(domain, VAULT_DOMAIN_MAX, true))
		return os_refuse(ret_fault, ERR_INVALID, "this is no domain name", NULL);
	if (!is_name(selector, SELECTOR_MAX, false))
		return os_refuse(ret_fault, ERR_INVALID,
		                 "a selector is up to 63 lower-case letters, digits, hyphens and "
		                 "underscores",
		                 NULL);
	return ok();
}

static struct dkim_key *key_new(struct slice domain, struct slice selector)
{
	struct dkim_key *key = base_alloc(sizeof(*key));
	snprintf(key->domain, sizeof(key->domain), "%.*s", SLICE_FMT(domain));
	snprintf(key->selector, sizeof(key->selector), "%.*s", SLICE_FMT(selector));
	return key;
}

/* --- the table --- */

/* Index, or n_dkim_keys. Under a lock. */
static size_t find(const struct vault *vault, struct slice domain, struct slice selector)
{
	size_t i = 0;
	while (i < vault->n_dkim_keys && !(slice_eq_str(domain, vault->dkim_keys[i]->domain) &&
	                                   slice_eq_str(selector, vault->dkim_keys[i]->selector)))
		i++;
	return i;
}

/* Takes the key, which is not there yet. */
static struct status table_add(struct vault *vault, struct dkim_key *key)
{
	struct status status = ok();
	pthread_rwlock_wrlock(&vault->keys_lock);
	size_t n = vault->n_dkim_keys;
	if (n == VAULT_DKIM_KEYS_MAX) {
		key_free(key);
		status = fail(ERR_LIMIT, "too many DKIM keys");
	} else {
		vault->dkim_keys =
		        base_realloc(vault->dkim_keys, (n + 1) * sizeof(*vault->dkim_keys));
		vault->dkim_keys[vault->n_dkim_keys++] = key;
	}
	pthread_rwlock_unlock(&vault->keys_lock);
	return status;
}

/* NULL when it is not there. */
static struct dkim_key *table_take(struct vault *vault, struct slice domain, struct slice selector)
{
	pthread_rwlock_wrlock(&vault->keys_lock);
	size_t i = find(vault, domain, selector);
	struct dkim_key *key = i < vault->n_dkim_keys ? vault->dkim_keys[i] : NULL;
	if (key)
		vault->dkim_keys[i] = vault->dkim_keys[--vault->n_dkim_keys];
	pthread_rwlock_unlock(&vault->keys_lock);
	return key;
}

/* --- a domain's file --- */

static struct status print_key(const struct dkim_key *key, struct buf *out)
{
	struct buf pem;
	buf_init(&pem, SEALED_FILE_MAX);
	buf_reserve(&pem, 8192); /* a key is shorter: the buffer does not move and leave a copy */
	struct status status = tls_key_to_pem(key->key, &pem);
	buf_printf(out, "selector %s\ncreated %" PRId64 "\nkey-size %zu\n", key->selector,
	           key->created_s, pem.n);
	buf_add(out, buf_slice(&pem));
	OPENSSL_cleanse(pem.p, pem.capacity);
	buf_done(&pem);
	return status;
}

/* Writes what the table has of the domain; removes the file when that is nothing. */
static struct status write_domain(struct vault *vault, struct slice domain,
                                  struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	struct buf text;
	struct status status = sealed_file_path("dkim", domain, path);
	buf_init(&text, SEALED_FILE_MAX);
	buf_reserve(&text, SEALED_FILE_MAX);
	for (size_t i = 0; i < vault->n_dkim_keys && is_ok(status); i++)
		if (slice_eq_str(domain, vault->dkim_keys[i]->domain))
			status = print_key(vault->dkim_keys[i], &text);
	if (is_ok(status) && buf_failed(&text))
		status = os_refuse(ret_fault, ERR_LIMIT, "the domain has too many keys", NULL);
	if (is_ok(status) && text.n == 0)
		status = sealed_file_remove(vault->options.dir_fd, "dkim", domain, ret_fault);
	else if (is_ok(status))
		status = sealed_file_write(vault->options.dir_fd, path, "dkim", buf_slice(&text),
		                           ret_fault);
	OPENSSL_cleanse(text.p, text.capacity);
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

static struct status parse_key(struct cursor *c, struct slice domain, struct dkim_key **ret_key)
{
	CLEANUP(arena_done) struct arena arena;
	uint64_t created_s = 0, size = 0;
	arena_init(&arena, 64 * KIB);
	struct slice selector = parse_line(c, "selector ");
	if (!slice_to_u64(parse_line(c, "created "), INT64_MAX, &created_s) ||
	    !slice_to_u64(parse_line(c, "key-size "), TLS_PEM_MAX, &size))
		cursor_fail(c, "a number is none");
	struct slice pem = cursor_take(c, (size_t)size);
	if (cursor_ok(c) && !is_name(selector, SELECTOR_MAX, false))
		cursor_fail(c, "selector is none");
	if (!cursor_ok(c))
		return fail(ERR_CORRUPT, c->why);
	struct dkim_key *key = key_new(domain, selector);
	key->created_s = (int64_t)created_s;
	struct status status = tls_key_from_pem(pem, "private key", &key->key, &arena);
	if (is_ok(status))
		*ret_key = key;
	else
		key_free(key);
	return is_ok(status) ? ok() : fail(ERR_CORRUPT, "a private key cannot be read");
}

static struct status load_domain(struct vault *vault, struct slice domain,
                                 struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	CLEANUP(secret_done) struct secret content = {.p = NULL};
	if (!is_name(domain, VAULT_DOMAIN_MAX, true))
		return os_refuse(ret_fault, ERR_CORRUPT, "a file that is not named after a domain",
		                 NULL);
	TRY(sealed_file_path("dkim", domain, path));
	TRY(sealed_file_read(vault->options.dir_fd, path, "dkim", &content, ret_fault));
	struct cursor c = cursor_of(secret_slice(&content));
	while (!cursor_at_end(&c)) {
		struct dkim_key *key = NULL;
		struct status status = parse_key(&c, domain, &key);
		if (!is_ok(status))
			return os_refuse(ret_fault, status.code, status.why, path);
		TRY(table_add(vault, key));
	}
	return ok();
}

/* As with TLS keys: what cannot be read is kept aside, and the others serve. */
static struct status put_aside(struct vault *vault, struct slice domain, const char *why,
                               struct os_fault *ret_fault)
{
	char from[SEALED_PATH_MAX], to[SEALED_PATH_MAX];
	for (size_t i = vault->n_dkim_keys; i-- > 0;)
		if (slice_eq_str(domain, vault->dkim_keys[i]->domain)) {
			key_free(vault->dkim_keys[i]);
			vault->dkim_keys[i] = vault->dkim_keys[--vault->n_dkim_keys];
		}
	TRY(sealed_file_path("dkim", domain, from));
	TRY(sealed_file_path("damaged", domain, to));
	TRY(file_mkdir_all(vault->options.dir_fd, "damaged", 0700, ret_fault));
	TRY(file_rename(vault->options.dir_fd, from, vault->options.dir_fd, to, ret_fault));
	if (vault->options.damaged)
		vault->options.damaged(vault->options.context, domain, why);
	return ok();
}

struct status vault_dkim_load(struct vault *vault, struct os_fault *ret_fault)
{
	CLEANUP(arena_done) struct arena arena;
	const struct slice *domains;
	size_t n;
	arena_init(&arena, (size_t)(16 * MIB));
	TRY(sealed_file_list(vault->options.dir_fd, "dkim", &domains, &n, &arena));
	for (size_t i = 0; i < n; i++) {
		struct os_fault fault = {0};
		struct status status = load_domain(vault, domains[i], &fault);
		if (status.code == ERR_CORRUPT || status.code == ERR_INVALID)
			status = put_aside(vault, domains[i], fault.text, &fault);
		if (!is_ok(status)) {
			if (ret_fault)
				*ret_fault = fault;
			return status;
		}
	}
	return ok();
}

void vault_dkim_drop(struct vault *vault)
{
	for (size_t i = 0; i < vault->n_dkim_keys; i++)
		key_free(vault->dkim_keys[i]);
	base_free(vault->dkim_keys);
	vault->dkim_keys = NULL;
	vault->n_dkim_keys = 0;
}

/* --- changes --- */

/* Takes the key: into the table, then to disk; out again when that fails. */
static struct status add(struct vault *vault, struct dkim_key *key, struct os_fault *ret_fault)
{
	struct slice domain = slice_str(key->domain), selector = slice_str(key->selector);
	key->created_s = clock_now_s(vault->options.clock);
	pthread_mutex_lock(&vault->change_lock);
	struct status status;
	if (find(vault, domain, selector) < vault->n_dkim_keys) {
		status = os_refuse(ret_fault, ERR_EXISTS,
		                   "the domain has a key for this selector already", NULL);
		key_free(key);
	} else {
		status = table_add(vault, key);
		struct status written =
		        is_ok(status) ? write_domain(vault, domain, ret_fault) : ok();
		if (!is_ok(written)) {
			key_free(table_take(vault, domain, selector));
			status = written;
		}
	}
	pthread_mutex_unlock(&vault->change_lock);
	return status;
}

struct status vault_dkim_generate(struct vault *vault, struct slice domain, struct slice selector,
                                  enum tls_key_type type, struct os_fault *ret_fault)
{
	TRY(check_names(domain, selector, ret_fault));
	if (type == TLS_KEY_EC_P256 || type == TLS_KEY_EC_P384)
		return os_refuse(ret_fault, ERR_INVALID, "DKIM keys are RSA or Ed25519", NULL);
	struct dkim_key *key = key_new(domain, selector);
	struct status status = tls_key_generate(type, &key->key);
	if (is_ok(status))
		return add(vault, key, ret_fault);
	key_free(key);
	return os_refuse(ret_fault, status.code, status.why, NULL);
}

struct status vault_dkim_import(struct vault *vault, struct slice domain, struct slice selector,
                                struct slice pem, struct os_fault *ret_fault)
{
	CLEANUP(arena_done) struct arena arena;
	arena_init(&arena, 64 * KIB);
	TRY(check_names(domain, selector, ret_fault));
	struct dkim_key *key = key_new(domain, selector);
	struct status status = tls_key_from_pem(pem, "private key", &key->key, &arena);
	if (is_ok(status) && !tls_key_can_sign_digest(key->key))
		status = fail(ERR_INVALID, "DKIM keys are RSA or Ed25519");
	if (is_ok(status))
		return add(vault, key, ret_fault);
	key_free(key);
	return os_refuse(ret_fault, status.code, status.why, NULL);
}

struct status vault_dkim_remove(struct vault *vault, struct slice domain, struct slice selector,
                                struct os_fault *ret_fault)
{
	pthread_mutex_lock(&vault->change_lock);
	struct dkim_key *key = table_take(vault, domain, selector);
	struct status status = key ? write_domain(vault, domain, ret_fault)
	                           : os_refuse(ret_fault, ERR_NOT_FOUND,
	                                       "the domain has no key for this selector", NULL);
	if (key && !is_ok(status))
		(void)table_add(vault, key);
	else
		key_free(key);
	pthread_mutex_unlock(&vault->change_lock);
	return status;
}

/* --- using --- */

static void describe(const struct dkim_key *key, struct vault_dkim_info *info, struct arena *arena)
{
	struct buf der;
	buf_init(&der, VAULT_PUBLIC_KEY_MAX);
	if (is_ok(tls_key_public_der(key->key, &der)))
		info->public_key = arena_copy(arena, buf_slice(&der));
	buf_done(&der);
	info->domain = arena_copy(arena, slice_str(key->domain));
	info->selector = arena_copy(arena, slice_str(key->selector));
	info->created_s = key->created_s;
}

struct status vault_dkim_list(struct vault *vault, struct slice domain,
                              const struct vault_dkim_info **ret_keys, size_t *ret_n,
                              struct arena *arena)
{
	size_t n = 0;
	pthread_rwlock_rdlock(&vault->keys_lock);
	struct vault_dkim_info *infos =
	        ARENA_ARRAY(arena, MAX(vault->n_dkim_keys, (size_t)1), struct vault_dkim_info);
	for (size_t i = 0; infos && i < vault->n_dkim_keys; i++)
		if (domain.n == 0 || slice_eq_str(domain, vault->dkim_keys[i]->domain))
			describe(vault->dkim_keys[i], &infos[n++], arena);
	pthread_rwlock_unlock(&vault->keys_lock);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "list of keys does not fit");
	*ret_keys = infos;
	*ret_n = n;
	return ok();
}

struct status vault_dkim_sign(struct vault *vault, struct slice domain, struct slice selector,
                              const uint8_t digest[TLS_DIGEST_SIZE], uint8_t *signature, size_t max,
                              size_t *ret_n, bool *ret_is_ed25519)
{
	struct status status = fail(ERR_NOT_FOUND, "the domain has no key for this selector");
	pthread_rwlock_rdlock(&vault->keys_lock);
	size_t i = find(vault, domain, selector);
	if (i < vault->n_dkim_keys) {
		const struct tls_key *key = vault->dkim_keys[i]->key;
		*ret_is_ed25519 = tls_key_is_ed25519(key);
		status = tls_key_sign_digest(key, digest, signature, max, ret_n);
	}
	pthread_rwlock_unlock(&vault->keys_lock);
	return status;
}
