/* The exchange's frame and its simple mechanisms; SCRAM is in server_scram.c.
 *
 * PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), CRAM-MD5 (RFC 2195), EXTERNAL (RFC 4422
 * appendix A). Authorisation identities other than one's own are refused: nobody acts for others.
 */
#include "sasl/server_private.h"

#include "base/encode.h"
#include "sasl/prepare.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#define STATE_OVER (-1)

static const char *const names[] = {
#define X(id, name) [SASL_##id] = name,
        SASL_MECHANISM_LIST(X)
#undef X
};

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
	return names[mechanism];
}

bool sasl_mechanism_of(struct slice name, enum sasl_mechanism *ret_mechanism)
{
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		if (slice_ieq_str(name, names[i])) {
			*ret_mechanism = (enum sasl_mechanism)i;
			return true;
		}
	}
	return false;
}

bool sasl_mechanism_shows_password(enum sasl_mechanism mechanism)
{
	return mechanism == SASL_PLAIN || mechanism == SASL_LOGIN;
}

bool sasl_mechanism_binds_channel(enum sasl_mechanism mechanism)
{
	return mechanism == SASL_SCRAM_SHA_1_PLUS || mechanism == SASL_SCRAM_SHA_256_PLUS;
}

struct status sasl_wrong(void)
{
	return fail(ERR_AUTH, "credentials are wrong");
}

struct status sasl_take_user(struct sasl_server *s, struct slice name)
{
	buf_reset(&s->user);
	struct status status = sasl_prepare(name, &s->user);
	return is_ok(status) ? status : sasl_wrong();
}

static struct status challenge(struct sasl_server *s, struct slice text, enum sasl_step *ret_step)
{
	buf_reset(&s->challenge);
	buf_add(&s->challenge, text);
	*ret_step = SASL_CHALLENGE;
	return ok();
}

static struct status check_password(struct sasl_server *s, struct slice password)
{
	struct buf prepared;
	buf_init(&prepared, 4 * SASL_PREPARE_MAX);
	buf_reserve(&prepared, 3 * SASL_PREPARE_MAX); /* never moved: no copy stays on the heap */
	struct status status = sasl_prepare(password, &prepared);
	const struct sasl_backend *backend = s->options.backend;
	if (is_ok(status))
		status = backend->verify_plain(backend->context, buf_slice(&s->user),
		                               buf_slice(&prepared));
	else
		status = sasl_wrong();
	sasl_wipe(&prepared);
	return status;
}

/* --- PLAIN (RFC 4616 section 2): message = [authzid] UTF8NUL authcid UTF8NUL passwd --- */

static struct status plain_message(struct sasl_server *s, struct slice message)
{
	struct slice authzid, authcid, password, rest;
	if (!slice_cut(message, 0, &authzid, &rest) || !slice_cut(rest, 0, &authcid, &password) ||
	    authcid.n == 0 || password.n == 0 || slice_index(password, 0) != SIZE_MAX)
		return fail(ERR_SYNTAX, "PLAIN message is malformed");
	if (authzid.n > 0 && !slice_eq(authzid, authcid))
		return sasl_wrong();
	TRY(sasl_take_user(s, authcid));
	return check_password(s, password);
}

static struct status plain_step(struct sasl_server *s, const struct slice *response,
                                enum sasl_step *ret_step)
{
	if (!response)
		return challenge(s, slice_empty(), ret_step);
	*ret_step = SASL_DONE;
	return plain_message(s, *response);
}

/* --- LOGIN: the prompts are what clients have come to expect --- */

static struct status login_step(struct sasl_server *s, const struct slice *response,
                                enum sasl_step *ret_step)
{
	if (!response)
		return challenge(s, SLICE("Username:"), ret_step);
	if (s->state == 0) {
		s->state = 1;
		TRY(sasl_take_user(s, *response));
		return challenge(s, SLICE("Password:"), ret_step);
	}
	*ret_step = SASL_DONE;
	return check_password(s, *response);
}

/* --- CRAM-MD5 (RFC 2195 section 2) --- */

static struct status cram_begin(struct sasl_server *s, enum sasl_step *ret_step)
{
	uint64_t number;
	if (RAND_bytes((uint8_t *)&number, sizeof(number)) != 1)
		return fail(ERR_IO, "no randomness");
	buf_reset(&s->auth_message);
	buf_printf(&s->auth_message, "<%" PRIu64 ".%" PRId64 "@%s>", number, s->options.now_s,
	           s->options.host_name ? s->options.host_name : "localhost");
	s->state = 1;
	return challenge(s, buf_slice(&s->auth_message), ret_step);
}

/* response = user SP digest; the user's name may hold blanks, the digest is 32 lower case digits.
 */
