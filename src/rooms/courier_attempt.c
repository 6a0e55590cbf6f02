/* An attempt from the queue's request to an outcome for each recipient.
 *
 * Which host is next (RFC 5321 section 5.1): hosts are tried in their order as long as recipients
 * are left that no host has judged. A host judges by accepting or refusing MAIL, RCPT or the
 * message itself; one that cannot be reached, does not greet, fails at TLS or defers MAIL judges
 * nobody. Nor does one that lacks an extension the message needs. A recipient that a host deferred
 * waits for the next attempt: asking the same domain's next host at once only defeats its
 * greylisting.
 *
 * Temporary or for good: a 5yz that a host says to MAIL, RCPT or the message is final. What is said
 * about the connection is final only when every host of the domain said so; one that may still take
 * the message makes it temporary. The first attempt's refusal by policy (x.7.y) over IPv6 of a host
 * that has IPv4 too, or the other way round, is temporary: the other family is tried next.
 *
 * A host whose guard does not let mail go there (a TLSA lookup that failed, an MTA-STS policy that
 * does not name it) is passed over. In clear as the last resort (RFC 7435): only where nothing
 * demands TLS and the handshake failed; on a new connection to the same host.
 *
 * Limits: COURIER_RECIPIENTS_MAX, COURIER_NEW_HOST_MS, ROUNDS_MAX connections to one host.
 */
#include "rooms/courier_attempt.h"

#include "ipc/door.h"

#include <stdarg.h>
#include <sys/random.h>

#define SEND_MS    ((int64_t)3600 * 1000) /* for one message to one host */
#define ROUNDS_MAX 20u /* connections to one host: servers that take a message or two each */

/* --- outcomes --- */

const char *courier_keep(struct courier_attempt *a, const char *text)
{
	const char *copy = arena_cstr(a->arena, slice_str(text));
	return copy ? copy : "";
}

static bool all_judged(const struct courier_attempt *a)
{
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (!a->rcpts[i].judged)
			return false;
	return true;
}

/* What a host said to somebody it did not judge. A chance that is left elsewhere outlives a later
 * refusal. */
static void offer(struct courier_rcpt *rcpt, const struct smtp_outcome *outcome, const char *host,
                  const char *address)
{
	if (rcpt->outcome.kind == SMTP_OUTCOME_DEFERRED && outcome->kind == SMTP_OUTCOME_FAILED)
		return;
	rcpt->outcome = *outcome;
	rcpt->host = host;
	rcpt->address = address;
}

static void offer_all(struct courier_attempt *a, const struct smtp_outcome *outcome,
                      const char *host, const char *address)
{
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (!a->rcpts[i].judged)
			offer(&a->rcpts[i], outcome, host, address);
}

static struct smtp_outcome outcome_of(struct courier_attempt *a, const char *enhanced,
                                      const char *why)
{
	struct smtp_outcome o = {
	        .kind = enhanced[0] == '5' ? SMTP_OUTCOME_FAILED : SMTP_OUTCOME_DEFERRED,
	        .step = SMTP_STEP_CONNECT,
	        .why = courier_keep(a, why),
	};
	snprintf(o.enhanced, sizeof(o.enhanced), "%s", enhanced);
	return o;
}

/* Nobody can be helped. */
PRINTF(3, 4)
static void give_up(struct courier_attempt *a, const char *enhanced, const char *format, ...)
{
	char text[COURIER_TEXT_MAX + 8]; /* room for the character that is cut */
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *why = courier_text(a, slice_str(text), COURIER_TEXT_MAX);
	struct smtp_outcome o = outcome_of(a, enhanced, why);
	offer_all(a, &o, "", "");
}

/* --- sending --- */

/* Nothing was said about anybody: the connection was gone before, or had served enough. */
static bool was_dead(const struct smtp_outcome *o)
{
	return o->kind == SMTP_OUTCOME_DEFERRED && !o->uncertain && o->step <= SMTP_STEP_MAIL;
}

