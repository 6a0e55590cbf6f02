/* Sets of messages: sequence-set of RFC 9051 section 9, normalised to ascending, disjoint ranges.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "imap/out.h"
#include "store/store.h"

#define IMAP_SET_RANGES_MAX 32768u /* of one set; a line has no room for more */

struct imap_set {
	struct store_uid_range *v; /* UIDs, or sequence numbers where it says so */
	size_t n;
};

/* sequence-set = (seq-number / seq-range) ["," sequence-set]. "*" stands for `star`; with star 0 it
 * is an error. Numbers above `max` are an error. The set lives in the arena. */
void imap_set_parse(struct cursor *c, uint32_t star, uint32_t max, struct arena *arena,
                    struct imap_set *ret_set);

bool imap_set_has(const struct imap_set *set, uint32_t number);
static inline struct store_uids imap_set_uids(const struct imap_set *set)
{
	return (struct store_uids){.ranges = set->v, .n = set->n};
}
/* Sequence numbers (all <= count) to the UIDs that a view has there. */
void imap_set_to_uids(const struct store_view *view, const struct imap_set *numbers,
                      struct arena *arena, struct imap_set *ret_uids);

/* Grows by ascending numbers, on the heap. */
struct imap_set_builder {
	struct imap_set set;
	size_t capacity;
	uint64_t n_members;
};
void imap_set_add(struct imap_set_builder *builder, uint32_t number);
void imap_set_builder_done(struct imap_set_builder *builder);
struct imap_set imap_set_take(struct imap_set_builder *builder); /* the caller frees .v */

void imap_out_set(struct imap_out *out, const struct imap_set *set); /* "1:3,7" */

/* Walks over the messages of a view that a set of UIDs names. */
struct imap_set_walk {
	const struct store_view *view;
	const struct imap_set *uids;
	size_t range;
	uint32_t index;
};
struct imap_set_walk imap_set_walk_of(const struct store_view *view, const struct imap_set *uids);
/* False at the end. *ret_index: sequence number - 1. */
bool imap_set_next(struct imap_set_walk *walk, uint32_t *ret_index,
                   const struct store_entry **ret_entry);
