/* libssl on a socket without signals, for stream.c and relay.c. */
#pragma once

#include "tls/context.h"

enum tls_io {
	TLS_IO_DONE,       /* *ret_n bytes went through */
	TLS_IO_WANT_READ,  /* the socket must become readable first */
	TLS_IO_WANT_WRITE, /* the socket must become writable first */
	TLS_IO_END,        /* the peer said goodbye, or closed the clear connection */
	TLS_IO_FAILED,
};

/* A BIO method on a socket, the fd being the BIO's data. Freed by BIO_meth_free after its BIOs. */
BIO_METHOD *tls_socket_method_new(void);

/* One non-blocking step each. ssl == NULL: in clear. On FAILED *ret_why says why. n > 0. */
enum tls_io tls_connection_read(SSL *ssl, int fd, uint8_t *p, size_t n, size_t *ret_n,
                                struct status *ret_why);
enum tls_io tls_connection_write(SSL *ssl, int fd, struct slice bytes, size_t *ret_n,
                                 struct status *ret_why);
/* Is there input or an end? Takes nothing. DONE, END and FAILED all mean that a read gives
 * something at once. */
enum tls_io tls_connection_peek(SSL *ssl, int fd, struct status *ret_why);

/* What an unsuccessful libssl call asks for. */
enum tls_io tls_connection_outcome(SSL *ssl, int result, struct status *ret_why);

/* A goodbye: close_notify and the end of our direction. DONE also when the connection is broken, so
 * that nothing can be said; WANT_WRITE: not yet, call again. */
enum tls_io tls_connection_goodbye(SSL *ssl, int fd);
