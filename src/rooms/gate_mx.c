/* SMTP reception in the gate: who is local, where the bytes wait, and the deliveries to the
 * accounts.
 *
 * What a message is believed is found out while it comes in (gate_checks.h).
 *
 * A transaction's bytes are spooled once; each recipient's account gets the descriptor and its own
 * prefix of header lines (Return-Path, Delivered-To, Authentication-Results, Received-SPF,
 * Received). The 250 is given when every account has answered that the message is durable. A
 * delivery has an id that its repetitions share, so an account that ended before it could answer is
 * simply asked again, and stores the message once.
 *
 * One reply must stand for all recipients. When some accounts stored the message and others could
 * not, the client hears a temporary failure and sends again; the ids of that transaction are kept
 * (struct partial), so the repetition stores nothing twice.
 */
#include "rooms/gate.h"

#include "account.pb-c.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"
#include "rooms/delivery.h"
#include "rooms/gate_content.h"
#include "rooms/spool.h"
#include "smtp/server.h"
#include "smtp/trace.h"

#define TRANSACTION_MEMORY ((size_t)8 * 1024 * 1024)
#define PREFIX_MAX         ((size_t)32 * 1024)
#define REPLY_TEXT_MAX     160
#define OWN_NAMES_MAX      100u /* that others may not write in */

/* What a recipient of the transaction stands for; smtp_rcpt.entry points at it. */
struct mx_rcpt {
	struct delivery_target *targets;
	size_t n_targets;
};

struct mx {
	struct gate_connection *connection;
	struct tls_stream *stream;
	struct room_config *config; /* of this transaction: targets point into it */
	struct arena arena;         /* of this transaction */
	struct spool spool;
	struct gate_checks checks;
	struct gate_content content;
	struct slice own_names[OWN_NAMES_MAX];
	char reply_text[REPLY_TEXT_MAX];
};

static void log_at_peer(const struct mx *mx, const char *what, struct slice text)
{
	log_info(mx->connection->cid, what, LOG_STR("peer", mx->connection->peer_text),
	         LOG_SLICE("text", text));
}

/* ---- MAIL and RCPT ---- */

static struct smtp_reply on_mail(void *context, const struct smtp_envelope *envelope)
{
	struct mx *mx = context;
	(void)envelope;
	room_config_unref(mx->config);
	mx->config = room_config_get(mx->connection->gate->room);
	return smtp_reply(SMTP_REPLY_NONE);
}

static struct smtp_reply take_targets(struct mx *mx, const struct config_lookup *found,
                                      const struct smtp_envelope *envelope, struct smtp_rcpt *rcpt)
{
	size_t n = found->alias ? found->alias->n_targets : 1;
	struct mx_rcpt *entry = ARENA_NEW(&mx->arena, struct mx_rcpt);
	struct delivery_target *targets = ARENA_ARRAY(&mx->arena, n, struct delivery_target);
	if (!entry || !targets)
		return smtp_reply(SMTP_REPLY_ENVELOPE_TOO_LARGE);
	int64_t now_s = clock_now_s(clock_real());
	for (size_t i = 0; i < n; i++) {
		const struct config_account *account =
		        found->alias ? found->alias->targets[i].account : found->account;
		targets[i].account = account->name.s;
		targets[i].rcpt = rcpt->to;
		if (!gate_rates_allow(mx->connection->gate->rates, &mx->config->config->limits,
		                      account->name.s, &mx->connection->peer, now_s))
			return (struct smtp_reply){452, "4.7.0",
			                           "Too many messages from your network for this "
			                           "mailbox, try again later"};
	}
	*entry = (struct mx_rcpt){.targets = targets, .n_targets = n};
	rcpt->entry = entry;
	gate_checks_begin(&mx->checks, envelope);
	return smtp_reply(SMTP_REPLY_NONE);
}