static bool judges(const struct smtp_outcome *o)
{
	switch (o->kind) {
	case SMTP_OUTCOME_NONE:
		return false;
	case SMTP_OUTCOME_DELIVERED:
		return true;
	case SMTP_OUTCOME_FAILED:
		return o->code != 0 || o->message_fault;
	case SMTP_OUTCOME_DEFERRED:
		return o->uncertain || (o->step > SMTP_STEP_MAIL && o->step != SMTP_STEP_RSET);
	}
	return false;
}

/* RFC 3463: x.7.y is about policy. The text position is after the class and its dot. */
static bool is_policy(const struct smtp_outcome *o)
{
	return o->kind == SMTP_OUTCOME_FAILED && o->code != 0 && o->enhanced[1] == '.' &&
	       o->enhanced[2] == '7' && o->enhanced[3] == '.';
}

static bool has_both_families(const struct delivery_ip *ips, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (ips[i].is_v6 != ips[0].is_v6)
			return true;
	return false;
}

/* A host that has its chance. What guards it is looked up before a kept connection may be used,
 * too: its records may have changed. */
struct chance {
	const struct delivery_host *host;
	struct courier_target target;
	struct delivery_addresses *addresses; /* NULL: not looked up */
	struct delivery_guard *guard;         /* the same */
};

static bool find_addresses(struct courier_attempt *a, struct chance *chance)
{
	if (chance->addresses)
		return true;
	struct delivery_addresses *addresses = ARENA_NEW(a->arena, struct delivery_addresses);
	if (!addresses ||
	    !is_ok(delivery_addresses_find(&a->query, chance->host, a->arena, addresses))) {
		give_up(a, "4.3.0", "too little memory for the addresses of %s",
		        chance->host->name);
		return false;
	}
	delivery_order_sort(&a->courier->order, slice_str(chance->host->name), addresses->v,
	                    addresses->n);
	chance->addresses = addresses;
	chance->target.ips = addresses->v;
	chance->target.n_ips = addresses->n;
	return true;
}

/* Some servers dislike a client's IPv6 address only. */
static void soften(struct courier_attempt *a, struct chance *chance, struct courier_connection *c,
                   struct smtp_outcome *o)
{
	if (!is_policy(o))
		return;
	c->unloved = true;
	delivery_order_note(&a->courier->order, slice_str(c->host), &c->ip, DELIVERY_UNLOVED);
	if (a->in->n_attempt > 1 || !find_addresses(a, chance) ||
	    !has_both_families(chance->target.ips, chance->target.n_ips))
		return;
	o->kind = SMTP_OUTCOME_DEFERRED;
	o->enhanced[0] = '4';
	const char *why =
	        arena_printf(a->arena, "%s; its address of the other family is next", o->why);
	if (why)
		o->why = why;
}

/* Those without a verdict, as the client wants them. */
static size_t collect(const struct courier_attempt *a, struct smtp_recipient *to,
                      struct courier_rcpt **rcpts)
{
	size_t n = 0;
	for (size_t i = 0; i < a->n_rcpts; i++) {
		if (a->rcpts[i].judged)
			continue;
		const Door__AttemptRecipient *in = a->rcpts[i].in;
		rcpts[n] = &a->rcpts[i];
		to[n++] = (struct smtp_recipient){.address = slice_str(in->address),
		                                  .notify = in->notify,
		                                  .orcpt = slice_str(in->orcpt)};
	}
	return n;
}

enum sent {
	SENT,       /* every recipient has heard from the host */
	SENT_AGAIN, /* another connection to it serves the rest */
	SENT_DEAD,  /* a kept connection was gone: a new one may do */
};

