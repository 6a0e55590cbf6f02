/* SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 sections 6.3.2, 6.3.3, 6.4.1, 6.4.2), with CONDSTORE
 * and QRESYNC (RFC 7162).
 *
 *   select-param = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
 *                  [SP known-uids] [SP "(" known-sequence-set SP known-uid-set ")"] ")"
 */
#include "imap/session_private.h"

struct qresync {
	bool wanted;
	uint32_t uid_validity;
	uint64_t modseq;
	bool has_known;
	struct imap_set known;
	/* Message numbers and their UIDs as the client remembers them, in pairs. */
	struct imap_set match_numbers, match_uids;
};

struct select_params {
	bool condstore;
	struct qresync qresync;
};

static void read_seq_match(struct imap_session *s, struct cursor *c, struct qresync *q)
{
	imap_set_parse(c, 0, UINT32_MAX, &s->arena, &q->match_numbers);
	imap_sp(c);
	imap_set_parse(c, 0, UINT32_MAX, &s->arena, &q->match_uids);
	cursor_expect(c, ')', "QRESYNC's known numbers are not closed");
}

static void read_qresync(struct imap_session *s, struct cursor *c, struct qresync *q)
{
	imap_sp(c);
	cursor_expect(c, '(', "QRESYNC takes a list in parentheses");
	q->wanted = true;
	q->uid_validity = imap_nz_number(c);
	imap_sp(c);
	q->modseq = imap_number64(c);
	if (cursor_skip_text(c, " (")) {
		read_seq_match(s, c, q);
	} else if (cursor_skip(c, ' ')) {
		q->has_known = true;
		imap_set_parse(c, 0, UINT32_MAX, &s->arena, &q->known);
		if (cursor_skip_text(c, " ("))
			read_seq_match(s, c, q);
	}
	cursor_expect(c, ')', "QRESYNC's list is not closed");
	if (!imap_has(s, IMAP_QRESYNC)) /* RFC 7162 section 3.2.5 */
		cursor_fail(c, "use ENABLE QRESYNC first");
}

static void read_params(struct imap_session *s, struct cursor *c, struct select_params *ret_params)
{
	imap_sp(c);
	cursor_expect(c, '(', "SELECT's parameters stand in parentheses");
	do {
		struct slice name = imap_atom(c);
		if (slice_ieq_str(name, "CONDSTORE"))
			ret_params->condstore = true;
		else if (slice_ieq_str(name, "QRESYNC"))
			read_qresync(s, c, &ret_params->qresync);
		else
			cursor_fail(c, "SELECT knows no such parameter");
	} while (cursor_skip(c, ' '));
	cursor_expect(c, ')', "SELECT's parameters are not closed");
}

/* ---- what is told of a mailbox -------------------------------------------------------------- */

static void write_flag_names(struct imap_session *s)
{
	const struct slice *names;
	size_t n = store_view_keywords(s->selected.view, &names);
	imap_out_str(&s->out, "\\Answered \\Flagged \\Deleted \\Seen \\Draft");
	for (size_t i = 0; i < n; i++) {
		imap_out_byte(&s->out, ' ');
		imap_out_slice(&s->out, names[i]);
	}
	s->selected.n_keywords_told = n;
}

void imap_tell_flag_names(struct imap_session *s)
{
	imap_out_str(&s->out, "* FLAGS (");
	write_flag_names(s);
	imap_out_str(&s->out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!s->selected.read_only) {
		write_flag_names(s);
		if (s->selected.n_keywords_told < STORE_KEYWORDS_MAX)
			imap_out_str(&s->out, " \\*");
	}
	imap_out_str(&s->out, ")] Flags that can be stored\r\n");
}

/* RFC 3501 section 7.1: the first message without \Seen. */
static uint32_t first_unseen(const struct store_view *view)
{
	for (uint32_t i = 0; i < store_view_count(view); i++)
		if (!(store_view_at(view, i)->flags & STORE_SEEN))
			return i + 1;
	return 0;
}

