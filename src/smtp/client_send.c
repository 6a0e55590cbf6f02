/* One message to many recipients: which of them go together, in what order commands and replies
 * pass, and what each reply means for whom (RFC 5321 sections 3.3, 4.2.5, 4.5.3.1.10; RFC 2920,
 * 9422).
 *
 * With PIPELINING, MAIL, the RCPTs and DATA go out in windows of SMTP_CLIENT_WINDOW commands: their
 * replies fit into what the network buffers, so that two sides that both write cannot block each
 * other (RFC 2920 section 3.1).
 *
 * A recipient that is put off because there are too many (452, or 552 of old servers, behind
 * accepted ones) goes with the next transaction. Each transaction settles at least one recipient.
 *
 * What is decided before anything is sent: SIZE, 8BITMIME, BINARYMIME, SMTPUTF8, REQUIRETLS,
 * DELIVERBY, FUTURERELEASE (client_prepare.c).
 */
#include "smtp/client_send.h"

/* --- settling --- */

static void settle(struct smtp_send *t, size_t i, struct smtp_outcome outcome)
{
	outcome.n_transaction = t->n_transaction;
	t->outcomes[i] = outcome;
	t->rcpts[i].state = SMTP_SEND_SETTLED;
}

/* All of this transaction that are not settled yet, or all that were accepted. */
static void settle_members(struct smtp_send *t, const struct smtp_outcome *outcome)
{
	for (size_t i = 0; i < t->n_members; i++)
		if (t->rcpts[t->members[i]].state != SMTP_SEND_SETTLED &&
		    t->rcpts[t->members[i]].state != SMTP_SEND_NEXT)
			settle(t, t->members[i], *outcome);
}

static void settle_by_reply(struct smtp_send *t, enum smtp_step step)
{
	struct smtp_outcome outcome = smtp_outcome_of_reply(t->c, step, t->arena);
	settle_members(t, &outcome);
}

/* The connection's failure, copied: its text must live as long as the outcomes. */
static struct smtp_outcome copy_failure(struct smtp_send *t)
{
	struct smtp_outcome o = t->c->failure;
	if (o.kind == SMTP_OUTCOME_NONE)
		return smtp_outcome_local(SMTP_OUTCOME_DEFERRED, SMTP_STEP_CONNECT, "4.4.2",
		                          "the connection is of no use any more");
	struct slice *lines = ARENA_ARRAY(t->arena, o.n_lines, struct slice);
	for (size_t i = 0; lines && i < o.n_lines; i++)
		lines[i] = arena_copy(t->arena, o.lines[i]);
	const char *why = arena_printf(t->arena, "%s", o.why);
	o.lines = lines;
	o.n_lines = lines && !arena_failed(t->arena) ? o.n_lines : 0;
	o.why = why ? why : "the connection failed";
	return o;
}

static void settle_by_failure(struct smtp_send *t)
{
	struct smtp_outcome outcome = copy_failure(t);
	settle_members(t, &outcome);
}

/* --- commands --- */

/* Commands of a transaction are numbered: 0 is MAIL, then a RCPT for each member, then DATA. */
static struct status write_command(struct smtp_send *t, size_t n)
{
	CLEANUP(buf_done) struct buf line;
	buf_init(&line, SMTP_CLIENT_COMMAND_MAX);
	if (n == 0)
		smtp_send_print_mail(t, &line);
	else if (n <= t->n_members)
		smtp_send_print_rcpt(t, t->members[n - 1], &line);
	else
		buf_add_str(&line, "DATA");
	return smtp_client_write_line(t->c, &line);
}

static enum smtp_step step_of(const struct smtp_send *t, size_t n)
{
	return n == 0 ? SMTP_STEP_MAIL : n <= t->n_members ? SMTP_STEP_RCPT : SMTP_STEP_DATA;
}

/* --- replies --- */

/* RFC 5321 section 4.5.3.1.10: too many recipients, as far as it can be told. Of a mailbox that is
 * full or a message that is too large the enhanced code speaks otherwise. */
static bool is_too_many(const struct smtp_send *t)
{
	const struct smtp_reply_in *reply = &t->c->reply;
	const char *dot = strchr(reply->enhanced, '.');
	if (t->n_accepted == 0 || (reply->code != 452 && reply->code != 552))
		return false;
	return !dot || strcmp(dot, ".5.3") == 0;
}

