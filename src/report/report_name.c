#include "report/report_name.h"

#include "base/cursor.h"

#define DOMAIN_MAX 253u
#define LABEL_MAX  63u
#define ID_MAX     255u
#define TIME_MAX   ((uint64_t)INT64_MAX)

#define X(id, name) [REPORT_##id] = name,
static const char *const extensions[] = {REPORT_EXTENSION_LIST(X)};
#undef X

/* --- what they are made of --- */

static bool is_label(struct slice label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	return label.n > 0 && label.n <= LABEL_MAX;
}

static bool is_domain(struct slice text)
{
	struct slice label;
	bool more = text.n <= DOMAIN_MAX;
	while (more) {
		more = slice_cut(text, '.', &label, &text);
		if (!is_label(label))
			return false;
	}
	return label.n > 0;
}

static bool is_unique(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_alnum(text.p[i]))
			return false;
	return text.n <= ID_MAX;
}

/* atext of RFC 5322 section 3.2.3 */
static bool is_atext(uint8_t c)
{
	return ascii_is_alnum(c) || slice_index(SLICE("!#$%&'*+-/=?^_`{|}~"), c) != SIZE_MAX;
}

static bool is_dot_atom(struct slice text)
{
	uint8_t previous = '.';
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c == '.' ? previous == '.' : !is_atext(c))
			return false;
		previous = c;
	}
	return previous != '.';
}

/* ridfmt of RFC 9990 section 3.5.1 */
static bool is_id(struct slice text)
{
	struct slice left, right;
	if (slice_cut(text, '@', &left, &right) && !is_dot_atom(right))
		return false;
	return text.n <= ID_MAX && is_dot_atom(left);
}

/* --- file names --- */

struct status report_filename_print(const struct report_filename *name, struct buf *out)
{
	if (!is_domain(name->submitter) || !is_domain(name->domain))
		return fail(ERR_INVALID, "a report's file without domain");
	if (name->begin_s < 0 || name->end_s < name->begin_s)
		return fail(ERR_INVALID, "a report's file without period");
	if (!is_unique(name->unique) || name->extension > REPORT_JSON_GZ)
		return fail(ERR_INVALID, "a report's file without name");
	buf_printf(out, "%.*s!%.*s!", SLICE_FMT(name->submitter), SLICE_FMT(name->domain));
	buf_add_u64(out, (uint64_t)name->begin_s);
	buf_add_byte(out, '!');
	buf_add_u64(out, (uint64_t)name->end_s);
	if (name->unique.n > 0)
		buf_printf(out, "!%.*s", SLICE_FMT(name->unique));
	buf_add_str(out, extensions[name->extension]);
	return buf_failed(out) ? fail(ERR_LIMIT, "no room for a name") : ok();
}

/* The longest that fits is taken off: ".xml.gz" before ".gz". */
static bool cut_extension(struct slice *text, enum report_extension *ret_extension)
{
	size_t longest = 0;
	for (size_t i = 0; i < N_ELEMENTS(extensions); i++) {
		struct slice extension = slice_str(extensions[i]);
		if (extension.n > longest && slice_iends(*text, extension)) {
			longest = extension.n;
			*ret_extension = (enum report_extension)i;
		}
	}
	*text = slice_sub(*text, 0, text->n - longest);
	return longest > 0;
}

static bool is_bang_free(uint8_t c)
{
	return c != '!';
}

bool report_filename_parse(struct slice text, struct report_filename *ret_name)
{
	struct report_filename name = {.unique = SLICE("")};
	if (text.n > REPORT_NAME_MAX || !cut_extension(&text, &name.extension))
		return false;
	struct cursor c = cursor_of(text);
	name.submitter = cursor_while(&c, is_bang_free);
	cursor_expect(&c, '!', "no domain");
	name.domain = cursor_while(&c, is_bang_free);
	cursor_expect(&c, '!', "no begin");
	name.begin_s = (int64_t)cursor_u64(&c, TIME_MAX, "no begin");
	cursor_expect(&c, '!', "no end");
	name.end_s = (int64_t)cursor_u64(&c, TIME_MAX, "no end");
	if (cursor_skip(&c, '!')) {
		name.unique = cursor_rest(&c);
		if (name.unique.n == 0)
			return false;
	} else {
		cursor_expect_end(&c, "more than a name");
	}
	*ret_name = name;
	return cursor_ok(&c) && is_domain(name.submitter) && is_domain(name.domain) &&
	       is_unique(name.unique) && name.begin_s <= name.end_s;
}

/* --- subjects --- */

struct status report_subject_print(const struct report_subject *subject, struct buf *out)
{
	if (!is_domain(subject->domain) || !is_domain(subject->submitter))
		return fail(ERR_INVALID, "a report's subject without domain");
	if (!is_id(subject->report_id))
		return fail(ERR_INVALID, "a report's subject without id");
	buf_printf(out, "Report Domain: %.*s Submitter: %.*s Report-ID: <%.*s>",
	           SLICE_FMT(subject->domain), SLICE_FMT(subject->submitter),
	           SLICE_FMT(subject->report_id));
	return buf_failed(out) ? fail(ERR_LIMIT, "no room for a subject") : ok();
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_no_blank(uint8_t c)
{
	return !is_blank(c);
}

static struct slice next_word(struct cursor *c)
{
	(void)cursor_while(c, is_blank);
	return cursor_while(c, is_no_blank);
}

static void expect_word(struct cursor *c, const char *word)
{
	if (!slice_ieq_str(next_word(c), word))
		cursor_fail(c, "another subject");
}

static struct slice read_domain(struct cursor *c)
{
	struct slice domain = next_word(c);
	if (!is_domain(domain))
		cursor_fail(c, "no domain");
	return domain;
}

/* RFC 7489 wants no blank before the id, RFC 9990 wants one. */
static struct slice read_id(struct cursor *c)
{
	struct slice label = SLICE("Report-ID:");
	struct slice id = next_word(c);
	if (!slice_istarts(id, label))
		cursor_fail(c, "another subject");
	id = id.n > label.n ? slice_from(id, label.n) : next_word(c);
	if (slice_starts(id, SLICE("<")) && slice_ends(id, SLICE(">")))
		id = slice_sub(id, 1, id.n - 2);
	if (!is_id(id))
		cursor_fail(c, "no id");
	return id;
}

/* RFC 8460 has room for comments at the end. */
static bool is_comment(struct slice text)
{
	return slice_starts(text, SLICE("(")) && slice_ends(text, SLICE(")"));
}

bool report_subject_parse(struct slice text, struct report_subject *ret_subject)
{
	struct cursor c = cursor_of(slice_trim(text));
	if (text.n > REPORT_NAME_MAX)
		return false;
	expect_word(&c, "Report");
	expect_word(&c, "Domain:");
	struct slice domain = read_domain(&c);
	expect_word(&c, "Submitter:");
	struct slice submitter = read_domain(&c);
	struct slice id = cursor_at_end(&c) ? SLICE("") : read_id(&c);
	struct slice rest = slice_trim(cursor_rest(&c));
	*ret_subject =
	        (struct report_subject){.domain = domain, .submitter = submitter, .report_id = id};
	return cursor_ok(&c) && (rest.n == 0 || is_comment(rest));
}
