/* What libunbound's result says, and what it does not say asked in other ways.
 *
 * It tells the security of a whole answer only. Where there is a chain of CNAMEs and the whole is
 * not secure, each step and the end are asked for again, from the cache, to tell which part is not
 * (RFC 7672 section 2.2.2 wants to know). A step that a DNAME record made is as secure as that
 * record (RFC 6672 section 5.3.2), which is asked for in its stead.
 *
 * It does not pass on Extended DNS Errors. For what fails validation they are derived from its
 * words (reason.h); a forwarder that answers SERVFAIL is asked once more, directly, for the one it
 * sends.
 *
 * It calls aliases that lead round or on and on a failed server: each step is asked for to tell
 * that from servers that cannot be reached.
 */
#include "dns/message.h"
#include "dns/reason.h"
#include "dns/stub.h"
#include "dns/unbound_private.h"
#include "os/clock.h"

#define TYPE_DNAME        39u
#define EDE_NO_REACHABLE  22
#define ASK_FORWARDER_MS  1500
#define STEP_MS           2000 /* for asking a step again: it is in the cache */
#define SCRATCH_MAX       ((size_t)512 * 1024)
#define UNBOUND_CHAIN_MAX 11u /* CNAME steps that libunbound follows */

static void free_result(struct ub_result **result)
{
	ub_resolve_free(*result);
}

/* For a step that is asked for again: soon. */
static struct dns_unbound_asker step_asker(const struct dns_unbound_asker *asker)
{
	struct dns_unbound_asker step = *asker;
	step.deadline_ms = clock_monotonic_ms(clock_real()) + STEP_MS;
	return step;
}

static struct slice packet_of(const struct ub_result *result)
{
	return slice_of(result->answer_packet, (size_t)MAX(result->answer_len, 0));
}

/* --- failures --- */

static struct dns_answer *bogus(struct dns_name name, enum dns_type type,
                                const struct ub_result *result, struct arena *arena)
{
	const char *words = result->why_bogus ? result->why_bogus : "validation failure";
	struct dns_answer *answer =
	        dns_answer_failed(name, type, DNS_FAILURE_AUTHENTICATION, words, arena);
	if (answer) {
		answer->rcode = DNS_RCODE_SERVFAIL;
		answer->ede_code = dns_reason_ede(slice_str(words));
	}
	return answer;
}

/* Asks the forwarders themselves what is wrong: they may send an Extended DNS Error, and libunbound
 * says SERVFAIL where they say REFUSED. */
static struct dns_answer *ask_forwarders(const struct dns_unbound_asker *asker,
                                         struct dns_name name, enum dns_type type,
                                         struct arena *arena)
{
	const struct dns_unbound *unbound = asker->unbound;
	struct dns_stub stub;
	struct dns_answer *failed = NULL;
	const struct dns_answer *said = NULL;
	int64_t left = asker->deadline_ms - clock_monotonic_ms(clock_real());
	if (unbound->n_servers == 0 || left <= 0)
		return NULL;
	dns_stub_init(&stub, unbound->servers, unbound->n_servers, false);
	struct status status = dns_lookup_name(&stub.resolver, name, type,
	                                       (int)MIN(left, ASK_FORWARDER_MS), arena, &said);
	if (!is_ok(status) || said->outcome != DNS_FAILED || said->rcode == 0)
		return NULL;
	failed = dns_answer_failed(name, type, said->failure, said->why, arena);
	if (failed) {
		failed->rcode = said->rcode;
		failed->ede_code = said->ede_code;
		failed->ede_text = said->ede_text;
	}
	return failed;
}

/* The alias's target, if the name is one. */
static bool follow_alias(const struct dns_unbound_asker *asker, struct dns_name *name,
                         struct arena *arena)
{
	CLEANUP(free_result) struct ub_result *result = NULL;
	struct dns_message message;
	if (!is_ok(dns_unbound_ask(asker, *name, DNS_TYPE_CNAME, &result)) || result->bogus ||
	    !is_ok(dns_message_parse(packet_of(result), arena, &message)))
		return false;
	for (size_t i = 0; i < message.n_answers; i++) {
		const struct dns_rr *rr = &message.answers[i];
		if (rr->record.type == DNS_TYPE_CNAME && dns_name_eq(rr->owner, *name)) {
			*name = rr->record.name;
			return true;
		}
	}
	return false;
}

