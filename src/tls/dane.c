/* DANE through libssl, which decides; which record is of which certificate is compared here once
 * more, only to tell.
 *
 * libssl says of a verified server which record it was. Of all others, and of a server that was not
 * verified, it says nothing; but that is what an administrator wants to know.
 *
 * Limits: TLS_TLSA_RECORDS_MAX records, TLS_DANE_NAMES_MAX names, TLS_SENT_MAX certificates.
 */
#include "tls/dane.h"

#include "tls/certificate.h"
#include "tls/key_private.h"
#include "tls/openssl_status.h"
#include "tls/tlsa_private.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define ASSOCIATIONS_ARENA ((size_t)1024 * 1024) /* libssl takes 100 KB of certificates */
#define SELECTORS          2
#define MATCHINGS          3

TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)
TLS_OPENSSL_CLEANUP(SSL, SSL_free)
TLS_OPENSSL_CLEANUP(SSL_CTX, SSL_CTX_free)
TLS_OPENSSL_CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free)

/* --- usable records --- */

static size_t n_looked_at(size_t n)
{
	return MIN(n, TLS_TLSA_RECORDS_MAX);
}

void tls_dane_judge(const struct tls_tlsa *records, size_t n, struct tls_tlsa_finding *findings)
{
	bool usable[TLS_TLSA_RECORDS_MAX] = {false};
	for (size_t i = 0; i < n; i++) {
		const char *why = i < TLS_TLSA_RECORDS_MAX ? tls_tlsa_unusable(&records[i])
		                                           : "there are too many records";
		findings[i] = (struct tls_tlsa_finding){why ? TLS_TLSA_UNUSABLE : TLS_TLSA_UNTRIED,
		                                        -1, why ? why : ""};
		if (!why)
			usable[i] = true;
	}
	for (size_t i = 0; i < n_looked_at(n); i++)
		if (usable[i] && tls_tlsa_is_outdone(records, usable, n_looked_at(n), i))
			findings[i] = (struct tls_tlsa_finding){
			        TLS_TLSA_OUTDONE, -1,
			        "a stronger digest of the same usage and selector counts instead"};
}

/* --- a connection --- */

bool tls_dane_prepare(SSL_CTX *ssl)
{
	return SSL_CTX_dane_enable(ssl) == 1;
}

static bool set_names(SSL *ssl, const struct tls_dane *dane)
{
	/* RFC 7672 section 3.2.3: a common name where there is no DNS-ID; "*" is a whole label. */
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (size_t i = 1; i < MIN(dane->n_names, TLS_DANE_NAMES_MAX); i++)
		if (SSL_add1_host(ssl, dane->names[i]) != 1)
			return false;
	return true;
}

int tls_dane_begin(SSL *ssl, const struct tls_dane *dane)
{
	int n_usable = 0;
	if (SSL_dane_enable(ssl, dane->names[0]) != 1 || !set_names(ssl, dane))
		return -1;
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < n_looked_at(dane->n_records); i++) {
		const struct tls_tlsa *record = &dane->records[i];
		int added = tls_tlsa_unusable(record)
		                    ? 0
		                    : SSL_dane_tlsa_add(ssl, record->usage, record->selector,
		                                        record->matching, record->bytes.p,
		                                        record->bytes.n);
		ERR_clear_error();
		if (added < 0)
			return -1;
		n_usable += added > 0;
	}
	return n_usable;
}

struct tls_check tls_dane_check(X509_STORE_CTX *store, int n_usable)
{
	int x509 = X509_V_ERR_OUT_OF_MEM;
	if (n_usable <= 0) {
		/* Without a record libssl would verify as if there were no DANE. */
		struct tls_check check = tls_check_of_x509(X509_V_ERR_DANE_NO_MATCH);
		check.why = "no TLSA record is usable";
		return check;
	}
	STACK_OF(X509) *nothing = sk_X509_new_null();
	if (nothing) {
		X509_STORE_CTX_set0_trusted_stack(store, nothing);
		X509_STORE_CTX_set_error(store, X509_V_OK); /* libcrypto does not clear it */
		int verified = X509_verify_cert(store);
		x509 = X509_STORE_CTX_get_error(store);
		if (verified != 1 && x509 == X509_V_OK)
			x509 = X509_V_ERR_UNSPECIFIED;
	}
	sk_X509_free(nothing);
	ERR_clear_error();
	return tls_check_of_x509(x509);
}

/* --- telling --- */

/* What records of each kind would hold for each certificate of the server. */
struct associations {
	struct arena arena;
	struct slice v[TLS_SENT_MAX][SELECTORS][MATCHINGS];
	int n;
};

static void associate(struct associations *a, STACK_OF(X509) * sent)
{
	arena_init(&a->arena, ASSOCIATIONS_ARENA);
	a->n = MIN(MAX(sk_X509_num(sent), 0), TLS_SENT_MAX);
	for (int i = 0; i < a->n; i++)
		for (uint8_t s = 0; s < SELECTORS; s++)
			for (uint8_t m = 0; m < MATCHINGS; m++)
				a->v[i][s][m] = tls_tlsa_association_of(sk_X509_value(sent, i), s,
				                                        m, &a->arena);
}

/* The depth of the certificate that the usable record is of; of several the one that its usage
 * means. -1: none. */