static enum sent send_by(struct courier_attempt *a, struct chance *chance,
                         struct courier_connection *c)
{
	struct smtp_recipient *to = ARENA_ARRAY(a->arena, a->n_rcpts, struct smtp_recipient);
	struct courier_rcpt **rcpts = ARENA_ARRAY(a->arena, a->n_rcpts, struct courier_rcpt *);
	struct smtp_outcome *outcomes = ARENA_ARRAY(a->arena, a->n_rcpts, struct smtp_outcome);
	if (!to || !rcpts || !outcomes) {
		give_up(a, "4.3.0", "too little memory for the recipients of one message");
		return SENT;
	}
	int64_t started_ms = clock_now_us(a->courier->options.clock) / 1000;
	size_t n = collect(a, to, rcpts), n_again = 0, n_dead = 0, n_delivered = 0;
	int64_t left_ms = a->until_ms - clock_monotonic_ms(a->courier->options.clock);
	c->client.options.timeouts.send_ms = MAX(MIN(left_ms, SEND_MS), (int64_t)1);
	smtp_client_send(&c->client, &a->message, to, n, outcomes, a->arena);
	unsigned n_transactions = 0;
	for (size_t i = 0; i < n; i++)
		n_dead += was_dead(&outcomes[i]);
	if (c->reused && n_dead == n)
		return SENT_DEAD;
	courier_record_sent(a, c, chance->guard, outcomes, n, started_ms);
	const char *host = courier_keep(a, c->host), *address = courier_keep(a, c->address);
	for (size_t i = 0; i < n; i++) {
		struct smtp_outcome *o = &outcomes[i];
		n_transactions = MAX(n_transactions, o->n_transaction);
		n_delivered += o->kind == SMTP_OUTCOME_DELIVERED;
		o->n_transaction += o->n_transaction ? a->n_transactions : 0;
		soften(a, chance, c, o);
		rcpts[i]->judged = !o->again && judges(o);
		if (rcpts[i]->judged)
			rcpts[i]->outcome = (struct smtp_outcome){.kind = SMTP_OUTCOME_NONE};
		offer(rcpts[i], o, host, address);
		n_again += o->again;
	}
	if (n_delivered > 0)
		delivery_order_note(&a->courier->order, slice_str(c->host), &c->ip,
		                    DELIVERY_WORKED);
	a->n_transactions += n_transactions;
	a->recipient_limit = c->client.ehlo.rcpt_max;
	a->reused = a->reused || c->reused;
	a->busy = a->busy || c->client.busy;
	return n_again > 0 && n_again < n ? SENT_AGAIN : SENT;
}

/* --- one host --- */

static bool is_own(const struct courier_attempt *a, const struct chance *chance)
{
	return chance->addresses && chance->addresses->own && a->n_proxy_ips == 0;
}

/* No new connection is begun: the queue waits. */
static bool is_late(const struct courier_attempt *a)
{
	return clock_monotonic_ms(a->courier->options.clock) - a->began_ms > COURIER_NEW_HOST_MS;
}

static bool may_go_clear(const struct courier_attempt *a, const struct courier_target *target,
                         const struct courier_failure *failure)
{
	return !target->in_clear && !failure->tampered &&
	       failure->session.progress == DELIVERY_TLS_NO_HANDSHAKE &&
	       delivery_security_judge(&target->guard->security, failure->session.progress, false)
	                       .next == DELIVERY_AGAIN_IN_CLEAR &&
	       !is_late(a);
}

static struct courier_connection *connect_to(struct courier_attempt *a,
                                             const struct courier_target *target)
{
	struct courier_failure failure;
	int64_t started_ms = clock_now_us(a->courier->options.clock) / 1000;
	struct courier_connection *c =
	        courier_connect(a->courier, a->job, target, a->arena, &failure);
	if (!target->in_clear)
		courier_report_session(a, target->guard, c ? &c->session_facts : &failure.session);
	if (c)
		return c;
	courier_record_host(a, &(struct courier_turn){.host = target->host,
	                                              .address = failure.session.address,
	                                              .tls = failure.tls_text,
	                                              .guard = target->guard,
	                                              .started_ms = started_ms,
	                                              .result = failure.outcome.why});
	if (may_go_clear(a, target, &failure)) {
		struct courier_target clear = *target;
		clear.in_clear = true;
		return connect_to(a, &clear); /* which has no handshake to fail */
	}
	a->busy = a->busy || failure.outcome.code == 421;
	offer_all(a, &failure.outcome, courier_keep(a, target->host),
	          courier_keep(a, failure.session.address));
	return NULL;
}