/* Whether the name's aliases are more than libunbound follows, as they are when they lead round. */
static bool has_no_end(const struct dns_unbound_asker *asker, struct dns_name name)
{
	struct dns_unbound_asker step = step_asker(asker);
	struct arena scratch;
	size_t n = 0;
	arena_init(&scratch, SCRATCH_MAX);
	step.deadline_ms = MIN(asker->deadline_ms, step.deadline_ms);
	while (n <= UNBOUND_CHAIN_MAX && follow_alias(&step, &name, &scratch))
		n++;
	arena_done(&scratch);
	return n > UNBOUND_CHAIN_MAX;
}

static struct dns_answer *unanswered(const struct dns_unbound_asker *asker, struct dns_name name,
                                     enum dns_type type, const struct ub_result *result,
                                     struct arena *arena)
{
	bool servfail = result->rcode == DNS_RCODE_SERVFAIL;
	struct dns_answer *answer;
	if (servfail && type != DNS_TYPE_CNAME && has_no_end(asker, name)) {
		answer = dns_answer_failed(name, type, DNS_FAILURE_OTHER,
		                           "aliases (CNAME) go on and on or in a circle", arena);
		servfail = false;
	} else {
		answer = ask_forwarders(asker, name, type, arena);
		if (answer)
			return answer;
		answer = dns_answer_failed(
		        name, type, servfail ? DNS_FAILURE_TEMPORARY : DNS_FAILURE_OTHER,
		        servfail ? "no server gave a usable answer" : "servers refuse to answer",
		        arena);
	}
	if (answer) {
		answer->rcode = (uint32_t)result->rcode;
		answer->ede_code = servfail ? EDE_NO_REACHABLE : DNS_NO_EDE;
	}
	return answer;
}

/* --- the status of each step --- */

/* Bogus steps cannot be: the whole would be. What cannot be told is insecure. */
static enum dns_security security_of(const struct dns_unbound_asker *asker, struct dns_name name,
                                     unsigned type)
{
	struct dns_unbound_asker step = step_asker(asker);
	CLEANUP(free_result) struct ub_result *result = NULL;
	if (!is_ok(dns_unbound_ask(&step, name, type, &result)))
		return DNS_INSECURE;
	return result->secure ? DNS_SECURE : DNS_INSECURE;
}

/* libunbound cannot validate a CNAME alone that a DNAME made. */
static enum dns_security security_of_step(const struct dns_unbound_asker *asker,
                                          struct dns_name alias, const struct dns_message *message)
{
	for (size_t i = 0; i < message->n_dnames; i++)
		if (dns_name_is_within(alias, message->dnames[i]) &&
		    !dns_name_eq(alias, message->dnames[i]))
			return security_of(asker, message->dnames[i], TYPE_DNAME);
	return security_of(asker, alias, DNS_TYPE_CNAME);
}

static struct status tell_steps_apart(const struct dns_unbound_asker *asker,
                                      struct dns_answer *answer, const struct dns_message *message,
                                      struct arena *arena)
{
	enum dns_security steps[DNS_CHAIN_MAX];
	for (size_t i = 0; i < answer->n_chain; i++)
		steps[i] = security_of_step(asker, answer->chain[i].alias, message);
	enum dns_security end = security_of(asker, answer->canonical_name, answer->type);
	return dns_answer_set_trust(answer, steps, end, arena);
}

/* --- what was found --- */

static struct dns_answer *answered(const struct dns_unbound_asker *asker, struct dns_name name,
                                   enum dns_type type, const struct ub_result *result,
                                   struct arena *arena)
{
	struct dns_message message;
	struct status status = dns_message_parse(packet_of(result), arena, &message);
	if (!is_ok(status))
		return dns_answer_failed(name, type, DNS_FAILURE_OTHER, status.why, arena);
	struct dns_answer *answer = dns_answer_from_message(
	        &message, name, type, result->secure ? DNS_SECURE : DNS_INSECURE, arena);
	if (answer && answer->n_chain > 0 && !result->secure && asker->unbound->anchors.n > 0 &&
	    !is_ok(tell_steps_apart(asker, answer, &message, arena)))
		return NULL;
	return answer;
}

struct dns_answer *dns_unbound_answer(const struct dns_unbound_asker *asker, struct dns_name name,
                                      enum dns_type type, const struct ub_result *result,
                                      struct arena *arena)
{
	if (result->bogus)
		return bogus(name, type, result, arena);
	if (result->rcode == 0 || result->rcode == DNS_RCODE_NXDOMAIN)
		return answered(asker, name, type, result, arena);
	return unanswered(asker, name, type, result, arena);
}
