/* struct stream on a socket, with poll for its deadlines.
 *
 * A read may take its whole timeout; a write may take the timeout for each piece of progress; a
 * handshake may take the timeout once, however many messages it has (a peer that sends a byte a
 * second does not hold a thread for long). */
#include "tls/stream.h"

#include "tls/connection_private.h"
#include "tls/openssl_status.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define EXPORTER_LABEL "EXPORTER-Channel-Binding"
#define EXPORTER_SIZE  ((size_t)32)

static struct tls_stream *self(struct stream *s)
{
	return (struct tls_stream *)s;
}

/* --- waiting --- */

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* timeout_ms < 0: for ever. */
static int64_t deadline_in(int timeout_ms)
{
	return timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
}

static int left_ms(int64_t deadline)
{
	if (deadline == INT64_MAX)
		return -1;
	int64_t left = deadline - now_ms();
	return left < 0 ? 0 : (int)MIN(left, (int64_t)INT32_MAX);
}

static struct status poll_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd item = {.fd = fd, .events = events};
		int timeout = left_ms(deadline);
		int n = poll(&item, 1, timeout);
		if (n > 0)
			return ok();
		if (n == 0)
			return fail(ERR_TIMEOUT, "peer did nothing for too long");
		if (errno != EINTR)
			return fail_errno(errno, "cannot wait for the connection");
	}
}

static struct status wait_for(const struct tls_stream *t, enum tls_io io, int64_t deadline)
{
	return poll_for(t->fd, io == TLS_IO_WANT_WRITE ? POLLOUT : POLLIN, deadline);
}

/* A failure that TLS cannot recover from is what every later call returns. */
static struct status broke(struct tls_stream *t, struct status why)
{
	t->broken = why;
	return why;
}

/* --- operations --- */

static struct status op_read(struct stream *s, uint8_t *p, size_t n, int timeout_ms, size_t *ret_n)
{
	struct tls_stream *t = self(s);
	int64_t deadline = deadline_in(timeout_ms);
	TRY(t->broken);
	for (;;) {
		struct status why;
		enum tls_io io = tls_connection_read(t->ssl, t->fd, p, n, ret_n, &why);
		switch (io) {
		case TLS_IO_DONE:
			return ok();
		case TLS_IO_END:
			*ret_n = 0;
			return ok();
		case TLS_IO_FAILED:
			return broke(t, why);
		case TLS_IO_WANT_READ:
		case TLS_IO_WANT_WRITE:
			TRY(wait_for(t, io, deadline));
		}
	}
}

static struct status op_write(struct stream *s, struct slice bytes, int timeout_ms)
{
	struct tls_stream *t = self(s);
	int64_t deadline = deadline_in(timeout_ms);
	TRY(t->broken);
	while (bytes.n > 0) {
		struct status why;
		size_t n;
		enum tls_io io = tls_connection_write(t->ssl, t->fd, bytes, &n, &why);
		switch (io) {
		case TLS_IO_DONE:
			bytes = slice_from(bytes, n);
			deadline = deadline_in(timeout_ms);
			break;
		case TLS_IO_END:
			return broke(t, fail(ERR_CLOSED, "peer closed the connection"));
		case TLS_IO_FAILED:
			return broke(t, why);
		case TLS_IO_WANT_READ:
		case TLS_IO_WANT_WRITE: {
			/* libssl holds half a record: nothing else may be written after this. */
			struct status waited = wait_for(t, io, deadline);
			if (!is_ok(waited))
				return broke(t, waited);
		}
		}
	}
	return ok();
}

/* Whether a read would give something at once; otherwise which events to poll for. */
static bool input_is_ready(struct tls_stream *t, short *ret_events)
{
	struct status why;
	if (!is_ok(t->broken))
		return true;
	enum tls_io io = tls_connection_peek(t->ssl, t->fd, &why);
	*ret_events = io == TLS_IO_WANT_WRITE ? POLLOUT : POLLIN;
	if (io == TLS_IO_FAILED)
		t->broken = why;
	return io != TLS_IO_WANT_READ && io != TLS_IO_WANT_WRITE;
}

