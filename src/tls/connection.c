/* Non-blocking steps on a connection, in clear or TLS.
 *
 * libssl writes with write(2), which raises SIGPIPE on a closed connection; a small BIO of our own
 * sends with MSG_NOSIGNAL instead. The end of TCP without close_notify (many clients) is an error
 * of its own: with a protocol that counts on the end of input, truncation must not look like one
 * (RFC 8446 section 6.1).
 */
#include "tls/connection_private.h"

#include "tls/openssl_status.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <sys/socket.h>

static bool would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* --- BIO on a socket: BIO_meth_new(3) --- */

static int socket_fd(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static int socket_read(BIO *bio, char *p, size_t n, size_t *ret_n)
{
	BIO_clear_retry_flags(bio);
	ssize_t got = recv(socket_fd(bio), p, n, 0);
	if (got > 0) {
		*ret_n = (size_t)got;
		return 1;
	}
	*ret_n = 0;
	if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	else if (would_block(errno))
		BIO_set_retry_read(bio);
	return 0;
}

static int socket_write(BIO *bio, const char *p, size_t n, size_t *ret_n)
{
	BIO_clear_retry_flags(bio);
	ssize_t sent = send(socket_fd(bio), p, n, MSG_NOSIGNAL);
	if (sent > 0) {
		*ret_n = (size_t)sent;
		return 1;
	}
	*ret_n = 0;
	if (sent < 0 && would_block(errno))
		BIO_set_retry_write(bio);
	return 0;
}

static long socket_ctrl(BIO *bio, int command, long number, void *p)
{
	(void)number, (void)p;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default: /* libssl probes for abilities; we have none */
		return 0;
	}
}

static int socket_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

/* The socket is not the BIO's. */
static int socket_destroy(BIO *bio)
{
	(void)bio;
	return 1;
}

BIO_METHOD *tls_socket_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
	if (!method || !BIO_meth_set_read_ex(method, socket_read) ||
	    !BIO_meth_set_write_ex(method, socket_write) ||
	    !BIO_meth_set_ctrl(method, socket_ctrl) ||
	    !BIO_meth_set_create(method, socket_create) ||
	    !BIO_meth_set_destroy(method, socket_destroy))
		BUG("OpenSSL's BIO cannot be set up");
	return method;
}

/* --- steps --- */

enum tls_io tls_connection_outcome(SSL *ssl, int result, struct status *ret_why)
{
	int saved_errno = errno;
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_IO_END;
	case SSL_ERROR_SYSCALL:
		*ret_why = fail_errno(saved_errno ? saved_errno : ECONNRESET, "connection broke");
		return TLS_IO_FAILED;
	default: /* SSL_ERROR_SSL; the others belong to features that are not used */
		break;
	}
	if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		*ret_why = fail(ERR_CLOSED, "connection ended without close_notify");
	else
		*ret_why = tls_openssl_fail(ERR_TLS, "TLS failed");
	ERR_clear_error();
	return TLS_IO_FAILED;
}

static enum tls_io socket_outcome(enum tls_io blocked, struct status *ret_why)
{
	if (would_block(errno))
		return blocked;
	*ret_why = fail_errno(errno, "connection broke");
	return TLS_IO_FAILED;
}

enum tls_io tls_connection_read(SSL *ssl, int fd, uint8_t *p, size_t n, size_t *ret_n,
                                struct status *ret_why)
{
	if (ssl) {
		ERR_clear_error();
		int result = SSL_read_ex(ssl, p, n, ret_n);
		return result == 1 ? TLS_IO_DONE : tls_connection_outcome(ssl, result, ret_why);
	}
	ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
	if (got < 0)
		return socket_outcome(TLS_IO_WANT_READ, ret_why);
	*ret_n = (size_t)got;
	return got > 0 ? TLS_IO_DONE : TLS_IO_END;
}

enum tls_io tls_connection_write(SSL *ssl, int fd, struct slice bytes, size_t *ret_n,
                                 struct status *ret_why)
{
	if (ssl) {
		ERR_clear_error();
		int result = SSL_write_ex(ssl, bytes.p, bytes.n, ret_n);
		return result == 1 ? TLS_IO_DONE : tls_connection_outcome(ssl, result, ret_why);
	}
	ssize_t sent = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return socket_outcome(TLS_IO_WANT_WRITE, ret_why);
	*ret_n = (size_t)sent;
	return TLS_IO_DONE;
}

enum tls_io tls_connection_peek(SSL *ssl, int fd, struct status *ret_why)
{
	uint8_t byte;
	size_t n;
	if (ssl) {
		/* Decrypts a record if a whole one is there, and handles key updates and the like,
		 * which are no input. */
		ERR_clear_error();
		int result = SSL_peek_ex(ssl, &byte, 1, &n);
		return result == 1 ? TLS_IO_DONE : tls_connection_outcome(ssl, result, ret_why);
	}
	ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0)
		return socket_outcome(TLS_IO_WANT_READ, ret_why);
	return got > 0 ? TLS_IO_DONE : TLS_IO_END;
}

enum tls_io tls_connection_goodbye(SSL *ssl, int fd)
{
	struct status why;
	if (ssl && SSL_is_init_finished(ssl)) {
		ERR_clear_error();
		int result = SSL_shutdown(ssl); /* 0: sent; the peer's own is not waited for */
		if (result < 0 && tls_connection_outcome(ssl, result, &why) == TLS_IO_WANT_WRITE)
			return TLS_IO_WANT_WRITE;
		ERR_clear_error();
	}
	shutdown(fd, SHUT_WR);
	return TLS_IO_DONE;
}
