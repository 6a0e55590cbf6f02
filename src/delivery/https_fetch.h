/* One small text by HTTPS from a stranger's server, or to it (by libcurl): for policies of MTA-STS,
 * and for TLS reports (RFC 8460 section 5.4).
 *
 * The caller brings the addresses: no name is looked up, no resolver of libc is asked. Nothing is
 * read from the environment or from files (proxies, .netrc, certificates, configuration): it works
 * in a sandbox that opens nothing, once https_warm_up has been called.
 *
 * What a server may not do: redirect, answer with anything but 200 (any 2xx to a POST), compress,
 * send more than was allowed or slower, show a certificate that authorities do not vouch for
 * (tls_pkix_check: DNS-IDs only). HTTP/1.0 and 1.1, TLS 1.2 at least.
 *
 * Thread-safe; every fetch has a connection of its own.
 */
#pragma once

#include "delivery/hosts.h"
#include "tls/verify.h"

#define HTTPS_HEADER_MAX ((size_t)32 * 1024) /* octets of all of the answer's header, 1xx too */
#define HTTPS_WHY_MAX    300
#define HTTPS_TYPE_MAX   100

/* What went wrong. */
enum https_failure {
	HTTPS_OK,
	HTTPS_UNREACHABLE, /* no connection to any address */
	HTTPS_TIMEOUT,
	HTTPS_TLS,         /* the handshake failed, and not for the certificate */
	HTTPS_CERTIFICATE, /* pkix says why */
	HTTPS_PROTOCOL,    /* what came is no HTTP, or was cut off */
	HTTPS_REDIRECT,    /* status 3xx (RFC 8461 section 3.3: not followed) */
	HTTPS_STATUS,      /* another than 200 */
	HTTPS_TYPE,        /* another media type than wanted */
	HTTPS_ENCODING,    /* compressed: nothing is unpacked here */
	HTTPS_SIZE,        /* header or body are too long */
	HTTPS_LOCAL,       /* the fault is ours */
};

struct https_request {
	const char *host;              /* A-labels: the SNI, in the certificate, Host */
	uint16_t port;                 /* 0: 443 */
	const char *path;              /* "/.well-known/mta-sts.txt" */
	const struct delivery_ip *ips; /* in the order to be tried, at least one */
	size_t n_ips;
	const char *media_type; /* "text/plain", whose parameters do not matter; NULL: any */
	size_t body_max;        /* octets */
	int timeout_ms;         /* for all of it */
	struct tls_authorities *authorities; /* NULL: nobody is trusted */
	/* A POST of this; the answer's body is not kept, so type and size of it do not matter.
	 * NULL: a GET. */
	const char *content_type;
	struct slice content;
};

struct https_response {
	enum https_failure failure;
	char why[HTTPS_WHY_MAX];            /* one sentence; "" for OK */
	unsigned status;                    /* of HTTP; 0: none came */
	char media_type[HTTPS_TYPE_MAX];    /* as it came, printable, cut; "" when none was said */
	char address[DELIVERY_IP_TEXT_MAX]; /* that was reached; "" for none */
	struct tls_check pkix;
	struct slice body; /* in the arena; empty but for OK */
};

/* How a fetch is made: by libcurl, or by a test that has its answers. */
struct https_fetcher {
	/* Never fails: what goes wrong is in the response, whose body lives in the arena. Blocks
	 * for at most about timeout_ms. */
	void (*fetch)(void *context, const struct https_request *request, struct arena *arena,
	              struct https_response *ret_response);
	void *context;
};

extern const struct https_fetcher https_by_curl;

/* Once, before threads and sandbox: libcurl and the OpenSSL that it uses load what they would load
 * later, and no configuration file of the host. False when libcurl cannot be used. */
bool https_warm_up(void);
