/* How a mailbox's entries stand in the index: packed, a page per 256 UIDs.
 *
 * Page number = (uid - 1) / 256, so a page covers a fixed range of UIDs, never grows past 256
 * entries and never splits or merges. A page is small (some ten bytes an entry): a delivery
 * rewrites one, a flag change on a whole mailbox rewrites each of them once, and 100,000 entries
 * load in milliseconds. docs/decisions/store-pages.md has the measurements against a row per entry.
 */
#pragma once

#include "store/store.h"

#define PAGE_ENTRIES 256u
/* version, count; per column a width byte, a base and the differences; checksum. */
#define PAGE_SIZE_MAX (2 + 7 * (1 + 8 + 8 * PAGE_ENTRIES) + 8)

static inline uint32_t page_of_uid(struct store_uid uid)
{
	return (uid.v - 1) / PAGE_ENTRIES;
}
static inline uint32_t page_first_uid(uint32_t page_no)
{
	return page_no * PAGE_ENTRIES + 1;
}

/* entries: 1..256, ascending UIDs, all of this page. Returns the number of bytes written. */
size_t page_encode(uint32_t page_no, const struct store_entry *entries, size_t n,
                   uint8_t ret_bytes[PAGE_SIZE_MAX]);
/* How many entries there are, without reading them. CORRUPT as below where that shows. */
struct status page_count(struct slice bytes, size_t *ret_n);
/* entries: room for page_count. CORRUPT unless it is exactly what page_encode makes of some valid
 * entries: version, checksum, size, UIDs ascending within the page, message ids positive. */
struct status page_decode(uint32_t page_no, struct slice bytes, struct store_entry *entries,
                          size_t n_entries);
