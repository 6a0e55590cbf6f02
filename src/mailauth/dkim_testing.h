/* For tests of DKIM and ARC: messages taken apart, signed and verified in one call. */
#pragma once

#include "dns/table.h"
#include "mailauth/dkim_sign.h"
#include "mailauth/dkim_verify.h"

#define TESTING_NOW_S 1700000000

/* The parts of a message with CRLF line ends: the header with its blank line (all of it when there
 * is none), the body. */
struct slice testing_header(struct slice message);
struct slice testing_body(struct slice message);

/* Asks this resolver, on a clock that stands still. */
void testing_dns(struct mailauth_dns *dns, const struct dns_resolver *resolver,
                 struct arena *arena);

/* Verifies and prints a line for each result: "pass" or "fail: WHY", with the domain before it
 * where it is known. now_s of the options may be 0: TESTING_NOW_S. step: size of the pieces of the
 * body, 0: all at once. */
void testing_verify(struct slice message, const struct dns_resolver *resolver,
                    struct dkim_options options, size_t step, struct buf *out);

/* A software key with its record, made anew. */
struct testing_key {
	struct dkim_private_key *key;
	struct dkim_signer_key signer;
	struct buf record; /* "v=DKIM1; ..." */
};
void testing_key_init(struct testing_key *key, enum dkim_key_type type);
void testing_key_done(struct testing_key *key);
/* Tells the table: NAME TXT "record". */
void testing_tell(struct dns_table *table, const char *name, const char *record);

/* The message with the signatures before it; aborts when they cannot be made. */
void testing_sign(struct slice message, const struct dkim_sign_options *signatures, size_t n,
                  struct buf *out);
