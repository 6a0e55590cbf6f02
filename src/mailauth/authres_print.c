/* Printing of Authentication-Results (grammar: authres_parse.c).
 *
 * The payload is made in one line first, in which nothing but printable characters can get; the one
 * writer of header fields folds it, between results and where lines get long. Blanks within quoted
 * strings and comments may become folds, too: unfolding gives them back (RFC 5322 section 3.2.2).
 */
#include "mailauth/authres.h"

#include "mailauth/authres_private.h"
#include "message/compose.h"
#include "message/lex.h"
#include "text/utf8.h"

#define PAYLOAD_MAX ((size_t)4 * 1024 * 1024)

struct slice authres_dnssec_comment(const struct mailauth_evidence *evidence)
{
	enum dns_security security;
	if (!mailauth_evidence_security(evidence, &security))
		return SLICE("dnssec none");
	switch (security) {
	case DNS_BOGUS:
		return SLICE("dnssec bogus");
	case DNS_INSECURE:
		return SLICE("dnssec insecure");
	case DNS_SECURE:
		return SLICE("dnssec secure");
	}
	return SLICE("dnssec none");
}

/* --- values --- */

static bool is_control(uint8_t c)
{
	return c < ' ' || c == 0x7f;
}

/* Fit to be written, quoted or not. */
static bool is_writable(struct slice s, bool utf8)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_control(s.p[i]) || (s.p[i] >= 0x80 && !utf8))
			return false;
	return s.n <= AUTHRES_VALUE_MAX && utf8_valid(s);
}

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!authres_is_token(s.p[i]))
			return false;
	return s.n > 0;
}

static void add_escaped(struct slice s, const char *special, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' || strchr(special, s.p[i]))
			buf_add_byte(out, '\\');
		buf_add_byte(out, s.p[i]);
	}
}

static void add_quoted(struct slice s, struct buf *out)
{
	buf_add_byte(out, '"');
	add_escaped(s, "\"", out);
	buf_add_byte(out, '"');
}

/* value = token / quoted-string */
static void add_value(struct slice s, struct buf *out)
{
	if (is_token(s))
		buf_add(out, s);
	else
		add_quoted(s, out);
}

static bool is_dot_atom(struct slice s)
{
	bool dot = true;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? dot : !message_is_atext(s.p[i]))
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

static bool is_domain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!authres_is_domain(s.p[i]))
			return false;
	return s.n > 0;
}

/* [ [ local-part ] "@" ] domain-name; what does not have that form becomes a value. */
static void add_mailbox(struct slice s, struct buf *out)
{
	size_t at = slice_rindex(s, '@');
	if (at == SIZE_MAX || !is_domain(slice_from(s, at + 1))) {
		add_value(s, out);
		return;
	}
	struct slice local = slice_sub(s, 0, at);
	if (local.n == 0 || is_dot_atom(local))
		buf_add(out, local);
	else
		add_quoted(local, out);
	buf_add(out, slice_from(s, at));
}

/* Text for people: without what may not be written. */
static void add_text(struct slice shown, bool utf8, const char *special, struct buf *out)
{
	bool keep = utf8 && utf8_valid(shown);
	for (size_t i = 0; i < shown.n; i++) {
		uint8_t c = shown.p[i];
		if (is_control(c) || (c >= 0x80 && !keep))
			c = '?';
		add_escaped(slice_of(&c, 1), special, out);
	}
}

/* --- the payload --- */

static bool add_property(const struct authres_property *property, bool utf8, struct buf *out)
{
	if (!authres_is_keyword(slice_str(property->ptype)) ||
	    !authres_is_keyword(slice_str(property->property)))
		return false;
	if (!is_writable(property->value, utf8))
		return true;
	buf_printf(out, " %s.%s=", property->ptype, property->property);
	if (property->form == AUTHRES_MAILBOX)
		add_mailbox(property->value, out);
	else
		add_value(property->value, out);
	return true;
}

/* resinfo = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ] */
static bool add_result(const struct authres_result *result, bool utf8, struct buf *out)
{
	if (!authres_is_keyword(result->method) || !authres_is_keyword(result->result) ||
	    result->n_properties > AUTHRES_PROPERTIES_MAX)
		return false;
	buf_printf(out, " %.*s", SLICE_FMT(result->method));
	if (result->version > 1)
		buf_printf(out, "/%" PRIu32, result->version);
	buf_printf(out, "=%.*s", SLICE_FMT(result->result));
	/* Blanks at the ends of a comment would not be read back. */
	struct slice comment =
	        slice_trim(utf8_cut(slice_trim(result->comment), AUTHRES_REASON_MAX));
	if (comment.n > 0) {
		buf_add_str(out, " (");
		add_text(comment, utf8, "()", out);
		buf_add_byte(out, ')');
	}
	if (result->has_reason) {
		buf_add_str(out, " reason=\"");
		add_text(utf8_cut(result->reason, AUTHRES_REASON_MAX), utf8, "\"", out);
		buf_add_byte(out, '"');
	}
	for (size_t i = 0; i < result->n_properties; i++)
		if (!add_property(&result->properties[i], utf8, out))
			return false;
	return true;
}

/* ends: of the id and of each result, with the semicolons behind them; n_results + 1. */
static bool add_payload(const struct authres *authres, unsigned instance, struct buf *out,
                        size_t *ends)
{
	if (authres->id.n == 0 || !is_writable(authres->id, authres->utf8) ||
	    authres->n_results > AUTHRES_RESULTS_MAX || instance > AUTHRES_INSTANCE_MAX)
		return false;
	if (instance > 0)
		buf_printf(out, "i=%u; ", instance);
	add_value(authres->id, out);
	if (authres->version > 0)
		buf_printf(out, " %" PRIu32, authres->version);
	buf_add_str(out, authres->n_results == 0 ? "; none" : ";");
	ends[0] = out->n;
	for (size_t i = 0; i < authres->n_results; i++) {
		if (!add_result(&authres->results[i], authres->utf8, out))
			return false;
		buf_add_str(out, i + 1 < authres->n_results ? ";" : "");
		ends[i + 1] = out->n;
	}
	return true;
}

/* Several results stand in a line each, for people. */
static void compose(struct message_compose *c, const char *field_name, struct slice payload,
                    const size_t *ends, size_t n_results)
{
	struct slice lines[AUTHRES_RESULTS_MAX + 1];
	size_t at = 0;
	for (size_t i = 0; i <= n_results; i++) {
		lines[i] = slice_sub(payload, at, ends[i] - at);
		at = ends[i];
	}
	if (n_results > 1)
		message_compose_lines(c, field_name, lines, n_results + 1);
	else
		message_compose_structured(c, field_name, payload);
}

struct status authres_print(const struct authres *authres, const char *field_name,
                            unsigned instance, struct buf *out)
{
	struct message_compose c;
	struct buf payload;
	size_t ends[AUTHRES_RESULTS_MAX + 1];
	struct status status = fail(ERR_INVALID, "not what Authentication-Results can say");
	buf_init(&payload, PAYLOAD_MAX);
	if (add_payload(authres, instance, &payload, ends)) {
		message_compose_init(&c, out, authres->utf8);
		compose(&c, field_name, buf_slice(&payload), ends, authres->n_results);
		status = message_compose_status(&c);
	}
	buf_done(&payload);
	return status;
}
