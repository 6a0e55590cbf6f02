/* Client contexts on libssl: one for each policy, made at their first use.
 *
 * Authorities are not loaded into a store: the verification asks for those that the server's chain
 * names, gives them to libssl as the only trusted ones, and forgets them (authorities.h).
 *
 * Limits: TLS_CLIENT_SESSIONS_MAX sessions; CHAIN_MAX certificates of a server's chain are looked
 * at.
 */
#include "tls/client.h"

#include "tls/connection_private.h"
#include "tls/key_private.h"
#include "tls/openssl_status.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

#define CHAIN_MAX 16

#define CIPHERS_VERIFIED                                                                           \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                               \
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"
/* RFC 7435 section 3: weak encryption is better than none, which is what would come instead. */
#define CIPHERS_OPPORTUNISTIC "DEFAULT:@SECLEVEL=1"

TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)

enum policy {
	OPPORTUNISTIC,
	VERIFIED,
	POLICY_COUNT,
};

struct session {
	char *key; /* NULL: free */
	SSL_SESSION *session;
	uint64_t n_stored; /* age, in sessions */
};

struct tls_client {
	atomic_uint n_refs;
	const struct tls_library *library;
	struct tls_authorities *authorities;
	STACK_OF(X509) * chain; /* of our own certificate, leaf first; NULL: none is shown */
	EVP_PKEY *key;
	pthread_mutex_t lock; /* guards all below */
	SSL_CTX *contexts[POLICY_COUNT];
	struct session sessions[TLS_CLIENT_SESSIONS_MAX];
	uint64_t n_stored;
};

/* --- sessions --- */

static void forget(struct session *session)
{
	base_free(session->key);
	SSL_SESSION_free(session->session);
	*session = (struct session){0};
}

static struct session *find_session(struct tls_client *client, const char *key)
{
	for (size_t i = 0; i < TLS_CLIENT_SESSIONS_MAX; i++)
		if (client->sessions[i].key && strcmp(client->sessions[i].key, key) == 0)
			return &client->sessions[i];
	return NULL;
}

static struct session *oldest_session(struct tls_client *client)
{
	struct session *oldest = &client->sessions[0];
	for (size_t i = 1; i < TLS_CLIENT_SESSIONS_MAX; i++)
		if (client->sessions[i].n_stored < oldest->n_stored)
			oldest = &client->sessions[i];
	return oldest;
}

/* A ticket came: with TLS 1.3 some time after the handshake. 1: the session is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_client_stream *s = SSL_get_app_data(ssl);
	if (!s || !s->session_key || !SSL_SESSION_is_resumable(session))
		return 0;
	struct tls_client *client = s->client;
	pthread_mutex_lock(&client->lock);
	struct session *slot = find_session(client, s->session_key);
	if (!slot)
		slot = oldest_session(client);
	forget(slot);
	*slot = (struct session){.key = base_strdup(s->session_key),
	                         .session = session,
	                         .n_stored = ++client->n_stored};
	pthread_mutex_unlock(&client->lock);
	return 1;
}

/* RFC 8446 appendix C.4: a ticket of TLS 1.3 is used once, so that nobody can tell connections to
 * be the same client's. */
static void resume(struct tls_client *client, SSL *ssl, const char *key)
{
	pthread_mutex_lock(&client->lock);
	struct session *slot = find_session(client, key);
	if (slot && SSL_set_session(ssl, slot->session) == 1 &&
	    SSL_SESSION_get_protocol_version(slot->session) >= TLS1_3_VERSION)
		forget(slot);
	pthread_mutex_unlock(&client->lock);
}

/* --- verification --- */

/* In place of X509_verify_cert: the authorities that this chain may lead to, and no others. */
static int verify(X509_STORE_CTX *store, void *p)
{
	struct tls_client *client = p;
	OSSL_LIB_CTX *libctx = tls_library_libctx(client->library);
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
	STACK_OF(X509) *trusted = sk_X509_new_null();
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	if (!trusted)
		return 0;
	if (client->authorities && leaf) {
		tls_authorities_find(client->authorities, libctx, X509_get_issuer_name(leaf),
		                     trusted);
		tls_authorities_find(client->authorities, libctx, X509_get_subject_name(leaf),
		                     trusted);
	}
	for (int i = 0; client->authorities && i < MIN(sk_X509_num(sent), CHAIN_MAX); i++)
		tls_authorities_find(client->authorities, libctx,
		                     X509_get_issuer_name(sk_X509_value(sent, i)), trusted);
	X509_STORE_CTX_set0_trusted_stack(store, trusted);
	int result = X509_verify_cert(store);
	sk_X509_pop_free(trusted, X509_free);
	return result == 1;
}

