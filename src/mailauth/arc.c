/* ARC sets: collected, and their structure checked (RFC 8617 sections 4.1, 4.2 and 5.2).
 *
 *	arc-info     = instance [CFWS] ";" authres-payload             ARC-Authentication-Results
 *	instance     = [CFWS] %s"i" [CFWS] "=" [CFWS] position
 *	position     = 1*2DIGIT                                        ; 1 - 50
 *
 * The other two fields are tag lists; their i= is found wherever it stands, as everybody writes it,
 * though the grammar has it first.
 *
 * Limits: past 3 * ARC_SETS_MAX ARC fields nothing is read.
 */
#include "mailauth/arc_private.h"

#include "base/cursor.h"
#include "mailauth/taglist.h"
#include "message/lex.h"

#define FIELDS_MAX (3u * ARC_SETS_MAX)

static struct slice value_of(const struct dkim_field *field)
{
	struct slice name, value;
	slice_cut(dkim_field_content(field->raw), ':', &name, &value);
	return value;
}

static void refuse(struct arc_sets *sets, const char *why)
{
	if (!sets->why)
		sets->why = why;
}

/* --- results --- */

static bool lex_byte(struct message_lex *lex, uint8_t byte)
{
	(void)message_lex_skip_blank(lex);
	if (lex->at >= lex->in.n || lex->in.p[lex->at] != byte)
		return false;
	lex->at++;
	return true;
}

static bool lex_position(struct message_lex *lex, uint32_t *ret_instance)
{
	(void)message_lex_skip_blank(lex);
	struct slice rest = slice_from(lex->in, lex->at);
	size_t n = 0;
	while (n < rest.n && ascii_is_digit(rest.p[n]))
		n++;
	lex->at += n;
	return n <= 2 && slice_to_u32(slice_sub(rest, 0, n), ARC_SETS_MAX, ret_instance) &&
	       *ret_instance > 0;
}

/* The instance, 0 when there is none. */
static unsigned read_results(struct slice value, struct slice *ret_payload)
{
	struct message_lex lex = message_lex_of(value);
	uint32_t instance = 0;
	if (!lex_byte(&lex, 'i') || !lex_byte(&lex, '=') || !lex_position(&lex, &instance) ||
	    !lex_byte(&lex, ';'))
		return 0;
	*ret_payload = slice_trim(slice_from(value, lex.at));
	return instance;
}

/* --- signatures --- */

/* The i= of a tag list whose other tags may be wrong; 0 when there is none. */
static unsigned read_instance(struct slice value, struct arena *arena)
{
	struct mailauth_taglist list;
	uint32_t instance = 0;
	if (!is_ok(mailauth_taglist_parse(value, arena, &list)))
		return 0;
	const struct mailauth_tag *tag = mailauth_taglist_find(&list, "i");
	if (tag && tag->value.n <= 2 && slice_to_u32(tag->value, ARC_SETS_MAX, &instance))
		return instance;
	return 0;
}

static void read_signature(enum dkim_kind kind, const struct dkim_field *field, struct arena *arena,
                           struct arc_sets *sets)
{
	struct dkim_signature s;
	bool is_seal = kind == DKIM_KIND_ARC_SEAL;
	struct status status = dkim_signature_parse(kind, value_of(field), arena, &s);
	unsigned instance = is_ok(status) ? s.instance : read_instance(value_of(field), arena);
	sets->highest = MAX(sets->highest, instance);
	if (!is_ok(status)) {
		const char *why = arena_printf(arena, "has an %s that cannot be read: %s",
		                               dkim_kind_field(kind), status.why);
		refuse(sets, why ? why : "has a field that cannot be read");
		return;
	}
	struct arc_fields *set = &sets->v[instance - 1];
	if (is_seal ? set->seal != NULL : set->message != NULL) {
		refuse(sets, is_seal ? "has two seals of one instance"
		                     : "has two message signatures of one instance");
		return;
	}
	if (is_seal) {
		set->seal = field;
		set->seal_signature = s;
	} else {
		set->message = field;
		set->message_signature = s;
	}
}

/* --- sets --- */

static void read_field(const struct dkim_field *field, struct arena *arena, struct arc_sets *sets)
{
	struct slice payload;
	if (slice_ieq_str(field->name, "ARC-Seal")) {
		read_signature(DKIM_KIND_ARC_SEAL, field, arena, sets);
		return;
	}
	if (slice_ieq_str(field->name, "ARC-Message-Signature")) {
		read_signature(DKIM_KIND_ARC_MESSAGE, field, arena, sets);
		return;
	}
	unsigned instance = read_results(value_of(field), &payload);
	if (instance == 0) {
		refuse(sets, "has an ARC-Authentication-Results that cannot be read");
		return;
	}
	sets->highest = MAX(sets->highest, instance);
	struct arc_fields *set = &sets->v[instance - 1];
	if (set->results)
		refuse(sets, "has two ARC-Authentication-Results of one instance");
	set->results = field;
	set->payload = payload;
}

static bool is_arc(const struct dkim_field *field)
{
	return slice_ieq_str(field->name, "ARC-Seal") ||
	       slice_ieq_str(field->name, "ARC-Message-Signature") ||
	       slice_ieq_str(field->name, "ARC-Authentication-Results");
}

/* Section 5.2 step 3; that no seal says "fail" follows from what each must say. */
static void check_structure(struct arc_sets *sets)
{
	for (unsigned i = 1; i <= sets->highest && !sets->why; i++) {
		const struct arc_fields *set = &sets->v[i - 1];
		if (!set->seal)
			refuse(sets, "lacks the seal of an instance");
		else if (!set->message)
			refuse(sets, "lacks the message signature of an instance");
		else if (!set->results)
			refuse(sets, "lacks the results of an instance");
		else if (set->seal_signature.cv != (i == 1 ? ARC_CV_NONE : ARC_CV_PASS))
			refuse(sets, i == 1 ? "does not begin with a seal that says cv=none"
			                    : "has a later seal that does not say cv=pass");
	}
}

struct status arc_sets_read(const struct dkim_header *header, struct arena *arena,
                            struct arc_sets *ret_sets)
{
	struct arc_sets sets = {.any = false};
	size_t n = 0;
	for (size_t i = 0; i < header->n; i++) {
		if (!is_arc(&header->fields[i]))
			continue;
		if (!sets.v)
			sets.v = ARENA_ARRAY(arena, ARC_SETS_MAX, struct arc_fields);
		if (!sets.v)
			return fail(ERR_LIMIT, "no room for ARC sets");
		sets.any = true;
		if (++n > FIELDS_MAX) {
			sets.why = "has more than 50 sets";
			break;
		}
		read_field(&header->fields[i], arena, &sets);
	}
	const struct arc_fields *last = sets.highest > 0 ? &sets.v[sets.highest - 1] : NULL;
	sets.marked = last && last->seal && last->seal_signature.cv == ARC_CV_FAIL;
	if (sets.marked)
		refuse(&sets, "was marked as failed by its last sealer");
	check_structure(&sets);
	*ret_sets = sets;
	return arena_failed(arena) ? fail(ERR_LIMIT, "no room for ARC sets") : ok();
}

void arc_add_set(const struct arc_fields *fields, struct dkim_sink *sink)
{
	dkim_canon_field(DKIM_RELAXED, fields->results->raw, sink);
	dkim_canon_field(DKIM_RELAXED, fields->message->raw, sink);
	dkim_canon_field(DKIM_RELAXED, fields->seal->raw, sink);
}
