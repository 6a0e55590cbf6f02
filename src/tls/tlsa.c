/* TLSA records through libcrypto.
 *
 *	selector Cert(0)   the certificate in DER           matching Full(0)   as it is
 *	         SPKI(1)   its SubjectPublicKeyInfo in DER           SHA2-256(1), SHA2-512(2)
 *
 * Deliberately not done: raw public keys (RFC 7250), matching types of later registries.
 *
 * Limits: TLS_PEM_MAX bytes of PEM text, TLS_CHAIN_MAX certificates in it.
 */
#include "tls/tlsa.h"

#include "base/encode.h"
#include "tls/certificate.h"
#include "tls/key_private.h"
#include "tls/tlsa_private.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define SHA256_SIZE 32u
#define SHA512_SIZE 64u

TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)
TLS_OPENSSL_CLEANUP(X509, X509_free)
TLS_OPENSSL_CLEANUP(EVP_PKEY, EVP_PKEY_free)

const char *tls_tlsa_usage_name(uint8_t usage)
{
	static const char *const names[] = {
#define X(id, number, name) [number] = name,
	        TLS_TLSA_USAGE_LIST(X)
#undef X
	};
	return usage < N_ELEMENTS(names) ? names[usage] : "";
}

const char *tls_tlsa_selector_name(uint8_t selector)
{
	static const char *const names[] = {
#define X(id, number, name) [number] = name,
	        TLS_TLSA_SELECTOR_LIST(X)
#undef X
	};
	return selector < N_ELEMENTS(names) ? names[selector] : "";
}

const char *tls_tlsa_matching_name(uint8_t matching)
{
	static const char *const names[] = {
#define X(id, number, name) [number] = name,
	        TLS_TLSA_MATCHING_LIST(X)
#undef X
	};
	return matching < N_ELEMENTS(names) ? names[matching] : "";
}

void tls_tlsa_print(const struct tls_tlsa *record, struct buf *out)
{
	buf_printf(out, "%u %u %u ", record->usage, record->selector, record->matching);
	hex_encode(record->bytes, out);
}

/* --- usable or not --- */

/* All of the bytes are one certificate with a key that is understood. */
static bool is_certificate(struct slice der)
{
	const unsigned char *at = der.p;
	CLEANUP(X509_freep) X509 *cert = d2i_X509(NULL, &at, (long)der.n);
	bool good = cert && at == der.p + der.n && X509_get0_pubkey(cert);
	ERR_clear_error();
	return good;
}

static bool is_public_key(struct slice der)
{
	const unsigned char *at = der.p;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.n);
	bool good = key && at == der.p + der.n;
	ERR_clear_error();
	return good;
}

static const char *unusable_usage(uint8_t usage)
{
	if (usage > TLS_TLSA_DANE_EE)
		return "its certificate usage is unknown";
	/* RFC 7672 section 3.1.3: treated as unusable, like any unsupported one. */
	if (usage <= TLS_TLSA_PKIX_EE)
		return "its usage asks for public authorities, which do not count between mail "
		       "servers";
	return NULL;
}

static const char *unusable_bytes(const struct tls_tlsa *record)
{
	switch ((enum tls_tlsa_matching)record->matching) {
	case TLS_TLSA_FULL:
		if (record->selector == TLS_TLSA_CERT)
			return is_certificate(record->bytes) ? NULL : "it holds no certificate";
		return is_public_key(record->bytes) ? NULL : "it holds no public key";
	case TLS_TLSA_SHA256:
		return record->bytes.n == SHA256_SIZE ? NULL
		                                      : "its SHA2-256 digest is not 32 bytes long";
	case TLS_TLSA_SHA512:
		return record->bytes.n == SHA512_SIZE ? NULL
		                                      : "its SHA2-512 digest is not 64 bytes long";
	}
	return "its matching type is unknown";
}

const char *tls_tlsa_unusable(const struct tls_tlsa *record)
{
	const char *why = unusable_usage(record->usage);
	if (why)
		return why;
	if (record->selector > TLS_TLSA_SPKI)
		return "its selector is unknown";
	return unusable_bytes(record);
}

bool tls_tlsa_is_outdone(const struct tls_tlsa *records, const bool *usable, size_t n, size_t i)
{
	if (records[i].matching == TLS_TLSA_FULL)
		return false; /* no digest that could be weak */
	for (size_t j = 0; j < n; j++)
		if (usable[j] && records[j].usage == records[i].usage &&
		    records[j].selector == records[i].selector &&
		    records[j].matching > records[i].matching)
			return true;
	return false;
}

/* --- making one --- */

