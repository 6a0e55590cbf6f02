/* Tag lists: "v=DKIM1; k=rsa; p=MIGf..." (RFC 6376 section 3.2), the form of DKIM signatures and
 * keys, DMARC and TLSRPT records and ARC fields.
 *
 * Accepted exactly by the grammar; a tag that occurs twice makes the whole list an error, as the
 * RFC demands. Values are trimmed; blanks inside of them (folding included) are kept, since what
 * they mean is each tag's own affair: mailauth_tag_strip removes them where they mean nothing.
 */
#pragma once

#include "base/arena.h"
#include "base/status.h"

#define MAILAUTH_TAGS_MAX 100u /* of one list */

struct mailauth_tag {
	struct slice name;  /* as it was written: tag names are case-sensitive */
	struct slice value; /* trimmed, may be empty; points into the list */
	struct slice raw; /* the value with all blanks around it, as it stood between '=' and ';' */
};

struct mailauth_taglist {
	const struct mailauth_tag *v; /* in order */
	size_t n;
};

/* SYNTAX with what is wrong; LIMIT for too many tags. The slices point into text. */
struct status mailauth_taglist_parse(struct slice text, struct arena *arena,
                                     struct mailauth_taglist *ret_list);

/* NULL when there is no such tag. */
const struct mailauth_tag *mailauth_taglist_find(const struct mailauth_taglist *list,
                                                 const char *name);

/* Without SP, HTAB, CR and LF anywhere. Empty (and the arena failed) past the arena's budget. */
struct slice mailauth_tag_strip(struct slice value, struct arena *arena);

/* Splits a value at a separator, each item trimmed: "relaxed : simple". Call until false. Empty
 * items are given as empty slices. */
struct mailauth_items {
	struct slice rest;
	uint8_t separator;
	bool ended;
};
struct mailauth_items mailauth_items_of(struct slice value, uint8_t separator);
bool mailauth_items_next(struct mailauth_items *items, struct slice *ret_item);
