/* The canonical forms that DKIM and ARC hash (RFC 6376 section 3.4), as byte machines: fed in any
 * split, they hold a few bytes of state, keep nothing and give the canonical octets to a sink.
 *
 * Only CRLF ends a line. A bare CR, a bare LF and a NUL are octets like any other: they are hashed
 * as they are and a blank before one of them is not at the end of a line. Messages by SMTP DATA
 * have none; by BDAT they can (docs/deviations.md).
 */
#pragma once

#include "base/slice.h"

/* RELAXED stands first: what is zeroed signs relaxed, as it should. (In a signature without c=
 * both are simple.) */
enum dkim_canon {
	DKIM_RELAXED,
	DKIM_SIMPLE,
};
#define DKIM_N_CANONS 2u
const char *dkim_canon_name(enum dkim_canon canon); /* "relaxed" */

/* Where canonical octets go; pieces may be of any size and are gone after the call. */
struct dkim_sink {
	void (*add)(struct dkim_sink *sink, struct slice piece);
};

/* --- the body (sections 3.4.3 and 3.4.4) --- */

struct dkim_body_canon {
	enum dkim_canon canon;
	struct dkim_sink *sink;
	uint64_t size; /* octets given so far; after finish: of the canonical body */
	/* Private: what was seen and may yet have to be given, in this order. */
	uint64_t n_crlf; /* line ends, behind which there may be nothing */
	bool blank;      /* blanks, which may be at the end of a line */
	bool cr;         /* a CR, which may be half a line end */
};

void dkim_body_canon_init(struct dkim_body_canon *c, enum dkim_canon canon, struct dkim_sink *sink);
void dkim_body_canon_feed(struct dkim_body_canon *c, struct slice bytes);
/* To be called once, behind the last byte. */
void dkim_body_canon_finish(struct dkim_body_canon *c);

/* --- a header field (sections 3.4.1 and 3.4.2) --- */

struct dkim_field_canon {
	enum dkim_canon canon;
	struct dkim_sink *sink;
	/* Private. */
	enum { DKIM_FIELD_NAME, DKIM_FIELD_START, DKIM_FIELD_VALUE } state;
	bool blank, cr;
};

/* Fed is the field from its name on, without its last line end. */
void dkim_field_canon_init(struct dkim_field_canon *c, enum dkim_canon canon,
                           struct dkim_sink *sink);
void dkim_field_canon_feed(struct dkim_field_canon *c, struct slice bytes);
/* end_line: with the CRLF that ends it; without, for the field that is being signed. */
void dkim_field_canon_finish(struct dkim_field_canon *c, bool end_line);

/* A whole field as message_headers_next gives it (raw): with or without a CRLF at its end. A bare
 * LF there, which ends a line for the parser of headers, belongs to the value here. */
void dkim_canon_field(enum dkim_canon canon, struct slice raw, struct dkim_sink *sink);
/* raw without the CRLF at its end. */
struct slice dkim_field_content(struct slice raw);
