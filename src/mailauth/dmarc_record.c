/* DMARC policy records:
 *
 *   dmarc-record  = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]      RFC 9989 section 4.8
 *   dmarc-version = "v" equals %s"DMARC1"
 *   dmarc-sep     = *WSP ";" *WSP
 *   dmarc-tag     = 1*ALPHA equals 1*dmarc-value
 *
 * and pct, ri, rf of RFC 7489 section 6.4. The list is cut at its semicolons first and each piece
 * is read as a tag list of one (taglist.h), so that a piece that is none costs nothing but itself.
 * A tag that occurs twice says nothing certain (RFC 6376 section 3.2): it counts as wrong.
 *
 * Limits: MAILAUTH_TAGS_MAX pieces, DMARC_URIS_MAX URIs a tag, DMARC_DEFECTS_MAX defects told.
 */
#include "mailauth/dmarc_record.h"

#include "mailauth/dmarc_uri_private.h"
#include "mailauth/explain.h"
#include "mailauth/taglist.h"

#define VERSION   "DMARC1"
#define SHOWN_MAX 60u /* bytes of a piece that are shown in a defect */

struct parser {
	struct arena *arena;
	struct dmarc_record record;
	struct mailauth_tag tags[MAILAUTH_TAGS_MAX];
	struct dmarc_defect *defects;
	bool policy_is_wrong; /* p is missing, or one of p, sp, np not valid */
};

static const char *const policies[] = {"none", "quarantine", "reject"};

const char *dmarc_policy_name(enum dmarc_policy policy)
{
	return (size_t)policy < N_ELEMENTS(policies) ? policies[policy] : "";
}

bool dmarc_policy_parse(struct slice name, enum dmarc_policy *ret_policy)
{
	for (size_t i = 0; i < N_ELEMENTS(policies); i++)
		if (slice_ieq_str(name, policies[i])) {
			*ret_policy = (enum dmarc_policy)i;
			return true;
		}
	return false;
}

const char *dmarc_mode_name(enum dmarc_mode mode)
{
	return mode == DMARC_STRICT ? "strict" : "relaxed";
}

static void defect(struct parser *p, const char *where, const char *why)
{
	if (p->record.n_defects < DMARC_DEFECTS_MAX && p->defects)
		p->defects[p->record.n_defects++] = (struct dmarc_defect){where, why};
}

/* --- values; false: not valid, the default stays --- */

static bool read_policy(struct slice value, bool *ret_has, enum dmarc_policy *ret_policy)
{
	*ret_has = dmarc_policy_parse(value, ret_policy);
	return *ret_has;
}

static bool read_p(struct parser *p, struct slice value)
{
	return read_policy(value, &p->record.has_p, &p->record.p);
}

static bool read_sp(struct parser *p, struct slice value)
{
	return read_policy(value, &p->record.has_sp, &p->record.sp);
}

static bool read_np(struct parser *p, struct slice value)
{
	return read_policy(value, &p->record.has_np, &p->record.np);
}

static bool read_mode(struct slice value, enum dmarc_mode *ret_mode)
{
	if (!slice_ieq_str(value, "r") && !slice_ieq_str(value, "s"))
		return false;
	*ret_mode = slice_ieq_str(value, "s") ? DMARC_STRICT : DMARC_RELAXED;
	return true;
}

static bool read_adkim(struct parser *p, struct slice value)
{
	return read_mode(value, &p->record.adkim);
}

static bool read_aspf(struct parser *p, struct slice value)
{
	return read_mode(value, &p->record.aspf);
}

static bool read_psd(struct parser *p, struct slice value)
{
	static const char *const words[] = {
	        [DMARC_PSD_UNKNOWN] = "u",
	        [DMARC_PSD_NO] = "n",
	        [DMARC_PSD_YES] = "y",
	};
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (slice_ieq_str(value, words[i])) {
			p->record.psd = (enum dmarc_psd)i;
			return true;
		}
	return false;
}

static bool read_t(struct parser *p, struct slice value)
{
	p->record.testing = slice_ieq_str(value, "y");
	return p->record.testing || slice_ieq_str(value, "n");
}

static unsigned fo_bit(struct slice item)
{
	static const char letters[] = "01ds"; /* in the order of the bits */
	const char *at = item.n == 1 ? memchr(letters, ascii_lower(item.p[0]), 4) : NULL;
	return at ? 1u << (at - letters) : 0;
}

/* dmarc-fo: each of 0, 1, d, s once, any order. RFC 9989 lets 0 and 1 not stand together, RFC 7489
 * did: 1 includes 0. */