static struct smtp_reply on_rcpt(void *context, const struct smtp_envelope *envelope,
                                 struct smtp_rcpt *rcpt)
{
	struct mx *mx = context;
	struct config_lookup found;
	struct slice domain =
	        rcpt->to.kind == SMTP_PATH_MAILBOX ? rcpt->to.host.text : slice_empty();
	config_lookup_address(mx->config->config, rcpt->to.localpart, domain, &found);
	switch (found.kind) {
	case CONFIG_LOOKUP_ACCOUNT:
	case CONFIG_LOOKUP_ALIAS:
		return take_targets(mx, &found, envelope, rcpt);
	case CONFIG_LOOKUP_UNKNOWN_USER:
		return smtp_reply(SMTP_REPLY_NO_SUCH_USER);
	case CONFIG_LOOKUP_UNKNOWN_DOMAIN:
		return smtp_reply(SMTP_REPLY_NO_RELAY);
	case CONFIG_LOOKUP_DISABLED:
		return smtp_reply(SMTP_REPLY_USER_DISABLED);
	}
	return smtp_reply(SMTP_REPLY_TRY_LATER);
}

/* ---- the message ---- */

/* The names of this server and its listeners: Authentication-Results with these are ours to write.
 */
static size_t own_names(struct mx *mx)
{
	const struct config *config = mx->config->config;
	size_t n = 0;
	mx->own_names[n++] = slice_str(config->hostname_ascii);
	for (size_t i = 0; i < config->listeners.n && n < OWN_NAMES_MAX; i++)
		if (!slice_eq_str(config_slice(&config->listeners.v[i].hostname),
		                  config->hostname.s))
			mx->own_names[n++] = config_slice(&config->listeners.v[i].hostname);
	return n;
}

static struct status on_data_open(void *context, const struct smtp_envelope *envelope)
{
	struct mx *mx = context;
	(void)envelope;
	spool_reset(&mx->spool);
	gate_content_begin(&mx->content, mx->own_names, own_names(mx), clock_now_s(clock_real()));
	return ok();
}

static struct status on_data_write(void *context, struct slice octets)
{
	struct mx *mx = context;
	return gate_content_write(&mx->content, octets);
}

/* The checks first: they look at the header that content holds. */
static void forget_message(struct mx *mx)
{
	gate_checks_reset(&mx->checks);
	gate_content_reset(&mx->content);
	spool_reset(&mx->spool);
}

static void on_data_abort(void *context)
{
	forget_message(context);
}

/* Newest on top, as RFC 5321 section 4.4 wants; what the checks say goes above the Received that it
 * is about (RFC 8601 section 4, RFC 7208 section 9.1). */
static struct status make_prefix(struct mx *mx, const struct smtp_envelope *envelope,
                                 const struct delivery_target *target, int64_t now_s,
                                 struct buf *out)
{
	struct slice peer_name, peer_note;
	gate_checks_client(&mx->checks, &peer_name, &peer_note);
	const struct smtp_trace trace = {
	        .helo = envelope->has_helo ? &envelope->helo : NULL,
	        .peer_name = peer_name,
	        .peer_note = peer_note,
	        .peer_address = slice_str(mx->connection->peer_text),
	        .by = slice_str(mx->config->config->hostname_ascii),
	        .id = slice_str(mx->connection->cid_text),
	        .extended = envelope->extended,
	        .utf8 = envelope->mail.params.utf8,
	        .tls = envelope->tls,
	        .rcpt = envelope->n_rcpts == 1 ? &target->rcpt : NULL,
	        .at_s = now_s,
	};
	buf_reset(out);
	TRY(smtp_return_path_print(&envelope->mail.from, out));
	buf_add_str(out, "Delivered-To: ");
	smtp_mailbox_print(&target->rcpt, out);
	buf_add_str(out, "\r\n");
	TRY(gate_checks_trace(&mx->checks, out));
	TRY(smtp_received_print(&trace, out));
	return buf_failed(out) ? fail(ERR_LIMIT, "trace header is too long") : ok();
}

/* All targets of all recipients; an account that several recipients lead to gets one copy for each
 * address it was sent to, but one only of what came by an alias. */
static struct status collect(struct mx *mx, const struct smtp_envelope *envelope,
                             struct delivery_target **ret_targets, size_t *ret_n)
{
	size_t n = 0;
	for (size_t i = 0; i < envelope->n_rcpts; i++)
		n += ((const struct mx_rcpt *)envelope->rcpts[i].entry)->n_targets;
	struct delivery_target *targets = ARENA_ARRAY(&mx->arena, n, struct delivery_target);
	if (!targets)
		return fail(ERR_LIMIT, "too many recipients");
	n = 0;
	for (size_t i = 0; i < envelope->n_rcpts; i++) {
		const struct mx_rcpt *rcpt = envelope->rcpts[i].entry;
		for (size_t j = 0; j < rcpt->n_targets; j++)
			targets[n++] = rcpt->targets[j];
	}
	*ret_targets = targets;
	*ret_n = n;
	return ok();
}

