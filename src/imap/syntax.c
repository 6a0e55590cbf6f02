/* The words of IMAP: atoms, strings, literals, numbers, dates (RFC 9051 section 9).
 *
 * Where RFC 3501 and 9051 differ, the wider form is read. Limits: a tag of IMAP_TAG_MAX bytes,
 * 32-bit numbers, 63-bit number64.
 */
#include "imap/syntax.h"

#include "base/clock.h"

/* atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials */
bool imap_is_atom_char(uint8_t c)
{
	return imap_is_astring_char(c) && c != ']';
}

bool imap_is_astring_char(uint8_t c)
{
	return imap_is_list_char(c) && c != '%' && c != '*';
}

bool imap_is_list_char(uint8_t c)
{
	return c > 0x20 && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '"' && c != '\\';
}

bool imap_is_tag_char(uint8_t c)
{
	return imap_is_astring_char(c) && c != '+';
}

struct slice imap_tag(struct cursor *c)
{
	struct slice tag = cursor_while(c, imap_is_tag_char);
	if (tag.n == 0)
		cursor_fail(c, "a command starts with a tag");
	if (tag.n > IMAP_TAG_MAX)
		cursor_fail(c, "the tag is too long");
	return cursor_ok(c) ? tag : slice_empty();
}

void imap_sp(struct cursor *c)
{
	cursor_expect(c, ' ', "a single space is missing");
}

struct slice imap_atom(struct cursor *c)
{
	struct slice atom = cursor_while(c, imap_is_atom_char);
	if (atom.n == 0)
		cursor_fail(c, "a word is missing");
	return atom;
}

/* Copies without the backslashes of quoted-specials. */
static struct slice unquote(struct slice raw, struct arena *arena)
{
	uint8_t *p = arena_alloc(arena, raw.n);
	if (!p)
		return slice_empty();
	size_t n = 0;
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\\')
			i++;
		p[n++] = raw.p[i];
	}
	return slice_of(p, n);
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE */
static struct slice quoted(struct cursor *c, struct arena *arena)
{
	cursor_expect(c, '"', "a string is missing");
	size_t start = c->at;
	bool escaped = false;
	for (;;) {
		int byte = cursor_peek(c);
		if (byte < 0 || byte == '\r' || byte == '\n' || byte == 0) {
			cursor_fail(c, "a quoted string is not closed");
			return slice_empty();
		}
		if (byte == '"')
			break;
		cursor_byte(c);
		if (byte != '\\')
			continue;
		escaped = true;
		int next = cursor_peek(c);
		if (next != '"' && next != '\\')
			cursor_fail(c, "a backslash may only stand before a quote or a backslash");
		cursor_byte(c);
	}
	struct slice raw = slice_sub(c->in, start, c->at - start);
	cursor_byte(c);
	if (!escaped)
		return raw;
	struct slice text = unquote(raw, arena);
	if (arena_failed(arena))
		cursor_fail(c, "the command needs too much memory");
	return text;
}

/* literal = "{" number64 ["+"] "}" CRLF *CHAR8 */
static struct slice literal(struct cursor *c)
{
	cursor_expect(c, '{', "a literal is missing");
	uint64_t size = cursor_u64(c, SIZE_MAX, "a literal's size is not a number");
	(void)cursor_skip(c, '+');
	cursor_expect(c, '}', "a literal's size is not closed");
	cursor_expect(c, '\r', "a literal's size must end its line");
	cursor_expect(c, '\n', "a literal's size must end its line");
	struct slice text = cursor_take(c, (size_t)size);
	if (slice_index(text, 0) != SIZE_MAX)
		cursor_fail(c, "NUL is not allowed in a literal");
	return text;
}

struct slice imap_string(struct cursor *c, struct arena *arena)
{
	return cursor_peek(c) == '{' ? literal(c) : quoted(c, arena);
}

static struct slice string_or_run(struct cursor *c, struct arena *arena, bool (*is)(uint8_t))
{
	int first = cursor_peek(c);
	if (first == '{' || first == '"')
		return imap_string(c, arena);
	struct slice run = cursor_while(c, is);
	if (run.n == 0)
		cursor_fail(c, "a string is missing");
	return run;
}

struct slice imap_astring(struct cursor *c, struct arena *arena)
{
	return string_or_run(c, arena, imap_is_astring_char);
}

struct slice imap_list_mailbox(struct cursor *c, struct arena *arena)
{
	return string_or_run(c, arena, imap_is_list_char);
}

struct slice imap_nstring(struct cursor *c, struct arena *arena, bool *ret_is_nil)
{
	*ret_is_nil = cursor_skip_text(c, "NIL");
	return *ret_is_nil ? slice_empty() : imap_string(c, arena);
}

uint32_t imap_number(struct cursor *c)
{
	return cursor_u32(c, UINT32_MAX, "a number is missing or too large");
}

uint32_t imap_nz_number(struct cursor *c)
{
	uint32_t n = imap_number(c);
	if (n == 0)
		cursor_fail(c, "a number above 0 is missing");
	return n;
}

uint64_t imap_number64(struct cursor *c)
{
	return cursor_u64(c, INT64_MAX, "a number is missing or too large");
}