static struct status op_wait(struct stream *s, int wake_fd, int timeout_ms,
                             enum stream_event *ret_event)
{
	struct tls_stream *t = self(s);
	int64_t deadline = deadline_in(timeout_ms);
	short events = POLLIN;
	for (;;) {
		if (input_is_ready(t, &events)) {
			*ret_event = STREAM_INPUT;
			return ok();
		}
		struct pollfd items[2] = {{.fd = t->fd, .events = events},
		                          {.fd = wake_fd, .events = POLLIN}};
		int n = poll(items, 2, left_ms(deadline)); /* a negative fd is passed over */
		if (n < 0 && errno != EINTR)
			return fail_errno(errno, "cannot wait for the connection");
		if (n > 0 && items[1].revents && !items[0].revents) {
			*ret_event = STREAM_WOKEN;
			return ok();
		}
		if (n == 0) {
			*ret_event = STREAM_TIMEOUT;
			return ok();
		}
	}
}

static void copy_text(char *to, size_t size, const char *from)
{
	size_t n = MIN(from ? strlen(from) : 0, size - 1);
	memcpy(to, from ? from : "", n);
	to[n] = 0;
}

static void describe(struct tls_stream *t)
{
	struct stream_tls *tls = &t->stream.tls;
	tls->on = true;
	copy_text(tls->version, sizeof(tls->version), SSL_get_version(t->ssl));
	copy_text(tls->cipher, sizeof(tls->cipher), SSL_get_cipher_name(t->ssl));
	copy_text(tls->server_name, sizeof(tls->server_name),
	          SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name));
}

static struct status handshake(struct tls_stream *t, int64_t deadline)
{
	for (;;) {
		struct status why = fail(ERR_TLS, "TLS handshake failed");
		ERR_clear_error();
		int result = SSL_do_handshake(t->ssl);
		if (result == 1)
			return left_ms(deadline) == 0
			               ? fail(ERR_TIMEOUT, "TLS handshake took too long")
			               : ok();
		enum tls_io io = tls_connection_outcome(t->ssl, result, &why);
		if (io == TLS_IO_FAILED || io == TLS_IO_END || io == TLS_IO_DONE)
			return t->side ? t->side->explain(t, why) : why;
		TRY(wait_for(t, io, deadline));
	}
}

static struct status op_start_tls(struct stream *s, int timeout_ms)
{
	struct tls_stream *t = self(s);
	if (!t->context && !t->side)
		return fail(ERR_UNSUPPORTED, "TLS is not configured here");
	if (t->ssl)
		return fail(ERR_INVALID, "TLS is on already");
	t->ssl = t->side ? t->side->begin(t) : tls_context_connection(t->context, t->fd);
	if (!t->ssl)
		return broke(t, tls_openssl_fail(ERR_IO, "cannot begin TLS"));
	struct status status = handshake(t, deadline_in(timeout_ms));
	if (!is_ok(status))
		return broke(t, status);
	describe(t);
	return ok();
}

static void op_shutdown(struct stream *s)
{
	struct tls_stream *t = self(s);
	if (t->fd < 0)
		return;
	if (!is_ok(t->broken) || tls_connection_goodbye(t->ssl, t->fd) == TLS_IO_WANT_WRITE)
		shutdown(t->fd, SHUT_WR); /* no room for a goodbye, and nobody waits for it */
}

static const struct stream_ops ops = {
        .read = op_read,
        .write = op_write,
        .wait = op_wait,
        .start_tls = op_start_tls,
        .shutdown = op_shutdown,
};

/* --- life --- */

