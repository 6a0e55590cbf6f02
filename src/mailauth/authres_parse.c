/* Reading of Authentication-Results:
 *
 *   authres-payload = [CFWS] authserv-id [ CFWS authres-version ]       RFC 8601 section 2.2
 *                     ( no-result / 1*resinfo ) [CFWS]
 *   authres-version = 1*DIGIT [CFWS]
 *   no-result       = [CFWS] ";" [CFWS] "none"
 *   resinfo         = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]
 *   methodspec      = [CFWS] method [CFWS] "=" [CFWS] result
 *   method          = Keyword [ [CFWS] "/" [CFWS] method-version ]
 *   reasonspec      = "reason" [CFWS] "=" [CFWS] value
 *   propspec        = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue
 *   pvalue          = [CFWS] ( value / [ [ local-part ] "@" ] domain-name ) [CFWS]
 *   arc-info        = instance [CFWS] ";" authres-payload               RFC 8617 section 4.1.1
 *
 * Tolerated (docs/deviations.md): unquoted values with "/", "=", "?" and ":", a ";" at the end. A
 * comment that is never closed hides the rest of the field: then the whole is refused.
 *
 * Limits: AUTHRES_SIZE_MAX, AUTHRES_RESULTS_MAX, AUTHRES_PROPERTIES_MAX. Work is linear.
 */
#include "mailauth/authres.h"

#include "dns/name.h"
#include "mailauth/authres_private.h"
#include "message/lex.h"
#include "text/utf8.h"

#define VERSION 1u

struct parser {
	struct message_lex lex; /* used for CFWS and quoted strings only */
	struct arena *arena;
	bool bad; /* of the result under way */
	struct authres_property properties[AUTHRES_PROPERTIES_MAX];
};

/* --- lexical --- */

static void skip_cfws(struct parser *p)
{
	(void)message_lex_skip_blank(&p->lex);
}

static uint8_t peek(const struct parser *p)
{
	return p->lex.at < p->lex.in.n ? p->lex.in.p[p->lex.at] : 0;
}

static bool at_end(const struct parser *p)
{
	return p->lex.at >= p->lex.in.n;
}

static bool take_byte(struct parser *p, uint8_t byte)
{
	if (at_end(p) || peek(p) != byte)
		return false;
	p->lex.at++;
	return true;
}

static struct slice take_run(struct parser *p, bool (*is)(uint8_t c))
{
	size_t start = p->lex.at;
	while (!at_end(p) && is(peek(p)))
		p->lex.at++;
	return slice_sub(p->lex.in, start, p->lex.at - start);
}

static bool is_keyword_byte(uint8_t c)
{
	return ascii_is_alnum(c) || c == '-';
}

static bool is_token_or_utf8(uint8_t c)
{
	return authres_is_token(c) || c >= 0x80;
}

/* Of an unquoted value: atext and dots (the local part of a mailbox has those), and ":" of IPv6
 * addresses. */
static bool is_in_pvalue(uint8_t c)
{
	return message_is_atext(c) || c == '.' || c == ':';
}

/* The comment that was skipped last has no end. */
static bool is_open_comment(const struct message_lex *lex)
{
	return lex->has_comment && lex->comment.p + lex->comment.n == lex->in.p + lex->in.n;
}

/* The meaning of a quoted string or comment; a tab is a blank like any other. */
static struct slice unescape(struct parser *p, struct slice raw)
{
	uint8_t *out = arena_alloc(p->arena, raw.n);
	if (!out)
		return slice_empty();
	size_t n = message_lex_unescape(raw, out);
	for (size_t i = 0; i < n; i++)
		if (out[i] == '\t')
			out[i] = ' ';
	return slice_of(out, n);
}

/* No value has control characters, escaped or not (RFC 5322 section 3.2.1). */
static bool is_clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

static bool take_quoted(struct parser *p, struct slice *ret_value)
{
	struct slice quoted;
	if (at_end(p) || !message_lex_quoted(&p->lex, &quoted))
		return false;
	*ret_value = unescape(p, slice_sub(quoted, 1, quoted.n - 2));
	return true;
}