/* It is not connected to. */
static void pass_over(struct courier_attempt *a, const struct chance *chance, const char *enhanced,
                      const char *why)
{
	const char *name = chance->host->name;
	struct smtp_outcome o = outcome_of(a, enhanced, why);
	courier_record_host(a, &(struct courier_turn){
	                               .host = name,
	                               .address = "",
	                               .tls = "none",
	                               .guard = chance->guard,
	                               .started_ms = clock_now_us(a->courier->options.clock) / 1000,
	                               .result = o.why});
	offer_all(a, &o, courier_keep(a, name), "");
}

/* What there is to connect to; false, and told, when there is nothing. */
static bool has_addresses(struct courier_attempt *a, struct chance *chance)
{
	if (!find_addresses(a, chance) || is_own(a, chance))
		return false;
	const struct delivery_addresses *addresses = chance->addresses;
	if (addresses->outcome == DELIVERY_HOSTS_FOUND)
		return true;
	pass_over(a, chance, addresses->enhanced, addresses->why);
	courier_report_addresses(a, chance->host->name, addresses);
	return false;
}

/* Whether mail may go to the host at all, and how; false, and told, when it may not. */
static bool is_open(struct courier_attempt *a, struct chance *chance)
{
	static const struct courier_session nothing = {.why = ""};
	const char *name = chance->host->name;
	struct delivery_guard *guard =
	        courier_guard_host(a, chance->host, chance->addresses, chance->target.port);
	if (!guard) {
		give_up(a, "4.3.0", "too little memory for what guards %s", name);
		return false;
	}
	chance->guard = guard;
	chance->target.guard = guard;
	if (guard->security.way == DELIVERY_WAY_OPEN)
		return true;
	const char *why = arena_printf(a->arena, "%s: %s", name, guard->security.why);
	pass_over(a, chance, guard->security.enhanced, why ? why : "");
	courier_report_session(a, guard, &nothing);
	return false;
}

/* The host has its chance at all who are left. */
static void serve_host(struct courier_attempt *a, struct chance *chance)
{
	char key[COURIER_KEY_MAX];
	if (!has_addresses(a, chance) || !is_open(a, chance))
		return;
	courier_key(&chance->target, key);
	struct courier_connection *c = courier_pool_take(a->courier, key);
	for (size_t i = 0; i < ROUNDS_MAX && !all_judged(a); i++) {
		if (i > 0 && is_late(a))
			break;
		if (!c)
			c = connect_to(a, &chance->target);
		if (!c)
			return;
		enum sent sent = send_by(a, chance, c);
		if (sent == SENT) {
			courier_pool_put(a->courier, c);
			return;
		}
		courier_disconnect(c);
		c = NULL;
	}
	if (c)
		courier_pool_put(a->courier, c);
}

static bool is_single(const struct courier_attempt *a)
{
	return a->transport && (a->transport->kind == CONFIG_TRANSPORT_SMTP ||
	                        a->transport->kind == CONFIG_TRANSPORT_SUBMISSION);
}

static uint16_t port_of(const struct courier_attempt *a)
{
	if (!a->transport)
		return 25;
	return a->transport->kind == CONFIG_TRANSPORT_SOCKS ? a->transport->remote_port
	                                                    : a->transport->port;
}

static void make_target(const struct courier_attempt *a, const char *host,
                        struct courier_target *target)
{
	const struct config_transport *t = a->transport;
	*target = (struct courier_target){
	        .transport = t,
	        .host = host,
	        .tls_name = is_single(a) ? t->tls_name_ascii : NULL,
	        .ehlo_name = t ? t->ehlo_ascii : a->job->config->hostname_ascii,
	        .port = port_of(a),
	        .implicit = is_single(a) && t->tls == CONFIG_TLS_IMPLICIT,
	        .until_ms = a->until_ms,
	        .proxy_ips = a->proxy_ips,
	        .n_proxy_ips = a->n_proxy_ips,
	};
}

