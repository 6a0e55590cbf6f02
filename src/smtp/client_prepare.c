/* What is decided before a command goes out, and the commands themselves.
 *
 * | the message needs | the server does not announce it | RFC |
 * |---|---|---|
 * | SIZE | refused when larger than the announced limit: 5.3.4 | 1870 section 6.1 |
 * | BINARYMIME and CHUNKING | refused: 5.6.3 | 3030 section 3 |
 * | 8BITMIME | sent as it is, or refused: 5.6.3 (strict_8bit) | 6152 section 3 |
 * | SMTPUTF8 for the header or the sender | refused: 5.6.9, 5.6.7 | 6531 section 3.5 |
 * | SMTPUTF8 for a recipient | that one is refused: 5.6.7; domains alone become A-labels | 6531 |
 * | REQUIRETLS | refused: 5.7.30; of a notification the parameter is left out | 8689
 * sections 4.2.1, 5 | | DELIVERBY, mode R | refused: 5.4.7 | 2852 section 4.1.4.1 | | FUTURERELEASE
 * | refused: 5.3.3 | 4865 | | DSN, MT-PRIORITY, DELIVERBY mode N | parameters are left out | 3461
 * section 5.2.2, 6710, 2852 |
 */
#include "smtp/client_send.h"

#include "smtp/rules.h"
#include "text/domain.h"

#include "base/encode.h"

/* A path with its domain in both forms stays below this. */
#define PATH_MEMORY ((size_t)2 * 1024)

void smtp_send_init(struct smtp_send *t, struct smtp_client *c, const struct smtp_message *message,
                    const struct smtp_recipient *recipients, size_t n,
                    struct smtp_outcome *outcomes, struct arena *arena)
{
	*t = (struct smtp_send){
	        .c = c,
	        .message = message,
	        .recipients = recipients,
	        .outcomes = outcomes,
	        .n = n,
	        .arena = arena,
	        .rcpts = base_alloc(n * sizeof(*t->rcpts)),
	        .members = base_alloc(n * sizeof(*t->members)),
	};
	arena_init(&t->own, (n + 1) * PATH_MEMORY);
	memset(outcomes, 0, n * sizeof(*outcomes));
}

void smtp_send_done(struct smtp_send *t)
{
	arena_done(&t->own);
	base_free(t->rcpts);
	base_free(t->members);
}

/* --- settling --- */

static void refuse_one(struct smtp_send *t, size_t i, const char *enhanced, const char *why,
                       bool message_fault)
{
	t->outcomes[i] = smtp_outcome_local(SMTP_OUTCOME_FAILED, SMTP_STEP_MAIL, enhanced, why);
	t->outcomes[i].message_fault = message_fault;
	t->rcpts[i].state = SMTP_SEND_SETTLED;
}

static void refuse_all(struct smtp_send *t, const char *enhanced, const char *why,
                       bool message_fault)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->rcpts[i].state == SMTP_SEND_WAITING)
			refuse_one(t, i, enhanced, why, message_fault);
}

/* --- addresses --- */

static bool needs_utf8(const struct smtp_path *path)
{
	return path->kind == SMTP_PATH_MAILBOX && !slice_is_ascii(path->localpart);
}

/* A domain in another script has an ASCII form of the same meaning (RFC 5890). */
static bool to_a_labels(struct smtp_send *t, struct smtp_path *path)
{
	struct text_domain domain;
	if (path->kind != SMTP_PATH_MAILBOX || !path->host.utf8)
		return true;
	if (!is_ok(text_domain_parse(path->host.text, TEXT_DOMAIN_LAX, &domain)))
		return false;
	path->host.text = arena_copy(&t->own, slice_str(domain.ascii));
	path->host.utf8 = false;
	return !arena_failed(&t->own);
}

static bool parse_sender(struct smtp_send *t)
{
	if (t->message->sender.n == 0) {
		t->sender = (struct smtp_path){.kind = SMTP_PATH_NULL, .localpart = slice_empty()};
		return true;
	}
	return is_ok(smtp_mailbox_parse(t->message->sender, &t->own, &t->sender));
}

