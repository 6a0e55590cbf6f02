/* SPF records in words, and their mistakes with the place. */
#include "cli/spf.h"

#include "mailauth/spf_advice.h"

#include <arpa/inet.h>

#define SHOWN_BEFORE 40u /* octets of a record before a mistake */
#define SHOWN        72u

static const char *domain_of(const struct spf_term *term, char text[300])
{
	if (term->domain_spec.n == 0)
		return "the domain itself";
	snprintf(text, 300, "%.*s", (int)MIN(term->domain_spec.n, (size_t)299),
	         (const char *)term->domain_spec.p);
	return text;
}

static void add_prefixes(const struct spf_term *term, struct buf *out)
{
	if (term->prefix4 != 32)
		buf_printf(out, ", and their neighbours within /%u", term->prefix4);
	if (term->prefix6 != 128)
		buf_printf(out, ", of IPv6 within /%u", term->prefix6);
}

static void add_network(const struct spf_term *term, struct buf *out)
{
	bool v4 = term->kind == SPF_IP4;
	char text[INET6_ADDRSTRLEN] = "";
	unsigned bits = v4 ? term->prefix4 : term->prefix6;
	(void)inet_ntop(v4 ? AF_INET : AF_INET6, term->network, text, sizeof(text));
	if (bits == (v4 ? 32 : 128))
		buf_printf(out, "the address %s", text);
	else
		buf_printf(out, "the addresses that begin with the %u bits of %s", bits, text);
}

/* Which clients a mechanism means. */
static void add_meaning(const struct spf_term *term, struct buf *out)
{
	char room[300];
	const char *domain = domain_of(term, room);
	switch (term->kind) {
	case SPF_ALL:
		buf_add_str(out, "every client");
		break;
	case SPF_INCLUDE:
		buf_printf(out, "whoever passes by the record of %s", domain);
		break;
	case SPF_A:
		buf_printf(out, "the addresses of %s", domain);
		add_prefixes(term, out);
		break;
	case SPF_MX:
		buf_printf(out, "the mail hosts of %s", domain);
		add_prefixes(term, out);
		break;
	case SPF_PTR:
		buf_printf(out, "clients whose name lies within %s", domain);
		break;
	case SPF_IP4:
	case SPF_IP6:
		add_network(term, out);
		break;
	case SPF_EXISTS:
		buf_printf(out, "every client, if %s has an address", domain);
		break;
	case SPF_REDIRECT:
		buf_printf(out, "if nothing before matched, the record of %s counts", domain);
		break;
	case SPF_EXP:
		buf_printf(out, "the text at %s explains a fail", domain);
		break;
	case SPF_UNKNOWN:
		buf_add_str(out, "ignored");
		break;
	}
}

static void add_term(const struct spf_term *term, struct buf *out)
{
	buf_printf(out, "%.*s: ", SLICE_FMT(term->text));
	if (spf_term_is_mechanism(term->kind))
		buf_printf(out, "%s for ", mailauth_result_name(term->qualifier));
	add_meaning(term, out);
	buf_add_byte(out, '\n');
}

void cli_spf_explain(const struct spf_record *record, struct buf *out)
{
	struct spf_advice advice[SPF_ADVICE_MAX];
	for (size_t i = 0; i < record->n_terms; i++)
		add_term(&record->terms[i], out);
	size_t n = spf_record_advise(record, advice);
	for (size_t i = 0; i < n; i++) {
		bool whole = advice[i].at.p == record->text.p;
		buf_printf(out, "advice: %.*s%s%s\n", whole ? 0 : (int)advice[i].at.n,
		           (const char *)advice[i].at.p, whole ? "" : ": ",
		           spf_advice_text(advice[i].kind));
	}
}

static json_t *term_json(const struct spf_term *term, struct buf *words)
{
	buf_reset(words);
	add_meaning(term, words);
	json_t *json = json_pack("{s:s%, s:s}", "text", term->text.p, term->text.n, "meaning",
	                         buf_cstr(words));
	if (term->kind == SPF_UNKNOWN)
		json_object_set_new(json, "modifier",
		                    json_stringn((const char *)term->name.p, term->name.n));
	else
		json_object_set_new(json,
		                    spf_term_is_mechanism(term->kind) ? "mechanism" : "modifier",
		                    json_string(spf_term_name(term->kind)));
	if (spf_term_is_mechanism(term->kind))
		json_object_set_new(json, "result",
		                    json_string(mailauth_result_name(term->qualifier)));
	return json;
}

void cli_spf_record_json(const struct spf_record *record, json_t *object)
{
	struct spf_advice advice[SPF_ADVICE_MAX];
	json_t *terms = json_array(), *list = json_array();
	struct buf words;
	buf_init(&words, 2 * SPF_RECORD_MAX);
	for (size_t i = 0; i < record->n_terms; i++)
		json_array_append_new(terms, term_json(&record->terms[i], &words));
	size_t n = spf_record_advise(record, advice);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s%}", "code",
		                                      spf_advice_code(advice[i].kind), "text",
		                                      spf_advice_text(advice[i].kind), "at",
		                                      advice[i].at.p, advice[i].at.n));
	buf_reset(&words);
	spf_record_print(record, &words);
	json_object_set_new(object, "record", json_string(buf_cstr(&words)));
	json_object_set_new(object, "terms", terms);
	json_object_set_new(object, "advice", list);
	buf_done(&words);
}

/* --- mistakes --- */

static void add_shown(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++)
		buf_add_byte(out, ascii_is_print(text.p[i]) ? text.p[i] : '?');
}

/* The record around the mistake, with the mistake underlined. */
static void show_place(struct slice record, struct slice at, struct buf *out)
{
	size_t offset = (size_t)(at.p - record.p);
	size_t from = offset > SHOWN_BEFORE ? offset - SHOWN_BEFORE : 0;
	struct slice part = slice_sub(record, from, SHOWN);
	buf_printf(out, "  %s", from > 0 ? "..." : "");
	add_shown(part, out);
	buf_printf(out, "%s\n  %*s", from + part.n < record.n ? "..." : "",
	           (int)(offset - from) + (from > 0 ? 3 : 0), "");
	for (size_t i = 0; i < MAX(MIN(at.n, SHOWN - (offset - from)), 1u); i++)
		buf_add_byte(out, '^');
	buf_add_byte(out, '\n');
}

int cli_spf_fault(const struct cli *cli, struct slice record, const struct spf_fault *fault)
{
	const char *what = spf_problem_what(fault->problem);
	const char *mend = spf_problem_mend(fault->problem);
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 16 * KIB);
	if (cli->json) {
		add_shown(fault->at, &text);
		cli_put_json(json_pack("{s:b, s:s, s:s, s:i, s:s, s:s}", "ok", 0, "error", what,
		                       "code", spf_problem_code(fault->problem), "offset",
		                       (int)(fault->at.p - record.p), "at", buf_cstr(&text), "mend",
		                       mend));
		return CLI_FAILED;
	}
	show_place(record, fault->at, &text);
	return cli_fail(cli, NULL, "receivers end in permerror: %s\n%s  %s", what, buf_cstr(&text),
	                mend);
}
