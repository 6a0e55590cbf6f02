/* LIST and LSUB (RFC 9051 section 6.3.9, RFC 3501 section 6.3.9; LIST-EXTENDED RFC 5258,
 * LIST-STATUS RFC 5819, SPECIAL-USE RFC 6154).
 *
 *   list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
 *
 * The names are those of the store plus the parents that subscriptions to missing mailboxes imply.
 * Limits: IMAP_PATTERNS_MAX patterns of IMAP_PATTERN_MAX bytes.
 */
#include "imap/mailbox_name.h"
#include "imap/session_private.h"
#include "imap/special_use.h"

#define IMAP_PATTERNS_MAX 64u

enum list_option {
	SELECT_SUBSCRIBED = 1,
	SELECT_SPECIAL_USE = 2,
	SELECT_RECURSIVE = 4,
	SELECT_REMOTE = 8,
	RETURN_SUBSCRIBED = 16,
	RETURN_CHILDREN = 32,
	RETURN_SPECIAL_USE = 64,
	RETURN_STATUS = 128,
};

struct list {
	unsigned options; /* enum list_option */
	bool extended;
	struct imap_status_items status;
	struct slice *patterns; /* UTF-8, with the reference in front */
	size_t n_patterns;
};

struct name {
	struct store_mailbox mailbox;
	bool child_matches; /* one below satisfies the selection (RECURSIVEMATCH) */
	bool child_subscribed;
};

struct names {
	struct name *v;
	size_t n;
};

/* ---- the names ------------------------------------------------------------------------------ */

static bool is_inbox(struct slice name)
{
	return slice_eq_str(name, "Inbox");
}

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	if (is_inbox(x->mailbox.name) != is_inbox(y->mailbox.name))
		return is_inbox(x->mailbox.name) ? -1 : 1;
	return slice_cmp(x->mailbox.name, y->mailbox.name);
}

static struct name *find_name(const struct names *names, struct slice name)
{
	struct name key = {.mailbox.name = name};
	return names->n ? bsearch(&key, names->v, names->n, sizeof(key), by_name) : NULL;
}

static bool parent_of(struct slice name, struct slice *ret_parent)
{
	size_t slash = slice_rindex(name, '/');
	if (slash == SIZE_MAX)
		return false;
	*ret_parent = slice_sub(name, 0, slash);
	return true;
}

static size_t count_parents(const struct store_mailbox *list, size_t n)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		for (struct slice p = list[i].name; !list[i].exists && parent_of(p, &p);)
			count++;
	return count;
}

/* Doubles are dropped, the one that the store knows stays. */
static void sort_names(struct names *names)
{
	size_t n = 0;
	if (names->n > 0)
		qsort(names->v, names->n, sizeof(names->v[0]), by_name);
	for (size_t i = 0; i < names->n; i++) {
		const struct name *name = &names->v[i];
		if (n == 0 || by_name(&names->v[n - 1], name) != 0)
			names->v[n++] = *name;
		else if (name->mailbox.exists || name->mailbox.subscribed ||
		         name->mailbox.has_children)
			names->v[n - 1] = *name;
	}
	names->n = n;
}

static struct status read_names(struct imap_session *s, struct names *ret_names)
{
	struct store_mailbox *list;
	size_t n;
	TRY(store_mailboxes(s->store, &s->arena, &list, &n));
	struct names names = {0};
	names.v = ARENA_ARRAY(&s->arena, n + count_parents(list, n), struct name);
	if (!names.v)
		return fail(ERR_LIMIT, "there are too many mailboxes to list");
	for (size_t i = 0; i < n; i++) {
		names.v[names.n++].mailbox = list[i];
		for (struct slice p = list[i].name; !list[i].exists && parent_of(p, &p);)
			names.v[names.n++].mailbox = (struct store_mailbox){.name = p};
	}
	sort_names(&names);
	*ret_names = names;
	return ok();
}

static bool is_selected_by(const struct store_mailbox *m, unsigned options)
{
	if ((options & SELECT_SUBSCRIBED) && !m->subscribed)
		return false;
	if ((options & SELECT_SPECIAL_USE) && !imap_special_use_name(m->special_use))
		return false;
	return (options & SELECT_SUBSCRIBED) || m->exists || m->has_children;
}

