/* X.509 (RFC 5280) through libcrypto. What is read here comes from the administrator or from a
 * certificate authority, not from strangers; sizes are bounded all the same. */
#include "tls/certificate.h"

#include "base/encode.h"
#include "tls/key_private.h"
#include "tls/openssl_status.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define HOUR_S          3600
#define DAY_S           (24 * HOUR_S)
#define DNS_NAME_MAX    ((size_t)253)
#define COMMON_NAME_MAX ((size_t)64) /* ub-common-name, RFC 5280 appendix A.1 */

TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)
TLS_OPENSSL_CLEANUP(X509, X509_free)
TLS_OPENSSL_CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free)

static struct status refuse(struct arena *arena, const char *name, const char *why)
{
	const char *text = arena_printf(arena, "%s: %s", name, why);
	ERR_clear_error();
	return fail(ERR_INVALID, text ? text : why);
}

bool tls_name_matches(struct slice pattern, struct slice name)
{
	if (!slice_starts(pattern, SLICE("*.")))
		return slice_ieq(pattern, name);
	size_t dot = slice_index(name, '.');
	return dot != SIZE_MAX && dot > 0 &&
	       slice_ieq(slice_from(pattern, 1), slice_from(name, dot));
}

/* --- reading --- */

static struct slice lower_copy(struct arena *arena, const uint8_t *p, int n)
{
	struct slice copy = slice_empty();
	uint8_t *to = n > 0 ? arena_alloc(arena, (size_t)n) : NULL;
	for (int i = 0; to && i < n; i++)
		to[i] = ascii_lower(p[i]);
	return to ? slice_of(to, (size_t)n) : copy;
}

static struct slice address_text(struct arena *arena, const ASN1_OCTET_STRING *address)
{
	char text[INET6_ADDRSTRLEN];
	int n = ASN1_STRING_length(address);
	int family = n == 4 ? AF_INET : AF_INET6;
	if ((n != 4 && n != 16) ||
	    !inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text)))
		return slice_empty();
	return arena_copy(arena, slice_str(text));
}

static struct slice name_text(struct arena *arena, const GENERAL_NAME *name)
{
	if (name->type == GEN_DNS)
		return lower_copy(arena, ASN1_STRING_get0_data(name->d.dNSName),
		                  ASN1_STRING_length(name->d.dNSName));
	if (name->type == GEN_IPADD)
		return address_text(arena, name->d.iPAddress);
	return slice_empty();
}

static void read_names(X509 *leaf, struct tls_certificate_info *info, struct arena *arena)
{
	CLEANUP(GENERAL_NAMES_freep)
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int n = MIN(sk_GENERAL_NAME_num(names), (int)TLS_CERT_NAMES_MAX);
	struct slice *texts = n > 0 ? ARENA_ARRAY(arena, (size_t)n, struct slice) : NULL;
	size_t n_texts = 0;
	for (int i = 0; texts && i < n; i++) {
		struct slice text = name_text(arena, sk_GENERAL_NAME_value(names, i));
		if (text.n > 0)
			texts[n_texts++] = text;
	}
	info->names = texts;
	info->n_names = n_texts;
}

static bool read_time(const ASN1_TIME *time, int64_t *ret_s)
{
	int days, seconds;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	bool good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
	ASN1_TIME_free(epoch);
	if (good)
		*ret_s = (int64_t)days * DAY_S + seconds;
	return good;
}

static struct slice fingerprint_of(const uint8_t *der, int n_der, struct arena *arena)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n = 0;
	struct buf hex;
	buf_init(&hex, 2 * sizeof(digest));
	if (n_der > 0 && EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)n_der, digest, &n) == 1)
		hex_encode(slice_of(digest, n), &hex);
	struct slice text = arena_copy(arena, buf_slice(&hex));
	buf_done(&hex);
	return text;
}

static void read_fingerprints(X509 *leaf, struct tls_certificate_info *info, struct arena *arena)
{
	uint8_t *der = NULL, *key_der = NULL;
	int n = i2d_X509(leaf, &der);
	int n_key = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &key_der);
	info->fingerprint = fingerprint_of(der, n, arena);
	info->key_fingerprint = fingerprint_of(key_der, n_key, arena);
	OPENSSL_free(der);
	OPENSSL_free(key_der);
}

