/* Writing delivery status notifications.
 *
 *	multipart/report; report-type=delivery-status          RFC 6522 section 3
 *	  text/plain                                           words (dsn_words.c)
 *	  message/delivery-status                              RFC 3464 section 2
 *	  text/rfc822-headers, or message/rfc822               RFC 6522 section 4
 * and where addresses or the original's header need UTF-8 (RFC 6533 sections 3 to 5):
 *	  message/global-delivery-status, message/global-headers or message/global
 *
 * References (RFC 5322 section 3.6.4): those of the original and its own id, so that mail programs
 * show the notification in the conversation. Auto-Submitted: RFC 3834 section 5.
 */
#include "message/dsn_private.h"

#include "base/encode.h"
#include "message/compose.h"
#include "message/date.h"
#include "message/header.h"
#include "message/msgid.h"
#include "text/utf8.h"

#define SCRATCH_MAX  ((size_t)1024 * 1024)
#define SUBJECT_MAX  200u /* bytes of the original's that are repeated */
#define FIELD_MAX    900u /* bytes of a field for programs */
#define LINE_MAX_OUT 998u /* RFC 5322 section 2.1.1 */

/* What is being written. */
struct writer {
	const struct message_dsn *dsn;
	struct arena scratch;
	char boundary[2 * MESSAGE_DSN_BOUNDARY_SIZE + 8];
	bool utf8;        /* fields for programs hold UTF-8 */
	bool global;      /* the returned header holds UTF-8 */
	bool header_8bit; /* or other bytes above 127 */
	struct buf *out;
};

static const char *const action_names[] = {
#define X(name, text) [MESSAGE_DSN_##name] = text,
        MESSAGE_DSN_ACTION_LIST(X)
#undef X
};

const char *message_dsn_action_name(enum message_dsn_action action)
{
	return action_names[action];
}

bool message_dsn_action_parse(struct slice text, enum message_dsn_action *ret_action)
{
	for (unsigned i = 0; i < MESSAGE_DSN_ACTION_COUNT; i++) {
		if (slice_ieq_str(text, action_names[i])) {
			*ret_action = (enum message_dsn_action)i;
			return true;
		}
	}
	return false;
}

bool message_dsn_returns_full(enum message_dsn_action action, bool ret_full, uint64_t size,
                              bool binary)
{
	return action == MESSAGE_DSN_FAILED && ret_full && size <= MESSAGE_DSN_FULL_MAX && !binary;
}

/* --- shared --- */

void dsn_add_clean(struct slice text, size_t max, bool utf8, struct buf *out)
{
	struct buf valid;
	buf_init(&valid, 3 * max + 16);
	utf8_add_valid(&valid, utf8_cut(text, max));
	for (size_t i = 0; i < valid.n; i++) {
		uint8_t byte = valid.p[i];
		if (byte < ' ' || byte == 0x7f)
			buf_add_byte(out, ' ');
		else if (byte < 0x80 || utf8)
			buf_add_byte(out, byte);
		else if (byte >= 0xc0) /* once a character */
			buf_add_byte(out, '?');
	}
	buf_done(&valid);
}

bool dsn_status_is_valid(struct slice status)
{
	struct slice class, subject, detail;
	uint64_t number;
	return slice_cut(status, '.', &class, &subject) &&
	       slice_cut(subject, '.', &subject, &detail) && class.n == 1 &&
	       (class.p[0] == '2' || class.p[0] == '4' || class.p[0] == '5') && subject.n <= 3 &&
	       slice_to_u64(subject, 999, &number) && detail.n <= 3 &&
	       slice_to_u64(detail, 999, &number);
}

struct slice dsn_status_of(const struct message_dsn *dsn,
                           const struct message_dsn_recipient *recipient)
{
	if (dsn_status_is_valid(recipient->status))
		return recipient->status;
	if (dsn->action == MESSAGE_DSN_FAILED)
		return SLICE("5.0.0");
	return dsn->action == MESSAGE_DSN_DELAYED ? SLICE("4.0.0") : SLICE("2.0.0");
}

/* --- the header --- */

