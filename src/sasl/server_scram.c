/* SCRAM's messages (RFC 5802 section 7), server side, with and without channel binding.
 *
 *	client-first-message = gs2-header client-first-message-bare
 *	gs2-header           = gs2-cbind-flag "," [ authzid ] ","
 *	gs2-cbind-flag       = ("p=" cb-name) / "n" / "y"
 *	authzid              = "a=" saslname
 *	client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
 *	server-first-message = nonce "," salt "," iteration-count
 *	client-final-message = channel-binding "," nonce ["," extensions] "," proof
 *	server-final-message = verifier
 *
 * Optional extensions are passed over, mandatory ones (m=) refused. Over SMTP and IMAP the server's
 * last message is a challenge that the client answers with an empty response. Wrong grammar is
 * SYNTAX, all else one AUTH failure.
 *
 * Limits: SASL_RESPONSE_MAX a message, SASL_NONCE_MAX the client's nonce.
 */
#include "sasl/server_private.h"

#include "base/cursor.h"
#include "base/encode.h"
#include "sasl/prepare.h"

#include <openssl/rand.h>

#define NONCE_BYTES 18 /* 24 base64 characters */

enum state {
	STATE_FIRST,
	STATE_FINAL,
	STATE_ACKNOWLEDGE,
};

static enum sasl_hash hash_of(const struct sasl_server *s)
{
	enum sasl_mechanism mechanism = s->options.mechanism;
	return mechanism == SASL_SCRAM_SHA_1 || mechanism == SASL_SCRAM_SHA_1_PLUS ? SASL_SHA1
	                                                                           : SASL_SHA256;
}

/* --- grammar --- */

/* value = 1*(any byte but NUL and ","), RFC 5802's value-char as far as it matters here */
static bool is_value_char(uint8_t c)
{
	return c != ',' && c != 0;
}

/* printable = %x21-2B / %x2D-7E */
static bool is_printable(uint8_t c)
{
	return c >= 0x21 && c <= 0x7e && c != ',';
}

/* cb-name = 1*(ALPHA / DIGIT / "." / "-") */
static bool is_cb_name_char(uint8_t c)
{
	return ascii_is_alnum(c) || c == '.' || c == '-';
}

/* saslname = 1*(value-safe-char / "=2C" / "=3D") */
static void unescape_name(struct cursor *c, struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '=') {
			buf_add_byte(out, text.p[i]);
			continue;
		}
		struct slice escape = slice_sub(text, i, 3);
		if (slice_eq(escape, SLICE("=2C")))
			buf_add_byte(out, ',');
		else if (slice_eq(escape, SLICE("=3D")))
			buf_add_byte(out, '=');
		else
			cursor_fail(c, "name has a bad escape");
		i += 2;
	}
	if (text.n == 0)
		cursor_fail(c, "name is empty");
}

struct first_message {
	uint8_t flag; /* 'n', 'y', 'p' */
	struct slice cb_name;
	struct slice gs2_header;
	struct buf authzid, user; /* unescaped */
	struct slice bare;
	struct slice nonce;
};

static void gs2_header(struct cursor *c, struct first_message *m)
{
	m->flag = cursor_byte(c);
	if (m->flag == 'p') {
		cursor_expect(c, '=', "channel binding has no name");
		m->cb_name = cursor_while(c, is_cb_name_char);
		if (m->cb_name.n == 0)
			cursor_fail(c, "channel binding has no name");
	} else if (m->flag != 'n' && m->flag != 'y') {
		cursor_fail(c, "channel binding flag is unknown");
	}
	cursor_expect(c, ',', "GS2 header is malformed");
	if (cursor_skip(c, 'a')) {
		cursor_expect(c, '=', "authorisation identity is malformed");
		unescape_name(c, cursor_while(c, is_value_char), &m->authzid);
	}
	cursor_expect(c, ',', "GS2 header is malformed");
}

/* extensions = attr-val *("," attr-val) up to the end */
static void extensions(struct cursor *c)
{
	while (!cursor_at_end(c)) {
		cursor_expect(c, ',', "message has trailing bytes");
		if (!ascii_is_alpha(cursor_byte(c)))
			cursor_fail(c, "extension is malformed");
		cursor_expect(c, '=', "extension is malformed");
		if (cursor_while(c, is_value_char).n == 0)
			cursor_fail(c, "extension is empty");
	}
}