static int depth_of(const struct associations *a, const struct tls_tlsa *record)
{
	int found = -1;
	for (int i = a->n - 1; i >= 0; i--) {
		struct slice own = a->v[i][record->selector][record->matching];
		if (own.n == 0 || !slice_eq(own, record->bytes))
			continue;
		if (found < 0 || record->usage == TLS_TLSA_DANE_EE || i > 0)
			found = i;
	}
	return found;
}

static struct tls_tlsa_finding compare(const struct associations *a, const struct tls_tlsa *record,
                                       const struct tls_check *check)
{
	int depth = depth_of(a, record);
	bool means_own = record->usage == TLS_TLSA_DANE_EE;
	struct tls_tlsa_finding finding = {TLS_TLSA_DIFFERS, depth, ""};
	if (depth < 0)
		finding.why = "it is of no certificate that the server sent";
	else if (means_own && depth > 0)
		finding.why = "it is of an authority, but its usage means the server's own "
		              "certificate";
	else if (!means_own && depth == 0)
		finding.why = "it is of the server's own certificate, but its usage means an "
		              "authority";
	else
		finding = (struct tls_tlsa_finding){
		        TLS_TLSA_FITS, depth,
		        check->good ? "another record verified the server already" : check->why};
	return finding;
}

/* Of the records the one that libssl went by. */
static bool is_matched(SSL *ssl, const struct tls_tlsa *record)
{
	uint8_t usage, selector, matching;
	const unsigned char *p = NULL;
	size_t n = 0;
	if (SSL_get0_dane_tlsa(ssl, &usage, &selector, &matching, &p, &n) < 0)
		return false;
	return usage == record->usage && selector == record->selector &&
	       matching == record->matching && slice_eq(slice_of(p, n), record->bytes);
}

void tls_dane_explain(SSL *ssl, const struct tls_dane *dane, const struct tls_check *check,
                      STACK_OF(X509) * sent, struct tls_tlsa_finding *findings)
{
	struct associations *a = base_alloc(sizeof(*a));
	bool matched = !check->good;
	associate(a, sent);
	tls_dane_judge(dane->records, dane->n_records, findings);
	/* libssl tells of a match only where the whole verification was good; this is forgotten
	 * again when the callback ends. */
	if (check->good)
		SSL_set_verify_result(ssl, X509_V_OK);
	for (size_t i = 0; i < dane->n_records; i++) {
		const struct tls_tlsa *record = &dane->records[i];
		if (findings[i].kind != TLS_TLSA_UNTRIED || !check->made)
			continue;
		if (!matched && is_matched(ssl, record)) {
			findings[i] = (struct tls_tlsa_finding){
			        TLS_TLSA_MATCHED, SSL_get0_dane_authority(ssl, NULL, NULL), ""};
			matched = true;
		} else {
			findings[i] = compare(a, record, check);
		}
	}
	arena_done(&a->arena);
	base_free(a);
}

/* --- without a connection --- */

static STACK_OF(X509) * read_chain(struct slice pem)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	CLEANUP(BIO_freep)
	BIO *bio = pem.n <= TLS_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	for (size_t i = 0; chain && bio && i < TLS_CHAIN_MAX; i++) {
		X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (!cert)
			break;
		if (sk_X509_push(chain, cert) <= 0)
			X509_free(cert);
	}
	ERR_clear_error();
	return chain;
}

static struct status verify(SSL *ssl, const struct tls_dane *dane, OSSL_LIB_CTX *libctx,
                            STACK_OF(X509) * chain, int64_t now_s, struct tls_check *ret_check)
{
	CLEANUP(X509_STORE_CTX_freep) X509_STORE_CTX *store = X509_STORE_CTX_new_ex(libctx, NULL);
	int n_usable = tls_dane_begin(ssl, dane);
	if (n_usable < 0 || !store ||
	    X509_STORE_CTX_init(store, NULL, sk_X509_value(chain, 0), chain) != 1)
		return tls_openssl_fail(ERR_IO, "OpenSSL cannot be set up");
	/* As libssl does before it verifies (ssl_verify_cert_chain). */
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
	X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(ssl));
	X509_STORE_CTX_set0_dane(store, SSL_get0_dane(ssl));
	X509_STORE_CTX_set_default(store, "ssl_server");
	if (X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)) != 1)
		return tls_openssl_fail(ERR_IO, "OpenSSL cannot be set up");
	if (now_s != 0)
		X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	*ret_check = tls_dane_check(store, n_usable);
	return ok();
}

struct status tls_dane_verify(const struct tls_library *library, const struct tls_dane *dane,
                              struct slice chain_pem, int64_t now_s, struct tls_check *ret_check,
                              struct tls_tlsa_finding *findings)
{
	OSSL_LIB_CTX *libctx = tls_library_libctx(library);
	CLEANUP(SSL_CTX_freep) SSL_CTX *context = SSL_CTX_new_ex(libctx, NULL, TLS_client_method());
	CLEANUP(SSL_freep)
	SSL *ssl = context && tls_dane_prepare(context) ? SSL_new(context) : NULL;
	STACK_OF(X509) *chain = read_chain(chain_pem);
	struct status status = fail(ERR_INVALID, "no certificate in PEM form found");
	if (!ssl || !chain)
		status = tls_openssl_fail(ERR_IO, "OpenSSL cannot be set up");
	else if (sk_X509_num(chain) > 0)
		status = verify(ssl, dane, libctx, chain, now_s, ret_check);
	if (is_ok(status))
		tls_dane_explain(ssl, dane, ret_check, chain, findings);
	sk_X509_pop_free(chain, X509_free);
	return status;
}
