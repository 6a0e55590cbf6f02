/* What an attempt tells: its outcomes and the hosts that were tried, as the queue's reply and in
 * the log.
 *
 * A door takes only UTF-8, and a packet only so much: texts are cut between characters, made valid,
 * and all of a reply share COURIER_REPLY_BUDGET bytes. What still does not fit (a thousand
 * recipients) goes without its texts, never without an outcome.
 *
 * Limits: COURIER_HOSTS_TRIED_MAX entries, COURIER_RESULTS_MAX, COURIER_REPLY_BUDGET.
 */
#include "rooms/courier_attempt.h"

#include "ipc/door.h"
#include "os/log.h"
#include "text/utf8.h"

#define HOST_OVERHEAD      64u /* of an entry's numbers and lengths when packed */
#define RECIPIENT_OVERHEAD 96u
#define RESULT_SIZE        (2 * COURIER_NAME_MAX + COURIER_REASON_MAX + 64) /* at most */

char *courier_text(struct courier_attempt *a, struct slice text, size_t max)
{
	char *copy;
	text = utf8_cut(text, max);
	if (utf8_valid(text)) {
		copy = arena_cstr(a->arena, text);
	} else {
		struct buf valid;
		buf_init(&valid, 3 * max + 1);
		utf8_add_valid(&valid, text);
		copy = arena_cstr(a->arena, utf8_cut(buf_slice(&valid), max));
		buf_done(&valid);
	}
	static char nothing[1];
	return copy ? copy : nothing;
}

static char *demands_of(struct courier_attempt *a, const struct delivery_guard *guard)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 2 * COURIER_TEXT_MAX);
	if (guard)
		delivery_guard_print(guard, &text);
	return courier_text(a, buf_slice(&text), COURIER_TEXT_MAX);
}

void courier_record_host(struct courier_attempt *a, const struct courier_turn *turn)
{
	const char *protection = delivery_protection_name(turn->protection);
	if (a->n_hosts == COURIER_HOSTS_TRIED_MAX)
		return;
	Door__HostTried *tried = &a->hosts[a->n_hosts++];
	door__host_tried__init(tried);
	tried->host = courier_text(a, slice_str(turn->host), COURIER_TEXT_MAX);
	tried->address = courier_text(a, slice_str(turn->address), COURIER_TEXT_MAX);
	tried->tls = courier_text(a, slice_str(turn->tls), COURIER_TEXT_MAX);
	tried->result = courier_text(a, slice_str(turn->result), COURIER_TEXT_MAX);
	tried->protection = door_string(protection);
	tried->demands = demands_of(a, turn->guard);
	tried->started_ms = turn->started_ms;
	tried->ended_ms = clock_now_us(a->courier->options.clock) / 1000;
	log_info(a->job->cid, "host", LOG_INT("message", a->in->message),
	         LOG_STR("host", turn->host), LOG_STR("address", turn->address),
	         LOG_STR("tls", turn->tls), LOG_STR("protection", protection),
	         LOG_STR("result", turn->result));
}

static const char *kind_text(enum smtp_outcome_kind kind)
{
	return kind == SMTP_OUTCOME_DELIVERED ? "delivered"
	       : kind == SMTP_OUTCOME_FAILED  ? "refused"
	                                      : "deferred";
}

/* "delivered 3, deferred 1: the server answered ..." */
void courier_record_sent(struct courier_attempt *a, const struct courier_connection *c,
                         const struct delivery_guard *guard, const struct smtp_outcome *outcomes,
                         size_t n, int64_t started_ms)
{
	static const enum smtp_outcome_kind kinds[] = {SMTP_OUTCOME_DELIVERED,
	                                               SMTP_OUTCOME_DEFERRED, SMTP_OUTCOME_FAILED};
	struct buf text;
	const char *why = NULL;
	buf_init(&text, 2 * COURIER_TEXT_MAX);
	for (size_t k = 0; k < N_ELEMENTS(kinds); k++) {
		size_t n_kind = 0;
		for (size_t i = 0; i < n; i++) {
			n_kind += outcomes[i].kind == kinds[k];
			if (outcomes[i].kind != SMTP_OUTCOME_DELIVERED && !why)
				why = outcomes[i].why;
		}
		if (n_kind > 0)
			buf_printf(&text, "%s%s %zu", text.n > 0 ? ", " : "", kind_text(kinds[k]),
			           n_kind);
	}
	if (why)
		buf_printf(&text, ": %s", why);
	const struct delivery_tls_session session = {.progress = c->session_facts.progress,
	                                             .verdict = c->session_facts.verdict};
	courier_record_host(
	        a, &(struct courier_turn){.host = c->host,
	                                  .address = c->address,
	                                  .tls = c->tls_text,
	                                  .guard = guard,
	                                  .protection = delivery_guard_protection(guard, &session),
	                                  .started_ms = started_ms,
	                                  .result = buf_cstr(&text)});
	buf_done(&text);
}

/* --- the reply --- */

