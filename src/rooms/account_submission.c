/* Submission: who may send as whom and how much, the header made complete, then the queue.
 *
 * The body goes to the queue as it came, but for fields that must not leave; what is added stands
 * in a prefix before it. 250 is said when the queue has the message on disk. The request to the
 * queue carries an id, so that it can be made again when the queue's room ended before it answered.
 *
 * Recipients count against the account's limits before the queue is asked and are taken back when
 * it says no: what fell to a crash between the two counts, which harms nobody.
 *
 * Limits: those of the SMTP session, RECIPIENTS_SIZE octets of recipients in one transaction (they
 * go in one packet), limits.sent_per_day and first_time_recipients_per_day of the account.
 */
#include "rooms/account_submission.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "queue.pb-c.h"
#include "rooms/dkim_signer.h"
#include "rooms/peers.h"
#include "rooms/spool.h"
#include "smtp/server.h"
#include "smtp/submitted.h"
#include "smtp/trace.h"
#include "store/sent.h"

#define TRANSACTION_MEMORY ((size_t)4 * 1024 * 1024)
#define HEADER_MEMORY      ((size_t)8 * 1024 * 1024)
#define HEADER_MAX         ((uint64_t)1024 * 1024) /* as smtp_server_options_init has it */
#define PREFIX_MAX         ((size_t)8 * 1024 + DKIM_SIGNER_FIELDS_MAX)
#define RECIPIENTS_SIZE    ((size_t)96 * 1024) /* packed; IPC_PACKET_MAX with room for the rest */
#define RECIPIENT_EXTRA    ((size_t)16)        /* what packing adds to one */
#define REPLY_TEXT_MAX     300
#define ID_SIZE            16
#define QUEUE_TIMEOUT_MS   120000
#define QUEUE_PATIENCE_S   60
#define QUEUE_PAUSE_US     200000
#define REPLY_MEMORY       ((size_t)256 * 1024)

struct submission {
	const struct account_submission *options;
	struct room_config *config; /* of this transaction */
	const struct config_account *account;
	struct arena arena; /* of this transaction */
	struct spool spool;
	size_t rcpts_size;
	char cid_text[20];
	char reply_text[REPLY_TEXT_MAX];
};

/* A message whose content is complete. */
struct message {
	const struct smtp_envelope *envelope;
	struct smtp_submitted header;
	struct slice block; /* the header's bytes */
	struct buf prefix;
	int fd;
	uint64_t size;
	struct spool rewritten; /* holds the message when fields had to go */
	int64_t now_s;
};

static struct smtp_reply words(struct submission *s, enum smtp_reply_id id, const char *text)
{
	snprintf(s->reply_text, sizeof(s->reply_text), "%s", text);
	return smtp_reply_text(id, s->reply_text);
}

/* ---- MAIL and RCPT ---- */

static struct slice domain_of(const struct smtp_path *path)
{
	return path->kind == SMTP_PATH_MAILBOX ? path->host.text : slice_empty();
}

static struct smtp_reply not_yours(struct submission *s, const char *what, struct slice localpart,
                                   struct slice domain)
{
	struct buf text;
	buf_init(&text, REPLY_TEXT_MAX - 1);
	buf_printf(&text, "%s", what);
	if (slice_is_ascii(localpart) && slice_is_ascii(domain) && localpart.n + domain.n < 150) {
		buf_add_str(&text, " ");
		for (size_t i = 0; i < localpart.n; i++)
			buf_add_byte(&text, ascii_is_print(localpart.p[i]) ? localpart.p[i] : '?');
		buf_printf(&text, "@%.*s", SLICE_FMT(domain));
	}
	buf_add_str(&text, " is not an address of this account, nor of an alias that lets it send");
	struct smtp_reply reply = words(s, SMTP_REPLY_NOT_YOUR_ADDRESS, buf_cstr(&text));
	buf_done(&text);
	return reply;
}

