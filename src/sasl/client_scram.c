/* SCRAM's messages (RFC 5802 section 7), client side, with and without channel binding.
 *
 *	server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count
 *	                       ["," extensions]
 *	server-final-message = (server-error / verifier) ["," extensions]
 *
 * The GS2 flag says what RFC 5802 section 6 asks: "p" when bound; "y" when we could bind and the
 * server did not announce it, so that a server that did notices that somebody removed it from the
 * list; "n" otherwise. Optional extensions are passed over, mandatory ones (m=) refused.
 *
 * Limits: SASL_CLIENT_NONCE_MAX, SASL_SALT_MAX, and SASL_ITERATIONS_MIN to SASL_ITERATIONS_MAX. A
 * count below the minimum would make a proof cheap to guess from for whoever poses as the server;
 * over a verified connection, where PLAIN would be sent, it does no harm and is accepted.
 */
#include "sasl/client_private.h"

#include "base/cursor.h"
#include "base/encode.h"
#include "sasl/prepare.h"
#include "sasl/server_private.h"

#include <openssl/rand.h>

#define NONCE_BYTES 18 /* 24 base64 characters */

enum state {
	STATE_FIRST,
	STATE_FIRST_SENT,
	STATE_FINAL_SENT,
	STATE_VERIFIED,
};

bool sasl_client_scram_verified(const struct sasl_client *c)
{
	return c->state == STATE_VERIFIED;
}

static enum sasl_hash hash_of(const struct sasl_client *c)
{
	return c->mechanism == SASL_SCRAM_SHA_1 || c->mechanism == SASL_SCRAM_SHA_1_PLUS
	               ? SASL_SHA1
	               : SASL_SHA256;
}

/* --- client-first-message --- */

static struct status add_nonce(struct sasl_client *c)
{
	uint8_t bytes[NONCE_BYTES];
	if (c->options.test_nonce.n > 0) {
		buf_add(&c->nonce, c->options.test_nonce);
		return ok();
	}
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return fail(ERR_IO, "no randomness");
	base64_encode(slice_of(bytes, sizeof(bytes)), &c->nonce);
	return ok();
}

static void add_gs2_header(struct sasl_client *c)
{
	bool plus = sasl_mechanism_binds_channel(c->mechanism);
	if (plus && c->options.n_bindings > 0) {
		c->binding = &c->options.bindings[0];
		buf_printf(&c->gs2_header, "p=%s", c->binding->type);
	} else {
		bool stripped = c->options.n_bindings > 0 && !c->plus_announced;
		buf_add_byte(&c->gs2_header, stripped ? 'y' : 'n');
	}
	buf_add_str(&c->gs2_header, ",,");
}

/* saslname: "," and "=" are escaped (RFC 5802 section 5.1). */
static struct status add_user(struct sasl_client *c)
{
	CLEANUP(buf_done) struct buf name;
	buf_init(&name, 4 * SASL_PREPARE_MAX);
	TRY(sasl_client_prepare(c->options.user, "user name cannot be prepared", &name));
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == ',')
			buf_add_str(&c->auth_message, "=2C");
		else if (name.p[i] == '=')
			buf_add_str(&c->auth_message, "=3D");
		else
			buf_add_byte(&c->auth_message, name.p[i]);
	}
	return ok();
}

static struct status client_first(struct sasl_client *c)
{
	if (sasl_mechanism_binds_channel(c->mechanism) && c->options.n_bindings == 0)
		return fail(ERR_INVALID, "the connection has no channel binding");
	add_gs2_header(c);
	TRY(add_nonce(c));
	buf_add_str(&c->auth_message, "n=");
	TRY(add_user(c));
	buf_add_str(&c->auth_message, ",r=");
	buf_add(&c->auth_message, buf_slice(&c->nonce));
	buf_add(&c->response, buf_slice(&c->gs2_header));
	buf_add(&c->response, buf_slice(&c->auth_message));
	c->state = STATE_FIRST_SENT;
	return ok();
}