static void parse_recipient(struct smtp_send *t, size_t i)
{
	struct smtp_path *path = &t->rcpts[i].path;
	if (!is_ok(smtp_mailbox_parse(t->recipients[i].address, &t->own, path)))
		refuse_one(t, i, "5.1.3", "the recipient's address is malformed", true);
}

static bool anybody_needs_utf8(const struct smtp_send *t)
{
	bool needed = t->message->utf8 || needs_utf8(&t->sender);
	for (size_t i = 0; i < t->n && !needed; i++)
		needed = t->rcpts[i].state == SMTP_SEND_WAITING && needs_utf8(&t->rcpts[i].path);
	return needed;
}

static void domains_to_ascii(struct smtp_send *t)
{
	if (!to_a_labels(t, &t->sender))
		refuse_all(t, "5.1.7", "the sender's domain is malformed", true);
	for (size_t i = 0; i < t->n; i++)
		if (t->rcpts[i].state == SMTP_SEND_WAITING && !to_a_labels(t, &t->rcpts[i].path))
			refuse_one(t, i, "5.1.2", "the recipient's domain is malformed", true);
}

static void decide_utf8(struct smtp_send *t)
{
	bool offered = smtp_ehlo_has(&t->c->ehlo, SMTP_EXTENSION_SMTPUTF8);
	t->use_utf8 = offered && anybody_needs_utf8(t);
	if (t->use_utf8)
		return;
	if (needs_utf8(&t->sender))
		refuse_all(t, "5.6.7",
		           "the sender's address is not ASCII and the server does not "
		           "support SMTPUTF8",
		           false);
	if (t->message->utf8)
		refuse_all(t, "5.6.9",
		           "the message's header is not ASCII and the server does not "
		           "support SMTPUTF8",
		           false);
	for (size_t i = 0; i < t->n; i++)
		if (t->rcpts[i].state == SMTP_SEND_WAITING && needs_utf8(&t->rcpts[i].path))
			refuse_one(t, i, "5.6.7",
			           "the recipient's address is not ASCII and the "
			           "server does not support SMTPUTF8",
			           false);
	domains_to_ascii(t);
}

/* --- the message --- */

static uint64_t total_size(const struct smtp_send *t)
{
	return t->message->prefix.n + t->message->content->size;
}

static void check_content(struct smtp_send *t)
{
	const struct smtp_message *m = t->message;
	const struct smtp_ehlo *ehlo = &t->c->ehlo;
	bool chunking = smtp_ehlo_has(ehlo, SMTP_EXTENSION_CHUNKING);
	if (ehlo->size_max > 0 && total_size(t) > ehlo->size_max)
		refuse_all(t, "5.3.4", "the message is larger than the server allows", false);
	if (m->binary && !(chunking && smtp_ehlo_has(ehlo, SMTP_EXTENSION_BINARYMIME)))
		refuse_all(t, "5.6.3",
		           "the message is binary and the server does not support "
		           "BINARYMIME",
		           false);
	if (m->has_8bit && t->c->options.strict_8bit &&
	    !smtp_ehlo_has(ehlo, SMTP_EXTENSION_8BITMIME))
		refuse_all(t, "5.6.3",
		           "the message is 8-bit and the server does not support "
		           "8BITMIME",
		           false);
	t->use_bdat = chunking && (m->binary || !t->c->options.no_chunking);
}

