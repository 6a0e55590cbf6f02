/* See gate_checks.h. A decision is made for each account, since exceptions are the account's; but
 * there is one reply for all: when some take the message, the others get it as junk rather than not
 * at all.
 *
 * Limits: GATE_CHECK_THREADS_MAX; a note is cut to STORE_NOTE's size by leaving lookups out.
 */
#include "rooms/gate_checks.h"

#include "os/clock.h"
#include "os/log.h"
#include "rooms/gate_facts.h"
#include "verdict.pb-c.h"

#define CHECK_STACK        ((size_t)192 * 1024)
#define DECISION_MEMORY    ((size_t)16 * 1024 * 1024) /* of one transaction, all targets */
#define NOTE_MAX           ((size_t)32 * 1024)
#define LOGGED_REASONS_MAX 2000u
#define NOTE_LOOKUPS       40u /* of one check */

/* ---- beside the session ---- */

struct check_thread {
	pthread_t thread;
	void (*run)(void *argument);
	void *argument;
};

static void run_thread(void *context)
{
	struct check_thread *t = context;
	t->run(t->argument);
}

static bool start_thread(const struct inspection_runner *runner, void (*run)(void *argument),
                         void *argument, void **ret_handle)
{
	struct gate_check_runner *r = (struct gate_check_runner *)(uintptr_t)runner;
	struct thread_options options = {
	        .name = "check", .stack_size = CHECK_STACK, .joinable = true};
	if (atomic_fetch_add(&r->n_threads, 1) < GATE_CHECK_THREADS_MAX) {
		struct check_thread *t = base_alloc(sizeof(*t));
		*t = (struct check_thread){.run = run, .argument = argument};
		if (is_ok(thread_start(&options, run_thread, t, &t->thread))) {
			*ret_handle = t;
			return true;
		}
		base_free(t);
	}
	atomic_fetch_sub(&r->n_threads, 1);
	return false;
}

static void wait_thread(const struct inspection_runner *runner, void *handle)
{
	struct gate_check_runner *r = (struct gate_check_runner *)(uintptr_t)runner;
	struct check_thread *t = handle;
	thread_join(t->thread);
	base_free(t);
	atomic_fetch_sub(&r->n_threads, 1);
}

void gate_check_runner_init(struct gate_check_runner *runner)
{
	runner->runner = (struct inspection_runner){start_thread, wait_thread};
	atomic_init(&runner->n_threads, 0);
}

/* ---- life ---- */

void gate_checks_init(struct gate_checks *checks, struct gate_connection *connection)
{
	const struct config *config = connection->config->config;
	const struct config_reception *r = &config->reception;
	struct gate *gate = connection->gate;
	*checks = (struct gate_checks){.connection = connection};
	resolver_client_init(&checks->resolver, gate->room, connection->cid);
	checks->env = (struct inspection_env){
	        .resolver = &checks->resolver.resolver,
	        .cache = gate->dns_cache,
	        .keys = gate->dkim_keys,
	        .clock = clock_real(),
	        .runner = &gate->checkers->runner,
	        .lists = gate->lists,
	        .timeout_ms = (int)r->timeout_ms,
	        .discovery = r->dmarc_discovery == CONFIG_DMARC_PUBLIC_SUFFIX ? DMARC_PUBLIC_SUFFIX
	                                                                      : DMARC_TREE_WALK,
	        .address_lists = r->address_lists_ascii,
	        .n_address_lists = r->address_lists.n,
	        .domain_lists = r->domain_lists_ascii,
	        .n_domain_lists = r->domain_lists.n,
	        .receiver = config->hostname_ascii,
	};
	arena_init(&checks->arena, DECISION_MEMORY);
}

void gate_checks_reset(struct gate_checks *checks)
{
	inspection_free(checks->inspection);
	checks->inspection = NULL;
	checks->is_report = false;
	checks->decision = NULL;
	arena_reset(&checks->arena);
}

void gate_checks_done(struct gate_checks *checks)
{
	gate_checks_reset(checks);
	inspection_client_free(checks->client);
	checks->client = NULL;
	arena_done(&checks->arena);
}

static struct slice address_of(const struct gate_connection *connection)
{
	return slice_of(connection->peer.ip, connection->peer.family == OS_FAMILY_V4 ? 4 : 16);
}

/* The client's own business (its name, block lists) is looked up when it turns out to have mail for
 * us: of those who only try addresses nothing need be known. */