/* False when the host is ourselves: the list ends before it. */
static bool try_host(struct courier_attempt *a, const struct delivery_host *host)
{
	struct chance chance = {.host = host};
	make_target(a, host->name, &chance.target);
	serve_host(a, &chance);
	return !is_own(a, &chance);
}

/* --- hosts --- */

/* Among equals, one with a connection at hand goes first. */
static void prefer_connected(struct courier_attempt *a, struct delivery_hosts *hosts)
{
	for (size_t i = 1; i < hosts->n && hosts->v[i].preference == hosts->v[0].preference; i++) {
		char key[COURIER_KEY_MAX];
		struct courier_target target;
		make_target(a, hosts->v[i].name, &target);
		courier_host_key(&target, key);
		if (!courier_pool_has(a->courier, key))
			continue;
		struct delivery_host chosen = hosts->v[i];
		hosts->v[i] = hosts->v[0];
		hosts->v[0] = chosen;
		return;
	}
}

static void run_direct(struct courier_attempt *a)
{
	struct delivery_hosts *hosts = ARENA_NEW(a->arena, struct delivery_hosts);
	if (!hosts || !is_ok(delivery_hosts_find(&a->query, a->arena, hosts))) {
		give_up(a, "4.3.0", "too little memory for the servers of %s", a->in->domain);
		return;
	}
	if (hosts->outcome != DELIVERY_HOSTS_FOUND) {
		courier_report_lookup(a, hosts);
		give_up(a, hosts->enhanced, "%s", hosts->why);
		return;
	}
	a->hosts_found = hosts;
	if (!courier_find_policy(a)) {
		give_up(a, "4.3.0", "too little memory for the policy of %s", a->in->domain);
		return;
	}
	prefer_connected(a, hosts);
	for (size_t i = 0; i < hosts->n && !all_judged(a); i++) {
		if (i > 0 && is_late(a))
			return;
		if (!try_host(a, &hosts->v[i]))
			delivery_hosts_drop(hosts, i, hosts->v[i].preference);
	}
	if (hosts->n == 0)
		give_up(a, hosts->enhanced, "%s", hosts->why);
}

static void run_single(struct courier_attempt *a)
{
	const struct config_transport *t = a->transport;
	struct delivery_host host = {.name = t->host_ascii, .is_literal = t->host_is_ip};
	if (t->host_is_ip && !delivery_ip_parse(slice_str(t->host_ascii), &host.literal)) {
		give_up(a, "4.3.5", "transport `%s` has no usable address", t->name.s);
		return;
	}
	a->query.n_own_ips = 0; /* the administrator means it */
	(void)try_host(a, &host);
}

/* The proxy's own addresses. */
static bool find_proxy(struct courier_attempt *a)
{
	const struct config_transport *t = a->transport;
	struct delivery_addresses *addresses = ARENA_NEW(a->arena, struct delivery_addresses);
	struct delivery_host host = {.name = t->host_ascii, .is_literal = t->host_is_ip};
	struct delivery_query query = {.resolver = a->query.resolver};
	if (t->host_is_ip)
		(void)delivery_ip_parse(slice_str(t->host_ascii), &host.literal);
	if (!addresses || !is_ok(delivery_addresses_find(&query, &host, a->arena, addresses)) ||
	    addresses->n == 0) {
		give_up(a, "4.3.5", "the proxy of transport `%s`: %s", t->name.s,
		        addresses ? addresses->why : "too little memory");
		return false;
	}
	memcpy(a->proxy_ips, addresses->v, addresses->n * sizeof(*addresses->v));
	a->n_proxy_ips = addresses->n;
	return true;
}

/* --- the start --- */

