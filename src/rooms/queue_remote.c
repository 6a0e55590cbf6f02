/* An attempt elsewhere: which transport, asked anew each time; suppressed recipients are not tried;
 * a courier does the rest and tells each recipient's outcome. When the courier ends before it has
 * answered, nobody knows whether the remote server took the message: it is tried again soon, and
 * that is the one way in which somebody may get it twice. */
#include "rooms/queue_room.h"

#include "courier.pb-c.h"
#include "os/log.h"

#define COURIER_TIMEOUT_MS (2 * 3600 * 1000) /* its own limits are shorter */

struct remote {
	struct queue_work *work;
	struct delivery_choice choice;
	const char *transport; /* as the courier knows it; "": direct */
	size_t n;              /* those that are tried */
	size_t *which;         /* n: their places in the work */
};

static struct slice text(const char *s)
{
	return slice_str(s ? s : "");
}

static void say_own(struct queue_work *work, size_t i, enum queue_result result,
                    const char *enhanced, const char *why)
{
	struct queue_attempt *attempt = &work->outcomes[i].attempt;
	attempt->result = result;
	attempt->enhanced = slice_str(enhanced);
	attempt->why = slice_str(why);
	work->facts[i].own_decision = true;
}

/* ---- before ---- */

/* False: what is configured does not allow an attempt, and the outcomes say so. */
static bool choose_transport(struct remote *r)
{
	struct queue_work *work = r->work;
	const struct queue_entry *first = &work->entries[0];
	const struct config *config = work->config->config;
	size_t at = slice_rindex(work->message.sender, '@');
	delivery_choose(
	        &(struct delivery_question){
	                config, config_account_find(config, work->message.account),
	                at == SIZE_MAX ? slice_empty() : slice_from(work->message.sender, at + 1),
	                first->domain, first->n_attempts},
	        &r->choice);
	r->transport = r->choice.transport ? r->choice.transport->name.s : "";
	if (first->transport.n == 0)
		return true;
	snprintf(r->choice.why, sizeof(r->choice.why), "transport `%.*s`, set for this message",
	         SLICE_FMT(first->transport));
	r->choice.transport = config_transport_find(config, first->transport);
	r->transport = r->choice.transport ? r->choice.transport->name.s : "";
	if (r->choice.transport || slice_eq_str(first->transport, "direct"))
		return true;
	for (size_t i = 0; i < work->n; i++)
		say_own(work, i, QUEUE_RESULT_DEFERRED, "4.3.5",
		        "the transport that was set for this message is not configured");
	return false;
}

/* A transport of kind `fail` answers at once. */
static bool refuse_by_config(struct remote *r)
{
	struct queue_work *work = r->work;
	const struct config_transport *transport = r->choice.transport;
	if (!transport || transport->kind != CONFIG_TRANSPORT_FAIL)
		return false;
	bool permanent = transport->code >= 500;
	struct slice words = config_slice(&transport->message), first, rest;
	bool has_enhanced = slice_cut(words, ' ', &first, &rest) && first.n >= 5 &&
	                    first.p[1] == '.' && ascii_is_digit(first.p[0]);
	char *line = arena_printf(&work->arena, "%u %s", (unsigned)transport->code,
	                          transport->message.s);
	char *why = arena_printf(&work->arena, "refused by transport `%s` of this server",
	                         transport->name.s);
	for (size_t i = 0; i < work->n; i++) {
		struct queue_attempt *attempt = &work->outcomes[i].attempt;
		say_own(work, i, permanent ? QUEUE_RESULT_FAILED : QUEUE_RESULT_DEFERRED,
		        permanent ? "5.7.1" : "4.7.1", why ? why : "refused");
		attempt->code = transport->code;
		attempt->lines = text(line);
		if (has_enhanced)
			attempt->enhanced = first;
	}
	return true;
}

static bool is_suppressed(struct queue_work *work, size_t i)
{
	struct queue_suppression found;
	const struct queue_entry *entry = &work->entries[i];
	if (!is_ok(queue_suppress_find(work->q->queue, entry->account, entry->recipient,
	                               &work->arena, &found)))
		return false;
	char *why = arena_printf(&work->arena,
	                         "not tried: %.*s is on the suppression list of the account (%.*s)",
	                         SLICE_FMT(found.address), SLICE_FMT(found.reason));
	say_own(work, i, QUEUE_RESULT_FAILED, "5.7.1", why ? why : "on the suppression list");
	return true;
}

