/* What a server announces in its answer to EHLO (RFC 5321 section 4.1.1.1). */
#pragma once

#include "sasl/client.h"
#include "smtp/reply_parse.h"

/* identifier, keyword, RFC. ENHANCEDSTATUSCODES is known for the log only: codes are recognised
 * wherever they stand. */
#define SMTP_EXTENSION_LIST(X)                                                                     \
	X(STARTTLS, "STARTTLS")                       /* RFC 3207 */                               \
	X(PIPELINING, "PIPELINING")                   /* RFC 2920 */                               \
	X(SIZE, "SIZE")                               /* RFC 1870 */                               \
	X(8BITMIME, "8BITMIME")                       /* RFC 6152 */                               \
	X(SMTPUTF8, "SMTPUTF8")                       /* RFC 6531 */                               \
	X(DSN, "DSN")                                 /* RFC 3461 */                               \
	X(CHUNKING, "CHUNKING")                       /* RFC 3030 */                               \
	X(BINARYMIME, "BINARYMIME")                   /* RFC 3030 */                               \
	X(ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES") /* RFC 2034 */                               \
	X(REQUIRETLS, "REQUIRETLS")                   /* RFC 8689 */                               \
	X(LIMITS, "LIMITS")                           /* RFC 9422 */                               \
	X(AUTH, "AUTH")                               /* RFC 4954 */                               \
	X(DELIVERBY, "DELIVERBY")                     /* RFC 2852 */                               \
	X(MT_PRIORITY, "MT-PRIORITY")                 /* RFC 6710 */                               \
	X(FUTURERELEASE, "FUTURERELEASE")             /* RFC 4865 */

enum smtp_extension {
#define X(id, keyword) SMTP_EXTENSION_##id,
	SMTP_EXTENSION_LIST(X)
#undef X
	        SMTP_EXTENSION_COUNT
};

const char *smtp_extension_keyword(enum smtp_extension extension);

#define SMTP_EHLO_NAME_MAX 255u

struct smtp_ehlo {
	bool extended; /* EHLO was understood; false: HELO, nothing is announced */
	uint32_t bits; /* 1 << enum smtp_extension */
	char name[SMTP_EHLO_NAME_MAX + 1]; /* what the server calls itself, for the log */
	uint64_t size_max;                 /* SIZE; 0: no limit stated */
	struct sasl_mechanisms mechanisms; /* AUTH */
	/* LIMITS; 0: none stated. A limit that cannot be read is no limit. */
	uint32_t mail_max, rcpt_max, rcpt_domain_max;
	uint64_t deliver_by_min_s; /* DELIVERBY; 0: none stated */
	/* FUTURERELEASE: longest interval, latest instant (unix; 0: could not be read) */
	uint64_t hold_max_s;
	int64_t hold_until_max_s;
};

static inline bool smtp_ehlo_has(const struct smtp_ehlo *ehlo, enum smtp_extension extension)
{
	return (ehlo->bits >> extension & 1) != 0;
}

/* From a 250 reply to EHLO. Lines that are not understood are passed over: nothing here can fail.
 * A keyword that comes twice counts once, AUTH adds up ("AUTH=PLAIN" of old servers too). */
void smtp_ehlo_of_reply(const struct smtp_reply_in *reply, struct smtp_ehlo *ret_ehlo);
/* One line's text behind the first, for tests and fuzzing. */
void smtp_ehlo_line(struct smtp_ehlo *ehlo, struct slice text);
/* "STARTTLS PIPELINING SIZE 1000": for logs. */
void smtp_ehlo_print(const struct smtp_ehlo *ehlo, struct buf *out);
