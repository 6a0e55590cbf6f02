/* The key that a client proved to have by its certificate in the handshake. */
#pragma once

#include "tls/stream.h"

#define TLS_CLIENT_KEY_SIZE ((size_t)32)

/* SHA-256 of the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) of the client's certificate. False
 * when it sent none. The certificate's names, dates and issuer say nothing here: nobody has checked
 * them. */
bool tls_stream_client_key(const struct tls_stream *t, uint8_t ret_sha256[TLS_CLIENT_KEY_SIZE]);
