/* Signatures made (RFC 6376 sections 3.7 and 5).
 *
 * Which fields: section 5.4.1 names the core of a message. What a reader is shown or a program acts
 * on is signed in any case, so that nobody can add it where it was missing ("oversigning"); what
 * gateways may add later (MIME fields of a message that had none) only where it is there; what
 * lists and resenders add is signed but may be followed by more.
 */
#include "mailauth/dkim_sign.h"

#include "mailauth/dkim_sign_private.h"

enum how {
	ALWAYS, /* one more than there are */
	THERE,  /* the same, where there is one at least */
	AS_IS,  /* as many as there are */
};

static const struct {
	const char *name;
	enum how how;
} usual[] = {
        {"From", ALWAYS},
        {"Reply-To", ALWAYS},
        {"To", ALWAYS},
        {"Cc", ALWAYS},
        {"Subject", ALWAYS},
        {"Date", ALWAYS},
        {"Message-ID", ALWAYS},
        {"Content-Type", ALWAYS},
        {"Sender", THERE},
        {"In-Reply-To", THERE},
        {"References", THERE},
        {"MIME-Version", THERE},
        {"Content-Transfer-Encoding", THERE},
        {"Content-Disposition", THERE},
        {"Resent-Date", AS_IS},
        {"Resent-From", AS_IS},
        {"Resent-To", AS_IS},
        {"Resent-Cc", AS_IS},
        {"List-Id", AS_IS},
        {"List-Help", AS_IS},
        {"List-Unsubscribe", AS_IS}, /* RFC 8058 section 4 wants both signed */
        {"List-Unsubscribe-Post", AS_IS},
        {"List-Subscribe", AS_IS},
        {"List-Post", AS_IS},
        {"List-Owner", AS_IS},
        {"List-Archive", AS_IS},
        {"Auto-Submitted", AS_IS},
        {"TLS-Required", AS_IS},
        {"TLS-Report-Domain", AS_IS}, /* RFC 8460 section 5.3 wants both signed */
        {"TLS-Report-Submitter", AS_IS},
};

static void add_name(struct dkim_names *names, struct slice name)
{
	if (names->n < DKIM_SIGNED_NAMES_MAX)
		names->v[names->n++] = name;
	else
		names->failed = true;
}

void dkim_names_add(struct dkim_names *names, const struct dkim_header *header, struct slice name,
                    size_t extra)
{
	size_t n = dkim_header_count(header, name) + extra;
	for (size_t i = 0; i < n && !names->failed; i++)
		add_name(names, name);
}

void dkim_names_add_usual(struct dkim_names *names, const struct dkim_header *header)
{
	for (size_t i = 0; i < N_ELEMENTS(usual); i++) {
		struct slice name = slice_str(usual[i].name);
		bool is_there = usual[i].how == THERE && dkim_header_count(header, name) > 0;
		dkim_names_add(names, header, name, usual[i].how == ALWAYS || is_there);
	}
}

static bool is_listed(const struct dkim_sign_options *options, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(options->names[i], name))
			return true;
	return false;
}

static struct status choose_names(const struct dkim_header *header,
                                  const struct dkim_sign_options *options, struct dkim_names *names)
{
	if (options->names && !is_listed(options, options->n_names, SLICE("From")))
		return fail(ERR_INVALID, "From must be signed");
	if (!options->names)
		dkim_names_add_usual(names, header);
	for (size_t i = 0; options->names && i < options->n_names; i++)
		if (!is_listed(options, i, options->names[i]))
			dkim_names_add(names, header, options->names[i], !options->no_oversign);
	return names->failed ? fail(ERR_LIMIT, "too many fields to be signed") : ok();
}

struct status dkim_sign_names(struct slice domain, struct slice selector, struct arena *arena,
                              struct dkim_signature *s)
{
	s->domain = dkim_name_parse(domain, 2, arena);
	s->selector = dkim_name_parse(selector, 1, arena);
	if (!s->domain)
		return fail(ERR_INVALID, "the domain to sign for is none");
	if (!s->selector)
		return fail(ERR_INVALID, "the selector is none");
	return dkim_key_name(s->selector, s->domain, arena)
	               ? ok()
	               : fail(ERR_INVALID, "the name of the key is too long for the DNS");
}

/* --- hashing and signing --- */

struct status dkim_sign_digest(const struct dkim_signer_key *key,
                               const uint8_t digest[DKIM_HASH_SIZE], bool utf8, struct arena *arena,
                               struct dkim_signature *s, struct buf *out)
{
	uint8_t signature[DKIM_SIGNATURE_SIZE_MAX];
	size_t n = 0;
	TRY(key->sign(key->context, digest, signature, sizeof(signature), &n));
	if (n == 0 || n > sizeof(signature))
		return fail(ERR_INVALID, "a signature of an impossible size");
	s->signature = arena_copy(arena, slice_of(signature, n));
	TRY(dkim_signature_print(s, utf8, out));
	buf_add_str(out, "\r\n");
	return buf_failed(out) ? fail(ERR_LIMIT, "no room for a signature") : ok();
}