static void client_first(struct cursor *c, struct first_message *m)
{
	gs2_header(c, m);
	m->gs2_header = slice_sub(c->in, 0, c->at);
	m->bare = cursor_rest(c);
	if (cursor_peek(c) == 'm')
		cursor_fail(c, "mandatory extension is not supported");
	cursor_expect(c, 'n', "user name is missing");
	cursor_expect(c, '=', "user name is missing");
	unescape_name(c, cursor_while(c, is_value_char), &m->user);
	cursor_expect(c, ',', "nonce is missing");
	cursor_expect(c, 'r', "nonce is missing");
	cursor_expect(c, '=', "nonce is missing");
	m->nonce = cursor_while(c, is_printable);
	if (m->nonce.n == 0 || m->nonce.n > SASL_NONCE_MAX)
		cursor_fail(c, "nonce is empty or too long");
	extensions(c);
}

struct final_message {
	struct slice binding; /* base64 */
	struct slice nonce;
	struct slice without_proof;
	struct slice proof; /* base64 */
};

static void client_final(struct cursor *c, struct final_message *m)
{
	/* The proof is the last attribute; a base64 value holds no comma. */
	size_t comma = slice_rindex(c->in, ',');
	if (comma == SIZE_MAX || !slice_starts(slice_from(c->in, comma), SLICE(",p="))) {
		cursor_fail(c, "proof is missing");
		return;
	}
	m->without_proof = slice_sub(c->in, 0, comma);
	m->proof = slice_from(c->in, comma + 3);
	c->in = m->without_proof;
	cursor_expect(c, 'c', "channel binding is missing");
	cursor_expect(c, '=', "channel binding is missing");
	m->binding = cursor_while(c, is_value_char);
	cursor_expect(c, ',', "nonce is missing");
	cursor_expect(c, 'r', "nonce is missing");
	cursor_expect(c, '=', "nonce is missing");
	m->nonce = cursor_while(c, is_printable);
	extensions(c);
}

/* --- first message --- */

static const struct sasl_binding *find_binding(const struct sasl_server *s, struct slice name)
{
	for (size_t i = 0; i < s->options.n_bindings; i++)
		if (slice_eq_str(name, s->options.bindings[i].type))
			return &s->options.bindings[i];
	return NULL;
}

/* RFC 5802 section 6: what the flag says must fit the mechanism and what was announced. */
static struct status check_flag(struct sasl_server *s, const struct first_message *m)
{
	bool plus = sasl_mechanism_binds_channel(s->options.mechanism);
	if (plus != (m->flag == 'p'))
		return sasl_wrong();
	if (m->flag == 'y' && s->options.plus_announced)
		return sasl_wrong(); /* somebody hid our -PLUS from the client */
	if (plus) {
		s->binding = find_binding(s, m->cb_name);
		if (!s->binding)
			return sasl_wrong();
	}
	return ok();
}

static struct status add_server_nonce(struct sasl_server *s)
{
	uint8_t bytes[NONCE_BYTES];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return fail(ERR_IO, "no randomness");
	if (s->options.test_nonce.n > 0)
		buf_add(&s->nonce, s->options.test_nonce);
	else
		base64_encode(slice_of(bytes, sizeof(bytes)), &s->nonce);
	return ok();
}

static struct status accept_first(struct sasl_server *s, struct first_message *m)
{
	TRY(check_flag(s, m));
	if (m->authzid.n > 0 && !slice_eq(buf_slice(&m->authzid), buf_slice(&m->user)))
		return sasl_wrong();
	TRY(sasl_take_user(s, buf_slice(&m->user)));
	buf_add(&s->gs2_header, m->gs2_header);
	buf_add(&s->auth_message, m->bare);
	buf_add(&s->nonce, m->nonce);
	return add_server_nonce(s);
}

static struct status server_first(struct sasl_server *s)
{
	const struct sasl_backend *backend = s->options.backend;
	uint8_t salt[SASL_SALT_MAX];
	size_t n_salt = 0;
	uint32_t iterations = 0;
	TRY(backend->scram_parameters(backend->context, buf_slice(&s->user), hash_of(s), salt,
	                              &n_salt, &iterations));
	buf_reset(&s->challenge);
	buf_add_str(&s->challenge, "r=");
	buf_add(&s->challenge, buf_slice(&s->nonce));
	buf_add_str(&s->challenge, ",s=");
	base64_encode(slice_of(salt, MIN(n_salt, sizeof(salt))), &s->challenge);
	buf_printf(&s->challenge, ",i=%" PRIu32, iterations);
	buf_add_byte(&s->auth_message, ',');
	buf_add(&s->auth_message, buf_slice(&s->challenge));
	return buf_failed(&s->challenge) ? fail(ERR_LIMIT, "challenge is too long") : ok();
}

