/* Signatures read (RFC 6376 section 3.5; RFC 8617 sections 4.1.2 and 4.1.3).
 *
 * One table says for each tag how it is read and which field must, may or must not have it. Unknown
 * tags are passed over. Values are case-sensitive (section 3.2) where nothing else is said.
 *
 * Does not: look at z=, which is for diagnosis by people.
 */
#include "mailauth/dkim_signature.h"

#include "base/cursor.h"
#include "base/encode.h"
#include "mailauth/taglist.h"

#define TIME_DIGITS_MAX   12u /* section 3.5, t= */
#define LENGTH_DIGITS_MAX 76u /* l= */

static const char *const field_names[DKIM_N_KINDS] = {
        [DKIM_KIND_SIGNATURE] = "DKIM-Signature",
        [DKIM_KIND_ARC_MESSAGE] = "ARC-Message-Signature",
        [DKIM_KIND_ARC_SEAL] = "ARC-Seal",
};

const char *dkim_kind_field(enum dkim_kind kind)
{
	return field_names[kind];
}

static const char *const algorithm_names[] = {
#define X(code, text) [DKIM_##code] = text,
        DKIM_ALGORITHM_LIST(X)
#undef X
};

const char *dkim_algorithm_name(enum dkim_algorithm algorithm)
{
	return (size_t)algorithm < N_ELEMENTS(algorithm_names) ? algorithm_names[algorithm] : "";
}

bool dkim_algorithm_parse(struct slice text, enum dkim_algorithm *ret_algorithm)
{
	for (size_t i = 0; i < N_ELEMENTS(algorithm_names); i++)
		if (slice_eq_str(text, algorithm_names[i])) {
			*ret_algorithm = (enum dkim_algorithm)i;
			return true;
		}
	return false;
}

static const char *const cv_names[] = {
        [ARC_CV_NONE] = "none",
        [ARC_CV_FAIL] = "fail",
        [ARC_CV_PASS] = "pass",
};

const char *arc_cv_name(enum arc_cv cv)
{
	return cv_names[cv];
}

/* --- values --- */

struct parser {
	struct dkim_signature s;
	struct arena *arena;
};

typedef struct status parse_fn(struct parser *p, const struct mailauth_tag *tag);

static struct status parse_v(struct parser *p, const struct mailauth_tag *tag)
{
	(void)p;
	return slice_eq_str(tag->value, "1") ? ok() : fail(ERR_UNSUPPORTED, "unknown version");
}

static struct status parse_a(struct parser *p, const struct mailauth_tag *tag)
{
	if (!dkim_algorithm_parse(tag->value, &p->s.algorithm))
		return fail(ERR_UNSUPPORTED, "unknown algorithm");
	return ok();
}

/* base64string (section 2.10), where blanks mean nothing. */
static struct status decode(struct parser *p, struct slice value, size_t max, const char *why,
                            struct slice *ret_bytes, struct slice *ret_text)
{
	if (value.n > 8 * max)
		return fail(ERR_LIMIT, "b= or bh= is too long");
	struct slice text = mailauth_tag_strip(value, p->arena);
	CLEANUP(buf_done) struct buf bytes;
	buf_init(&bytes, max);
	struct status status = base64_decode(text, &bytes);
	if (status.code == ERR_LIMIT)
		return fail(ERR_LIMIT, "b= or bh= is too long");
	if (!is_ok(status) || bytes.n == 0)
		return fail(ERR_SYNTAX, why);
	*ret_bytes = arena_copy(p->arena, buf_slice(&bytes));
	*ret_text = text;
	return ok();
}

static struct status parse_b(struct parser *p, const struct mailauth_tag *tag)
{
	p->s.b_raw = tag->raw;
	return decode(p, tag->value, DKIM_SIGNATURE_SIZE_MAX, "b= is no base64", &p->s.signature,
	              &p->s.b_text);
}

static struct status parse_bh(struct parser *p, const struct mailauth_tag *tag)
{
	struct slice text;
	return decode(p, tag->value, DKIM_HASH_SIZE, "bh= is no base64", &p->s.body_hash, &text);
}

static bool canon_of(struct slice name, enum dkim_canon *ret_canon)
{
	*ret_canon = slice_eq_str(name, "relaxed") ? DKIM_RELAXED : DKIM_SIMPLE;
	return *ret_canon == DKIM_RELAXED || slice_eq_str(name, "simple");
}

/* sig-c-tag = sig-c-tag-alg ["/" sig-c-tag-alg]; simple where nothing is said. */
static struct status parse_c(struct parser *p, const struct mailauth_tag *tag)
{
	struct slice header, body;
	if (!slice_cut(tag->value, '/', &header, &body))
		body = SLICE("simple");
	if (!canon_of(header, &p->s.header_canon) || !canon_of(body, &p->s.body_canon))
		return fail(ERR_UNSUPPORTED, "unknown canonicalization");
	return ok();
}