static bool read_fo(struct parser *p, struct slice value)
{
	struct mailauth_items items = mailauth_items_of(value, ':');
	struct slice item;
	unsigned bits = 0;
	while (mailauth_items_next(&items, &item)) {
		unsigned bit = fo_bit(item);
		if (bit == 0 || (bits & bit))
			return false;
		bits |= bit;
	}
	if ((bits & DMARC_FO_ALL) && (bits & DMARC_FO_ANY)) {
		defect(p, "fo", "0 and 1 exclude each other; 1 counts");
		bits &= ~DMARC_FO_ALL;
	}
	p->record.fo = bits;
	return true;
}

static bool read_pct(struct parser *p, struct slice value)
{
	return value.n <= 3 && slice_to_u32(value, 100, &p->record.pct);
}

static bool read_ri(struct parser *p, struct slice value)
{
	return slice_to_u32(value, UINT32_MAX, &p->record.ri);
}

/* Only afrf was ever registered, and it is the default: what else is asked for is not given. */
static bool read_rf(struct parser *p, struct slice value)
{
	struct mailauth_items items = mailauth_items_of(value, ':');
	struct slice item;
	(void)p;
	while (mailauth_items_next(&items, &item))
		if (slice_ieq_str(item, "afrf"))
			return true;
	return false;
}

static bool read_uris(struct parser *p, const char *tag, struct slice value,
                      struct dmarc_uris *ret_uris)
{
	struct mailauth_items items = mailauth_items_of(value, ',');
	struct slice item;
	struct dmarc_uri uris[DMARC_URIS_MAX];
	size_t n = 0;
	while (mailauth_items_next(&items, &item)) {
		if (n == DMARC_URIS_MAX) {
			defect(p, tag, "more URIs than are looked at");
			break;
		}
		struct status status = dmarc_uri_parse(item, p->arena, &uris[n]);
		if (is_ok(status))
			n++;
		else
			defect(p, tag, status.why);
	}
	struct dmarc_uri *v = ARENA_ARRAY(p->arena, n, struct dmarc_uri);
	if (v && n > 0) {
		memcpy(v, uris, n * sizeof(*v));
		*ret_uris = (struct dmarc_uris){v, n};
	}
	return n > 0;
}

static bool read_rua(struct parser *p, struct slice value)
{
	return read_uris(p, "rua", value, &p->record.rua);
}

static bool read_ruf(struct parser *p, struct slice value)
{
	return read_uris(p, "ruf", value, &p->record.ruf);
}

static bool read_v(struct parser *p, struct slice value)
{
	(void)p;
	(void)value; /* dmarc_record_is has looked at it */
	return true;
}

static const struct {
	const char *name;
	bool (*read)(struct parser *p, struct slice value);
	bool is_policy; /* when it is not valid there is no policy (RFC 9989 section 4.10.1) */
	const char *why;
} known_tags[] = {
        {"v", read_v, false, ""},
        {"p", read_p, true, "not none, quarantine or reject"},
        {"sp", read_sp, true, "not none, quarantine or reject"},
        {"np", read_np, true, "not none, quarantine or reject"},
        {"psd", read_psd, false, "not y, n or u"},
        {"t", read_t, false, "not y or n"},
        {"adkim", read_adkim, false, "not r or s"},
        {"aspf", read_aspf, false, "not r or s"},
        {"rua", read_rua, false, "no URI that can be understood"},
        {"ruf", read_ruf, false, "no URI that can be understood"},
        {"fo", read_fo, false, "not a list of 0, 1, d and s"},
        {"pct", read_pct, false, "not a number from 0 to 100"},
        {"ri", read_ri, false, "not a number of seconds"},
        {"rf", read_rf, false, "no format that is known"},
};

/* --- the record --- */

static bool is_version(struct slice piece)
{
	struct slice name, value;
	return slice_cut(piece, '=', &name, &value) && slice_ieq_str(slice_trim(name), "v") &&
	       slice_eq_str(slice_trim(value), VERSION);
}

bool dmarc_record_is(struct slice text)
{
	struct slice piece, rest;
	slice_cut(text, ';', &piece, &rest);
	return is_version(piece);
}

static void take_piece(struct parser *p, struct slice piece)
{
	struct mailauth_taglist list;
	struct status status = mailauth_taglist_parse(piece, p->arena, &list);
	if (is_ok(status))
		p->tags[p->record.n_tags++] = list.v[0];
	else
		defect(p, mailauth_printable(piece, SHOWN_MAX, p->arena), status.why);
}

/* dmarc-tag after dmarc-sep. Empty pieces are no tags; the last one is allowed. */
static void take_pieces(struct parser *p, struct slice text)
{
	struct mailauth_items items = mailauth_items_of(text, ';');
	struct slice piece;
	while (mailauth_items_next(&items, &piece)) {
		if (piece.n == 0 && items.ended)
			return;
		if (p->record.n_tags == MAILAUTH_TAGS_MAX) {
			defect(p, "", "more tags than are looked at");
			return;
		}
		if (piece.n == 0)
			defect(p, "", "an empty tag");
		else
			take_piece(p, piece);
	}
}