void tls_stream_init(struct tls_stream *t, int fd, struct tls_context *context)
{
	*t = (struct tls_stream){.fd = fd, .context = context ? tls_context_ref(context) : NULL};
	stream_init(&t->stream, &ops);
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void tls_stream_done(struct tls_stream *t)
{
	if (t->side)
		t->side->end(t);
	else
		SSL_free(t->ssl);
	t->ssl = NULL;
	t->side = NULL;
	tls_context_unref(t->context);
	t->context = NULL;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	stream_done(&t->stream);
}

int tls_stream_take_fd(struct tls_stream *t)
{
	ASSERT(!t->ssl);
	int fd = t->fd;
	t->fd = -1;
	t->broken = fail(ERR_CLOSED, "connection was handed over");
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	return fd;
}

/* --- facts --- */

static bool has_unique_secret(const SSL *ssl)
{
	union {
		const SSL *in;
		SSL *out;
	} unconst = {.in = ssl}; /* the macro below is not const-correct */
	return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(unconst.out) == 1;
}

static struct status exporter(SSL *ssl, uint8_t *value, size_t *ret_n)
{
	/* TLS 1.2 tells an empty context from none (RFC 5705 section 4); RFC 9266 says empty, the
	 * deployed clients take none there and 1.3 makes no difference: we follow the text. */
	const uint8_t none = 0;
	if (!has_unique_secret(ssl) ||
	    SSL_export_keying_material(ssl, value, EXPORTER_SIZE, EXPORTER_LABEL,
	                               sizeof(EXPORTER_LABEL) - 1, &none, 0, 1) != 1)
		return fail(ERR_NOT_FOUND, "connection has no tls-exporter binding");
	*ret_n = EXPORTER_SIZE;
	return ok();
}

/* The hash of the certificate's own signature, SHA-256 in place of MD5 and SHA-1. */
static struct status server_end_point(SSL *ssl, uint8_t *value, size_t *ret_n)
{
	X509 *cert = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
	int digest_nid = NID_undef;
	if (!cert || X509_get_signature_info(cert, &digest_nid, NULL, NULL, NULL) != 1 ||
	    digest_nid == NID_undef)
		return fail(ERR_NOT_FOUND, "certificate has no tls-server-end-point binding");
	if (digest_nid == NID_md5 || digest_nid == NID_sha1)
		digest_nid = NID_sha256;
	const EVP_MD *digest = EVP_get_digestbynid(digest_nid);
	unsigned n;
	if (!digest || EVP_MD_get_size(digest) > (int)TLS_BINDING_MAX ||
	    X509_digest(cert, digest, value, &n) != 1)
		return fail(ERR_NOT_FOUND, "certificate has no tls-server-end-point binding");
	*ret_n = n;
	return ok();
}

/* The first Finished message: the client's, or in an abbreviated handshake the server's. */
static struct status unique(const SSL *ssl, uint8_t *value, size_t *ret_n)
{
	if (SSL_version(ssl) >= TLS1_3_VERSION || !has_unique_secret(ssl))
		return fail(ERR_NOT_FOUND, "connection has no tls-unique binding");
	bool ours = (SSL_session_reused(ssl) == 1) == (SSL_is_server(ssl) == 1);
	size_t n = ours ? SSL_get_finished(ssl, value, TLS_BINDING_MAX)
	                : SSL_get_peer_finished(ssl, value, TLS_BINDING_MAX);
	if (n == 0 || n > TLS_BINDING_MAX)
		return fail(ERR_NOT_FOUND, "connection has no tls-unique binding");
	*ret_n = n;
	return ok();
}

struct status tls_stream_binding(const struct tls_stream *t, enum tls_binding binding,
                                 uint8_t value[TLS_BINDING_MAX], size_t *ret_n)
{
	if (!t->stream.tls.on)
		return fail(ERR_NOT_FOUND, "connection is in clear");
	switch (binding) {
	case TLS_BINDING_EXPORTER:
		return exporter(t->ssl, value, ret_n);
	case TLS_BINDING_SERVER_END_POINT:
		return server_end_point(t->ssl, value, ret_n);
	case TLS_BINDING_UNIQUE:
		return unique(t->ssl, value, ret_n);
	}
	BUG("unknown channel binding");
}

struct slice tls_stream_alpn(const struct tls_stream *t)
{
	const unsigned char *p = NULL;
	unsigned n = 0;
	if (t->ssl)
		SSL_get0_alpn_selected(t->ssl, &p, &n);
	return p ? slice_of(p, n) : slice_empty();
}

struct slice tls_stream_client_certificate(const struct tls_stream *t, struct arena *arena)
{
	X509 *cert = t->ssl ? SSL_get0_peer_certificate(t->ssl) : NULL;
	int n = cert ? i2d_X509(cert, NULL) : 0;
	uint8_t *der = n > 0 ? arena_alloc(arena, (size_t)n) : NULL;
	if (!der)
		return slice_empty();
	unsigned char *at = der;
	i2d_X509(cert, &at);
	return slice_of(der, (size_t)n);
}
