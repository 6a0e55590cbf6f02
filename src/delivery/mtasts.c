/* Records and policies of MTA-STS by the grammar of RFC 8461 sections 3.1 and 3.2.
 *
 *	sts-text-record   = %s"v=STSv1" 1*(delim field) [delim]
 *	                    field: id=1*32(ALPHA / DIGIT), others
 *	sts-policy-record = field *WSP *(term field *WSP) [term]
 *	                    field = name ":" *WSP value
 *	                    name: version, mode, max_age, mx, others
 *	                    term = LF / CRLF
 *
 * Unknown fields are passed over, of repeated ones (but mx) the first counts. Tolerated beyond the
 * grammar: empty lines (docs/deviations.md). A malformed line, an mx pattern that is no domain or a
 * missing field makes the whole policy invalid.
 *
 * Limits: MTASTS_POLICY_MAX, MTASTS_LINES_MAX, MTASTS_MX_MAX.
 */
#include "delivery/mtasts.h"

#include "delivery/fields.h"
#include "text/utf8.h"
#include "tls/certificate.h"

#define RECORD_NAME "_mta-sts"
#define VERSION     "v=STSv1"
#define DOMAIN_MAX  253u /* octets of a pattern behind "*." */
#define LABEL_MAX   63u

/* --- the record --- */

static bool is_id(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_is_alnum(value.p[i]))
			return false;
	return value.n > 0 && value.n <= MTASTS_ID_MAX;
}

struct status mtasts_record_parse(struct slice text, struct mtasts_record *ret_record)
{
	struct mtasts_record record = {.id = ""};
	struct slice name, value;
	struct cursor c;
	TRY(delivery_fields_begin(text, VERSION, &c));
	while (delivery_field_next(&c, &name, &value)) {
		if (!slice_eq_str(name, "id")) {
			if (!delivery_field_is_plain(value))
				return fail(ERR_SYNTAX, "a byte that no field's value may have");
		} else if (!is_id(value)) {
			return fail(ERR_SYNTAX, "the id is not 1 to 32 letters and digits");
		} else if (!*record.id) {
			memcpy(record.id, value.p, value.n);
		}
	}
	TRY(cursor_status(&c));
	if (!*record.id)
		return fail(ERR_SYNTAX, "the record has no id");
	*ret_record = record;
	return ok();
}

void mtasts_record_print(const struct mtasts_record *record, struct buf *out)
{
	buf_printf(out, "v=STSv1; id=%s;", record->id);
}

/* --- looking it up --- */

static struct status no_room(void)
{
	return fail(ERR_LIMIT, "too little memory for MTA-STS");
}

struct status mtasts_lookup(const struct dns_resolver *resolver, struct slice domain,
                            int timeout_ms, struct arena *arena, struct mtasts_lookup *ret_lookup)
{
	struct delivery_record found;
	struct mtasts_lookup lookup = {.announcement = MTASTS_ABSENT};
	TRY(delivery_record_find(resolver, RECORD_NAME, domain, VERSION, timeout_ms, arena,
	                         &found));
	if (found.outcome == DELIVERY_RECORD_FOUND) {
		struct status status = mtasts_record_parse(found.text, &lookup.record);
		if (is_ok(status))
			lookup.announcement = MTASTS_ANNOUNCED;
		else
			delivery_record_refuse(&found, status.why, arena);
	} else if (found.outcome == DELIVERY_RECORD_UNKNOWN) {
		lookup.announcement = MTASTS_UNKNOWN;
	}
	if (arena_failed(arena))
		return no_room();
	lookup.answer = found.answer;
	lookup.why = found.why;
	*ret_lookup = lookup;
	return ok();
}

/* --- the policy --- */

