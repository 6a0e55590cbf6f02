/* Mailbox names: UTF-8 for sessions that enabled UTF8=ACCEPT or IMAP4rev2, modified UTF-7 otherwise
 * (RFC 3501 section 5.1.3, RFC 6855, RFC 9051 section 5.1). The store's "Inbox" is INBOX here. */
#include "imap/mailbox_name.h"

#include "imap/session_private.h"
#include "text/mutf7.h"
#include "text/utf8.h"

#define NAME_ENCODED_MAX ((size_t)STORE_NAME_MAX * 4)

static bool speaks_utf8(const struct imap_session *s)
{
	return (s->enabled & (IMAP_UTF8 | IMAP_REV2)) != 0;
}

struct status imap_name_decode(struct imap_session *s, struct slice text, struct slice *ret_utf8)
{
	if (speaks_utf8(s)) {
		if (!utf8_valid(text))
			return fail(ERR_INVALID, "the name is not valid UTF-8");
		*ret_utf8 = text;
		return ok();
	}
	struct buf buf;
	buf_init(&buf, NAME_ENCODED_MAX);
	struct status status = text_mutf7_decode(text, &buf);
	*ret_utf8 = arena_copy(&s->arena, buf_slice(&buf));
	if (is_ok(status) && buf_failed(&buf))
		status = fail(ERR_LIMIT, "the name is too long");
	buf_done(&buf);
	return is_ok(status) ? status : fail(ERR_INVALID, "the name is not valid modified UTF-7");
}

struct status imap_mailbox_name(struct imap_session *s, struct slice text, struct slice *ret_name)
{
	struct slice utf8;
	TRY(imap_name_decode(s, text, &utf8));
	return store_name_normalize(utf8, &s->arena, ret_name);
}

bool imap_read_mailbox(struct imap_session *s, struct imap_args *args, struct slice *ret_name,
                       struct imap_reply *ret_reply)
{
	imap_sp(&args->c);
	struct slice text = imap_astring(&args->c, &s->arena);
	if (!cursor_ok(&args->c)) {
		*ret_reply = imap_bad_cursor(&args->c);
		return false;
	}
	struct status status = imap_mailbox_name(s, text, ret_name);
	if (!is_ok(status))
		*ret_reply = imap_no_status(status);
	return is_ok(status);
}

static bool is_inbox_or_below(struct slice name)
{
	return slice_starts(name, SLICE("Inbox")) && (name.n == 5 || name.p[5] == '/');
}

struct slice imap_mailbox_spelling(struct imap_session *s, struct slice name)
{
	struct buf buf;
	buf_init(&buf, NAME_ENCODED_MAX);
	bool inbox = is_inbox_or_below(name);
	if (inbox) {
		buf_add_str(&buf, "INBOX");
		name = slice_from(name, 5);
	}
	if (speaks_utf8(s))
		buf_add(&buf, name);
	else
		(void)text_mutf7_encode(name, &buf); /* the store gives valid UTF-8 */
	struct slice spelling = arena_copy(&s->arena, buf_slice(&buf));
	buf_done(&buf);
	return spelling;
}

/* Names have no control characters (store_name_normalize), so quoting is always possible; UTF-8 may
 * stand in quotes where it was enabled (RFC 6855 section 3). */
void imap_write_mailbox(struct imap_session *s, struct slice name)
{
	struct slice spelling = imap_mailbox_spelling(s, name);
	if (slice_is_ascii(spelling)) {
		imap_out_astring(&s->out, spelling);
		return;
	}
	imap_out_byte(&s->out, '"');
	for (size_t i = 0; i < spelling.n; i++) {
		if (spelling.p[i] == '"' || spelling.p[i] == '\\')
			imap_out_byte(&s->out, '\\');
		imap_out_byte(&s->out, spelling.p[i]);
	}
	imap_out_byte(&s->out, '"');
}

void imap_write_mailbox_id(struct imap_session *s, struct store_mailbox_id id)
{
	imap_out_printf(&s->out, "F%" PRId64, id.v);
}

/* The pattern as a machine with one state per byte: `on` holds the states reached. A wildcard's
 * state stays on while it may swallow the byte, and turns its successor on at once. */
bool imap_pattern_matches(struct slice pattern, struct slice name, size_t n_folded)
{
	bool on[IMAP_PATTERN_MAX + 1] = {true};
	size_t n = pattern.n;
	if (n > IMAP_PATTERN_MAX)
		return false;
	for (size_t at = 0; at <= name.n; at++) {
		/* Wildcards that match nothing. */
		for (size_t i = 0; i < n; i++)
			if (on[i] && (pattern.p[i] == '*' || pattern.p[i] == '%'))
				on[i + 1] = true;
		if (at == name.n)
			break;
		uint8_t c = name.p[at];
		for (size_t i = n + 1; i-- > 0;) {
			bool wild =
			        i < n && (pattern.p[i] == '*' || (pattern.p[i] == '%' && c != '/'));
			bool before = i > 0 && on[i - 1] && pattern.p[i - 1] != '*' &&
			              pattern.p[i - 1] != '%';
			bool same = before && (pattern.p[i - 1] == c ||
			                       (at < n_folded &&
			                        ascii_lower(pattern.p[i - 1]) == ascii_lower(c)));
			on[i] = same || (wild && on[i]);
		}
	}
	return on[n];
}