static void tell_mailbox(struct imap_session *s, const struct store_mailbox *mailbox)
{
	const struct store_view *view = s->selected.view;
	imap_tell_flag_names(s);
	imap_out_printf(&s->out, "* %" PRIu32 " EXISTS\r\n", store_view_count(view));
	if (!imap_has(s, IMAP_REV2)) {
		imap_out_str(&s->out, "* 0 RECENT\r\n");
		uint32_t unseen = mailbox->n_unseen > 0 ? first_unseen(view) : 0;
		if (unseen > 0)
			imap_out_printf(&s->out, "* OK [UNSEEN %" PRIu32 "] First unseen\r\n",
			                unseen);
	}
	imap_out_printf(&s->out, "* OK [UIDVALIDITY %" PRIu32 "] UIDs are valid\r\n",
	                store_view_uid_validity(view));
	imap_out_printf(&s->out, "* OK [UIDNEXT %" PRIu32 "] Next UID\r\n",
	                store_view_uid_next(view));
	imap_out_printf(&s->out, "* OK [HIGHESTMODSEQ %" PRIu64 "] Highest mod-sequence\r\n",
	                store_view_modseq(view));
	imap_out_printf(&s->out, "* OK [MAILBOXID (F%" PRId64 ")] Never changes\r\n",
	                s->selected.id.v);
	if (imap_has(s, IMAP_REV2)) {
		imap_out_str(&s->out, "* LIST () \"/\" ");
		imap_write_mailbox(s, mailbox->name);
		imap_out_str(&s->out, "\r\n");
	}
}

/* ---- QRESYNC -------------------------------------------------------------------------------- */

/* RFC 7162 section 3.2.5.2: below the last pair of number and UID that still agrees nothing
 * vanished that the client would not know of. Pairs are compared range by range where both sets
 * have ranges of one size, which is what clients send. Gives the UID, 0 when nothing agrees. */
static uint32_t last_agreed(const struct store_view *view, const struct qresync *q)
{
	uint32_t agreed = 0;
	size_t n = MIN(q->match_numbers.n, q->match_uids.n);
	for (size_t i = 0; i < n; i++) {
		const struct store_uid_range *numbers = &q->match_numbers.v[i];
		const struct store_uid_range *uids = &q->match_uids.v[i];
		if (numbers->last.v - numbers->first.v != uids->last.v - uids->first.v ||
		    numbers->last.v > store_view_count(view) ||
		    store_view_at(view, numbers->last.v - 1)->uid.v != uids->last.v)
			break;
		agreed = uids->last.v;
	}
	return agreed;
}

void imap_tell_vanished_earlier(struct imap_session *s, uint64_t modseq,
                                const struct imap_set *known, uint32_t above_if_incomplete)
{
	struct imap_set_builder gone = {0};
	struct store_uid *uids;
	size_t n;
	bool complete;
	if (!is_ok(store_expunged_since(s->store, s->selected.id, modseq, &s->arena, &uids, &n,
	                                &complete)))
		return;
	for (size_t i = 0; i < n; i++) {
		bool agreed = !complete && uids[i].v <= above_if_incomplete;
		if (uids[i].v < store_view_uid_next(s->selected.view) && !agreed &&
		    (!known || imap_set_has(known, uids[i].v)))
			imap_set_add(&gone, uids[i].v);
	}
	if (gone.set.n > 0) {
		imap_out_str(&s->out, "* VANISHED (EARLIER) ");
		imap_out_set(&s->out, &gone.set);
		imap_out_str(&s->out, "\r\n");
	}
	imap_set_builder_done(&gone);
}

