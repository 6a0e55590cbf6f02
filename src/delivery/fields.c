/* Fields of TXT records, read strictly. */
#include "delivery/fields.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_in_name(uint8_t c)
{
	return ascii_is_alnum(c) || c == '_' || c == '-' || c == '.';
}

static bool is_not_delim(uint8_t c)
{
	return c != ';';
}

bool delivery_field_is_plain(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= ' ' || value.p[i] >= 0x7f || value.p[i] == ';' ||
		    value.p[i] == '=')
			return false;
	return true;
}

struct status delivery_fields_begin(struct slice text, const char *version, struct cursor *ret)
{
	if (text.n > DELIVERY_RECORD_MAX)
		return fail(ERR_LIMIT, "the record is too long");
	if (!slice_starts(text, slice_str(version)))
		return fail(ERR_SYNTAX, "the record does not begin with its version");
	*ret = cursor_of(text);
	(void)cursor_take(ret, strlen(version));
	return ok();
}

static struct slice field_name(struct cursor *c)
{
	struct slice name = cursor_while(c, is_in_name);
	if (name.n == 0 || !ascii_is_alnum(name.p[0]))
		cursor_fail(c, "a field without a name");
	if (name.n > DELIVERY_FIELD_NAME_MAX)
		cursor_fail(c, "a field with a name that is too long");
	return name;
}

bool delivery_field_next(struct cursor *c, struct slice *ret_name, struct slice *ret_value)
{
	(void)cursor_while(c, is_blank);
	if (cursor_at_end(c))
		return false;
	cursor_expect(c, ';', "fields without a semicolon between them");
	(void)cursor_while(c, is_blank);
	if (cursor_at_end(c))
		return false;
	struct slice name = field_name(c);
	cursor_expect(c, '=', "a field without '='");
	struct slice value = cursor_while(c, is_not_delim);
	while (value.n > 0 && is_blank(value.p[value.n - 1]))
		value.n--;
	if (value.n == 0)
		cursor_fail(c, "a field without a value");
	if (!cursor_ok(c))
		return false;
	*ret_name = name;
	*ret_value = value;
	return true;
}

/* --- finding a record --- */

static size_t choose(const struct dns_answer *answer, const char *version, struct slice *text)
{
	struct slice wanted = slice_str(version);
	size_t n = 0;
	for (size_t i = 0; answer->outcome == DNS_FOUND && i < answer->n_records; i++) {
		struct slice joined = answer->records[i].txt.joined;
		if (!slice_starts(joined, wanted) || slice_sub(joined, wanted.n, 1).n == 0 ||
		    joined.p[wanted.n] != ';')
			continue;
		*text = joined;
		n++;
	}
	return n;
}

static void conclude(struct delivery_record *record, const char *version, struct arena *arena)
{
	const struct dns_answer *answer = record->answer;
	const char *name = answer->name.text, *security = dns_security_name(answer->security);
	if (answer->outcome == DNS_FAILED) {
		record->outcome = DELIVERY_RECORD_UNKNOWN;
		record->why =
		        arena_printf(arena, "%s cannot be looked up: %.200s", name, answer->why);
		return;
	}
	size_t n = choose(answer, version, &record->text);
	record->outcome = n == 1 ? DELIVERY_RECORD_FOUND : DELIVERY_RECORD_ABSENT;
	if (n > 1)
		record->why = arena_printf(arena, "%zu records at %s, where one is wanted (%s)", n,
		                           name, security);
	else
		record->why = arena_printf(arena, "%s record at %s (%s)", n == 1 ? "a" : "no", name,
		                           security);
}

struct status delivery_record_find(const struct dns_resolver *resolver, const char *prefix,
                                   struct slice domain, const char *version, int timeout_ms,
                                   struct arena *arena, struct delivery_record *ret_record)
{
	struct delivery_record record = {.outcome = DELIVERY_RECORD_ABSENT,
	                                 .text = slice_empty(),
	                                 .why = "there can be no record for such a domain"};
	struct dns_name name;
	struct status status = slice_starts(domain, SLICE("["))
	                               ? fail(ERR_SYNTAX, "an address literal")
	                               : dns_name_parse(domain, arena, &name);
	if (is_ok(status))
		status = dns_name_prepend(slice_str(prefix), name, arena, &name);
	if (status.code == ERR_SYNTAX) {
		*ret_record = record;
		return ok();
	}
	TRY(status);
	TRY(dns_lookup_name(resolver, name, DNS_TYPE_TXT,
	                    timeout_ms > 0 ? timeout_ms : DNS_LOOKUP_TIMEOUT_MS, arena,
	                    &record.answer));
	conclude(&record, version, arena);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "too little memory for a record");
	*ret_record = record;
	return ok();
}

void delivery_record_refuse(struct delivery_record *record, const char *why, struct arena *arena)
{
	const char *text = arena_printf(arena, "the record at %s is malformed: %s (%s)",
	                                record->answer->name.text, why,
	                                dns_security_name(record->answer->security));
	record->outcome = DELIVERY_RECORD_ABSENT;
	record->why = text ? text : why;
}
