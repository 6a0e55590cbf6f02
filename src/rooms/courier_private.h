/* What the courier's files share. */
#pragma once

#include "delivery/guard.h"
#include "delivery/order.h"
#include "os/socket.h"
#include "rooms/courier.h"
#include "smtp/client.h"
#include "tls/client.h"

#include <stdatomic.h>

/* --- TLS: made at first use, so that an idle courier stays small --- */

struct courier_ca {
	struct courier_ca *next;
	char *path;
	struct tls_authorities *authorities;
	struct tls_client *client; /* NULL until it is needed */
};

struct courier_tls {
	pthread_mutex_t lock;
	struct tls_library *library; /* NULL until it is needed */
	struct courier_ca common;    /* the system's alone */
	struct courier_ca *own;
};

void courier_tls_init(struct courier_tls *tls, int bundle_fd);
void courier_tls_done(struct courier_tls *tls);
void courier_tls_add(struct courier_tls *tls, const char *path, struct slice pem);
/* A reference to the client that verifies by the system's certificates and those of the path ("":
 * the system's alone). NULL when OpenSSL fails. */
struct tls_client *courier_tls_client(struct courier_tls *tls, const char *ca_path);
/* The same certificates; they live as long as tls. */
struct tls_authorities *courier_tls_authorities(struct courier_tls *tls, const char *ca_path);

/* --- connections --- */

/* One host and the way to it. */
struct courier_target {
	const struct config_transport *transport; /* NULL: direct, with the defaults */
	const char *host;                         /* name, or an address as text */
	const char *tls_name; /* that its certificate must have; NULL: the host's */
	const char *ehlo_name;
	uint16_t port;
	bool implicit; /* TLS from the first byte (RFC 8314 section 3.3) */
	/* What TLS must be; its way is open. */
	const struct delivery_guard *guard;
	bool in_clear;                 /* as the last resort: the handshake has failed */
	const struct delivery_ip *ips; /* in the order to be tried */
	size_t n_ips;
	int64_t until_ms; /* monotonic: no waiting beyond it */
	/* SOCKS: of the proxy. */
	const struct delivery_ip *proxy_ips;
	size_t n_proxy_ips;
};

/* How far a session came with TLS. */
struct courier_session {
	enum delivery_tls_progress progress;
	struct tls_verdict verdict; /* findings are not kept */
	const char *why;            /* of a handshake that failed; static or the arena's; "" */
	char address[DELIVERY_IP_TEXT_MAX]; /* "" when none was reached */
	char helo[SMTP_EHLO_NAME_MAX + 1];
};

struct courier_connection {
	struct courier_connection *next; /* in the pool */
	char *key;                       /* which attempts may use it */
	char *host, *tls_name, *ehlo_name, *session;
	struct delivery_ip ip;
	char address[DELIVERY_IP_TEXT_MAX];
	struct tls_client_stream stream;
	struct smtp_client_tls hook;
	struct smtp_client client;
	struct courier_session session_facts;
	char tls_text[200]; /* "TLSv1.3, certificate verified"; "none" */
	bool verified;      /* by authorities or by TLSA records */
	bool reused;
	bool unloved; /* the server dislikes where it comes from: of no further use */
	int64_t idle_since_ms;
	uint64_t epoch; /* of the config that it was made under */
};

/* Why there is no connection. kind NONE never comes. */
struct courier_failure {
	struct smtp_outcome outcome;
	bool tampered; /* something was said in clear where TLS begins: no reason to go in clear */
	struct courier_session session;
	char tls_text[200];
};

struct courier {
	struct courier_options options;
	struct courier_tls tls;
	struct delivery_order order;
	pthread_mutex_t pool_lock; /* guards all below */
	pthread_cond_t pool_changed;
	struct courier_connection *pool; /* newest first */
	size_t n_pool;
	bool reaper_runs;
	_Atomic uint64_t epoch; /* counts courier_forget */
	/* Threads that no attempt waits for; by pool_lock. */
	unsigned n_behind;
};

/* Such a thread may begin while there are fewer than max, and says when it ends. */
bool courier_enter(struct courier *courier, unsigned max);
void courier_leave(struct courier *courier);

/* Connected, greeted, TLS by the policy, logged in where the transport says so. Texts of the
 * failure live in the arena. NULL on failure. */
struct courier_connection *courier_connect(struct courier *courier, const struct courier_job *job,
                                           const struct courier_target *target, struct arena *arena,
                                           struct courier_failure *ret_failure);
/* Closes it; politely when there is somebody to hear it. */
void courier_disconnect(struct courier_connection *connection);
/* The same without waiting for anybody. */
void courier_hang_up(struct courier_connection *connection);

/* What tells kept connections apart: whom they reach, and what was demanded of TLS; at most KEY_MAX
 * bytes with the NUL. The first part alone, for courier_pool_has. */
#define COURIER_KEY_MAX 900u
void courier_key(const struct courier_target *target, char key[COURIER_KEY_MAX]);
void courier_host_key(const struct courier_target *target, char key[COURIER_KEY_MAX]);

/* --- connections that wait for the next attempt --- */

void courier_pool_init(struct courier *courier);
/* A connection that nothing has come from since; NULL when there is none. */
struct courier_connection *courier_pool_take(struct courier *courier, const char *key);
/* One whose key begins so. */
bool courier_pool_has(struct courier *courier, const char *host_key);
/* Takes it; closes it where the pool is full, the connection is of no use or the server is busy. */
void courier_pool_put(struct courier *courier, struct courier_connection *connection);
void courier_pool_clear(struct courier *courier);
/* The same, and until nobody watches it any more. */
void courier_pool_done(struct courier *courier);
