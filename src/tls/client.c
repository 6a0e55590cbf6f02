/* Client contexts on libssl: one for connections that demand something of the certificate, one for
 * those that do not, made at their first use.
 *
 * The verification callback makes both checks and keeps what came of them; to libssl it says the
 * first demanded one that is not good. A session is resumed without certificates, so its checks are
 * kept beside it, under a key that says all that was demanded and compared with.
 *
 * Limits: TLS_CLIENT_SESSIONS_MAX sessions.
 */
#include "tls/client.h"

#include "base/encode.h"
#include "tls/connection_private.h"
#include "tls/key_private.h"
#include "tls/openssl_status.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>

#define SESSION_KEY_MAX ((size_t)2048)

#define CIPHERS_DEMANDING                                                                          \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                               \
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"
/* RFC 7435 section 3: weak encryption is better than none, which is what would come instead. */
#define CIPHERS_OPPORTUNISTIC "DEFAULT:@SECLEVEL=1"

TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)

enum policy {
	OPPORTUNISTIC,
	DEMANDING,
	POLICY_COUNT,
};

struct session {
	char *key; /* NULL: free */
	SSL_SESSION *session;
	struct tls_check pkix, dane;
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
	                         .pkix = s->pkix,
	                         .dane = s->dane,
	                         .n_stored = ++client->n_stored};
	pthread_mutex_unlock(&client->lock);
	return 1;
}

/* RFC 8446 appendix C.4: a ticket of TLS 1.3 is used once, so that nobody can tell connections to
 * be the same client's. A server that declines makes a full handshake, whose checks count. */
static void resume(struct tls_client_stream *s, SSL *ssl)
{
	struct tls_client *client = s->client;
	pthread_mutex_lock(&client->lock);
	struct session *slot = find_session(client, s->session_key);
	if (slot && SSL_set_session(ssl, slot->session) == 1) {
		s->pkix = slot->pkix;
		s->dane = slot->dane;
		if (SSL_SESSION_get_protocol_version(slot->session) >= TLS1_3_VERSION)
			forget(slot);
	}
	pthread_mutex_unlock(&client->lock);
}

/* Everything that the checks of a session rest on. */
static char *make_session_key(const struct tls_target *target)
{
	CLEANUP(buf_done) struct buf records;
	CLEANUP(buf_done) struct buf key;
	const struct tls_dane *dane = target->dane;
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n_digest = 0;
	buf_init(&records, SIZE_MAX);
	buf_init(&key, SESSION_KEY_MAX);
	for (size_t i = 0; dane && i < dane->n_records; i++) {
		tls_tlsa_print(&dane->records[i], &records);
		buf_add_byte(&records, '\n');
	}
	if (EVP_Q_digest(NULL, "SHA256", NULL, records.p, records.n, digest, &n_digest) != 1)
		BUG("libcrypto has no SHA-2");
	buf_printf(&key, "%d %d %s %s ", target->verified, dane ? 1 + target->dane_required : 0,
	           target->name, target->pkix_name ? target->pkix_name : target->name);
	for (size_t i = 0; dane && i < MIN(dane->n_names, TLS_DANE_NAMES_MAX); i++)
		buf_printf(&key, "%s ", dane->names[i]);
	hex_encode(slice_of(digest, n_digest), &key);
	buf_printf(&key, " %s", target->session);
	return buf_failed(&key) ? NULL : slice_to_cstr(buf_slice(&key));
}

/* --- verification --- */

static void check_dane(struct tls_client_stream *s, SSL *ssl, X509_STORE_CTX *store)
{
	const struct tls_dane *dane = s->target.dane;
	s->dane = tls_dane_check(store, s->n_usable);
	base_free(s->findings);
	s->findings = base_alloc(dane->n_records * sizeof(*s->findings));
	tls_dane_explain(ssl, dane, &s->dane, s->sent, s->findings);
}

/* In place of X509_verify_cert. */
static int verify(X509_STORE_CTX *store, void *p)
{
	struct tls_client *client = p;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_client_stream *s = SSL_get_app_data(ssl);
	const char *name = s->target.pkix_name ? s->target.pkix_name : s->target.name;
	sk_X509_pop_free(s->sent, X509_free);
	s->sent = X509_chain_up_ref(X509_STORE_CTX_get0_untrusted(store));
	(void)tls_pkix_check_store(store, client->authorities, tls_library_libctx(client->library),
	                           name, &s->pkix);
	if (s->target.dane)
		check_dane(s, ssl, store);
	const struct tls_check *bad = s->target.dane_required && !s->dane.good ? &s->dane
	                              : s->target.verified && !s->pkix.good    ? &s->pkix
	                                                                       : NULL;
	X509_STORE_CTX_set_error(store, bad ? bad->x509 : X509_V_OK);
	return !bad;
}