static void mark_parents(const struct names *names, unsigned options)
{
	for (size_t i = 0; i < names->n; i++) {
		const struct store_mailbox *m = &names->v[i].mailbox;
		bool matches = is_selected_by(m, options);
		if (!matches && !m->subscribed)
			continue;
		for (struct slice p = m->name; parent_of(p, &p);) {
			struct name *parent = find_name(names, p);
			if (!parent)
				continue;
			parent->child_matches |= matches;
			parent->child_subscribed |= m->subscribed;
		}
	}
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void read_select_options(struct cursor *c, struct list *list)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {
	        {"SUBSCRIBED", SELECT_SUBSCRIBED | RETURN_SUBSCRIBED},
	        {"SPECIAL-USE", SELECT_SPECIAL_USE | RETURN_SPECIAL_USE},
	        {"RECURSIVEMATCH", SELECT_RECURSIVE},
	        {"REMOTE", SELECT_REMOTE},
	};
	list->extended = true;
	for (bool first = true; cursor_ok(c) && cursor_peek(c) != ')'; first = false) {
		if (!first)
			imap_sp(c);
		struct slice name = imap_atom(c);
		unsigned bit = 0;
		for (size_t i = 0; i < N_ELEMENTS(known); i++)
			if (slice_ieq_str(name, known[i].name))
				bit = known[i].bit;
		if (bit == 0)
			cursor_fail(c, "LIST knows no such selection option");
		list->options |= bit;
	}
	cursor_expect(c, ')', "LIST's selection options are not closed");
	imap_sp(c);
	/* RFC 5258 section 3.1: RECURSIVEMATCH needs something that can match. */
	if ((list->options & SELECT_RECURSIVE) &&
	    !(list->options & (SELECT_SUBSCRIBED | SELECT_SPECIAL_USE)))
		cursor_fail(c, "RECURSIVEMATCH needs another selection option");
}

static void read_return_options(struct cursor *c, struct list *list)
{
	list->extended = true;
	if (!cursor_skip_text(c, " RETURN ("))
		cursor_fail(c, "only RETURN (...) may follow LIST's pattern");
	for (bool first = true; cursor_ok(c) && cursor_peek(c) != ')'; first = false) {
		if (!first)
			imap_sp(c);
		struct slice name = imap_atom(c);
		if (slice_ieq_str(name, "SUBSCRIBED")) {
			list->options |= RETURN_SUBSCRIBED;
		} else if (slice_ieq_str(name, "CHILDREN")) {
			list->options |= RETURN_CHILDREN;
		} else if (slice_ieq_str(name, "SPECIAL-USE")) {
			list->options |= RETURN_SPECIAL_USE;
		} else if (slice_ieq_str(name, "STATUS")) {
			list->options |= RETURN_STATUS;
			imap_sp(c);
			imap_read_status_items(c, &list->status);
		} else {
			cursor_fail(c, "LIST knows no such return option");
		}
	}
	cursor_expect(c, ')', "LIST's return options are not closed");
}

/* The reference is put before the pattern as it is (RFC 9051 section 6.3.9 leaves that to the
 * server).
 */
static void add_pattern(struct imap_session *s, struct cursor *c, struct slice reference,
                        struct list *list)
{
	struct slice text = imap_list_mailbox(c, &s->arena);
	struct slice decoded;
	if (list->n_patterns == IMAP_PATTERNS_MAX)
		cursor_fail(c, "LIST takes no more than 64 patterns");
	if (!cursor_ok(c))
		return;
	char *joined = arena_printf(&s->arena, "%.*s%.*s", SLICE_FMT(reference), SLICE_FMT(text));
	/* What no name can be spelled like matches none. */
	if (joined && is_ok(imap_name_decode(s, slice_str(joined), &decoded)) &&
	    decoded.n <= IMAP_PATTERN_MAX)
		list->patterns[list->n_patterns++] = decoded;
}

