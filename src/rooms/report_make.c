/* See report_make.h. What was counted is packed messages of the steward's door, as rooms that
 * strangers talk to made them: values are checked once more, and what cannot be told is left out.
 */
#include "rooms/report_make.h"

#include "base/encode.h"
#include "base/rfc3339.h"
#include "ipc/door.h"
#include "message/compose.h"
#include "report/dmarc_report.h"
#include "report/report_name.h"
#include "report/tlsrpt_report.h"
#include "report/unpack.h"
#include "steward.pb-c.h"

#define BASE64_LINE  57u /* bytes that make a line of 76 (RFC 2045 section 6.8) */
#define NAME_MAX_N   1000u
#define HEADER_MAX_N ((size_t)16 * 1024)

struct slice report_author_domain(const struct report_author *author)
{
	return slice_from(author->address, slice_rindex(author->address, '@') + 1);
}

static struct status no_memory(void)
{
	return fail(ERR_LIMIT, "too much for one report");
}

/* ---- TLS ---- */

static const struct slice *slices_of(char *const *texts, size_t n, struct arena *arena)
{
	struct slice *slices = ARENA_ARRAY(arena, MAX(n, (size_t)1), struct slice);
	for (size_t i = 0; slices && i < n; i++)
		slices[i] = slice_str(texts[i]);
	return slices;
}

static bool fill_policy(const struct report_counted *counted, struct arena *arena,
                        struct tlsrpt_policy *policy)
{
	const Door__TlsPolicy *from = (const Door__TlsPolicy *)door_unpack(
	        &door__tls_policy__descriptor, counted->policy_form, arena);
	if (!from)
		return false;
	*policy = (struct tlsrpt_policy){
	        .type = slice_str(from->type),
	        .domain = slice_str(from->domain),
	        .strings = slices_of(from->strings, from->n_strings, arena),
	        .n_strings = from->n_strings,
	        .mx_hosts = slices_of(from->mx, from->n_mx, arena),
	        .n_mx_hosts = from->n_mx,
	};
	return policy->type.n > 0 && policy->domain.n > 0;
}

/* False: the sessions were good. */
static bool fill_failure(const struct report_counted *counted, struct arena *arena,
                         struct tlsrpt_failure *failure)
{
	const Door__TlsFailure *from = (const Door__TlsFailure *)door_unpack(
	        &door__tls_failure__descriptor, counted->form, arena);
	if (!from || !*from->result)
		return false;
	*failure = (struct tlsrpt_failure){
	        .result = slice_str(from->result),
	        .sending_ip = slice_empty(), /* the courier does not know which way it took */
	        .receiving_ip = slice_str(from->address),
	        .mx_hostname = slice_str(from->host),
	        .mx_helo = slice_str(from->helo),
	        .count = counted->count,
	        .information = slice_str(from->information),
	        .reason = slice_str(from->reason),
	};
	return true;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	const uint64_t max = UINT64_C(1000000000000000); /* what a report can say */
	return MIN(a + MIN(b, max), max);
}

/* Those of one policy lie next to each other. */
static size_t fill_policies(const struct report_counted *counted, size_t n, struct arena *arena,
                            struct tlsrpt_policy *policies, struct tlsrpt_failure *failures)
{
	size_t n_policies = 0;
	for (size_t i = 0; i < n;) {
		struct tlsrpt_policy *policy = &policies[n_policies];
		int64_t id = counted[i].policy;
		bool good = fill_policy(&counted[i], arena, policy);
		policy->failures = failures;
		for (; i < n && counted[i].policy == id; i++) {
			if (!good)
				continue;
			if (!fill_failure(&counted[i], arena, failures)) {
				policy->n_successful = sum(policy->n_successful, counted[i].count);
				continue;
			}
			policy->n_failed = sum(policy->n_failed, counted[i].count);
			policy->n_failures++;
			failures++;
		}
		n_policies += good;
	}
	return n_policies;
}

static struct status print_tls(const struct report_topic *topic, struct slice report_id,
                               const struct report_author *author,
                               const struct report_counted *counted, size_t n, struct arena *arena,
                               struct buf *out)
{
	struct tlsrpt_policy *policies =
	        ARENA_ARRAY(arena, REPORT_TOPIC_POLICIES_MAX + 1, struct tlsrpt_policy);
	struct tlsrpt_failure *failures = ARENA_ARRAY(arena, n + 1, struct tlsrpt_failure);
	if (!policies || !failures)
		return no_memory();
	const struct tlsrpt_report report = {
	        .organization = author->organization,
	        .contact = author->contact,
	        .report_id = report_id,
	        .start_s = topic->begin_s,
	        .end_s = topic->end_s - 1, /* the last second of the day, as the RFC's example */
	        .policies = policies,
	        .n_policies = fill_policies(counted, n, arena, policies, failures),
	};
	return arena_failed(arena) ? no_memory() : tlsrpt_report_print(&report, out);
}

