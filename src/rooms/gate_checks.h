/* The checks of a message at the gate (mailauth/inspection.h), with threads and the resolver room;
 * what the config says to make of them; and the note about it that goes with the message.
 *
 *	gate_checks_init(&checks, connection)            a session begins
 *	gate_checks_begin(&checks, envelope)             the first recipient was accepted
 *	gate_checks_header, gate_checks_body             content
 *	gate_checks_finish(&checks)                      waits
 *	gate_checks_trace, gate_checks_decide            fields and decisions
 *	gate_checks_reset(&checks)                       the transaction is over
 *	gate_checks_done(&checks)                        the session is
 */
#pragma once

#include "mailauth/inspection.h"
#include "rooms/delivery.h"
#include "rooms/gate.h"
#include "rooms/resolver_client.h"
#include "smtp/server.h"

#define GATE_CHECK_THREADS_MAX 512u /* of one gate, at a time; beyond it checks run one by one */

struct gate_check_runner {
	struct inspection_runner runner; /* first member */
	atomic_uint n_threads;
};
void gate_check_runner_init(struct gate_check_runner *runner);

/* Of one session; one thread. */
struct gate_checks {
	struct gate_connection *connection;
	struct resolver_client resolver;
	struct inspection_env env;
	struct inspection_client *client; /* from the first transaction on */
	struct inspection *inspection;    /* of this transaction; NULL: nothing is checked */
	struct arena arena;               /* of this transaction */
	/* For reports: whether this message is one, and what was decided about it; NULL: nothing.
	 */
	bool is_report;
	const struct policy_decision *decision;
};

void gate_checks_init(struct gate_checks *checks, struct gate_connection *connection);
void gate_checks_done(struct gate_checks *checks);
void gate_checks_reset(struct gate_checks *checks);

/* Does nothing when it has begun, or the config says that nothing is checked. */
void gate_checks_begin(struct gate_checks *checks, const struct smtp_envelope *envelope);
/* The header lives until reset. */
void gate_checks_header(struct gate_checks *checks, struct slice header, int64_t now_s);
void gate_checks_body(struct gate_checks *checks, struct slice octets);
void gate_checks_finish(struct gate_checks *checks);

/* What Received says of the client: its confirmed name, and how sure that is; empty without checks.
 */
void gate_checks_client(const struct gate_checks *checks, struct slice *ret_name,
                        struct slice *ret_note);
/* Authentication-Results and Received-SPF; nothing without checks. */
struct status gate_checks_trace(const struct gate_checks *checks, struct buf *out);

/* Where each target's message goes, with its note. False: nobody gets it, and *ret_reply says why.
 * Text and notes live until reset. */
bool gate_checks_decide(struct gate_checks *checks, const struct smtp_envelope *envelope,
                        const struct config *config, struct delivery_target *targets, size_t n,
                        int64_t now_s, struct smtp_reply *ret_reply);

/* Has the message counted for DMARC reports, when the reply with this code is its last. */
void gate_checks_tell(const struct gate_checks *checks, const struct smtp_envelope *envelope,
                      unsigned code);
