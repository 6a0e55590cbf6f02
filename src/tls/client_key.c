/* Fingerprint of the client's public key. */
#include "tls/client_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

bool tls_stream_client_key(const struct tls_stream *t, uint8_t ret_sha256[TLS_CLIENT_KEY_SIZE])
{
	unsigned char *der = NULL;
	unsigned n_digest = 0;
	uint8_t digest[EVP_MAX_MD_SIZE];
	X509 *certificate = t->ssl ? SSL_get0_peer_certificate(t->ssl) : NULL;
	int n = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der) : 0;
	if (n <= 0)
		return false;
	bool hashed = EVP_Digest(der, (size_t)n, digest, &n_digest, EVP_sha256(), NULL) == 1 &&
	              n_digest == TLS_CLIENT_KEY_SIZE;
	OPENSSL_free(der);
	if (hashed)
		memcpy(ret_sha256, digest, TLS_CLIENT_KEY_SIZE);
	return hashed;
}
