/* Server contexts on libssl.
 *
 * One SSL_CTX for each site; connections begin on the first and move to another when the client's
 * SNI (RFC 6066 section 3) names it. TLS 1.2 and 1.3 only (RFC 8996, RFC 9325 section 3.1),
 * ephemeral key exchange with AEAD ciphers only, no compression, no renegotiation, no early data,
 * no session cache. SHA-1 signs nothing.
 *
 * Limits: TLS_SITES_MAX, TLS_SITE_CERTIFICATES_MAX, TLS_CHAIN_MAX certificates a chain.
 */
#include "tls/context.h"

#include "tls/certificate.h"
#include "tls/key_private.h"
#include "tls/openssl_status.h"
#include "tls/ticket_keys.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdatomic.h>

#define CIPHERS_12                                                                                 \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS     "X25519:P-256:P-384"
#define SIGNATURES                                                                                 \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:"            \
	"RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"
#define ALPN_MAX ((size_t)256) /* bytes of the list in wire form */

TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)
TLS_OPENSSL_CLEANUP(X509, X509_free)
TLS_OPENSSL_CLEANUP(EVP_PKEY, EVP_PKEY_free)

struct site {
	SSL_CTX *ssl;
	struct slice *names;
	size_t n_names;
};

struct tls_context {
	atomic_uint n_refs;
	const struct tls_library *library;
	struct arena arena; /* sites and their names */
	struct site *sites;
	size_t n_sites;
	bool strict_names;
	struct tls_ticket_keys *ticket_keys; /* NULL without tickets */
	uint8_t alpn[ALPN_MAX];              /* length-prefixed names, in our order */
	size_t n_alpn;
};

/* --- choices during a handshake --- */

static bool site_has_name(const struct site *site, struct slice name)
{
	for (size_t i = 0; i < site->n_names; i++)
		if (tls_name_matches(site->names[i], name))
			return true;
	return false;
}

static const struct site *find_site(const struct tls_context *context, struct slice name)
{
	for (size_t i = 0; i < context->n_sites; i++)
		if (site_has_name(&context->sites[i], name))
			return &context->sites[i];
	return NULL;
}

static int on_server_name(SSL *ssl, int *alert, void *p)
{
	const struct tls_context *context = p;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	struct slice asked = slice_str(name);
	if (slice_ends(asked, SLICE("."))) /* a root dot, against RFC 6066, is seen in the wild */
		asked.n--;
	const struct site *site = find_site(context, asked);
	if (site) {
		SSL_set_SSL_CTX(ssl, site->ssl);
		return SSL_TLSEXT_ERR_OK;
	}
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return context->strict_names ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
                   const unsigned char *offered, unsigned n_offered, void *p)
{
	const struct tls_context *context = p;
	unsigned char *chosen;
	(void)ssl;
	if (SSL_select_next_proto(&chosen, ret_n, context->alpn, (unsigned)context->n_alpn, offered,
	                          n_offered) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
	const struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	return encrypt ? tls_ticket_keys_seal(context->ticket_keys, name, iv, cipher, mac)
	               : tls_ticket_keys_open(context->ticket_keys, name, iv, cipher, mac);
}

static int accept_any_certificate(int preverified, X509_STORE_CTX *store)
{
	(void)preverified, (void)store;
	return 1;
}

/* --- making --- */

static struct status refuse(struct arena *arena, const char *label, const char *why)
{
	const char *text = arena_printf(arena, "%s: %s", label, why);
	ERR_clear_error();
	return fail(ERR_INVALID, text ? text : why);
}

static bool set_tickets(SSL_CTX *ssl, const struct tls_context *context,
                        const struct tls_context_options *options)
{
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	if (!context->ticket_keys) {
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		return SSL_CTX_set_num_tickets(ssl, 0) == 1;
	}
	SSL_CTX_set_timeout(ssl, (long)options->ticket_key_s * 2);
	return SSL_CTX_set_num_tickets(ssl, 1) == 1 &&
	       SSL_CTX_set_session_id_context(ssl, (const uint8_t *)"mailkeep", 8) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket) == 1;
}

