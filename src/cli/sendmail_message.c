/* Completing a header.
 *
 * What is not ASCII in it, as scripts write it, is encoded: display names of addresses and all text
 * for people (RFC 2047). Fields with a grammar of their own (Content-Type ...) stay as they are and
 * make the message one that needs SMTPUTF8. Bytes that are not UTF-8 are read as ISO 8859-1.
 */
#include "cli/sendmail_message.h"

#include "message/date.h"
#include "message/header.h"
#include "text/utf8.h"

#define ARENA_BUDGET ((size_t)64 * 1024 * 1024)

enum field_kind {
	FIELD_OTHER,
	FIELD_REMOVED,
	FIELD_FROM,
	FIELD_DATE,
	FIELD_MESSAGE_ID,
	FIELD_RECIPIENTS, /* To, Cc */
	FIELD_BCC,
	FIELD_RESENT_RECIPIENTS,
	FIELD_RESENT_BCC,
	FIELD_ADDRESSES, /* other fields of addresses */
	FIELD_STRUCTURED,
};

static const struct {
	const char *name;
	enum field_kind kind;
} fields[] = {
        {"Return-Path", FIELD_REMOVED},
        {"Content-Length", FIELD_REMOVED},
        {"From", FIELD_FROM},
        {"Date", FIELD_DATE},
        {"Message-ID", FIELD_MESSAGE_ID},
        {"To", FIELD_RECIPIENTS},
        {"Cc", FIELD_RECIPIENTS},
        {"Bcc", FIELD_BCC},
        {"Resent-To", FIELD_RESENT_RECIPIENTS},
        {"Resent-Cc", FIELD_RESENT_RECIPIENTS},
        {"Resent-Bcc", FIELD_RESENT_BCC},
        {"Sender", FIELD_ADDRESSES},
        {"Reply-To", FIELD_ADDRESSES},
        {"Resent-From", FIELD_ADDRESSES},
        {"Resent-Sender", FIELD_ADDRESSES},
        {"Errors-To", FIELD_ADDRESSES},
        {"Disposition-Notification-To", FIELD_ADDRESSES},
        {"Resent-Date", FIELD_STRUCTURED},
        {"Resent-Message-ID", FIELD_STRUCTURED},
        {"In-Reply-To", FIELD_STRUCTURED},
        {"References", FIELD_STRUCTURED},
        {"Received", FIELD_STRUCTURED},
        {"MIME-Version", FIELD_STRUCTURED},
        {"DKIM-Signature", FIELD_STRUCTURED},
        {"Authentication-Results", FIELD_STRUCTURED},
};

static enum field_kind kind_of(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		if (slice_ieq_str(name, fields[i].name))
			return fields[i].kind;
	bool grammar = slice_istarts(name, SLICE("Content-")) || slice_istarts(name, SLICE("ARC-"));
	return grammar ? FIELD_STRUCTURED : FIELD_OTHER;
}

struct completing {
	const struct sendmail_defaults *defaults;
	struct sendmail_message *m;
	struct message_address_list plain, resent;
	bool has_from, has_date, has_message_id;
};

/* --- encoding --- */

static struct slice to_utf8(struct completing *c, struct slice text)
{
	if (utf8_valid(text))
		return text;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 2 * text.n + 1);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < 0x80) {
			buf_add_byte(&out, text.p[i]);
		} else {
			buf_add_byte(&out, (uint8_t)(0xc0 | text.p[i] >> 6));
			buf_add_byte(&out, (uint8_t)(0x80 | (text.p[i] & 0x3f)));
		}
	}
	return arena_copy(&c->m->arena, buf_slice(&out));
}

/* Addresses without a domain ("root") get the default one. True when there were such. */
static bool add_domains(struct completing *c, struct message_address_list *list)
{
	bool added = false;
	for (size_t i = 0; i < list->n; i++) {
		struct message_address *a = &list->v[i];
		if (a->kind != MESSAGE_ADDRESS_MAILBOX || a->domain.n > 0 || a->localpart.n == 0)
			continue;
		a->domain = slice_str(c->defaults->domain);
		added = true;
	}
	return added;
}

static bool compose_addresses(struct completing *c, const char *name, struct slice value,
                              struct buf *out)
{
	struct message_compose compose;
	struct message_address_list list;
	message_addresses_parse(value, &c->m->arena, &list);
	(void)add_domains(c, &list);
	message_compose_init(&compose, out, false);
	message_compose_addresses(&compose, name, list.v, list.n);
	return !list.truncated && is_ok(message_compose_status(&compose));
}

static bool compose_text(const char *name, struct slice value, struct buf *out)
{
	struct message_compose compose;
	message_compose_init(&compose, out, false);
	message_compose_text(&compose, name, value);
	return is_ok(message_compose_status(&compose));
}

static bool has_addresses(enum field_kind kind)
{
	return kind == FIELD_FROM || kind == FIELD_RECIPIENTS || kind == FIELD_RESENT_RECIPIENTS ||
	       kind == FIELD_ADDRESSES;
}

static bool lacks_domain(struct completing *c, const struct message_field *field,
                         enum field_kind kind)
{
	struct message_address_list list;
	if (!has_addresses(kind))
		return false;
	message_addresses_parse(field->value, &c->m->arena, &list);
	return !list.truncated && add_domains(c, &list);
}

/* A field that is not ASCII, in ASCII, or one whose addresses lack a domain; as it came where that
 * cannot be. */
