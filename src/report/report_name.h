/* What reports are called: names of their files and subjects of the messages that carry them, of
 * DMARC (RFC 7489 section 7.2.1.1, RFC 9990 section 3.5) and of TLS (RFC 8460 sections 5.1 and
 * 5.3). They are hints: what the report itself says counts (RFC 8460 section 5.6).
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"

#define REPORT_NAME_MAX 1000u /* bytes of a name or subject that is read */

/* The last two come from other software only, and are not printed. */
#define REPORT_EXTENSION_LIST(X)                                                                   \
	X(XML, ".xml")                                                                             \
	X(XML_GZ, ".xml.gz")                                                                       \
	X(JSON, ".json")                                                                           \
	X(JSON_GZ, ".json.gz")                                                                     \
	X(ZIP, ".zip")                                                                             \
	X(GZ, ".gz") /* the example of RFC 7489 itself */
enum report_extension {
#define X(id, name) REPORT_##id,
	REPORT_EXTENSION_LIST(X)
#undef X
};

struct report_filename {
	struct slice submitter; /* domain of who reports; A-labels, as the next */
	struct slice domain;    /* whose mail it is about */
	int64_t begin_s, end_s; /* since 1970 */
	struct slice unique;    /* letters and digits; may be empty */
	enum report_extension extension;
};

/* INVALID: a domain that is none, an end before the begin, another character in `unique`, an
 * extension that is not printed. LIMIT when out is full. */
struct status report_filename_print(const struct report_filename *name, struct buf *out);
/* Slices point into text. */
bool report_filename_parse(struct slice text, struct report_filename *ret_name);

struct report_subject {
	struct slice domain;    /* whose mail it is about; A-labels, as the next */
	struct slice submitter; /* domain of who reports */
	struct slice report_id; /* dot-atom, or dot-atom "@" dot-atom; without <> */
};

/* The value in one line; whoever writes the header folds it. RFC 8460 wants an id with "@", which
 * fits the others, too. INVALID: a domain or an id that is none. */
struct status report_subject_print(const struct report_subject *subject, struct buf *out);
/* Of a field's value, folded or not: words in any case, blanks as they come, the id with or without
 * <>, or missing, as RFC 9990 allows (empty then). Slices point into text. */
bool report_subject_parse(struct slice text, struct report_subject *ret_subject);
