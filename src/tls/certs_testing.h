/* For tests: certificates of every sort, and a server that shows them. */
#pragma once

#include "base/buf.h"

#include <openssl/ssl.h>
#include <pthread.h>

struct tls_test_cert {
	X509 *x509;
	EVP_PKEY *key;
};

struct tls_test_cert_options {
	const char *common_name;            /* NULL: none */
	const struct tls_test_cert *issuer; /* NULL: self-signed */
	bool is_ca;
	int path_length;         /* with is_ca; 0: not limited, n: n - 1 */
	const char *alt_names;   /* as in openssl.cnf: "DNS:a.example,IP:192.0.2.1"; NULL: none */
	struct slice raw_name;   /* a DNS name more, of any bytes */
	const char *constraints; /* name constraints: "permitted;DNS:example.com"; NULL: none */
	int days;                /* < 0: it ended that many days ago */
	int rsa_bits;            /* 0: P-256 */
};

/* Aborts where OpenSSL fails. */
struct tls_test_cert tls_test_cert_make(const struct tls_test_cert_options *options);
#define TLS_TEST_CERT(...) tls_test_cert_make(&(struct tls_test_cert_options){__VA_ARGS__})
void tls_test_cert_free(struct tls_test_cert *cert);
void tls_test_cert_print(const struct tls_test_cert *cert, struct buf *out); /* PEM */
void tls_test_cert_der(const struct tls_test_cert *cert, struct buf *out);

/* One connection served in a thread: handshake, "250 hello", a line read, end. */
struct tls_test_server {
	/* set before start */
	SSL_CTX *context;
	int fd;
	bool is_noise; /* says `noise` instead of a handshake */
	struct slice noise;
	bool close_at_once;
	/* what it saw, after join */
	char name[256]; /* SNI */
	bool resumed;
	uint8_t exporter[32];
	uint8_t finished[64];
	size_t n_finished;
	pthread_t thread;
};

void tls_test_server_start(struct tls_test_server *server);
void tls_test_server_join(struct tls_test_server *server);
/* A context that shows the chain, its own certificate first. */
SSL_CTX *tls_test_server_context(const struct tls_test_cert *const *chain, size_t n);
