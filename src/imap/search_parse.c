/* The grammar of SEARCH.
 *
 *   search         = "SEARCH" [SP "RETURN" SP "(" [return-opt *(SP return-opt)] ")"] SP
 *                    ["CHARSET" SP charset SP] search-key *(SP search-key)
 *
 * Keys inside keys (NOT, OR, parentheses) are put on a stack of their own: the key that is under
 * way is `at`, its parents are linked, and nothing recurses. Limits: IMAP_SEARCH_KEYS_MAX,
 * IMAP_SEARCH_DEPTH_MAX, IMAP_SEARCH_BODY_KEYS_MAX. Keys of one list are sorted by what they cost.
 */
#include "imap/envelope_text.h"
#include "imap/search.h"
#include "text/fold.h"
#include "text/utf8.h"

struct parser {
	struct imap_session *s;
	struct cursor *c;
	struct imap_search *search;
	struct imap_search_key *at; /* the list, OR or NOT that takes the next key */
	unsigned depth;
};

/* ---- arguments of keys ---------------------------------------------------------------------- */

/* Text to look for, made comparable (RFC 9051 section 6.4.4: i;unicode-casemap). */
static struct slice read_text(struct parser *p)
{
	imap_sp(p->c);
	struct slice text = imap_astring(p->c, &p->s->arena);
	if (cursor_ok(p->c) && !utf8_valid(text))
		cursor_fail(p->c, "the text to look for is not valid UTF-8");
	if (!cursor_ok(p->c))
		return slice_empty();
	struct buf buf;
	buf_init(&buf, text.n * 32 + 64);
	text_unicode_casemap(text, &buf);
	struct slice folded = arena_copy(&p->s->arena, buf_slice(&buf));
	buf_done(&buf);
	return folded;
}

static void read_flag_key(struct parser *p, struct imap_search_key *key, bool set)
{
	const struct slice *names;
	imap_sp(p->c);
	struct slice name = imap_flag(p->c);
	size_t n = store_view_keywords(p->s->selected.view, &names);
	key->op = set ? IMAP_SEARCH_NONE : IMAP_SEARCH_ALL;
	for (size_t i = 0; i < n; i++) {
		if (!slice_ieq(names[i], name))
			continue;
		key->op = IMAP_SEARCH_FLAGS;
		*(set ? &key->set_bits : &key->clear_bits) = UINT64_C(1) << (STORE_KEYWORD_BIT + i);
	}
}

/* [SP entry-name SP entry-type-req] SP mod-sequence-valzer (RFC 7162 section 3.1.5). Flags have one
 * mod-sequence together, so the entry makes no difference. */
static void read_modseq(struct parser *p, struct imap_search_key *key)
{
	imap_sp(p->c);
	if (cursor_peek(p->c) == '"') {
		(void)imap_string(p->c, &p->s->arena);
		imap_sp(p->c);
		struct slice type = imap_atom(p->c);
		if (!slice_ieq_str(type, "priv") && !slice_ieq_str(type, "shared") &&
		    !slice_ieq_str(type, "all"))
			cursor_fail(p->c, "MODSEQ's entry is priv, shared or all");
		imap_sp(p->c);
	}
	key->op = IMAP_SEARCH_MODSEQ;
	key->number = (int64_t)imap_number64(p->c);
	p->search->has_modseq = true;
}

static void read_email_id(struct parser *p, struct imap_search_key *key)
{
	uint64_t id = 0;
	imap_sp(p->c);
	struct slice text = imap_astring(p->c, &p->s->arena);
	bool known =
	        text.n > 1 && text.p[0] == 'M' && slice_to_u64(slice_from(text, 1), INT64_MAX, &id);
	key->op = known ? IMAP_SEARCH_EMAILID : IMAP_SEARCH_NONE;
	key->number = (int64_t)id;
}

static void read_set_key(struct parser *p, struct imap_search_key *key, bool uid)
{
	key->op = IMAP_SEARCH_UIDS;
	(void)imap_parse_set(p->s, p->c, uid, &key->set);
}

/* ---- the table of keys ---------------------------------------------------------------------- */

enum argument {
	NOTHING,
	FLAG, /* a keyword */
	NUMBER,
	DAY, /* number: -1 before, 0 on, 1 since */
	SECONDS,
	TEXT,
	ENVELOPE_TEXT, /* number: the field of the envelope; a header field has the same name */
	FIELD_AND_TEXT,
	MODSEQ,
	EMAIL_ID,
	STRING_IGNORED,
	UID_SET,
};