const char *mtasts_mode_name(enum mtasts_mode mode)
{
	static const char *const names[] = {
#define X(id, name) [MTASTS_MODE_##id] = name,
	        MTASTS_MODE_LIST(X)
#undef X
	};
	return names[mode];
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_in_name(uint8_t c)
{
	return ascii_is_alnum(c) || c == '_' || c == '-' || c == '.';
}

/* What is known while a policy is read. Fields that came are not taken again. */
struct reading {
	struct arena *arena;
	struct mtasts_policy policy;
	struct slice *mx;
	bool has_version, has_mode, has_max_age;
};

/* sts-policy-version-value = %s"STSv1" */
static struct status read_version(struct reading *r, struct slice value)
{
	if (r->has_version)
		return ok();
	r->has_version = true;
	return slice_eq_str(value, "STSv1") ? ok() : fail(ERR_SYNTAX, "the version is not STSv1");
}

/* sts-policy-mode-value = %s"testing" / %s"enforce" / %s"none" */
static struct status read_mode(struct reading *r, struct slice value)
{
	if (r->has_mode)
		return ok();
	r->has_mode = true;
#define X(id, name)                                                                                \
	if (slice_eq_str(value, name)) {                                                           \
		r->policy.mode = MTASTS_MODE_##id;                                                 \
		return ok();                                                                       \
	}
	MTASTS_MODE_LIST(X)
#undef X
	return fail(ERR_SYNTAX, "the mode is none of enforce, testing and none");
}

/* sts-policy-max-age-value = 1*10(DIGIT) */
static struct status read_max_age(struct reading *r, struct slice value)
{
	uint64_t seconds;
	if (r->has_max_age)
		return ok();
	r->has_max_age = true;
	if (value.n > 10 || !slice_to_u64(value, UINT64_MAX, &seconds))
		return fail(ERR_SYNTAX, "max_age is not 1 to 10 digits");
	r->policy.max_age_s = (uint32_t)MIN(seconds, MTASTS_MAX_AGE_MAX);
	return ok();
}

/* Domain (RFC 5321 section 4.1.2): letters, digits and hyphens within, not at the ends. */
static bool is_domain(struct slice text)
{
	if (text.n == 0 || text.n > DOMAIN_MAX)
		return false;
	bool more = true;
	while (more) {
		struct slice label;
		more = slice_cut(text, '.', &label, &text);
		if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' ||
		    label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

/* sts-policy-mx-value = ["*."] Domain */
static struct status read_mx(struct reading *r, struct slice value)
{
	bool wild = slice_starts(value, SLICE("*."));
	if (!is_domain(slice_from(value, wild ? 2 : 0)))
		return fail(ERR_SYNTAX, "an mx is no domain, with or without *. before it");
	if (r->policy.n_mx == MTASTS_MX_MAX)
		return fail(ERR_LIMIT, "the policy has too many mx");
	uint8_t *lower = arena_alloc(r->arena, value.n);
	if (!lower)
		return no_room();
	for (size_t i = 0; i < value.n; i++)
		lower[i] = ascii_lower(value.p[i]);
	r->mx[r->policy.n_mx++] = slice_of(lower, value.n);
	return ok();
}

/* sts-policy-ext-value: visible ASCII and UTF-8, blanks within. */
static struct status read_extension(struct slice name, struct slice value)
{
	if (!ascii_is_alnum(name.p[0]) || name.n > DELIVERY_FIELD_NAME_MAX)
		return fail(ERR_SYNTAX, "a field's name is malformed");
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < ' ' || value.p[i] == 0x7f)
			return fail(ERR_SYNTAX, "a control character in a field's value");
	if (value.n == 0 || !utf8_valid(value))
		return fail(ERR_SYNTAX, "an unknown field has no value, or one that is not UTF-8");
	return ok();
}

static struct status read_field(struct reading *r, struct slice line)
{
	struct cursor c = cursor_of(line);
	struct slice name = cursor_while(&c, is_in_name);
	if (name.n == 0)
		cursor_fail(&c, "a line does not begin with a field's name");
	cursor_expect(&c, ':', "a field without a colon");
	(void)cursor_while(&c, is_blank);
	TRY(cursor_status(&c));
	struct slice value = cursor_rest(&c);
	while (value.n > 0 && is_blank(value.p[value.n - 1]))
		value.n--;
	if (slice_eq_str(name, "version"))
		return read_version(r, value);
	if (slice_eq_str(name, "mode"))
		return read_mode(r, value);
	if (slice_eq_str(name, "max_age"))
		return read_max_age(r, value);
	if (slice_eq_str(name, "mx"))
		return read_mx(r, value);
	return read_extension(name, value);
}

static bool is_empty(struct slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if (!is_blank(line.p[i]))
			return false;
	return true;
}

static struct status read_lines(struct reading *r, struct slice body)
{
	size_t n = 0;
	while (body.n > 0) {
		struct slice line;
		(void)slice_cut(body, '\n', &line, &body);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (n++ == MTASTS_LINES_MAX)
			return fail(ERR_LIMIT, "the policy has too many lines");
		if (!is_empty(line))
			TRY(read_field(r, line));
	}
	return ok();
}

struct status mtasts_policy_parse(struct slice body, struct arena *arena,
                                  struct mtasts_policy *ret_policy)
{
	if (body.n > MTASTS_POLICY_MAX)
		return fail(ERR_LIMIT, "the policy is longer than 64 KB");
	struct slice *mx = ARENA_ARRAY(arena, MTASTS_MX_MAX, struct slice);
	struct reading r = {.arena = arena, .mx = mx, .policy = {.mx = mx}};
	if (!mx)
		return no_room();
	TRY(read_lines(&r, body));
	if (!r.has_version)
		return fail(ERR_SYNTAX, "the policy has no version");
	if (!r.has_mode)
		return fail(ERR_SYNTAX, "the policy has no mode");
	if (!r.has_max_age)
		return fail(ERR_SYNTAX, "the policy has no max_age");
	if (r.policy.n_mx == 0 && r.policy.mode != MTASTS_MODE_NONE)
		return fail(ERR_SYNTAX, "the policy has no mx");
	*ret_policy = r.policy;
	return ok();
}

void mtasts_policy_print(const struct mtasts_policy *policy, struct buf *out)
{
	buf_printf(out, "version: STSv1\r\nmode: %s\r\n", mtasts_mode_name(policy->mode));
	for (size_t i = 0; i < policy->n_mx; i++)
		buf_printf(out, "mx: %.*s\r\n", SLICE_FMT(policy->mx[i]));
	buf_printf(out, "max_age: %" PRIu32 "\r\n", policy->max_age_s);
}

bool mtasts_policy_matches(const struct mtasts_policy *policy, struct slice host)
{
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	for (size_t i = 0; i < policy->n_mx; i++)
		if (tls_name_matches(policy->mx[i], host))
			return true;
	return false;
}
