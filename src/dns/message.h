/* DNS messages (RFC 1035 section 4): reading a response, writing a query, and making an answer of
 * what a response says.
 *
 * A response is hostile: everything is bounded, compression pointers lead strictly backwards and
 * are counted, bytes behind the message are an error.
 */
#pragma once

#include "dns/answer.h"

#define DNS_MESSAGE_MAX  65535u
#define DNS_POINTERS_MAX 128u  /* compression pointers in one name: one a label suffices */
#define DNS_EDE_TEXT_MAX 200u  /* bytes kept of the text of an Extended DNS Error */
#define DNS_UDP_SIZE     1232u /* announced in queries: fits every path unfragmented */

/* A record of the answer section, with its owner. */
struct dns_rr {
	struct dns_name owner;
	struct dns_record record;
};

struct dns_message {
	uint16_t id;
	bool response, truncated, authentic; /* QR, TC, AD */
	uint32_t rcode;                      /* with the high bits of EDNS */
	bool has_question;
	struct dns_name question;
	uint32_t question_type;
	const struct dns_rr *answers; /* class IN and types of enum dns_type only, in order */
	size_t n_answers;
	const struct dns_name *dnames; /* owners of the first DNAME records (RFC 6672) */
	size_t n_dnames;               /* at most DNS_CHAIN_MAX */
	bool has_negative_ttl;         /* there is a SOA in the authority section */
	uint32_t negative_ttl_s;       /* RFC 2308 section 5 */
	uint32_t ede_code;             /* DNS_NO_EDE: none; the first where there are several */
	const char *ede_text;          /* printable UTF-8 */
};

/* The whole packet; everything is copied into the arena. SYNTAX, or LIMIT: too many records or the
 * arena's budget. */
struct status dns_message_parse(struct slice packet, struct arena *arena,
                                struct dns_message *ret_message);

struct dns_query_options {
	uint16_t id;
	bool authentic; /* set AD: the answerer's verdict is wanted (RFC 6840 section 5.7) */
};
/* A recursive query of class IN with EDNS (RFC 6891). */
void dns_query_write(struct dns_name name, enum dns_type type,
                     const struct dns_query_options *options, struct buf *out);

/* What the response says about name and type: follows its CNAMEs; the security given is that of
 * everything. A response that does not fit is a DNS_FAILED answer. NULL past the arena's budget. */
struct dns_answer *dns_answer_from_message(const struct dns_message *message, struct dns_name name,
                                           enum dns_type type, enum dns_security security,
                                           struct arena *arena);

/* Sets the status of each step (answer->n_chain values) and of the end, and from them the whole's.
 * LIMIT past the arena's budget. */
struct status dns_answer_set_trust(struct dns_answer *answer, const enum dns_security *steps,
                                   enum dns_security final_security, struct arena *arena);