/* ---- DMARC ---- */

static const struct dmarc_report_auth *auths_of(Door__DmarcAuth *const *from, size_t n,
                                                struct arena *arena)
{
	struct dmarc_report_auth *auths =
	        ARENA_ARRAY(arena, MAX(n, (size_t)1), struct dmarc_report_auth);
	for (size_t i = 0; auths && i < n; i++)
		auths[i] = (struct dmarc_report_auth){
		        .domain = slice_str(from[i]->domain),
		        .selector = slice_str(from[i]->selector),
		        .helo = from[i]->helo,
		        .result = from[i]->result <= MAILAUTH_PERMERROR
		                          ? (enum mailauth_result)from[i]->result
		                          : MAILAUTH_NONE,
		        .human_result = slice_empty(),
		};
	return auths;
}

static const struct dmarc_report_reason *reasons_of(const Door__DmarcChecked *from,
                                                    struct arena *arena)
{
	struct dmarc_report_reason *reasons =
	        ARENA_ARRAY(arena, MAX(from->n_reasons, (size_t)1), struct dmarc_report_reason);
	for (size_t i = 0; reasons && i < from->n_reasons; i++)
		reasons[i] = (struct dmarc_report_reason){
		        .type = from->reasons[i]->type <= DMARC_OVERRIDE_POLICY_TEST_MODE
		                        ? (enum dmarc_override)from->reasons[i]->type
		                        : DMARC_OVERRIDE_OTHER,
		        .comment = slice_str(from->reasons[i]->comment),
		};
	return reasons;
}

static bool fill_row(const struct report_counted *counted, struct arena *arena,
                     struct dmarc_report_row *row)
{
	const Door__DmarcChecked *from = (const Door__DmarcChecked *)door_unpack(
	        &door__dmarc_checked__descriptor, counted->form, arena);
	if (!from)
		return false;
	*row = (struct dmarc_report_row){
	        .source_ip = slice_str(from->source_ip),
	        .count = sum(counted->count, 0),
	        .disposition = from->disposition <= DMARC_DISPOSITION_REJECT
	                               ? (enum dmarc_disposition)from->disposition
	                               : DMARC_DISPOSITION_NONE,
	        .dkim_aligned = from->dkim_aligned,
	        .spf_aligned = from->spf_aligned,
	        .reasons = reasons_of(from, arena),
	        .n_reasons = MIN(from->n_reasons, (size_t)DMARC_REPORT_REASONS_MAX),
	        .header_from = slice_str(from->header_from),
	        .has_envelope_from = true,
	        .envelope_from = slice_str(from->envelope_from),
	        .envelope_to = slice_empty(),
	        .dkim = auths_of(from->dkim, from->n_dkim, arena),
	        .n_dkim = MIN(from->n_dkim, (size_t)DMARC_REPORT_DKIM_MAX),
	        .spf = auths_of(from->spf, from->n_spf, arena),
	        .n_spf = MIN(from->n_spf, (size_t)DMARC_REPORT_SPF_MAX),
	};
	return row->source_ip.n > 0 && row->header_from.n > 0;
}

static const struct dmarc_report_row *rows_of(const struct report_counted *counted, size_t n,
                                              struct arena *arena, size_t *ret_n)
{
	struct dmarc_report_row *rows =
	        ARENA_ARRAY(arena, MAX(n, (size_t)1), struct dmarc_report_row);
	*ret_n = 0;
	for (size_t i = 0; rows && i < n; i++) {
		if (!fill_row(&counted[i], arena, &rows[*ret_n]))
			continue;
		if (*ret_n > 0)
			rows[*ret_n - 1].next = &rows[*ret_n];
		(*ret_n)++;
	}
	return *ret_n > 0 ? rows : NULL;
}

static enum dmarc_policy policy_of(uint32_t number)
{
	return number <= DMARC_REJECT ? (enum dmarc_policy)number : DMARC_NONE;
}

static void fill_published(const Door__DmarcPublished *from, struct dmarc_report *report)
{
	report->has_sp = from->has_sp;
	report->has_np = from->has_np;
	report->p = policy_of(from->p);
	report->sp = policy_of(from->sp);
	report->np = policy_of(from->np);
	report->adkim = from->adkim == DMARC_STRICT ? DMARC_STRICT : DMARC_RELAXED;
	report->aspf = from->aspf == DMARC_STRICT ? DMARC_STRICT : DMARC_RELAXED;
	report->has_fo = *from->fo != 0;
	report->fo = slice_str(from->fo);
	report->has_testing = report->testing = from->testing;
	report->has_pct = true;
	report->pct = MIN(from->pct, 100u);
	report->discovery = slice_str(from->discovery);
}

