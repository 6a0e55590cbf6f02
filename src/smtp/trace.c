/* Received and Return-Path.
 *
 *   Return-path-line = "Return-Path:" FWS Reverse-path CRLF               RFC 5321 section 4.4
 *   Time-stamp-line  = "Received:" FWS Stamp CRLF
 *   Stamp            = "from" Extended-Domain "by" Extended-Domain [With] [ID] [For] ";" date-time
 *   TCP-info         = address-literal / ( Domain FWS address-literal )
 *
 * The TLS version and cipher stand in a comment behind the "with" clause. Limit: TRACE_MAX.
 */
#include "smtp/trace.h"

#include "base/clock.h"

#define TRACE_MAX ((size_t)4096) /* octets of one field: every part of it has its own limit */

const char *smtp_with_protocol(const struct smtp_trace *trace)
{
	/* [utf8][tls][authenticated]; RFC 3848 and RFC 6531 register no other names */
	static const char *const names[2][2][2] = {
	        {{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
	        {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}},
	};
	bool tls = trace->tls && trace->tls->on;
	if (!trace->extended && !trace->utf8)
		return "SMTP";
	return names[trace->utf8][tls][trace->authenticated];
}

/* A word of a clause, or text inside a comment: printable, and no character that would end it. */
static void add_word(struct buf *out, struct slice word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!ascii_is_print(word.p[i]) || strchr("()\\;<>\"", word.p[i]))
			out->failed = true;
	buf_add(out, word);
}

static void add_literal(struct buf *out, struct slice address)
{
	struct smtp_host host;
	if (!is_ok(smtp_ip_parse(address, &host)))
		out->failed = true;
	buf_add_str(out, host.kind == SMTP_HOST_IPV6 ? "[IPv6:" : "[");
	add_word(out, address);
	buf_add_byte(out, ']');
}

static void from_clause(const struct smtp_trace *trace, struct buf *out)
{
	buf_add_str(out, "from ");
	/* a literal of an unknown tag may hold what would end a clause or comment */
	if (trace->helo && trace->helo->kind != SMTP_HOST_GENERAL)
		add_word(out, trace->helo->text);
	else
		add_literal(out, trace->peer_address);
	buf_add_str(out, " (");
	if (trace->peer_name.n > 0) {
		add_word(out, trace->peer_name);
		buf_add_byte(out, ' ');
	}
	add_literal(out, trace->peer_address);
	buf_add_byte(out, ')');
	if (trace->peer_note.n > 0) {
		buf_add_str(out, "\r\n\t(");
		add_word(out, trace->peer_note);
		buf_add_byte(out, ')');
	}
}

static void by_clause(const struct smtp_trace *trace, struct buf *out)
{
	buf_add_str(out, trace->peer_address.n > 0 ? "\r\n\tby " : "by ");
	add_word(out, trace->by);
	buf_add_str(out, " with ");
	buf_add_str(out, smtp_with_protocol(trace));
	if (trace->tls && trace->tls->on) {
		buf_add_str(out, " (");
		add_word(out, slice_str(trace->tls->version));
		buf_add_byte(out, ' ');
		add_word(out, slice_str(trace->tls->cipher));
		buf_add_byte(out, ')');
	}
	buf_add_str(out, "\r\n\tid ");
	add_word(out, trace->id);
}

/* date-time of RFC 5322 section 3.3, in UTC */
static void add_date(struct buf *out, int64_t at_s)
{
	struct civil_time t = civil_from_unix(at_s);
	buf_printf(out, "%s, %d %s %04d %02d:%02d:%02d +0000", civil_weekday_names[t.weekday],
	           t.day, civil_month_names[t.month - 1], t.year, t.hour, t.minute, t.second);
}

/* Moves a finished field over, or says that a part of it was refused. */
static struct status finish(const struct buf *field, struct buf *out)
{
	if (buf_failed(field))
		return fail(ERR_INVALID, "a value cannot stand in a trace field");
	buf_add(out, buf_slice(field));
	return buf_failed(out) ? fail(ERR_LIMIT, "trace fields are too long") : ok();
}

struct status smtp_received_print(const struct smtp_trace *trace, struct buf *out)
{
	CLEANUP(buf_done) struct buf field;
	buf_init(&field, TRACE_MAX);
	buf_add_str(&field, "Received: ");
	if (trace->peer_address.n > 0)
		from_clause(trace, &field);
	by_clause(trace, &field);
	if (trace->rcpt) {
		CLEANUP(buf_done) struct buf path;
		buf_init(&path, SMTP_PATH_MAX);
		smtp_path_print(trace->rcpt, &path);
		field.failed |= path.failed;
		buf_add_str(&field, "\r\n\tfor ");
		buf_add_line_safe(&field, buf_slice(&path));
	}
	buf_add_str(&field, ";\r\n\t");
	add_date(&field, trace->at_s);
	buf_add_str(&field, "\r\n");
	return finish(&field, out);
}

struct status smtp_return_path_print(const struct smtp_path *from, struct buf *out)
{
	CLEANUP(buf_done) struct buf field, path;
	buf_init(&field, TRACE_MAX);
	buf_init(&path, SMTP_PATH_MAX);
	smtp_path_print(from, &path);
	field.failed |= path.failed;
	buf_add_str(&field, "Return-Path: ");
	buf_add_line_safe(&field, buf_slice(&path));
	buf_add_str(&field, "\r\n");
	return finish(&field, out);
}
