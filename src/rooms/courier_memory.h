/* What became of recipients, for a queue that was killed before it could record it: it asks again,
 * and hears the first answer instead of having the message delivered twice. While an attempt for a
 * recipient is under way, a second one waits for it.
 *
 * Kept are the ends (delivered, failed) of the last recipients, each under the queue's entry and a
 * fingerprint of message and address; an entry that has ended is never tried again by a queue that
 * knows it. Thread-safe.
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"

#include "courier.pb-c.h"

#define COURIER_MEMORY_SLOTS 4096u

struct courier_memory;

struct courier_memory *courier_memory_new(struct hash_key key);
void courier_memory_free(struct courier_memory *memory); /* NULL is fine */

/* One attempt's part in it: between begin and end its recipients are taken. */
struct courier_claim {
	struct courier_claim *next;
	const Door__Attempt *attempt;   /* as it was asked for */
	Door__Attempt rest;             /* with those recipients that are to be tried */
	Door__RecipientOutcome **known; /* of the others */
	size_t n_known;
	uint64_t *fingerprints; /* of the recipients of `attempt` */
};

/* Blocks while another attempt has one of the recipients. All memory is the arena's. False when the
 * arena is spent: nothing is claimed. */
bool courier_memory_begin(struct courier_memory *memory, const Door__Attempt *attempt,
                          struct arena *arena, struct courier_claim *ret_claim);
/* Remembers what the reply says and adds what was known to it. */
void courier_memory_end(struct courier_memory *memory, struct courier_claim *claim,
                        Door__CourierReply *reply, struct arena *arena);
