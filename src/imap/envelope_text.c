/* Reads back what summarize.h printed:
 *
 *   envelope = "(" date SP subject SP from SP sender SP reply-to SP to SP cc SP bcc SP in-reply-to
 *              SP message-id ")"                                      RFC 9051 section 7.5.2
 *   address  = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
 *
 * It comes from the disk: whatever it is, nothing outside of it is read, and what is not understood
 * is not told. */
#include "imap/envelope_text.h"

#include "base/cursor.h"
#include "message/part.h"
#include "message/word.h"
#include "text/fold.h"

#define TEXT_MAX ((size_t)MESSAGE_FIELD_SIZE_MAX * 8)

static const struct slice nothing = {(const uint8_t *)"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
                                     41};

void imap_fold_init(struct imap_fold *fold)
{
	buf_init(&fold->folded, TEXT_MAX * 4);
	buf_init(&fold->decoded, TEXT_MAX);
	buf_init(&fold->unescaped, TEXT_MAX);
}

void imap_fold_done(struct imap_fold *fold)
{
	buf_done(&fold->folded);
	buf_done(&fold->decoded);
	buf_done(&fold->unescaped);
}

void imap_fold_words(struct imap_fold *fold, struct slice value)
{
	/* Most values decode to themselves. */
	if (slice_is_ascii(value) && !slice_has_control(value) &&
	    slice_find(value, SLICE("=?")) == SIZE_MAX) {
		text_unicode_casemap(slice_trim(value), &fold->folded);
		return;
	}
	buf_reset(&fold->decoded);
	message_words_decode(value, &fold->decoded);
	text_unicode_casemap(buf_slice(&fold->decoded), &fold->folded);
}

/* ---- strings -------------------------------------------------------------------------------- */

struct string {
	bool nil;
	bool escaped;
	struct slice raw;
};

static struct string quoted(struct cursor *c)
{
	struct slice rest = cursor_rest(c);
	size_t end = slice_index(rest, '"');
	struct string s = {0};
	if (end != SIZE_MAX && slice_index(slice_sub(rest, 0, end), '\\') != SIZE_MAX) {
		s.escaped = true;
		for (end = 0; end < rest.n && rest.p[end] != '"';)
			end += rest.p[end] == '\\' ? 2 : 1;
	}
	if (end >= rest.n) {
		cursor_fail(c, "a string has no end");
		return s;
	}
	s.raw = cursor_take(c, end);
	cursor_expect(c, '"', "a string has no end");
	return s;
}

static struct string literal(struct cursor *c)
{
	uint64_t size = 0;
	struct slice digits = cursor_while(c, ascii_is_digit);
	if (!slice_to_u64(digits, SIZE_MAX, &size) || !cursor_skip_text(c, "}\r\n"))
		cursor_fail(c, "a literal is broken");
	return (struct string){.raw = cursor_take(c, (size_t)size)};
}

static struct string nstring(struct cursor *c)
{
	if (cursor_skip(c, '"'))
		return quoted(c);
	if (cursor_skip(c, '{'))
		return literal(c);
	if (!cursor_skip_text(c, "NIL"))
		cursor_fail(c, "a string is missing");
	return (struct string){.nil = true};
}

static void skip_string(struct cursor *c)
{
	(void)nstring(c);
	cursor_expect(c, ' ', "a space is missing");
}

static void add_string(struct imap_fold *fold, const struct string *s)
{
	if (s->raw.n == 0)
		return;
	if (!s->escaped) {
		imap_fold_words(fold, s->raw);
		return;
	}
	buf_reset(&fold->unescaped);
	for (size_t i = 0; i < s->raw.n; i++) {
		i += s->raw.p[i] == '\\';
		if (i < s->raw.n)
			buf_add_byte(&fold->unescaped, s->raw.p[i]);
	}
	imap_fold_words(fold, buf_slice(&fold->unescaped));
}

/* ---- addresses ------------------------------------------------------------------------------ */

struct address {
	struct string name, mailbox, host;
};

static struct address address(struct cursor *c)
{
	struct address a;
	cursor_expect(c, '(', "an address is missing");
	a.name = nstring(c);
	cursor_expect(c, ' ', "a space is missing");
	skip_string(c); /* the route */
	a.mailbox = nstring(c);
	cursor_expect(c, ' ', "a space is missing");
	a.host = nstring(c);
	cursor_expect(c, ')', "an address has no end");
	return a;
}

static void add_address(struct imap_fold *fold, const struct address *a)
{
	bool named = a->name.raw.n > 0;
	add_string(fold, &a->name);
	if (named)
		buf_add_str(&fold->folded, " <");
	add_string(fold, &a->mailbox);
	if (!a->host.nil && !slice_eq_str(a->host.raw, "MISSING_DOMAIN")) {
		buf_add_byte(&fold->folded, '@');
		add_string(fold, &a->host);
	}
	/* A mailbox without a host opens a group, nothing at all closes it. */
	buf_add_str(&fold->folded, named ? ">" : a->host.nil && !a->mailbox.nil ? ":" : "");
}

/* fold: NULL to skip them. Returns how many there are. */
static size_t addresses(struct cursor *c, struct imap_fold *fold)
{
	size_t n = 0;
	if (!cursor_skip(c, '(')) {
		if (!cursor_skip_text(c, "NIL"))
			cursor_fail(c, "addresses are missing");
		return 0;
	}
	for (; cursor_ok(c) && !cursor_skip(c, ')'); n++) {
		struct address a = address(c);
		if (!fold || !cursor_ok(c))
			continue;
		if (n > 0)
			buf_add_str(&fold->folded, ", ");
		add_address(fold, &a);
	}
	return n;
}

/* Which of the six lists of addresses, from 0, a field is. */
static int list_of(enum imap_envelope_field field)
{
	switch (field) {
	case IMAP_ENVELOPE_FROM:
		return 0;
	case IMAP_ENVELOPE_TO:
		return 3;
	case IMAP_ENVELOPE_CC:
		return 4;
	case IMAP_ENVELOPE_BCC:
		return 5;
	case IMAP_ENVELOPE_SUBJECT:
		break;
	}
	return -1;
}

bool imap_envelope_text(struct slice envelope, enum imap_envelope_field field,
                        struct imap_fold *fold)
{
	struct cursor c = cursor_of(envelope);
	int list = list_of(field);
	buf_reset(&fold->folded);
	if (slice_eq(envelope, nothing))
		return false;
	cursor_expect(&c, '(', "no envelope");
	skip_string(&c); /* the date */
	struct string subject = nstring(&c);
	if (list < 0) {
		if (cursor_ok(&c))
			add_string(fold, &subject);
		return cursor_ok(&c) && !buf_failed(&fold->folded);
	}
	for (int i = 0; i < list && cursor_ok(&c); i++) {
		cursor_expect(&c, ' ', "a space is missing");
		addresses(&c, NULL);
	}
	cursor_expect(&c, ' ', "a space is missing");
	return addresses(&c, fold) < MESSAGE_ADDRESSES_MAX && cursor_ok(&c) &&
	       !buf_failed(&fold->folded);
}
