/* A stock libssl client, and signers that misbehave. */
#include "tls/testing.h"

#include "tls/openssl_status.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

/* libssl's macros cast constants. */
#pragma GCC diagnostic ignored "-Wcast-qual"

static int64_t real_now_us(const struct clock *clock)
{
	struct timespec now;
	(void)clock;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_monotonic_ms(const struct clock *clock)
{
	struct timespec now;
	(void)clock;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct clock tls_test_clock = {.now_us = real_now_us, .monotonic_ms = real_monotonic_ms};

/* --- keys --- */

static struct status test_sign(void *context, struct slice key_id, enum tls_sign_scheme scheme,
                               struct slice input, uint8_t *signature, size_t max, size_t *ret_n)
{
	struct tls_test_keys *t = context;
	atomic_fetch_add(&t->n_signed, 1);
	if (!tls_signable(input))
		atomic_store(&t->unsignable_seen, true);
	ASSERT(key_id.n == 1 && key_id.p[0] >= '0' && key_id.p[0] < '0' + TLS_TEST_KEYS);
	switch (t->fault) {
	case TLS_TEST_GOOD:
		break;
	case TLS_TEST_FAILS:
		return fail(ERR_TEMPORARY, "the vault is away");
	case TLS_TEST_GARBAGE:
		memset(signature, 'x', MIN(max, 70));
		*ret_n = MIN(max, 70);
		return ok();
	case TLS_TEST_EMPTY:
		*ret_n = 0;
		return ok();
	case TLS_TEST_TOO_LONG:
		*ret_n = max + 1;
		return ok();
	case TLS_TEST_SLOW:
		poll(NULL, 0, 300);
	}
	return tls_key_sign(t->keys[key_id.p[0] - '0'], scheme, input, signature, max, ret_n);
}

void tls_test_keys_init(struct tls_test_keys *t)
{
	*t = (struct tls_test_keys){.fault = TLS_TEST_GOOD};
	t->signer = (struct tls_signer){.sign = test_sign, .context = t};
}

void tls_test_keys_add(struct tls_test_keys *t, size_t i, enum tls_key_type type, const char *names)
{
	struct slice list[8], rest = slice_str(names);
	size_t n = 0;
	while (rest.n > 0 && n < N_ELEMENTS(list))
		slice_cut(rest, ' ', &list[n++], &rest);
	struct buf pem;
	buf_init(&pem, sizeof(t->pems[i]) - 1);
	if (!is_ok(tls_key_generate(type, &t->keys[i])) ||
	    !is_ok(tls_certificate_self_sign(t->keys[i], list, n, clock_now_s(&tls_test_clock), 30,
	                                     &pem)))
		BUG("cannot make a test certificate");
	memcpy(t->pems[i], pem.p, pem.n);
	t->pems[i][pem.n] = 0;
	buf_done(&pem);
}

void tls_test_keys_done(struct tls_test_keys *t)
{
	for (size_t i = 0; i < TLS_TEST_KEYS; i++)
		tls_key_free(t->keys[i]);
}

struct slice tls_test_key_id(size_t i)
{
	return slice_sub(SLICE("0123456789"), i, 1);
}

/* --- client --- */

static void set_error(struct tls_test_client *c, const char *why)
{
	snprintf(c->error, sizeof(c->error), "%s", tls_openssl_fail(ERR_TLS, why).why);
}

static SSL_CTX *client_context(const struct tls_test_client *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		BUG("no client context");
	SSL_CTX_set_min_proto_version(ctx, c->version);
	SSL_CTX_set_max_proto_version(ctx, c->version);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if ((c->ciphers && SSL_CTX_set_cipher_list(ctx, c->ciphers) != 1) ||
	    (c->signatures && SSL_CTX_set1_sigalgs_list(ctx, c->signatures) != 1) ||
	    (c->groups && SSL_CTX_set1_groups_list(ctx, c->groups) != 1))
		BUG("bad client options");
	return ctx;
}

static SSL *client_ssl(const struct tls_test_client *c, SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	if (!ssl)
		BUG("no client connection");
	SSL_set_fd(ssl, c->fd);
	if (c->server_name)
		SSL_set_tlsext_host_name(ssl, c->server_name);
	if (c->session)
		SSL_set_session(ssl, c->session);
	if (c->alpn) {
		uint8_t wire[32];
		wire[0] = (uint8_t)strlen(c->alpn);
		memcpy(wire + 1, c->alpn, wire[0]);
		SSL_set_alpn_protos(ssl, wire, 1U + wire[0]);
	}
	return ssl;
}

static void note_facts(struct tls_test_client *c, SSL *ssl)
{
	snprintf(c->cipher, sizeof(c->cipher), "%s", SSL_get_cipher_name(ssl));
	c->resumed = SSL_session_reused(ssl);
	c->n_finished = SSL_get_finished(ssl, c->finished, sizeof(c->finished));
	SSL_export_keying_material(ssl, c->exporter, sizeof(c->exporter),
	                           "EXPORTER-Channel-Binding", 24, (const uint8_t *)"", 0, 1);
	const unsigned char *alpn;
	unsigned n_alpn;
	SSL_get0_alpn_selected(ssl, &alpn, &n_alpn);
	snprintf(c->alpn_chosen, sizeof(c->alpn_chosen), "%.*s", (int)n_alpn,
	         alpn ? (const char *)alpn : "");
	X509 *cert = SSL_get0_peer_certificate(ssl);
	if (!cert)
		return;
	X509_digest(cert, EVP_sha256(), c->end_point, &c->n_end_point);
	snprintf(c->subject_key, sizeof(c->subject_key), "%s",
	         EVP_PKEY_get0_type_name(X509_get0_pubkey(cert)));
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
	                          c->server_common_name, sizeof(c->server_common_name));
}

static void talk(struct tls_test_client *c, SSL *ssl)
{
	size_t n = 0, got;
	if (c->echo && SSL_write_ex(ssl, "hello\r\n", 7, &got) != 1) {
		set_error(c, "write failed");
		return;
	}
	while (n + 1 < sizeof(c->answer) &&
	       SSL_read_ex(ssl, c->answer + n, sizeof(c->answer) - 1 - n, &got) == 1)
		n += got;
	c->answer[n] = 0;
	c->clean_end = SSL_get_error(ssl, 0) == SSL_ERROR_ZERO_RETURN;
	SSL_shutdown(ssl);
	if (c->keep_session) {
		SSL_SESSION_free(c->session);
		c->session = SSL_get1_session(ssl);
	}
}

static void *client_thread(void *p)
{
	struct tls_test_client *c = p;
	/* In this thread only: our side must never raise it. */
	sigset_t pipe_signal;
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
	SSL_CTX *ctx = client_context(c);
	SSL *ssl = client_ssl(c, ctx);
	c->connected = SSL_connect(ssl) == 1;
	if (!c->connected) {
		set_error(c, "connection ended");
	} else {
		note_facts(c, ssl);
		talk(c, ssl);
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

void tls_test_client_start(struct tls_test_client *c)
{
	pthread_t *thread = base_alloc(sizeof(*thread));
	c->thread = thread;
	if (pthread_create(thread, NULL, client_thread, c) != 0)
		BUG("cannot start a thread");
}

void tls_test_client_join(struct tls_test_client *c)
{
	pthread_t *thread = c->thread;
	pthread_join(*thread, NULL);
	base_free(thread);
	c->thread = NULL;
	close(c->fd);
}

void tls_test_client_done(struct tls_test_client *c)
{
	SSL_SESSION_free(c->session);
}