static void add_encoded(struct completing *c, const struct message_field *field,
                        enum field_kind kind)
{
	CLEANUP(buf_done) struct buf out;
	char *name = arena_cstr(&c->m->arena, field->name);
	struct slice value = to_utf8(c, message_unfold(field->value, &c->m->arena));
	bool done = false;
	buf_init(&out, SENDMAIL_HEADER_MAX);
	if (name && has_addresses(kind))
		done = compose_addresses(c, name, value, &out);
	else if (name && kind == FIELD_OTHER)
		done = compose_text(name, value, &out);
	struct slice text = done ? buf_slice(&out) : to_utf8(c, field->raw);
	c->m->utf8 |= !slice_is_ascii(text);
	buf_add(&c->m->header, text);
}

/* --- fields --- */

static bool is_kept(enum field_kind kind)
{
	return kind != FIELD_REMOVED && kind != FIELD_BCC && kind != FIELD_RESENT_BCC;
}

static void take_field(struct completing *c, const struct message_field *field)
{
	enum field_kind kind = field->bad ? FIELD_STRUCTURED : kind_of(field->name);
	c->has_from |= kind == FIELD_FROM;
	c->has_date |= kind == FIELD_DATE;
	c->has_message_id |= kind == FIELD_MESSAGE_ID;
	if (kind == FIELD_RECIPIENTS || kind == FIELD_BCC)
		message_addresses_add(field->value, &c->m->arena, &c->plain);
	if (kind == FIELD_RESENT_RECIPIENTS || kind == FIELD_RESENT_BCC)
		message_addresses_add(field->value, &c->m->arena, &c->resent);
	if (!is_kept(kind))
		return;
	if (slice_is_ascii(field->raw) && !lacks_domain(c, field, kind))
		buf_add(&c->m->header, field->raw);
	else
		add_encoded(c, field, kind);
}

static struct message_address own_address(const struct sendmail_defaults *d)
{
	struct slice text = slice_str(d->from);
	size_t at = slice_rindex(text, '@');
	return (struct message_address){
	        .kind = MESSAGE_ADDRESS_MAILBOX,
	        .has_name = d->full_name && d->full_name[0],
	        .name = slice_str(d->full_name),
	        .localpart = slice_sub(text, 0, at),
	        .domain = at == SIZE_MAX ? slice_str(d->domain) : slice_from(text, at + 1),
	};
}

static struct status add_missing(struct completing *c)
{
	const struct sendmail_defaults *d = c->defaults;
	struct sendmail_message *m = c->m;
	struct message_compose compose;
	message_compose_init(&compose, &m->header, true);
	if (!c->has_from) {
		struct message_address from = own_address(d);
		message_compose_init(&compose, &m->header, !slice_is_ascii(from.localpart));
		message_compose_addresses(&compose, "From", &from, 1);
		m->utf8 |= !slice_is_ascii(from.localpart);
	}
	if (!c->has_date)
		message_compose_date(&compose, "Date", d->now_s, 0);
	if (!c->has_message_id) {
		snprintf(m->message_id, sizeof(m->message_id),
		         "<%016" PRIx64 "%08" PRIx64 "@%.150s>", d->random[0],
		         d->random[1] & UINT32_MAX, d->domain);
		message_compose_structured(&compose, "Message-ID", slice_str(m->message_id));
	}
	return message_compose_status(&compose);
}

void sendmail_message_done(struct sendmail_message *message)
{
	buf_done(&message->header);
	arena_done(&message->arena);
}

struct status sendmail_message_complete(const struct sendmail_input *input,
                                        const struct sendmail_defaults *defaults,
                                        struct sendmail_message *ret_message)
{
	struct completing c = {.defaults = defaults, .m = ret_message};
	struct message_headers headers = message_headers_of(buf_slice(&input->header));
	struct message_field field;
	*ret_message = (struct sendmail_message){.utf8 = false};
	/* encoded words make a header up to about seven times as long */
	buf_init(&ret_message->header, 8 * SENDMAIL_HEADER_MAX);
	arena_init(&ret_message->arena, ARENA_BUDGET);
	while (message_headers_next(&headers, &field))
		take_field(&c, &field);
	if (!headers.ended)
		return fail(ERR_INVALID, "it has too many header fields");
	TRY(add_missing(&c));
	ret_message->recipients = c.resent.present ? c.resent : c.plain;
	if (ret_message->recipients.truncated)
		return fail(ERR_INVALID, "its header has too many addresses");
	if (buf_failed(&ret_message->header) || arena_failed(&ret_message->arena))
		return fail(ERR_INVALID, "its header is too long");
	return ok();
}

/* --- addresses --- */

/* dot-string of RFC 5321 section 4.1.2 */
static bool needs_quotes(struct slice local)
{
	bool dot_before = true;
	for (size_t i = 0; i < local.n; i++) {
		uint8_t c = local.p[i];
		bool dot = c == '.';
		if (dot && dot_before)
			return true;
		dot_before = dot;
		if (!dot && c < 0x80 && !ascii_is_alnum(c) &&
		    (c == 0 || !strchr("!#$%&'*+-/=?^_`{|}~", c)))
			return true;
	}
	return dot_before;
}

bool sendmail_address_print(const struct message_address *address, const char *domain,
                            struct buf *out)
{
	struct slice local = address->localpart;
	struct slice host = address->domain.n > 0 ? address->domain : slice_str(domain);
	if (address->kind != MESSAGE_ADDRESS_MAILBOX || local.n == 0 || host.n == 0 ||
	    slice_has_control(local) || slice_has_control(host))
		return false;
	bool quotes = needs_quotes(local);
	if (quotes)
		buf_add_byte(out, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (quotes && (local.p[i] == '"' || local.p[i] == '\\'))
			buf_add_byte(out, '\\');
		buf_add_byte(out, local.p[i]);
	}
	if (quotes)
		buf_add_byte(out, '"');
	buf_add_byte(out, '@');
	buf_add(out, host);
	return !buf_failed(out);
}
