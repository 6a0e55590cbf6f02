/* Reports as they come: gzip (RFC 1952), zip with a single entry, or neither; by what they begin
 * with, whatever their name says.
 *
 * A small file can unpack to a large one. Output ends at a limit of bytes, and at a ratio to the
 * input past the first UNPACK_RATIO_FREE bytes.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"

#define UNPACK_SIZE_MAX    ((size_t)64 * 1024 * 1024) /* a fit `max`: bytes of output */
#define UNPACK_RATIO_MAX   200u                       /* output to input */
#define UNPACK_RATIO_FREE  ((size_t)1024 * 1024)      /* bytes of output that are free of it */
#define UNPACK_MEMBERS_MAX 16u                        /* of a gzip file */

enum unpack_form {
	UNPACK_PLAIN,
	UNPACK_GZIP,
	UNPACK_ZIP,
};
enum unpack_form unpack_form_of(struct slice bytes);

/* Appends to out. SYNTAX: damaged, cut off, or with something behind it. LIMIT: more than max
 * bytes, or the ratio. UNSUPPORTED: a zip file with several entries, encrypted, of another method,
 * or divided. What was written is of no use then. */
struct status unpack(struct slice bytes, size_t max, struct buf *out);

/* One gzip member, at the best level, without name and time: the same bytes give the same file. */
struct status pack_gzip(struct slice bytes, struct buf *out);
