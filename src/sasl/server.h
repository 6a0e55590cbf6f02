/* The server's side of one SASL exchange (RFC 4422): bytes in, challenge or verdict out.
 *
 *	sasl_server_init(&s, &options);
 *	TRY(sasl_server_step(&s, initial_response, &step, &challenge));
 *	while (step == SASL_CHALLENGE) { send base64(challenge); receive; sasl_server_step(...); }
 *	... sasl_server_user(&s) ...
 *	sasl_server_done(&s);
 *
 * Knows no base64 of the protocols, no sockets and no passwords: whether credentials are right says
 * a backend. Not thread-safe; nothing is kept after `done`.
 */
#pragma once

#include "base/buf.h"
#include "sasl/scram.h"

#define SASL_RESPONSE_MAX ((size_t)4096) /* bytes of one response from the client, decoded */
#define SASL_NONCE_MAX    ((size_t)256)  /* bytes of the client's nonce */
#define SASL_BINDING_MAX  ((size_t)64)
#define SASL_BINDINGS_MAX ((size_t)4)

#define SASL_MECHANISM_LIST(X)                                                                     \
	X(PLAIN, "PLAIN")                                                                          \
	X(LOGIN, "LOGIN")                                                                          \
	X(CRAM_MD5, "CRAM-MD5")                                                                    \
	X(SCRAM_SHA_1, "SCRAM-SHA-1")                                                              \
	X(SCRAM_SHA_1_PLUS, "SCRAM-SHA-1-PLUS")                                                    \
	X(SCRAM_SHA_256, "SCRAM-SHA-256")                                                          \
	X(SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS")                                                \
	X(EXTERNAL, "EXTERNAL")

enum sasl_mechanism {
#define X(id, name) SASL_##id,
	SASL_MECHANISM_LIST(X)
#undef X
	        SASL_MECHANISM_COUNT
};

const char *sasl_mechanism_name(enum sasl_mechanism mechanism);
/* ASCII case-insensitive, as SMTP and IMAP clients write it. */
bool sasl_mechanism_of(struct slice name, enum sasl_mechanism *ret_mechanism);
/* Does the client send its password so that whoever reads the connection has it? Such mechanisms
 * are for TLS or loopback only. */
bool sasl_mechanism_shows_password(enum sasl_mechanism mechanism);
bool sasl_mechanism_binds_channel(enum sasl_mechanism mechanism); /* one of the -PLUS */

/* Who knows whether credentials are right. All names and passwords come prepared (sasl_prepare).
 * AUTH says wrong; any other failure is temporary to the client. Calls may block. Implementations
 * answer for unknown users with the same text, after the same time. */
struct sasl_backend {
	struct status (*verify_plain)(void *context, struct slice user, struct slice password);
	/* For unknown users stable invented values. */
	struct status (*scram_parameters)(void *context, struct slice user, enum sasl_hash hash,
	                                  uint8_t salt[SASL_SALT_MAX], size_t *ret_n_salt,
	                                  uint32_t *ret_iterations);
	struct status (*scram_verify)(void *context, struct slice user, enum sasl_hash hash,
	                              struct slice auth_message, struct slice proof,
	                              uint8_t server_signature[SASL_HASH_MAX]);
	struct status (*cram_md5_verify)(void *context, struct slice user, struct slice challenge,
	                                 const uint8_t digest[16]);
	/* The identity that the connection proved (a TLS client certificate); `wanted` is the one
	 * that the client asks for, possibly empty. Appends the user's name. */
	struct status (*external)(void *context, struct slice wanted, struct buf *ret_user);
	void *context;
};

/* Channel binding data of the connection (RFC 5056), as tls_stream_binding gives it. */
struct sasl_binding {
	const char *type; /* "tls-exporter", "tls-server-end-point", "tls-unique" */
	uint8_t value[SASL_BINDING_MAX];
	size_t n;
};

struct sasl_server_options {
	enum sasl_mechanism mechanism;
	const struct sasl_backend *backend;
	const struct sasl_binding *bindings; /* outlive the exchange; none without TLS */
	size_t n_bindings;
	/* The -PLUS form of this mechanism was announced: a client that says it could bind but
	 * thinks that we cannot has been tampered with (RFC 5802 section 6). */
	bool plus_announced;
	const char *host_name;   /* for CRAM-MD5's challenge */
	int64_t now_s;           /* likewise */
	struct slice test_nonce; /* only for published test vectors: instead of a random one */
};

enum sasl_step {
	SASL_CHALLENGE, /* send the challenge (it may be empty), then step with the response */
	SASL_DONE,      /* authenticated: sasl_server_user */
};

struct sasl_server {
	struct sasl_server_options options;
	int state; /* private to the mechanism; negative: over */
	struct buf user;
	struct buf nonce;        /* SCRAM: client's and ours together */
	struct buf gs2_header;   /* SCRAM: as the client sent it */
	struct buf auth_message; /* SCRAM: grows by each message; CRAM-MD5: the challenge */
	struct buf challenge;    /* what the last step returned */
	const struct sasl_binding *binding;
};

void sasl_server_init(struct sasl_server *s, const struct sasl_server_options *options);
void sasl_server_done(struct sasl_server *s); /* wipes; safe on a zeroed one and twice */

/* One response from the client; NULL: it has not sent one yet (no initial response). The challenge
 * is valid until the next call. Failures end the exchange: AUTH with one text for all that is wrong
 * about credentials, SYNTAX or LIMIT for a message that breaks the grammar, what the backend said
 * when it failed otherwise. */
struct status sasl_server_step(struct sasl_server *s, const struct slice *response,
                               enum sasl_step *ret_step, struct slice *ret_challenge);

/* After SASL_DONE, and after a failure for logs and limits: the name as far as it was seen. */
struct slice sasl_server_user(const struct sasl_server *s);