static void rcpt_replied(struct smtp_send *t, size_t i)
{
	uint16_t code = t->c->reply.code;
	if (t->mail_refused)
		return;                  /* settled by the reply to MAIL */
	if (code >= 200 && code < 300) { /* as RFC 5321 section 4.3.2 has it: 250, 251, 252 */
		t->rcpts[i].state = SMTP_SEND_ACCEPTED;
		t->n_accepted++;
		return;
	}
	settle(t, i, smtp_outcome_of_reply(t->c, SMTP_STEP_RCPT, t->arena));
	if (is_too_many(t)) {
		t->outcomes[i].kind = SMTP_OUTCOME_DEFERRED;
		t->outcomes[i].enhanced[0] = '4'; /* a 552 means 452 here */
		t->rcpts[i].state = SMTP_SEND_NEXT;
	}
}

/* A reply that is neither yes nor no: who speaks like that has lost the thread. */
static bool is_odd(const struct smtp_send *t, size_t n)
{
	uint16_t code = t->c->reply.code;
	bool data = step_of(t, n) == SMTP_STEP_DATA;
	return code < 400 && (data ? code != 354 : code < 200 || code >= 300);
}

static struct status take_reply(struct smtp_send *t, size_t n)
{
	struct smtp_client *c = t->c;
	int timeout_ms = step_of(t, n) == SMTP_STEP_DATA ? c->options.timeouts.data_start_ms
	                                                 : c->options.timeouts.command_ms;
	TRY(smtp_client_read_reply(c, step_of(t, n), timeout_ms));
	if (is_odd(t, n)) {
		c->broken = true;
		return smtp_client_refused(c, step_of(t, n));
	}
	if (n == 0 && c->reply.code >= 400) {
		t->mail_refused = true;
		settle_by_reply(t, SMTP_STEP_MAIL);
	} else if (n == 0) {
		c->in_transaction = true;
	} else if (n <= t->n_members) {
		rcpt_replied(t, t->members[n - 1]);
	} else {
		t->data_code = c->reply.code;
		if (t->data_code >= 400)
			settle_by_reply(t, SMTP_STEP_DATA);
	}
	/* 421: the replies that follow will not come */
	return c->reply.code == 421 ? smtp_client_refused(c, step_of(t, n)) : ok();
}

/* Whether the command is worth sending, as far as it is known when it goes out. */
static bool is_pointless(const struct smtp_send *t, size_t n, size_t n_read)
{
	if (t->mail_refused && n > 0)
		return true;
	return n > t->n_members && n_read > t->n_members && t->n_accepted == 0;
}

/* MAIL to DATA (or to the last RCPT, when BDAT follows), in windows. */
static struct status converse(struct smtp_send *t)
{
	size_t n_total = 1 + t->n_members + (t->use_bdat ? 0 : 1);
	size_t window = t->pipelining ? SMTP_CLIENT_WINDOW : 1;
	size_t n_written = 0, n_read = 0;
	while (n_read < n_total && !is_pointless(t, n_written, n_read)) {
		TRY(smtp_client_expect_quiet(t->c, step_of(t, n_written)));
		for (; n_written < MIN(n_total, n_read + window); n_written++) {
			struct status status = write_command(t, n_written);
			if (!is_ok(status))
				return smtp_client_lost(t->c, step_of(t, n_written), status);
		}
		for (; n_read < n_written; n_read++)
			TRY(take_reply(t, n_read));
	}
	return ok();
}

/* --- the message --- */

static void settle_end(struct smtp_send *t)
{
	struct smtp_client *c = t->c;
	struct smtp_outcome outcome = smtp_outcome_of_reply(c, SMTP_STEP_END, t->arena);
	if (c->reply.code >= 200 && c->reply.code < 300) {
		outcome.kind = SMTP_OUTCOME_DELIVERED;
		snprintf(outcome.enhanced, sizeof(outcome.enhanced), "%s", c->reply.enhanced);
		outcome.why = "the server took the message";
		outcome.relayed = !smtp_ehlo_has(&c->ehlo, SMTP_EXTENSION_DSN);
		outcome.by_relayed = t->message->by_mode != SMTP_BY_NONE &&
		                     !smtp_ehlo_has(&c->ehlo, SMTP_EXTENSION_DELIVERBY);
	} else if (c->reply.code < 400) {
		c->broken = true;
	}
	if (c->broken)
		(void)smtp_client_refused(c, SMTP_STEP_END);
	c->in_transaction = false; /* RFC 5321 section 4.1.1.4: whatever the answer was */
	settle_members(t, &outcome);
}

static void send_content(struct smtp_send *t)
{
	struct smtp_client *c = t->c;
	struct smtp_outcome fault = {.kind = SMTP_OUTCOME_NONE};
	bool ended = false;
	struct status status = t->use_bdat ? smtp_client_send_bdat(c, t->message, &ended, &fault)
	                                   : smtp_client_send_data(c, t->message, &ended, &fault);
	if (is_ok(status)) {
		settle_end(t);
		return;
	}
	struct smtp_outcome outcome = fault.kind != SMTP_OUTCOME_NONE ? fault : copy_failure(t);
	outcome.uncertain = ended;
	settle_members(t, &outcome);
}