static struct smtp_reply on_mail(void *context, const struct smtp_envelope *envelope)
{
	struct submission *s = context;
	const struct smtp_path *from = &envelope->mail.from;
	room_config_unref(s->config);
	s->config = room_config_get(s->options->room);
	s->account = config_account_find(s->config->config, slice_str(s->options->account));
	s->rcpts_size = 0;
	if (!s->account || !s->account->enabled)
		return words(s, SMTP_REPLY_POLICY, "This account is disabled");
	if (from->kind == SMTP_PATH_NULL) /* reports that mail programs make (RFC 8098 section 3) */
		return smtp_reply(SMTP_REPLY_NONE);
	if (!config_may_send_as(s->config->config, s->account, from->localpart, domain_of(from)))
		return not_yours(s, "The sender", from->localpart, domain_of(from));
	return smtp_reply(SMTP_REPLY_NONE);
}

/* Own domains are asked at once: a slip of the pen is told while the writer still looks. */
static struct smtp_reply judge_rcpt(struct submission *s, const struct smtp_path *to)
{
	struct config_lookup found;
	config_lookup_address(s->config->config, to->localpart, domain_of(to), &found);
	switch (found.kind) {
	case CONFIG_LOOKUP_ACCOUNT:
	case CONFIG_LOOKUP_ALIAS:
		return smtp_reply(SMTP_REPLY_NONE);
	case CONFIG_LOOKUP_UNKNOWN_DOMAIN:
		if (to->kind == SMTP_PATH_POSTMASTER)
			return smtp_reply(SMTP_REPLY_NO_SUCH_USER);
		return smtp_reply(SMTP_REPLY_NONE);
	case CONFIG_LOOKUP_UNKNOWN_USER:
		return smtp_reply(SMTP_REPLY_NO_SUCH_USER);
	case CONFIG_LOOKUP_DISABLED:
		return smtp_reply(SMTP_REPLY_USER_DISABLED);
	}
	return smtp_reply(SMTP_REPLY_TRY_LATER);
}

/* One that was named before in the transaction is accepted and goes out once: a message to it 200
 * times would be one recipient for the limits. */
static bool is_repeated(const struct smtp_rcpt *rcpt)
{
	return rcpt->entry != NULL;
}

static struct smtp_reply on_rcpt(void *context, const struct smtp_envelope *envelope,
                                 struct smtp_rcpt *rcpt)
{
	struct submission *s = context;
	const struct smtp_rcpt_params *params = &rcpt->params;
	for (size_t i = 0; i < envelope->n_rcpts && !rcpt->entry; i++)
		if (smtp_path_eq(&envelope->rcpts[i].to, &rcpt->to))
			rcpt->entry = s;
	if (is_repeated(rcpt))
		return smtp_reply(SMTP_REPLY_NONE);
	size_t size = rcpt->to.localpart.n * 2 + domain_of(&rcpt->to).n + params->orcpt_type.n +
	              params->orcpt_address.n + 2 * RECIPIENT_EXTRA;
	if (s->rcpts_size + size > RECIPIENTS_SIZE)
		return smtp_reply(SMTP_REPLY_TOO_MANY_RCPTS);
	struct smtp_reply reply = judge_rcpt(s, &rcpt->to);
	if (reply.code == 0)
		s->rcpts_size += size;
	return reply;
}

/* ---- content ---- */

static struct status on_data_open(void *context, const struct smtp_envelope *envelope)
{
	struct submission *s = context;
	(void)envelope;
	spool_reset(&s->spool);
	return ok();
}

static struct status on_data_write(void *context, struct slice octets)
{
	struct submission *s = context;
	return spool_write(&s->spool, octets);
}

static void on_data_abort(void *context)
{
	struct submission *s = context;
	spool_reset(&s->spool);
}

static void on_reset(void *context)
{
	struct submission *s = context;
	spool_reset(&s->spool);
	arena_reset(&s->arena);
}

/* ---- the header ---- */

static struct status read_header(const struct message *m, struct arena *arena,
                                 struct slice *ret_block)
{
	size_t n = (size_t)MIN(m->size, HEADER_MAX);
	uint8_t *bytes = arena_alloc(arena, MAX(n, (size_t)1));
	if (!bytes)
		return fail(ERR_LIMIT, "no memory for the header");
	TRY(fd_pread_all(m->fd, bytes, n, 0, NULL));
	*ret_block = slice_of(bytes, n);
	return ok();
}