static const struct key_name {
	const char *name;
	enum imap_search_op op;
	enum argument argument;
	enum imap_search_cost cost;
	int64_t number; /* flag bits, or which side of a day */
	bool negative;
} key_names[] = {
        {"ALL", IMAP_SEARCH_ALL, NOTHING, IMAP_COST_VIEW, 0, false},
        {"ANSWERED", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_ANSWERED, false},
        {"BCC", IMAP_SEARCH_ENVELOPE, ENVELOPE_TEXT, IMAP_COST_SUMMARY, IMAP_ENVELOPE_BCC, false},
        {"BEFORE", IMAP_SEARCH_RECEIVED_DAY, DAY, IMAP_COST_VIEW, -1, false},
        {"BODY", IMAP_SEARCH_BODY, TEXT, IMAP_COST_BODY, 0, false},
        {"CC", IMAP_SEARCH_ENVELOPE, ENVELOPE_TEXT, IMAP_COST_SUMMARY, IMAP_ENVELOPE_CC, false},
        {"DELETED", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_DELETED, false},
        {"DRAFT", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_DRAFT, false},
        {"EMAILID", IMAP_SEARCH_EMAILID, EMAIL_ID, IMAP_COST_VIEW, 0, false},
        {"FLAGGED", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_FLAGGED, false},
        {"FROM", IMAP_SEARCH_ENVELOPE, ENVELOPE_TEXT, IMAP_COST_SUMMARY, IMAP_ENVELOPE_FROM, false},
        {"HEADER", IMAP_SEARCH_HEADER, FIELD_AND_TEXT, IMAP_COST_HEADER, 0, false},
        {"KEYWORD", IMAP_SEARCH_FLAGS, FLAG, IMAP_COST_VIEW, 0, false},
        {"LARGER", IMAP_SEARCH_LARGER, NUMBER, IMAP_COST_VIEW, 0, false},
        {"MODSEQ", IMAP_SEARCH_MODSEQ, MODSEQ, IMAP_COST_VIEW, 0, false},
        {"NEW", IMAP_SEARCH_NONE, NOTHING, IMAP_COST_VIEW, 0, false},
        {"OLD", IMAP_SEARCH_ALL, NOTHING, IMAP_COST_VIEW, 0, false},
        {"OLDER", IMAP_SEARCH_RECEIVED_BEFORE, SECONDS, IMAP_COST_VIEW, 0, false},
        {"ON", IMAP_SEARCH_RECEIVED_DAY, DAY, IMAP_COST_VIEW, 0, false},
        {"RECENT", IMAP_SEARCH_NONE, NOTHING, IMAP_COST_VIEW, 0, false},
        {"SAVEDATESUPPORTED", IMAP_SEARCH_ALL, NOTHING, IMAP_COST_VIEW, 0, false},
        {"SAVEDBEFORE", IMAP_SEARCH_SAVED_DAY, DAY, IMAP_COST_VIEW, -1, false},
        {"SAVEDON", IMAP_SEARCH_SAVED_DAY, DAY, IMAP_COST_VIEW, 0, false},
        {"SAVEDSINCE", IMAP_SEARCH_SAVED_DAY, DAY, IMAP_COST_VIEW, 1, false},
        {"SEEN", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_SEEN, false},
        {"SENTBEFORE", IMAP_SEARCH_SENT_DAY, DAY, IMAP_COST_SUMMARY, -1, false},
        {"SENTON", IMAP_SEARCH_SENT_DAY, DAY, IMAP_COST_SUMMARY, 0, false},
        {"SENTSINCE", IMAP_SEARCH_SENT_DAY, DAY, IMAP_COST_SUMMARY, 1, false},
        {"SINCE", IMAP_SEARCH_RECEIVED_DAY, DAY, IMAP_COST_VIEW, 1, false},
        {"SMALLER", IMAP_SEARCH_SMALLER, NUMBER, IMAP_COST_VIEW, 0, false},
        {"SUBJECT", IMAP_SEARCH_ENVELOPE, ENVELOPE_TEXT, IMAP_COST_SUMMARY, IMAP_ENVELOPE_SUBJECT,
         false},
        {"TEXT", IMAP_SEARCH_TEXT, TEXT, IMAP_COST_BODY, 0, false},
        {"THREADID", IMAP_SEARCH_NONE, STRING_IGNORED, IMAP_COST_VIEW, 0, false},
        {"TO", IMAP_SEARCH_ENVELOPE, ENVELOPE_TEXT, IMAP_COST_SUMMARY, IMAP_ENVELOPE_TO, false},
        {"UID", IMAP_SEARCH_UIDS, UID_SET, IMAP_COST_VIEW, 0, false},
        {"UNANSWERED", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_ANSWERED, true},
        {"UNDELETED", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_DELETED, true},
        {"UNDRAFT", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_DRAFT, true},
        {"UNFLAGGED", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_FLAGGED, true},
        {"UNKEYWORD", IMAP_SEARCH_FLAGS, FLAG, IMAP_COST_VIEW, 0, true},
        {"UNSEEN", IMAP_SEARCH_FLAGS, NOTHING, IMAP_COST_VIEW, STORE_SEEN, true},
        {"YOUNGER", IMAP_SEARCH_RECEIVED_AFTER, SECONDS, IMAP_COST_VIEW, 0, false},
};