static void note_route(struct remote *r)
{
	struct queue_work *work = r->work;
	char *route = arena_printf(&work->arena, "%s", r->choice.why);
	for (size_t i = 0; i < work->n; i++) {
		work->outcomes[i].attempt.route = text(route);
		work->outcomes[i].attempt.transport = text(r->transport);
		if (!is_suppressed(work, i))
			r->which[r->n++] = i;
	}
}

/* ---- asking ---- */

static char *string_of(struct queue_work *work, struct slice s)
{
	char *string = arena_cstr(&work->arena, s);
	return string ? string : door_string("");
}

static void fill_recipients(const struct remote *r, Door__Attempt *attempt)
{
	struct queue_work *work = r->work;
	Door__AttemptRecipient *recipients =
	        ARENA_ARRAY(&work->arena, r->n, Door__AttemptRecipient);
	attempt->recipients = ARENA_ARRAY(&work->arena, r->n, Door__AttemptRecipient *);
	for (size_t i = 0; i < r->n && recipients && attempt->recipients; i++) {
		const struct queue_entry *entry = &work->entries[r->which[i]];
		door__attempt_recipient__init(&recipients[i]);
		recipients[i].id = entry->id;
		recipients[i].address = string_of(work, entry->recipient);
		recipients[i].notify = entry->notify;
		recipients[i].orcpt = string_of(work, entry->orcpt);
		attempt->recipients[attempt->n_recipients++] = &recipients[i];
	}
}

static void fill_attempt(const struct remote *r, Door__Attempt *attempt)
{
	struct queue_work *work = r->work;
	const struct queue_message *m = &work->message;
	const struct queue_entry *first = &work->entries[r->which[0]];
	door__attempt__init(attempt);
	attempt->message = m->id;
	attempt->domain = string_of(work, first->domain);
	attempt->transport = door_string(r->transport);
	attempt->sender = string_of(work, m->sender);
	attempt->prefix = door_binary(m->prefix);
	attempt->size = m->size;
	attempt->has_8bit = m->has_8bit;
	attempt->smtputf8 = m->smtputf8;
	attempt->binary = m->binary;
	attempt->require_tls = first->require_tls == QUEUE_TLS_YES ||
	                       (m->require_tls && first->require_tls == QUEUE_TLS_DEFAULT);
	attempt->tls_optional = first->require_tls == QUEUE_TLS_NO ||
	                        (m->tls_optional && first->require_tls == QUEUE_TLS_DEFAULT);
	attempt->envid = string_of(work, m->envid);
	attempt->ret = m->ret;
	attempt->deliver_by_ms = m->deliver_by_ms;
	attempt->deliver_by_mode = m->deliver_by_mode;
	attempt->priority = m->priority;
	attempt->n_attempt = first->n_attempts + 1;
	attempt->report = slice_eq_str(m->account, QUEUE_REPORTS_ACCOUNT);
	fill_recipients(r, attempt);
}

static struct status ask_courier(const struct remote *r, Door__CourierReply **ret_reply)
{
	struct queue_work *work = r->work;
	Door__Attempt attempt;
	Door__CourierRequest request = DOOR__COURIER_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct ipc_channel *channel;
	fill_attempt(r, &attempt);
	request.body_case = DOOR__COURIER_REQUEST__BODY_ATTEMPT;
	request.attempt = &attempt;
	if (arena_failed(&work->arena))
		return fail(ERR_LIMIT, "the envelope is too large");
	TRY(room_peer(work->q->room, IPC_ROOM_COURIER, "", &channel));
	/* Not room_call: a courier that ended may have delivered, so it is not asked at once. */
	struct status status =
	        door_call(channel, work->cid, &request.base, &work->body_fd, 1, COURIER_TIMEOUT_MS,
	                  &door__courier_reply__descriptor, &work->arena, &message, NULL);
	if (status.code == ERR_CLOSED)
		ipc_channel_close(channel);
	ipc_channel_unref(channel);
	TRY(status);
	*ret_reply = (Door__CourierReply *)message;
	if (!(*ret_reply)->status)
		return fail(ERR_PROTOCOL, "malformed reply of the courier");
	uint32_t code = (*ret_reply)->status->code;
	return code == ERR_OK ? ok()
	                      : fail(code < ERR_COUNT ? (enum err)code : ERR_PROTOCOL,
	                             (*ret_reply)->status->why);
}