static void read_patterns(struct imap_session *s, struct cursor *c, struct list *list,
                          bool *ret_ask_root)
{
	struct slice reference = imap_astring(c, &s->arena);
	imap_sp(c);
	list->patterns = ARENA_ARRAY(&s->arena, IMAP_PATTERNS_MAX, struct slice);
	if (!list->patterns) {
		cursor_fail(c, "the command needs too much memory");
		return;
	}
	if (cursor_skip(c, '(')) {
		list->extended = true;
		do
			add_pattern(s, c, reference, list);
		while (cursor_skip(c, ' '));
		cursor_expect(c, ')', "LIST's patterns are not closed");
		return;
	}
	*ret_ask_root = cursor_skip_text(c, "\"\"");
	if (!*ret_ask_root)
		add_pattern(s, c, reference, list);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void write_attribute(struct imap_session *s, const char **separator, const char *attribute)
{
	imap_out_str(&s->out, *separator);
	imap_out_str(&s->out, attribute);
	*separator = " ";
}

static void write_list(struct imap_session *s, const struct list *list, const struct name *name)
{
	const struct store_mailbox *m = &name->mailbox;
	const char *separator = "";
	const char *use = imap_special_use_name(m->special_use);
	imap_out_str(&s->out, "* LIST (");
	if (!m->exists) /* \NonExistent implies \Noselect, but old clients know only that one */
		write_attribute(s, &separator, "\\NonExistent \\Noselect");
	if ((list->options & RETURN_SUBSCRIBED) && m->subscribed)
		write_attribute(s, &separator, "\\Subscribed");
	write_attribute(s, &separator, m->has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (use)
		write_attribute(s, &separator, use);
	imap_out_str(&s->out, ") \"/\" ");
	imap_write_mailbox(s, m->name);
	/* childinfo-extended-item (RFC 5258 section 6) */
	if ((list->options & SELECT_RECURSIVE) && name->child_matches)
		imap_out_str(&s->out, list->options & SELECT_SUBSCRIBED
		                              ? " (\"CHILDINFO\" (\"SUBSCRIBED\"))"
		                              : " (\"CHILDINFO\" (\"SPECIAL-USE\"))");
	imap_out_str(&s->out, "\r\n");
	if ((list->options & RETURN_STATUS) && m->exists)
		imap_write_status(s, m, list->status);
}

static bool matches_a_pattern(const struct list *list, struct slice name)
{
	bool inbox = slice_starts(name, SLICE("Inbox")) && (name.n == 5 || name.p[5] == '/');
	for (size_t i = 0; i < list->n_patterns; i++)
		if (imap_pattern_matches(list->patterns[i], name, inbox ? 5 : 0))
			return true;
	return false;
}

/* list-mailbox of "" asks for the separator and the root (section 6.3.9). */
static struct imap_reply answer_root(struct imap_session *s, const char *command)
{
	imap_out_printf(&s->out, "* %s (\\Noselect) \"/\" \"\"\r\n", command);
	return imap_ok("LIST done");
}

struct imap_reply imap_cmd_list(struct imap_session *s, struct imap_args *args)
{
	struct cursor *c = &args->c;
	struct list list = {0};
	struct names names;
	bool ask_root = false;
	imap_sp(c);
	if (cursor_skip(c, '('))
		read_select_options(c, &list);
	read_patterns(s, c, &list, &ask_root);
	if (cursor_ok(c) && !cursor_at_end(c))
		read_return_options(c, &list);
	cursor_expect_end(c, "nothing may follow LIST's options");
	if (!cursor_ok(c))
		return imap_bad_cursor(c);
	if (ask_root)
		return list.extended ? imap_ok("LIST done") : answer_root(s, "LIST");
	struct status status = read_names(s, &names);
	if (!is_ok(status))
		return imap_no_status(status);
	if (list.options & SELECT_RECURSIVE)
		mark_parents(&names, list.options);
	for (size_t i = 0; i < names.n; i++) {
		const struct name *name = &names.v[i];
		bool wanted = is_selected_by(&name->mailbox, list.options) ||
		              ((list.options & SELECT_RECURSIVE) && name->child_matches);
		if (wanted && matches_a_pattern(&list, name->mailbox.name))
			write_list(s, &list, name);
	}
	return imap_ok("LIST done");
}

/* RFC 3501 section 6.3.9: subscribed names; with "%" also names above them, as \Noselect. */
struct imap_reply imap_cmd_lsub(struct imap_session *s, struct imap_args *args)
{
	struct list list = {0};
	struct names names;
	bool ask_root = false;
	imap_sp(&args->c);
	read_patterns(s, &args->c, &list, &ask_root);
	cursor_expect_end(&args->c, "LSUB takes a reference and a pattern");
	if (list.extended)
		cursor_fail(&args->c, "LSUB takes one pattern");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	if (ask_root)
		return answer_root(s, "LSUB");
	struct status status = read_names(s, &names);
	if (!is_ok(status))
		return imap_no_status(status);
	mark_parents(&names, 0);
	bool percent = list.n_patterns > 0 && slice_index(list.patterns[0], '%') != SIZE_MAX;
	for (size_t i = 0; i < names.n; i++) {
		const struct store_mailbox *m = &names.v[i].mailbox;
		if (!m->subscribed && !(percent && names.v[i].child_subscribed))
			continue;
		if (!matches_a_pattern(&list, m->name))
			continue;
		bool selectable = m->subscribed && m->exists;
		imap_out_str(&s->out,
		             selectable ? "* LSUB () \"/\" " : "* LSUB (\\Noselect) \"/\" ");
		imap_write_mailbox(s, m->name);
		imap_out_str(&s->out, "\r\n");
	}
	return imap_ok("LSUB done");
}