/* Every author and the sender, if one is named, must be the account (RFC 6409 section 6.1). */
static struct smtp_reply judge_authors(struct submission *s, const struct smtp_submitted *header)
{
	const struct message_address_list *lists[] = {&header->from, &header->sender};
	static const char *const names[] = {"From", "Sender"};
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		for (size_t j = 0; j < lists[i]->n; j++) {
			const struct message_address *address = &lists[i]->v[j];
			if (!config_may_send_as(s->config->config, s->account, address->localpart,
			                        address->domain))
				return not_yours(s, names[i], address->localpart, address->domain);
		}
	}
	return smtp_reply(SMTP_REPLY_NONE);
}

/* The message without the fields that must not leave: a new header, the body copied behind it. */
static struct status rewrite(struct message *m, uint64_t size)
{
	struct buf header;
	int fd;
	buf_init(&header, (size_t)HEADER_MAX + 1);
	smtp_submitted_print(slice_sub(m->block, 0, m->header.header_size), &header);
	struct status status = spool_write(&m->rewritten, buf_slice(&header));
	uint64_t at = m->header.header_size;
	uint8_t *bytes = base_alloc(SPOOL_BUFFER_SIZE);
	while (is_ok(status) && at < size) {
		size_t n = (size_t)MIN(size - at, (uint64_t)SPOOL_BUFFER_SIZE);
		status = fd_pread_all(m->fd, bytes, n, at, NULL);
		if (is_ok(status))
			status = spool_write(&m->rewritten, slice_of(bytes, n));
		at += n;
	}
	base_free(bytes);
	buf_done(&header);
	TRY(status);
	TRY(spool_finish(&m->rewritten, &fd));
	m->fd = fd;
	m->size = m->rewritten.size;
	return ok();
}

/* Received without a word about where the user is, then what the header lacks. */
static struct status make_prefix(struct submission *s, struct message *m)
{
	uint8_t random[ID_SIZE];
	char id[2 * ID_SIZE + 1];
	const char *hostname = s->config->config->hostname_ascii;
	const struct smtp_trace trace = {
	        .by = slice_str(hostname),
	        .id = slice_str(s->cid_text),
	        .extended = m->envelope->extended,
	        .utf8 = m->envelope->mail.params.utf8,
	        .authenticated = true,
	        .tls = m->envelope->tls,
	        .at_s = m->now_s,
	};
	room_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	TRY(smtp_received_print(&trace, &m->prefix));
	smtp_submitted_complete(&m->header, slice_str(id), hostname, m->now_s, &m->prefix);
	if (!m->header.has_message_id)
		m->header.message_id = slice_str(arena_printf(&s->arena, "<%s@%s>", id, hostname));
	return buf_failed(&m->prefix) || arena_failed(&s->arena)
	               ? fail(ERR_LIMIT, "header lines are too long")
	               : ok();
}

/* ---- signing ---- */

/* By the keys of the author's domain; put on top. */
static struct status sign(struct submission *s, struct message *m)
{
	const struct config_domain *domain =
	        dkim_signer_domain(s->config->config, s->account, m->header.from.v[0].domain);
	const struct dkim_signer_message message = {
	        .prefix = buf_slice(&m->prefix),
	        .fd = m->fd,
	        .n_header = (size_t)(m->size - (s->spool.size - m->header.header_size)),
	        .size = m->size,
	        .now_s = m->now_s,
	        .utf8 = m->envelope->mail.params.utf8,
	        .cid = s->options->cid,
	};
	struct buf fields;
	if (!domain)
		return ok();
	buf_init(&fields, PREFIX_MAX);
	struct status status = dkim_signer_sign(s->options->room, domain, &message, &fields);
	buf_add(&fields, buf_slice(&m->prefix));
	buf_reset(&m->prefix);
	buf_add(&m->prefix, buf_slice(&fields));
	if (is_ok(status) && buf_failed(&fields))
		status = fail(ERR_LIMIT, "header lines are too long");
	buf_done(&fields);
	return status;
}

