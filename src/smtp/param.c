/* ESMTP parameters.
 *
 *   Mail-parameters = esmtp-param *(SP esmtp-param)             RFC 5321 section 4.1.2
 *   esmtp-param     = esmtp-keyword ["=" esmtp-value]
 *   esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 *   esmtp-value     = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)   RFC 6531 section 3.3
 *
 * Tolerated: several spaces between parameters and at the end; an "=" inside the value, which AUTH
 * and ORCPT values of some senders hold unencoded, reaches the value's own rule, which judges it.
 */
#include "smtp/param.h"

#include "base/encode.h"
#include "base/rfc3339.h"
#include "smtp/rules.h"

/* One esmtp-param, cut but not yet understood. */
struct param {
	struct slice keyword;
	bool has_value;
	struct slice value;
};

/* What the rules of both commands work on. */
struct params {
	struct arena *arena;
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;
	bool utf8;
};

typedef bool param_rule(struct params *params, struct slice value);

struct param_row {
	const char *keyword;
	bool has_value;
	param_rule *parse;
};

#define HOLD_UNTIL_MAX_S INT64_C(253402300799) /* the end of the year 9999 */

#define PARAMS_MAX 16 /* rows of the longer table: a parameter stands once */

static bool parse_size(struct params *params, struct slice value)
{
	/* size-value = 1*20DIGIT (RFC 1870 section 4) */
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_is_digit(value.p[i]))
			return false;
	if (value.n == 0 || value.n > 20)
		return false;
	params->mail.has_size = true;
	if (!slice_to_u64(value, UINT64_MAX, &params->mail.size))
		params->mail.size = UINT64_MAX;
	return true;
}

static const char *const body_names[] = {
        [SMTP_BODY_UNSTATED] = "",
        [SMTP_BODY_7BIT] = "7BIT",
        [SMTP_BODY_8BITMIME] = "8BITMIME",
        [SMTP_BODY_BINARYMIME] = "BINARYMIME",
};

static const char *const ret_names[] = {
        [SMTP_RET_UNSTATED] = "",
        [SMTP_RET_FULL] = "FULL",
        [SMTP_RET_HDRS] = "HDRS",
};

/* Index of a name behind the first, 0 when it is none. */
static unsigned find_name(const char *const *names, unsigned n_names, struct slice value)
{
	for (unsigned i = 1; i < n_names; i++)
		if (slice_ieq_str(value, names[i]))
			return i;
	return 0;
}

static bool parse_body(struct params *params, struct slice value)
{
	params->mail.body = (enum smtp_body)find_name(body_names, N_ELEMENTS(body_names), value);
	return params->mail.body != SMTP_BODY_UNSTATED;
}

static bool parse_utf8(struct params *params, struct slice value)
{
	(void)value;
	params->mail.utf8 = true;
	return true;
}

static bool parse_ret(struct params *params, struct slice value)
{
	params->mail.ret = (enum smtp_ret)find_name(ret_names, N_ELEMENTS(ret_names), value);
	return params->mail.ret != SMTP_RET_UNSTATED;
}

/* Decodes xtext of at most max octets into the arena. */
static bool decode_xtext(struct slice value, size_t max, struct arena *arena,
                         struct slice *ret_text)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, max);
	if (value.n > max || !is_ok(xtext_decode(value, &text)))
		return false;
	*ret_text = arena_copy(arena, buf_slice(&text));
	return true;
}

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]))
			return false;
	return true;
}

/* envid-parameter = "ENVID=" xtext, of printable characters (RFC 3461 section 4.4) */
static bool parse_envid(struct params *params, struct slice value)
{
	params->mail.has_envid = true;
	return decode_xtext(value, SMTP_ENVID_MAX, params->arena, &params->mail.envid) &&
	       params->mail.envid.n > 0 && is_printable(params->mail.envid);
}

/* mailbox-or-null in xtext (RFC 4954 section 5): "<>" or a mailbox, which may have its brackets */
static bool parse_auth(struct params *params, struct slice value)
{
	struct slice text;
	params->mail.has_auth = true;
	params->mail.auth = (struct smtp_path){.kind = SMTP_PATH_NULL, .localpart = slice_empty()};
	if (slice_eq_str(value, "<>"))
		return true;
	if (!decode_xtext(value, SMTP_AUTH_MAX, params->arena, &text))
		return false;
	if (slice_starts(text, SLICE("<")) && slice_ends(text, SLICE(">")) && text.n > 2)
		text = slice_sub(text, 1, text.n - 2);
	return is_ok(smtp_mailbox_parse(text, params->arena, &params->mail.auth));
}

