/* Received-SPF (RFC 7208 section 9.1, erratum 5436):
 *
 *   header-field   = "Received-SPF:" [CFWS] result [ FWS comment ] [ FWS key-value-list ] [FWS]
 * CRLF key-value-list = key-value-pair *( ";" [CFWS] key-value-pair ) [";"] key-value-pair = key
 * [CFWS] "=" ( dot-atom / quoted-string )
 *
 * Written as words, between which lines are folded, inside quoted values, too (RFC 5322 section
 * 3.2.4). Limits: VALUE_MAX octets of each value before it is quoted, so no word comes near the 998
 * octets of a line.
 */
#include "mailauth/spf_received.h"

#include "text/utf8.h"

#include <arpa/inet.h>

#define LINE_WISH       78u  /* octets, where words allow (RFC 5322 section 2.1.1) */
#define TAB             8u   /* columns */
#define VALUE_MAX       400u /* octets */
#define LOCALPART_SHOWN 128u /* octets of a sender's, so that its domain is seen, too */

struct field {
	struct buf *text;
	size_t column;
};

static void add_word(struct field *field, struct slice word)
{
	if (field->column > 0 && field->column + 1 + word.n > LINE_WISH) {
		buf_add_str(field->text, "\r\n\t");
		field->column = TAB;
	} else if (field->column > 0) {
		buf_add_byte(field->text, ' ');
		field->column++;
	}
	buf_add_line_safe(field->text, word);
	field->column += word.n;
}

/* A word with spaces in it, which are part of what it says: where it is too long for a line of its
 * own, a line begins with one of them, not with a tab. Between two spaces no line is begun, as it
 * could be left empty. */
static void add_spaced_word(struct field *field, struct slice word)
{
	struct slice part = word;
	bool more = TAB + word.n > LINE_WISH && slice_cut(word, ' ', &part, &word);
	add_word(field, part);
	while (more) {
		more = slice_cut(word, ' ', &part, &word);
		if (part.n > 0 && field->column + 1 + part.n > LINE_WISH) {
			buf_add_str(field->text, "\r\n");
			field->column = 0;
		}
		buf_add_byte(field->text, ' ');
		buf_add_line_safe(field->text, part);
		field->column += 1 + part.n;
	}
}

/* A sentence as a comment, word by word, with what would end it escaped. */
static void add_comment_words(struct field *field, struct slice sentence)
{
	CLEANUP(buf_done) struct buf word;
	struct slice plain;
	bool more = true;
	buf_init(&word, SPF_RECEIVED_MAX);
	buf_add_byte(&word, '(');
	while (more) {
		more = slice_cut(sentence, ' ', &plain, &sentence);
		for (size_t i = 0; i < plain.n; i++) {
			if (strchr("()\\", plain.p[i]))
				buf_add_byte(&word, '\\');
			buf_add_byte(&word, plain.p[i]);
		}
		if (!more)
			buf_add_byte(&word, ')');
		add_word(field, buf_slice(&word));
		buf_reset(&word);
	}
}

/* RFC 5322 section 3.2.3 */
static bool is_atext(uint8_t c)
{
	return ascii_is_alnum(c) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_atom(struct slice value)
{
	struct slice atom;
	for (bool more = true; more;) {
		more = slice_cut(value, '.', &atom, &value);
		for (size_t i = 0; i < atom.n; i++)
			if (!is_atext(atom.p[i]))
				return false;
		if (atom.n == 0)
			return false;
	}
	return true;
}

/* quoted-string (RFC 5322 section 3.2.4); controls become '?'. */
static void add_quoted(struct slice value, struct buf *out)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];
		if (c == '"' || c == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, c < 0x20 || c == 0x7f ? '?' : c);
	}
	buf_add_byte(out, '"');
}

/* What is no UTF-8 becomes U+FFFD, or '?' where only ASCII is known (HELO). */
static void clean(struct slice value, bool keep_utf8, struct buf *out)
{
	if (keep_utf8) {
		utf8_add_valid(out, utf8_cut(value, VALUE_MAX));
		return;
	}
	value = slice_sub(value, 0, VALUE_MAX);
	for (size_t i = 0; i < value.n; i++)
		buf_add_byte(out, value.p[i] < 0x80 ? value.p[i] : '?');
}