/* ---- afterwards ---- */

static const Door__RecipientOutcome *outcome_of(const Door__CourierReply *reply, int64_t id)
{
	for (size_t i = 0; i < reply->n_outcomes; i++)
		if (reply->outcomes[i]->id == id)
			return reply->outcomes[i];
	return NULL;
}

static struct slice join_lines(struct queue_work *work, const Door__RecipientOutcome *outcome)
{
	struct buf lines;
	buf_init(&lines, QUEUE_LINES_SIZE_MAX);
	for (size_t i = 0; i < outcome->n_lines; i++) {
		if (i > 0)
			buf_add_byte(&lines, '\n');
		buf_add_str(&lines, outcome->lines[i]);
	}
	struct slice joined = arena_copy(&work->arena, buf_slice(&lines));
	buf_done(&lines);
	return joined;
}

/* The hosts that were tried before the one that decided. */
static struct slice hosts_in_words(struct queue_work *work, const Door__CourierReply *reply)
{
	struct buf words;
	buf_init(&words, QUEUE_TEXT_MAX);
	for (size_t i = 0; i < reply->n_hosts; i++) {
		const Door__HostTried *host = reply->hosts[i];
		if (reply->n_hosts > 1)
			buf_printf(&words, "; %s [%s]: %s", host->host, host->address,
			           host->result);
	}
	struct slice text_of_all = arena_copy(&work->arena, buf_slice(&words));
	buf_done(&words);
	return text_of_all;
}

/* The turn of a host that the outcome is from. */
static void take_turn(struct queue_attempt *attempt, const Door__CourierReply *reply,
                      const Door__RecipientOutcome *outcome)
{
	for (size_t i = reply->n_hosts; i-- > 0;) {
		const Door__HostTried *turn = reply->hosts[i];
		if (strcmp(turn->address, outcome->remote_address) != 0 ||
		    strcmp(turn->host, outcome->remote_host) != 0)
			continue;
		attempt->tls = text(turn->tls);
		attempt->protection = text(turn->protection);
		attempt->demands = text(turn->demands);
		return;
	}
}

static void add_field(struct buf *lines, const char *field, char end)
{
	for (; *field; field++)
		buf_add_byte(lines, (uint8_t)*field < ' ' ? ' ' : (uint8_t)*field);
	buf_add_byte(lines, (uint8_t)end);
}

static struct slice join_results(struct queue_work *work, const Door__CourierReply *reply)
{
	struct buf lines;
	buf_init(&lines, SIZE_MAX); /* of a packet, which is small */
	for (size_t i = 0; i < reply->n_tls_results; i++) {
		size_t whole = lines.n;
		const Door__TlsResult *result = reply->tls_results[i];
		add_field(&lines, result->policy, '\t');
		add_field(&lines, result->domain, '\t');
		add_field(&lines, result->host, '\t');
		add_field(&lines, result->result, '\t');
		add_field(&lines, result->reason, '\n');
		if (lines.n > QUEUE_RESULTS_MAX) {
			lines.n = whole;
			break;
		}
	}
	struct slice joined = arena_copy(&work->arena, buf_slice(&lines));
	buf_done(&lines);
	return joined;
}

