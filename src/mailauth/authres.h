/* Authentication-Results (RFC 8601) and what else has its payload: ARC-Authentication-Results (RFC
 * 8617 section 4.1.1).
 *
 *	struct authres_property from = {"header", "from", AUTHRES_VALUE, SLICE("example.com")};
 *	struct authres_result results[] = {{.method = SLICE("dmarc"), .result = SLICE("pass"),
 *	                                    .comment = SLICE("dnssec secure"),
 *	                                    .properties = &from, .n_properties = 1}};
 *	struct authres authres = {.id = SLICE("mx.example.org"), .results = results, .n_results =
 * 1}; authres_print(&authres, "Authentication-Results", 0, &out);
 *
 * What is printed can be parsed, and gives the same. What comes from a peer (a domain, a reason)
 * can be put in as it is: nothing that would end the line, the value or the field is ever written.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "mailauth/lookup.h"

#define AUTHRES_RESULTS_MAX    100u /* of one field */
#define AUTHRES_PROPERTIES_MAX 50u  /* of one result */
#define AUTHRES_VALUE_MAX      450u /* bytes of a value that is printed; longer ones are left out */
#define AUTHRES_REASON_MAX     200u /* bytes of a reason or comment that are printed */
#define AUTHRES_SIZE_MAX       65536u /* bytes of a payload that is parsed */
#define AUTHRES_INSTANCE_MAX   50u    /* of ARC sets (RFC 8617 section 4.2.1) */

/* A property's value is one of two forms (RFC 8601 section 2.2). */
enum authres_form {
	AUTHRES_VALUE,   /* a token or quoted string, whatever is fit */
	AUTHRES_MAILBOX, /* [local-part] "@" domain-name: "a@example.com", "@example.com" */
};

struct authres_property {
	const char *ptype;    /* "smtp", "header", "body", "policy"; parsed: lower case */
	const char *property; /* "mailfrom", "from", "d"; parsed: lower case */
	enum authres_form form;
	struct slice value; /* unquoted; of a MAILBOX with unquoted local part */
};

struct authres_result {
	struct slice method; /* "dkim" */
	uint32_t version;    /* of the method; 0 or 1: the first, not printed */
	struct slice result; /* "pass" */
	/* For machines and people, "dnssec secure"; parsed: the last comment behind the result,
	 * unescaped. Empty for none. */
	struct slice comment;
	bool has_reason;
	struct slice reason;
	const struct authres_property *properties;
	size_t n_properties;
};

struct authres {
	struct slice id;  /* the authserv-id (section 2.5) */
	uint32_t version; /* 0: none is given, which means 1 */
	bool utf8;        /* to print: values may be UTF-8 (RFC 6532); else they are left out */
	/* None: "none", no authentication was done. */
	const struct authres_result *results;
	size_t n_results;
	/* Parsed: results that follow no grammar and were passed over ("dmarc=pass action=none").
	 */
	size_t n_bad;
};

/* --- printing --- */

/* The whole field with its CRLF, folded at its blanks to lines of 78 characters where words
 * allow it and of 998 in any case. instance: of an ARC set ("i=1; "), 0 for none. A property whose
 * value cannot be written (control characters, not UTF-8, too long) is left out; in a reason or
 * comment such bytes become '?', and it is cut.
 *
 * INVALID, and nothing is added, when field_name, id, a method, result, ptype or property is not
 * what the grammar allows: those are the caller's. LIMIT when out is full. */
struct status authres_print(const struct authres *authres, const char *field_name,
                            unsigned instance, struct buf *out);

/* "dnssec secure", "dnssec insecure", "dnssec bogus", "dnssec none": what a result rests on. */
struct slice authres_dnssec_comment(const struct mailauth_evidence *evidence);

/* --- parsing --- */

/* payload: a field's value, folded or not. Everything is copied into the arena.
 *
 * SYNTAX: no authserv-id, or what follows it is neither a version nor a result. UNSUPPORTED: a
 * version other than 1; id and version are set. LIMIT: too long, too many, the arena. A single
 * result that follows no grammar is passed over and counted. */
struct status authres_parse(struct slice payload, struct arena *arena, struct authres *ret_authres);

/* The same of ARC-Authentication-Results, which begins with "i=N;". */
struct status authres_parse_arc(struct slice payload, struct arena *arena, unsigned *ret_instance,
                                struct authres *ret_authres);

/* The result of a method ("dkim"), without regard to case and of a known version; the n-th one,
 * from 0. NULL when there is none. */
const struct authres_result *authres_find(const struct authres *authres, const char *method,
                                          size_t n);
/* The value of "ptype.property"; false when there is none. */
bool authres_value(const struct authres_result *result, const char *ptype, const char *property,
                   struct slice *ret_value);

/* --- forged fields (section 5) --- */

/* Must this header field go before a message from outside gets fields of ours: it is an
 * Authentication-Results whose authserv-id is one of ids or a domain below one (in any case and
 * script), or whose version is not known, or which cannot be read, so that others may read our id
 * in it. name and value as message/header.h gives them; also for fields that it calls bad. */
bool authres_must_remove(struct slice name, struct slice value, const struct slice *ids,
                         size_t n_ids);