bool imap_literal_at_end(struct slice line, struct imap_literal *ret_literal)
{
	size_t open = slice_rindex(line, '{');
	if (open == SIZE_MAX || line.p[line.n - 1] != '}')
		return false;
	struct slice inside = slice_sub(line, open + 1, line.n - open - 2);
	struct imap_literal l = {0};
	if (slice_ends(inside, SLICE("+"))) {
		l.non_sync = true;
		inside = slice_sub(inside, 0, inside.n - 1);
	}
	/* RFC 7888 section 8: a size that does not fit is a syntax error, which it becomes
	 * downstream: the largest number is beyond every limit. */
	if (inside.n == 0 || inside.n > 20)
		return false;
	for (size_t i = 0; i < inside.n; i++)
		if (!ascii_is_digit(inside.p[i]))
			return false;
	if (!slice_to_u64(inside, INT64_MAX, &l.size))
		l.size = INT64_MAX;
	l.binary = open > 0 && line.p[open - 1] == '~';
	l.head_size = line.n - open + l.binary;
	*ret_literal = l;
	return true;
}

/* date-month = "Jan" / ... ; 1..12 */
static int month(struct cursor *c)
{
	for (int i = 0; i < 12; i++)
		if (cursor_skip_text(c, civil_month_names[i]))
			return i + 1;
	cursor_fail(c, "a month is Jan, Feb, Mar ... Dec");
	return 1;
}

static int two_digits(struct cursor *c, uint32_t max, const char *why)
{
	struct slice digits = cursor_take(c, 2);
	uint32_t value = 0;
	if (!slice_to_u32(digits, max, &value))
		cursor_fail(c, why);
	return (int)value;
}

static int year(struct cursor *c)
{
	struct slice digits = cursor_take(c, 4);
	uint32_t value = 0;
	if (!slice_to_u32(digits, 9999, &value))
		cursor_fail(c, "a year has four digits");
	return (int)value;
}

static int days_of_month(int year_number, int month_number)
{
	static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year_number % 4 == 0 && (year_number % 100 != 0 || year_number % 400 == 0);
	return days[month_number - 1] + (month_number == 2 && leap);
}

static void check_day(struct cursor *c, const struct civil_time *t)
{
	if (cursor_ok(c) && (t->day < 1 || t->day > days_of_month(t->year, t->month)))
		cursor_fail(c, "that month has no such day");
}

/* date-text = date-day "-" date-month "-" date-year */
static int32_t date_text(struct cursor *c)
{
	struct civil_time t = {0};
	t.day = (int)cursor_u32(c, 31, "a date starts with the day of the month");
	cursor_expect(c, '-', "a date looks like 1-Feb-1994");
	t.month = month(c);
	cursor_expect(c, '-', "a date looks like 1-Feb-1994");
	t.year = year(c);
	check_day(c, &t);
	return cursor_ok(c) ? (int32_t)(civil_to_unix(&t) / 86400 - (civil_to_unix(&t) % 86400 < 0))
	                    : 0;
}

int32_t imap_date(struct cursor *c)
{
	bool in_quotes = cursor_skip(c, '"');
	int32_t day = date_text(c);
	if (in_quotes)
		cursor_expect(c, '"', "the date's closing quote is missing");
	return day;
}

/* zone = ("+" / "-") 4DIGIT: seconds east of UTC */
static int64_t zone(struct cursor *c)
{
	bool west = cursor_peek(c) == '-';
	if (!west && cursor_peek(c) != '+')
		cursor_fail(c, "a time zone looks like +0100");
	cursor_byte(c);
	int hours = two_digits(c, 99, "a time zone looks like +0100");
	int minutes = two_digits(c, 59, "a time zone looks like +0100");
	int64_t seconds = hours * 3600 + minutes * 60;
	return west ? -seconds : seconds;
}

int64_t imap_date_time(struct cursor *c)
{
	static const char form[] = "a date and time looks like \" 1-Feb-1994 12:00:00 +0000\"";
	struct civil_time t = {0};
	cursor_expect(c, '"', form);
	if (cursor_skip(c, ' '))
		t.day = (int)cursor_u32(c, 9, form);
	else
		t.day = two_digits(c, 31, form);
	cursor_expect(c, '-', form);
	t.month = month(c);
	cursor_expect(c, '-', form);
	t.year = year(c);
	imap_sp(c);
	t.hour = two_digits(c, 23, form);
	cursor_expect(c, ':', form);
	t.minute = two_digits(c, 59, form);
	cursor_expect(c, ':', form);
	t.second = two_digits(c, 60, form);
	imap_sp(c);
	int64_t east = zone(c);
	cursor_expect(c, '"', form);
	check_day(c, &t);
	return cursor_ok(c) ? civil_to_unix(&t) - east : 0;
}

struct slice imap_flag(struct cursor *c)
{
	size_t start = c->at;
	(void)cursor_skip(c, '\\');
	(void)imap_atom(c);
	struct slice flag = cursor_ok(c) ? slice_sub(c->in, start, c->at - start) : slice_empty();
	if (flag.n > IMAP_KEYWORD_MAX)
		cursor_fail(c, "a flag's name is too long");
	return flag;
}