/* Another time is no better for a message that is not fit to be signed. */
static struct smtp_reply refuse_to_sign(struct submission *s, struct status status)
{
	log_error(s->options->cid, "a message cannot be signed", LOG_STATUS(status));
	if (status.code == ERR_INVALID || status.code == ERR_LIMIT)
		return words(s, SMTP_REPLY_BAD_MESSAGE, status.why);
	return smtp_reply(SMTP_REPLY_TRY_LATER);
}

/* ---- limits ---- */

static struct smtp_reply over_limit(struct submission *s, enum store_sent_verdict verdict,
                                    const struct store_sent_state *state)
{
	bool day = verdict == STORE_SENT_OVER_DAY;
	uint64_t limit = day ? s->account->sent_per_day : s->account->first_time_recipients_per_day;
	log_warn(s->options->cid, "sending limit reached", LOG_STR("account", s->options->account),
	         LOG_STR("limit", day ? "sent_per_day" : "first_time_recipients_per_day"),
	         LOG_UINT("at", limit), LOG_UINT("sent", day ? state->n : state->n_first));
	snprintf(s->reply_text, sizeof(s->reply_text),
	         "This account may send to at most %" PRIu64
	         " recipients%s in 24 hours and has sent "
	         "to %" PRIu64 "; try again later, or ask the administrator",
	         limit, day ? "" : " that it never wrote to before",
	         day ? state->n : state->n_first);
	return smtp_reply_text(SMTP_REPLY_NOT_NOW_LIMIT, s->reply_text);
}

static struct smtp_reply count_recipients(struct submission *s, const struct smtp_envelope *e,
                                          struct store_sent_count *ret_count)
{
	const struct store_sent_limits limits = {.per_day = s->account->sent_per_day,
	                                         .first_time_per_day =
	                                                 s->account->first_time_recipients_per_day};
	struct slice *list = ARENA_ARRAY(&s->arena, e->n_rcpts, struct slice);
	size_t n = 0;
	enum store_sent_verdict verdict;
	struct store_sent_state state;
	struct buf text;
	buf_init(&text, SMTP_PATH_MAX);
	for (size_t i = 0; list && i < e->n_rcpts; i++) {
		if (is_repeated(&e->rcpts[i]))
			continue;
		buf_reset(&text);
		smtp_mailbox_print(&e->rcpts[i].to, &text);
		list[n++] = arena_copy(&s->arena, buf_slice(&text));
	}
	buf_done(&text);
	if (arena_failed(&s->arena))
		return smtp_reply(SMTP_REPLY_ENVELOPE_TOO_LARGE);
	struct status status = store_sent_add(s->options->store, list, n, &limits, &s->arena,
	                                      &verdict, ret_count, &state);
	if (!is_ok(status))
		return smtp_reply_of_status(status);
	return verdict == STORE_SENT_OK ? smtp_reply(SMTP_REPLY_NONE)
	                                : over_limit(s, verdict, &state);
}

/* ---- the queue ---- */

static char *print_path(const struct smtp_path *path, struct arena *arena)
{
	struct buf text;
	buf_init(&text, SMTP_PATH_MAX);
	smtp_mailbox_print(path, &text);
	char *copy = arena_cstr(arena, buf_slice(&text));
	buf_done(&text);
	return copy;
}

static char *print_orcpt(const struct smtp_rcpt_params *params, struct arena *arena)
{
	if (!params->has_orcpt)
		return arena_cstr(arena, slice_empty());
	return arena_printf(arena, "%.*s;%.*s", SLICE_FMT(params->orcpt_type),
	                    SLICE_FMT(params->orcpt_address));
}

/* Postmaster at our host name, or at no domain, is ours although the host name need be no domain of
 * ours: the queue is given an address of the account that it leads to. */
static char *postmaster_address(const struct config_account *account, struct arena *arena)
{
	const char *address = account->addresses.n > 0 ? account->addresses.v[0].s : "";
	return *address == '@' ? arena_printf(arena, "postmaster%s", address)
	                       : arena_cstr(arena, slice_str(address));
}

static char *address_of(struct submission *s, const struct smtp_path *to)
{
	struct config_lookup found;
	config_lookup_address(s->config->config, to->localpart, domain_of(to), &found);
	if (found.kind == CONFIG_LOOKUP_ACCOUNT && found.match == CONFIG_MATCH_POSTMASTER &&
	    !config_domain_find(s->config->config, domain_of(to)))
		return postmaster_address(found.account, &s->arena);
	return print_path(to, &s->arena);
}