/* --- server-first-message --- */

struct server_first {
	struct slice nonce;
	uint8_t salt[SASL_SALT_MAX];
	size_t n_salt;
	uint32_t iterations;
};

static bool is_value_char(uint8_t c)
{
	return c != ',' && c != 0;
}

static bool is_printable(uint8_t c)
{
	return c >= 0x21 && c <= 0x7e && c != ',';
}

/* extensions = attr-val *("," attr-val) up to the end */
static void extensions(struct cursor *c)
{
	while (!cursor_at_end(c)) {
		cursor_expect(c, ',', "server's message has trailing bytes");
		if (!ascii_is_alpha(cursor_byte(c)))
			cursor_fail(c, "server's extension is malformed");
		cursor_expect(c, '=', "server's extension is malformed");
		if (cursor_while(c, is_value_char).n == 0)
			cursor_fail(c, "server's extension is empty");
	}
}

static void attribute(struct cursor *c, uint8_t name, const char *why)
{
	cursor_expect(c, name, why);
	cursor_expect(c, '=', why);
}

static void salt(struct cursor *c, struct server_first *m)
{
	CLEANUP(buf_done) struct buf bytes;
	buf_init(&bytes, sizeof(m->salt));
	attribute(c, 's', "server sent no salt");
	struct status status = base64_decode(cursor_while(c, is_value_char), &bytes);
	if (!is_ok(status) || bytes.n == 0)
		cursor_fail(c, "server's salt is malformed or too long");
	else
		memcpy(m->salt, bytes.p, bytes.n);
	m->n_salt = bytes.n;
}

static void server_first(struct cursor *c, struct server_first *m)
{
	if (cursor_peek(c) == 'm')
		cursor_fail(c, "server wants an extension that is not supported");
	attribute(c, 'r', "server sent no nonce");
	m->nonce = cursor_while(c, is_printable);
	cursor_expect(c, ',', "server sent no salt");
	salt(c, m);
	cursor_expect(c, ',', "server sent no iteration count");
	attribute(c, 'i', "server sent no iteration count");
	m->iterations = cursor_u32(c, UINT32_MAX, "server's iteration count is malformed");
	extensions(c);
}

/* The server's nonce is ours with something of its own behind it (RFC 5802 section 5.1). */
static struct status take_nonce(struct sasl_client *c, struct slice nonce)
{
	if (nonce.n <= c->nonce.n || !slice_starts(nonce, buf_slice(&c->nonce)))
		return fail(ERR_PROTOCOL, "server's nonce does not begin with ours");
	buf_add(&c->nonce, slice_from(nonce, c->nonce.n));
	return buf_failed(&c->nonce) ? fail(ERR_LIMIT, "server's nonce is too long") : ok();
}

static struct status check_iterations(const struct sasl_client *c, uint32_t iterations)
{
	uint32_t least = c->options.channel_verified ? 1 : SASL_ITERATIONS_MIN;
	if (iterations < least)
		return fail(ERR_LIMIT, "server's iteration count is too low to be safe");
	if (iterations > SASL_ITERATIONS_MAX)
		return fail(ERR_LIMIT, "server's iteration count is too high");
	return ok();
}

/* --- client-final-message --- */

/* c=base64(gs2-header [cbind-data]),r=nonce */
static void add_final_without_proof(struct sasl_client *c)
{
	CLEANUP(buf_done) struct buf binding;
	buf_init(&binding, SASL_PREPARE_MAX + SASL_BINDING_MAX);
	buf_add(&binding, buf_slice(&c->gs2_header));
	if (c->binding)
		buf_add(&binding, slice_of(c->binding->value, c->binding->n));
	buf_add_str(&c->response, "c=");
	base64_encode(buf_slice(&binding), &c->response);
	buf_add_str(&c->response, ",r=");
	buf_add(&c->response, buf_slice(&c->nonce));
}

