/* Evidence in words and as JSON, each kind beside its other form. */
#include "cli/evidence.h"

#include "cli/dns.h"
#include "text/utf8.h"

#include <time.h>

/* The first line by two blanks, what belongs to it by four. */
static void indent(struct slice text, struct buf *out)
{
	for (bool first = true; text.n > 0; first = false) {
		struct slice line;
		(void)slice_cut(text, '\n', &line, &text);
		buf_add_str(out, first ? "  " : "    ");
		buf_add(out, line);
		buf_add_byte(out, '\n');
	}
}

static json_t *text_json(const char *text)
{
	json_t *json = json_string(text ? text : "");
	return json ? json : json_string("");
}

/* --- the DNS --- */

void cli_say_answers(const struct dns_answer *const *answers, size_t n, struct buf *out)
{
	struct buf text;
	buf_init(&text, SIZE_MAX);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&text);
		buf_printf(&text, "%s %s: ", answers[i]->name.text,
		           dns_type_name(answers[i]->type));
		cli_answer_text(answers[i], &text);
		indent(buf_slice(&text), out);
	}
	buf_done(&text);
}

json_t *cli_answers_json(const struct dns_answer *const *answers, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, cli_answer_json(answers[i]));
	return list;
}

void cli_say_steps(const char *what, const char *const *steps, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "  %s: %s\n", what, steps[i]);
}

json_t *cli_steps_json(const char *const *steps, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, text_json(steps[i]));
	return list;
}

/* --- DANE --- */

static const char *kind_name(enum tls_tlsa_finding_kind kind)
{
	static const char *const names[] = {
	        [TLS_TLSA_UNTRIED] = "usable",  [TLS_TLSA_MATCHED] = "matched",
	        [TLS_TLSA_FITS] = "fits",       [TLS_TLSA_DIFFERS] = "differs",
	        [TLS_TLSA_OUTDONE] = "outdone", [TLS_TLSA_UNUSABLE] = "unusable",
	};
	return names[kind];
}

static void say_record(const struct tls_tlsa *record, const struct tls_tlsa_finding *finding,
                       struct buf *out)
{
	buf_add_str(out, "  TLSA ");
	tls_tlsa_print(record, out);
	buf_printf(out, " %s", kind_name(finding->kind));
	if (finding->depth == 0)
		buf_add_str(out, " the server's certificate");
	else if (finding->depth > 0)
		buf_printf(out, " certificate %d of the chain", finding->depth);
	if (*finding->why)
		buf_printf(out, ": %s", finding->why);
	buf_add_byte(out, '\n');
}

static bool needs_names(const struct delivery_dane *dane)
{
	for (size_t i = 0; i < dane->tls.n_records; i++)
		if (dane->tls.records[i].usage == TLS_TLSA_DANE_TA &&
		    dane->findings[i].kind == TLS_TLSA_UNTRIED)
			return true;
	return false;
}

void cli_say_dane(const struct delivery_dane *dane, const struct tls_tlsa_finding *findings,
                  struct buf *out)
{
	cli_say_steps("DANE", dane->steps, dane->n_steps, out);
	for (size_t i = 0; i < dane->tls.n_records; i++)
		say_record(&dane->tls.records[i], findings ? &findings[i] : &dane->findings[i],
		           out);
	for (size_t i = 0; needs_names(dane) && i < dane->tls.n_names; i++)
		buf_printf(out, "  name for usage 2: %s\n", dane->tls.names[i]);
}

static json_t *record_json(const struct tls_tlsa *record, const struct tls_tlsa_finding *finding)
{
	struct buf text;
	buf_init(&text, 4 * DNS_PACKED_MAX);
	tls_tlsa_print(record, &text);
	json_t *json = json_pack("{s:s, s:i, s:i, s:i, s:s, s:i, s:s}", "record", buf_cstr(&text),
	                         "usage", record->usage, "selector", record->selector, "matching",
	                         record->matching, "verdict", kind_name(finding->kind), "depth",
	                         finding->depth, "why", finding->why);
	buf_done(&text);
	return json;
}