static const char *subject_of(enum message_dsn_action action)
{
	static const char *const words[] = {
	        [MESSAGE_DSN_FAILED] = "Undelivered mail",
	        [MESSAGE_DSN_DELAYED] = "Delayed mail, still being tried",
	        [MESSAGE_DSN_DELIVERED] = "Delivered mail",
	        [MESSAGE_DSN_RELAYED] = "Mail passed on",
	        [MESSAGE_DSN_EXPANDED] = "Mail passed on to a list",
	};
	return words[action];
}

static void add_subject(struct writer *w, struct message_compose *c)
{
	struct buf subject;
	buf_init(&subject, 4 * SUBJECT_MAX + 100);
	buf_add_str(&subject, subject_of(w->dsn->action));
	if (slice_trim(w->dsn->subject).n > 0) {
		buf_add_str(&subject, ": ");
		dsn_add_clean(w->dsn->subject, SUBJECT_MAX, true, &subject);
	}
	message_compose_text(c, "Subject", buf_slice(&subject));
	buf_done(&subject);
}

/* Fit to stand in a field as it is. */
static bool is_plain_id(struct slice id, bool utf8)
{
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] <= ' ' || id.p[i] == 0x7f || id.p[i] == '<' || id.p[i] == '>' ||
		    (id.p[i] > 0x7f && !utf8))
			return false;
	return id.n > 0 && id.n < LINE_MAX_OUT - 20 && utf8_valid(id);
}

static void add_id(struct slice id, struct buf *out)
{
	if (out->n > 0)
		buf_add_byte(out, ' ');
	buf_add_byte(out, '<');
	buf_add(out, id);
	buf_add_byte(out, '>');
}

/* The ids before it: the first (the conversation's root) and the newest that fit. */
static void add_references(struct writer *w, struct slice original, bool utf8, struct buf *out)
{
	struct message_ids ids;
	size_t n = 0;
	message_ids_parse(w->dsn->original_references, &w->scratch, &ids);
	for (size_t i = 0; i < ids.n; i++)
		if (is_plain_id(ids.v[i], utf8) && !slice_eq(ids.v[i], original))
			ids.v[n++] = ids.v[i];
	for (size_t i = 0; i < n; i++)
		if (i == 0 || i + MESSAGE_DSN_REFERENCES_MAX > n + 1)
			add_id(ids.v[i], out);
}

static void add_thread(struct writer *w, struct message_compose *c)
{
	struct slice original;
	struct buf id, references;
	if (!message_id_parse(w->dsn->original_id, &w->scratch, &original) ||
	    !is_plain_id(original, c->utf8))
		return;
	buf_init(&id, 2 * LINE_MAX_OUT);
	buf_init(&references, SCRATCH_MAX);
	add_id(original, &id);
	message_compose_structured(c, "In-Reply-To", buf_slice(&id));
	add_references(w, original, c->utf8, &references);
	add_id(original, &references);
	message_compose_structured(c, "References", buf_slice(&references));
	buf_done(&id);
	buf_done(&references);
}

static void add_content_type(struct writer *w, struct message_compose *c)
{
	struct buf value;
	buf_init(&value, 300);
	buf_printf(&value, "multipart/report; report-type=delivery-status; boundary=\"%s\"",
	           w->boundary);
	message_compose_structured(c, "Content-Type", buf_slice(&value));
	buf_done(&value);
}

/* Exactly one mailbox with a domain, or nothing of use. */
static struct status parse_mailbox(struct writer *w, struct slice text,
                                   struct message_address *ret_address)
{
	struct message_address_list list = {0};
	if (slice_has_control(text))
		return fail(ERR_INVALID, "address holds a control character");
	message_addresses_parse(text, &w->scratch, &list);
	if (list.n != 1 || list.truncated || list.v[0].kind != MESSAGE_ADDRESS_MAILBOX ||
	    list.v[0].localpart.n == 0 || list.v[0].domain.n == 0)
		return fail(ERR_INVALID, "not the address of a mailbox");
	*ret_address = list.v[0];
	return ok();
}

