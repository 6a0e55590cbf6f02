/* The set of messages that a command names (RFC 9051 section 9 sequence-set; "$" RFC 5182). */
#include "imap/session_private.h"

static uint32_t highest_uid(const struct store_view *view)
{
	uint32_t n = store_view_count(view);
	return n ? store_view_at(view, n - 1)->uid.v : 0;
}

bool imap_parse_set(struct imap_session *s, struct cursor *c, bool uid, struct imap_set *ret_uids)
{
	const struct store_view *view = s->selected.view;
	struct imap_set numbers;
	if (cursor_skip(c, '$')) {
		*ret_uids = s->saved;
		return cursor_ok(c);
	}
	if (uid) {
		/* In an empty mailbox "*" is a UID that nobody has. */
		uint32_t star = highest_uid(view);
		imap_set_parse(c, star ? star : UINT32_MAX, UINT32_MAX, &s->arena, ret_uids);
		return cursor_ok(c);
	}
	uint32_t count = store_view_count(view);
	imap_set_parse(c, count, count, &s->arena, &numbers);
	if (cursor_ok(c))
		imap_set_to_uids(view, &numbers, &s->arena, ret_uids);
	return cursor_ok(c);
}

bool imap_read_set(struct imap_session *s, struct imap_args *args, struct imap_set *ret_uids)
{
	imap_sp(&args->c);
	return imap_parse_set(s, &args->c, args->uid, ret_uids);
}
