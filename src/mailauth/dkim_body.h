/* The hash of a message's body (RFC 6376 section 3.7, hash step 1), in one pass for every
 * canonicalization that is asked for: fed in any split, in constant memory. Verifying, signing and
 * ARC share it.
 */
#pragma once

#include "mailauth/dkim_canon.h"
#include "mailauth/dkim_signature.h"
#include "message/body.h"

/* The canonicalizations that are wanted. */
#define DKIM_BODY_RELAXED (1u << DKIM_RELAXED)
#define DKIM_BODY_SIMPLE  (1u << DKIM_SIMPLE)
#define DKIM_BODY_BOTH    (DKIM_BODY_RELAXED | DKIM_BODY_SIMPLE)

struct dkim_body;

struct dkim_body *dkim_body_new(unsigned wanted); /* 0 is allowed: nothing is hashed */
void dkim_body_free(struct dkim_body *body);      /* accepts NULL */

/* What follows the blank line behind the header. */
void dkim_body_feed(struct dkim_body *body, struct slice bytes);
/* The whole of a source from an offset on; fails as the source does. */
struct status dkim_body_read(struct dkim_body *body, const struct message_source *source,
                             uint64_t offset);
void dkim_body_finish(struct dkim_body *body); /* once, behind the last byte */

bool dkim_body_has(const struct dkim_body *body, enum dkim_canon canon);
/* After finish, for what was wanted: DKIM_HASH_SIZE bytes that live as long as the body. */
struct slice dkim_body_hash(const struct dkim_body *body, enum dkim_canon canon);
/* Octets of the canonical body, which l= counts. */
uint64_t dkim_body_size(const struct dkim_body *body, enum dkim_canon canon);