static struct status add_header(struct writer *w, bool *ret_utf8)
{
	const struct message_dsn *dsn = w->dsn;
	struct message_compose c;
	struct message_address from = {.kind = MESSAGE_ADDRESS_MAILBOX}, to;
	TRY(parse_mailbox(w, dsn->to, &to));
	if (dsn->from.n > 0) {
		TRY(parse_mailbox(w, dsn->from, &from));
	} else {
		from.localpart = SLICE("postmaster");
		from.domain = dsn->host;
	}
	from.has_name = true;
	from.name = SLICE("Mail Delivery System");
	*ret_utf8 = !slice_is_ascii(to.localpart) || !slice_is_ascii(from.localpart);
	message_compose_init(&c, w->out, *ret_utf8);
	message_compose_addresses(&c, "From", &from, 1);
	message_compose_addresses(&c, "To", &to, 1);
	add_subject(w, &c);
	message_compose_date(&c, "Date", dsn->now_s, dsn->zone_minutes);
	message_compose_structured(&c, "Message-ID", dsn->message_id);
	add_thread(w, &c);
	message_compose_structured(&c, "Auto-Submitted", SLICE("auto-replied"));
	message_compose_structured(&c, "MIME-Version", SLICE("1.0"));
	add_content_type(w, &c);
	return message_compose_status(&c);
}

/* --- the parts --- */

static void begin_part(struct writer *w, const char *type, bool is_8bit)
{
	buf_printf(w->out, "\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
	           w->boundary, type, is_8bit ? "8bit" : "7bit");
}

/* "Name: type; value" in one line that folds at blanks. */
static void add_field(struct writer *w, const char *name, const char *type, struct slice value)
{
	struct message_compose c;
	struct buf text;
	buf_init(&text, 4 * FIELD_MAX);
	buf_add_str(&text, type);
	dsn_add_clean(value, FIELD_MAX, w->utf8, &text);
	message_compose_init(&c, w->out, w->utf8);
	message_compose_structured(&c, name, buf_slice(&text));
	buf_done(&text);
}

static void add_date_field(struct writer *w, const char *name, int64_t at_s)
{
	char date[MESSAGE_DATE_SIZE];
	if (at_s == 0)
		return;
	message_date_format(at_s, w->dsn->zone_minutes, date);
	buf_printf(w->out, "%s: %s\r\n", name, date);
}

/* RFC 3464 section 2.3.2; RFC 6533 section 3 for type utf-8. */
static void add_recipient_fields(struct writer *w, const struct message_dsn_recipient *r)
{
	struct slice type, address;
	if (slice_cut(r->original, ';', &type, &address) && type.n > 0 && type.n < 50) {
		char prefix[64];
		struct buf clean;
		buf_init(&clean, 64);
		dsn_add_clean(slice_trim(type), 50, false, &clean);
		snprintf(prefix, sizeof(prefix), "%s; ", buf_cstr(&clean));
		add_field(w, "Original-Recipient", prefix, slice_trim(address));
		buf_done(&clean);
	}
	add_field(w, "Final-Recipient", slice_is_ascii(r->address) ? "rfc822; " : "utf-8; ",
	          r->address);
}

static void add_remote_field(struct writer *w, const struct message_dsn_recipient *r)
{
	struct buf text;
	if (r->remote_host.n == 0 && r->remote_address.n == 0)
		return;
	buf_init(&text, FIELD_MAX);
	buf_add(&text, slice_sub(r->remote_host, 0, 255));
	if (r->remote_address.n > 0) { /* a comment; alone it is the name (section 2.2.2) */
		buf_add_str(&text, r->remote_host.n > 0 ? " ([" : "[");
		buf_add(&text, slice_sub(r->remote_address, 0, 100));
		buf_add_str(&text, r->remote_host.n > 0 ? "])" : "]");
	}
	add_field(w, "Remote-MTA", "dns; ", buf_slice(&text));
	buf_done(&text);
}

