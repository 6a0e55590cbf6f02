/* Certificates of strangers in words.
 *
 * Limits: TLS_FACTS_NAMES_MAX, TLS_FACTS_TEXT_MAX.
 */
#include "tls/facts.h"

#include "base/buf.h"
#include "base/encode.h"
#include "tls/key_private.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define DAY_S 86400

TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)
TLS_OPENSSL_CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free)
TLS_OPENSSL_CLEANUP(ASN1_TIME, ASN1_TIME_free)

const char *tls_facts_text(struct slice bytes, struct arena *arena)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, TLS_FACTS_TEXT_MAX + 4);
	for (size_t i = 0; i < bytes.n && text.n < TLS_FACTS_TEXT_MAX - 4; i++) {
		if (bytes.p[i] == '\\')
			buf_add_str(&text, "\\\\");
		else if (ascii_is_print(bytes.p[i]))
			buf_add_byte(&text, bytes.p[i]);
		else
			buf_printf(&text, "\\x%02x", bytes.p[i]);
	}
	return arena_cstr(arena, buf_slice(&text));
}

static const char *name_of(const X509_NAME *name, struct arena *arena)
{
	CLEANUP(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	/* This form escapes what is not ASCII itself; the second look is for what it leaves. */
	if (!bio || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
		return arena_printf(arena, "unreadable");
	long n = BIO_get_mem_data(bio, &p);
	struct slice text = n > 0 ? slice_of(p, (size_t)n) : slice_empty();
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_print(text.p[i]))
			return tls_facts_text(text, arena);
	return arena_cstr(arena, slice_sub(text, 0, TLS_FACTS_TEXT_MAX));
}

static const char *address_of(const ASN1_OCTET_STRING *address, struct arena *arena)
{
	char text[INET6_ADDRSTRLEN];
	int n = ASN1_STRING_length(address);
	if ((n != 4 && n != 16) || !inet_ntop(n == 4 ? AF_INET : AF_INET6,
	                                      ASN1_STRING_get0_data(address), text, sizeof(text)))
		return arena_printf(arena, "malformed address");
	return arena_printf(arena, "%s", text);
}

static const char *alternative_name(const GENERAL_NAME *name, struct arena *arena)
{
	if (name->type == GEN_DNS)
		return tls_facts_text(slice_of(ASN1_STRING_get0_data(name->d.dNSName),
		                               (size_t)ASN1_STRING_length(name->d.dNSName)),
		                      arena);
	return address_of(name->d.iPAddress, arena);
}

static void read_names(X509 *cert, struct tls_certificate_facts *facts, struct arena *arena)
{
	CLEANUP(GENERAL_NAMES_freep)
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int n = MAX(sk_GENERAL_NAME_num(all), 0);
	const char **names = ARENA_ARRAY(arena, MIN((size_t)n, TLS_FACTS_NAMES_MAX), const char *);
	facts->names = names;
	for (int i = 0; names && i < n; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		if (name->type != GEN_DNS && name->type != GEN_IPADD)
			continue;
		facts->names_cut = facts->n_names == TLS_FACTS_NAMES_MAX;
		if (facts->names_cut)
			break;
		names[facts->n_names++] = alternative_name(name, arena);
	}
}

static int64_t time_of(const ASN1_TIME *time)
{
	int days, seconds;
	CLEANUP(ASN1_TIME_freep) ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	if (!epoch || ASN1_TIME_diff(&days, &seconds, epoch, time) != 1)
		return INT64_MIN;
	return (int64_t)days * DAY_S + seconds;
}

static const char *key_of(X509 *cert, struct arena *arena)
{
	const EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	if (!type)
		return arena_printf(arena, "unknown");
	return arena_printf(arena, "%.40s %d bits", type, EVP_PKEY_get_bits(key));
}

/* der is OpenSSL's and freed. */
static const char *fingerprint_of(unsigned char *der, int n_der, struct arena *arena)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n = 0;
	CLEANUP(buf_done) struct buf hex;
	buf_init(&hex, 2 * sizeof(digest) + 1);
	if (n_der > 0 && EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)n_der, digest, &n) == 1)
		hex_encode(slice_of(digest, n), &hex);
	OPENSSL_free(der);
	return arena_cstr(arena, buf_slice(&hex));
}

static void read_fingerprints(X509 *cert, struct tls_certificate_facts *facts, struct arena *arena)
{
	unsigned char *der = NULL, *key_der = NULL;
	int n = i2d_X509(cert, &der), n_key = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &key_der);
	facts->fingerprint = fingerprint_of(der, n, arena);
	facts->key_fingerprint = fingerprint_of(key_der, n_key, arena);
}

struct status tls_certificate_facts(X509 *certificate, struct tls_certificate_facts *ret_facts,
                                    struct arena *arena)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	const X509_NAME *issuer = X509_get_issuer_name(certificate);
	struct tls_certificate_facts facts = {
	        .subject = name_of(subject, arena),
	        .issuer = name_of(issuer, arena),
	        .not_before_s = time_of(X509_get0_notBefore(certificate)),
	        .not_after_s = time_of(X509_get0_notAfter(certificate)),
	        .self_issued = X509_NAME_cmp(subject, issuer) == 0,
	        .key = key_of(certificate, arena),
	};
	read_names(certificate, &facts, arena);
	read_fingerprints(certificate, &facts, arena);
	ERR_clear_error();
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "too little memory for what a certificate says");
	*ret_facts = facts;
	return ok();
}