/* Hash step 2 of section 3.7. unsigned_field: the field with an empty b=, without its CRLF. */
static void hash_header(const struct dkim_header *header, const struct dkim_signature *s,
                        struct slice unsigned_field, uint8_t digest[DKIM_HASH_SIZE])
{
	const struct dkim_field *fields[DKIM_SIGNED_NAMES_MAX];
	struct dkim_field_canon canon;
	struct dkim_hash *hash = dkim_hash_new();
	struct dkim_sink *sink = dkim_hash_sink(hash);
	dkim_header_select(header, s->names, s->n_names, NULL, fields);
	for (size_t i = 0; i < s->n_names; i++)
		if (fields[i])
			dkim_canon_field(s->header_canon, fields[i]->raw, sink);
	dkim_field_canon_init(&canon, s->header_canon, sink);
	dkim_field_canon_feed(&canon, unsigned_field);
	dkim_field_canon_finish(&canon, false);
	dkim_hash_finish(hash, digest);
	dkim_hash_free(hash);
}

struct status dkim_sign_message(const struct dkim_header *header, const struct dkim_body *body,
                                const struct dkim_signer_key *key, bool utf8, struct arena *arena,
                                struct dkim_signature *s, struct buf *out)
{
	uint8_t digest[DKIM_HASH_SIZE];
	if (!dkim_body_has(body, s->body_canon))
		return fail(ERR_INVALID, "the body was not hashed in this way");
	s->body_hash = dkim_body_hash(body, s->body_canon);
	s->signature = slice_empty();
	CLEANUP(buf_done) struct buf field;
	buf_init(&field, DKIM_SIGN_ARENA);
	TRY(dkim_signature_print(s, utf8, &field));
	hash_header(header, s, buf_slice(&field), digest);
	return dkim_sign_digest(key, digest, utf8, arena, s, out);
}

/* --- a signature --- */

static struct status set_identity(const struct dkim_sign_options *options, struct arena *arena,
                                  struct dkim_signature *s)
{
	if (options->identity.n == 0)
		return ok();
	if (!dkim_identity_parse(options->identity, arena, s))
		return fail(ERR_INVALID, "the identity is none");
	if (!dkim_name_is_within(s->identity_domain, s->domain))
		return fail(ERR_INVALID, "the identity is not of the domain");
	return ok();
}

static struct status sign_once(const struct dkim_header *header, const struct dkim_body *body,
                               const struct dkim_sign_options *options, struct arena *arena,
                               struct buf *out)
{
	struct dkim_names names = {.n = 0};
	struct dkim_signature s = {
	        .kind = DKIM_KIND_SIGNATURE,
	        .algorithm = options->key->algorithm,
	        .header_canon = options->header_canon,
	        .body_canon = options->body_canon,
	        .has_time = options->now_s > 0,
	        .time_s = options->now_s,
	        .has_expiry = options->now_s > 0 && options->lifetime_s > 0,
	        .expiry_s = options->now_s + options->lifetime_s,
	};
	if (s.algorithm == DKIM_RSA_SHA1)
		return fail(ERR_INVALID, "nothing is signed with rsa-sha1 (RFC 8301)");
	TRY(dkim_sign_names(options->domain, options->selector, arena, &s));
	TRY(set_identity(options, arena, &s));
	TRY(choose_names(header, options, &names));
	s.names = names.v;
	s.n_names = names.n;
	return dkim_sign_message(header, body, options->key, options->utf8, arena, &s, out);
}

unsigned dkim_sign_wants(const struct dkim_sign_options *signatures, size_t n)
{
	unsigned wanted = 0;
	for (size_t i = 0; i < n; i++)
		wanted |= 1u << signatures[i].body_canon;
	return wanted;
}

static struct status sign_all(struct slice header_block, const struct dkim_body *body,
                              const struct dkim_sign_options *signatures, size_t n,
                              struct arena *arena, struct buf *out)
{
	struct dkim_header header;
	TRY(dkim_header_index(header_block, arena, &header));
	if (header.truncated)
		return fail(ERR_LIMIT, "the header has too many fields");
	if (dkim_header_count(&header, SLICE("From")) != 1)
		return fail(ERR_INVALID, "the message has not exactly one From field");
	for (size_t i = 0; i < n; i++)
		TRY(sign_once(&header, body, &signatures[i], arena, out));
	return ok();
}

struct status dkim_sign(struct slice header, const struct dkim_body *body,
                        const struct dkim_sign_options *signatures, size_t n, struct buf *out)
{
	struct arena arena;
	arena_init(&arena, DKIM_SIGN_ARENA);
	struct status status = sign_all(header, body, signatures, n, &arena, out);
	arena_done(&arena);
	return status;
}