static struct slice digest_of(struct slice der, uint8_t matching, struct arena *arena)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n = 0;
	const char *algorithm = matching == TLS_TLSA_SHA256 ? "SHA256" : "SHA512";
	if (EVP_Q_digest(NULL, algorithm, NULL, der.p, der.n, digest, &n) != 1)
		BUG("libcrypto has no SHA-2");
	return arena_copy(arena, slice_of(digest, n));
}

static struct slice association(unsigned char *der, int n, uint8_t matching, struct arena *arena)
{
	struct slice bytes = n > 0 ? slice_of(der, (size_t)n) : slice_empty();
	if (bytes.n > 0)
		bytes = matching == TLS_TLSA_FULL ? arena_copy(arena, bytes)
		                                  : digest_of(bytes, matching, arena);
	OPENSSL_free(der);
	return bytes;
}

static struct slice association_of_key(const X509_PUBKEY *key, uint8_t matching,
                                       struct arena *arena)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(key, &der);
	return association(der, n, matching, arena);
}

struct slice tls_tlsa_association_of(X509 *certificate, uint8_t selector, uint8_t matching,
                                     struct arena *arena)
{
	if (selector == TLS_TLSA_SPKI)
		return association_of_key(X509_get_X509_PUBKEY(certificate), matching, arena);
	unsigned char *der = NULL;
	int n = i2d_X509(certificate, &der);
	return association(der, n, matching, arena);
}

struct slice tls_tlsa_association(struct slice certificate_der, uint8_t selector, uint8_t matching,
                                  struct arena *arena)
{
	const unsigned char *at = certificate_der.p;
	CLEANUP(X509_freep) X509 *cert = d2i_X509(NULL, &at, (long)certificate_der.n);
	ERR_clear_error();
	if (!cert || selector > TLS_TLSA_SPKI || matching > TLS_TLSA_SHA512)
		return slice_empty();
	return tls_tlsa_association_of(cert, selector, matching, arena);
}

static struct status refuse(struct arena *arena, const char *name, const char *why)
{
	const char *text = arena_printf(arena, "%s: %s", name, why);
	ERR_clear_error();
	return fail(ERR_INVALID, text ? text : why);
}

/* The first or the last certificate of the text. *ret_cert is NULL where there is none. False when
 * one is damaged or there are too many. */
static bool find_certificate(BIO *bio, bool last, X509 **ret_cert)
{
	X509 *found = NULL;
	for (size_t n = 0;; n++) {
		X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		bool at_end = !next && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
		ERR_clear_error();
		if (at_end) {
			*ret_cert = found;
			return true;
		}
		if (!next || n == TLS_CHAIN_MAX) {
			X509_free(next);
			X509_free(found);
			return false;
		}
		if (found && !last) {
			X509_free(next);
			continue;
		}
		X509_free(found);
		found = next;
	}
}

static struct status of_public_key(BIO *bio, const char *name, struct tls_tlsa *record,
                                   struct arena *arena)
{
	X509_PUBKEY *key = NULL;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	if (!pkey)
		return refuse(arena, name, "no certificate or public key in PEM form found");
	if (record->selector != TLS_TLSA_SPKI)
		return refuse(arena, name, "a public key alone makes records with selector 1 only");
	if (X509_PUBKEY_set(&key, pkey) != 1)
		return refuse(arena, name, "the public key cannot be written");
	record->bytes = association_of_key(key, record->matching, arena);
	X509_PUBKEY_free(key);
	return ok();
}

struct status tls_tlsa_of_pem(struct slice pem, const char *name, uint8_t usage, uint8_t selector,
                              uint8_t matching, struct tls_tlsa *ret_record, struct arena *arena)
{
	struct tls_tlsa record = {.usage = usage, .selector = selector, .matching = matching};
	CLEANUP(X509_freep) X509 *cert = NULL;
	bool is_authority = usage == TLS_TLSA_PKIX_TA || usage == TLS_TLSA_DANE_TA;
	if (usage > TLS_TLSA_DANE_EE || selector > TLS_TLSA_SPKI || matching > TLS_TLSA_SHA512)
		return refuse(arena, name, "there is no record with these numbers");
	if (pem.n > TLS_PEM_MAX)
		return refuse(arena, name, "file is too large");
	CLEANUP(BIO_freep) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (!bio)
		BUG("out of memory");
	if (!find_certificate(bio, is_authority, &cert))
		return refuse(arena, name, "a certificate is damaged, or there are too many");
	if (cert) {
		record.bytes = tls_tlsa_association_of(cert, selector, matching, arena);
	} else {
		(void)BIO_reset(bio);
		TRY(of_public_key(bio, name, &record, arena));
	}
	if (arena_failed(arena) || record.bytes.n == 0)
		return fail(ERR_LIMIT, "too little memory for a record");
	*ret_record = record;
	return ok();
}
