/* The fields of a chain, for verifying and sealing. */
#pragma once

#include "mailauth/arc.h"
#include "mailauth/dkim_crypto.h"

/* The three fields of an instance. */
struct arc_fields {
	const struct dkim_field *results, *message, *seal;
	struct dkim_signature message_signature, seal_signature;
	struct slice payload; /* of the results, behind "i=N;" */
};

struct arc_sets {
	bool any;             /* there is an ARC field at all */
	const char *why;      /* NULL: the structure is that of section 5.2 step 3 */
	unsigned highest;     /* instance in any field that tells one; 0: none does */
	bool marked;          /* the seal with the highest instance says cv=fail */
	struct arc_fields *v; /* of instance i: v[i - 1]; whole sets 1 to `highest` when why is NULL
	                       */
};

/* LIMIT alone, past the arena's budget. */
struct status arc_sets_read(const struct dkim_header *header, struct arena *arena,
                            struct arc_sets *ret_sets);
/* What a seal signs of a whole set, and of its own (RFC 8617 section 5.1.1). */
void arc_add_set(const struct arc_fields *fields, struct dkim_sink *sink);
