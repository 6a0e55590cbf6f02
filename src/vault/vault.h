/* What lies in the vault's directory and what can be done with it. Only the vault room uses this.
 *
 *	passwords/ACCOUNT   verifiers of one account's password
 *	keys/ID             a TLS private key with its certificate chain
 *	dkim/DOMAIN         DKIM private keys of a domain, by selector
 *	secrets/NAME        a secret that the config names (a transport's password)
 *	damaged/            key files that could not be read, put aside for a person to look at
 *	seed                random, for invented answers about accounts that do not exist
 *
 * Every file has a version and a checksum, mode 0600, and is replaced atomically and durably. All
 * functions may be called by any number of threads; those that hash a password block. Account names
 * come from the config, as the caller resolved them: an empty one means that there is no such
 * account, and is answered in the same words after the same time.
 */
#pragma once

#include "base/clock.h"
#include "os/fault.h"
#include "sasl/scram.h"
#include "tls/certificate.h"
#include "vault/secret.h"

#define VAULT_NAME_MAX       ((size_t)64)   /* bytes of an account, key or secret name */
#define VAULT_KEYS_MAX       ((size_t)4096) /* TLS keys */
#define VAULT_DOMAIN_MAX     ((size_t)253)  /* bytes of a domain's name */
#define VAULT_DKIM_KEYS_MAX  ((size_t)20000)
#define VAULT_PUBLIC_KEY_MAX ((size_t)1024) /* bytes of a SubjectPublicKeyInfo */
#define VAULT_SECRET_MAX     ((size_t)8192) /* bytes of a named secret */
#define VAULT_WAITING_MAX    256            /* logins that wait for their turn */

struct vault;

struct vault_options {
	int dir_fd;                /* DATA/vault; stays the caller's, must stay open */
	const struct clock *clock; /* outlives the vault */
	/* Costs of new verifiers; 0 takes the default. */
	uint32_t argon2_kib;       /* memory, default 19456 */
	uint32_t argon2_passes;    /* default 2 */
	uint32_t scram_iterations; /* default 10000 */
	bool cram_md5;       /* keep what CRAM-MD5 needs; cheap to guess from, so off by default */
	unsigned n_hashing;  /* Argon2 computations at once, default 2: bounds memory */
	unsigned remember_s; /* how long a success is remembered, default 300 */
	/* Told at opening of each key file that cannot be read: it is put aside, so that one
	 * damaged file does not keep everybody out. May be NULL. */
	void (*damaged)(void *context, struct slice id, const char *why);
	void *context;
};

/* Reads all keys; what the file system says, in words in ret_fault. Creates the
 * directory's inside at first use. */
struct status vault_open(const struct vault_options *options, struct vault **ret_vault,
                         struct os_fault *ret_fault);
void vault_close(struct vault *vault); /* accepts NULL */

/* --- passwords --- */

/* The password as a person typed it; prepared here. INVALID with a reason for one that cannot be
 * used. Old verifiers are replaced, remembered successes forgotten. */
struct status vault_password_set(struct vault *vault, struct slice account, struct slice password,
                                 struct os_fault *ret_fault);
struct status vault_password_remove(struct vault *vault, struct slice account,
                                    struct os_fault *ret_fault); /* NOT_FOUND */
/* Names of accounts that have a password, sorted. */
struct status vault_password_list(struct vault *vault, const struct slice **ret_names,
                                  size_t *ret_n, struct arena *arena);

/* A prepared password. AUTH when wrong or there is no such account, BUSY when too many logins wait.
 */
struct status vault_verify_plain(struct vault *vault, struct slice account, struct slice password);
/* `user` is the login name, for invented parameters that do not change. */
struct status vault_scram_parameters(struct vault *vault, struct slice account, struct slice user,
                                     enum sasl_hash hash, uint8_t salt[SASL_SALT_MAX],
                                     size_t *ret_n_salt, uint32_t *ret_iterations);
struct status vault_scram_verify(struct vault *vault, struct slice account, enum sasl_hash hash,
                                 struct slice auth_message, struct slice proof,
                                 uint8_t server_signature[SASL_HASH_MAX]);
struct status vault_cram_md5_verify(struct vault *vault, struct slice account,
                                    struct slice challenge, const uint8_t digest[16]);