/* In the older form, which every receiver reads; it also carries pct, which most policies still
 * have. */
static struct status print_dmarc(const struct report_topic *topic, struct slice report_id,
                                 const struct report_author *author,
                                 const struct report_counted *counted, size_t n,
                                 struct arena *arena, struct buf *out)
{
	struct dmarc_report report = {
	        .org_name = author->organization,
	        .email = author->contact,
	        .extra_contact_info = slice_empty(),
	        .generator = author->generator,
	        .report_id = report_id,
	        .begin_s = topic->begin_s,
	        .end_s = topic->end_s - 1,
	        .domain = topic->domain,
	};
	const Door__DmarcPublished *published =
	        n > 0 ? (const Door__DmarcPublished *)door_unpack(
	                        &door__dmarc_published__descriptor, counted[0].policy_form, arena)
	              : NULL;
	if (!published)
		return fail(ERR_INVALID, "nothing was counted that can be told");
	fill_published(published, &report);
	report.rows = rows_of(counted, n, arena, &report.n_rows);
	return arena_failed(arena) ? no_memory()
	                           : dmarc_report_print(&report, DMARC_REPORT_RFC7489, out);
}

struct status report_make_document(const struct report_topic *topic, struct slice report_id,
                                   const struct report_author *author,
                                   const struct report_counted *counted, size_t n_counted,
                                   struct arena *arena, struct buf *packed)
{
	struct buf document;
	buf_init(&document, REPORT_DOCUMENT_MAX);
	struct status status =
	        topic->kind == REPORT_DMARC
	                ? print_dmarc(topic, report_id, author, counted, n_counted, arena,
	                              &document)
	                : print_tls(topic, report_id, author, counted, n_counted, arena, &document);
	if (is_ok(status))
		status = pack_gzip(buf_slice(&document), packed);
	buf_done(&document);
	return status;
}

/* ---- the message ---- */

/* Lines of 76 characters. */
static void add_base64(struct slice bytes, struct buf *out)
{
	for (size_t at = 0; at < bytes.n; at += BASE64_LINE) {
		base64_encode(slice_sub(bytes, at, BASE64_LINE), out);
		buf_add_str(out, "\r\n");
	}
}

static struct slice filename_of(const struct report_mail *mail, struct arena *arena)
{
	const struct report_topic *topic = mail->topic;
	const struct report_filename name = {
	        .submitter = report_author_domain(mail->author),
	        .domain = topic->domain,
	        .begin_s = topic->begin_s,
	        .end_s = topic->end_s - 1,
	        .unique = slice_empty(),
	        .extension = topic->kind == REPORT_DMARC ? REPORT_XML_GZ : REPORT_JSON_GZ,
	};
	struct buf text;
	struct slice copy = slice_empty();
	buf_init(&text, NAME_MAX_N);
	if (is_ok(report_filename_print(&name, &text)))
		copy = arena_copy(arena, buf_slice(&text));
	buf_done(&text);
	return copy;
}

static struct slice subject_of(const struct report_mail *mail, struct arena *arena)
{
	const struct report_subject subject = {
	        .domain = mail->topic->domain,
	        .submitter = report_author_domain(mail->author),
	        .report_id = mail->report_id,
	};
	struct buf text;
	struct slice copy = slice_empty();
	buf_init(&text, NAME_MAX_N);
	if (is_ok(report_subject_print(&subject, &text)))
		copy = arena_copy(arena, buf_slice(&text));
	buf_done(&text);
	return copy;
}

static struct slice message_id_of(const struct report_mail *mail, struct arena *arena)
{
	struct slice left, right;
	(void)slice_cut(mail->report_id, '@', &left, &right);
	char *text =
	        arena_printf(arena, "<%.*s.%u@%.*s>", SLICE_FMT(left), mail->n, SLICE_FMT(right));
	return slice_str(text);
}

static struct message_address address_of(struct slice text)
{
	size_t at = slice_rindex(text, '@');
	return (struct message_address){.kind = MESSAGE_ADDRESS_MAILBOX,
	                                .localpart = slice_sub(text, 0, at),
	                                .domain = slice_from(text, at + 1)};
}

/* The boundary stands in no line of base64, since these have no "=_" before their end. */
static const char *boundary_of(const struct report_mail *mail, struct arena *arena)
{
	return arena_printf(arena, "=_report_%" PRId64 "_%u", mail->topic->id, mail->n);
}

