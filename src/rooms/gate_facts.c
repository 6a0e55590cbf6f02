/* See gate_facts.h. */
#include "rooms/gate_facts.h"

#include "message/header.h"
#include "report/dmarc_report.h"
#include "report/report_name.h"
#include "rooms/report_kind.h"

#define ARENA_MAX   ((size_t)128 * 1024)
#define TEXT_MAX    300u
#define SUBJECT_MAX ((size_t)16 * 1024)

bool gate_facts_is_report(struct slice header)
{
	struct message_field field;
	struct report_subject subject;
	struct arena arena;
	bool found = false;
	if (message_headers_find(header, "TLS-Report-Domain", &field))
		return true;
	if (!message_headers_find(header, "Subject", &field) || field.value.n > SUBJECT_MAX)
		return false;
	arena_init(&arena, 2 * SUBJECT_MAX);
	found = report_subject_parse(message_unfold(field.value, &arena), &subject);
	arena_done(&arena);
	return found;
}

/* ---- what was done ---- */

static enum dmarc_disposition disposition_of_policy(enum dmarc_policy policy)
{
	return policy == DMARC_REJECT       ? DMARC_DISPOSITION_REJECT
	       : policy == DMARC_QUARANTINE ? DMARC_DISPOSITION_QUARANTINE
	                                    : DMARC_DISPOSITION_NONE;
}

/* Of what was done to the message so much counts as the domain's owner had asked for: the rest had
 * other reasons. */
static enum dmarc_disposition disposition_of(const struct gate_fact *fact)
{
	const struct dmarc_result *dmarc = fact->facts->dmarc;
	enum dmarc_disposition asked = disposition_of_policy(dmarc->policy);
	if (dmarc->result == MAILAUTH_PASS)
		return DMARC_DISPOSITION_PASS;
	if (fact->decision->action == POLICY_ACCEPT)
		return DMARC_DISPOSITION_NONE;
	return fact->decision->action == POLICY_REFUSE ? asked
	                                               : MIN(asked, DMARC_DISPOSITION_QUARANTINE);
}

struct reasons {
	Door__DmarcReason v[GATE_FACT_REASONS_MAX];
	Door__DmarcReason *list[GATE_FACT_REASONS_MAX];
	size_t n;
};

static void add_reason(struct reasons *reasons, enum dmarc_override type, const char *comment)
{
	if (reasons->n == GATE_FACT_REASONS_MAX)
		return;
	Door__DmarcReason *reason = &reasons->v[reasons->n];
	door__dmarc_reason__init(reason);
	reason->type = type;
	reason->comment = door_string(comment);
	reasons->list[reasons->n++] = reason;
}

/* Why less was done than the policy asks for. */
static void explain_mildness(const struct gate_fact *fact, struct reasons *reasons)
{
	const struct policy_exception *exception = fact->decision->exception;
	if (exception && exception->kind == POLICY_FORWARD)
		add_reason(reasons, DMARC_OVERRIDE_TRUSTED_FORWARDER, "exception of the recipient");
	else if (exception || fact->facts->list)
		add_reason(reasons, DMARC_OVERRIDE_MAILING_LIST, "");
	else if (fact->facts->arc_sealer)
		add_reason(reasons, DMARC_OVERRIDE_TRUSTED_FORWARDER, "arc=pass");
	else
		add_reason(reasons, DMARC_OVERRIDE_LOCAL_POLICY, "");
}

static void explain(const struct gate_fact *fact, enum dmarc_disposition disposition,
                    struct reasons *reasons)
{
	const struct dmarc_result *dmarc = fact->facts->dmarc;
	if (dmarc->testing)
		add_reason(reasons, DMARC_OVERRIDE_POLICY_TEST_MODE, "");
	if (dmarc->sampled_out)
		add_reason(reasons, DMARC_OVERRIDE_SAMPLED_OUT, "");
	if (dmarc->result == MAILAUTH_FAIL && disposition < disposition_of_policy(dmarc->policy))
		explain_mildness(fact, reasons);
}

/* ---- parts ---- */

/* Printable ASCII: the checks' texts of strangers are, those of the envelope may not be. */
static char *text_of(struct slice text, struct arena *arena)
{
	const char *copy = mailauth_printable(text, TEXT_MAX, arena);
	return door_string(copy ? copy : "");
}

static Door__DmarcAuth *auth_of(const char *domain, const char *selector,
                                enum mailauth_result result, struct arena *arena)
{
	Door__DmarcAuth *auth = ARENA_NEW(arena, Door__DmarcAuth);
	if (!auth)
		return NULL;
	door__dmarc_auth__init(auth);
	auth->domain = text_of(slice_str(domain), arena);
	auth->selector = text_of(slice_str(selector), arena);
	auth->result = result;
	return auth;
}