static bool is_address(const char *name)
{
	uint8_t bytes[16];
	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool set_name(SSL *ssl, const char *name)
{
	return is_address(name) /* RFC 6066 section 3: no addresses in the SNI */
	       || SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
	                   (void *)(uintptr_t)name) == 1; /* libssl copies it */
}

static bool set_target(struct tls_client_stream *s, SSL *ssl)
{
	if (!s->target.dane)
		return set_name(ssl, s->target.name);
	s->n_usable = tls_dane_begin(ssl, s->target.dane);
	return s->n_usable >= 0;
}

/* --- contexts --- */

static bool set_policy(SSL_CTX *ssl, struct tls_client *client, enum policy policy)
{
	bool demanding = policy == DEMANDING;
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	if (demanding)
		SSL_CTX_set_security_level(ssl, 2);
	else
		SSL_CTX_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	/* Without VERIFY_PEER a failed verification is recorded and goes on. */
	SSL_CTX_set_verify(ssl, demanding ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, verify, client);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, on_session);
	return tls_dane_prepare(ssl) && SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ssl,
	                               demanding ? CIPHERS_DEMANDING : CIPHERS_OPPORTUNISTIC) == 1;
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
	while (bio && chain && sk_X509_num(chain) < TLS_SENT_MAX) {
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

static SSL *side_begin(struct tls_stream *t)
{
	struct tls_client_stream *s = (struct tls_client_stream *)t;
	struct tls_client *client = s->client;
	pthread_mutex_lock(&client->lock);
	bool demands = s->target.verified || s->target.dane_required;
	SSL_CTX *context = need_context(client, demands ? DEMANDING : OPPORTUNISTIC);
	pthread_mutex_unlock(&client->lock);
	SSL *ssl = context ? SSL_new(context) : NULL;
	BIO *bio = ssl ? BIO_new(tls_library_socket_method(client->library)) : NULL;
	if (!bio || !set_target(s, ssl)) {
		BIO_free(bio);
		SSL_free(ssl);
		return NULL;
	}
	BIO_set_data(bio, (void *)(intptr_t)t->fd);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	SSL_set_app_data(ssl, s);
	if (s->target.session)
		s->session_key = make_session_key(&s->target);
	if (s->session_key)
		resume(s, ssl);
	return ssl;
}

/* A certificate that was refused is told by what is wrong with it. A server that hangs up during
 * the handshake cannot do TLS with us either. */
static struct status side_explain(const struct tls_stream *t, struct status why)
{
	const struct tls_client_stream *s = (const struct tls_client_stream *)t;
	bool no_dane = s->target.dane_required && s->dane.made && !s->dane.good;
	if (why.code == ERR_TLS && no_dane)
		return fail(ERR_TLS, s->dane.why);
	if (why.code == ERR_TLS && s->target.verified && s->pkix.made && !s->pkix.good)
		return fail(ERR_TLS, s->pkix.why);
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
	base_free(s->findings);
	sk_X509_pop_free(s->sent, X509_free);
	s->client = NULL;
	s->session_key = NULL;
	s->findings = NULL;
	s->sent = NULL;
}

static const struct tls_client_side client_side = {
        .begin = side_begin,
        .explain = side_explain,
        .end = side_end,
};

void tls_client_stream_init(struct tls_client_stream *s, int fd, struct tls_client *client,
                            const struct tls_target *target)
{
	ASSERT(target->dane || !target->dane_required);
	*s = (struct tls_client_stream){.target = *target,
	                                .pkix = {.why = "", .code = ""},
	                                .dane = {.why = "", .code = ""}};
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
	bool on = s->t.stream.tls.on;
	struct tls_verdict verdict = {
	        .verified = on && s->pkix.good,
	        .resumed = on && SSL_session_reused(s->t.ssl) == 1,
	        .why = !on            ? "no TLS"
	               : s->pkix.made ? s->pkix.why
	                              : "no certificate",
	        .pkix = s->pkix,
	        .dane = s->dane,
	};
	/* What was prepared for resuming says nothing where the handshake did not come to it. */
	if (!on && !s->sent)
		verdict.pkix = verdict.dane = (struct tls_check){.why = "", .code = ""};
	if (!verdict.resumed)
		verdict.findings = s->findings;
	return verdict;
}

struct tls_sent tls_client_stream_sent(const struct tls_client_stream *s, struct arena *arena)
{
	int n = MIN(MAX(sk_X509_num(s->sent), 0), TLS_SENT_MAX);
	struct tls_certificate_facts *v =
	        ARENA_ARRAY(arena, (size_t)n, struct tls_certificate_facts);
	struct tls_sent sent = {v, 0};
	for (int i = 0; v && i < n; i++)
		if (is_ok(tls_certificate_facts(sk_X509_value(s->sent, i), &v[sent.n], arena)))
			sent.n++;
	return sent;
}
