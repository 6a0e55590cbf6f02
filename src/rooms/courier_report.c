/* What an attempt tells: its outcomes and the hosts that were tried, as the queue's reply and in
 * the log.
 *
 * Limits: COURIER_HOSTS_TRIED_MAX entries; all recipients share COURIER_REPLY_BUDGET bytes, so that
 * a reply fits a packet.
 */
#include "rooms/courier_attempt.h"

#include "os/log.h"

void courier_record_host(struct courier_attempt *a, const char *host, const char *address,
                         const char *tls, int64_t started_ms, const char *result)
{
	if (a->n_hosts == COURIER_HOSTS_TRIED_MAX)
		return;
	Door__HostTried *tried = &a->hosts[a->n_hosts++];
	door__host_tried__init(tried);
	tried->host = arena_printf(a->arena, "%s", host);
	tried->address = arena_printf(a->arena, "%s", address);
	tried->tls = arena_printf(a->arena, "%s", tls);
	tried->result = arena_printf(a->arena, "%.*s", (int)COURIER_TEXT_MAX, result);
	tried->started_ms = started_ms;
	tried->ended_ms = clock_now_us(a->courier->options.clock) / 1000;
	log_info(a->job->cid, "host", LOG_INT("message", a->in->message), LOG_STR("host", host),
	         LOG_STR("address", address), LOG_STR("tls", tls), LOG_STR("result", result));
}

static const char *kind_text(enum smtp_outcome_kind kind)
{
	return kind == SMTP_OUTCOME_DELIVERED ? "delivered"
	       : kind == SMTP_OUTCOME_FAILED  ? "refused"
	                                      : "deferred";
}

/* "delivered 3, deferred 1: the server answered ..." */
void courier_record_sent(struct courier_attempt *a, const struct courier_connection *c,
                         const struct smtp_outcome *outcomes, size_t n, int64_t started_ms)
{
	static const enum smtp_outcome_kind kinds[] = {SMTP_OUTCOME_DELIVERED,
	                                               SMTP_OUTCOME_DEFERRED, SMTP_OUTCOME_FAILED};
	struct buf text;
	const char *why = NULL;
	buf_init(&text, COURIER_TEXT_MAX);
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
	courier_record_host(a, c->host, c->address, c->tls_text, started_ms, buf_cstr(&text));
	buf_done(&text);
}

/* --- the reply --- */

/* As many of the reply's lines as the budget allows. */
static void add_lines(struct courier_attempt *a, const struct smtp_outcome *o, size_t budget,
                      Door__RecipientOutcome *out)
{
	out->lines = ARENA_ARRAY(a->arena, o->n_lines, char *);
	for (size_t i = 0; out->lines && i < o->n_lines && o->lines[i].n <= budget; i++) {
		char *line = arena_cstr(a->arena, o->lines[i]);
		if (!line)
			return;
		budget -= o->lines[i].n;
		out->lines[out->n_lines++] = line;
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
	out->enhanced = arena_printf(a->arena, "%s", o->enhanced);
	out->command = o->code ? arena_printf(a->arena, "%s", smtp_step_name(o->step))
	                       : arena_printf(a->arena, "%s", "");
	out->why = arena_printf(a->arena, "%.*s", (int)MIN(budget, (size_t)COURIER_TEXT_MAX),
	                        o->why ? o->why : "");
	out->remote_host = arena_printf(a->arena, "%s", rcpt->host);
	out->remote_address = arena_printf(a->arena, "%s", rcpt->address);
	/* RFC 3461 section 5.2.2, RFC 2852 section 4.1.4.2: the sender is told that it left our
	 * hands. */
	out->relayed = o->relayed || o->by_relayed;
	out->n_transaction = o->n_transaction;
	add_lines(a, o, budget, out);
}

struct status courier_fill_reply(struct courier_attempt *a, Door__CourierReply *reply)
{
	Door__RecipientOutcome *outcomes =
	        ARENA_ARRAY(a->arena, a->n_rcpts, Door__RecipientOutcome);
	reply->outcomes = ARENA_ARRAY(a->arena, a->n_rcpts, Door__RecipientOutcome *);
	reply->hosts = ARENA_ARRAY(a->arena, a->n_hosts, Door__HostTried *);
	if (!outcomes || !reply->outcomes || !reply->hosts)
		return fail(ERR_LIMIT, "too many recipients for one attempt");
	for (size_t i = 0; i < a->n_rcpts; i++) {
		fill_outcome(a, &a->rcpts[i], COURIER_REPLY_BUDGET / 2 / a->n_rcpts, &outcomes[i]);
		reply->outcomes[i] = &outcomes[i];
	}
	for (size_t i = 0; i < a->n_hosts; i++)
		reply->hosts[i] = &a->hosts[i];
	if (arena_failed(a->arena))
		return fail(ERR_LIMIT, "the outcomes of one attempt need too much memory");
	reply->n_outcomes = a->n_rcpts;
	reply->n_hosts = a->n_hosts;
	reply->recipient_limit = a->recipient_limit;
	reply->reused = a->reused;
	reply->busy = a->busy;
	return ok();
}