void gate_checks_begin(struct gate_checks *checks, const struct smtp_envelope *envelope)
{
	const struct smtp_path *from = &envelope->mail.from;
	bool null = from->kind == SMTP_PATH_NULL;
	if (checks->inspection || !checks->connection->config->config->reception.checks ||
	    checks->connection->peer.family == OS_FAMILY_NONE)
		return;
	if (!checks->client)
		checks->client =
		        inspection_client_new(&checks->env, address_of(checks->connection));
	const struct inspection_envelope e = {
	        .helo = envelope->has_helo ? envelope->helo.text : slice_empty(),
	        .localpart = null ? slice_empty() : from->localpart,
	        .domain = null ? slice_empty() : from->host.text,
	        .utf8 = envelope->mail.params.utf8,
	};
	checks->inspection = inspection_new(&checks->env, checks->client, &e);
}

void gate_checks_header(struct gate_checks *checks, struct slice header, int64_t now_s)
{
	if (!checks->inspection)
		return;
	inspection_header(checks->inspection, header, now_s);
	checks->is_report = gate_facts_is_report(header);
}

void gate_checks_body(struct gate_checks *checks, struct slice octets)
{
	if (checks->inspection)
		inspection_body(checks->inspection, octets);
}

void gate_checks_finish(struct gate_checks *checks)
{
	if (checks->inspection)
		inspection_finish(checks->inspection);
}

/* ---- the header ---- */

void gate_checks_client(const struct gate_checks *checks, struct slice *ret_name,
                        struct slice *ret_note)
{
	*ret_name = *ret_note = slice_empty();
	if (!checks->inspection)
		return;
	const struct iprev_result *iprev = inspection_client_iprev(checks->client);
	if (iprev->result == MAILAUTH_PASS)
		*ret_name = dns_name_slice(iprev->name);
	*ret_note = slice_str(inspection_client_note(checks->inspection));
}

struct status gate_checks_trace(const struct gate_checks *checks, struct buf *out)
{
	if (!checks->inspection)
		return ok();
	TRY(inspection_authres(checks->inspection, out));
	return inspection_spf_field(checks->inspection, out);
}

/* ---- the note ---- */

static char *text_of(struct slice text, struct arena *arena)
{
	const char *copy = mailauth_printable(text, MAILAUTH_PRINTABLE_MAX, arena);
	return door_string(copy ? copy : "");
}

static Door__CheckLookup *lookup_message(const struct mailauth_evidence_item *item,
                                         struct arena *arena)
{
	Door__CheckLookup *lookup = ARENA_NEW(arena, Door__CheckLookup);
	if (!lookup)
		return NULL;
	door__check_lookup__init(lookup);
	lookup->question = arena_printf(arena, "%s %s", item->name.text, dns_type_name(item->type));
	if (item->outcome == DNS_FOUND)
		lookup->answer = arena_printf(arena, "%zu record%s", item->n_records,
		                              item->n_records == 1 ? "" : "s");
	else if (item->outcome == DNS_FAILED)
		lookup->answer = arena_printf(arena, "failed (%s): %s",
		                              dns_failure_name(item->failure), item->why);
	else
		lookup->answer = door_string(item->outcome == DNS_NXDOMAIN ? "no such name"
		                                                           : "no such record");
	lookup->dnssec = door_string(dns_security_name(item->security));
	lookup->extended_error =
	        item->ede_code == DNS_NO_EDE
	                ? door_string("")
	                : arena_printf(arena, "%" PRIu32 " %s%s%s", item->ede_code,
	                               dns_ede_name(item->ede_code), item->ede_text[0] ? ": " : "",
	                               item->ede_text);
	return arena_failed(arena) ? NULL : lookup;
}

static Door__Check *check_message(const struct inspection_check *from, struct arena *arena)
{
	Door__Check *to = ARENA_NEW(arena, Door__Check);
	size_t n = MIN(from->evidence.n, (size_t)NOTE_LOOKUPS);
	if (!to)
		return NULL;
	door__check__init(to);
	to->method = door_string(from->method);
	to->result = door_string(from->result);
	to->about = text_of(slice_str(from->about), arena);
	to->why = text_of(slice_str(from->why), arena);
	to->dnssec = door_string(mailauth_evidence_word(&from->evidence));
	to->lookups = ARENA_ARRAY(arena, MAX(n, (size_t)1), Door__CheckLookup *);
	for (size_t i = 0; i < n && to->lookups; i++) {
		Door__CheckLookup *lookup = lookup_message(&from->evidence.v[i], arena);
		if (lookup)
			to->lookups[to->n_lookups++] = lookup;
	}
	return arena_failed(arena) ? NULL : to;
}