static bool has_smtp_port(const struct config_listener *listener, uint16_t port)
{
	return listener->services[CONFIG_SMTP].enabled &&
	       listener->services[CONFIG_SMTP].port == port;
}

/* Who we are, for RFC 5321 section 5.1: our names, and the addresses where our own SMTP listens on
 * the port that is to be connected to. */
static void find_ourselves(struct courier_attempt *a)
{
	const struct config *config = a->job->config;
	struct delivery_query *query = &a->query;
	if (port_of(a) == 25)
		a->own_names[query->n_own_names++] = config->hostname_ascii;
	for (size_t i = 0; i < config->listeners.n; i++) {
		const struct config_listener *listener = &config->listeners.v[i];
		if (!has_smtp_port(listener, port_of(a)))
			continue;
		if (query->n_own_names < COURIER_OWN_MAX)
			a->own_names[query->n_own_names++] = listener->hostname.s;
		for (size_t j = 0; j < listener->addresses.n; j++)
			if (query->n_own_ips < COURIER_OWN_MAX &&
			    delivery_ip_parse(config_slice(&listener->addresses.v[j].text),
			                      &a->own_ips[query->n_own_ips]))
				query->n_own_ips++;
	}
	query->own_names = a->own_names;
	query->own_ips = a->own_ips;
}

static uint32_t pick(void *context, uint32_t bound)
{
	uint32_t number = 0;
	(void)context;
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return 0;
	return number % bound;
}

/* What the transport demands of TLS, whatever the recipient's domain does. */
static enum delivery_floor floor_of(const struct config_transport *transport)
{
	switch (transport ? transport->tls : CONFIG_TLS_OPPORTUNISTIC) {
	case CONFIG_TLS_NONE:
		return DELIVERY_FLOOR_CLEAR;
	case CONFIG_TLS_DEFAULT:
	case CONFIG_TLS_OPPORTUNISTIC:
		return DELIVERY_FLOOR_OPPORTUNISTIC;
	case CONFIG_TLS_REQUIRED:
	case CONFIG_TLS_IMPLICIT:
		return DELIVERY_FLOOR_VERIFIED;
	}
	return DELIVERY_FLOOR_VERIFIED;
}

static void make_message(struct courier_attempt *a)
{
	const Door__Attempt *in = a->in;
	a->file = (struct smtp_content_file){.fd = a->job->body_fd};
	a->content = smtp_content_of_file(&a->file, in->size);
	a->message = (struct smtp_message){
	        .sender = slice_str(in->sender),
	        .prefix = slice_of(in->prefix.data, in->prefix.len),
	        .content = &a->content,
	        .has_8bit = in->has_8bit,
	        .binary = in->binary,
	        .utf8 = in->smtputf8,
	        .require_tls = in->require_tls,
	        .ret = (enum smtp_ret)in->ret,
	        .envid = slice_str(in->envid),
	        .has_priority = in->priority != 0,
	        .priority = in->priority,
	};
	if (in->deliver_by_ms == 0)
		return;
	a->message.by_mode = (enum smtp_by_mode)in->deliver_by_mode;
	a->message.by_s = in->deliver_by_ms / 1000 - clock_now_s(a->courier->options.clock);
}

/* A transport that refuses: the queue has that from the config itself; here for completeness. */
static void run_fail(struct courier_attempt *a)
{
	const struct config_transport *t = a->transport;
	char enhanced[SMTP_ENHANCED_SIZE];
	struct slice text = config_slice(&t->message);
	if (!smtp_enhanced_parse((uint16_t)t->code, text, enhanced, &text))
		snprintf(enhanced, sizeof(enhanced), "%c.7.1", t->code >= 500 ? '5' : '4');
	give_up(a, enhanced, "transport `%s` refuses: %.*s", t->name.s,
	        SLICE_FMT(text.n > 0 ? text : SLICE("no mail leaves this way")));
}

