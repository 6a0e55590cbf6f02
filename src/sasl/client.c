/* Choosing a mechanism, the frame of an exchange, and the simple mechanisms; SCRAM is in
 * client_scram.c.
 *
 * PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), CRAM-MD5 (RFC 2195), EXTERNAL (RFC 4422
 * appendix A), always without an authorisation identity: one logs in as oneself.
 *
 * Limits: SASL_CLIENT_CHALLENGE_MAX, SASL_CLIENT_STEPS_MAX, SASL_PREPARE_MAX.
 */
#include "sasl/client_private.h"

#include "sasl/prepare.h"
#include "sasl/server_private.h"

#include "base/encode.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

/* Room for all that is ever answered, taken at once: what is never moved leaves no copies of a
 * password on the heap. */
#define RESPONSE_MAX     ((size_t)8 * 1024)
#define AUTH_MESSAGE_MAX ((size_t)16 * 1024)

static const enum sasl_mechanism strongest_first[] = {
        SASL_EXTERNAL,
        SASL_SCRAM_SHA_256_PLUS,
        SASL_SCRAM_SHA_1_PLUS,
        SASL_SCRAM_SHA_256,
        SASL_SCRAM_SHA_1,
        SASL_CRAM_MD5,
        SASL_PLAIN,
        SASL_LOGIN,
};

/* --- sets --- */

void sasl_mechanisms_add(struct sasl_mechanisms *set, enum sasl_mechanism mechanism)
{
	set->bits |= UINT32_C(1) << mechanism;
}

void sasl_mechanisms_remove(struct sasl_mechanisms *set, enum sasl_mechanism mechanism)
{
	set->bits &= ~(UINT32_C(1) << mechanism);
}

struct sasl_mechanisms sasl_mechanisms_parse(struct slice names)
{
	struct sasl_mechanisms set = {0};
	while (names.n > 0) {
		struct slice name;
		enum sasl_mechanism mechanism;
		(void)slice_cut(names, ' ', &name, &names);
		if (sasl_mechanism_of(slice_trim(name), &mechanism))
			sasl_mechanisms_add(&set, mechanism);
	}
	return set;
}

/* --- choosing --- */

/* Whether there is what the mechanism needs; the channel is another question. */
static bool can_do(const struct sasl_client_options *options, enum sasl_mechanism mechanism)
{
	if (mechanism == SASL_EXTERNAL)
		return options->has_certificate;
	if (sasl_mechanism_binds_channel(mechanism) && options->n_bindings == 0)
		return false;
	return options->user.n > 0 && options->password.n > 0;
}

struct status sasl_client_choose(const struct sasl_client_options *options,
                                 struct sasl_mechanisms announced,
                                 enum sasl_mechanism *ret_mechanism)
{
	const enum sasl_mechanism *order =
	        options->n_wanted > 0 ? options->wanted : strongest_first;
	size_t n = options->n_wanted > 0 ? options->n_wanted : N_ELEMENTS(strongest_first);
	bool needs_channel = false;
	for (size_t i = 0; i < n; i++) {
		if (!sasl_mechanisms_have(announced, order[i]) || !can_do(options, order[i]))
			continue;
		if (sasl_mechanism_shows_password(order[i]) && !options->channel_verified) {
			needs_channel = true;
			continue;
		}
		*ret_mechanism = order[i];
		return ok();
	}
	if (needs_channel)
		return fail(ERR_DENIED, "the server offers only mechanisms that show the password, "
		                        "and the connection is not verified TLS");
	return fail(ERR_UNSUPPORTED, "the server offers no mechanism for logging in that we can "
	                             "and may use");
}

bool sasl_client_speaks_first(enum sasl_mechanism mechanism)
{
	return mechanism != SASL_LOGIN && mechanism != SASL_CRAM_MD5;
}

/* --- life --- */

static enum sasl_mechanism bound_form(enum sasl_mechanism mechanism)
{
	if (mechanism == SASL_SCRAM_SHA_1)
		return SASL_SCRAM_SHA_1_PLUS;
	return mechanism == SASL_SCRAM_SHA_256 ? SASL_SCRAM_SHA_256_PLUS : mechanism;
}

void sasl_client_init(struct sasl_client *c, const struct sasl_client_options *options,
                      enum sasl_mechanism mechanism, struct sasl_mechanisms announced)
{
	*c = (struct sasl_client){
	        .options = *options,
	        .mechanism = mechanism,
	        .plus_announced = sasl_mechanisms_have(announced, bound_form(mechanism)),
	};
	buf_init(&c->response, RESPONSE_MAX);
	buf_reserve(&c->response, RESPONSE_MAX);
	buf_init(&c->nonce, SASL_CLIENT_NONCE_MAX);
	buf_init(&c->gs2_header, SASL_PREPARE_MAX);
	buf_init(&c->auth_message, AUTH_MESSAGE_MAX);
}

void sasl_client_done(struct sasl_client *c)
{
	sasl_wipe(&c->response);
	sasl_wipe(&c->nonce);
	sasl_wipe(&c->gs2_header);
	sasl_wipe(&c->auth_message);
	OPENSSL_cleanse(c->server_signature, sizeof(c->server_signature));
}

struct status sasl_client_prepare(struct slice text, const char *why, struct buf *out)
{
	return is_ok(sasl_prepare(text, out)) ? ok() : fail(ERR_INVALID, why);
}