static bool set_policy(SSL_CTX *ssl, struct tls_context *context,
                       const struct tls_context_options *options)
{
	SSL_CTX_set_app_data(ssl, context);
	SSL_CTX_set_security_level(ssl, 2);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
	                                 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ssl, context);
	if (context->n_alpn > 0)
		SSL_CTX_set_alpn_select_cb(ssl, on_alpn, context);
	if (options->client_certificate == TLS_CLIENT_CERTIFICATE_OPTIONAL)
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, accept_any_certificate);
	char groups[] = GROUPS, signatures[] = SIGNATURES; /* libssl's macros take no const */
	int lowest = options->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION;
	return SSL_CTX_set_min_proto_version(ssl, lowest) == 1 &&
	       SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ssl, CIPHERS_12) == 1 &&
	       SSL_CTX_set_ciphersuites(ssl, CIPHERS_13) == 1 &&
	       SSL_CTX_set1_groups_list(ssl, groups) == 1 &&
	       SSL_CTX_set1_sigalgs_list(ssl, signatures) == 1 &&
	       set_tickets(ssl, context, options);
}

static X509 *next_certificate(BIO *bio, OSSL_LIB_CTX *libctx)
{
	X509 *cert = X509_new_ex(libctx, NULL);
	if (cert && !PEM_read_bio_X509(bio, &cert, NULL, NULL)) {
		X509_free(cert);
		cert = NULL;
	}
	return cert;
}

static bool add_chain(SSL_CTX *ssl, BIO *bio, OSSL_LIB_CTX *libctx)
{
	for (X509 *next; (next = next_certificate(bio, libctx));) {
		if (SSL_CTX_add0_chain_cert(ssl, next) != 1) {
			X509_free(next);
			return false;
		}
	}
	ERR_clear_error(); /* the end of the text; tls_certificate_read saw that all of it is good
	                    */
	return true;
}

static struct status add_certificate(SSL_CTX *ssl, const struct tls_library *library,
                                     const struct tls_context_options *options, const char *label,
                                     const struct tls_site_certificate *certificate,
                                     struct arena *arena)
{
	OSSL_LIB_CTX *libctx = tls_library_libctx(library);
	CLEANUP(BIO_freep)
	BIO *bio = BIO_new_mem_buf(certificate->chain_pem.p, (int)certificate->chain_pem.n);
	CLEANUP(X509_freep) X509 *leaf = bio ? next_certificate(bio, libctx) : NULL;
	if (!leaf)
		return refuse(arena, label, "certificate is damaged");
	CLEANUP(EVP_PKEY_freep)
	EVP_PKEY *key = tls_remote_key_new(library, X509_get0_pubkey(leaf), certificate->key_id,
	                                   options->signer);
	if (!key)
		return refuse(arena, label, "certificate's key cannot be used");
	if (SSL_CTX_use_certificate(ssl, leaf) != 1 || SSL_CTX_use_PrivateKey(ssl, key) != 1)
		return refuse(arena, label,
		              tls_openssl_fail(ERR_TLS, "certificate is refused by libssl").why);
	if (!add_chain(ssl, bio, libctx))
		return refuse(arena, label, "certificate chain is refused by libssl");
	return ok();
}

static struct status add_names(struct tls_context *context, struct site *site,
                               const struct slice *names, size_t n_names)
{
	site->names = ARENA_ARRAY(&context->arena, MAX(n_names, 1), struct slice);
	for (size_t i = 0; site->names && i < n_names; i++)
		site->names[i] = arena_copy(&context->arena, names[i]);
	site->n_names = n_names;
	return arena_failed(&context->arena) ? fail(ERR_LIMIT, "too many names") : ok();
}