static const char *key_type(const EVP_PKEY *key)
{
	static const char *const types[] = {"EC", "RSA", "ED25519"};
	for (size_t i = 0; key && i < N_ELEMENTS(types); i++)
		if (EVP_PKEY_is_a(key, types[i]))
			return types[i];
	return NULL;
}

static struct status read_leaf(X509 *leaf, const char *name, struct tls_certificate_info *info,
                               struct arena *arena)
{
	const char *type = key_type(X509_get0_pubkey(leaf));
	if (!type)
		return refuse(arena, name, "certificate is for a key of an unknown kind");
	if (!read_time(X509_get0_notBefore(leaf), &info->not_before_s) ||
	    !read_time(X509_get0_notAfter(leaf), &info->not_after_s))
		return refuse(arena, name, "certificate has no readable period of validity");
	read_names(leaf, info, arena);
	info->key_type = slice_str(type);
	read_fingerprints(leaf, info, arena);
	info->self_signed = (X509_get_extension_flags(leaf) & EXFLAG_SI) != 0;
	return arena_failed(arena) ? fail(ERR_LIMIT, "certificate has too many names") : ok();
}

static BIO *pem_reader(struct slice pem)
{
	return pem.n <= TLS_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

/* Counts the certificates behind the leaf; false when one is damaged or there are too many. */
static bool count_chain(BIO *bio, size_t *n_chain)
{
	for (;;) {
		CLEANUP(X509_freep) X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (!next) {
			bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
			ERR_clear_error();
			return at_end;
		}
		if (++*n_chain > TLS_CHAIN_MAX)
			return false;
	}
}

struct status tls_certificate_read(struct slice pem, const char *name,
                                   struct tls_certificate_info *ret_info, struct arena *arena)
{
	CLEANUP(BIO_freep) BIO *bio = pem_reader(pem);
	if (!bio)
		return refuse(arena, name, "file is too large");
	CLEANUP(X509_freep) X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (!leaf && slice_find(pem, SLICE("-----BEGIN CERTIFICATE-----")) != SIZE_MAX)
		return refuse(arena, name, "certificate is damaged");
	if (!leaf)
		return refuse(arena, name, "no certificate in PEM form found");
	struct tls_certificate_info info = {.n_chain = 1};
	if (!count_chain(bio, &info.n_chain))
		return refuse(arena, name, "certificate chain is damaged or too long");
	TRY(read_leaf(leaf, name, &info, arena));
	*ret_info = info;
	return ok();
}

/* Of a certificate its key; a bare key as it is. NULL when there is neither. */
static EVP_PKEY *read_public_key(struct slice pem)
{
	CLEANUP(BIO_freep) BIO *bio = pem_reader(pem);
	CLEANUP(X509_freep) X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	if (leaf)
		return X509_get_pubkey(leaf);
	CLEANUP(BIO_freep) BIO *again = pem_reader(pem);
	return again ? PEM_read_bio_PUBKEY(again, NULL, NULL, NULL) : NULL;
}

struct status tls_public_key_fingerprint(struct slice pem, const char *name,
                                         struct slice *ret_fingerprint, struct arena *arena)
{
	unsigned char *der = NULL;
	EVP_PKEY *key = read_public_key(pem);
	if (!key)
		return refuse(arena, name, "no certificate and no public key in PEM form found");
	ERR_clear_error();
	int n = i2d_PUBKEY(key, &der);
	struct slice fingerprint = fingerprint_of(der, n, arena);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	if (fingerprint.n == 0)
		return refuse(arena, name, "the key cannot be read");
	*ret_fingerprint = fingerprint;
	return ok();
}

struct status tls_certificate_check_key(struct slice pem, const struct tls_key *key,
                                        const char *name, struct arena *arena)
{
	CLEANUP(BIO_freep) BIO *bio = pem_reader(pem);
	CLEANUP(X509_freep) X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	if (!leaf)
		return refuse(arena, name, "no certificate in PEM form found");
	if (X509_check_private_key(leaf, key->pkey) != 1)
		return refuse(arena, name, "certificate was made for another private key");
	return ok();
}

/* --- making --- */

static bool is_dns_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !memchr("-._*", name.p[i], 4))
			return false;
	return name.n > 0 && name.n <= DNS_NAME_MAX;
}

