/* The fields of a header by name, and which of them a list of names stands for (RFC 6376
 * section 5.4.2): of several fields of a name the last first.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#define DKIM_SIGNED_NAMES_MAX 250u /* names in h= */

struct dkim_field {
	struct slice raw;  /* with all its line ends */
	struct slice name; /* as it is written */
	/* Private. */
	uint32_t group; /* where its name's fields begin in by_name */
	uint32_t rank;  /* its place among them: 0 is the last in the header */
};

struct dkim_header {
	const struct dkim_field *fields; /* in their order; lines that are no field are left out */
	size_t n;
	bool truncated; /* there are more fields than MESSAGE_HEADERS_MAX: nothing is known of them
	                 */
	/* Private. */
	const uint32_t *by_name; /* numbers of fields: by name, and from the bottom up */
};

/* block: the header as message_headers_of takes it; it must outlive the index, which lives in the
 * arena (about 60 bytes a field). LIMIT past its budget. */
struct status dkim_header_index(struct slice block, struct arena *arena,
                                struct dkim_header *ret_header);

size_t dkim_header_count(const struct dkim_header *header, struct slice name);
/* The field of that name with that rank, NULL when there is none. Names are compared as ASCII
 * without case. */
const struct dkim_field *dkim_header_find(const struct dkim_header *header, struct slice name,
                                          size_t rank);

/* For each of the n names (at most DKIM_SIGNED_NAMES_MAX) the field that it stands for, NULL when
 * there is none or no more. `self`, the signature itself, is passed over; NULL: there is none. */
void dkim_header_select(const struct dkim_header *header, const struct slice *names, size_t n,
                        const struct dkim_field *self, const struct dkim_field **ret_fields);