/* What is the same for all targets. */
static void fill_verdict(struct gate_checks *checks, const struct smtp_envelope *envelope,
                         int64_t now_s, Door__Verdict *verdict)
{
	struct inspection_check list[INSPECTION_CHECKS_MAX];
	size_t n = inspection_checks(checks->inspection, list, INSPECTION_CHECKS_MAX);
	struct arena *arena = &checks->arena;
	struct buf from;
	door__verdict__init(verdict);
	verdict->at_s = now_s;
	verdict->checks = ARENA_ARRAY(arena, n, Door__Check *);
	for (size_t i = 0; i < n && verdict->checks; i++) {
		Door__Check *check = check_message(&list[i], arena);
		if (check)
			verdict->checks[verdict->n_checks++] = check;
	}
	buf_init(&from, 1024);
	smtp_mailbox_print(&envelope->mail.from, &from);
	verdict->client = door_string(checks->connection->peer_text);
	verdict->helo = text_of(envelope->has_helo ? envelope->helo.text : slice_empty(), arena);
	verdict->mail_from = text_of(buf_slice(&from), arena);
	verdict->tls = envelope->tls && envelope->tls->on
	                       ? arena_printf(arena, "%s %s", envelope->tls->version,
	                                      envelope->tls->cipher)
	                       : door_string("");
	verdict->cid = door_string(checks->connection->cid_text);
	buf_done(&from);
}

/* Without the lookups when it is too large with them; empty when there is no room at all. */
static struct slice pack(Door__Verdict *verdict, struct arena *arena)
{
	if (arena_failed(arena))
		return slice_empty();
	size_t size = protobuf_c_message_get_packed_size(&verdict->base);
	if (size > NOTE_MAX) {
		for (size_t i = 0; i < verdict->n_checks; i++)
			verdict->checks[i]->n_lookups = 0;
		size = protobuf_c_message_get_packed_size(&verdict->base);
	}
	uint8_t *bytes = size <= NOTE_MAX ? arena_alloc(arena, size) : NULL;
	if (!bytes)
		return slice_empty();
	(void)protobuf_c_message_pack(&verdict->base, bytes);
	return slice_of(bytes, size);
}

/* ---- decisions ---- */

static enum policy_action action_of(enum config_action action)
{
	_Static_assert(
	        (int)CONFIG_ACCEPT == POLICY_ACCEPT && (int)CONFIG_JUNK == POLICY_QUARANTINE &&
	                (int)CONFIG_DEFER == POLICY_DEFER && (int)CONFIG_REFUSE == POLICY_REFUSE,
	        "the same actions");
	return (enum policy_action)action;
}

static const struct slice *slices_of(const char *const *texts, size_t n, struct arena *arena)
{
	struct slice *slices = ARENA_ARRAY(arena, MAX(n, (size_t)1), struct slice);
	for (size_t i = 0; slices && i < n; i++)
		slices[i] = slice_str(texts[i]);
	return slices;
}

static void fill_settings(const struct config_reception *r, struct arena *arena,
                          struct policy_settings *settings)
{
	*settings = (struct policy_settings){
	        .dmarc = (enum policy_dmarc)r->dmarc,
	        .dmarc_error = action_of(r->dmarc_error),
	        .dmarc_temporary = action_of(r->dmarc_temporary),
	        .no_author = action_of(r->no_author),
	        .spf_fail = action_of(r->spf_fail),
	        .iprev_fail = action_of(r->iprev_fail),
	        .listed = action_of(r->listed),
	        .arc_trusted = slices_of(r->arc_trusted_ascii, r->arc_trusted.n, arena),
	};
	settings->n_arc_trusted = settings->arc_trusted ? r->arc_trusted.n : 0;
}

static struct policy_exception *exceptions_of(const struct config *config, const char *account,
                                              struct arena *arena, size_t *ret_n)
{
	const struct config_account *a = config_account_find(config, slice_str(account));
	size_t n = a ? a->exceptions.n : 0;
	struct policy_exception *list =
	        n > 0 ? ARENA_ARRAY(arena, n, struct policy_exception) : NULL;
	*ret_n = list ? n : 0;
	for (size_t i = 0; i < *ret_n; i++) {
		const struct config_exception *e = &a->exceptions.v[i];
		list[i] = (struct policy_exception){
		        .name = config_slice(&e->name),
		        .kind = e->kind == CONFIG_EXCEPTION_FORWARD ? POLICY_FORWARD : POLICY_LIST,
		        .domains = slices_of(e->domains_ascii, e->domains.n, arena),
		        .n_domains = e->domains.n,
		        .mailbox = config_slice(&e->mailbox),
		};
		if (!list[i].domains)
			list[i].n_domains = 0;
	}
	return list;
}

