/* COPY and MOVE (RFC 9051 sections 6.4.7 and 6.4.8, RFC 4315, RFC 6851), EXPUNGE and UID EXPUNGE.
 */
#include "imap/session_private.h"

static void buf_add_uids(struct buf *buf, const struct store_uid *uids, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t last = i;
		while (last + 1 < n && uids[last + 1].v == uids[last].v + 1)
			last++;
		buf_printf(buf, "%s%" PRIu32, i ? "," : "", uids[i].v);
		if (last > i)
			buf_printf(buf, ":%" PRIu32, uids[last].v);
		i = last + 1;
	}
}

/* resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set: both lists in one order. */
static const char *copy_code(struct imap_session *s, uint32_t uid_validity,
                             const struct store_uid *from, const struct store_uid *to, size_t n)
{
	struct buf buf;
	buf_init(&buf, IMAP_COMMAND_MEMORY);
	buf_printf(&buf, "COPYUID %" PRIu32 " ", uid_validity);
	buf_add_uids(&buf, from, n);
	buf_add_byte(&buf, ' ');
	buf_add_uids(&buf, to, n);
	char *code = arena_cstr(&s->arena, buf_slice(&buf));
	buf_done(&buf);
	return code;
}

static struct imap_reply no_target(struct status status)
{
	if (status.code == ERR_NOT_FOUND)
		return imap_no("TRYCREATE", "There is no such mailbox");
	return imap_no_status(status);
}

static struct imap_reply copy(struct imap_session *s, struct imap_args *args, bool move)
{
	struct store_mailbox target;
	struct store_uid *from, *to;
	struct imap_reply reply;
	struct imap_set uids;
	struct slice name;
	uint32_t uid_validity;
	size_t n = 0;
	if (!imap_read_set(s, args, &uids))
		return imap_bad_cursor(&args->c);
	if (!imap_read_mailbox(s, args, &name, &reply))
		return reply;
	cursor_expect_end(&args->c, "nothing may follow the mailbox name");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	struct status status = store_mailbox_find(s->store, name, &s->arena, &target);
	if (!is_ok(status))
		return no_target(status);
	if (uids.n > 0)
		status = store_copy(s->store, s->selected.id, imap_set_uids(&uids), target.id, move,
		                    &s->arena, &uid_validity, &from, &to, &n);
	if (!is_ok(status))
		return no_target(status);
	const char *code = n > 0 ? copy_code(s, uid_validity, from, to, n) : NULL;
	if (!move)
		return (struct imap_reply){IMAP_OK, code, "COPY done"};
	/* RFC 6851 section 4.3: COPYUID before the EXPUNGEs. */
	if (code) {
		imap_out_str(&s->out, "* OK [");
		imap_out_str(&s->out, code);
		imap_out_str(&s->out, "] Moved\r\n");
	}
	if (!imap_sync(s, true))
		return imap_ok("");
	return (struct imap_reply){IMAP_OK, imap_modseq_code(s), "MOVE done"};
}

struct imap_reply imap_cmd_copy(struct imap_session *s, struct imap_args *args)
{
	return copy(s, args, false);
}

struct imap_reply imap_cmd_move(struct imap_session *s, struct imap_args *args)
{
	return copy(s, args, true);
}

struct imap_reply imap_cmd_expunge(struct imap_session *s, struct imap_args *args)
{
	struct imap_set uids = {0};
	uint32_t n;
	if (args->uid && !imap_read_set(s, args, &uids))
		return imap_bad_cursor(&args->c);
	cursor_expect_end(&args->c, args->uid ? "UID EXPUNGE takes a set of UIDs"
	                                      : "EXPUNGE takes no arguments");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	if (args->uid && uids.n == 0)
		return imap_ok("EXPUNGE done, there was nothing to do");
	struct status status =
	        store_expunge(s->store, s->selected.id, imap_set_uids(&uids), true, &n);
	if (!is_ok(status))
		return imap_no_status(status);
	if (!imap_sync(s, true))
		return imap_ok("");
	return (struct imap_reply){IMAP_OK, imap_modseq_code(s), "EXPUNGE done"};
}
