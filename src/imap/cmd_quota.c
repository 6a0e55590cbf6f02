/* GETQUOTA, GETQUOTAROOT (RFC 9208): one root "" with STORAGE, when the account has a limit. */
#include "imap/session_private.h"

static struct status write_quota(struct imap_session *s, bool *ret_has_limit)
{
	struct store_usage usage;
	TRY(store_usage(s->store, &usage));
	*ret_has_limit = usage.quota > 0;
	if (usage.quota > 0) /* in units of 1024 bytes; the usage rounded up, the limit down */
		imap_out_printf(&s->out, "* QUOTA \"\" (STORAGE %" PRIu64 " %" PRIu64 ")\r\n",
		                (usage.size + 1023) / 1024, usage.quota / 1024);
	return ok();
}

struct imap_reply imap_cmd_getquota(struct imap_session *s, struct imap_args *args)
{
	bool has_limit;
	imap_sp(&args->c);
	struct slice root = imap_astring(&args->c, &s->arena);
	cursor_expect_end(&args->c, "GETQUOTA takes the name of a quota root");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	if (root.n > 0)
		return imap_no("NONEXISTENT", "The only quota root is \"\"");
	struct status status = write_quota(s, &has_limit);
	if (!is_ok(status))
		return imap_no_status(status);
	return has_limit ? imap_ok("GETQUOTA done")
	                 : imap_no("NONEXISTENT", "This account has no quota");
}

struct imap_reply imap_cmd_getquotaroot(struct imap_session *s, struct imap_args *args)
{
	struct store_mailbox mailbox;
	struct store_usage usage;
	struct imap_reply reply;
	struct slice name;
	bool has_limit;
	if (!imap_read_mailbox(s, args, &name, &reply))
		return reply;
	cursor_expect_end(&args->c, "GETQUOTAROOT takes one mailbox name");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	struct status status = store_mailbox_find(s->store, name, &s->arena, &mailbox);
	if (is_ok(status))
		status = store_usage(s->store, &usage);
	if (!is_ok(status))
		return imap_no_status(status);
	imap_out_str(&s->out, "* QUOTAROOT ");
	imap_write_mailbox(s, name);
	imap_out_str(&s->out, usage.quota > 0 ? " \"\"\r\n" : "\r\n");
	status = write_quota(s, &has_limit);
	return is_ok(status) ? imap_ok("GETQUOTAROOT done") : imap_no_status(status);
}