static void add_common(const struct report_mail *mail, struct slice subject,
                       struct slice message_id, struct message_compose *c)
{
	struct message_address from = address_of(mail->author->address), to = address_of(mail->to);
	from.has_name = mail->author->organization.n > 0;
	from.name = mail->author->organization;
	message_compose_date(c, "Date", mail->now_s, 0);
	message_compose_addresses(c, "From", &from, 1);
	message_compose_addresses(c, "To", &to, 1);
	message_compose_structured(c, "Message-ID", message_id);
	message_compose_text(c, "Subject", subject);
	message_compose_structured(c, "Auto-Submitted", SLICE("auto-generated"));
	message_compose_structured(c, "MIME-Version", SLICE("1.0"));
}

/* RFC 8460 section 5.3, and section 3: such a report goes even where TLS fails (RFC 8689 section
 * 5). */
static void add_tls_fields(const struct report_mail *mail, const char *boundary,
                           struct arena *arena, struct message_compose *c)
{
	const char *type = arena_printf(
	        arena, "multipart/report; report-type=\"tlsrpt\"; boundary=\"%s\"", boundary);
	message_compose_structured(c, "TLS-Report-Domain", mail->topic->domain);
	message_compose_structured(c, "TLS-Report-Submitter", report_author_domain(mail->author));
	message_compose_structured(c, "TLS-Required", SLICE("No"));
	message_compose_structured(c, "Content-Type", slice_str(type));
}

static void add_dmarc_fields(const char *boundary, struct arena *arena, struct message_compose *c)
{
	const char *type = arena_printf(arena, "multipart/mixed; boundary=\"%s\"", boundary);
	message_compose_structured(c, "Content-Type", slice_str(type));
}

static void add_text(const struct report_mail *mail, struct buf *out)
{
	char begin[21], end[21];
	rfc3339_format(mail->topic->begin_s, begin);
	rfc3339_format(mail->topic->end_s, end);
	buf_add_str(out, "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
	buf_add_str(out,
	            mail->topic->kind == REPORT_DMARC
	                    ? "Attached is an aggregate report about messages with this domain in "
	                      "their From\r\nfield, as its DMARC record asks for:\r\n\r\n"
	                    : "Attached is a report about TLS with the mail servers of this "
	                      "domain, as its\r\nTLSRPT record asks for:\r\n\r\n");
	buf_add_str(out, "Domain:    ");
	buf_add_line_safe(out, mail->topic->domain);
	buf_add_str(out, "\r\nSubmitter: ");
	buf_add_line_safe(out, report_author_domain(mail->author));
	buf_add_str(out, "\r\nReport-ID: ");
	buf_add_line_safe(out, mail->report_id);
	buf_printf(out, "\r\nPeriod:    %s to %s\r\nContact:   ", begin, end);
	buf_add_line_safe(out, mail->author->contact);
	buf_add_str(out, "\r\n");
}

static void add_body(const struct report_mail *mail, const char *boundary, struct slice filename,
                     struct buf *out)
{
	buf_printf(out, "--%s\r\n", boundary);
	add_text(mail, out);
	buf_printf(out, "\r\n--%s\r\nContent-Type: %s\r\n", boundary,
	           mail->topic->kind == REPORT_DMARC ? "application/gzip"
	                                             : "application/tlsrpt+gzip");
	buf_add_str(out, "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
	                 " filename=\"");
	buf_add_line_safe(out, filename);
	buf_add_str(out, "\"\r\n\r\n");
	add_base64(mail->packed, out);
	buf_printf(out, "--%s--\r\n", boundary);
}

struct status report_make_message(const struct report_mail *mail, struct arena *arena,
                                  struct buf *out, struct slice *ret_subject,
                                  struct slice *ret_message_id)
{
	struct slice subject = subject_of(mail, arena), filename = filename_of(mail, arena),
	             message_id = message_id_of(mail, arena);
	const char *boundary = boundary_of(mail, arena);
	struct message_compose c;
	if (!boundary || subject.n == 0 || filename.n == 0 || message_id.n == 0)
		return fail(ERR_INVALID, "a domain or address that no report can name");
	message_compose_init(&c, out, false);
	add_common(mail, subject, message_id, &c);
	if (mail->topic->kind == REPORT_DMARC)
		add_dmarc_fields(boundary, arena, &c);
	else
		add_tls_fields(mail, boundary, arena, &c);
	message_compose_end_header(&c);
	TRY(message_compose_status(&c));
	add_body(mail, boundary, filename, out);
	if (buf_failed(out) || arena_failed(arena))
		return no_memory();
	*ret_subject = subject;
	*ret_message_id = message_id;
	return ok();
}
