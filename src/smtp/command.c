/* Command lines.
 *
 *   mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF   RFC 5321 section 4.1.1.2
 *   rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF     section 4.1.1.3
 *   bdat = "BDAT" SP chunk-size [SP "LAST"] CRLF                 RFC 3030 section 2
 *
 * Tolerated: blanks at the end of a line (RFC 5321 section 4.1.1 asks for it) and spaces between
 * the colon and the path, which many clients send.
 */
#include "smtp/command.h"

/* clang-format off */
static const char *const verb_names[SMTP_VERB_COUNT] = {
	[SMTP_VERB_UNKNOWN] = "",
#define X(name) [SMTP_VERB_##name] = #name,
	SMTP_VERB_LIST(X)
#undef X
};
/* clang-format on */

const char *smtp_verb_name(enum smtp_verb verb)
{
	ASSERT(verb < SMTP_VERB_COUNT);
	return verb_names[verb];
}

static struct slice trim_end(struct slice s)
{
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

struct smtp_command smtp_command_parse(struct slice line)
{
	struct smtp_command command = {.verb = SMTP_VERB_UNKNOWN};
	slice_cut(trim_end(line), ' ', &command.word, &command.argument);
	for (unsigned i = SMTP_VERB_UNKNOWN + 1; i < SMTP_VERB_COUNT; i++) {
		if (slice_ieq_str(command.word, verb_names[i])) {
			command.verb = (enum smtp_verb)i;
			break;
		}
	}
	return command;
}

/* "FROM:" or "TO:" and the spaces behind it. */
static bool skip_keyword(struct cursor *c, const char *keyword)
{
	if (!cursor_skip_text(c, keyword))
		return false;
	while (cursor_skip(c, ' '))
		;
	return true;
}

enum smtp_reply_id smtp_mail_parse(struct slice argument, struct arena *arena,
                                   struct smtp_mail *ret_mail)
{
	struct cursor c = cursor_of(argument);
	struct smtp_mail mail = {0};
	if (!skip_keyword(&c, "FROM:"))
		return SMTP_REPLY_BAD_ARGUMENT;
	smtp_reverse_path_parse(&c, arena, &mail.from);
	if (arena_failed(arena))
		return SMTP_REPLY_ENVELOPE_TOO_LARGE;
	if (!cursor_ok(&c))
		return SMTP_REPLY_BAD_SENDER;
	enum smtp_reply_id reply = smtp_mail_params_parse(cursor_rest(&c), arena, &mail.params);
	if (reply != SMTP_REPLY_NONE)
		return reply;
	if (mail.from.utf8 && !mail.params.utf8) /* RFC 6531 section 3.5 */
		return SMTP_REPLY_SENDER_NOT_ASCII;
	*ret_mail = mail;
	return SMTP_REPLY_NONE;
}

enum smtp_reply_id smtp_rcpt_parse(struct slice argument, bool utf8, struct arena *arena,
                                   struct smtp_rcpt *ret_rcpt)
{
	struct cursor c = cursor_of(argument);
	struct smtp_rcpt rcpt = {0};
	if (!skip_keyword(&c, "TO:"))
		return SMTP_REPLY_BAD_ARGUMENT;
	smtp_forward_path_parse(&c, arena, &rcpt.to);
	if (arena_failed(arena))
		return SMTP_REPLY_ENVELOPE_TOO_LARGE;
	if (!cursor_ok(&c))
		return SMTP_REPLY_BAD_RCPT;
	enum smtp_reply_id reply =
	        smtp_rcpt_params_parse(cursor_rest(&c), utf8, arena, &rcpt.params);
	if (reply != SMTP_REPLY_NONE)
		return reply;
	if (rcpt.to.utf8 && !utf8) /* RFC 6531 section 3.5 */
		return SMTP_REPLY_RCPT_NOT_ASCII;
	*ret_rcpt = rcpt;
	return SMTP_REPLY_NONE;
}

enum smtp_reply_id smtp_bdat_parse(struct slice argument, struct smtp_bdat *ret_bdat)
{
	struct slice size, end;
	struct smtp_bdat bdat = {0};
	bool has_end = slice_cut(argument, ' ', &size, &end);
	if (!slice_to_u64(size, UINT64_MAX, &bdat.size))
		return SMTP_REPLY_BAD_CHUNK;
	bdat.last = has_end;
	if (has_end && !slice_ieq_str(end, "LAST"))
		return SMTP_REPLY_BAD_CHUNK;
	*ret_bdat = bdat;
	return SMTP_REPLY_NONE;
}

void smtp_mail_print(const struct smtp_mail *mail, struct buf *out)
{
	buf_add_str(out, "MAIL FROM:");
	smtp_path_print(&mail->from, out);
	smtp_mail_params_print(&mail->params, out);
	buf_add_str(out, "\r\n");
}

void smtp_rcpt_print(const struct smtp_rcpt *rcpt, struct buf *out)
{
	buf_add_str(out, "RCPT TO:");
	smtp_path_print(&rcpt->to, out);
	smtp_rcpt_params_print(&rcpt->params, out);
	buf_add_str(out, "\r\n");
}

bool smtp_is_foreign_protocol(struct slice line)
{
	static const char *const starts[] = {
	        "GET /",       "POST /",   "PUT /",
	        "HEAD /",      "OPTIONS ", "CONNECT ",
	        "PRI * HTTP/", "SSH-",     "\x16\x03" /* TLS record: handshake, version 3 */,
	};
	for (size_t i = 0; i < N_ELEMENTS(starts); i++)
		if (slice_starts(line, slice_str(starts[i])))
			return true;
	return slice_find(line, SLICE(" HTTP/1.")) != SIZE_MAX;
}
