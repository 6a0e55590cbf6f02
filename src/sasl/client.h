/* The client's side of one SASL exchange (RFC 4422): a mechanism is chosen, challenges in,
 * responses out, and at the end the question whether the server is the one it should be.
 *
 *	TRY(sasl_client_choose(&options, announced, &mechanism));
 *	sasl_client_init(&c, &options, mechanism, announced);
 *	if (sasl_client_speaks_first(mechanism)) sasl_client_step(&c, NULL, &initial_response);
 *	for each challenge: TRY(sasl_client_step(&c, &challenge, &response)); send base64(response);
 *	on the server's success: TRY(sasl_client_finish(&c));
 *	sasl_client_done(&c);
 *
 * Knows no base64 of the protocols and no sockets. Not thread-safe; the password is borrowed, and
 * nothing of it is kept after `done`.
 */
#pragma once

#include "sasl/server.h"

#define SASL_CLIENT_CHALLENGE_MAX ((size_t)4096) /* bytes of one challenge, decoded */
#define SASL_CLIENT_STEPS_MAX     4u             /* challenges of one exchange */
#define SASL_CLIENT_NONCE_MAX     ((size_t)512)  /* bytes of both nonces together */

/* A set of mechanisms: bit SASL_PLAIN, ... */
struct sasl_mechanisms {
	uint32_t bits;
};

static inline bool sasl_mechanisms_have(struct sasl_mechanisms set, enum sasl_mechanism mechanism)
{
	return (set.bits >> mechanism & 1) != 0;
}
/* The known ones of a list of names parted by blanks ("PLAIN LOGIN XOAUTH2"); no NUL needed. */
struct sasl_mechanisms sasl_mechanisms_parse(struct slice names);
void sasl_mechanisms_add(struct sasl_mechanisms *set, enum sasl_mechanism mechanism);
void sasl_mechanisms_remove(struct sasl_mechanisms *set, enum sasl_mechanism mechanism);

/* Who wants to log in, and what may be used. All of it outlives the exchange. */
struct sasl_client_options {
	struct slice user;     /* UTF-8 */
	struct slice password; /* a secret of the caller's; empty: there is none */
	/* Nobody but the server that was meant can read the connection: TLS with a checked
	 * certificate, or loopback. Mechanisms that show the password are used only then. */
	bool channel_verified;
	bool has_certificate; /* we showed a client certificate: EXTERNAL makes sense */
	/* Mechanisms in the order wanted; none: all, strongest first. */
	const enum sasl_mechanism *wanted;
	size_t n_wanted;
	/* Channel bindings of the connection, the one to be used first; none without TLS. */
	const struct sasl_binding *bindings;
	size_t n_bindings;
	struct slice test_nonce; /* only for published test vectors: instead of a random one */
};

/* Strongest first: EXTERNAL (given a certificate), SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS,
 * SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN. The bound ones come first whatever their
 * hash: they alone notice somebody in the middle of the TLS connection, and both hashes are sound
 * in HMAC. With `wanted` its order counts. UNSUPPORTED when there is none in common; DENIED when
 * there is, but it would show the password on a channel that is not verified. */
struct status sasl_client_choose(const struct sasl_client_options *options,
                                 struct sasl_mechanisms announced,
                                 enum sasl_mechanism *ret_mechanism);

/* PLAIN, SCRAM and EXTERNAL have an initial response; LOGIN and CRAM-MD5 wait for a challenge. */
bool sasl_client_speaks_first(enum sasl_mechanism mechanism);

struct sasl_client {
	struct sasl_client_options options;
	enum sasl_mechanism mechanism;
	bool plus_announced; /* the bound form of this mechanism is announced */
	int state;           /* private to the mechanism; negative: over */
	unsigned n_steps;
	const struct sasl_binding *binding;
	struct buf response; /* what the last step returned */
	struct buf nonce;
	struct buf gs2_header;
	struct buf auth_message;
	uint8_t server_signature[SASL_HASH_MAX];
};

void sasl_client_init(struct sasl_client *c, const struct sasl_client_options *options,
                      enum sasl_mechanism mechanism, struct sasl_mechanisms announced);
void sasl_client_done(struct sasl_client *c); /* wipes; safe on a zeroed one and twice */

/* One challenge of the server, decoded; NULL: the initial response is wanted (only for mechanisms
 * that speak first). The response is valid until the next call. Failures end the exchange, the
 * caller cancels it: SYNTAX, LIMIT or PROTOCOL for a server that breaks the mechanism, AUTH when
 * the server says no or is not the one that knows the password, INVALID for a name or password that
 * cannot be sent. */
struct status sasl_client_step(struct sasl_client *c, const struct slice *challenge,
                               struct slice *ret_response);

/* The server has said yes. OK when it may be believed: a SCRAM server has shown that it knows the
 * password (RFC 5802 section 3), and the exchange was complete. Else AUTH: drop the connection. */
struct status sasl_client_finish(const struct sasl_client *c);