static struct policy_decision *decide_all(struct gate_checks *checks, const struct config *config,
                                          const struct delivery_target *targets, size_t n)
{
	struct arena *arena = &checks->arena;
	struct policy_decision *decisions = ARENA_ARRAY(arena, n, struct policy_decision);
	struct policy_settings settings;
	fill_settings(&config->reception, arena, &settings);
	for (size_t i = 0; decisions && i < n; i++) {
		size_t n_exceptions;
		const struct policy_exception *exceptions =
		        exceptions_of(config, targets[i].account, arena, &n_exceptions);
		policy_decide(inspection_facts(checks->inspection), &settings, exceptions,
		              n_exceptions, arena, &decisions[i]);
	}
	return decisions;
}

/* The one that would be sent away for now, when there is one: he may come again. */
static const struct policy_decision *mildest(const struct policy_decision *decisions, size_t n)
{
	const struct policy_decision *found = &decisions[0];
	for (size_t i = 1; i < n; i++)
		if (decisions[i].action < found->action)
			found = &decisions[i];
	return found;
}

static void log_decision(const struct gate_checks *checks, const struct delivery_target *target,
                         const struct policy_decision *decision)
{
	struct buf reasons;
	if (decision->action == POLICY_ACCEPT)
		return;
	buf_init(&reasons, LOGGED_REASONS_MAX);
	for (size_t i = 0; i < decision->n_reasons && !buf_failed(&reasons); i++)
		buf_printf(&reasons, "%s%s", i > 0 ? "; " : "", decision->reasons[i]);
	log_info(checks->connection->cid, "message is turned away or put with the junk",
	         LOG_STR("account", target->account),
	         LOG_STR("decision", policy_action_name(decision->action)),
	         LOG_SLICE("reasons", buf_slice(&reasons)));
	buf_done(&reasons);
}

static void apply(struct gate_checks *checks, Door__Verdict *verdict,
                  const struct policy_decision *decision, struct delivery_target *target)
{
	static const char others[] =
	        "another recipient takes the message, so it is put with the junk";
	struct arena *arena = &checks->arena;
	struct buf recipient;
	bool overruled = decision->action >= POLICY_DEFER;
	target->junk = decision->action != POLICY_ACCEPT;
	if (!target->junk && decision->exception && decision->exception->mailbox.n > 0)
		target->mailbox = arena_cstr(arena, decision->exception->mailbox);
	verdict->decision =
	        door_string(policy_action_name(target->junk ? POLICY_QUARANTINE : POLICY_ACCEPT));
	verdict->reasons = ARENA_ARRAY(arena, decision->n_reasons + 1, char *);
	verdict->n_reasons = 0;
	for (size_t i = 0; verdict->reasons && i < decision->n_reasons; i++)
		verdict->reasons[verdict->n_reasons++] = door_string(decision->reasons[i]);
	if (verdict->reasons && overruled)
		verdict->reasons[verdict->n_reasons++] = door_string(others);
	buf_init(&recipient, 1024);
	smtp_mailbox_print(&target->rcpt, &recipient);
	verdict->recipient = text_of(buf_slice(&recipient), arena);
	buf_done(&recipient);
	target->note = pack(verdict, arena);
}

bool gate_checks_decide(struct gate_checks *checks, const struct smtp_envelope *envelope,
                        const struct config *config, struct delivery_target *targets, size_t n,
                        int64_t now_s, struct smtp_reply *ret_reply)
{
	Door__Verdict verdict;
	if (!checks->inspection)
		return true;
	struct policy_decision *decisions = decide_all(checks, config, targets, n);
	if (!decisions) {
		*ret_reply = smtp_reply(SMTP_REPLY_TRY_LATER);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		log_decision(checks, &targets[i], &decisions[i]);
	const struct policy_decision *best = mildest(decisions, n);
	checks->decision = best;
	if (best->action >= POLICY_DEFER) {
		*ret_reply = (struct smtp_reply){(uint16_t)best->code, best->enhanced, best->text};
		return false;
	}
	fill_verdict(checks, envelope, now_s, &verdict);
	for (size_t i = 0; i < n; i++)
		apply(checks, &verdict, &decisions[i], &targets[i]);
	return true;
}

/* ---- for reports ---- */

void gate_checks_tell(const struct gate_checks *checks, const struct smtp_envelope *envelope,
                      unsigned code)
{
	bool is_final = (code >= 200 && code < 300) || code >= 500;
	const struct gate_connection *connection = checks->connection;
	if (!checks->inspection || !checks->decision || !is_final ||
	    !connection->config->config->reports.dmarc)
		return;
	const struct gate_fact fact = {
	        .facts = inspection_facts(checks->inspection),
	        .decision = checks->decision,
	        .discovery = checks->env.discovery,
	        .client = connection->peer_text,
	        .mail_from = envelope->mail.from.kind == SMTP_PATH_NULL
	                             ? slice_empty()
	                             : envelope->mail.from.host.text,
	        .is_report = checks->is_report,
	};
	gate_facts_tell(connection->gate->reporter, &fact);
}