static struct status parse_d(struct parser *p, const struct mailauth_tag *tag)
{
	p->s.domain = dkim_name_parse(tag->value, 2, p->arena);
	return p->s.domain ? ok() : fail(ERR_SYNTAX, "d= is no domain name");
}

static struct status parse_s(struct parser *p, const struct mailauth_tag *tag)
{
	p->s.selector = dkim_name_parse(tag->value, 1, p->arena);
	return p->s.selector ? ok() : fail(ERR_SYNTAX, "s= is no selector");
}

static bool is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':')
			return false;
	return name.n > 0;
}

/* sig-h-tag = hdr-name *( [FWS] ":" [FWS] hdr-name ) */
static struct status parse_h(struct parser *p, const struct mailauth_tag *tag)
{
	struct mailauth_items items = mailauth_items_of(tag->value, ':');
	struct slice item;
	size_t n = 1;
	for (size_t i = 0; i < tag->value.n; i++)
		n += tag->value.p[i] == ':';
	if (n > DKIM_SIGNED_NAMES_MAX)
		return fail(ERR_LIMIT, "h= has too many names");
	struct slice *names = ARENA_ARRAY(p->arena, n, struct slice);
	for (n = 0; names && mailauth_items_next(&items, &item); n++) {
		if (!is_field_name(item))
			return fail(ERR_SYNTAX, "h= holds what is no name of a field");
		names[n] = item;
	}
	p->s.names = names;
	p->s.n_names = n;
	return ok();
}

/* dkim-quoted-printable (section 2.11, RFC 8616 section 5). */
static bool decode_quoted(struct slice text, struct arena *arena, struct slice *ret_decoded)
{
	uint8_t *out = arena_alloc(arena, text.n);
	size_t n = 0;
	for (size_t i = 0; out && i < text.n; i++) {
		if (text.p[i] != '=') {
			out[n++] = text.p[i];
			continue;
		}
		int high = i + 2 < text.n ? ascii_hex_value(text.p[i + 1]) : -1;
		int low = i + 2 < text.n ? ascii_hex_value(text.p[i + 2]) : -1;
		/* "no lowercase characters permitted" */
		if (high < 0 || low < 0 || text.p[i + 1] > 'F' || text.p[i + 2] > 'F')
			return false;
		out[n++] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	*ret_decoded = out ? slice_of(out, n) : slice_empty();
	return true;
}

/* instance: position = 1*2DIGIT, 1 - 50 (RFC 8617 section 3.9) */
static struct status parse_instance(struct parser *p, const struct mailauth_tag *tag)
{
	uint32_t n;
	if (tag->value.n > 2 || !slice_to_u32(tag->value, ARC_INSTANCE_MAX, &n) || n == 0)
		return fail(ERR_SYNTAX, "i= is no number from 1 to 50");
	p->s.instance = n;
	return ok();
}

static struct status parse_i(struct parser *p, const struct mailauth_tag *tag)
{
	struct slice decoded;
	if (p->s.kind != DKIM_KIND_SIGNATURE)
		return parse_instance(p, tag);
	if (!decode_quoted(mailauth_tag_strip(tag->value, p->arena), p->arena, &decoded) ||
	    !dkim_identity_parse(decoded, p->arena, &p->s))
		return fail(ERR_SYNTAX, "i= is no identity");
	return ok();
}

static bool is_number(struct slice text, size_t max_digits)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_digit(text.p[i]))
			return false;
	return text.n > 0 && text.n <= max_digits;
}

static struct status parse_l(struct parser *p, const struct mailauth_tag *tag)
{
	if (!is_number(tag->value, LENGTH_DIGITS_MAX))
		return fail(ERR_SYNTAX, "l= is no number");
	p->s.has_length = true;
	if (!slice_to_u64(tag->value, UINT64_MAX, &p->s.length))
		p->s.length = UINT64_MAX;
	return ok();
}

static bool parse_time(struct slice text, int64_t *ret_time_s)
{
	uint64_t time_s;
	if (!is_number(text, TIME_DIGITS_MAX) || !slice_to_u64(text, INT64_MAX, &time_s))
		return false;
	*ret_time_s = (int64_t)time_s;
	return true;
}

static struct status parse_t(struct parser *p, const struct mailauth_tag *tag)
{
	p->s.has_time = parse_time(tag->value, &p->s.time_s);
	return p->s.has_time ? ok() : fail(ERR_SYNTAX, "t= is no time");
}