static void resynchronize(struct imap_session *s, const struct qresync *q)
{
	const struct store_view *view = s->selected.view;
	if (q->uid_validity != store_view_uid_validity(view))
		return; /* the client's knowledge is void: it will see so */
	imap_tell_vanished_earlier(s, q->modseq, q->has_known ? &q->known : NULL,
	                           last_agreed(view, q));
	for (uint32_t i = 0; i < store_view_count(view); i++) {
		const struct store_entry *entry = store_view_at(view, i);
		if (entry->modseq > q->modseq &&
		    (!q->has_known || imap_set_has(&q->known, entry->uid.v)))
			imap_tell_flags(s, i, entry, view, true);
	}
}

/* ---- the commands --------------------------------------------------------------------------- */

static void leave_mailbox(struct imap_session *s)
{
	if (!s->selected.view)
		return;
	imap_deselect(s);
	/* RFC 7162 section 3.2.11, RFC 9051 section 7.1 */
	if (s->enabled & (IMAP_QRESYNC | IMAP_REV2))
		imap_out_str(&s->out, "* OK [CLOSED] The mailbox before is closed\r\n");
}

static struct status open_mailbox(struct imap_session *s, struct slice name, bool read_only,
                                  struct store_mailbox *ret_mailbox)
{
	struct imap_selected *sel = &s->selected;
	TRY(store_mailbox_find(s->store, name, &s->arena, ret_mailbox));
	sel->id = ret_mailbox->id;
	sel->read_only = read_only;
	/* Watched first: what changes in between is then noticed. */
	if (s->options->wake_fd >= 0) {
		sel->watcher = (struct store_watcher){.event_fd = s->options->wake_fd};
		TRY(store_watch(s->store, sel->id, &sel->watcher));
		sel->watched = true;
	}
	TRY(store_view_open(s->store, sel->id, &sel->view));
	s->state = IMAP_SELECTED;
	return ok();
}

static struct imap_reply select_mailbox(struct imap_session *s, struct imap_args *args,
                                        bool read_only)
{
	struct select_params params = {0};
	struct store_mailbox mailbox;
	struct imap_reply reply;
	struct slice name;
	if (!imap_read_mailbox(s, args, &name, &reply)) {
		if (reply.kind == IMAP_NO)
			leave_mailbox(s);
		return reply;
	}
	if (!cursor_at_end(&args->c))
		read_params(s, &args->c, &params);
	cursor_expect_end(&args->c, "nothing may follow SELECT's parameters");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	leave_mailbox(s);
	if (params.condstore || params.qresync.wanted)
		imap_enable_condstore(s);
	struct status status = open_mailbox(s, name, read_only, &mailbox);
	if (!is_ok(status)) {
		imap_deselect(s);
		return imap_no_status(status);
	}
	tell_mailbox(s, &mailbox);
	if (params.qresync.wanted)
		resynchronize(s, &params.qresync);
	return (struct imap_reply){IMAP_OK, read_only ? "READ-ONLY" : "READ-WRITE",
	                           read_only ? "EXAMINE done" : "SELECT done"};
}

struct imap_reply imap_cmd_select(struct imap_session *s, struct imap_args *args)
{
	return select_mailbox(s, args, false);
}

struct imap_reply imap_cmd_examine(struct imap_session *s, struct imap_args *args)
{
	return select_mailbox(s, args, true);
}

struct imap_reply imap_cmd_close(struct imap_session *s, struct imap_args *args)
{
	struct store_uids all = {0};
	uint32_t n;
	cursor_expect_end(&args->c, "CLOSE takes no arguments");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	struct status status = ok();
	if (!s->selected.read_only)
		status = store_expunge(s->store, s->selected.id, all, true, &n);
	imap_deselect(s);
	/* The mailbox is closed either way; what was not removed is still there, as it was. */
	return is_ok(status) || status.code == ERR_NOT_FOUND ? imap_ok("CLOSE done")
	                                                     : imap_no_status(status);
}

struct imap_reply imap_cmd_unselect(struct imap_session *s, struct imap_args *args)
{
	cursor_expect_end(&args->c, "UNSELECT takes no arguments");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	imap_deselect(s);
	return imap_ok("UNSELECT done");
}
