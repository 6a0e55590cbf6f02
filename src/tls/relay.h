/* One thread that carries bytes between thousands of logged-in connections and their rooms.
 *
 * After login a gate has nothing to say any more: decrypted bytes go to the account room's end of a
 * socket pair and back. An idle connection costs no thread and no buffer here. Backpressure passes
 * through (what one side does not take is not read from the other); the end of one direction is
 * passed on as the end of that direction.
 */
#pragma once

#include "tls/stream.h"

#define TLS_RELAY_LINGER_MS                                                                        \
	30000 /* without progress after the room closed, the client is dropped */

struct tls_relay;

struct tls_relay_result {
	uint64_t n_from_client, n_to_client; /* bytes of plaintext */
	struct status status;                /* OK when both sides ended properly */
};

struct tls_relay_options {
	/* Called in the relay's thread when a connection has ended and its descriptors are closed.
	 * May be NULL. Must not block. */
	void (*ended)(void *context, void *owner, const struct tls_relay_result *result);
	void *context;
	unsigned linger_ms; /* 0: TLS_RELAY_LINGER_MS */
};

struct status tls_relay_new(const struct tls_relay_options *options, struct tls_relay **ret_relay);
/* After run has returned, or without it. Connections that are left are dropped. */
void tls_relay_free(struct tls_relay *relay);

/* Hands a connection over: the stream (with input that was read ahead and output that is pending;
 * emptied, its tls_stream_done is not needed any more) and the other side's descriptor. Any thread.
 */
void tls_relay_add(struct tls_relay *relay, struct tls_stream *stream, int peer_fd, void *owner);

/* Serves until tls_relay_stop; one thread only. */
struct status tls_relay_run(struct tls_relay *relay);
/* Makes run end: says goodbye to clients as far as that does not block, and drops everything. Any
 * thread, also a signal handler. */
void tls_relay_stop(struct tls_relay *relay);

size_t tls_relay_count(const struct tls_relay *relay); /* connections now; any thread */