static struct status parse_x(struct parser *p, const struct mailauth_tag *tag)
{
	p->s.has_expiry = parse_time(tag->value, &p->s.expiry_s);
	return p->s.has_expiry ? ok() : fail(ERR_SYNTAX, "x= is no time");
}

/* "Unrecognized query mechanisms MUST be ignored": one that is known must be among them. */
static struct status parse_q(struct parser *p, const struct mailauth_tag *tag)
{
	struct mailauth_items items = mailauth_items_of(tag->value, ':');
	struct slice item;
	(void)p;
	while (mailauth_items_next(&items, &item))
		if (slice_eq_str(item, "dns/txt"))
			return ok();
	return fail(ERR_UNSUPPORTED, "unknown way to its key");
}

/* chain-status, whose case does not matter (RFC 8617 section 3.9 marks what is case-sensitive) */
static struct status parse_cv(struct parser *p, const struct mailauth_tag *tag)
{
	for (size_t i = 0; i < N_ELEMENTS(cv_names); i++)
		if (slice_ieq_str(tag->value, cv_names[i])) {
			p->s.cv = (enum arc_cv)i;
			return ok();
		}
	return fail(ERR_SYNTAX, "cv= is none of none, pass and fail");
}

/* --- tags --- */

enum need {
	OVER, /* passed over */
	MUST,
	MAY,
	NOT, /* makes the field invalid */
};

static const struct {
	const char *name;
	parse_fn *parse;
	enum need need[DKIM_N_KINDS]; /* signature, ARC message signature, ARC seal */
	const char *missing;
} tags[] = {
        {"v", parse_v, {MUST, OVER, OVER}, "v= is missing"},
        {"a", parse_a, {MUST, MUST, MUST}, "a= is missing"},
        {"b", parse_b, {MUST, MUST, MUST}, "b= is missing"},
        {"bh", parse_bh, {MUST, MUST, OVER}, "bh= is missing"},
        {"c", parse_c, {MAY, MAY, OVER}, ""},
        {"d", parse_d, {MUST, MUST, MUST}, "d= is missing"},
        {"h", parse_h, {MUST, MUST, NOT}, "h= is missing"},
        {"i", parse_i, {MAY, MUST, MUST}, "i= is missing"},
        {"l", parse_l, {MAY, MAY, OVER}, ""},
        {"q", parse_q, {MAY, MAY, OVER}, ""},
        {"s", parse_s, {MUST, MUST, MUST}, "s= is missing"},
        {"t", parse_t, {MAY, MAY, MAY}, ""},
        {"x", parse_x, {MAY, MAY, OVER}, ""},
        {"cv", parse_cv, {OVER, OVER, MUST}, "cv= is missing"},
};

static struct status parse_tags(struct parser *p, const struct mailauth_taglist *list)
{
	for (size_t i = 0; i < N_ELEMENTS(tags); i++) {
		const struct mailauth_tag *tag = mailauth_taglist_find(list, tags[i].name);
		enum need need = tags[i].need[p->s.kind];
		if (!tag && need == MUST)
			return fail(ERR_SYNTAX, tags[i].missing);
		if (tag && need == NOT)
			return fail(ERR_SYNTAX, "a seal has h=");
		if (tag && need != OVER)
			TRY(tags[i].parse(p, tag));
	}
	return ok();
}

static struct status check_together(const struct dkim_signature *s)
{
	size_t hash_size = s->algorithm == DKIM_RSA_SHA1 ? 20 : DKIM_HASH_SIZE;
	if (s->kind != DKIM_KIND_ARC_SEAL && s->body_hash.n != hash_size)
		return fail(ERR_SYNTAX, "bh= is no hash of its algorithm");
	if (s->has_time && s->has_expiry && s->expiry_s <= s->time_s)
		return fail(ERR_SYNTAX, "x= is not later than t=");
	return ok();
}

struct status dkim_signature_parse(enum dkim_kind kind, struct slice value, struct arena *arena,
                                   struct dkim_signature *ret_signature)
{
	struct mailauth_taglist list;
	enum dkim_canon canon = kind == DKIM_KIND_ARC_SEAL ? DKIM_RELAXED : DKIM_SIMPLE;
	struct parser p = {.s = {.kind = kind,
	                         .header_canon = canon,
	                         .body_canon = canon,
	                         .body_hash = slice_empty(),
	                         .identity = slice_empty()},
	                   .arena = arena};
	TRY(mailauth_taglist_parse(value, arena, &list));
	struct status status = parse_tags(&p, &list);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for a signature");
	TRY(status);
	TRY(check_together(&p.s));
	*ret_signature = p.s;
	return ok();
}
