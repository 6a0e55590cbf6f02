/* See account_feedback.h.
 *
 * Limits: those of report/report_mail.h for what is read; ROWS_MAX rows of a report, the most
 * frequent ones, and TEXT_MAX bytes of a text are handed over; DOMAINS_MAX domains of one TLS
 * report.
 */
#include "rooms/account_feedback.h"

#include "config/name.h"
#include "os/log.h"
#include "report/report_mail.h"
#include "rooms/peers.h"
#include "rooms/report_received.h"
#include "setup/report_address.h"
#include "steward.pb-c.h"
#include "text/utf8.h"
#include "verdict.pb-c.h"

#define ROWS_MAX           400u
#define DOMAINS_MAX        100u
#define TEXT_MAX           100u
#define PARTS_MEMORY       ((size_t)8 * 1024 * 1024)
#define ROWS_MEMORY        ((size_t)4 * 1024 * 1024)
#define NOTE_MEMORY        ((size_t)1024 * 1024)
#define REPLY_MEMORY       ((size_t)64 * 1024)
#define STEWARD_TIMEOUT_MS 30000

/* ---- which ---- */

/* What stands behind the name in the first line that begins with it; empty when none does. */
static struct slice find_line(struct slice text, struct slice name)
{
	for (size_t end; (end = slice_index(text, '\n')) != SIZE_MAX;
	     text = slice_from(text, end + 1))
		if (slice_starts(text, name))
			return slice_trim(slice_sub(text, name.n, end - name.n));
	return slice_empty();
}

bool account_feedback_wants(struct room *room, struct slice prefix)
{
	static const struct slice name = SLICE("Delivered-To: ");
	struct slice localpart, domain;
	struct slice line = find_line(prefix, name);
	if (!config_address_split(line, &localpart, &domain))
		return false;
	struct room_config *config = room_config_get(room);
	bool wants = setup_is_report_address(config->config, localpart, domain);
	room_config_unref(config);
	return wants;
}

bool account_feedback_is_authentic(struct slice note)
{
	struct arena arena;
	bool authentic = false;
	arena_init(&arena, NOTE_MEMORY);
	const Door__Verdict *verdict =
	        note.n > 0 ? (const Door__Verdict *)door_unpack(&door__verdict__descriptor, note,
	                                                        &arena)
	                   : NULL;
	for (size_t i = 0; verdict && i < verdict->n_checks; i++)
		if (slice_eq_str(slice_str(verdict->checks[i]->method), "dmarc"))
			authentic = slice_eq_str(slice_str(verdict->checks[i]->result), "pass");
	arena_done(&arena);
	return authentic;
}

/* ---- handing over ---- */

struct handing {
	struct room *room;
	uint64_t cid;
	bool authentic;
	struct arena *arena; /* of the rows */
	Door__ReceivedRows rows;
	Door__AddReceived add;
};

/* A copy that fits, of whole characters. */
static char *text_of(struct handing *h, struct slice text, size_t max)
{
	char *copy = arena_cstr(h->arena, utf8_cut(text, max));
	return copy ? copy : door_string("");
}

/* Rows are left out, the last first, until the form fits. */
static bool pack_rows(struct handing *h)
{
	size_t *n = h->rows.n_dmarc > 0 ? &h->rows.n_dmarc : &h->rows.n_tls;
	size_t size;
	while ((size = protobuf_c_message_get_packed_size(&h->rows.base)) >
	       REPORT_RECEIVED_FORM_MAX) {
		size_t fewer = *n / 2;
		if (*n == 0)
			return false;
		h->rows.n_left_out += *n - fewer;
		*n = fewer;
	}
	uint8_t *bytes = arena_alloc(h->arena, MAX(size, (size_t)1));
	if (!bytes)
		return false;
	(void)protobuf_c_message_pack(&h->rows.base, bytes);
	h->add.form = (ProtobufCBinaryData){.len = size, .data = bytes};
	return true;
}

