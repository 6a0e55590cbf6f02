/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS (RFC 9051 section 6.3; CREATE-SPECIAL-USE
 * RFC 6154; STATUS=SIZE RFC 8438; OBJECTID RFC 8474; QUOTA's items RFC 9208). */
#include "imap/session_private.h"
#include "imap/special_use.h"

/* Hierarchies may be created with a trailing separator: "the server ... MUST ignore" it (section
 * 6.3.4). */
static struct slice without_trailing_separator(struct slice text)
{
	return text.n > 1 && text.p[text.n - 1] == '/' ? slice_sub(text, 0, text.n - 1) : text;
}

/* create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")"; *ret_refused: one we cannot give. */
static enum store_special_use read_use(struct cursor *c, bool *ret_refused)
{
	enum store_special_use use = STORE_USE_NONE;
	imap_sp(c);
	cursor_expect(c, '(', "CREATE's parameters stand in parentheses");
	if (!cursor_skip_text(c, "USE ("))
		cursor_fail(c, "the only parameter of CREATE is USE (...)");
	for (bool first = true; cursor_ok(c) && cursor_peek(c) != ')'; first = false) {
		if (!first)
			imap_sp(c);
		enum store_special_use one = imap_special_use_find(imap_flag(c));
		*ret_refused |= one == STORE_USE_NONE || use != STORE_USE_NONE;
		use = one;
	}
	cursor_expect(c, ')', "the list of uses is not closed");
	cursor_expect(c, ')', "CREATE's parameters are not closed");
	return use;
}

struct imap_reply imap_cmd_create(struct imap_session *s, struct imap_args *args)
{
	struct cursor *c = &args->c;
	enum store_special_use use = STORE_USE_NONE;
	struct store_mailbox_id id;
	struct slice name;
	bool use_refused = false;
	imap_sp(c);
	struct slice text = without_trailing_separator(imap_astring(c, &s->arena));
	if (cursor_ok(c) && !cursor_at_end(c))
		use = read_use(c, &use_refused);
	cursor_expect_end(c, "CREATE takes a mailbox name and its uses");
	if (!cursor_ok(c))
		return imap_bad_cursor(c);
	if (use_refused)
		return imap_no("USEATTR",
		               "A mailbox has one of \\Archive \\Drafts \\Junk \\Sent \\Trash");
	struct store_mailbox old;
	struct status status = imap_mailbox_name(s, text, &name);
	if (is_ok(status))
		status = store_mailbox_create(s->store, name, use, &id);
	/* RFC 6154 section 3: the use, not the name, is what another mailbox has. */
	if (status.code == ERR_EXISTS && use != STORE_USE_NONE &&
	    !is_ok(store_mailbox_find(s->store, name, &s->arena, &old)))
		return imap_no("USEATTR", "Another mailbox has that use");
	if (!is_ok(status))
		return imap_no_status(status);
	return (struct imap_reply){IMAP_OK, imap_code_printf(s, "MAILBOXID (F%" PRId64 ")", id.v),
	                           "CREATE done"};
}

/* One mailbox name and the end. */
static bool read_one_name(struct imap_session *s, struct imap_args *args, struct slice *ret_name,
                          struct imap_reply *ret_reply)
{
	if (!imap_read_mailbox(s, args, ret_name, ret_reply))
		return false;
	cursor_expect_end(&args->c, "the command takes one mailbox name");
	*ret_reply = imap_bad_cursor(&args->c);
	return cursor_ok(&args->c);
}

/* A name may be there only because names below it are: it cannot be deleted (section 6.3.5). */
static bool is_only_a_parent(struct imap_session *s, struct slice name)
{
	struct store_mailbox *list;
	size_t n;
	if (!is_ok(store_mailboxes(s->store, &s->arena, &list, &n)))
		return false;
	for (size_t i = 0; i < n; i++)
		if (slice_eq(list[i].name, name))
			return !list[i].exists && list[i].has_children;
	return false;
}

struct imap_reply imap_cmd_delete(struct imap_session *s, struct imap_args *args)
{
	struct imap_reply reply;
	struct store_mailbox mailbox;
	struct slice name;
	if (!read_one_name(s, args, &name, &reply))
		return reply;
	struct status status = store_mailbox_find(s->store, name, &s->arena, &mailbox);
	if (is_ok(status))
		status = store_mailbox_delete(s->store, name);
	if (status.code == ERR_NOT_FOUND && is_only_a_parent(s, name))
		return imap_no("HASCHILDREN", "There are mailboxes below that name");
	if (!is_ok(status))
		return imap_no_status(status);
	if (s->selected.view && s->selected.id.v == mailbox.id.v) {
		imap_deselect(s);
		imap_out_str(&s->out, "* OK [CLOSED] The selected mailbox was deleted\r\n");
	}
	return imap_ok("DELETE done");
}

struct imap_reply imap_cmd_rename(struct imap_session *s, struct imap_args *args)
{
	struct imap_reply reply;
	struct slice from, to;
	if (!imap_read_mailbox(s, args, &from, &reply))
		return reply;
	imap_sp(&args->c);
	struct slice text = without_trailing_separator(imap_astring(&args->c, &s->arena));
	cursor_expect_end(&args->c, "RENAME takes two mailbox names");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	struct status status = imap_mailbox_name(s, text, &to);
	if (is_ok(status))
		status = store_mailbox_rename(s->store, from, to);
	return is_ok(status) ? imap_ok("RENAME done") : imap_no_status(status);
}

static struct imap_reply subscribe(struct imap_session *s, struct imap_args *args, bool on)
{
	struct imap_reply reply;
	struct slice name;
	if (!read_one_name(s, args, &name, &reply))
		return reply;
	struct status status = store_subscribe(s->store, name, on);
	/* Not being subscribed is what was asked for. */
	if (!is_ok(status) && (on || status.code != ERR_NOT_FOUND))
		return imap_no_status(status);
	return imap_ok(on ? "SUBSCRIBE done" : "UNSUBSCRIBE done");
}

struct imap_reply imap_cmd_subscribe(struct imap_session *s, struct imap_args *args)
{
	return subscribe(s, args, true);
}

struct imap_reply imap_cmd_unsubscribe(struct imap_session *s, struct imap_args *args)
{
	return subscribe(s, args, false);
}

/* ---- STATUS --------------------------------------------------------------------------------- */

enum status_item {
	ITEM_MESSAGES,
	ITEM_RECENT,
	ITEM_UIDNEXT,
	ITEM_UIDVALIDITY,
	ITEM_UNSEEN,
	ITEM_DELETED,
	ITEM_SIZE,
	ITEM_HIGHESTMODSEQ,
	ITEM_APPENDLIMIT,
	ITEM_MAILBOXID,
	ITEM_DELETED_STORAGE,
	ITEM_COUNT,
};

static const char *const item_names[ITEM_COUNT] = {
        [ITEM_MESSAGES] = "MESSAGES",
        [ITEM_RECENT] = "RECENT",
        [ITEM_UIDNEXT] = "UIDNEXT",
        [ITEM_UIDVALIDITY] = "UIDVALIDITY",
        [ITEM_UNSEEN] = "UNSEEN",
        [ITEM_DELETED] = "DELETED",
        [ITEM_SIZE] = "SIZE",
        [ITEM_HIGHESTMODSEQ] = "HIGHESTMODSEQ",
        [ITEM_APPENDLIMIT] = "APPENDLIMIT",
        [ITEM_MAILBOXID] = "MAILBOXID",
        [ITEM_DELETED_STORAGE] = "DELETED-STORAGE",
};

void imap_read_status_items(struct cursor *c, struct imap_status_items *ret_items)
{
	ret_items->bits = 0;
	cursor_expect(c, '(', "STATUS takes a list of items in parentheses");
	do {
		struct slice name = imap_atom(c);
		unsigned bit = 0;
		for (unsigned i = 0; i < ITEM_COUNT; i++)
			if (slice_ieq_str(name, item_names[i]))
				bit = 1u << i;
		if (bit == 0)
			cursor_fail(c, "STATUS knows no such item");
		ret_items->bits |= bit;
	} while (cursor_skip(c, ' '));
	cursor_expect(c, ')', "the list of STATUS items is not closed");
}

/* RFC 9208 section 4.1.4: what EXPUNGE would free. The store does not count it, for hardly anyone
 * asks. */
static uint64_t deleted_size(struct imap_session *s, struct store_mailbox_id id)
{
	struct store_view *view;
	uint64_t size = 0;
	if (!is_ok(store_view_open(s->store, id, &view)))
		return 0;
	for (uint32_t i = 0; i < store_view_count(view); i++) {
		const struct store_entry *entry = store_view_at(view, i);
		size += entry->flags & STORE_DELETED ? entry->size : 0;
	}
	store_view_unref(view);
	return size;
}

static uint64_t item_value(struct imap_session *s, const struct store_mailbox *m,
                           enum status_item item)
{
	switch (item) {
	case ITEM_MESSAGES:
		return m->n_messages;
	case ITEM_UIDNEXT:
		return m->uid_next;
	case ITEM_UIDVALIDITY:
		return m->uid_validity;
	case ITEM_UNSEEN:
		return m->n_unseen;
	case ITEM_DELETED:
		return m->n_deleted;
	case ITEM_SIZE:
		return m->size;
	case ITEM_HIGHESTMODSEQ:
		return m->highest_modseq;
	case ITEM_APPENDLIMIT:
		return imap_append_max(s);
	case ITEM_DELETED_STORAGE:
		return m->n_deleted ? deleted_size(s, m->id) : 0;
	case ITEM_RECENT: /* \Recent is never set */
	case ITEM_MAILBOXID:
	case ITEM_COUNT:
		break;
	}
	return 0;
}

void imap_write_status(struct imap_session *s, const struct store_mailbox *mailbox,
                       struct imap_status_items items)
{
	const char *separator = "";
	imap_out_str(&s->out, "* STATUS ");
	imap_write_mailbox(s, mailbox->name);
	imap_out_str(&s->out, " (");
	for (unsigned i = 0; i < ITEM_COUNT; i++) {
		if (!(items.bits & 1u << i))
			continue;
		imap_out_str(&s->out, separator);
		imap_out_str(&s->out, item_names[i]);
		separator = " ";
		if (i == ITEM_MAILBOXID) {
			imap_out_str(&s->out, " (");
			imap_write_mailbox_id(s, mailbox->id);
			imap_out_byte(&s->out, ')');
			continue;
		}
		imap_out_byte(&s->out, ' ');
		imap_out_u64(&s->out, item_value(s, mailbox, (enum status_item)i));
	}
	imap_out_str(&s->out, ")\r\n");
	if (items.bits & 1u << ITEM_HIGHESTMODSEQ)
		imap_enable_condstore(s);
}

/* status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" */
struct imap_reply imap_cmd_status(struct imap_session *s, struct imap_args *args)
{
	struct imap_status_items items;
	struct store_mailbox mailbox;
	struct imap_reply reply;
	struct slice name;
	if (!imap_read_mailbox(s, args, &name, &reply))
		return reply;
	imap_sp(&args->c);
	imap_read_status_items(&args->c, &items);
	cursor_expect_end(&args->c, "nothing may follow the STATUS items");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	struct status status = store_mailbox_find(s->store, name, &s->arena, &mailbox);
	if (!is_ok(status))
		return imap_no_status(status);
	imap_write_status(s, &mailbox, items);
	return imap_ok("STATUS done");
}
