/* A gate: every inbound TCP connection of one purpose. Private to the gate's files (gate.c: life
 * and listening; gate_limits.c, gate_rates.c; gate_mx.c: SMTP reception,
 * gate_content.c: the message's bytes, gate_checks.c: what is checked about it; gate_login.c: IMAP
 * until login; gate_submission.c: submission until login; gate_credentials.c: what both ask the
 * vault; gate_tls.c: certificates and signatures by the vault). */
#pragma once

#include "os/socket.h"
#include "rooms/peers.h"
#include "rooms/protocol.h"
#include "sasl/login_limiter.h"
#include "tls/context.h"
#include "tls/stream.h"

struct dkim_key_cache;
struct dns_cache;
struct dnsbl_state;
struct gate;
struct gate_check_runner;
struct gate_limits;
struct gate_listener;
struct gate_rates;
struct reporter;
struct tls_relay;

/* One accepted connection; its thread owns it. */
struct gate_connection {
	struct gate *gate;
	struct gate_listener *listener; /* a reference */
	struct room_config *config;     /* in force when it began; a reference */
	int fd;
	struct os_address peer;
	char peer_text[OS_ADDRESS_TEXT_MAX];
	uint64_t cid;
	char cid_text[20];
};

struct gate_listener {
	struct gate_listener *next;
	struct gate *gate;
	atomic_uint references;
	enum room_protocol protocol;
	char *name; /* of the listener in the config */
	char *address;
	uint16_t port;
	int fd;
	int stop_fd; /* eventfd: stop accepting */
	atomic_bool stopped;
};

struct gate {
	struct room *room;
	struct tls_library *library;
	struct tls_signer signer;
	struct gate_limits *limits;
	/* gate-mx only: */
	struct gate_rates *rates;
	struct gate_check_runner *checkers;
	struct dns_cache *dns_cache;
	struct dkim_key_cache *dkim_keys;
	struct dnsbl_state *lists;
	struct reporter *reporter;
	atomic_size_t header_bytes; /* held by gate_content.c, of all sessions */
	struct login_limiter *login_limiter;
	struct tls_relay *relay; /* login gate only */
	int stop_fd;             /* eventfd, readable for ever once the gate stops */
	int certificates_fd;     /* eventfd: ask the vault for them again */
	bool begun;
	pthread_mutex_t lock; /* guards what follows */
	struct tls_context *tls;
	struct gate_listener *listeners;
	atomic_uint n_connections;
};

/* gate_tls.c. Asks the vault for certificates and makes a new context; keeps the old one on
 * failure. */
struct status gate_tls_load(struct gate *gate);
struct tls_context *gate_tls_get(struct gate *gate); /* a reference, or NULL */

/* gate_limits.c: connections open and new ones per minute, by address, subnet and network. */
struct gate_limits *gate_limits_new(void);
void gate_limits_free(struct gate_limits *limits);
/* True: admitted, and to be released. False: over a limit; nothing to release. */
bool gate_limits_admit(struct gate_limits *limits, const struct config_limits *config,
                       const struct os_address *peer, int64_t now_ms);
void gate_limits_release(struct gate_limits *limits, const struct config_limits *config,
                         const struct os_address *peer);

/* gate_rates.c: messages and bytes into one account, by address, subnet and network, per minute and
 * day. */
struct gate_rates *gate_rates_new(void);
void gate_rates_free(struct gate_rates *rates);
bool gate_rates_allow(struct gate_rates *rates, const struct config_limits *limits,
                      const char *account, const struct os_address *peer, int64_t now_s);
void gate_rates_count(struct gate_rates *rates, const struct config_limits *limits,
                      const char *account, const struct os_address *peer, uint64_t size,
                      int64_t now_s);

/* The config of the listener a connection came by; NULL when a reload has removed it. */
const struct config_listener *gate_listener_config(const struct gate_connection *connection);

/* A session, from greeting to end, on the connection's own thread. Closes nothing but what it made.
 */
void gate_mx_serve(struct gate_connection *connection, struct tls_stream *stream);
/* True: logged in behind TLS, stream and connection have gone to the relay. */
bool gate_login_serve(struct gate_connection *connection, struct tls_stream *stream);
bool gate_submission_serve(struct gate_connection *connection, struct tls_stream *stream);
