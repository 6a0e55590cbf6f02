/* The bytes of a message between the SMTP session and its spool: the header is held back until it
 * is there, shown to the checks as it came, rid of what others wrote in our name (RFC 8601 section
 * 5), and spooled; the body goes through.
 *
 *	gate_content_init(&content, &held, spool, checks)
 *	gate_content_begin(&content, ids, n_ids)           each message
 *	gate_content_write(&content, octets)
 *	gate_content_end(&content)
 *	gate_content_reset(&content)                       no checks look at the header any more
 *	gate_content_done(&content)
 */
#pragma once

#include "base/buf.h"
#include "message/header.h"
#include "rooms/gate_checks.h"
#include "rooms/spool.h"

#include <stdatomic.h>

#define GATE_HEADER_MAX  INSPECTION_HEADER_MAX /* bytes of one message's header; LIMIT beyond */
#define GATE_HEADER_STEP ((size_t)64 * 1024)   /* a header is held in multiples of this */
#define GATE_HEADERS_MAX                                                                           \
	((size_t)64 * 1024 * 1024) /* bytes of all headers beyond their first step; BUSY */

struct gate_content {
	struct spool *spool;
	struct gate_checks *checks;
	atomic_size_t *held; /* by all sessions of the gate */
	size_t n_held;       /* by this one */
	const struct slice *ids;
	size_t n_ids;
	struct buf header;
	struct message_header_end end;
	bool in_body; /* the header has gone through */
	int64_t now_s;
};

void gate_content_init(struct gate_content *content, atomic_size_t *held, struct spool *spool,
                       struct gate_checks *checks);
void gate_content_done(struct gate_content *content);

/* ids: the names that we sign with, which outlive the message; now_s: its time of arrival. */
void gate_content_begin(struct gate_content *content, const struct slice *ids, size_t n_ids,
                        int64_t now_s);
/* LIMIT: the header is too large. BUSY: too many large headers are under way. */
struct status gate_content_write(struct gate_content *content, struct slice octets);
/* The message is complete. */
struct status gate_content_end(struct gate_content *content);
void gate_content_reset(struct gate_content *content);
