/* Sets added (RFC 8617 section 5.1). */
#include "mailauth/arc_private.h"
#include "mailauth/dkim_sign_private.h"
#include "message/compose.h"

/* Of a set that is being made. */
struct seal {
	const struct arc_seal_options *options;
	struct dkim_header header;
	struct arc_sets sets;
	unsigned instance;
	enum arc_cv cv;
	struct arena *arena;
	struct buf results, message; /* finished fields */
};

static bool is_forbidden(struct slice name)
{
	return slice_istarts(name, SLICE("ARC-")) || slice_ieq_str(name, "Authentication-Results");
}

static bool is_listed(const struct arc_seal_options *options, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(options->names[i], name))
			return true;
	return false;
}

/* "the signature of the AMS header field SHOULD include any DKIM-Signature header fields already
 * present" (section 4.1.2). */
static struct status choose_names(const struct seal *seal, struct dkim_names *names)
{
	const struct arc_seal_options *options = seal->options;
	if (!options->names) {
		dkim_names_add_usual(names, &seal->header);
		dkim_names_add(names, &seal->header, SLICE("DKIM-Signature"), 0);
	}
	for (size_t i = 0; options->names && i < options->n_names; i++) {
		if (is_forbidden(options->names[i]))
			return fail(ERR_INVALID, "a field that a message signature must not sign");
		if (!is_listed(options, i, options->names[i]))
			dkim_names_add(names, &seal->header, options->names[i],
			               !options->no_oversign);
	}
	return names->failed ? fail(ERR_LIMIT, "too many fields to be signed") : ok();
}

static struct status add_results(struct seal *seal)
{
	struct message_compose compose;
	const char *text = arena_printf(seal->arena, "i=%u; %.*s", seal->instance,
	                                SLICE_FMT(seal->options->results));
	if (seal->options->results.n == 0 || slice_has_control(seal->options->results))
		return fail(ERR_INVALID, "results that cannot be written");
	if (!text)
		return fail(ERR_LIMIT, "no room for the results");
	message_compose_init(&compose, &seal->results, seal->options->utf8);
	message_compose_structured(&compose, "ARC-Authentication-Results", slice_str(text));
	return message_compose_status(&compose);
}

static struct dkim_signature template_of(const struct seal *seal, enum dkim_kind kind)
{
	return (struct dkim_signature){
	        .kind = kind,
	        .algorithm = seal->options->key->algorithm,
	        .header_canon = seal->options->header_canon,
	        .body_canon = seal->options->body_canon,
	        .has_time = seal->options->now_s > 0,
	        .time_s = seal->options->now_s,
	        .instance = seal->instance,
	        .cv = seal->cv,
	        .signature = slice_empty(),
	        .body_hash = slice_empty(),
	        .identity = slice_empty(),
	};
}

static struct status add_message(struct seal *seal, const struct dkim_body *body)
{
	struct dkim_names names = {.n = 0};
	struct dkim_signature s = template_of(seal, DKIM_KIND_ARC_MESSAGE);
	TRY(dkim_sign_names(seal->options->domain, seal->options->selector, seal->arena, &s));
	TRY(choose_names(seal, &names));
	s.names = names.v;
	s.n_names = names.n;
	return dkim_sign_message(&seal->header, body, seal->options->key, seal->options->utf8,
	                         seal->arena, &s, &seal->message);
}

/* All sets, and the new one with its seal's b= empty; of a chain that failed the new one alone
 * (section 5.1.2). */
static void hash_sets(const struct seal *seal, struct slice unsigned_seal,
                      uint8_t digest[DKIM_HASH_SIZE])
{
	struct dkim_field_canon canon;
	struct dkim_hash *hash = dkim_hash_new();
	struct dkim_sink *sink = dkim_hash_sink(hash);
	for (unsigned i = 1; i < seal->instance && seal->cv != ARC_CV_FAIL; i++)
		arc_add_set(&seal->sets.v[i - 1], sink);
	dkim_canon_field(DKIM_RELAXED, buf_slice(&seal->results), sink);
	dkim_canon_field(DKIM_RELAXED, buf_slice(&seal->message), sink);
	dkim_field_canon_init(&canon, DKIM_RELAXED, sink);
	dkim_field_canon_feed(&canon, unsigned_seal);
	dkim_field_canon_finish(&canon, false);
	dkim_hash_finish(hash, digest);
	dkim_hash_free(hash);
}

static struct status add_seal(struct seal *seal, struct buf *out)
{
	uint8_t digest[DKIM_HASH_SIZE];
	struct dkim_signature s = template_of(seal, DKIM_KIND_ARC_SEAL);
	TRY(dkim_sign_names(seal->options->domain, seal->options->selector, seal->arena, &s));
	CLEANUP(buf_done) struct buf field;
	buf_init(&field, 64 * KIB);
	TRY(dkim_signature_print(&s, seal->options->utf8, &field));
	hash_sets(seal, buf_slice(&field), digest);
	return dkim_sign_digest(seal->options->key, digest, seal->options->utf8, seal->arena, &s,
	                        out);
}

/* The chain as it is found is worth what its fields are, whatever was said of it before. */
static enum arc_cv cv_of(const struct seal *seal)
{
	if (!seal->sets.any)
		return ARC_CV_NONE;
	return seal->sets.why || seal->options->cv != ARC_CV_PASS ? ARC_CV_FAIL : ARC_CV_PASS;
}

static struct status make_set(struct seal *seal, const struct dkim_body *body, struct buf *out)
{
	if (seal->header.truncated)
		return fail(ERR_LIMIT, "the header has too many fields");
	if (dkim_header_count(&seal->header, SLICE("From")) != 1)
		return fail(ERR_INVALID, "the message has not exactly one From field");
	if (seal->sets.highest >= ARC_SETS_MAX)
		return fail(ERR_LIMIT, "the chain has 50 sets already");
	seal->instance = seal->sets.highest + 1;
	seal->cv = cv_of(seal);
	TRY(add_results(seal));
	TRY(add_message(seal, body));
	TRY(add_seal(seal, out));
	buf_add(out, buf_slice(&seal->message));
	buf_add(out, buf_slice(&seal->results));
	return buf_failed(out) ? fail(ERR_LIMIT, "no room for an ARC set") : ok();
}

static struct status seal_in(struct slice header, const struct dkim_body *body,
                             const struct arc_seal_options *options, struct arena *arena,
                             struct buf *out, unsigned *ret_instance)
{
	struct seal seal = {.options = options, .arena = arena};
	TRY(dkim_header_index(header, arena, &seal.header));
	TRY(arc_sets_read(&seal.header, arena, &seal.sets));
	*ret_instance = 0;
	if (seal.sets.marked)
		return ok();
	buf_init(&seal.results, DKIM_SIGN_ARENA);
	buf_init(&seal.message, DKIM_SIGN_ARENA);
	struct status status = make_set(&seal, body, out);
	buf_done(&seal.results);
	buf_done(&seal.message);
	if (is_ok(status))
		*ret_instance = seal.instance;
	return status;
}

struct status arc_seal(struct slice header, const struct dkim_body *body,
                       const struct arc_seal_options *options, struct buf *out,
                       unsigned *ret_instance)
{
	struct arena arena;
	arena_init(&arena, DKIM_SIGN_ARENA);
	struct status status = seal_in(header, body, options, &arena, out, ret_instance);
	arena_done(&arena);
	return status;
}