static void add_recipients(struct submission *s, const struct smtp_envelope *e, Door__QueueAdd *add)
{
	Door__QueueRecipient *items = ARENA_ARRAY(&s->arena, e->n_rcpts, Door__QueueRecipient);
	add->recipients = ARENA_ARRAY(&s->arena, e->n_rcpts, Door__QueueRecipient *);
	for (size_t i = 0; items && add->recipients && i < e->n_rcpts; i++) {
		const struct smtp_rcpt *rcpt = &e->rcpts[i];
		if (is_repeated(rcpt))
			continue;
		door__queue_recipient__init(&items[i]);
		items[i].address = address_of(s, &rcpt->to);
		items[i].notify = rcpt->params.notify;
		items[i].orcpt = print_orcpt(&rcpt->params, &s->arena);
		add->recipients[add->n_recipients++] = &items[i];
	}
}

static void add_extensions(const struct message *m, Door__QueueAdd *add)
{
	const struct smtp_mail_params *params = &m->envelope->mail.params;
	add->ret = params->ret;
	if (params->has_hold_for)
		add->hold_until_ms = (m->now_s + (int64_t)params->hold_for_s) * 1000;
	if (params->has_hold_until && params->hold_until_s > m->now_s)
		add->hold_until_ms = params->hold_until_s * 1000;
	if (params->by_mode != SMTP_BY_NONE) {
		add->deliver_by_ms = (m->now_s + params->by_s) * 1000;
		add->deliver_by_mode = params->by_mode;
		add->deliver_by_trace = params->by_trace;
	}
	add->priority = params->priority;
	add->require_tls = params->require_tls;
	/* RFC 8689 section 4.1: the parameter outweighs the header field */
	add->tls_optional = m->header.tls_optional && !params->require_tls;
}

static bool needs_utf8(const struct smtp_envelope *e)
{
	bool utf8 = e->header_8bit || e->mail.from.utf8;
	for (size_t i = 0; i < e->n_rcpts; i++)
		utf8 = utf8 || e->rcpts[i].to.utf8;
	return e->mail.params.utf8 && utf8;
}

static char *print_author(const struct smtp_submitted *header, struct arena *arena)
{
	const struct message_address *author = &header->from.v[0];
	return arena_printf(arena, "%.*s@%.*s", SLICE_FMT(author->localpart),
	                    SLICE_FMT(author->domain));
}

static struct status fill_request(struct submission *s, const struct message *m,
                                  Door__QueueAdd *add)
{
	const struct smtp_envelope *e = m->envelope;
	uint8_t *id = arena_alloc(&s->arena, ID_SIZE);
	door__queue_add__init(add);
	if (id)
		room_random(id, ID_SIZE);
	add->submission_id = door_binary(slice_of(id, id ? ID_SIZE : 0));
	add->account = door_string(s->options->account);
	add->sender = print_path(&e->mail.from, &s->arena);
	add->from = print_author(&m->header, &s->arena);
	add->message_id = arena_cstr(&s->arena, m->header.message_id);
	add->subject = arena_cstr(&s->arena, m->header.subject);
	add->references = door_binary(m->header.references);
	add->prefix = door_binary(buf_slice(&m->prefix));
	add->size = m->size;
	add->has_8bit = e->has_8bit;
	add->smtputf8 = needs_utf8(e);
	add->binary = e->has_bare;
	add->envid = arena_cstr(&s->arena,
	                        e->mail.params.has_envid ? e->mail.params.envid : slice_empty());
	add_extensions(m, add);
	add_recipients(s, e, add);
	return arena_failed(&s->arena) ? fail(ERR_LIMIT, "the envelope is too large") : ok();
}

static struct status read_reply(const Door__QueueReply *reply)
{
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the queue");
	uint32_t code = reply->status->code;
	/* The text lives in the reply's arena: static words for what is said on. */
	return code == ERR_OK ? ok()
	                      : fail(code < ERR_COUNT ? (enum err)code : ERR_PROTOCOL,
	                             "the queue could not take it");
}