static void hand_over(struct handing *h)
{
	Door__StewardRequest request = DOOR__STEWARD_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct arena reply;
	struct status status = fail(ERR_LIMIT, "a report takes too much memory");
	arena_init(&reply, REPLY_MEMORY);
	h->add.authentic = h->authentic;
	request.body_case = DOOR__STEWARD_REQUEST__BODY_ADD_RECEIVED;
	request.add_received = &h->add;
	if (pack_rows(h) && !arena_failed(h->arena))
		status = room_call(h->room, IPC_ROOM_STEWARD, "", h->cid, &request.base, NULL, 0,
		                   STEWARD_TIMEOUT_MS, &door__steward_reply__descriptor, &reply,
		                   &message);
	const Door__StewardReply *answer = (const Door__StewardReply *)message;
	if (is_ok(status) && answer->status)
		status = door_status(answer->status->code, answer->status->why);
	if (!is_ok(status))
		log_warn(h->cid, "a report is not kept", LOG_STR("domain", h->add.domain),
		         LOG_STR("from", h->add.organization), LOG_STATUS(status));
	arena_done(&reply);
}

static void begin(struct handing *h, enum report_kind kind, struct slice domain)
{
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n = 0;
	door__received_rows__init(&h->rows);
	door__add_received__init(&h->add);
	bool good = is_ok(config_domain_canonical(domain, ascii, &n));
	h->add.kind = kind;
	h->add.domain = text_of(h, good ? slice_of(ascii, n) : slice_empty(), CONFIG_DOMAIN_MAX);
}

static uint64_t add_counts(uint64_t a, uint64_t b)
{
	return a > INT64_MAX - MIN(b, (uint64_t)INT64_MAX) ? INT64_MAX : a + b;
}

/* ---- of DMARC ---- */

static Door__ReceivedDmarcRow *dmarc_row(struct handing *h, const struct dmarc_report_row *from)
{
	Door__ReceivedDmarcRow *row = ARENA_NEW(h->arena, Door__ReceivedDmarcRow);
	if (!row)
		return NULL;
	door__received_dmarc_row__init(row);
	row->source_ip = text_of(h, from->source_ip, TEXT_MAX);
	row->count = from->count;
	row->disposition = door_string(dmarc_disposition_name(from->disposition));
	row->dkim = from->dkim_aligned;
	row->spf = from->spf_aligned;
	row->header_from = text_of(h, from->header_from, TEXT_MAX);
	row->envelope_from = text_of(h, from->envelope_from, TEXT_MAX);
	return row;
}

static int by_count(const void *a, const void *b)
{
	uint64_t x = (*(const struct dmarc_report_row *const *)a)->count;
	uint64_t y = (*(const struct dmarc_report_row *const *)b)->count;
	return x < y ? 1 : x > y ? -1 : 0;
}

static const struct dmarc_report_row **sorted_rows(struct handing *h,
                                                   const struct dmarc_report *report)
{
	const struct dmarc_report_row **rows = ARENA_ARRAY(h->arena, MAX(report->n_rows, (size_t)1),
	                                                   const struct dmarc_report_row *);
	size_t n = 0;
	if (!rows)
		return NULL;
	for (const struct dmarc_report_row *r = report->rows; r && n < report->n_rows; r = r->next)
		rows[n++] = r;
	qsort(rows, n, sizeof(*rows), by_count);
	return rows;
}

static void hand_over_dmarc(struct handing *h, const struct dmarc_report *report)
{
	begin(h, REPORT_DMARC, report->domain);
	const struct dmarc_report_row **rows = sorted_rows(h, report);
	size_t n = rows ? MIN(report->n_rows, (size_t)ROWS_MAX) : 0;
	h->rows.dmarc = ARENA_ARRAY(h->arena, MAX(n, (size_t)1), Door__ReceivedDmarcRow *);
	for (size_t i = 0; rows && i < report->n_rows; i++) {
		uint64_t *sum = rows[i]->dkim_aligned || rows[i]->spf_aligned ? &h->add.n_good
		                                                              : &h->add.n_bad;
		*sum = add_counts(*sum, rows[i]->count);
		if (i < n && h->rows.dmarc) {
			Door__ReceivedDmarcRow *row = dmarc_row(h, rows[i]);
			if (row)
				h->rows.dmarc[h->rows.n_dmarc++] = row;
		}
	}
	h->rows.n_left_out = report->n_rows - h->rows.n_dmarc;
	h->add.organization = text_of(h, report->org_name, REPORT_RECEIVED_TEXT_MAX);
	h->add.contact = text_of(h, report->email, REPORT_RECEIVED_TEXT_MAX);
	h->add.report_id = text_of(h, report->report_id, REPORT_RECEIVED_TEXT_MAX);
	h->add.begin_s = report->begin_s;
	h->add.end_s = report->end_s;
	hand_over(h);
}

