/* What the gate tells of a message for DMARC aggregate reports (RFC 7489 section 7.2, RFC 9990), as
 * a fact for the steward. */
#pragma once

#include "mailauth/inspection.h"
#include "rooms/reporter.h"

#define GATE_FACT_REASONS_MAX 4u
#define GATE_FACT_DKIM_MAX    20u /* signatures that are told of */

/* A message that carries a report: by its subject (RFC 7489 section 7.2.1.1, RFC 8460 section 5.3)
 * or TLS-Report-Domain. Anybody can write that; all that follows is that such mail alone causes no
 * report, so that two servers do not report each other's reports for ever. */
bool gate_facts_is_report(struct slice header);

struct gate_fact {
	const struct policy_facts *facts;
	const struct policy_decision *decision; /* of the recipient that was treated best */
	enum dmarc_discovery discovery;
	const char *client;     /* its address */
	struct slice mail_from; /* its domain; empty for the null path */
	bool is_report;
};

/* Nothing where DMARC did not apply, or nobody wants reports. Of an accepted or refused message;
 * once. */
void gate_facts_tell(struct reporter *reporter, const struct gate_fact *fact);