static struct status ask_queue(struct submission *s, const Door__QueueRequest *request, int fd,
                               bool *ret_answered)
{
	struct arena arena;
	ProtobufCMessage *reply = NULL;
	arena_init(&arena, REPLY_MEMORY);
	struct status status =
	        room_call(s->options->room, IPC_ROOM_QUEUE, "", s->options->cid, &request->base,
	                  &fd, 1, QUEUE_TIMEOUT_MS, &door__queue_reply__descriptor, &arena, &reply);
	*ret_answered = is_ok(status);
	if (is_ok(status))
		status = read_reply((const Door__QueueReply *)reply);
	arena_done(&arena);
	return status;
}

/* A queue that ended before it answered may have the message on disk: a 451 would have the client
 * send it a second time. So its successor is asked, under the same id, for as long as that may
 * reasonably take. */
static struct status hand_over(struct submission *s, const struct message *m)
{
	Door__QueueAdd add;
	TRY(fill_request(s, m, &add));
	Door__QueueRequest request = DOOR__QUEUE_REQUEST__INIT;
	request.body_case = DOOR__QUEUE_REQUEST__BODY_ADD;
	request.add = &add;
	int64_t until = clock_now_s(clock_real()) + QUEUE_PATIENCE_S;
	for (;;) {
		bool answered;
		struct status status = ask_queue(s, &request, m->fd, &answered);
		if (answered || clock_now_s(clock_real()) >= until)
			return status;
		usleep(QUEUE_PAUSE_US);
	}
}

/* ---- the message ---- */

static struct smtp_reply refuse_header(struct submission *s, struct status status)
{
	if (status.code == ERR_SYNTAX)
		return words(s, SMTP_REPLY_BAD_MESSAGE, status.why);
	return status.code == ERR_LIMIT ? smtp_reply(SMTP_REPLY_HEADER_TOO_LARGE)
	                                : smtp_reply_of_status(status);
}

static struct smtp_reply prepare(struct submission *s, struct message *m, struct arena *arena)
{
	struct status status = spool_finish(&s->spool, &m->fd);
	m->size = s->spool.size;
	if (is_ok(status))
		status = read_header(m, arena, &m->block);
	if (is_ok(status))
		status = smtp_submitted_parse(m->block, arena, &m->header);
	if (!is_ok(status))
		return refuse_header(s, status);
	struct smtp_reply reply = judge_authors(s, &m->header);
	if (reply.code != 0)
		return reply;
	if (m->header.has_unwanted)
		status = rewrite(m, m->size);
	if (is_ok(status))
		status = make_prefix(s, m);
	if (!is_ok(status))
		return smtp_reply_of_status(status);
	status = sign(s, m);
	return is_ok(status) ? smtp_reply(SMTP_REPLY_NONE) : refuse_to_sign(s, status);
}

static struct smtp_reply send_message(struct submission *s, const struct message *m)
{
	struct store_sent_count count;
	struct smtp_reply reply = count_recipients(s, m->envelope, &count);
	if (reply.code != 0)
		return reply;
	struct status status = hand_over(s, m);
	if (is_ok(status)) {
		snprintf(s->reply_text, sizeof(s->reply_text), "Message accepted, id %s",
		         s->cid_text);
		return smtp_reply_text(SMTP_REPLY_ACCEPTED, s->reply_text);
	}
	log_error(s->options->cid, "the queue does not take a message", LOG_STATUS(status));
	struct status back = store_sent_take_back(s->options->store, &count);
	if (!is_ok(back))
		log_error(s->options->cid, "its recipients stay counted", LOG_STATUS(back));
	if (status.code == ERR_LIMIT || status.code == ERR_SYNTAX) /* another time is no better */
		return words(s, SMTP_REPLY_BAD_MESSAGE, "The queue cannot hold this message");
	return status.code == ERR_NO_SPACE ? smtp_reply(SMTP_REPLY_NO_SPACE)
	                                   : smtp_reply(SMTP_REPLY_TRY_LATER);
}