static struct status make_site(struct tls_context *context, const struct tls_library *library,
                               const struct tls_context_options *options,
                               const struct tls_site *from, struct site *site, struct arena *arena)
{
	if (from->n_certificates == 0 || from->n_certificates > TLS_SITE_CERTIFICATES_MAX)
		return refuse(arena, from->label, "needs from one to three certificates");
	site->ssl = SSL_CTX_new_ex(tls_library_libctx(library), NULL, TLS_server_method());
	if (!site->ssl || !set_policy(site->ssl, context, options))
		return tls_openssl_fail(ERR_TLS, "libssl cannot be set up");
	for (size_t i = 0; i < from->n_certificates; i++) {
		struct tls_certificate_info info;
		const struct tls_site_certificate *certificate = &from->certificates[i];
		TRY(tls_certificate_read(certificate->chain_pem, from->label, &info, arena));
		TRY(add_certificate(site->ssl, library, options, from->label, certificate, arena));
		if (i == 0 && from->n_names == 0)
			TRY(add_names(context, site, info.names, info.n_names));
	}
	return from->n_names > 0 ? add_names(context, site, from->names, from->n_names) : ok();
}

static struct status set_alpn(struct tls_context *context,
                              const struct tls_context_options *options)
{
	for (size_t i = 0; i < options->n_alpn; i++) {
		struct slice name = slice_str(options->alpn[i]);
		if (name.n == 0 || name.n > UINT8_MAX || context->n_alpn + 1 + name.n > ALPN_MAX)
			return fail(ERR_LIMIT, "list of ALPN protocols is too long");
		context->alpn[context->n_alpn++] = (uint8_t)name.n;
		memcpy(context->alpn + context->n_alpn, name.p, name.n);
		context->n_alpn += name.n;
	}
	return ok();
}

static struct status make(struct tls_context *context, const struct tls_library *library,
                          const struct tls_context_options *options, struct arena *arena)
{
	if (options->n_sites == 0 || options->n_sites > TLS_SITES_MAX)
		return fail(ERR_LIMIT, "a TLS context needs from 1 to 4096 sets of certificates");
	TRY(set_alpn(context, options));
	if (options->ticket_key_s > 0)
		context->ticket_keys = tls_ticket_keys_new(options->clock, options->ticket_key_s);
	context->sites = ARENA_ARRAY(&context->arena, options->n_sites, struct site);
	context->strict_names = options->strict_names;
	for (size_t i = 0; i < options->n_sites; i++) {
		context->n_sites++; /* before it is complete, so that freeing finds it */
		TRY(make_site(context, library, options, &options->sites[i], &context->sites[i],
		              arena));
	}
	return ok();
}

struct status tls_context_new(const struct tls_library *library,
                              const struct tls_context_options *options,
                              struct tls_context **ret_context, struct arena *arena)
{
	struct tls_context *context = base_alloc(sizeof(*context));
	atomic_init(&context->n_refs, 1);
	context->library = library;
	arena_init(&context->arena, (size_t)(16 * MIB));
	struct status status = make(context, library, options, arena);
	if (is_ok(status))
		*ret_context = context;
	else
		tls_context_unref(context);
	return status;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	atomic_fetch_add(&context->n_refs, 1);
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	if (!context || atomic_fetch_sub(&context->n_refs, 1) != 1)
		return;
	for (size_t i = 0; i < context->n_sites; i++)
		SSL_CTX_free(context->sites[i].ssl);
	tls_ticket_keys_free(context->ticket_keys);
	arena_done(&context->arena);
	base_free(context);
}

SSL *tls_context_connection(struct tls_context *context, int fd)
{
	SSL *ssl = SSL_new(context->sites[0].ssl);
	BIO *bio = BIO_new(tls_library_socket_method(context->library));
	if (!ssl || !bio) {
		SSL_free(ssl);
		BIO_free(bio);
		return NULL;
	}
	BIO_set_data(bio, (void *)(intptr_t)fd);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	return ssl;
}