/* All were refused, and yet the server wants a message: an empty one ends it (RFC 2920 section
 * 3.1). */
static void send_lone_dot(struct smtp_send *t)
{
	if (!is_ok(smtp_client_command(t->c, SMTP_STEP_END, SLICE("."))))
		return;
	t->c->in_transaction = false;
	if (t->c->broken)
		(void)smtp_client_refused(t->c, SMTP_STEP_END);
}

static void finish(struct smtp_send *t, struct status status)
{
	if (!is_ok(status))
		settle_by_failure(t);
	else if (t->mail_refused && t->data_code == 354)
		(void)smtp_client_lost(t->c, SMTP_STEP_DATA,
		                       fail(ERR_PROTOCOL, "the server wants a message whose sender "
		                                          "it has refused"));
	else if (t->n_accepted == 0 && t->data_code == 354)
		send_lone_dot(t);
	else if (t->n_accepted > 0 && (t->use_bdat || t->data_code == 354))
		send_content(t);
}

/* --- transactions --- */

static bool same_domain(const struct smtp_path *a, const struct smtp_path *b)
{
	return slice_ieq(a->host.text, b->host.text);
}

/* Would it be one domain too many (RFC 9422 section 4.3)? */
static bool is_another_domain(const struct smtp_send *t, size_t i, size_t *n_domains)
{
	for (size_t j = t->n_members; j > 0; j--)
		if (same_domain(&t->rcpts[t->members[j - 1]].path, &t->rcpts[i].path))
			return false;
	*n_domains += 1;
	return t->c->ehlo.rcpt_domain_max > 0 && *n_domains > t->c->ehlo.rcpt_domain_max;
}

static void choose_members(struct smtp_send *t)
{
	uint32_t most = t->c->ehlo.rcpt_max > 0 ? t->c->ehlo.rcpt_max : UINT32_MAX;
	bool by_domain = t->c->ehlo.rcpt_domain_max > 0;
	size_t n_domains = 0;
	t->n_members = 0;
	for (size_t i = 0; i < t->n; i++) {
		if (t->rcpts[i].state != SMTP_SEND_WAITING || t->n_members >= most)
			continue;
		if (by_domain && is_another_domain(t, i, &n_domains)) {
			n_domains--;
			continue;
		}
		t->members[t->n_members++] = i;
	}
}

/* Those that were too many wait for the next transaction, unless this one got nobody further. */
static void requeue(struct smtp_send *t)
{
	for (size_t i = 0; i < t->n_members; i++) {
		struct smtp_send_rcpt *rcpt = &t->rcpts[t->members[i]];
		if (rcpt->state == SMTP_SEND_NEXT)
			rcpt->state = t->n_accepted > 0 ? SMTP_SEND_WAITING : SMTP_SEND_SETTLED;
	}
}

static void transact(struct smtp_send *t)
{
	struct smtp_client *c = t->c;
	struct status status = c->in_transaction ? smtp_client_reset(c) : ok();
	t->n_transaction++;
	c->n_transactions++;
	t->n_accepted = 0;
	t->mail_refused = false;
	t->data_code = 0;
	if (is_ok(status))
		status = converse(t);
	finish(t, status);
	requeue(t);
}

static void leave_out(struct smtp_send *t)
{
	struct smtp_outcome outcome;
	if (t->c->broken || !t->c->greeted) {
		outcome = copy_failure(t);
	} else {
		outcome = smtp_outcome_local(SMTP_OUTCOME_DEFERRED, SMTP_STEP_MAIL, "4.5.3",
		                             "the server takes no more messages on one connection");
		outcome.again = true;
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->rcpts[i].state == SMTP_SEND_WAITING)
			settle(t, i, outcome);
}

void smtp_client_send(struct smtp_client *c, const struct smtp_message *message,
                      const struct smtp_recipient *recipients, size_t n,
                      struct smtp_outcome *outcomes, struct arena *arena)
{
	struct smtp_send t;
	smtp_send_init(&t, c, message, recipients, n, outcomes, arena);
	c->until_ms = clock_monotonic_ms(c->options.clock) + c->options.timeouts.send_ms;
	smtp_send_prepare(&t);
	for (choose_members(&t); t.n_members > 0; choose_members(&t)) {
		if (!smtp_client_usable(c) || t.n_transaction >= SMTP_CLIENT_TRANSACTIONS_MAX)
			break;
		transact(&t);
	}
	leave_out(&t);
	c->until_ms = 0;
	smtp_send_done(&t);
}