static struct status add_proof(struct sasl_client *c, const struct server_first *m)
{
	struct buf password;
	uint8_t proof[SASL_HASH_MAX];
	buf_init(&password, 4 * SASL_PREPARE_MAX);
	buf_reserve(&password, 4 * SASL_PREPARE_MAX);
	struct status status =
	        sasl_client_prepare(c->options.password, "password cannot be prepared", &password);
	if (is_ok(status))
		status = sasl_scram_prove(hash_of(c), buf_slice(&password),
		                          slice_of(m->salt, m->n_salt), m->iterations,
		                          buf_slice(&c->auth_message), proof, c->server_signature);
	sasl_wipe(&password);
	TRY(status);
	buf_add_str(&c->response, ",p=");
	base64_encode(slice_of(proof, sasl_hash_size(hash_of(c))), &c->response);
	return ok();
}

static struct status client_final(struct sasl_client *c, struct slice challenge)
{
	struct server_first m = {.nonce = slice_empty()};
	struct cursor cursor = cursor_of(challenge);
	server_first(&cursor, &m);
	TRY(cursor_status(&cursor));
	TRY(take_nonce(c, m.nonce));
	TRY(check_iterations(c, m.iterations));
	buf_add_byte(&c->auth_message, ',');
	buf_add(&c->auth_message, challenge);
	add_final_without_proof(c);
	buf_add_byte(&c->auth_message, ',');
	buf_add(&c->auth_message, buf_slice(&c->response));
	if (buf_failed(&c->auth_message))
		return fail(ERR_LIMIT, "SCRAM messages are too long");
	TRY(add_proof(c, &m));
	c->state = STATE_FINAL_SENT;
	return ok();
}

/* --- server-final-message --- */

/* RFC 5802 section 7, server-error-value: those that say more than "no". */
static const char *why_refused(struct slice error)
{
	if (slice_eq(error, SLICE("channel-bindings-dont-match")) ||
	    slice_eq(error, SLICE("server-does-support-channel-binding")))
		return "the server sees another TLS connection than we do: somebody is in between";
	if (slice_eq(error, SLICE("unsupported-channel-binding-type")) ||
	    slice_eq(error, SLICE("channel-binding-not-supported")))
		return "the server does not support this channel binding";
	return "the server refuses user name or password";
}

static struct status check_signature(struct sasl_client *c, struct slice base64)
{
	CLEANUP(buf_done) struct buf signature;
	buf_init(&signature, SASL_HASH_MAX);
	struct status status = base64_decode(base64, &signature);
	struct slice expected = slice_of(c->server_signature, sasl_hash_size(hash_of(c)));
	if (!is_ok(status) || !slice_eq_secret(buf_slice(&signature), expected))
		return fail(ERR_AUTH, "the server does not know the password: it is not the one "
		                      "it should be");
	c->state = STATE_VERIFIED;
	return ok();
}

static struct status server_final(struct sasl_client *c, struct slice challenge)
{
	struct cursor cursor = cursor_of(challenge);
	bool error = cursor_skip(&cursor, 'e');
	if (!error)
		cursor_expect(&cursor, 'v', "server sent no signature");
	cursor_expect(&cursor, '=', "server's last message is malformed");
	struct slice value = cursor_while(&cursor, is_value_char);
	extensions(&cursor);
	TRY(cursor_status(&cursor));
	return error ? fail(ERR_AUTH, why_refused(value)) : check_signature(c, value);
}

struct status sasl_client_scram_step(struct sasl_client *c, const struct slice *challenge)
{
	if (!challenge && c->state != STATE_FIRST)
		return fail(ERR_INVALID, "challenge is missing");
	switch ((enum state)c->state) {
	case STATE_FIRST:
		if (challenge)
			return fail(ERR_PROTOCOL, "server speaks before its turn");
		return client_first(c);
	case STATE_FIRST_SENT:
		return client_final(c, *challenge);
	case STATE_FINAL_SENT:
		return server_final(c, *challenge);
	case STATE_VERIFIED:
		return fail(ERR_PROTOCOL, "server goes on after its signature");
	}
	BUG("unknown SCRAM state");
}