static struct status fill_in(struct mx *mx, const struct smtp_envelope *envelope,
                             struct delivery_target *targets, size_t n, int64_t now_s)
{
	struct buf prefix;
	struct status status = ok();
	buf_init(&prefix, PREFIX_MAX);
	for (size_t i = 0; i < n && is_ok(status); i++) {
		status = make_prefix(mx, envelope, &targets[i], now_s, &prefix);
		targets[i].prefix = arena_copy(&mx->arena, buf_slice(&prefix));
	}
	buf_done(&prefix);
	if (is_ok(status) && arena_failed(&mx->arena))
		status = fail(ERR_LIMIT, "too many recipients");
	return status;
}

static struct smtp_reply reply_for(struct mx *mx, const struct delivery_target *targets, size_t n)
{
	const struct delivery_target *worst = NULL;
	for (size_t i = 0; i < n; i++) {
		if (is_ok(targets[i].status))
			continue;
		log_warn(mx->connection->cid, "not delivered",
		         LOG_STR("account", targets[i].account), LOG_STATUS(targets[i].status));
		if (!worst || targets[i].status.code != ERR_QUOTA)
			worst = &targets[i];
	}
	if (!worst) {
		snprintf(mx->reply_text, sizeof(mx->reply_text), "Message accepted, id %s",
		         mx->connection->cid_text);
		return smtp_reply_text(SMTP_REPLY_ACCEPTED, mx->reply_text);
	}
	if (worst->status.code == ERR_QUOTA)
		return smtp_reply(SMTP_REPLY_OVER_QUOTA);
	if (worst->status.code == ERR_NO_SPACE)
		return smtp_reply(SMTP_REPLY_NO_SPACE);
	return smtp_reply(SMTP_REPLY_TRY_LATER);
}

static struct smtp_reply deliver(struct mx *mx, struct slice from, int fd,
                                 struct delivery_target *targets, size_t n, int64_t now_s)
{
	const struct delivery delivery = {
	        .cid = mx->connection->cid,
	        .received_at_s = now_s,
	        .size = mx->spool.size,
	        .body_fd = fd,
	        .from = from,
	};
	delivery_run(mx->connection->gate->room, &delivery, targets, n);
	for (size_t i = 0; i < n; i++)
		if (is_ok(targets[i].status))
			gate_rates_count(mx->connection->gate->rates, &mx->config->config->limits,
			                 targets[i].account, &mx->connection->peer, mx->spool.size,
			                 now_s);
	return reply_for(mx, targets, n);
}

/* Everything but the log. */
static struct smtp_reply take_message(struct mx *mx, const struct smtp_envelope *envelope,
                                      struct slice from)
{
	struct delivery_target *targets = NULL;
	struct smtp_reply refusal;
	size_t n = 0;
	int fd = -1;
	int64_t now_s = clock_now_s(clock_real());
	struct status status = gate_content_end(&mx->content);
	gate_checks_finish(&mx->checks);
	if (is_ok(status))
		status = spool_finish(&mx->spool, &fd);
	if (is_ok(status))
		status = collect(mx, envelope, &targets, &n);
	if (is_ok(status) && !gate_checks_decide(&mx->checks, envelope, mx->config->config, targets,
	                                         n, now_s, &refusal))
		return refusal;
	if (is_ok(status))
		status = fill_in(mx, envelope, targets, n, now_s);
	if (!is_ok(status)) {
		log_error(mx->connection->cid, "message cannot be taken", LOG_STATUS(status));
		return smtp_reply_of_status(status);
	}
	return deliver(mx, from, fd, targets, n, now_s);
}

static struct smtp_reply on_data_end(void *context, const struct smtp_envelope *envelope)
{
	struct mx *mx = context;
	struct buf from;
	buf_init(&from, 1024);
	smtp_mailbox_print(&envelope->mail.from, &from);
	struct smtp_reply reply = take_message(mx, envelope, buf_slice(&from));
	gate_checks_tell(&mx->checks, envelope, reply.code);
	log_info(mx->connection->cid, "message", LOG_STR("peer", mx->connection->peer_text),
	         LOG_SLICE("from", buf_slice(&from)), LOG_UINT("rcpts", envelope->n_rcpts),
	         LOG_UINT("size", mx->spool.size), LOG_UINT("code", reply.code),
	         LOG_BOOL("tls", envelope->tls && envelope->tls->on));
	buf_done(&from);
	return reply;
}

