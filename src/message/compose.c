/* Header fields written (RFC 5322 sections 2.1.1, 2.2.3; RFC 2047; RFC 6532).
 *
 * A field is written word by word: before a word that would pass MESSAGE_LINE_FOLD the blank before
 * it becomes a fold. Limits: MESSAGE_LINE_MAX, and the caller's buffer.
 */
#include "message/compose.h"

#include "message/date.h"
#include "message/word.h"
#include "text/domain.h"
#include "text/utf8.h"

void message_compose_init(struct message_compose *c, struct buf *out, bool utf8)
{
	*c = (struct message_compose){.out = out, .utf8 = utf8, .status = ok()};
}

struct status message_compose_status(const struct message_compose *c)
{
	if (is_ok(c->status) && buf_failed(c->out))
		return fail(ERR_LIMIT, "the header is too large");
	return c->status;
}

static void refuse(struct message_compose *c, enum err code, const char *why)
{
	if (is_ok(c->status))
		c->status = fail(code, why);
}

/* False, and refused, when the value may not stand in a header. */
static bool check(struct message_compose *c, struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			refuse(c, ERR_INVALID, "control character in a header field");
	if (!slice_is_ascii(value) && !c->utf8)
		refuse(c, ERR_UNSUPPORTED, "header field needs UTF-8");
	if (!utf8_valid(value))
		refuse(c, ERR_INVALID, "header field is not UTF-8");
	return is_ok(c->status);
}

static void begin(struct message_compose *c, const char *name)
{
	struct slice s = slice_str(name);
	bool bad = s.n == 0 || s.n > MESSAGE_LINE_FOLD;
	for (size_t i = 0; i < s.n; i++)
		bad |= s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == ':';
	if (bad)
		refuse(c, ERR_INVALID, "not the name of a header field");
	buf_add(c->out, s);
	buf_add_byte(c->out, ':');
	c->column = s.n + 1;
}

static void end(struct message_compose *c)
{
	buf_add_str(c->out, "\r\n");
	c->column = 0;
}

/* Blanks and a word; the blanks may become a fold, of which one blank stays. */
static void add_word(struct message_compose *c, struct slice blanks, struct slice word)
{
	bool folds =
	        c->column + blanks.n + word.n > MESSAGE_LINE_FOLD && blanks.n > 0 && word.n > 0;
	/* The word is not empty: a line of blanks only (section 3.2.2) cannot arise. */
	if (folds) {
		buf_add_str(c->out, "\r\n");
		c->column = 0;
	}
	buf_add(c->out, blanks);
	buf_add(c->out, word);
	c->column += blanks.n + word.n;
	if (c->column > MESSAGE_LINE_MAX)
		refuse(c, ERR_LIMIT, "word of a header field is too long");
}

static size_t run(struct slice s, bool blank)
{
	size_t n = 0;
	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t') == blank)
		n++;
	return n;
}

/* Words of a value, the first of which has a blank before it. */
static void add_words(struct message_compose *c, struct slice value)
{
	value = slice_trim(value);
	struct slice blanks = SLICE(" ");
	while (value.n > 0) {
		size_t n = run(value, false);
		add_word(c, blanks, slice_sub(value, 0, n));
		value = slice_from(value, n);
		n = run(value, true);
		blanks = slice_sub(value, 0, n);
		value = slice_from(value, n);
	}
}

void message_compose_lines(struct message_compose *c, const char *name, const struct slice *parts,
                           size_t n_parts)
{
	begin(c, name);
	for (size_t i = 0; i < n_parts; i++) {
		if (i > 0)
			c->column = MESSAGE_LINE_FOLD + 1;
		if (check(c, parts[i]))
			add_words(c, parts[i]);
	}
	end(c);
}

void message_compose_structured(struct message_compose *c, const char *name, struct slice value)
{
	message_compose_lines(c, name, &value, 1);
}

/* Encoded words hold their folds already. */
static void add_encoded(struct message_compose *c, struct slice text)
{
	size_t start = c->out->n;
	buf_add_byte(c->out, ' ');
	message_words_encode(text, c->column + 1, c->out);
	struct slice written = slice_from(buf_slice(c->out), start);
	size_t line = slice_rindex(written, '\n');
	c->column = line == SIZE_MAX ? c->column + written.n : written.n - line - 1;
}