/* value = token / quoted-string; bytes beyond ASCII are UTF-8 (RFC 6532). */
static bool take_value(struct parser *p, struct slice *ret_value)
{
	if (take_quoted(p, ret_value))
		return is_clean(*ret_value);
	struct slice token = take_run(p, is_token_or_utf8);
	*ret_value = arena_copy(p->arena, token);
	return token.n > 0 && utf8_valid(token);
}

static struct slice take_keyword(struct parser *p)
{
	struct slice word = take_run(p, is_keyword_byte);
	return authres_is_keyword(word) ? word : slice_empty();
}

static const char *lower_case(struct parser *p, struct slice s)
{
	char *text = arena_cstr(p->arena, s);
	for (size_t i = 0; text && i < s.n; i++)
		text[i] = (char)ascii_lower((uint8_t)text[i]);
	return text ? text : "";
}

/* --- one result --- */

/* method = Keyword [ [CFWS] "/" [CFWS] method-version ]; then "=" */
static bool take_method(struct parser *p, struct authres_result *result)
{
	skip_cfws(p);
	struct slice method = take_keyword(p);
	result->method = arena_copy(p->arena, method);
	skip_cfws(p);
	if (take_byte(p, '/')) {
		skip_cfws(p);
		if (!slice_to_u32(take_run(p, ascii_is_digit), UINT32_MAX, &result->version))
			return false;
		skip_cfws(p);
	}
	return method.n > 0 && take_byte(p, '=');
}

/* The CFWS behind a result: what is said in it of the result. */
static void take_comment(struct parser *p, struct authres_result *result)
{
	p->lex.has_comment = false;
	skip_cfws(p);
	if (p->lex.has_comment)
		result->comment = slice_trim(unescape(p, p->lex.comment));
}

/* pvalue, without the CFWS around it. */
static bool take_pvalue(struct parser *p, struct authres_property *property)
{
	struct slice local = slice_empty();
	bool quoted = take_quoted(p, &local);
	if (!quoted)
		local = take_run(p, is_in_pvalue);
	if (!take_byte(p, '@')) {
		property->form = AUTHRES_VALUE;
		property->value = quoted ? local : arena_copy(p->arena, local);
		return (quoted || local.n > 0) && is_clean(local);
	}
	struct slice domain = take_run(p, authres_is_domain);
	if (domain.n == 0 || !is_clean(local) || !utf8_valid(domain))
		return false;
	property->form = AUTHRES_MAILBOX;
	property->value =
	        slice_str(arena_printf(p->arena, "%.*s@%.*s", SLICE_FMT(local), SLICE_FMT(domain)));
	return true;
}

/* After ptype: [CFWS] "." [CFWS] property [CFWS] "=" pvalue */
static bool take_property(struct parser *p, struct slice ptype, struct authres_property *property)
{
	skip_cfws(p);
	if (ptype.n == 0 || !take_byte(p, '.'))
		return false;
	skip_cfws(p);
	struct slice name = take_keyword(p);
	skip_cfws(p);
	if (name.n == 0 || !take_byte(p, '='))
		return false;
	skip_cfws(p);
	property->ptype = lower_case(p, ptype);
	property->property = lower_case(p, name);
	bool taken = take_pvalue(p, property);
	skip_cfws(p);
	return taken;
}

static bool take_reason(struct parser *p, struct authres_result *result)
{
	skip_cfws(p);
	result->has_reason = true;
	bool taken = take_value(p, &result->reason);
	skip_cfws(p);
	return taken;
}

static bool keep_properties(struct parser *p, struct authres_result *result)
{
	struct authres_property *v =
	        ARENA_ARRAY(p->arena, result->n_properties, struct authres_property);
	if (!v)
		return false;
	if (result->n_properties > 0)
		memcpy(v, p->properties, result->n_properties * sizeof(*v));
	result->properties = v;
	return true;
}