static void add_pair(struct field *field, const char *key, struct slice value, bool keep_utf8)
{
	CLEANUP(buf_done) struct buf pair, cleaned;
	buf_init(&pair, SPF_RECEIVED_MAX);
	buf_init(&cleaned, SPF_RECEIVED_MAX);
	clean(value, keep_utf8, &cleaned);
	buf_printf(&pair, "%s=", key);
	if (is_dot_atom(buf_slice(&cleaned)))
		buf_add(&pair, buf_slice(&cleaned));
	else
		add_quoted(buf_slice(&cleaned), &pair);
	buf_add_byte(&pair, ';');
	add_spaced_word(field, buf_slice(&pair));
}

/* "local@domain" as in SMTP, the localpart quoted where it has to be; "<>" for none. */
static void add_sender(struct field *field, const struct spf_args *args,
                       const struct spf_result *result)
{
	CLEANUP(buf_done) struct buf mailbox;
	buf_init(&mailbox, SPF_RECEIVED_MAX);
	struct slice localpart = args->localpart.n > 0 ? args->localpart : SLICE("postmaster");
	localpart = utf8_cut(localpart, LOCALPART_SHOWN);
	if (result->null_sender)
		buf_add_str(&mailbox, "<>");
	else if (is_dot_atom(localpart) || !slice_is_ascii(localpart))
		buf_add(&mailbox, localpart);
	else
		add_quoted(localpart, &mailbox);
	if (!result->null_sender)
		buf_printf(&mailbox, "@%s", result->domain);
	add_pair(field, "envelope-from", buf_slice(&mailbox), true);
}

static void add_ip(struct field *field, struct slice ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN] = "unknown";
	if (ip.n == 16 && memcmp(ip.p, mapped, sizeof(mapped)) == 0)
		ip = slice_from(ip, sizeof(mapped));
	if (ip.n == 4 || ip.n == 16)
		(void)inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, sizeof(text));
	add_pair(field, "client-ip", slice_str(text), false);
}

static struct slice or_unknown(struct slice name)
{
	return name.n > 0 ? name : SLICE("unknown");
}

static void add_comment(struct field *field, const struct spf_args *args,
                        const struct spf_result *result, const char *dnssec)
{
	CLEANUP(buf_done) struct buf sentence;
	buf_init(&sentence, SPF_RECEIVED_MAX);
	clean(or_unknown(args->receiver), false, &sentence);
	buf_printf(&sentence, ": %s; DNSSEC: %s", result->why, dnssec);
	add_comment_words(field, buf_slice(&sentence));
}

static void add_pairs(struct field *field, const struct spf_args *args,
                      const struct spf_result *result)
{
	add_pair(field, "receiver", or_unknown(args->receiver), false);
	add_pair(field, "identity", slice_str(spf_identity_name(result->identity)), false);
	add_ip(field, args->client_ip);
	if (result->identity == SPF_MAILFROM)
		add_sender(field, args, result);
	add_pair(field, "helo", args->helo, false);
	if (result->mechanism[0])
		add_pair(field, "mechanism", slice_str(result->mechanism), false);
	if (result->problem[0])
		add_pair(field, "problem", slice_str(result->problem), false);
}

struct status spf_received_print(const struct spf_args *args, const struct spf_result *result,
                                 const char *dnssec, struct buf *out)
{
	CLEANUP(buf_done) struct buf text;
	struct field field = {.text = &text};
	buf_init(&text, SPF_RECEIVED_MAX);
	add_word(&field, SLICE("Received-SPF:"));
	add_word(&field, slice_str(mailauth_result_name(result->result)));
	add_comment(&field, args, result, dnssec);
	add_pairs(&field, args, result);
	buf_add_str(&text, "\r\n");
	if (buf_failed(&text))
		return fail(ERR_LIMIT, "Received-SPF is too long");
	buf_add(out, buf_slice(&text));
	return buf_failed(out) ? fail(ERR_LIMIT, "trace fields are too long") : ok();
}