static bool set_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	uint8_t bytes[16];
	/* A certificate of a private authority may be trusted by itself. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	if (inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	/* RFC 9525 section 2: no common names, and a "*" is a whole label. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
	       SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
	                (void *)(uintptr_t)name) == 1; /* libssl copies it */
}

/* --- contexts --- */

static bool set_policy(SSL_CTX *ssl, struct tls_client *client, enum policy policy)
{
	bool verified = policy == VERIFIED;
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	if (verified)
		SSL_CTX_set_security_level(ssl, 2);
	else
		SSL_CTX_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	/* Without VERIFY_PEER a failed verification is recorded and goes on. */
	SSL_CTX_set_verify(ssl, verified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, verify, client);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, on_session);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ssl, verified ? CIPHERS_VERIFIED : CIPHERS_OPPORTUNISTIC) ==
	               1;
}

/* --- our own certificate --- */

static X509 *read_certificate(BIO *bio, OSSL_LIB_CTX *libctx)
{
	X509 *certificate = X509_new_ex(libctx, NULL);
	if (certificate && !PEM_read_bio_X509(bio, &certificate, NULL, NULL)) {
		X509_free(certificate);
		certificate = NULL;
	}
	ERR_clear_error();
	return certificate;
}

static STACK_OF(X509) * read_chain(struct slice pem, OSSL_LIB_CTX *libctx)
{
	CLEANUP(BIO_freep)
	BIO *bio = pem.n <= TLS_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	STACK_OF(X509) *chain = sk_X509_new_null();
	while (bio && chain && sk_X509_num(chain) < CHAIN_MAX) {
		X509 *next = read_certificate(bio, libctx);
		if (!next)
			break;
		sk_X509_push(chain, next);
	}
	return chain;
}

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer, (void)size, (void)writing, (void)context;
	return 0;
}

static EVP_PKEY *read_key(struct slice pem, OSSL_LIB_CTX *libctx)
{
	CLEANUP(BIO_freep)
	BIO *bio = pem.n <= TLS_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *key =
	        bio ? PEM_read_bio_PrivateKey_ex(bio, NULL, no_passphrase, NULL, libctx, NULL)
	            : NULL;
	ERR_clear_error();
	return key;
}

struct status tls_client_set_certificate(struct tls_client *client, struct slice chain,
                                         struct slice key)
{
	OSSL_LIB_CTX *libctx = tls_library_libctx(client->library);
	client->chain = read_chain(chain, libctx);
	if (sk_X509_num(client->chain) < 1)
		return fail(ERR_NOT_FOUND, "no certificate in PEM form found");
	client->key = read_key(key, libctx);
	if (!client->key)
		return fail(ERR_INVALID, "no private key in PEM form found, or it is encrypted");
	if (X509_check_private_key(sk_X509_value(client->chain, 0), client->key) != 1) {
		ERR_clear_error();
		return fail(ERR_INVALID, "the private key is not that of the certificate");
	}
	return ok();
}

static bool use_certificate(SSL_CTX *ssl, const struct tls_client *client)
{
	if (!client->key)
		return true;
	STACK_OF(X509) *others = sk_X509_dup(client->chain);
	if (!others)
		return false;
	(void)sk_X509_shift(others);
	bool used = SSL_CTX_use_cert_and_key(ssl, sk_X509_value(client->chain, 0), client->key,
	                                     others, 1) == 1;
	sk_X509_free(others);
	return used;
}

/* With the lock held. */
static SSL_CTX *need_context(struct tls_client *client, enum policy policy)
{
	if (client->contexts[policy])
		return client->contexts[policy];
	SSL_CTX *ssl =
	        SSL_CTX_new_ex(tls_library_libctx(client->library), NULL, TLS_client_method());
	if (ssl && (!set_policy(ssl, client, policy) || !use_certificate(ssl, client))) {
		SSL_CTX_free(ssl);
		ssl = NULL;
	}
	client->contexts[policy] = ssl;
	return ssl;
}

struct tls_client *tls_client_new(const struct tls_library *library,
                                  struct tls_authorities *authorities)
{
	struct tls_client *client = base_alloc(sizeof(*client));
	atomic_init(&client->n_refs, 1);
	client->library = library;
	client->authorities = authorities ? tls_authorities_ref(authorities) : NULL;
	pthread_mutex_init(&client->lock, NULL);
	return client;
}