/* Each line of the reply on a line of its own (section 2.3.6). */
static void add_diagnostic(struct writer *w, const struct message_dsn_recipient *r)
{
	if (r->n_lines == 0) {
		bool trouble = w->dsn->action == MESSAGE_DSN_FAILED ||
		               w->dsn->action == MESSAGE_DSN_DELAYED;
		if (r->why.n > 0 && trouble)
			add_field(w, "Diagnostic-Code", "X-mailkeep; ", r->why);
		return;
	}
	buf_add_str(w->out, "Diagnostic-Code: smtp;");
	for (size_t i = 0; i < MIN(r->n_lines, (size_t)MESSAGE_DSN_LINES_MAX); i++) {
		struct buf line;
		buf_init(&line, 4 * MESSAGE_DSN_LINE_MAX);
		dsn_add_clean(r->lines[i], MESSAGE_DSN_LINE_MAX, w->utf8, &line);
		struct slice text = slice_trim(buf_slice(&line));
		if (text.n > 0) { /* a line of blanks alone would end the header */
			buf_add_str(w->out, i == 0 ? " " : "\r\n ");
			buf_add(w->out, slice_sub(text, 0, LINE_MAX_OUT - 30));
		}
		buf_done(&line);
	}
	buf_add_str(w->out, "\r\n");
}

static void add_facts_of(struct writer *w, const struct message_dsn_recipient *r)
{
	buf_add_str(w->out, "\r\n");
	add_recipient_fields(w, r);
	buf_printf(w->out, "Action: %s\r\n", message_dsn_action_name(w->dsn->action));
	buf_printf(w->out, "Status: %.*s\r\n", SLICE_FMT(dsn_status_of(w->dsn, r)));
	add_remote_field(w, r);
	add_diagnostic(w, r);
	add_date_field(w, "Last-Attempt-Date", r->last_attempt_s);
	if (w->dsn->action == MESSAGE_DSN_DELAYED)
		add_date_field(w, "Will-Retry-Until", r->retry_until_s);
}

static void add_facts(struct writer *w)
{
	begin_part(w, w->utf8 ? "message/global-delivery-status" : "message/delivery-status",
	           w->utf8);
	add_field(w, "Reporting-MTA", "dns; ", w->dsn->host);
	if (w->dsn->envid.n > 0)
		add_field(w, "Original-Envelope-Id", "", w->dsn->envid);
	add_date_field(w, "Arrival-Date", w->dsn->arrival_s);
	for (size_t i = 0; i < w->dsn->n_recipients; i++)
		add_facts_of(w, &w->dsn->recipients[i]);
}

/* --- the original --- */

/* A field that can be passed on: its lines are neither too long nor hold what is no text. */
static bool is_returnable(struct slice raw)
{
	struct slice line, rest = raw;
	bool more;
	do {
		more = slice_cut(rest, '\n', &line, &rest);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n > LINE_MAX_OUT || slice_has_control(line))
			return false;
	} while (more);
	return true;
}

static void add_lines(struct slice raw, struct buf *out)
{
	struct slice line, rest = raw;
	while (slice_cut(rest, '\n', &line, &rest) || line.n > 0) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_add(out, line);
		buf_add_str(out, "\r\n");
	}
}

/* The fields that are passed on, and whether they are ASCII and UTF-8. */
static void collect_header(struct writer *w, struct buf *fields)
{
	struct message_headers headers = message_headers_of(w->dsn->header);
	struct message_field field;
	bool valid = true;
	while (message_headers_next(&headers, &field)) {
		if (fields->n + 2 * field.raw.n > MESSAGE_DSN_HEADER_MAX)
			break;
		if (field.bad || !is_returnable(field.raw))
			continue;
		w->header_8bit = w->header_8bit || !slice_is_ascii(field.raw);
		valid = valid && utf8_valid(field.raw);
		add_lines(field.raw, fields);
	}
	w->global = w->header_8bit && valid && w->dsn->smtputf8;
}

static void add_original(struct writer *w, struct slice fields)
{
	if (w->dsn->full) {
		begin_part(w, w->global ? "message/global" : "message/rfc822",
		           w->dsn->has_8bit || w->header_8bit);
		return;
	}
	begin_part(w, w->global ? "message/global-headers" : "text/rfc822-headers", w->header_8bit);
	buf_add(w->out, fields);
}