json_t *cli_dane_json(const struct delivery_dane *dane, const struct tls_tlsa_finding *findings)
{
	json_t *records = json_array();
	for (size_t i = 0; i < dane->tls.n_records; i++)
		json_array_append_new(records,
		                      record_json(&dane->tls.records[i],
		                                  findings ? &findings[i] : &dane->findings[i]));
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "state",
	                 delivery_dane_state_name(dane->state), "base_domain", dane->base, "names",
	                 cli_steps_json(dane->tls.names, dane->tls.n_names), "records", records,
	                 "steps", cli_steps_json(dane->steps, dane->n_steps), "answers",
	                 cli_answers_json(dane->answers, dane->n_answers));
}

/* --- MTA-STS --- */

/* A stranger's text: what is not printable is shown as such. */
static void add_stranger(struct slice text, struct buf *out)
{
	size_t from = out->n;
	utf8_add_valid(out, text);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] < ' ' || out->p[i] == 0x7f)
			out->p[i] = '?';
}

void cli_say_mtasts(const struct mtasts_found *found, struct buf *out)
{
	struct slice rest = found->entry.body;
	if (found->lookup.answer)
		cli_say_answers(&found->lookup.answer, 1, out);
	cli_say_steps("MTA-STS", found->steps, found->n_steps, out);
	if (found->fetch.made && *found->fetch.response.address)
		buf_printf(out, "  policy host: [%s], status %u, %s\n",
		           found->fetch.response.address, found->fetch.response.status,
		           found->fetch.response.pkix.good ? "certificate verified"
		                                           : "certificate not verified");
	while (rest.n > 0) {
		struct slice line;
		(void)slice_cut(rest, '\n', &line, &rest);
		buf_add_str(out, "  policy: ");
		add_stranger(slice_trim(line), out);
		buf_add_byte(out, '\n');
	}
}

static json_t *policy_json(const struct mtasts_entry *entry)
{
	if (!entry->state.has_policy)
		return json_null();
	json_t *mx = json_array();
	for (size_t i = 0; i < entry->policy.n_mx; i++)
		json_array_append_new(mx, json_stringn((const char *)entry->policy.mx[i].p,
		                                       entry->policy.mx[i].n));
	return json_pack("{s:s, s:s, s:i, s:o}", "id", entry->state.id, "mode",
	                 mtasts_mode_name(entry->policy.mode), "max_age",
	                 (int)entry->policy.max_age_s, "mx", mx);
}

static json_t *fetch_json(const struct mtasts_fetch *fetch)
{
	if (!fetch->made)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:b, s:s}", "url", fetch->url, "result",
	                 fetch->result == DELIVERY_TLS_SUCCESS
	                         ? "success"
	                         : delivery_tls_result_name(fetch->result),
	                 "why", fetch->why, "status", (int)fetch->response.status, "address",
	                 fetch->response.address, "certificate_verified", fetch->response.pkix.good,
	                 "media_type", fetch->response.media_type);
}

json_t *cli_mtasts_json(const struct mtasts_found *found)
{
	static const char *const announcements[] = {[MTASTS_ANNOUNCED] = "announced",
	                                            [MTASTS_ABSENT] = "absent",
	                                            [MTASTS_UNKNOWN] = "unknown"};
	static const char *const uses[] = {[MTASTS_USE_NOTHING] = "nothing",
	                                   [MTASTS_USE_POLICY] = "policy",
	                                   [MTASTS_USE_LATER] = "later"};
	const struct mtasts_lookup *lookup = &found->lookup;
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "announcement",
	                 announcements[lookup->announcement], "id", lookup->record.id, "use",
	                 uses[found->use], "policy", policy_json(&found->entry), "fetch",
	                 fetch_json(&found->fetch), "steps",
	                 cli_steps_json(found->steps, found->n_steps), "answers",
	                 cli_answers_json(&lookup->answer, lookup->answer ? 1 : 0));
}

/* --- sessions --- */

#define DATE_SIZE 24

static const char *date_of(int64_t unix_s, char text[DATE_SIZE])
{
	struct civil_time t = civil_from_unix(MAX(unix_s, (int64_t)0));
	if (unix_s == INT64_MIN)
		return "unreadable";
	snprintf(text, DATE_SIZE, "%04d-%02d-%02d", t.year, t.month, t.day);
	return text;
}