static struct status cram_message(struct sasl_server *s, struct slice message)
{
	struct buf digest;
	uint8_t bytes[16];
	size_t blank = slice_rindex(message, ' ');
	if (blank == SIZE_MAX || blank == 0 || message.n - blank - 1 != 2 * sizeof(bytes))
		return fail(ERR_SYNTAX, "CRAM-MD5 message is malformed");
	buf_init(&digest, sizeof(bytes));
	struct status decoded = hex_decode(slice_from(message, blank + 1), &digest);
	if (is_ok(decoded))
		memcpy(bytes, digest.p, sizeof(bytes));
	buf_done(&digest);
	if (!is_ok(decoded))
		return fail(ERR_SYNTAX, "CRAM-MD5 digest is malformed");
	TRY(sasl_take_user(s, slice_sub(message, 0, blank)));
	const struct sasl_backend *backend = s->options.backend;
	return backend->cram_md5_verify(backend->context, buf_slice(&s->user),
	                                buf_slice(&s->auth_message), bytes);
}

static struct status cram_step(struct sasl_server *s, const struct slice *response,
                               enum sasl_step *ret_step)
{
	if (s->state == 0 && response)
		return fail(ERR_SYNTAX, "CRAM-MD5 has no initial response");
	if (s->state == 0)
		return cram_begin(s, ret_step);
	if (!response)
		return fail(ERR_SYNTAX, "response is missing");
	*ret_step = SASL_DONE;
	return cram_message(s, *response);
}

/* --- EXTERNAL (RFC 4422 appendix A) --- */

static struct status external_step(struct sasl_server *s, const struct slice *response,
                                   enum sasl_step *ret_step)
{
	const struct sasl_backend *backend = s->options.backend;
	if (!response)
		return challenge(s, slice_empty(), ret_step);
	if (response->n > 0)
		TRY(sasl_take_user(s, *response));
	struct buf user;
	buf_init(&user, SASL_PREPARE_MAX);
	*ret_step = SASL_DONE;
	struct status status = backend->external(backend->context, buf_slice(&s->user), &user);
	if (is_ok(status)) {
		buf_reset(&s->user);
		buf_add(&s->user, buf_slice(&user));
	}
	buf_done(&user);
	return status;
}

/* --- the frame --- */

void sasl_server_init(struct sasl_server *s, const struct sasl_server_options *options)
{
	*s = (struct sasl_server){.options = *options};
	ASSERT(options->n_bindings <= SASL_BINDINGS_MAX);
	buf_init(&s->user, 4 * SASL_PREPARE_MAX);
	buf_init(&s->nonce, SASL_NONCE_MAX + 64);
	buf_init(&s->gs2_header, SASL_RESPONSE_MAX);
	buf_init(&s->auth_message, 4 * SASL_RESPONSE_MAX);
	buf_init(&s->challenge, SASL_RESPONSE_MAX);
}

void sasl_wipe(struct buf *buf)
{
	if (buf->p)
		OPENSSL_cleanse(buf->p, buf->capacity);
	buf_done(buf);
}

void sasl_server_done(struct sasl_server *s)
{
	sasl_wipe(&s->user);
	sasl_wipe(&s->nonce);
	sasl_wipe(&s->gs2_header);
	sasl_wipe(&s->auth_message);
	sasl_wipe(&s->challenge);
}

static struct status step(struct sasl_server *s, const struct slice *response,
                          enum sasl_step *ret_step)
{
	switch (s->options.mechanism) {
	case SASL_PLAIN:
		return plain_step(s, response, ret_step);
	case SASL_LOGIN:
		return login_step(s, response, ret_step);
	case SASL_CRAM_MD5:
		return cram_step(s, response, ret_step);
	case SASL_SCRAM_SHA_1:
	case SASL_SCRAM_SHA_1_PLUS:
	case SASL_SCRAM_SHA_256:
	case SASL_SCRAM_SHA_256_PLUS:
		return sasl_scram_step(s, response, ret_step);
	case SASL_EXTERNAL:
		return external_step(s, response, ret_step);
	case SASL_MECHANISM_COUNT:
		break;
	}
	return fail(ERR_UNSUPPORTED, "unknown mechanism");
}

struct status sasl_server_step(struct sasl_server *s, const struct slice *response,
                               enum sasl_step *ret_step, struct slice *ret_challenge)
{
	enum sasl_step next = SASL_DONE;
	if (s->state == STATE_OVER)
		return fail(ERR_INVALID, "exchange is over");
	if (response && response->n > SASL_RESPONSE_MAX) {
		s->state = STATE_OVER;
		return fail(ERR_LIMIT, "response is too long");
	}
	struct status status = step(s, response, &next);
	if (!is_ok(status) || next == SASL_DONE)
		s->state = STATE_OVER;
	if (!is_ok(status))
		return status;
	*ret_step = next;
	*ret_challenge = next == SASL_CHALLENGE ? buf_slice(&s->challenge) : slice_empty();
	return ok();
}

struct slice sasl_server_user(const struct sasl_server *s)
{
	return buf_slice(&s->user);
}