/* --- the simple mechanisms --- */

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616 section 2) */
static struct status plain_step(struct sasl_client *c, const struct slice *challenge)
{
	const struct sasl_client_options *o = &c->options;
	if (challenge)
		return fail(ERR_PROTOCOL, "the server goes on after PLAIN's only message");
	if (slice_index(o->user, 0) != SIZE_MAX || slice_index(o->password, 0) != SIZE_MAX)
		return fail(ERR_INVALID, "a user name or password with a NUL cannot be sent");
	buf_add_byte(&c->response, 0);
	buf_add(&c->response, o->user);
	buf_add_byte(&c->response, 0);
	buf_add(&c->response, o->password);
	c->state = 1;
	return ok();
}

/* The prompts' texts differ between servers; their order does not. */
static struct status login_step(struct sasl_client *c, const struct slice *challenge)
{
	if (!challenge)
		return fail(ERR_INVALID, "LOGIN has no initial response");
	if (c->state == 2)
		return fail(ERR_PROTOCOL, "the server goes on after LOGIN's password");
	buf_add(&c->response, c->state == 0 ? c->options.user : c->options.password);
	c->state++;
	return ok();
}

/* RFC 2195 section 2: user SP, HMAC-MD5 of the challenge under the password, in lower case. */
static struct status cram_step(struct sasl_client *c, const struct slice *challenge)
{
	uint8_t digest[16];
	size_t n = 0;
	if (!challenge)
		return fail(ERR_INVALID, "CRAM-MD5 has no initial response");
	if (c->state != 0 || challenge->n == 0)
		return fail(ERR_PROTOCOL, "the server breaks CRAM-MD5");
	TRY(sasl_client_prepare(c->options.user, "user name cannot be prepared", &c->response));
	buf_add_byte(&c->response, ' ');
	struct buf key;
	buf_init(&key, 4 * SASL_PREPARE_MAX);
	buf_reserve(&key, 4 * SASL_PREPARE_MAX);
	struct status status =
	        sasl_client_prepare(c->options.password, "password cannot be prepared", &key);
	if (is_ok(status) && !EVP_Q_mac(NULL, "HMAC", NULL, "MD5", NULL, key.p, key.n, challenge->p,
	                                challenge->n, digest, sizeof(digest), &n))
		status = fail(ERR_IO, "libcrypto cannot compute HMAC-MD5");
	sasl_wipe(&key);
	TRY(status);
	hex_encode(slice_of(digest, sizeof(digest)), &c->response);
	c->state = 1;
	return ok();
}

/* An empty message: act as who the certificate says (RFC 4422 appendix A). */
static struct status external_step(struct sasl_client *c, const struct slice *challenge)
{
	if (challenge)
		return fail(ERR_PROTOCOL, "the server goes on after EXTERNAL's only message");
	c->state = 1;
	return ok();
}

/* --- the frame --- */

static struct status step(struct sasl_client *c, const struct slice *challenge)
{
	switch (c->mechanism) {
	case SASL_PLAIN:
		return plain_step(c, challenge);
	case SASL_LOGIN:
		return login_step(c, challenge);
	case SASL_CRAM_MD5:
		return cram_step(c, challenge);
	case SASL_SCRAM_SHA_1:
	case SASL_SCRAM_SHA_1_PLUS:
	case SASL_SCRAM_SHA_256:
	case SASL_SCRAM_SHA_256_PLUS:
		return sasl_client_scram_step(c, challenge);
	case SASL_EXTERNAL:
		return external_step(c, challenge);
	case SASL_MECHANISM_COUNT:
		break;
	}
	return fail(ERR_UNSUPPORTED, "unknown mechanism");
}

static struct status check_step(const struct sasl_client *c, const struct slice *challenge)
{
	if (c->state == SASL_CLIENT_OVER)
		return fail(ERR_INVALID, "exchange is over");
	if (!challenge && (c->n_steps > 0 || !sasl_client_speaks_first(c->mechanism)))
		return fail(ERR_INVALID, "the mechanism has no initial response now");
	if (challenge && challenge->n > SASL_CLIENT_CHALLENGE_MAX)
		return fail(ERR_LIMIT, "the server's challenge is too long");
	if (c->n_steps > SASL_CLIENT_STEPS_MAX)
		return fail(ERR_LIMIT, "the server's exchange does not end");
	return ok();
}

struct status sasl_client_step(struct sasl_client *c, const struct slice *challenge,
                               struct slice *ret_response)
{
	struct status status = check_step(c, challenge);
	c->n_steps++;
	buf_reset(&c->response);
	if (is_ok(status))
		status = step(c, challenge);
	if (is_ok(status) && buf_failed(&c->response))
		status = fail(ERR_LIMIT, "response is too long");
	if (!is_ok(status)) {
		c->state = SASL_CLIENT_OVER;
		return status;
	}
	*ret_response = buf_slice(&c->response);
	return ok();
}

/* How far the simple mechanisms must have come. */
static int last_state(enum sasl_mechanism mechanism)
{
	return mechanism == SASL_LOGIN ? 2 : 1;
}

struct status sasl_client_finish(const struct sasl_client *c)
{
	bool scram = c->mechanism >= SASL_SCRAM_SHA_1 && c->mechanism <= SASL_SCRAM_SHA_256_PLUS;
	if (scram && !sasl_client_scram_verified(c))
		return fail(ERR_AUTH, "the server did not show that it knows the password");
	if (!scram && c->state != last_state(c->mechanism))
		return fail(ERR_AUTH, "the server ended the exchange before its time");
	return ok();
}
