/* Reports that other servers send about our domains, DMARC's and TLS's: read behind the delivery of
 * the mail that brings them, in the room that holds this mail anyhow, and handed to the steward as
 * plain facts. Private to the account room.
 */
#pragma once

#include "rooms/account_message.h"
#include "rooms/runtime.h"

/* Was this delivery sent to an address at which a domain of ours has its reports
 * (setup/report_address.h)? The prefix tells (Delivered-To). */
bool account_feedback_wants(struct room *room, struct slice prefix);

/* Whether the mail passed DMARC, as the note about its reception says. */
bool account_feedback_is_authentic(struct slice note);

/* Reads and hands over what is there; failures are logged. */
void account_feedback_work(struct room *room, const struct account_message *message, bool authentic,
                           uint64_t cid);
