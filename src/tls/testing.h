/* For tests: keys in this process behind the signer interface, and plain libssl clients. */
#pragma once

#include "tls/certificate.h"
#include "tls/stream.h"

#include <stdatomic.h>

#define TLS_TEST_KEYS 4

/* A signer with a few local keys whose ids are "0", "1" ... */
struct tls_test_keys {
	struct tls_key *keys[TLS_TEST_KEYS];
	char pems[TLS_TEST_KEYS][4096]; /* self-signed certificates */
	atomic_uint n_signed;
	/* What the signer does instead of its work. */
	enum tls_test_fault {
		TLS_TEST_GOOD,
		TLS_TEST_FAILS,
		TLS_TEST_GARBAGE,
		TLS_TEST_EMPTY,
		TLS_TEST_TOO_LONG,
		TLS_TEST_SLOW, /* 300 ms */
	} fault;
	atomic_bool unsignable_seen; /* a text that tls_signable refuses */
	struct tls_signer signer;
};

/* Makes key i with a certificate for the names (blank-separated). */
void tls_test_keys_init(struct tls_test_keys *t);
void tls_test_keys_add(struct tls_test_keys *t, size_t i, enum tls_key_type type,
                       const char *names);
void tls_test_keys_done(struct tls_test_keys *t);
struct slice tls_test_key_id(size_t i);

extern const struct clock tls_test_clock;

/* One client connection in a thread of its own. */
struct tls_test_client {
	/* set before start */
	int fd;
	int version;             /* TLS1_2_VERSION ..., 0: any */
	const char *server_name; /* SNI, NULL: none */
	const char *ciphers;     /* TLS 1.2 list, NULL: default */
	const char *signatures;  /* NULL: default */
	const char *groups;      /* NULL: default */
	const char *alpn;        /* one protocol, NULL: none */
	bool keep_session;       /* waits for a ticket and keeps the session */
	SSL_SESSION *session;    /* to resume; freed by done */
	bool echo;               /* writes "hello\r\n" and reads a line into `answer` */
	/* set by the thread */
	bool connected, resumed;
	char error[128];
	char cipher[64];
	char subject_key[32]; /* kind of the server certificate's key */
	char server_common_name[128];
	char answer[256];
	uint8_t exporter[32];
	uint8_t end_point[64];
	unsigned n_end_point;
	uint8_t finished[64];
	size_t n_finished;
	char alpn_chosen[32];
	bool clean_end; /* close_notify came */
	void *thread;
};

void tls_test_client_start(struct tls_test_client *c);
void tls_test_client_join(struct tls_test_client *c); /* closes its fd */
void tls_test_client_done(struct tls_test_client *c); /* frees the session */