static void take_outcome(struct remote *r, const Door__CourierReply *reply, size_t i,
                         struct slice hosts, struct slice results)
{
	struct queue_work *work = r->work;
	struct queue_attempt *attempt = &work->outcomes[i].attempt;
	const Door__RecipientOutcome *outcome = outcome_of(reply, work->entries[i].id);
	if (!outcome) {
		say_own(work, i, QUEUE_RESULT_DEFERRED, "4.3.0", "nothing was heard of it");
		work->facts[i].lost = true;
		return;
	}
	struct slice command = text(outcome->command);
	char *why = arena_printf(&work->arena, "%s%s%.*s%.*s", outcome->why,
	                         command.n ? ", in reply to " : "", SLICE_FMT(command),
	                         SLICE_FMT(hosts));
	attempt->result =
	        outcome->outcome == DOOR__OUTCOME__OUTCOME_DELIVERED ? QUEUE_RESULT_DELIVERED
	        : outcome->outcome == DOOR__OUTCOME__OUTCOME_FAILED  ? QUEUE_RESULT_FAILED
	                                                             : QUEUE_RESULT_DEFERRED;
	attempt->code = outcome->code;
	attempt->enhanced = text(outcome->enhanced);
	attempt->lines = join_lines(work, outcome);
	attempt->why = text(why);
	attempt->remote_host = text(outcome->remote_host);
	attempt->remote_address = text(outcome->remote_address);
	take_turn(attempt, reply, outcome);
	attempt->tls_results = results;
	work->facts[i].relayed = outcome->relayed;
	work->facts[i].told_anyway =
	        work->message.deliver_by_mode != QUEUE_BY_NONE &&
	        (work->message.deliver_by_trace ||
	         (outcome->no_deliver_by && work->message.deliver_by_mode == QUEUE_BY_NOTIFY));
	work->facts[i].own_decision = outcome->code == 0;
}

/* RFC 3463 section 3.5: the network or the DNS, not this message. */
static bool is_network(struct slice enhanced)
{
	static const char *const statuses[] = {"4.4.0", "4.4.1", "4.4.3", "4.4.4"};
	for (size_t i = 0; i < N_ELEMENTS(statuses); i++)
		if (slice_eq_str(enhanced, statuses[i]))
			return true;
	return false;
}

static void learn(struct remote *r, const Door__CourierReply *reply)
{
	struct queue_work *work = r->work;
	struct queue_feedback *feedback = &work->feedback;
	bool all_unreachable = true, special = false;
	for (size_t i = 0; i < r->n; i++) {
		const struct queue_attempt *attempt = &work->outcomes[r->which[i]].attempt;
		feedback->reached = feedback->reached || attempt->code > 0;
		all_unreachable = all_unreachable && attempt->code == 0 &&
		                  attempt->result == QUEUE_RESULT_DEFERRED &&
		                  is_network(attempt->enhanced);
		special = special || work->entries[r->which[i]].require_tls != QUEUE_TLS_DEFAULT;
	}
	feedback->busy = reply->busy;
	feedback->recipient_limit = reply->recipient_limit;
	feedback->unreachable = all_unreachable && !special && !work->message.require_tls;
	snprintf(work->why, sizeof(work->why), "%.*s",
	         SLICE_FMT(work->outcomes[r->which[0]].attempt.why));
	feedback->why = work->why;
}

static void not_asked(struct remote *r, struct status status)
{
	struct queue_work *work = r->work;
	bool lost = status.code != ERR_LIMIT && status.code != ERR_INVALID &&
	            status.code != ERR_UNSUPPORTED && status.code != ERR_SYNTAX;
	char *why = arena_printf(&work->arena, "%s: %s",
	                         lost ? "the courier ended or was busy before it answered"
	                              : "the courier could not take it",
	                         status.why);
	log_warn(work->cid, "courier", LOG_STATUS(status), LOG_INT("message", work->message.id));
	for (size_t i = 0; i < r->n; i++) {
		say_own(work, r->which[i], QUEUE_RESULT_DEFERRED, "4.3.0", why ? why : status.why);
		work->facts[r->which[i]].lost = lost;
	}
}

void queue_try_remote(struct queue_work *work)
{
	struct remote r = {.work = work};
	Door__CourierReply *reply = NULL;
	r.which = ARENA_ARRAY(&work->arena, work->n, size_t);
	if (!choose_transport(&r) || !r.which)
		return;
	note_route(&r);
	if (refuse_by_config(&r) || r.n == 0)
		return;
	struct status status = ask_courier(&r, &reply);
	if (!is_ok(status)) {
		not_asked(&r, status);
		return;
	}
	struct slice hosts = hosts_in_words(work, reply), results = join_results(work, reply);
	for (size_t i = 0; i < r.n; i++)
		take_outcome(&r, reply, r.which[i], hosts, results);
	learn(&r, reply);
}
