/* One attempt under way, for courier_attempt.c, which decides, and courier_report.c, which tells.
 */
#pragma once

#include "rooms/courier_private.h"

#define COURIER_OWN_MAX  64u /* names and addresses of ourselves */
#define COURIER_TEXT_MAX 600 /* of a reason */

#define COURIER_RESULTS_MAX 16u /* of TLS, for people; reports have all */
#define COURIER_NAME_MAX    ((size_t)255)
#define COURIER_REASON_MAX  ((size_t)200)

/* What is known of one recipient so far. */
struct courier_rcpt {
	const Door__AttemptRecipient *in;
	bool judged; /* no other host is asked */
	struct smtp_outcome outcome;
	const char *host, *address; /* "" when none was reached */
};

struct courier_attempt {
	struct courier *courier;
	const struct courier_job *job;
	const Door__Attempt *in;
	struct arena *arena;
	const struct config_transport *transport; /* NULL: direct */
	struct delivery_query query;
	struct delivery_ip own_ips[COURIER_OWN_MAX];
	const char *own_names[COURIER_OWN_MAX];
	enum delivery_floor floor;                /* of TLS, by the transport */
	const struct delivery_hosts *hosts_found; /* NULL: the config names the host */
	const struct mtasts_found *sts;           /* NULL: not looked for */
	struct delivery_tls_facts *facts;
	struct delivery_ip proxy_ips[DELIVERY_ADDRESSES_MAX];
	size_t n_proxy_ips;
	struct courier_rcpt *rcpts;
	size_t n_rcpts;
	struct smtp_message message;
	struct smtp_content content;
	struct smtp_content_file file;
	unsigned n_transactions; /* of earlier connections */
	int64_t began_ms;        /* monotonic */
	int64_t until_ms;        /* likewise: nothing waits beyond it */
	/* Of the reply; there before anything is sent. */
	Door__RecipientOutcome *outcomes, **outcome_list;
	Door__HostTried *hosts, **host_list;
	size_t n_hosts;
	bool reused, busy;
	uint32_t recipient_limit;
};

/* A copy in the attempt's arena; "" when that is spent. */
const char *courier_keep(struct courier_attempt *a, const char *text);
/* The same of at most max bytes, cut between characters, valid UTF-8 without NUL. */
char *courier_text(struct courier_attempt *a, struct slice text, size_t max);

/* A host that had its turn, for people. */
struct courier_turn {
	const char *host, *address, *tls;
	const struct delivery_guard *guard; /* NULL: it did not come so far */
	enum delivery_protection protection;
	int64_t started_ms; /* unix */
	const char *result;
};

/* Adds an entry to the record of hosts, and logs it. */
void courier_record_host(struct courier_attempt *a, const struct courier_turn *turn);
/* What a host made of the message: "delivered 3, deferred 1: the server answered ...". */
void courier_record_sent(struct courier_attempt *a, const struct courier_connection *c,
                         const struct delivery_guard *guard, const struct smtp_outcome *outcomes,
                         size_t n, int64_t started_ms);

/* All that came of it. Cannot fail: what it needs was there before anything was sent. */
void courier_fill_reply(struct courier_attempt *a, Door__CourierReply *reply);

/* --- courier_guard.c --- */

/* Looks for the domain's MTA-STS policy; may block for a fetch. False: too little memory. */
bool courier_find_policy(struct courier_attempt *a);
/* What guards mail to a host with addresses. NULL: too little memory. */
struct delivery_guard *courier_guard_host(struct courier_attempt *a,
                                          const struct delivery_host *host,
                                          const struct delivery_addresses *addresses,
                                          uint16_t port);
/* Facts for TLS reports: of a lookup for the domain's hosts or for a host's addresses that failed,
 * of a session, and all of them handed on. */
void courier_report_lookup(struct courier_attempt *a, const struct delivery_hosts *hosts);
void courier_report_addresses(struct courier_attempt *a, const char *host,
                              const struct delivery_addresses *addresses);
void courier_report_session(struct courier_attempt *a, const struct delivery_guard *guard,
                            const struct courier_session *session);
void courier_report_all(struct courier_attempt *a);