static const struct {
	const char *name;
	unsigned bit;
} notify_names[] = {
        {"NEVER", SMTP_NOTIFY_NEVER},
        {"SUCCESS", SMTP_NOTIFY_SUCCESS},
        {"FAILURE", SMTP_NOTIFY_FAILURE},
        {"DELAY", SMTP_NOTIFY_DELAY},
};

static unsigned notify_bit(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(notify_names); i++)
		if (slice_ieq_str(name, notify_names[i].name))
			return notify_names[i].bit;
	return 0;
}

/* notify-esmtp-value = "NEVER" / 1#("SUCCESS" / "FAILURE" / "DELAY") (RFC 3461 section 4.1) */
static bool parse_notify(struct params *params, struct slice value)
{
	struct slice name;
	bool more = true;
	while (more) {
		more = slice_cut(value, ',', &name, &value);
		unsigned bit = notify_bit(name);
		if (bit == 0)
			return false;
		params->rcpt.notify |= bit;
	}
	return !(params->rcpt.notify & SMTP_NOTIFY_NEVER) ||
	       params->rcpt.notify == SMTP_NOTIFY_NEVER;
}

/* utf-8-enc-addr = 1*(QUCHAR / EmbeddedUnicodeChar) (RFC 6533 section 3): checked, not decoded */
static bool is_utf8_address(struct slice s, bool utf8)
{
	bool any = s.n > 0;
	while (s.n > 0) {
		size_t n = 1;
		if (s.p[0] == '\\') {
			n = slice_index(s, '}');
			if (!slice_starts(s, SLICE("\\x{")) || n == SIZE_MAX || n < 5 || n++ > 9)
				return false;
			for (size_t i = 3; i < n - 1; i++)
				if (ascii_hex_value(s.p[i]) < 0)
					return false;
		} else if (s.p[0] >= 0x80) {
			n = utf8 ? smtp_utf8_size(s) : 0;
		} else if (s.p[0] <= ' ' || s.p[0] == 0x7f || s.p[0] == '+' || s.p[0] == '=') {
			return false;
		}
		if (n == 0)
			return false;
		s = slice_from(s, n);
	}
	return any;
}

static bool is_atom(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!smtp_is_atext(s.p[i]))
			return false;
	return s.n > 0;
}

/* original-recipient-address = addr-type ";" xtext (RFC 3461 section 4.2) */
static bool parse_orcpt(struct params *params, struct slice value)
{
	struct smtp_rcpt_params *rcpt = &params->rcpt;
	struct slice type, address;
	if (value.n > SMTP_ORCPT_MAX || !slice_cut(value, ';', &type, &address) || !is_atom(type))
		return false;
	rcpt->has_orcpt = true;
	rcpt->orcpt_type = arena_copy(params->arena, type);
	if (slice_ieq_str(type, "utf-8") && is_utf8_address(address, params->utf8)) {
		rcpt->orcpt_address = arena_copy(params->arena, address);
		return true;
	}
	return decode_xtext(address, SMTP_ORCPT_MAX, params->arena, &rcpt->orcpt_address) &&
	       rcpt->orcpt_address.n > 0 && is_printable(rcpt->orcpt_address);
}

/* hold-for-interval = 1*9DIGIT (RFC 4865 section 4); together with HOLDUNTIL it is an error */
static bool parse_hold_for(struct params *params, struct slice value)
{
	params->mail.has_hold_for = true;
	return !params->mail.has_hold_until && value.n <= 9 &&
	       slice_to_u64(value, SMTP_HOLD_MAX, &params->mail.hold_for_s) &&
	       params->mail.hold_for_s > 0;
}

/* hold-until-date-time = an Internet date-time of RFC 3339 */
static bool parse_hold_until(struct params *params, struct slice value)
{
	params->mail.has_hold_until = true;
	return !params->mail.has_hold_for && rfc3339_parse(value, &params->mail.hold_until_s) &&
	       params->mail.hold_until_s >= 0 && params->mail.hold_until_s <= HOLD_UNTIL_MAX_S;
}

