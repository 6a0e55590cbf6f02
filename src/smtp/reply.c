/* Printing of replies (RFC 5321 section 4.2, RFC 2034 section 4).
 *
 *   Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 *
 * The enhanced code stands at the start of every line of a 2yz, 4yz or 5yz reply.
 * Limits: SMTP_REPLY_LINE_MAX, SMTP_REPLY_LINES_MAX.
 */
#include "smtp/reply.h"

/* clang-format off */
static const struct smtp_reply rows[SMTP_REPLY_COUNT] = {
#define X(name, code, enhanced, text) [SMTP_REPLY_##name] = {code, enhanced, text},
	SMTP_REPLY_LIST(X)
#undef X
};
/* clang-format on */

struct smtp_reply smtp_reply(enum smtp_reply_id id)
{
	ASSERT(id < SMTP_REPLY_COUNT);
	return rows[id];
}

struct smtp_reply smtp_reply_text(enum smtp_reply_id id, const char *text)
{
	struct smtp_reply reply = smtp_reply(id);
	reply.text = text;
	return reply;
}

static enum smtp_reply_id id_of_status(enum err code)
{
	if (code == ERR_OK)
		return SMTP_REPLY_OK;
	if (code == ERR_NO_SPACE)
		return SMTP_REPLY_NO_SPACE;
	if (code == ERR_QUOTA)
		return SMTP_REPLY_OVER_QUOTA;
	if (code == ERR_LIMIT)
		return SMTP_REPLY_TOO_LARGE;
	if (code == ERR_DENIED || code == ERR_PERMANENT)
		return SMTP_REPLY_POLICY;
	if (code == ERR_DRAINING)
		return SMTP_REPLY_SHUTTING_DOWN;
	return SMTP_REPLY_TRY_LATER;
}

struct smtp_reply smtp_reply_of_status(struct status status)
{
	struct smtp_reply reply = smtp_reply(id_of_status(status.code));
	/* What a limit was of is for the sender to know. */
	if (status.code == ERR_LIMIT && status.why && smtp_reply_is_printable(status.why))
		reply.text = status.why;
	return reply;
}

static bool says_the_same(const struct smtp_reply *a, const struct smtp_reply *b)
{
	return a->code == b->code && slice_eq_str(slice_str(a->enhanced), b->enhanced);
}

struct smtp_reply smtp_reply_combine(const struct smtp_reply *replies, size_t n_replies)
{
	bool same = true, temporary = false;
	ASSERT(n_replies > 0);
	for (size_t i = 0; i < n_replies; i++) {
		if (smtp_reply_is_positive(replies[i]))
			return smtp_reply(SMTP_REPLY_ACCEPTED);
		same &= says_the_same(&replies[i], &replies[0]);
		temporary |= replies[i].code < 500;
	}
	if (same)
		return replies[0];
	return smtp_reply(temporary ? SMTP_REPLY_TRY_LATER : SMTP_REPLY_ALL_REFUSED);
}

bool smtp_reply_is_printable(const char *reply_text)
{
	struct slice text = slice_str(reply_text);
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_print(text.p[i]) && text.p[i] != '\n')
			return false;
	return true;
}

/* class "." subject "." detail, the class being the code's (RFC 3463 section 2, RFC 2034) */
static bool enhanced_fits(const struct smtp_reply *reply)
{
	struct slice enhanced = slice_str(reply->enhanced);
	struct slice class, subject, detail;
	uint32_t number;
	if (enhanced.n == 0)
		return true;
	if (enhanced.n > strlen("5.999.999"))
		return false;
	return slice_cut(enhanced, '.', &class, &enhanced) &&
	       slice_cut(enhanced, '.', &subject, &detail) && class.n == 1 &&
	       class.p[0] == '0' + reply->code / 100 && class.p[0] != '3' &&
	       slice_to_u32(subject, 999, &number) && slice_to_u32(detail, 999, &number);
}

/* Cuts one reply line off *text: up to a newline, or at the last space that fits. */
static struct slice cut_line(struct slice *text, size_t max)
{
	struct slice line = slice_sub(*text, 0, max + 1);
	size_t newline = slice_index(line, '\n');
	if (newline != SIZE_MAX) {
		*text = slice_from(*text, newline + 1);
		return slice_sub(line, 0, newline);
	}
	if (line.n <= max) {
		*text = slice_empty();
		return line;
	}
	size_t space = slice_rindex(line, ' ');
	bool at_space = space != SIZE_MAX && space > 0;
	line = slice_sub(line, 0, at_space ? space : max);
	*text = slice_from(*text, at_space ? space + 1 : max);
	return line;
}

static void print_line(const struct smtp_reply *reply, struct slice line, bool last,
                       struct buf *out)
{
	buf_add_u64(out, reply->code);
	buf_add_byte(out, last ? ' ' : '-');
	if (reply->enhanced[0]) {
		buf_add_str(out, reply->enhanced);
		buf_add_byte(out, ' ');
	}
	buf_add(out, line);
	buf_add(out, SLICE("\r\n"));
}

struct status smtp_reply_print(struct smtp_reply reply, struct buf *out)
{
	struct slice text = slice_str(reply.text);
	if (reply.code < 200 || reply.code > 599 || !smtp_reply_is_printable(reply.text) ||
	    !enhanced_fits(&reply))
		return fail(ERR_INVALID, "not a valid SMTP reply");
	size_t line_max = SMTP_REPLY_LINE_MAX - strlen("250 ") - strlen("\r\n") -
	                  (reply.enhanced[0] ? strlen(reply.enhanced) + 1 : 0);
	for (size_t n_lines = 1;; n_lines++) {
		struct slice line = cut_line(&text, line_max);
		bool last = text.n == 0 || n_lines == SMTP_REPLY_LINES_MAX;
		print_line(&reply, line, last, out);
		if (last)
			break;
	}
	return buf_failed(out) ? fail(ERR_LIMIT, "reply is too long") : ok();
}
