/* A report by HTTPS (RFC 8460 section 5.4), with the courier's authorities and ways. Private to the
 * courier. */
#pragma once

#include "rooms/courier.h"

#define COURIER_POST_TIMEOUT_MS 60000
#define COURIER_POST_TYPE       "application/tlsrpt+gzip"
#define COURIER_POST_PATH_MAX   900u

/* "https://host[:port]/path": nothing else that a URI may have, but a query. */
struct courier_uri {
	const char *host; /* in the arena */
	uint16_t port;    /* 443 when none is given */
	const char *path; /* with its query; "/" for none */
};
/* SYNTAX. */
struct status courier_uri_parse(struct slice text, struct arena *arena,
                                struct courier_uri *ret_uri);

/* Blocks. OK: the server has taken it. DENIED: it refuses, or cannot be reached by this URI at all
 * (why says so). TEMPORARY: nothing was taken, it may be later. BUSY: the request was under way
 * when it ended; whether it was taken is not known. why lives in the arena. */
struct status courier_post(struct courier *courier, const struct dns_resolver *resolver,
                           const struct courier_uri *uri, struct slice content,
                           struct arena *arena);