/* Must be encoded: what UTF-8 cannot carry, or what reads as an encoded word already. */
static bool must_encode(const struct message_compose *c, struct slice text)
{
	bool looks_encoded = slice_find(text, SLICE("=?")) != SIZE_MAX;
	return looks_encoded || (!c->utf8 && !slice_is_ascii(text));
}

static bool check_text(struct message_compose *c, struct slice text)
{
	struct message_compose with_utf8 = *c;
	with_utf8.utf8 = true;
	check(&with_utf8, text);
	c->status = with_utf8.status;
	return is_ok(c->status);
}

void message_compose_text(struct message_compose *c, const char *name, struct slice text)
{
	begin(c, name);
	if (check_text(c, text)) {
		if (must_encode(c, text))
			add_encoded(c, slice_trim(text));
		else
			add_words(c, text);
	}
	end(c);
}

void message_compose_date(struct message_compose *c, const char *name, int64_t unix_s,
                          int zone_minutes)
{
	char date[MESSAGE_DATE_SIZE];
	message_date_format(unix_s, zone_minutes, date);
	message_compose_structured(c, name, slice_str(date));
}

/* ------------------------------------------------------------------------------------- addresses
 */

static void add_mailbox(struct message_compose *c, const struct message_address *address)
{
	struct message_address a = *address;
	struct text_domain domain;
	if (!c->utf8 && !slice_is_ascii(a.domain)) {
		if (!is_ok(text_domain_parse(a.domain, TEXT_DOMAIN_STRICT, &domain)))
			refuse(c, ERR_INVALID, "domain of an address is none");
		else
			a.domain = slice_str(domain.ascii);
	}
	if (a.has_name && must_encode(c, a.name) && check_text(c, a.name)) {
		add_encoded(c, a.name);
		a.has_name = false;
	} else if (a.has_name) {
		check(c, a.name);
	}
	struct buf text;
	buf_init(&text, 4 * (a.name.n + a.localpart.n + a.domain.n) + 16);
	if (!message_address_print(&a, &text))
		refuse(c, ERR_INVALID, "control character in an address");
	if (check(c, buf_slice(&text)))
		add_words(c, buf_slice(&text));
	buf_done(&text);
}

static void add_group_start(struct message_compose *c, const struct message_address *address)
{
	struct message_address name = {.has_name = true, .name = address->localpart};
	name.localpart = name.domain = slice_empty();
	struct buf text;
	buf_init(&text, 2 * name.name.n + 16);
	if (must_encode(c, name.name) && check_text(c, name.name)) {
		add_encoded(c, name.name);
	} else if (message_address_print(&name, &text)) {
		/* Without the " <>" of the address that is none. */
		struct slice phrase = slice_sub(buf_slice(&text), 0, text.n - 3);
		if (check(c, phrase))
			add_words(c, phrase);
	} else {
		refuse(c, ERR_INVALID, "control character in an address");
	}
	buf_done(&text);
	buf_add_byte(c->out, ':');
	c->column++;
}

void message_compose_addresses(struct message_compose *c, const char *name,
                               const struct message_address *addresses, size_t n)
{
	begin(c, name);
	bool comma = false;
	for (size_t i = 0; i < n; i++) {
		enum message_address_kind kind = addresses[i].kind;
		if (comma && kind != MESSAGE_ADDRESS_GROUP_END)
			add_word(c, slice_empty(), SLICE(","));
		if (kind == MESSAGE_ADDRESS_MAILBOX)
			add_mailbox(c, &addresses[i]);
		else if (kind == MESSAGE_ADDRESS_GROUP_START)
			add_group_start(c, &addresses[i]);
		else if (kind == MESSAGE_ADDRESS_GROUP_END)
			add_word(c, slice_empty(), SLICE(";"));
		else
			refuse(c, ERR_INVALID, "text that is no address");
		comma = kind != MESSAGE_ADDRESS_GROUP_START;
	}
	end(c);
}

void message_compose_end_header(struct message_compose *c)
{
	buf_add_str(c->out, "\r\n");
}