static struct smtp_reply on_data_end(void *context, const struct smtp_envelope *envelope)
{
	struct submission *s = context;
	struct arena arena;
	struct message m = {.envelope = envelope, .fd = -1, .now_s = clock_now_s(clock_real())};
	arena_init(&arena, HEADER_MEMORY);
	buf_init(&m.prefix, PREFIX_MAX);
	spool_init(&m.rewritten);
	struct smtp_reply reply = prepare(s, &m, &arena);
	if (reply.code == 0)
		reply = send_message(s, &m);
	log_info(s->options->cid, "submitted", LOG_STR("account", s->options->account),
	         LOG_SLICE("message_id", m.header.message_id), LOG_UINT("rcpts", envelope->n_rcpts),
	         LOG_UINT("size", envelope->size), LOG_UINT("code", reply.code));
	spool_done(&m.rewritten);
	buf_done(&m.prefix);
	arena_done(&arena);
	return reply;
}

static void on_event(void *context, const struct smtp_event *event)
{
	const struct submission *s = context;
	if (event->kind == SMTP_EVENT_REFUSED)
		log_info(s->options->cid, "command refused",
		         LOG_STR("account", s->options->account),
		         LOG_UINT("code", event->reply.code), LOG_SLICE("line", event->text));
	else if (event->kind == SMTP_EVENT_SMUGGLING)
		log_info(s->options->cid, "message with bare CR, LF or NUL refused",
		         LOG_STR("account", s->options->account));
}

static const struct smtp_server_ops submission_ops = {
        .mail = on_mail,
        .rcpt = on_rcpt,
        .data_open = on_data_open,
        .data_write = on_data_write,
        .data_end = on_data_end,
        .data_abort = on_data_abort,
        .reset = on_reset,
        .event = on_event,
};

/* ---- the session ---- */

static void set_options(struct submission *s, struct smtp_server_options *options)
{
	const struct config *config = s->config->config;
	smtp_server_options_init(options);
	options->stream = s->options->stream;
	options->clock = clock_real();
	options->ops = &submission_ops;
	options->context = s;
	options->hostname = config->hostname_ascii;
	options->cid = s->cid_text;
	options->wake_fd = s->options->wake_fd;
	options->submission = true;
	options->greet = s->options->local;
	options->limits.message_size = config->limits.message_size;
	options->limits.rcpts = config->limits.recipients;
	options->limits.received = config->limits.received_hops;
	options->timeouts.command_ms = (int)config->timeouts.smtp_command_ms;
	options->timeouts.data_block_ms = (int)config->timeouts.smtp_data_block_ms;
	options->timeouts.data_total_ms = (int)config->timeouts.smtp_data_total_ms;
}

static struct status say(const struct submission *s, enum smtp_reply_id id)
{
	struct buf text;
	buf_init(&text, SMTP_REPLY_LINE_MAX);
	struct status status = smtp_reply_print(smtp_reply(id), &text);
	if (is_ok(status))
		status = stream_write(s->options->stream, buf_slice(&text));
	buf_done(&text);
	return status;
}

static void serve(struct submission *s)
{
	struct smtp_server_options options;
	struct smtp_server_summary summary;
	set_options(s, &options);
	smtp_server_run(&options, &summary);
	log_info(s->options->cid, "submission session ended",
	         LOG_STR("account", s->options->account), LOG_UINT("accepted", summary.n_accepted),
	         LOG_UINT("errors", summary.n_errors),
	         LOG_STR("why", summary.why ? summary.why : ""));
}

void account_submission_run(const struct account_submission *options)
{
	struct submission s = {.options = options};
	s.config = room_config_get(options->room);
	snprintf(s.cid_text, sizeof(s.cid_text), "%" PRIx64, options->cid);
	arena_init(&s.arena, TRANSACTION_MEMORY);
	spool_init(&s.spool);
	if (!options->store) {
		log_error(options->cid, "no submission", LOG_STATUS(options->store_status));
		(void)say(&s, SMTP_REPLY_AUTH_NOT_NOW);
	} else if (options->local || is_ok(say(&s, SMTP_REPLY_AUTH_OK))) {
		serve(&s);
	}
	(void)stream_flush(options->stream);
	spool_done(&s.spool);
	arena_done(&s.arena);
	room_config_unref(s.config);
}