static void check_wishes(struct smtp_send *t)
{
	const struct smtp_message *m = t->message;
	const struct smtp_ehlo *ehlo = &t->c->ehlo;
	bool is_enough = m->sender.n == 0 || smtp_ehlo_has(ehlo, SMTP_EXTENSION_REQUIRETLS);
	if (m->require_tls && !(t->c->options.stream->tls.on && is_enough))
		refuse_all(t, "5.7.30",
		           "the message requires TLS all the way and the server does "
		           "not support REQUIRETLS",
		           false);
	bool by = smtp_ehlo_has(ehlo, SMTP_EXTENSION_DELIVERBY);
	if (m->by_mode == SMTP_BY_RETURN &&
	    (!by || m->by_s <= 0 || (uint64_t)m->by_s < ehlo->deliver_by_min_s))
		refuse_all(t, "5.4.7",
		           "the server does not promise delivery within the time that "
		           "is left",
		           false);
	if (m->hold_for_s > 0 && (!smtp_ehlo_has(ehlo, SMTP_EXTENSION_FUTURERELEASE) ||
	                          (ehlo->hold_max_s > 0 && m->hold_for_s > ehlo->hold_max_s)))
		refuse_all(t, "5.3.3", "the server does not hold messages for that long", false);
}

void smtp_send_prepare(struct smtp_send *t)
{
	t->pipelining = smtp_ehlo_has(&t->c->ehlo, SMTP_EXTENSION_PIPELINING) &&
	                !t->c->options.no_pipelining;
	for (size_t i = 0; i < t->n; i++)
		parse_recipient(t, i);
	if (!parse_sender(t))
		refuse_all(t, "5.1.7", "the sender's address is malformed", true);
	if (!smtp_client_usable(t->c))
		return; /* nothing is known of what the server can do */
	decide_utf8(t);
	check_content(t);
	check_wishes(t);
}

/* --- commands --- */

static enum smtp_body body_of(const struct smtp_send *t)
{
	const struct smtp_message *m = t->message;
	if (m->binary)
		return SMTP_BODY_BINARYMIME;
	bool high = m->has_8bit || m->utf8;
	return high && smtp_ehlo_has(&t->c->ehlo, SMTP_EXTENSION_8BITMIME) ? SMTP_BODY_8BITMIME
	                                                                   : SMTP_BODY_UNSTATED;
}

/* Length as it will be written, or SIZE_MAX for what an xtext should not hold. */
static size_t xtext_size(struct slice text, size_t max)
{
	CLEANUP(buf_done) struct buf encoded;
	buf_init(&encoded, max + 1);
	if (slice_has_control(text))
		return SIZE_MAX;
	xtext_encode(text, &encoded);
	return buf_failed(&encoded) ? SIZE_MAX : encoded.n;
}

static void add_dsn(const struct smtp_send *t, struct smtp_mail_params *params)
{
	const struct smtp_message *m = t->message;
	if (!smtp_ehlo_has(&t->c->ehlo, SMTP_EXTENSION_DSN))
		return;
	params->ret = m->ret;
	params->has_envid =
	        m->envid.n > 0 && xtext_size(m->envid, SMTP_ENVID_MAX) <= SMTP_ENVID_MAX;
	params->envid = m->envid;
}

void smtp_send_print_mail(const struct smtp_send *t, struct buf *line)
{
	const struct smtp_message *m = t->message;
	const struct smtp_ehlo *ehlo = &t->c->ehlo;
	struct smtp_mail_params params = {
	        .has_size = smtp_ehlo_has(ehlo, SMTP_EXTENSION_SIZE),
	        .size = total_size(t),
	        .body = body_of(t),
	        .utf8 = t->use_utf8,
	        .envid = slice_empty(),
	        .has_hold_for = m->hold_for_s > 0,
	        .hold_for_s = MIN(m->hold_for_s, SMTP_HOLD_MAX),
	        .has_priority = m->has_priority && smtp_ehlo_has(ehlo, SMTP_EXTENSION_MT_PRIORITY),
	        .priority = MAX(SMTP_PRIORITY_MIN, MIN(m->priority, SMTP_PRIORITY_MAX)),
	        .require_tls = m->require_tls && smtp_ehlo_has(ehlo, SMTP_EXTENSION_REQUIRETLS),
	};
	if (smtp_ehlo_has(ehlo, SMTP_EXTENSION_DELIVERBY)) {
		params.by_mode = m->by_mode;
		params.by_s = MAX(-SMTP_BY_MAX, MIN(m->by_s, SMTP_BY_MAX));
		params.by_trace = m->by_trace;
	}
	add_dsn(t, &params);
	buf_add_str(line, "MAIL FROM:");
	smtp_path_print(&t->sender, line);
	smtp_mail_params_print(&params, line);
}