static void read_day(struct parser *p, struct imap_search_key *key, int64_t side)
{
	imap_sp(p->c);
	int64_t day = imap_date(p->c);
	key->number = side < 0 ? INT64_MIN : day;
	key->number_to = side < 0 ? day - 1 : side > 0 ? INT64_MAX : day;
}

static void read_seconds(struct parser *p, struct imap_search_key *key)
{
	imap_sp(p->c);
	key->number = clock_now_s(p->s->options->clock) - (int64_t)imap_nz_number(p->c);
}

/* RFC 9051 section 6.4.4: the string is looked for "in the envelope structure's FROM field". */
static void read_envelope_text(struct parser *p, struct imap_search_key *key,
                               const struct key_name *name)
{
	key->field = slice_str(name->name);
	key->number = name->number;
	key->text = read_text(p);
	if (key->text.n == 0) { /* any message that has the field */
		key->op = IMAP_SEARCH_HEADER;
		key->cost = IMAP_COST_HEADER;
	} else {
		p->search->needs_envelope = true;
	}
}

static void read_argument(struct parser *p, struct imap_search_key *key,
                          const struct key_name *name)
{
	switch (name->argument) {
	case NOTHING:
		*(name->negative ? &key->clear_bits : &key->set_bits) = (uint64_t)name->number;
		break;
	case FLAG:
		read_flag_key(p, key, !name->negative);
		break;
	case NUMBER:
		imap_sp(p->c);
		key->number = (int64_t)imap_number64(p->c);
		break;
	case DAY:
		read_day(p, key, name->number);
		break;
	case SECONDS:
		read_seconds(p, key);
		break;
	case TEXT:
		key->text = read_text(p);
		break;
	case ENVELOPE_TEXT:
		read_envelope_text(p, key, name);
		break;
	case FIELD_AND_TEXT:
		imap_sp(p->c);
		key->field = imap_astring(p->c, &p->s->arena);
		key->text = read_text(p);
		break;
	case MODSEQ:
		read_modseq(p, key);
		break;
	case EMAIL_ID:
		read_email_id(p, key);
		break;
	case STRING_IGNORED:
		imap_sp(p->c);
		(void)imap_astring(p->c, &p->s->arena);
		break;
	case UID_SET:
		imap_sp(p->c);
		read_set_key(p, key, true);
		break;
	}
}

/* ---- the tree ------------------------------------------------------------------------------- */

static struct imap_search_key *add_key(struct parser *p, enum imap_search_op op)
{
	struct imap_search_key *key = ARENA_NEW(&p->s->arena, struct imap_search_key);
	if (!key || ++p->search->n_keys > IMAP_SEARCH_KEYS_MAX) {
		cursor_fail(p->c, "the search has too many keys");
		return NULL;
	}
	*key = (struct imap_search_key){.op = op, .parent = p->at};
	if (p->at) {
		struct imap_search_key **link = &p->at->children;
		while (*link)
			link = &(*link)->next;
		*link = key;
	}
	return key;
}

static void descend(struct parser *p, struct imap_search_key *key)
{
	if (key)
		p->at = key;
	if (++p->depth > IMAP_SEARCH_DEPTH_MAX)
		cursor_fail(p->c, "the search is nested too deeply");
}

static void sort_by_cost(struct imap_search_key *list)
{
	struct imap_search_key *sorted = NULL;
	while (list->children) {
		struct imap_search_key *key = list->children;
		struct imap_search_key **link = &sorted;
		list->children = key->next;
		while (*link && (*link)->cost <= key->cost)
			link = &(*link)->next;
		key->next = *link;
		*link = key;
	}
	list->children = sorted;
}

/* The key under way is complete: back to the one it is part of. */
static void ascend(struct parser *p)
{
	struct imap_search_key *done = p->at;
	sort_by_cost(done);
	for (struct imap_search_key *k = done->children; k; k = k->next)
		done->cost = MAX(done->cost, k->cost);
	p->at = done->parent;
	p->depth--;
}

static unsigned count_children(const struct imap_search_key *key)
{
	unsigned n = 0;
	for (const struct imap_search_key *k = key->children; k; k = k->next)
		n++;
	return n;
}

static bool is_full(const struct imap_search_key *key)
{
	return (key->op == IMAP_SEARCH_NOT && key->children) ||
	       (key->op == IMAP_SEARCH_OR && count_children(key) == 2);
}