static void say_certificate(size_t i, const struct tls_certificate_facts *c, struct buf *out)
{
	char from[DATE_SIZE], until[DATE_SIZE];
	buf_printf(out, "  certificate %zu: %s\n", i, *c->subject ? c->subject : "(no subject)");
	buf_printf(out, "    issuer %s%s\n", c->issuer, c->self_issued ? " (itself)" : "");
	if (c->n_names > 0) {
		buf_add_str(out, "    names");
		for (size_t j = 0; j < c->n_names; j++)
			buf_printf(out, " %s", c->names[j]);
		buf_add_str(out, c->names_cut ? " ...\n" : "\n");
	}
	buf_printf(out, "    valid from %s to %s, %s\n", date_of(c->not_before_s, from),
	           date_of(c->not_after_s, until), c->key);
	buf_printf(out, "    SHA-256 %s\n    key SHA-256 %s\n", c->fingerprint, c->key_fingerprint);
}

static void say_check(const char *what, const struct tls_check *check, struct buf *out)
{
	if (check->made)
		buf_printf(out, "  %s: %s%s\n", what,
		           check->good ? "the certificate is good" : "not verified: ",
		           check->good ? "" : check->why);
}

void cli_say_session(const struct cli_session *session, struct buf *out)
{
	const struct stream_tls *tls = &session->tls;
	if (*session->address)
		buf_printf(out, "  connected to [%s]%s%s\n", session->address,
		           *session->helo ? ", which calls itself " : "", session->helo);
	if (tls->on)
		buf_printf(out, "  TLS: %s %s%s\n", tls->version, tls->cipher,
		           session->requiretls ? ", REQUIRETLS is offered" : "");
	if (*session->why)
		buf_printf(out, "  session: %s\n", session->why);
	for (size_t i = 0; i < session->sent.n; i++)
		say_certificate(i, &session->sent.v[i], out);
	say_check("by authorities", &session->verdict.pkix, out);
	say_check("by DANE", &session->verdict.dane, out);
}

static json_t *certificate_json(const struct tls_certificate_facts *c)
{
	return json_pack("{s:s, s:s, s:o, s:I, s:I, s:b, s:s, s:s, s:s}", "subject", c->subject,
	                 "issuer", c->issuer, "names", cli_steps_json(c->names, c->n_names),
	                 "not_before", (json_int_t)c->not_before_s, "not_after",
	                 (json_int_t)c->not_after_s, "self_issued", c->self_issued, "key", c->key,
	                 "sha256", c->fingerprint, "key_sha256", c->key_fingerprint);
}

static json_t *check_json(const struct tls_check *check)
{
	if (!check->made)
		return json_null();
	return json_pack("{s:b, s:s, s:s, s:s}", "good", check->good, "why", check->why, "code",
	                 check->code, "result",
	                 delivery_tls_result_name(delivery_tls_result_of(check)));
}

json_t *cli_session_json(const struct cli_session *session)
{
	static const char *const progress[] = {
	        [DELIVERY_TLS_NOT_CONNECTED] = "not-connected",
	        [DELIVERY_TLS_NOT_OFFERED] = "not-offered",
	        [DELIVERY_TLS_NO_HANDSHAKE] = "no-handshake",
	        [DELIVERY_TLS_DONE] = "done",
	};
	json_t *chain = json_array();
	for (size_t i = 0; i < session->sent.n; i++)
		json_array_append_new(chain, certificate_json(&session->sent.v[i]));
	return json_pack("{s:s, s:s, s:o, s:b, s:s, s:s, s:o, s:o, s:o, s:o}", "progress",
	                 progress[session->progress], "address", session->address, "helo",
	                 text_json(session->helo), "requiretls", session->requiretls, "tls",
	                 session->tls.version, "cipher", session->tls.cipher, "authorities",
	                 check_json(&session->verdict.pkix), "dane",
	                 check_json(&session->verdict.dane), "certificates", chain, "why",
	                 text_json(session->why));
}
