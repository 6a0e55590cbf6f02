/* Inside a view: chunks of entries that successive views of a mailbox share.
 *
 * A chunk is the decoded form of one page (page.h), immutable once a view holds it and counted by
 * reference. A view is an array of chunks; making the next view copies that array and replaces the
 * chunks that changed. Comparing two views skips chunks that are the same pointer.
 */
#pragma once

#include "store/page.h"

#include <stdatomic.h>

struct chunk {
	atomic_uint refs;
	uint32_t page_no;
	uint32_t n; /* 0 only while it is being built */
	uint32_t capacity;
	struct store_entry entries[];
};

struct chunk *chunk_new(uint32_t page_no, uint32_t capacity);
/* A private copy with room for `extra` more entries (cut to what a page can hold). */
struct chunk *chunk_copy(const struct chunk *chunk, uint32_t extra);
struct chunk *chunk_ref(struct chunk *chunk);
void chunk_unref(struct chunk *chunk); /* NULL is fine */
struct status chunk_decode(uint32_t page_no, struct slice bytes, struct chunk **ret_chunk);

/* A mailbox's keyword names, in the order of their bits; immutable, grows by being replaced. */
struct keywords {
	atomic_uint refs;
	size_t n;
	struct slice names[STORE_KEYWORDS_MAX];
	uint8_t bytes[];
};

struct keywords *keywords_new(const struct slice *names, size_t n);
struct keywords *keywords_ref(struct keywords *keywords);
void keywords_unref(struct keywords *keywords); /* NULL is fine */
/* Bit number of a name (ASCII case-insensitive, RFC 3501 section 2.3.2); -1 when it is not there.
 */
int keywords_find(const struct keywords *keywords, struct slice name);

struct store_view {
	atomic_uint refs;
	struct store_mailbox_id mailbox;
	uint32_t uid_validity;
	uint32_t uid_next;
	uint64_t modseq;
	struct keywords *keywords;
	uint32_t n_entries;
	uint32_t n_chunks;
	uint32_t capacity;     /* chunks there is room for */
	struct chunk **chunks; /* ascending page_no, none empty */
	uint32_t *starts;      /* n_chunks + 1: index of each chunk's first entry, then n_entries */
};

/* For a view under construction: chunks are added in ascending order, then view_finish. */
struct store_view *view_new(struct store_mailbox_id mailbox, uint32_t capacity); /* >= 1 */
void view_add_chunk(struct store_view *view, struct chunk *chunk); /* takes the reference */
void view_finish(struct store_view *view);

/* Index of the first chunk with page_no >= the given one; n_chunks when there is none. */
uint32_t view_chunk_from(const struct store_view *view, uint32_t page_no);