/* ---- of TLS ---- */

static void add_tls_row(struct handing *h, const struct tlsrpt_policy *policy,
                        const struct tlsrpt_failure *failure, uint64_t count)
{
	if (h->rows.n_tls >= ROWS_MAX) {
		h->rows.n_left_out++;
		return;
	}
	Door__ReceivedTlsRow *row = ARENA_NEW(h->arena, Door__ReceivedTlsRow);
	if (!row)
		return;
	door__received_tls_row__init(row);
	row->policy = text_of(h, policy->type, TEXT_MAX);
	row->count = count;
	if (failure) {
		row->result = text_of(h, failure->result, TEXT_MAX);
		row->host = text_of(h, failure->mx_hostname, TEXT_MAX);
		row->address = text_of(h, failure->receiving_ip, TEXT_MAX);
		row->reason = text_of(h, failure->reason, TEXT_MAX);
	}
	h->rows.tls[h->rows.n_tls++] = row;
}

static void add_tls_policy(struct handing *h, const struct tlsrpt_policy *policy)
{
	h->add.n_good = add_counts(h->add.n_good, policy->n_successful);
	h->add.n_bad = add_counts(h->add.n_bad, policy->n_failed);
	if (policy->n_successful > 0)
		add_tls_row(h, policy, NULL, policy->n_successful);
	for (size_t i = 0; i < policy->n_failures; i++)
		add_tls_row(h, policy, &policy->failures[i], policy->failures[i].count);
}

static bool is_first_of_domain(const struct tlsrpt_report *report, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (slice_ieq(report->policies[k].domain, report->policies[i].domain))
			return false;
	return true;
}

/* A report may be about several domains, and has several policies of one: one is kept of each
 * domain. */
static void hand_over_tls(struct handing *h, const struct tlsrpt_report *report)
{
	size_t n_domains = 0;
	for (size_t i = 0; i < report->n_policies && n_domains < DOMAINS_MAX; i++) {
		if (!is_first_of_domain(report, i))
			continue;
		n_domains++;
		begin(h, REPORT_TLS, report->policies[i].domain);
		h->rows.tls = ARENA_ARRAY(h->arena, ROWS_MAX, Door__ReceivedTlsRow *);
		if (!h->rows.tls)
			return;
		for (size_t k = i; k < report->n_policies; k++)
			if (slice_ieq(report->policies[k].domain, report->policies[i].domain))
				add_tls_policy(h, &report->policies[k]);
		h->add.organization = text_of(h, report->organization, REPORT_RECEIVED_TEXT_MAX);
		h->add.contact = text_of(h, report->contact, REPORT_RECEIVED_TEXT_MAX);
		h->add.report_id = text_of(h, report->report_id, REPORT_RECEIVED_TEXT_MAX);
		h->add.begin_s = report->start_s;
		h->add.end_s = report->end_s;
		hand_over(h);
	}
}

/* ---- reading ---- */

static struct status read_mail(const struct account_message *message, struct arena *parts,
                               struct arena *arena, struct report_mail *ret_mail)
{
	struct message_part *root = NULL;
	TRY(account_message_parts(message, parts, &root));
	return report_mail_read(root, &message->source, arena, ret_mail);
}

void account_feedback_work(struct room *room, const struct account_message *message, bool authentic,
                           uint64_t cid)
{
	struct report_mail mail;
	struct arena parts, arena, rows;
	arena_init(&parts, PARTS_MEMORY);
	arena_init(&arena, REPORT_MAIL_ARENA);
	arena_init(&rows, ROWS_MEMORY);
	struct handing h = {.room = room, .cid = cid, .authentic = authentic, .arena = &rows};
	struct status status = read_mail(message, &parts, &arena, &mail);
	if (is_ok(status) && mail.kind == REPORT_MAIL_DMARC)
		hand_over_dmarc(&h, &mail.dmarc);
	else if (is_ok(status))
		hand_over_tls(&h, &mail.tls);
	else if (status.code != ERR_NOT_FOUND)
		log_warn(cid, "a report cannot be read", LOG_STATUS(status));
	arena_done(&rows);
	arena_done(&arena);
	arena_done(&parts);
}