/* by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9DIGIT (RFC 2852 section 4) */
static bool parse_by(struct params *params, struct slice value)
{
	uint64_t seconds;
	struct slice time, mode;
	struct smtp_mail_params *mail = &params->mail;
	if (!slice_cut(value, ';', &time, &mode) || mode.n < 1 || mode.n > 2)
		return false;
	bool negative = slice_starts(time, SLICE("-"));
	if (negative || slice_starts(time, SLICE("+")))
		time = slice_from(time, 1);
	if (time.n > 9 || !slice_to_u64(time, (uint64_t)SMTP_BY_MAX, &seconds))
		return false;
	mail->by_s = negative ? -(int64_t)seconds : (int64_t)seconds;
	mail->by_trace = mode.n == 2;
	if (mail->by_trace && ascii_upper(mode.p[1]) != 'T')
		return false;
	if (ascii_upper(mode.p[0]) == 'N')
		mail->by_mode = SMTP_BY_NOTIFY;
	else if (ascii_upper(mode.p[0]) == 'R' && mail->by_s > 0) /* R: only a time to come */
		mail->by_mode = SMTP_BY_RETURN;
	return mail->by_mode != SMTP_BY_NONE;
}

/* mt-priority-value = ("-" / "") %x31-39 / "0" (RFC 6710 section 4.1) */
static bool parse_priority(struct params *params, struct slice value)
{
	bool negative = slice_starts(value, SLICE("-"));
	struct slice digit = slice_from(value, negative);
	if (digit.n != 1 || !ascii_is_digit(digit.p[0]) || (negative && digit.p[0] == '0'))
		return false;
	params->mail.has_priority = true;
	params->mail.priority = negative ? -(digit.p[0] - '0') : digit.p[0] - '0';
	return true;
}

static bool parse_require_tls(struct params *params, struct slice value)
{
	(void)value;
	params->mail.require_tls = true;
	return true;
}

static const struct param_row mail_rows[] = {
        {"SIZE", true, parse_size},
        {"BODY", true, parse_body},
        {"SMTPUTF8", false, parse_utf8},
        {"AUTH", true, parse_auth},
        {"RET", true, parse_ret},
        {"ENVID", true, parse_envid},
        {"HOLDFOR", true, parse_hold_for},
        {"HOLDUNTIL", true, parse_hold_until},
        {"BY", true, parse_by},
        {"MT-PRIORITY", true, parse_priority},
        {"REQUIRETLS", false, parse_require_tls},
};

static const struct param_row rcpt_rows[] = {
        {"NOTIFY", true, parse_notify},
        {"ORCPT", true, parse_orcpt},
};

_Static_assert(N_ELEMENTS(mail_rows) <= PARAMS_MAX, "each row needs its bit of `seen`");
_Static_assert(N_ELEMENTS(rcpt_rows) <= PARAMS_MAX, "each row needs its bit of `seen`");

static bool is_keyword(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && (s.p[i] != '-' || i == 0))
			return false;
	return s.n > 0;
}

/* Cuts the next parameter; false at the end of the text. */
static bool next_param(struct slice *text, struct param *ret_param)
{
	struct slice word = slice_empty();
	while (word.n == 0) {
		if (text->n == 0)
			return false;
		slice_cut(*text, ' ', &word, text);
	}
	ret_param->has_value = slice_cut(word, '=', &ret_param->keyword, &ret_param->value);
	return true;
}

static size_t find_row(const struct param_row *rows, size_t n_rows, struct slice keyword)
{
	size_t i = 0;
	while (i < n_rows && !slice_ieq_str(keyword, rows[i].keyword))
		i++;
	return i;
}

static enum smtp_reply_id parse_params(struct slice text, const struct param_row *rows,
                                       size_t n_rows, struct params *params)
{
	unsigned seen = 0;
	struct param param;
	if (text.n > 0 && text.p[0] != ' ')
		return SMTP_REPLY_BAD_PARAMETER;
	while (next_param(&text, &param)) {
		if (!is_keyword(param.keyword))
			return SMTP_REPLY_BAD_PARAMETER;
		size_t i = find_row(rows, n_rows, param.keyword);
		if (i == n_rows)
			return SMTP_REPLY_UNKNOWN_PARAMETER;
		if (seen & 1u << i)
			return SMTP_REPLY_DUPLICATE_PARAMETER;
		seen |= 1u << i;
		bool good =
		        param.has_value == rows[i].has_value && rows[i].parse(params, param.value);
		if (arena_failed(params->arena))
			return SMTP_REPLY_ENVELOPE_TOO_LARGE;
		if (!good)
			return SMTP_REPLY_BAD_PARAMETER;
	}
	return SMTP_REPLY_NONE;
}

