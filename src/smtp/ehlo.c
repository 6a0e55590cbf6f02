/* Extensions of a remote server.
 *
 *   ehlo-ok-rsp  = ( "250-" Domain [ SP ehlo-greet ] CRLF *( "250-" ehlo-line CRLF ) ... )
 *   ehlo-line    = ehlo-keyword *( SP ehlo-param )
 *   (RFC 5321 section 4.1.1.1)
 *
 * Parameters are read leniently: what cannot be understood is as if it were not there, but the
 * keyword counts. Numbers beyond what fits are cut, not wrapped.
 */
#include "smtp/ehlo.h"

#include "base/cursor.h"

static const char *const keywords[SMTP_EXTENSION_COUNT] = {
#define X(id, keyword) [SMTP_EXTENSION_##id] = keyword,
        SMTP_EXTENSION_LIST(X)
#undef X
};

const char *smtp_extension_keyword(enum smtp_extension extension)
{
	return keywords[extension];
}

/* The next word; blanks of any number part them. */
static bool next_word(struct slice *rest, struct slice *ret_word)
{
	*rest = slice_trim(*rest);
	if (rest->n == 0)
		return false;
	(void)slice_cut(*rest, ' ', ret_word, rest);
	return true;
}

/* Digits; 0 for what is no number, the most that fits for what is too large. */
static uint64_t number(struct slice word)
{
	uint64_t value = 0;
	for (size_t i = 0; i < word.n; i++)
		if (!ascii_is_digit(word.p[i]))
			return 0;
	if (word.n > 0 && !slice_to_u64(word, UINT64_MAX, &value))
		return UINT64_MAX;
	return value;
}

static uint32_t number32(struct slice word)
{
	return (uint32_t)MIN(number(word), (uint64_t)UINT32_MAX);
}

/* limits = *( name "=" value ), RFC 9422 section 4 */
static void limits(struct smtp_ehlo *ehlo, struct slice rest)
{
	struct slice word, name, value;
	while (next_word(&rest, &word)) {
		(void)slice_cut(word, '=', &name, &value);
		if (slice_ieq(name, SLICE("MAILMAX")))
			ehlo->mail_max = number32(value);
		else if (slice_ieq(name, SLICE("RCPTMAX")))
			ehlo->rcpt_max = number32(value);
		else if (slice_ieq(name, SLICE("RCPTDOMAINMAX")))
			ehlo->rcpt_domain_max = number32(value);
	}
}

/* n digits at the cursor */
static int digits(struct cursor *c, size_t n)
{
	uint32_t value = 0;
	if (!slice_to_u32(cursor_take(c, n), 9999, &value))
		cursor_fail(c, "not a date");
	return (int)value;
}

/* full-date "T" partial-time "Z" of RFC 3339, without a fraction; 0 for anything else */
static int64_t instant(struct slice word)
{
	struct cursor c = cursor_of(word);
	struct civil_time t = {.year = digits(&c, 4)};
	cursor_expect(&c, '-', "not a date");
	t.month = digits(&c, 2);
	cursor_expect(&c, '-', "not a date");
	t.day = digits(&c, 2);
	cursor_expect(&c, 'T', "not a date");
	t.hour = digits(&c, 2);
	cursor_expect(&c, ':', "not a date");
	t.minute = digits(&c, 2);
	cursor_expect(&c, ':', "not a date");
	t.second = digits(&c, 2);
	cursor_expect(&c, 'Z', "not a date");
	cursor_expect_end(&c, "not a date");
	bool sane = t.year >= 1970 && t.month >= 1 && t.month <= 12 && t.day >= 1 && t.day <= 31;
	return cursor_ok(&c) && sane ? civil_to_unix(&t) : 0;
}

static void parameters(struct smtp_ehlo *ehlo, enum smtp_extension extension, struct slice rest)
{
	struct slice word = slice_empty();
	struct sasl_mechanisms mechanisms;
	if (extension == SMTP_EXTENSION_AUTH) {
		mechanisms = sasl_mechanisms_parse(rest);
		ehlo->mechanisms.bits |= mechanisms.bits;
	} else if (extension == SMTP_EXTENSION_LIMITS) {
		limits(ehlo, rest);
	} else if (extension == SMTP_EXTENSION_SIZE && next_word(&rest, &word)) {
		ehlo->size_max = number(word);
	} else if (extension == SMTP_EXTENSION_DELIVERBY && next_word(&rest, &word)) {
		(void)slice_cut(word, ',', &word, &rest); /* later versions may add to it */
		ehlo->deliver_by_min_s = number(word);
	} else if (extension == SMTP_EXTENSION_FUTURERELEASE && next_word(&rest, &word)) {
		ehlo->hold_max_s = number(word);
		if (next_word(&rest, &word))
			ehlo->hold_until_max_s = instant(word);
	}
}

void smtp_ehlo_line(struct smtp_ehlo *ehlo, struct slice text)
{
	struct slice keyword, rest = text;
	if (!next_word(&rest, &keyword))
		return;
	/* "AUTH=PLAIN LOGIN": what servers said before RFC 4954, some beside the proper line */
	if (slice_istarts(keyword, SLICE("AUTH="))) {
		rest = slice_from(slice_trim(text), 5);
		keyword = slice_sub(keyword, 0, 4);
	}
	for (size_t i = 0; i < SMTP_EXTENSION_COUNT; i++) {
		if (!slice_ieq_str(keyword, keywords[i]))
			continue;
		bool again = smtp_ehlo_has(ehlo, (enum smtp_extension)i);
		ehlo->bits |= UINT32_C(1) << i;
		if (!again || i == SMTP_EXTENSION_AUTH)
			parameters(ehlo, (enum smtp_extension)i, rest);
	}
}

void smtp_ehlo_of_reply(const struct smtp_reply_in *reply, struct smtp_ehlo *ret_ehlo)
{
	struct slice line, rest = buf_slice(&reply->text), name = slice_empty();
	*ret_ehlo = (struct smtp_ehlo){.extended = true};
	(void)slice_cut(rest, '\n', &line, &rest);
	line = slice_from(line, 4);
	if (next_word(&line, &name) && name.n <= SMTP_EHLO_NAME_MAX)
		memcpy(ret_ehlo->name, name.p, name.n);
	while (rest.n > 0) {
		(void)slice_cut(rest, '\n', &line, &rest);
		smtp_ehlo_line(ret_ehlo, slice_from(line, 4));
	}
}

void smtp_ehlo_print(const struct smtp_ehlo *ehlo, struct buf *out)
{
	const char *separator = "";
	for (size_t i = 0; i < SMTP_EXTENSION_COUNT; i++) {
		if (!smtp_ehlo_has(ehlo, (enum smtp_extension)i))
			continue;
		buf_printf(out, "%s%s", separator, keywords[i]);
		separator = " ";
		if (i == SMTP_EXTENSION_SIZE && ehlo->size_max > 0)
			buf_printf(out, " %" PRIu64, ehlo->size_max);
	}
}