static void fill_dkim(const struct dkim_results *dkim, struct arena *arena,
                      Door__DmarcChecked *checked)
{
	checked->dkim = ARENA_ARRAY(arena, GATE_FACT_DKIM_MAX, Door__DmarcAuth *);
	for (size_t i = 0; dkim && checked->dkim && i < dkim->n; i++) {
		const struct dkim_signature *signature = dkim->v[i].signature;
		if (!signature || checked->n_dkim == GATE_FACT_DKIM_MAX)
			continue;
		Door__DmarcAuth *auth =
		        auth_of(signature->domain, signature->selector, dkim->v[i].result, arena);
		if (auth)
			checked->dkim[checked->n_dkim++] = auth;
	}
}

/* Of MAIL FROM, or of the HELO name for the null path: what DMARC looks at. */
static void fill_spf(const struct spf_result *spf, struct arena *arena, Door__DmarcChecked *checked)
{
	checked->spf = ARENA_ARRAY(arena, 1, Door__DmarcAuth *);
	if (!spf || !checked->spf || !*spf->domain)
		return;
	Door__DmarcAuth *auth = auth_of(spf->domain, "", spf->result, arena);
	if (!auth)
		return;
	auth->helo = spf->null_sender;
	checked->spf[checked->n_spf++] = auth;
}

static void print_fo(unsigned fo, char out[16])
{
	static const struct {
		unsigned bit;
		char letter;
	} bits[] = {{DMARC_FO_ANY, '1'}, {DMARC_FO_DKIM, 'd'}, {DMARC_FO_SPF, 's'}};
	size_t n = 0;
	if (fo & DMARC_FO_ALL)
		out[n++] = '0';
	for (size_t i = 0; i < N_ELEMENTS(bits); i++) {
		if (!(fo & bits[i].bit))
			continue;
		if (n > 0)
			out[n++] = ':';
		out[n++] = bits[i].letter;
	}
	out[n] = 0;
}

static struct slice pack(const ProtobufCMessage *message, struct arena *arena)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = arena_failed(arena) ? NULL : arena_alloc(arena, MAX(n, (size_t)1));
	if (!bytes)
		return slice_empty();
	return slice_of(bytes, protobuf_c_message_pack(message, bytes));
}

static struct slice pack_policy(const struct gate_fact *fact, struct arena *arena)
{
	const struct dmarc_record *record = &fact->facts->dmarc->found.record;
	Door__DmarcPublished policy = DOOR__DMARC_PUBLISHED__INIT;
	char fo[16];
	print_fo(record->fo, fo);
	policy.p = record->p;
	policy.has_sp = record->has_sp;
	policy.sp = record->sp;
	policy.has_np = record->has_np;
	policy.np = record->np;
	policy.adkim = record->adkim;
	policy.aspf = record->aspf;
	policy.fo = fo;
	policy.testing = record->testing;
	policy.pct = record->pct;
	policy.discovery = door_string(dmarc_discovery_name(fact->discovery));
	return pack(&policy.base, arena);
}

static struct slice pack_checked(const struct gate_fact *fact, struct arena *arena)
{
	const struct dmarc_result *dmarc = fact->facts->dmarc;
	Door__DmarcChecked checked = DOOR__DMARC_CHECKED__INIT;
	struct reasons reasons = {.n = 0};
	enum dmarc_disposition disposition = disposition_of(fact);
	explain(fact, disposition, &reasons);
	checked.source_ip = door_string(fact->client);
	checked.disposition = disposition;
	checked.dkim_aligned = dmarc->dkim_aligned;
	checked.spf_aligned = dmarc->spf_aligned;
	checked.reasons = reasons.list;
	checked.n_reasons = reasons.n;
	checked.header_from = text_of(slice_str(dmarc->found.author.text), arena);
	checked.envelope_from = text_of(fact->mail_from, arena);
	fill_dkim(fact->facts->dkim, arena, &checked);
	fill_spf(fact->facts->mailfrom, arena, &checked);
	return pack(&checked.base, arena);
}

/* ---- the whole ---- */

/* A result that says something, of a record that asks for reports. */
static bool is_wanted(const struct gate_fact *fact)
{
	const struct dmarc_result *dmarc = fact->facts->dmarc;
	return dmarc && dmarc->has_author &&
	       (dmarc->result == MAILAUTH_PASS || dmarc->result == MAILAUTH_FAIL) &&
	       dmarc->found.outcome == DMARC_FOUND && dmarc->found.record.rua.n > 0 &&
	       dns_name_is_host(dmarc->found.domain) && fact->decision->action != POLICY_DEFER;
}

void gate_facts_tell(struct reporter *reporter, const struct gate_fact *fact)
{
	Door__Fact message = DOOR__FACT__INIT;
	struct arena arena;
	char *domain;
	if (!is_wanted(fact))
		return;
	arena_init(&arena, ARENA_MAX);
	domain = door_string(fact->facts->dmarc->found.domain.text);
	message.kind = REPORT_DMARC;
	message.domains = &domain;
	message.n_domains = 1;
	message.policy = door_binary(pack_policy(fact, &arena));
	message.form = door_binary(pack_checked(fact, &arena));
	message.unwanted = fact->is_report;
	if (!arena_failed(&arena))
		reporter_add(reporter, &message);
	arena_done(&arena);
}