/* --- the whole --- */

static struct status check(const struct message_dsn *dsn)
{
	if (!message_dsn_allowed(dsn->to))
		return fail(ERR_INVALID, "nobody is told where the sender is null");
	if (dsn->n_recipients == 0)
		return fail(ERR_INVALID, "a notification without a recipient");
	if (dsn->n_recipients > MESSAGE_DSN_RECIPIENTS_MAX)
		return fail(ERR_LIMIT, "too many recipients in one notification");
	if (dsn->host.n == 0 || slice_has_control(dsn->host) || !slice_is_ascii(dsn->host))
		return fail(ERR_INVALID, "the reporting host's name cannot stand in a header");
	for (size_t i = 0; i < dsn->n_recipients; i++)
		if (dsn->recipients[i].address.n == 0 ||
		    slice_has_control(dsn->recipients[i].address) ||
		    !utf8_valid(dsn->recipients[i].address))
			return fail(ERR_INVALID, "a recipient cannot stand in a header");
	return ok();
}

static bool needs_utf8(const struct message_dsn *dsn)
{
	bool ascii = true;
	for (size_t i = 0; i < dsn->n_recipients; i++)
		ascii = ascii && slice_is_ascii(dsn->recipients[i].address) &&
		        slice_is_ascii(dsn->recipients[i].original);
	return !ascii;
}

static void init_writer(struct writer *w, const struct message_dsn *dsn, struct buf *head)
{
	struct buf hex;
	*w = (struct writer){.dsn = dsn, .out = head, .utf8 = needs_utf8(dsn)};
	arena_init(&w->scratch, SCRATCH_MAX);
	buf_init(&hex, 2 * MESSAGE_DSN_BOUNDARY_SIZE + 1);
	hex_encode(slice_of(dsn->boundary, sizeof(dsn->boundary)), &hex);
	snprintf(w->boundary, sizeof(w->boundary), "report%s", buf_cstr(&hex));
	buf_done(&hex);
}

static struct status compose(struct writer *w, struct buf *tail, bool *ret_8bit, bool *ret_utf8)
{
	struct buf words, fields;
	bool header_utf8;
	buf_init(&words, w->out->max);
	buf_init(&fields, MESSAGE_DSN_HEADER_MAX);
	collect_header(w, &fields);
	dsn_add_words(w->dsn, &words);
	bool words_8bit = !slice_is_ascii(buf_slice(&words));
	bool is_8bit =
	        words_8bit || w->utf8 || w->header_8bit || (w->dsn->full && w->dsn->has_8bit);
	struct status status = add_header(w, &header_utf8);
	if (is_ok(status)) {
		buf_printf(w->out, "Content-Transfer-Encoding: %s\r\n\r\n",
		           is_8bit ? "8bit" : "7bit");
		buf_add_str(w->out, "This is a delivery status notification in MIME format.\r\n");
		begin_part(w, "text/plain; charset=utf-8", words_8bit);
		buf_add(w->out, buf_slice(&words));
		add_facts(w);
		add_original(w, buf_slice(&fields));
		buf_printf(w->dsn->full ? tail : w->out, "\r\n--%s--\r\n", w->boundary);
	}
	if (is_ok(status) && (buf_failed(w->out) || buf_failed(tail) || buf_failed(&words)))
		status = fail(ERR_LIMIT, "the notification is too large");
	buf_done(&words);
	buf_done(&fields);
	if (is_ok(status)) {
		*ret_8bit = is_8bit || header_utf8;
		*ret_utf8 = header_utf8 || w->utf8 || w->global;
	}
	return status;
}

struct status message_dsn_compose(const struct message_dsn *dsn, struct buf *head, struct buf *tail,
                                  bool *ret_8bit, bool *ret_utf8)
{
	struct writer w;
	TRY(check(dsn));
	init_writer(&w, dsn, head);
	struct status status = compose(&w, tail, ret_8bit, ret_utf8);
	arena_done(&w.scratch);
	return status;
}