/* Facts of the attempt, short. */
static void fill_results(struct courier_attempt *a, Door__CourierReply *reply)
{
	size_t n = MIN(a->facts->n, (size_t)COURIER_RESULTS_MAX);
	reply->tls_results = ARENA_ARRAY(a->arena, n, Door__TlsResult *);
	for (size_t i = 0; reply->tls_results && i < n; i++) {
		const struct delivery_tls_fact *fact = &a->facts->v[i];
		Door__TlsResult *out = ARENA_NEW(a->arena, Door__TlsResult);
		if (!out)
			return;
		door__tls_result__init(out);
		out->policy = door_string(delivery_tls_policy_name(fact->policy.type));
		out->domain = courier_text(a, slice_str(fact->policy.domain), COURIER_NAME_MAX);
		out->host = courier_text(a, slice_str(fact->host), COURIER_NAME_MAX);
		out->result = door_string(fact->result == DELIVERY_TLS_SUCCESS
		                                  ? "success"
		                                  : delivery_tls_result_name(fact->result));
		out->reason = courier_text(a, slice_str(fact->reason), COURIER_REASON_MAX);
		reply->tls_results[reply->n_tls_results++] = out;
	}
}

/* As much of the text as the budget has left. */
static char *spend(struct courier_attempt *a, struct slice text, size_t max, size_t *budget)
{
	char *copy = courier_text(a, text, MIN(max, *budget));
	*budget -= strlen(copy);
	return copy;
}

/* As many of the reply's lines as the budget allows. */
static void add_lines(struct courier_attempt *a, const struct smtp_outcome *o, size_t budget,
                      Door__RecipientOutcome *out)
{
	out->lines = ARENA_ARRAY(a->arena, o->n_lines, char *);
	for (size_t i = 0; out->lines && i < o->n_lines && o->lines[i].n + 4 <= budget; i++) {
		budget -= 4; /* of its length when packed */
		out->lines[out->n_lines++] = spend(a, o->lines[i], o->lines[i].n, &budget);
	}
}

static void fill_outcome(struct courier_attempt *a, const struct courier_rcpt *rcpt, size_t budget,
                         Door__RecipientOutcome *out)
{
	const struct smtp_outcome *o = &rcpt->outcome;
	door__recipient_outcome__init(out);
	out->id = rcpt->in->id;
	out->outcome = o->kind == SMTP_OUTCOME_DELIVERED ? DOOR__OUTCOME__OUTCOME_DELIVERED
	               : o->kind == SMTP_OUTCOME_FAILED  ? DOOR__OUTCOME__OUTCOME_FAILED
	                                                 : DOOR__OUTCOME__OUTCOME_DEFERRED;
	out->code = o->code;
	out->enhanced = courier_text(a, slice_str(o->enhanced), SMTP_ENHANCED_SIZE);
	out->command = courier_text(a, slice_str(o->code ? smtp_step_name(o->step) : ""), 32);
	out->relayed = o->relayed;
	out->no_deliver_by = o->by_relayed;
	out->n_transaction = o->n_transaction;
	out->remote_host = spend(a, slice_str(rcpt->host), COURIER_TEXT_MAX, &budget);
	out->remote_address = spend(a, slice_str(rcpt->address), COURIER_TEXT_MAX, &budget);
	out->why = spend(a, slice_str(o->why), COURIER_TEXT_MAX, &budget);
	add_lines(a, o, budget, out);
}

/* What is left for each recipient's texts behind the hosts'. */
static size_t recipient_budget(const struct courier_attempt *a)
{
	size_t used = a->n_rcpts * RECIPIENT_OVERHEAD +
	              MIN(a->facts->n, (size_t)COURIER_RESULTS_MAX) * RESULT_SIZE;
	for (size_t i = 0; i < a->n_hosts; i++)
		used += HOST_OVERHEAD + strlen(a->hosts[i].host) + strlen(a->hosts[i].address) +
		        strlen(a->hosts[i].tls) + strlen(a->hosts[i].result) +
		        strlen(a->hosts[i].demands);
	return used < COURIER_REPLY_BUDGET ? (COURIER_REPLY_BUDGET - used) / a->n_rcpts : 0;
}

/* The bare outcomes. */
static void strip(Door__CourierReply *reply)
{
	static char nothing[1];
	reply->n_hosts = reply->n_tls_results = 0;
	for (size_t i = 0; i < reply->n_outcomes; i++) {
		Door__RecipientOutcome *out = reply->outcomes[i];
		out->n_lines = 0;
		out->why = out->command = out->remote_host = out->remote_address = nothing;
	}
}

void courier_fill_reply(struct courier_attempt *a, Door__CourierReply *reply)
{
	size_t budget = recipient_budget(a);
	reply->outcomes = a->outcome_list;
	reply->hosts = a->host_list;
	for (size_t i = 0; i < a->n_rcpts; i++) {
		fill_outcome(a, &a->rcpts[i], budget, &a->outcomes[i]);
		reply->outcomes[i] = &a->outcomes[i];
	}
	for (size_t i = 0; i < a->n_hosts; i++)
		reply->hosts[i] = &a->hosts[i];
	reply->n_outcomes = a->n_rcpts;
	reply->n_hosts = a->n_hosts;
	fill_results(a, reply);
	reply->recipient_limit = a->recipient_limit;
	reply->reused = a->reused;
	reply->busy = a->busy;
	if (protobuf_c_message_get_packed_size(&reply->base) > COURIER_REPLY_MAX)
		strip(reply);
}