static bool is_set_start(int byte)
{
	return byte == '*' || byte == '$' || (byte >= '0' && byte <= '9');
}

static void read_named_key(struct parser *p)
{
	struct slice name = imap_atom(p->c);
	for (size_t i = 0; cursor_ok(p->c) && i < N_ELEMENTS(key_names); i++) {
		if (!slice_ieq_str(name, key_names[i].name))
			continue;
		struct imap_search_key *key = add_key(p, key_names[i].op);
		if (!key)
			return;
		key->cost = key_names[i].cost;
		p->search->n_body_keys += key->cost == IMAP_COST_BODY;
		if (p->search->n_body_keys > IMAP_SEARCH_BODY_KEYS_MAX)
			cursor_fail(p->c, "the search looks for too many texts");
		read_argument(p, key, &key_names[i]);
		return;
	}
	cursor_fail(p->c, "SEARCH knows no such key");
}

/* One key's start: true when it opened a level, whose keys follow. */
static bool read_key(struct parser *p)
{
	if (cursor_skip(p->c, '(')) {
		descend(p, add_key(p, IMAP_SEARCH_AND));
		return true;
	}
	if (cursor_skip_text(p->c, "NOT ")) {
		descend(p, add_key(p, IMAP_SEARCH_NOT));
		return true;
	}
	if (cursor_skip_text(p->c, "OR ")) {
		descend(p, add_key(p, IMAP_SEARCH_OR));
		return true;
	}
	if (is_set_start(cursor_peek(p->c))) {
		struct imap_search_key *key = add_key(p, IMAP_SEARCH_UIDS);
		if (key)
			read_set_key(p, key, false);
		return false;
	}
	read_named_key(p);
	return false;
}

static void read_keys(struct parser *p)
{
	p->search->root = add_key(p, IMAP_SEARCH_AND);
	p->at = p->search->root;
	while (cursor_ok(p->c)) {
		if (read_key(p))
			continue;
		/* What this key completes, level by level. */
		while (cursor_ok(p->c) && p->at->parent &&
		       (is_full(p->at) || (p->at->op == IMAP_SEARCH_AND && cursor_skip(p->c, ')'))))
			ascend(p);
		if (!p->at->parent && cursor_at_end(p->c))
			break;
		imap_sp(p->c);
	}
	if (cursor_ok(p->c))
		ascend(p);
}

/* ---- options -------------------------------------------------------------------------------- */

static void read_returns(struct cursor *c, struct imap_search *search)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {
	        {"MIN", IMAP_RETURN_MIN},     {"MAX", IMAP_RETURN_MAX},   {"ALL", IMAP_RETURN_ALL},
	        {"COUNT", IMAP_RETURN_COUNT}, {"SAVE", IMAP_RETURN_SAVE},
	};
	search->extended = true;
	for (bool first = true; cursor_ok(c) && cursor_peek(c) != ')'; first = false) {
		unsigned bit = 0;
		if (!first)
			imap_sp(c);
		struct slice name = imap_atom(c);
		for (size_t i = 0; i < N_ELEMENTS(known); i++)
			if (slice_ieq_str(name, known[i].name))
				bit = known[i].bit;
		if (bit == 0)
			cursor_fail(c, "SEARCH knows no such return option");
		search->returns |= bit;
	}
	cursor_expect(c, ')', "SEARCH's return options are not closed");
	imap_sp(c);
	if (search->returns == 0) /* RFC 4731 section 3.1 */
		search->returns = IMAP_RETURN_ALL;
}

static void read_charset(struct imap_session *s, struct cursor *c, struct imap_search *search)
{
	struct slice charset = imap_astring(c, &s->arena);
	search->bad_charset =
	        !slice_ieq_str(charset, "UTF-8") && !slice_ieq_str(charset, "US-ASCII");
	if (imap_has(s, IMAP_UTF8)) /* RFC 6855 section 3 */
		cursor_fail(c, "no CHARSET after ENABLE UTF8=ACCEPT: everything is UTF-8");
	imap_sp(c);
}

void imap_search_parse(struct imap_session *s, struct imap_args *args,
                       struct imap_search *ret_search)
{
	struct cursor *c = &args->c;
	*ret_search = (struct imap_search){0};
	imap_sp(c);
	if (cursor_skip_text(c, "RETURN ("))
		read_returns(c, ret_search);
	if (cursor_skip_text(c, "CHARSET "))
		read_charset(s, c, ret_search);
	if (ret_search->bad_charset)
		return;
	struct parser p = {.s = s, .c = c, .search = ret_search};
	read_keys(&p);
	cursor_expect_end(c, "nothing may follow the search keys");
	if (cursor_ok(c) && ret_search->root)
		ret_search->cost = ret_search->root->cost;
}
