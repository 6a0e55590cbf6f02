/* Facts for reports on their way to the steward: collected, equal ones counted together, handed
 *over in batches about each second by a thread of its own. Whoever adds one never waits for the
 *steward.
 *
 *	struct reporter *reporter = reporter_new(&options);
 *	reporter_add(reporter, &fact)          from any thread
 *	reporter_free(reporter)                for tests: hands over what there is, once
 *
 * A batch that is not answered is sent again under its id, which the steward counts once, until it
 *is taken or REPORTER_PATIENCE_MS have passed. Meanwhile new facts are collected up to the limits
 *below; what is beyond them is dropped, counted, told to the steward and in the log.
 */
#pragma once

#include "base/clock.h"
#include "base/hash.h"
#include "rooms/runtime.h"
#include "steward.pb-c.h"

#define REPORTER_PAUSE_MS    1000
#define REPORTER_FACTS_MAX   20000u                    /* different ones that wait */
#define REPORTER_SIZE_MAX    ((size_t)4 * 1024 * 1024) /* bytes of them */
#define REPORTER_BATCH_FACTS 2000u
#define REPORTER_BATCH_SIZE                                                                        \
	((size_t)80 * 1024) /* bytes of a batch: fits a packet with its overhead */
#define REPORTER_FACT_MAX     ((size_t)48 * 1024) /* bytes of one; larger ones are dropped */
#define REPORTER_PATIENCE_MS  (12 * 3600 * 1000)  /* below the steward's REPORT_BATCH_KEEP_S */
#define REPORTER_RETRY_MS     1000                /* doubled each time */
#define REPORTER_RETRY_MAX_MS 60000

struct reporter_options {
	struct hash_key key; /* random */
	const struct clock *clock;
	/* To the steward; blocks. OK: counted. INVALID, DENIED, LIMIT, PROTOCOL: never will be. */
	struct status (*send)(void *context, const Door__AddFacts *batch);
	void *context;
	int pause_ms; /* 0: REPORTER_PAUSE_MS */
};

struct reporter;

struct reporter *reporter_new(const struct reporter_options *options);
void reporter_free(struct reporter *reporter);

/* Copied, and counted once more where an equal one waits; the fact's own count is not looked at. */
void reporter_add(struct reporter *reporter, const Door__Fact *fact);

/* For options.send: the steward room, asked by the room that is the context. */
struct status reporter_send_to_steward(void *context, const Door__AddFacts *batch);