/* resinfo behind its ";"; false: it follows no grammar. */
static bool take_result(struct parser *p, struct authres_result *result)
{
	*result = (struct authres_result){
	        .comment = SLICE(""), .reason = SLICE(""), .result = SLICE("")};
	if (!take_method(p, result))
		return false;
	skip_cfws(p);
	struct slice word = take_keyword(p);
	if (word.n == 0)
		return false;
	result->result = arena_copy(p->arena, word);
	take_comment(p, result);
	for (bool first = true; !at_end(p) && peek(p) != ';'; first = false) {
		struct slice ptype = take_keyword(p);
		skip_cfws(p);
		if (first && slice_ieq_str(ptype, "reason") && take_byte(p, '=')) {
			if (!take_reason(p, result))
				return false;
			continue;
		}
		if (result->n_properties == AUTHRES_PROPERTIES_MAX ||
		    !take_property(p, ptype, &p->properties[result->n_properties]))
			return false;
		result->n_properties++;
	}
	return keep_properties(p, result);
}

/* --- the payload --- */

/* To the next ";" outside of quoted strings and comments. */
static void skip_result(struct parser *p)
{
	struct slice quoted;
	for (;;) {
		skip_cfws(p);
		if (at_end(p) || peek(p) == ';')
			return;
		if (!message_lex_quoted(&p->lex, &quoted))
			p->lex.at++;
	}
}

/* no-result, behind its ";". */
static bool take_none(struct parser *p)
{
	struct message_lex before = p->lex;
	skip_cfws(p);
	struct slice word = take_keyword(p);
	skip_cfws(p);
	if (slice_ieq_str(word, "none") && at_end(p))
		return true;
	p->lex = before;
	return false;
}

static struct status take_results(struct parser *p, struct authres *authres)
{
	struct authres_result *results =
	        ARENA_ARRAY(p->arena, AUTHRES_RESULTS_MAX, struct authres_result);
	if (!results)
		return fail(ERR_LIMIT, "no room for authentication results");
	authres->results = results;
	if (at_end(p))
		return fail(ERR_SYNTAX, "no authentication results");
	for (bool first = true; take_byte(p, ';'); first = false) {
		if (first && take_none(p))
			return ok();
		skip_cfws(p);
		if (!first && at_end(p))
			return ok();
		if (authres->n_results == AUTHRES_RESULTS_MAX)
			return fail(ERR_LIMIT, "too many authentication results");
		if (take_result(p, &results[authres->n_results])) {
			authres->n_results++;
		} else {
			authres->n_bad++;
			skip_result(p);
		}
	}
	return at_end(p) ? ok() : fail(ERR_SYNTAX, "text behind the authserv-id");
}

/* [CFWS] authserv-id [ CFWS authres-version ] [CFWS], up to a ";" or the end. */
static struct status take_id(struct parser *p, struct authres *authres)
{
	skip_cfws(p);
	if (!take_value(p, &authres->id) || authres->id.n == 0)
		return fail(ERR_SYNTAX, "no authserv-id");
	bool gap = message_lex_skip_blank(&p->lex);
	if (at_end(p) || peek(p) == ';')
		return ok();
	if (!gap || !slice_to_u32(take_run(p, ascii_is_digit), UINT32_MAX, &authres->version))
		return fail(ERR_SYNTAX, "text behind the authserv-id");
	skip_cfws(p);
	if (!at_end(p) && peek(p) != ';')
		return fail(ERR_SYNTAX, "text behind the version");
	return authres->version == VERSION ? ok() : fail(ERR_UNSUPPORTED, "unknown version");
}

static struct status finish(struct parser *p, struct status status)
{
	if (arena_failed(p->arena))
		return fail(ERR_LIMIT, "no room for authentication results");
	if (is_ok(status) && is_open_comment(&p->lex))
		return fail(ERR_SYNTAX, "a comment that is never closed");
	return status;
}

static struct status parse_payload(struct parser *p, struct authres *ret_authres)
{
	struct authres authres = {.id = SLICE("")};
	struct status status = take_id(p, &authres);
	if (is_ok(status))
		status = take_results(p, &authres);
	status = finish(p, status);
	if (is_ok(status) || status.code == ERR_UNSUPPORTED)
		*ret_authres = authres;
	return status;
}