struct tls_client *tls_client_ref(struct tls_client *client)
{
	atomic_fetch_add(&client->n_refs, 1);
	return client;
}

void tls_client_unref(struct tls_client *client)
{
	if (!client || atomic_fetch_sub(&client->n_refs, 1) != 1)
		return;
	for (size_t i = 0; i < TLS_CLIENT_SESSIONS_MAX; i++)
		forget(&client->sessions[i]);
	for (size_t i = 0; i < POLICY_COUNT; i++)
		SSL_CTX_free(client->contexts[i]);
	sk_X509_pop_free(client->chain, X509_free);
	EVP_PKEY_free(client->key);
	tls_authorities_unref(client->authorities);
	pthread_mutex_destroy(&client->lock);
	base_free(client);
}

/* --- streams --- */

static char *make_session_key(const struct tls_target *target)
{
	size_t n = strlen(target->name) + strlen(target->session) + 4;
	char *key = base_alloc(n);
	snprintf(key, n, "%c %s %s", target->verified ? 'v' : 'o', target->name, target->session);
	return key;
}

static SSL *side_begin(struct tls_stream *t)
{
	struct tls_client_stream *s = (struct tls_client_stream *)t;
	struct tls_client *client = s->client;
	pthread_mutex_lock(&client->lock);
	SSL_CTX *context = need_context(client, s->target.verified ? VERIFIED : OPPORTUNISTIC);
	pthread_mutex_unlock(&client->lock);
	SSL *ssl = context ? SSL_new(context) : NULL;
	BIO *bio = ssl ? BIO_new(tls_library_socket_method(client->library)) : NULL;
	if (!bio || !set_name(ssl, s->target.name)) {
		BIO_free(bio);
		SSL_free(ssl);
		return NULL;
	}
	BIO_set_data(bio, (void *)(intptr_t)t->fd);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	SSL_set_app_data(ssl, s);
	if (s->target.session) {
		s->session_key = make_session_key(&s->target);
		resume(client, ssl, s->session_key);
	}
	return ssl;
}

/* A certificate that was refused is told by what is wrong with it. A server that hangs up during
 * the handshake cannot do TLS with us either. */
static struct status side_explain(const struct tls_stream *t, struct status why)
{
	const struct tls_client_stream *s = (const struct tls_client_stream *)t;
	long result = SSL_get_verify_result(t->ssl);
	if (why.code == ERR_TLS && result != X509_V_OK && s->target.verified)
		return fail(ERR_TLS, X509_verify_cert_error_string(result));
	if (why.code == ERR_CLOSED)
		return fail(ERR_TLS, "server ended the connection during the TLS handshake");
	return why;
}

static void side_end(struct tls_stream *t)
{
	struct tls_client_stream *s = (struct tls_client_stream *)t;
	if (t->ssl)
		SSL_set_app_data(t->ssl, NULL);
	SSL_free(t->ssl);
	tls_client_unref(s->client);
	base_free(s->session_key);
	s->client = NULL;
	s->session_key = NULL;
}

static const struct tls_client_side client_side = {
        .begin = side_begin,
        .explain = side_explain,
        .end = side_end,
};

void tls_client_stream_init(struct tls_client_stream *s, int fd, struct tls_client *client,
                            const struct tls_target *target)
{
	*s = (struct tls_client_stream){.target = *target};
	tls_stream_init(&s->t, fd, NULL);
	if (!client)
		return;
	s->client = tls_client_ref(client);
	s->t.side = &client_side;
}

void tls_client_stream_done(struct tls_client_stream *s)
{
	tls_stream_done(&s->t);
}

struct tls_verdict tls_client_stream_verdict(const struct tls_client_stream *s)
{
	SSL *ssl = s->t.ssl;
	if (!s->t.stream.tls.on)
		return (struct tls_verdict){.why = "no TLS"};
	long result = SSL_get_verify_result(ssl);
	bool has_certificate = SSL_get0_peer_certificate(ssl) != NULL;
	return (struct tls_verdict){
	        .verified = result == X509_V_OK && has_certificate,
	        .resumed = SSL_session_reused(ssl) == 1,
	        .why = !has_certificate      ? "no certificate"
	               : result == X509_V_OK ? ""
	                                     : X509_verify_cert_error_string(result),
	};
}
