/* Certificates by libcrypto's own tools, a server by libssl. */
#include "tls/certs_testing.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

/* libssl's macros cast constants. */
#pragma GCC diagnostic ignored "-Wcast-qual"

#define DAY_S 86400L

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ASSERT(extension && X509_add_ext(cert, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void add_raw_name(GENERAL_NAMES *names, struct slice bytes)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	ASSERT(name && text && ASN1_STRING_set(text, bytes.p, (int)bytes.n) == 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	ASSERT(sk_GENERAL_NAME_push(names, name) > 0);
}

static void add_names(X509 *cert, X509 *issuer, const struct tls_test_cert_options *o)
{
	if (o->alt_names)
		add_extension(cert, issuer, NID_subject_alt_name, o->alt_names);
	if (o->raw_name.n == 0)
		return;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	names = names ? names : sk_GENERAL_NAME_new_null();
	add_raw_name(names, o->raw_name);
	ASSERT(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE) == 1);
	GENERAL_NAMES_free(names);
}

static void add_constraints(X509 *cert, X509 *issuer, const struct tls_test_cert_options *o)
{
	char text[60];
	if (o->path_length > 0)
		snprintf(text, sizeof(text), "critical,CA:TRUE,pathlen:%d", o->path_length - 1);
	else
		snprintf(text, sizeof(text), "%s", o->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	add_extension(cert, issuer, NID_basic_constraints, text);
	if (o->constraints)
		add_extension(cert, issuer, NID_name_constraints, o->constraints);
}

struct tls_test_cert tls_test_cert_make(const struct tls_test_cert_options *o)
{
	struct tls_test_cert cert = {.x509 = X509_new()};
	cert.key = o->rsa_bits ? EVP_RSA_gen((unsigned)o->rsa_bits) : EVP_EC_gen("P-256");
	ASSERT(cert.x509 && cert.key);
	X509_NAME *subject = X509_get_subject_name(cert.x509);
	X509_set_version(cert.x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), (long)(uintptr_t)cert.key & 0xffffff);
	X509_gmtime_adj(X509_getm_notBefore(cert.x509), -100 * DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(cert.x509), o->days * DAY_S);
	if (o->common_name)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
		                           (const uint8_t *)o->common_name, -1, -1, 0);
	X509_set_issuer_name(cert.x509,
	                     o->issuer ? X509_get_subject_name(o->issuer->x509) : subject);
	X509_set_pubkey(cert.x509, cert.key);
	X509 *issuer = o->issuer ? o->issuer->x509 : cert.x509;
	add_constraints(cert.x509, issuer, o);
	add_names(cert.x509, issuer, o);
	ASSERT(X509_sign(cert.x509, o->issuer ? o->issuer->key : cert.key, EVP_sha256()) > 0);
	return cert;
}

void tls_test_cert_free(struct tls_test_cert *cert)
{
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
	*cert = (struct tls_test_cert){0};
}

void tls_test_cert_print(const struct tls_test_cert *cert, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	ASSERT(bio && PEM_write_bio_X509(bio, cert->x509) == 1);
	long n = BIO_get_mem_data(bio, &text);
	buf_add(out, slice_of(text, (size_t)n));
	BIO_free(bio);
}

void tls_test_cert_der(const struct tls_test_cert *cert, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_X509(cert->x509, &der);
	ASSERT(n > 0);
	buf_add(out, slice_of(der, (size_t)n));
	OPENSSL_free(der);
}

/* --- a server --- */

SSL_CTX *tls_test_server_context(const struct tls_test_cert *const *chain, size_t n)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	ASSERT(context && n > 0);
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_session_id_context(context, (const uint8_t *)"t", 1);
	ASSERT(SSL_CTX_use_certificate(context, chain[0]->x509) == 1);
	ASSERT(SSL_CTX_use_PrivateKey(context, chain[0]->key) == 1);
	for (size_t i = 1; i < n; i++)
		ASSERT(SSL_CTX_add1_chain_cert(context, chain[i]->x509) == 1);
	if (n == 1)
		SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
	return context;
}

static void talk(struct tls_test_server *s, SSL *ssl)
{
	char line[100];
	const uint8_t none = 0;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	snprintf(s->name, sizeof(s->name), "%s", name ? name : "");
	s->resumed = SSL_session_reused(ssl) == 1;
	SSL_export_keying_material(ssl, s->exporter, 32, "EXPORTER-Channel-Binding", 24, &none, 0,
	                           1);
	s->n_finished = s->resumed ? SSL_get_finished(ssl, s->finished, sizeof(s->finished))
	                           : SSL_get_peer_finished(ssl, s->finished, sizeof(s->finished));
	if (SSL_write(ssl, "250 hello\r\n", 11) == 11)
		(void)SSL_read(ssl, line, sizeof(line));
	SSL_shutdown(ssl);
}

static void *serve(void *p)
{
	struct tls_test_server *s = p;
	if (s->is_noise) {
		uint8_t bytes[1000];
		(void)send(s->fd, s->noise.p, s->noise.n, MSG_NOSIGNAL);
		while (!s->close_at_once && recv(s->fd, bytes, sizeof(bytes), 0) > 0)
			;
	} else {
		SSL *ssl = SSL_new(s->context);
		SSL_set_fd(ssl, s->fd);
		if (SSL_accept(ssl) == 1)
			talk(s, ssl);
		SSL_free(ssl);
	}
	ERR_clear_error();
	close(s->fd);
	return NULL;
}

void tls_test_server_start(struct tls_test_server *server)
{
	ASSERT(pthread_create(&server->thread, NULL, serve, server) == 0);
}

void tls_test_server_join(struct tls_test_server *server)
{
	pthread_join(server->thread, NULL);
}