static struct status first_step(struct sasl_server *s, struct slice response)
{
	struct first_message m = {.flag = 0};
	struct cursor c = cursor_of(response);
	buf_init(&m.authzid, SASL_RESPONSE_MAX);
	buf_init(&m.user, SASL_RESPONSE_MAX);
	client_first(&c, &m);
	struct status status = cursor_status(&c);
	if (is_ok(status))
		status = accept_first(s, &m);
	if (is_ok(status))
		status = server_first(s);
	buf_done(&m.authzid);
	buf_done(&m.user);
	return status;
}

/* --- final message --- */

/* cbind-input = gs2-header [cbind-data], which must be exactly what was said and what we see. */
static struct status check_binding(const struct sasl_server *s, struct slice base64)
{
	struct buf expected, text;
	buf_init(&expected, SASL_RESPONSE_MAX + SASL_BINDING_MAX);
	buf_init(&text, 2 * (SASL_RESPONSE_MAX + SASL_BINDING_MAX));
	buf_add(&expected, buf_slice(&s->gs2_header));
	if (s->binding)
		buf_add(&expected, slice_of(s->binding->value, s->binding->n));
	base64_encode(buf_slice(&expected), &text);
	bool equal = !buf_failed(&text) && slice_eq_secret(buf_slice(&text), base64);
	buf_done(&expected);
	buf_done(&text);
	return equal ? ok() : sasl_wrong();
}

static struct status verify(struct sasl_server *s, struct slice proof)
{
	const struct sasl_backend *backend = s->options.backend;
	uint8_t signature[SASL_HASH_MAX];
	TRY(backend->scram_verify(backend->context, buf_slice(&s->user), hash_of(s),
	                          buf_slice(&s->auth_message), proof, signature));
	buf_reset(&s->challenge);
	buf_add_str(&s->challenge, "v=");
	base64_encode(slice_of(signature, sasl_hash_size(hash_of(s))), &s->challenge);
	return ok();
}

static struct status final_step(struct sasl_server *s, struct slice response)
{
	struct final_message m = {.binding = slice_empty()};
	struct cursor c = cursor_of(response);
	client_final(&c, &m);
	TRY(cursor_status(&c));
	TRY(check_binding(s, m.binding));
	if (!slice_eq_secret(m.nonce, buf_slice(&s->nonce)))
		return sasl_wrong();
	struct buf proof;
	buf_init(&proof, SASL_HASH_MAX);
	struct status status = base64_decode(m.proof, &proof);
	if (!is_ok(status) || proof.n != sasl_hash_size(hash_of(s)) || buf_failed(&proof)) {
		buf_done(&proof);
		return fail(ERR_SYNTAX, "proof is malformed");
	}
	buf_add_byte(&s->auth_message, ',');
	buf_add(&s->auth_message, m.without_proof);
	status = buf_failed(&s->auth_message) ? fail(ERR_LIMIT, "messages are too long")
	                                      : verify(s, buf_slice(&proof));
	buf_done(&proof);
	return status;
}

struct status sasl_scram_step(struct sasl_server *s, const struct slice *response,
                              enum sasl_step *ret_step)
{
	*ret_step = SASL_CHALLENGE;
	if (!response && s->state != STATE_FIRST)
		return fail(ERR_SYNTAX, "response is missing");
	switch ((enum state)s->state) {
	case STATE_FIRST:
		buf_reset(&s->challenge);
		if (!response)
			return ok(); /* RFC 5802 section 5: the client speaks first */
		TRY(first_step(s, *response));
		s->state = STATE_FINAL;
		return ok();
	case STATE_FINAL:
		TRY(final_step(s, *response));
		s->state = STATE_ACKNOWLEDGE;
		return ok();
	case STATE_ACKNOWLEDGE:
		*ret_step = SASL_DONE;
		return response->n == 0 ? ok() : fail(ERR_SYNTAX, "last response is not empty");
	}
	BUG("unknown SCRAM state");
}
