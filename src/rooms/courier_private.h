/* What the courier's files share. */
#pragma once

#include "delivery/hosts.h"
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

/* --- connections --- */

enum courier_policy {
	COURIER_CLEAR,
	COURIER_OPPORTUNISTIC,
	COURIER_VERIFIED,
	COURIER_IMPLICIT, /* verified, from the first byte */
};

/* One host and the way to it. */
struct courier_target {
	const struct config_transport *transport; /* NULL: direct, with the defaults */
	const char *host;                         /* name, or an address as text */
	const char *tls_name;                     /* that its certificate must have */
	const char *ehlo_name;
	uint16_t port;
	enum courier_policy policy;
	const struct delivery_ip *ips; /* in the order to be tried */
	size_t n_ips;
	int64_t until_ms; /* monotonic: no waiting beyond it */
	/* SOCKS: of the proxy. */
	const struct delivery_ip *proxy_ips;
	size_t n_proxy_ips;
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
	char tls_text[200]; /* "TLSv1.3, certificate verified"; "none" */
	bool verified;
	bool reused;
	bool unloved; /* the server dislikes where it comes from: of no further use */
	int64_t idle_since_ms;
	uint64_t epoch; /* of the config that it was made under */
};

/* Why there is no connection. kind NONE never comes. */
struct courier_failure {
	struct smtp_outcome outcome;
	char address[DELIVERY_IP_TEXT_MAX]; /* "" when none was reached */
	bool tls_failed;                    /* the handshake: another connection may do without */
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
};

/* Connected, greeted, TLS by the policy, logged in where the transport says so. Texts of the
 * failure live in the arena. NULL on failure. */
struct courier_connection *courier_connect(struct courier *courier, const struct courier_job *job,
                                           const struct courier_target *target, struct arena *arena,
                                           struct courier_failure *ret_failure);
/* Closes it; politely when there is somebody to hear it. */
void courier_disconnect(struct courier_connection *connection);
/* The same without waiting for anybody. */
void courier_hang_up(struct courier_connection *connection);

/* What tells kept connections apart; at most KEY_MAX bytes with the NUL. */
#define COURIER_KEY_MAX 800u
void courier_key(const struct courier_target *target, char key[COURIER_KEY_MAX]);

/* --- connections that wait for the next attempt --- */

void courier_pool_init(struct courier *courier);
/* A connection that nothing has come from since; NULL when there is none. */
struct courier_connection *courier_pool_take(struct courier *courier, const char *key);
bool courier_pool_has(struct courier *courier, const char *key);
/* Takes it; closes it where the pool is full, the connection is of no use or the server is busy. */
void courier_pool_put(struct courier *courier, struct courier_connection *connection);
void courier_pool_clear(struct courier *courier);
/* The same, and until nobody watches it any more. */
void courier_pool_done(struct courier *courier);