static struct status begin(struct parser *p, struct slice payload, struct arena *arena)
{
	if (payload.n > AUTHRES_SIZE_MAX)
		return fail(ERR_LIMIT, "too long a field");
	*p = (struct parser){.lex = message_lex_of(payload), .arena = arena};
	return ok();
}

struct status authres_parse(struct slice payload, struct arena *arena, struct authres *ret_authres)
{
	struct parser p;
	TRY(begin(&p, payload, arena));
	return parse_payload(&p, ret_authres);
}

struct status authres_parse_arc(struct slice payload, struct arena *arena, unsigned *ret_instance,
                                struct authres *ret_authres)
{
	struct parser p;
	uint32_t instance;
	TRY(begin(&p, payload, arena));
	skip_cfws(&p);
	bool named = take_byte(&p, 'i');
	skip_cfws(&p);
	named = named && take_byte(&p, '=');
	skip_cfws(&p);
	if (!named ||
	    !slice_to_u32(take_run(&p, ascii_is_digit), AUTHRES_INSTANCE_MAX, &instance) ||
	    instance == 0)
		return fail(ERR_SYNTAX, "no instance of an ARC set");
	skip_cfws(&p);
	if (!take_byte(&p, ';'))
		return fail(ERR_SYNTAX, "no ';' behind the instance");
	TRY(parse_payload(&p, ret_authres));
	*ret_instance = instance;
	return ok();
}

/* --- looking at what was parsed --- */

const struct authres_result *authres_find(const struct authres *authres, const char *method,
                                          size_t n)
{
	for (size_t i = 0; i < authres->n_results; i++) {
		const struct authres_result *result = &authres->results[i];
		if (slice_ieq_str(result->method, method) && result->version <= VERSION && n-- == 0)
			return result;
	}
	return NULL;
}

bool authres_value(const struct authres_result *result, const char *ptype, const char *property,
                   struct slice *ret_value)
{
	for (size_t i = 0; i < result->n_properties; i++) {
		const struct authres_property *p = &result->properties[i];
		if (strcmp(p->ptype, ptype) == 0 && strcmp(p->property, property) == 0) {
			*ret_value = p->value;
			return true;
		}
	}
	return false;
}

/* --- forged fields --- */

static bool is_ours(struct slice id, const struct slice *ids, size_t n_ids, struct arena *arena)
{
	struct dns_name name, ours;
	bool is_name = is_ok(dns_name_parse(id, arena, &name));
	for (size_t i = 0; i < n_ids; i++) {
		if (slice_ieq(id, ids[i]))
			return true;
		if (is_name && is_ok(dns_name_parse(ids[i], arena, &ours)) &&
		    dns_name_is_within(name, ours))
			return true;
	}
	return false;
}

/* The name of a field without blanks and controls, which others may pass over. */
static bool is_named(struct slice name, struct slice value, const char *wanted)
{
	size_t n = 0, length = strlen(wanted);
	struct slice text = name.n > 0 ? name : value;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c == ':' && name.n == 0)
			break;
		if (c <= ' ' || c >= 0x7f)
			continue;
		if (n == length || ascii_lower(c) != (uint8_t)wanted[n])
			return false;
		n++;
	}
	return n == length;
}

bool authres_must_remove(struct slice name, struct slice value, const struct slice *ids,
                         size_t n_ids)
{
	if (!is_named(name, value, "authentication-results"))
		return false;
	if (name.n == 0 || value.n > AUTHRES_SIZE_MAX)
		return true;
	struct arena arena;
	struct parser p;
	struct authres authres = {.id = SLICE("")};
	arena_init(&arena, 4 * AUTHRES_SIZE_MAX);
	bool remove = !is_ok(begin(&p, value, &arena)) || !is_ok(take_id(&p, &authres)) ||
	              is_open_comment(&p.lex) || arena_failed(&arena) ||
	              is_ours(authres.id, ids, n_ids, &arena);
	arena_done(&arena);
	return remove;
}