/* An address of type utf-8 where there is no SMTPUTF8: \x{...} for each character beyond ASCII
 * (RFC 6533 section 3, utf-8-addr-xtext). What is ASCII is kept as it came: its escapes stand
 * already. */
static void print_orcpt_ascii(struct slice type, struct slice address, struct buf *out)
{
	buf_add_str(out, " ORCPT=");
	buf_add(out, type);
	buf_add_byte(out, ';');
	while (address.n > 0) {
		size_t size = smtp_utf8_size(address);
		uint32_t c = size == 0 ? 0 : address.p[0] & (0x7fu >> size);
		for (size_t i = 1; i < size; i++)
			c = c << 6 | (address.p[i] & 0x3f);
		if (size > 0)
			buf_printf(out, "\\x{%" PRIX32 "}", c);
		else
			buf_add_byte(out, address.p[0]);
		address = slice_from(address, MAX(size, (size_t)1));
	}
}

/* Characters that may stand in an ORCPT of type utf-8: no blanks, no "+", no "=", only UTF-8. */
static bool is_utf8_orcpt(struct slice address)
{
	while (address.n > 0) {
		uint8_t c = address.p[0];
		size_t size =
		        c > ' ' && c < 0x7f && c != '+' && c != '=' ? 1 : smtp_utf8_size(address);
		if (size == 0)
			return false;
		address = slice_from(address, size);
	}
	return true;
}

static bool is_orcpt_type(struct slice type)
{
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	return type.n > 0;
}

static void print_orcpt(const struct smtp_send *t, struct slice orcpt,
                        struct smtp_rcpt_params *params, struct buf *line)
{
	struct slice type, address;
	bool good = slice_cut(orcpt, ';', &type, &address) && is_orcpt_type(type) &&
	            address.n > 0 && type.n < 64 && !slice_has_control(address);
	bool utf8 = good && slice_ieq_str(type, "utf-8");
	if (good && utf8)
		good = is_utf8_orcpt(address) && orcpt.n * 2 <= SMTP_ORCPT_MAX;
	else if (good)
		good = xtext_size(address, SMTP_ORCPT_MAX) <= SMTP_ORCPT_MAX - type.n - 1;
	params->has_orcpt = good && (!utf8 || (t->use_utf8 && !slice_is_ascii(address)));
	params->orcpt_type = type;
	params->orcpt_address = address;
	smtp_rcpt_params_print(params, line);
	if (good && !params->has_orcpt)
		print_orcpt_ascii(type, address, line);
}

/* RFC 2852 section 4.1.4.2: where nobody there knows of the time limit, delays are to be told. */
static unsigned notify_of(const struct smtp_send *t, unsigned notify)
{
	bool unknown = t->message->by_mode == SMTP_BY_NOTIFY &&
	               !smtp_ehlo_has(&t->c->ehlo, SMTP_EXTENSION_DELIVERBY);
	if (!unknown || notify == SMTP_NOTIFY_NEVER)
		return notify;
	return (notify == 0 ? SMTP_NOTIFY_FAILURE : notify) | SMTP_NOTIFY_DELAY;
}

void smtp_send_print_rcpt(const struct smtp_send *t, size_t i, struct buf *line)
{
	const struct smtp_recipient *recipient = &t->recipients[i];
	buf_add_str(line, "RCPT TO:");
	smtp_path_print(&t->rcpts[i].path, line);
	if (!smtp_ehlo_has(&t->c->ehlo, SMTP_EXTENSION_DSN))
		return;
	struct smtp_rcpt_params params = {.notify = notify_of(t, recipient->notify)};
	print_orcpt(t, recipient->orcpt, &params, line);
}