/* The tag of that name; *ret_n tells how often it is there. */
static struct slice find_value(const struct parser *p, const char *name, size_t *ret_n)
{
	struct slice value = slice_empty();
	*ret_n = 0;
	for (size_t i = 0; i < p->record.n_tags; i++)
		if (slice_ieq_str(p->tags[i].name, name)) {
			value = p->tags[i].value;
			++*ret_n;
		}
	return value;
}

static void read_tags(struct parser *p)
{
	for (size_t i = 0; i < N_ELEMENTS(known_tags); i++) {
		size_t n;
		struct slice value = find_value(p, known_tags[i].name, &n);
		bool valid = n == 1 && known_tags[i].read(p, value);
		if (n > 0 && !valid) {
			defect(p, known_tags[i].name, n > 1 ? "occurs twice" : known_tags[i].why);
			p->policy_is_wrong |= known_tags[i].is_policy;
		}
	}
}

static void decide_use(struct parser *p)
{
	struct dmarc_record *record = &p->record;
	if (record->has_p && !p->policy_is_wrong)
		return;
	record->use = record->rua.n > 0 ? DMARC_USE_REPORTS : DMARC_USE_NOTHING;
	record->has_p = record->has_sp = record->has_np = false;
	record->p = record->sp = record->np = DMARC_NONE;
}

struct status dmarc_record_parse(struct slice text, struct arena *arena,
                                 struct dmarc_record *ret_record)
{
	struct parser p = {.arena = arena};
	if (!dmarc_record_is(text))
		return fail(ERR_NOT_FOUND, "not a DMARC record");
	p.record = (struct dmarc_record){
	        .fo = DMARC_FO_ALL, .pct = DMARC_PCT_DEFAULT, .ri = DMARC_RI_DEFAULT};
	p.defects = ARENA_ARRAY(arena, DMARC_DEFECTS_MAX, struct dmarc_defect);
	p.record.defects = p.defects;
	take_pieces(&p, text);
	read_tags(&p);
	decide_use(&p);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for a DMARC record");
	*ret_record = p.record;
	return ok();
}

enum dmarc_policy dmarc_record_policy(const struct dmarc_record *record, enum dmarc_scope scope,
                                      const char **ret_tag)
{
	if (scope == DMARC_SCOPE_NONEXISTENT && record->has_np) {
		*ret_tag = "np";
		return record->np;
	}
	if (scope != DMARC_SCOPE_DOMAIN && record->has_sp) {
		*ret_tag = "sp";
		return record->sp;
	}
	*ret_tag = record->has_p ? "p" : "";
	return record->p;
}

/* --- printing --- */

static void print_uris(const char *tag, const struct dmarc_uris *uris, struct buf *out)
{
	if (uris->n == 0)
		return;
	buf_printf(out, "; %s=", tag);
	for (size_t i = 0; i < uris->n; i++) {
		if (i > 0)
			buf_add_byte(out, ',');
		dmarc_uri_print(&uris->v[i], out);
	}
}

static void print_fo(unsigned fo, struct buf *out)
{
	static const char letters[] = "01ds";
	const char *separator = "; fo=";
	if (fo == DMARC_FO_ALL)
		return;
	for (unsigned i = 0; i < 4; i++)
		if (fo & 1u << i) {
			buf_printf(out, "%s%c", separator, letters[i]);
			separator = ":";
		}
}

void dmarc_record_print(const struct dmarc_record *record, struct buf *out)
{
	buf_add_str(out, "v=" VERSION);
	if (record->has_p)
		buf_printf(out, "; p=%s", policies[record->p]);
	if (record->has_sp)
		buf_printf(out, "; sp=%s", policies[record->sp]);
	if (record->has_np)
		buf_printf(out, "; np=%s", policies[record->np]);
	if (record->psd != DMARC_PSD_UNKNOWN)
		buf_printf(out, "; psd=%s", record->psd == DMARC_PSD_YES ? "y" : "n");
	if (record->testing)
		buf_add_str(out, "; t=y");
	if (record->adkim == DMARC_STRICT)
		buf_add_str(out, "; adkim=s");
	if (record->aspf == DMARC_STRICT)
		buf_add_str(out, "; aspf=s");
	print_uris("rua", &record->rua, out);
	print_uris("ruf", &record->ruf, out);
	print_fo(record->fo, out);
	if (record->pct != DMARC_PCT_DEFAULT)
		buf_printf(out, "; pct=%u", record->pct);
	if (record->ri != DMARC_RI_DEFAULT)
		buf_printf(out, "; ri=%" PRIu32, record->ri);
}