/* --- TLS keys --- */

struct vault_key_info {
	struct slice id;
	struct slice chain_pem; /* empty: a key that has no certificate yet */
	const struct slice *names;
	size_t n_names;
	int64_t not_after_s;
	bool self_signed; /* made here, and renewed here */
};

/* Copies, in the arena. */
struct status vault_key_list(struct vault *vault, const struct vault_key_info **ret_keys,
                             size_t *ret_n, struct arena *arena);
/* A new key without a certificate, for a certificate authority to sign. EXISTS. */
struct status vault_key_generate(struct vault *vault, struct slice id, enum tls_key_type type,
                                 struct os_fault *ret_fault);
/* Makes an ECDSA P-256 key with a self-signed certificate for these names where there is none, or
 * the one there is was made here for other names; then the key stays. An imported one is left
 * alone: EXISTS. */
struct status vault_key_self_signed(struct vault *vault, struct slice id, const struct slice *names,
                                    size_t n_names, struct os_fault *ret_fault);
/* Replaces key and chain; INVALID in words when they do not belong together. */
struct status vault_key_import(struct vault *vault, struct slice id, struct slice key_pem,
                               struct slice chain_pem, struct os_fault *ret_fault);
/* A (new) chain for a key that is there. */
struct status vault_key_set_chain(struct vault *vault, struct slice id, struct slice chain_pem,
                                  struct os_fault *ret_fault);
struct status vault_key_remove(struct vault *vault, struct slice id, struct os_fault *ret_fault);
/* Renews self-signed certificates that have less than 30 days left, with their key. To be called
 * now and then; *ret_n says how many changed (gates must then be told). */
struct status vault_key_renew(struct vault *vault, size_t *ret_n, struct os_fault *ret_fault);
/* As tls_signer.sign. DENIED for a text that is no TLS server handshake (tls_signable). */
struct status vault_key_sign(struct vault *vault, struct slice id, enum tls_sign_scheme scheme,
                             struct slice input, uint8_t *signature, size_t max, size_t *ret_n);

/* --- DKIM keys --- */

struct vault_dkim_info {
	struct slice domain, selector;
	int64_t created_s;
	struct slice public_key; /* DER SubjectPublicKeyInfo */
};

/* Domains as A-labels, selectors of one label, both in lower case: INVALID otherwise, and for keys
 * that are neither RSA (2048 bits at least) nor Ed25519. EXISTS: another selector must be taken. */
struct status vault_dkim_generate(struct vault *vault, struct slice domain, struct slice selector,
                                  enum tls_key_type type, struct os_fault *ret_fault);
struct status vault_dkim_import(struct vault *vault, struct slice domain, struct slice selector,
                                struct slice pem, struct os_fault *ret_fault);
struct status vault_dkim_remove(struct vault *vault, struct slice domain, struct slice selector,
                                struct os_fault *ret_fault);
/* Of one domain, or of all when it is empty. Copies, in the arena. */
struct status vault_dkim_list(struct vault *vault, struct slice domain,
                              const struct vault_dkim_info **ret_keys, size_t *ret_n,
                              struct arena *arena);
/* The signature for a SHA-256: RSASSA-PKCS1-v1_5 (RFC 6376 section 3.3.1), or Ed25519 of the 32
 * bytes (RFC 8463 section 3); which of them is told. */
struct status vault_dkim_sign(struct vault *vault, struct slice domain, struct slice selector,
                              const uint8_t digest[TLS_DIGEST_SIZE], uint8_t *signature, size_t max,
                              size_t *ret_n, bool *ret_is_ed25519);

/* --- named secrets --- */

struct status vault_secret_set(struct vault *vault, struct slice name, struct slice value,
                               struct os_fault *ret_fault);
/* ret_secret is initialised by this call on success only, and the caller's to end. */
struct status vault_secret_get(struct vault *vault, struct slice name, struct secret *ret_secret,
                               struct os_fault *ret_fault);
struct status vault_secret_remove(struct vault *vault, struct slice name,
                                  struct os_fault *ret_fault);
struct status vault_secret_list(struct vault *vault, const struct slice **ret_names, size_t *ret_n,
                                struct arena *arena);