static void run(struct courier_attempt *a)
{
	if (!a->transport || a->transport->kind == CONFIG_TRANSPORT_DIRECT)
		run_direct(a);
	else if (a->transport->kind == CONFIG_TRANSPORT_FAIL)
		run_fail(a);
	else if (is_single(a))
		run_single(a);
	else if (find_proxy(a))
		run_direct(a);
}

/* --- the whole --- */

static struct status check(const Door__Attempt *in)
{
	if (in->n_recipients == 0 || in->n_recipients > COURIER_RECIPIENTS_MAX)
		return fail(ERR_PROTOCOL, "an attempt has from 1 to 1000 recipients");
	if (in->ret > SMTP_RET_HDRS || in->deliver_by_mode > SMTP_BY_NOTIFY ||
	    in->priority < SMTP_PRIORITY_MIN || in->priority > SMTP_PRIORITY_MAX)
		return fail(ERR_PROTOCOL, "an attempt has values out of range");
	return ok();
}

static struct status prepare(struct courier_attempt *a)
{
	TRY(check(a->in));
	a->hosts = ARENA_ARRAY(a->arena, COURIER_HOSTS_TRIED_MAX, Door__HostTried);
	a->host_list = ARENA_ARRAY(a->arena, COURIER_HOSTS_TRIED_MAX, Door__HostTried *);
	a->rcpts = ARENA_ARRAY(a->arena, a->in->n_recipients, struct courier_rcpt);
	a->outcomes = ARENA_ARRAY(a->arena, a->in->n_recipients, Door__RecipientOutcome);
	a->outcome_list = ARENA_ARRAY(a->arena, a->in->n_recipients, Door__RecipientOutcome *);
	a->facts = ARENA_NEW(a->arena, struct delivery_tls_facts);
	if (arena_failed(a->arena))
		return fail(ERR_LIMIT, "too many recipients for one attempt");
	a->n_rcpts = a->in->n_recipients;
	for (size_t i = 0; i < a->n_rcpts; i++)
		a->rcpts[i] = (struct courier_rcpt){
		        .in = a->in->recipients[i], .host = "", .address = ""};
	if (*a->in->transport) {
		a->transport = config_transport_find(a->job->config, slice_str(a->in->transport));
		if (!a->transport)
			return fail(ERR_NOT_FOUND, "no transport of that name");
	}
	a->query.resolver = a->job->resolver;
	a->query.domain = slice_str(a->in->domain);
	a->query.chance = pick;
	if (a->transport)
		a->query.families = (enum delivery_families)a->transport->family;
	a->floor = floor_of(a->transport);
	find_ourselves(a);
	make_message(a);
	return ok();
}

void courier_run(struct courier *courier, const struct courier_job *job, struct arena *arena,
                 Door__CourierReply *ret_reply)
{
	_Static_assert((int)DELIVERY_IPV6 == (int)CONFIG_FAMILY_IPV6, "both count alike");
	struct courier_attempt *a = ARENA_NEW(arena, struct courier_attempt);
	Door__Status *said = ARENA_NEW(arena, Door__Status);
	struct status status = fail(ERR_LIMIT, "too little memory");
	door__courier_reply__init(ret_reply);
	if (a && said) {
		a->courier = courier;
		a->job = job;
		a->in = job->attempt;
		a->arena = arena;
		a->began_ms = clock_monotonic_ms(courier->options.clock);
		a->until_ms = a->began_ms + COURIER_ATTEMPT_MAX_MS;
		status = prepare(a);
	}
	if (is_ok(status))
		run(a);
	else if (status.code == ERR_NOT_FOUND) {
		/* The config changed since the queue chose: the next attempt chooses anew. */
		give_up(a, "4.3.5", "there is no transport `%s` any more", a->in->transport);
		status = ok();
	}
	if (is_ok(status)) {
		courier_report_all(a);
		courier_fill_reply(a, ret_reply);
	}
	if (!said)
		return;
	door__status__init(said);
	said->code = status.code;
	said->why = door_string(status.why); /* static words */
	ret_reply->status = said;
}