enum smtp_reply_id smtp_mail_params_parse(struct slice text, struct arena *arena,
                                          struct smtp_mail_params *ret_params)
{
	struct params params = {.arena = arena};
	enum smtp_reply_id reply = parse_params(text, mail_rows, N_ELEMENTS(mail_rows), &params);
	if (reply == SMTP_REPLY_NONE)
		*ret_params = params.mail;
	return reply;
}

enum smtp_reply_id smtp_rcpt_params_parse(struct slice text, bool utf8, struct arena *arena,
                                          struct smtp_rcpt_params *ret_params)
{
	struct params params = {.arena = arena, .utf8 = utf8};
	enum smtp_reply_id reply = parse_params(text, rcpt_rows, N_ELEMENTS(rcpt_rows), &params);
	if (reply == SMTP_REPLY_NONE)
		*ret_params = params.rcpt;
	return reply;
}

static void print_auth(const struct smtp_path *auth, struct buf *out)
{
	CLEANUP(buf_done) struct buf mailbox;
	buf_init(&mailbox, SMTP_PATH_MAX);
	smtp_mailbox_print(auth, &mailbox);
	buf_add_str(out, " AUTH=");
	if (auth->kind == SMTP_PATH_NULL)
		buf_add_str(out, "<>");
	else
		xtext_encode(buf_slice(&mailbox), out);
}

static void print_hold(const struct smtp_mail_params *params, struct buf *out)
{
	if (params->has_hold_for)
		buf_printf(out, " HOLDFOR=%" PRIu64, params->hold_for_s);
	if (!params->has_hold_until)
		return;
	char until[RFC3339_SIZE];
	rfc3339_format(params->hold_until_s, until);
	buf_printf(out, " HOLDUNTIL=%s", until);
}

static void print_by(const struct smtp_mail_params *params, struct buf *out)
{
	if (params->by_mode != SMTP_BY_NONE)
		buf_printf(out, " BY=%" PRId64 ";%c%s", params->by_s,
		           params->by_mode == SMTP_BY_RETURN ? 'R' : 'N',
		           params->by_trace ? "T" : "");
}

void smtp_mail_params_print(const struct smtp_mail_params *params, struct buf *out)
{
	if (params->has_size)
		buf_printf(out, " SIZE=%" PRIu64, params->size);
	if (params->body != SMTP_BODY_UNSTATED)
		buf_printf(out, " BODY=%s", body_names[params->body]);
	if (params->utf8)
		buf_add_str(out, " SMTPUTF8");
	if (params->has_auth)
		print_auth(&params->auth, out);
	if (params->ret != SMTP_RET_UNSTATED)
		buf_printf(out, " RET=%s", ret_names[params->ret]);
	if (params->has_envid) {
		buf_add_str(out, " ENVID=");
		xtext_encode(params->envid, out);
	}
	print_hold(params, out);
	print_by(params, out);
	if (params->has_priority)
		buf_printf(out, " MT-PRIORITY=%d", params->priority);
	if (params->require_tls)
		buf_add_str(out, " REQUIRETLS");
}

void smtp_rcpt_params_print(const struct smtp_rcpt_params *params, struct buf *out)
{
	const char *separator = " NOTIFY=";
	for (size_t i = 0; i < N_ELEMENTS(notify_names); i++) {
		if (params->notify & notify_names[i].bit) {
			buf_printf(out, "%s%s", separator, notify_names[i].name);
			separator = ",";
		}
	}
	if (!params->has_orcpt)
		return;
	buf_add_str(out, " ORCPT=");
	buf_add(out, params->orcpt_type);
	buf_add_byte(out, ';');
	if (slice_ieq_str(params->orcpt_type, "utf-8") &&
	    is_utf8_address(params->orcpt_address, true))
		buf_add(out, params->orcpt_address);
	else
		xtext_encode(params->orcpt_address, out);
}