static GENERAL_NAME *address_name(struct slice name)
{
	char text[INET6_ADDRSTRLEN + 1];
	if (name.n >= sizeof(text))
		return NULL;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	GENERAL_NAME *general = GENERAL_NAME_new();
	general->type = GEN_IPADD;
	general->d.iPAddress = a2i_IPADDRESS(text);
	if (general->d.iPAddress)
		return general;
	ERR_clear_error();
	general->type = GEN_DNS; /* an empty one, which the destructor accepts */
	GENERAL_NAME_free(general);
	return NULL;
}

static GENERAL_NAME *general_name(struct slice name)
{
	GENERAL_NAME *address = address_name(name);
	if (address || !is_dns_name(name))
		return address;
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	GENERAL_NAME *general = GENERAL_NAME_new();
	if (!text || !general || ASN1_STRING_set(text, name.p, (int)name.n) != 1)
		BUG("out of memory");
	GENERAL_NAME_set0_value(general, GEN_DNS, text);
	return general;
}

static struct status add_names(X509 *cert, const struct slice *names, size_t n_names)
{
	if (n_names == 0 || n_names > TLS_CERT_NAMES_MAX)
		return fail(ERR_LIMIT, "a certificate needs from 1 to 256 names");
	CLEANUP(GENERAL_NAMES_freep) GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
	for (size_t i = 0; i < n_names; i++) {
		GENERAL_NAME *general = general_name(names[i]);
		if (!general)
			return fail(ERR_INVALID, "name is neither a DNS name nor an IP address");
		if (sk_GENERAL_NAME_push(all, general) <= 0)
			BUG("out of memory");
	}
	if (X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) != 1)
		return tls_openssl_fail(ERR_IO, "cannot add names to a certificate");
	return ok();
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool added = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

static bool set_serial(X509 *cert)
{
	uint8_t serial[16];
	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	serial[0] =
	        (serial[0] & 0x7f) | 0x40; /* positive, full length (RFC 5280 section 4.1.2.2) */
	ASN1_INTEGER *number = X509_get_serialNumber(cert);
	return ASN1_STRING_set(number, serial, sizeof(serial)) == 1;
}

static bool set_subject(X509 *cert, struct slice name)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int n = name.n <= COMMON_NAME_MAX ? (int)name.n : 0;
	if (n > 0 && X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, name.p, n,
	                                        -1, 0) != 1)
		return false;
	return X509_set_issuer_name(cert, subject) == 1;
}

static bool set_validity(X509 *cert, int64_t now_s, unsigned days)
{
	time_t from = (time_t)(now_s - HOUR_S);
	time_t until = (time_t)(now_s + (int64_t)days * DAY_S);
	return ASN1_TIME_set(X509_getm_notBefore(cert), from) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), until);
}

static const EVP_MD *digest_for(const EVP_PKEY *pkey)
{
	return EVP_PKEY_is_a(pkey, "ED25519") ? NULL : EVP_sha256();
}

static struct status write_pem(X509 *cert, struct buf *out)
{
	CLEANUP(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	if (!bio || PEM_write_bio_X509(bio, cert) != 1)
		return tls_openssl_fail(ERR_IO, "cannot write a certificate");
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	buf_add(out, slice_of(p, (size_t)n));
	return buf_failed(out) ? fail(ERR_LIMIT, "certificate does not fit") : ok();
}

struct status tls_certificate_self_sign(const struct tls_key *key, const struct slice *names,
                                        size_t n_names, int64_t now_s, unsigned days,
                                        struct buf *out)
{
	CLEANUP(X509_freep) X509 *cert = X509_new();
	if (!cert)
		BUG("out of memory");
	TRY(add_names(cert, names, n_names));
	bool made = X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	            set_subject(cert, names[0]) && set_validity(cert, now_s, days) &&
	            X509_set_pubkey(cert, key->pkey) == 1 &&
	            add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	            add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
	            add_extension(cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
	            add_extension(cert, NID_subject_key_identifier, "hash") &&
	            X509_sign(cert, key->pkey, digest_for(key->pkey)) > 0;
	if (!made)
		return tls_openssl_fail(ERR_IO, "cannot make a certificate");
	return write_pem(cert, out);
}