static void on_reset(void *context)
{
	struct mx *mx = context;
	forget_message(mx);
	arena_reset(&mx->arena);
}

static void on_event(void *context, const struct smtp_event *event)
{
	const struct mx *mx = context;
	switch (event->kind) {
	case SMTP_EVENT_EARLY_TALKER:
		log_at_peer(mx, "client spoke before the greeting", event->text);
		break;
	case SMTP_EVENT_FOREIGN:
		log_at_peer(mx, "client does not speak SMTP", event->text);
		break;
	case SMTP_EVENT_REFUSED:
		log_info(mx->connection->cid, "command refused",
		         LOG_STR("peer", mx->connection->peer_text),
		         LOG_UINT("code", event->reply.code), LOG_SLICE("line", event->text));
		break;
	case SMTP_EVENT_BARE_LF:
		log_at_peer(mx, "command line ended in a bare LF", event->text);
		break;
	case SMTP_EVENT_SMUGGLING:
		log_at_peer(mx, "message with bare CR, LF or NUL refused", event->text);
		break;
	case SMTP_EVENT_PLAINTEXT_DROPPED:
		log_at_peer(mx, "plaintext behind STARTTLS dropped", event->text);
		break;
	case SMTP_EVENT_TLS_FAILED:
		log_at_peer(mx, "TLS handshake failed", event->text);
		break;
	case SMTP_EVENT_CLOSING:
		log_info(mx->connection->cid, "closing the session",
		         LOG_STR("peer", mx->connection->peer_text),
		         LOG_UINT("code", event->reply.code));
		break;
	case SMTP_EVENT_MESSAGE:
		break; /* on_data_end has told */
	}
}

static const struct smtp_server_ops mx_ops = {
        .mail = on_mail,
        .rcpt = on_rcpt,
        .data_open = on_data_open,
        .data_write = on_data_write,
        .data_end = on_data_end,
        .data_abort = on_data_abort,
        .reset = on_reset,
        .event = on_event,
};

static void set_limits(struct smtp_server_options *options, const struct config *config)
{
	options->limits.message_size = config->limits.message_size;
	options->limits.rcpts = config->limits.recipients;
	options->limits.received = config->limits.received_hops;
	options->timeouts.command_ms = (int)config->timeouts.smtp_command_ms;
	options->timeouts.data_block_ms = (int)config->timeouts.smtp_data_block_ms;
	options->timeouts.data_total_ms = (int)config->timeouts.smtp_data_total_ms;
	options->timeouts.tls_ms = (int)config->timeouts.tls_handshake_ms;
}

void gate_mx_serve(struct gate_connection *connection, struct tls_stream *stream)
{
	struct mx mx = {.connection = connection, .stream = stream};
	struct smtp_server_options options;
	struct smtp_server_summary summary;
	const struct config_listener *listener = gate_listener_config(connection);
	mx.config = room_config_ref(connection->config);
	arena_init(&mx.arena, TRANSACTION_MEMORY);
	spool_init(&mx.spool);
	gate_checks_init(&mx.checks, connection);
	gate_content_init(&mx.content, &connection->gate->header_bytes, &mx.spool, &mx.checks);
	smtp_server_options_init(&options);
	set_limits(&options, connection->config->config);
	options.stream = &stream->stream;
	options.clock = clock_real();
	options.ops = &mx_ops;
	options.context = &mx;
	options.hostname = connection->config->config->hostname_ascii;
	options.cid = connection->cid_text;
	options.offer_tls = stream->context != NULL && listener != NULL;
	options.wake_fd = connection->gate->stop_fd;
	smtp_server_run(&options, &summary);
	stream_shutdown(&stream->stream);
	log_debug(connection->cid, "session ended", LOG_STR("peer", connection->peer_text),
	          LOG_UINT("accepted", summary.n_accepted), LOG_UINT("errors", summary.n_errors),
	          LOG_STR("why", summary.why ? summary.why : ""));
	gate_checks_done(&mx.checks);
	gate_content_done(&mx.content);
	spool_done(&mx.spool);
	arena_done(&mx.arena);
	room_config_unref(mx.config);
}
