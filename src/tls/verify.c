/* PKIX verification by libcrypto, with authorities that are found when one is needed.
 *
 * Authorities are not loaded into a store: those that the leaf and the chain name are asked for,
 * given to libcrypto as the only trusted ones, and forgotten (authorities.h).
 *
 * Limits: TLS_SENT_MAX certificates of the server's chain; chains as long as libcrypto allows.
 */
#include "tls/verify.h"

#include "base/slice.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define AUTH_LEVEL 2 /* of SSL_CTX_set_security_level: 112 bits, no SHA-1 */

/* What reports have a word for; all else is OTHER. */
static const struct {
	int x509;
	enum tls_fault fault;
	const char *code;
} faults[] = {
#define X(name, fault)                                                                             \
	{                                                                                          \
		X509_V_ERR_##name, TLS_FAULT_##fault, "X509_V_ERR_" #name                          \
	}
        X(HOSTNAME_MISMATCH, NAME),
        X(IP_ADDRESS_MISMATCH, NAME),
        X(CERT_HAS_EXPIRED, EXPIRED),
        X(CERT_NOT_YET_VALID, EXPIRED),
        X(ERROR_IN_CERT_NOT_AFTER_FIELD, EXPIRED),
        X(ERROR_IN_CERT_NOT_BEFORE_FIELD, EXPIRED),
        X(DANE_NO_MATCH, NO_MATCH),
        X(UNABLE_TO_GET_ISSUER_CERT, UNTRUSTED),
        X(UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNTRUSTED),
        X(UNABLE_TO_VERIFY_LEAF_SIGNATURE, UNTRUSTED),
        X(DEPTH_ZERO_SELF_SIGNED_CERT, UNTRUSTED),
        X(SELF_SIGNED_CERT_IN_CHAIN, UNTRUSTED),
        X(CERT_SIGNATURE_FAILURE, UNTRUSTED),
        X(UNABLE_TO_DECRYPT_CERT_SIGNATURE, UNTRUSTED),
        X(UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, UNTRUSTED),
        X(CERT_CHAIN_TOO_LONG, UNTRUSTED),
        X(CERT_REVOKED, UNTRUSTED),
        X(INVALID_CA, UNTRUSTED),
        X(NO_ISSUER_PUBLIC_KEY, UNTRUSTED),
        X(PATH_LENGTH_EXCEEDED, UNTRUSTED),
        X(INVALID_PURPOSE, UNTRUSTED),
        X(CERT_UNTRUSTED, UNTRUSTED),
        X(CERT_REJECTED, UNTRUSTED),
        X(SUBJECT_ISSUER_MISMATCH, UNTRUSTED),
        X(AKID_SKID_MISMATCH, UNTRUSTED),
        X(AKID_ISSUER_SERIAL_MISMATCH, UNTRUSTED),
        X(KEYUSAGE_NO_CERTSIGN, UNTRUSTED),
        X(UNHANDLED_CRITICAL_EXTENSION, UNTRUSTED),
        X(INVALID_EXTENSION, UNTRUSTED),
        X(PERMITTED_VIOLATION, UNTRUSTED),
        X(EXCLUDED_VIOLATION, UNTRUSTED),
        X(SUBTREE_MINMAX, UNTRUSTED),
        X(UNSUPPORTED_CONSTRAINT_TYPE, UNTRUSTED),
        X(UNSUPPORTED_CONSTRAINT_SYNTAX, UNTRUSTED),
        X(UNSUPPORTED_NAME_SYNTAX, UNTRUSTED),
        X(EE_KEY_TOO_SMALL, UNTRUSTED),
        X(CA_KEY_TOO_SMALL, UNTRUSTED),
        X(CA_MD_TOO_WEAK, UNTRUSTED),
        X(INVALID_CALL, OTHER),
        X(UNSPECIFIED, OTHER),
        X(OUT_OF_MEM, OTHER),
#undef X
};

struct tls_check tls_check_of_x509(int x509)
{
	struct tls_check check = {
	        .made = true, .x509 = x509, .fault = TLS_FAULT_OTHER, .code = "X509_V_ERR"};
	if (x509 == X509_V_OK)
		return (struct tls_check){.made = true, .good = true, .why = "", .code = ""};
	check.why = X509_verify_cert_error_string(x509);
	for (size_t i = 0; i < N_ELEMENTS(faults); i++) {
		if (faults[i].x509 != x509)
			continue;
		check.fault = faults[i].fault;
		check.code = faults[i].code;
	}
	return check;
}

/* --- PKIX --- */

static bool set_name(X509_VERIFY_PARAM *param, const char *name)
{
	uint8_t bytes[16];
	if (inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	/* RFC 9525 section 2: no common names, and a "*" is a whole label. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

/* Those that this chain may lead to, and no others. */
static STACK_OF(X509) * find_trusted(struct tls_authorities *authorities, OSSL_LIB_CTX *libctx,
                                     const X509 *leaf, STACK_OF(X509) * sent)
{
	STACK_OF(X509) *trusted = sk_X509_new_null();
	if (!trusted || !authorities)
		return trusted;
	tls_authorities_find(authorities, libctx, X509_get_issuer_name(leaf), trusted);
	tls_authorities_find(authorities, libctx, X509_get_subject_name(leaf), trusted);
	for (int i = 0; i < MIN(sk_X509_num(sent), TLS_SENT_MAX); i++)
		tls_authorities_find(authorities, libctx,
		                     X509_get_issuer_name(sk_X509_value(sent, i)), trusted);
	return trusted;
}

static int verify(X509_STORE_CTX *store, STACK_OF(X509) * trusted, const char *name, int64_t now_s)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
	X509_STORE_CTX_set0_trusted_stack(store, trusted);
	if (X509_STORE_CTX_set_default(store, "ssl_server") != 1 || !set_name(param, name))
		return X509_V_ERR_UNSPECIFIED;
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	/* A certificate of a private authority may be trusted by itself. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	if (now_s != 0)
		X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	if (X509_verify_cert(store) == 1)
		return X509_V_OK;
	int error = X509_STORE_CTX_get_error(store);
	return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
}

struct tls_check tls_pkix_check(struct tls_authorities *authorities, OSSL_LIB_CTX *libctx,
                                X509 *leaf, STACK_OF(X509) * sent, const char *name, int64_t now_s)
{
	int x509 = X509_V_ERR_OUT_OF_MEM;
	STACK_OF(X509) *trusted = find_trusted(authorities, libctx, leaf, sent);
	X509_STORE_CTX *store = X509_STORE_CTX_new_ex(libctx, NULL);
	if (trusted && store && X509_STORE_CTX_init(store, NULL, leaf, sent) == 1)
		x509 = verify(store, trusted, name, now_s);
	X509_STORE_CTX_free(store);
	sk_X509_pop_free(trusted, X509_free);
	ERR_clear_error();
	return tls_check_of_x509(x509);
}

bool tls_pkix_check_store(X509_STORE_CTX *store, struct tls_authorities *authorities,
                          OSSL_LIB_CTX *libctx, const char *name, struct tls_check *ret_check)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	struct tls_check check = {.made = true,
	                          .fault = TLS_FAULT_NO_CERTIFICATE,
	                          .x509 = X509_V_ERR_UNSPECIFIED,
	                          .why = "no certificate",
	                          .code = "no-certificate"};
	if (leaf)
		check = tls_pkix_check(authorities, libctx, leaf,
		                       X509_STORE_CTX_get0_untrusted(store), name, 0);
	X509_STORE_CTX_set_error(store, check.x509);
	*ret_check = check;
	return check.good;
}
