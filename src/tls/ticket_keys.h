/* The keys that seal session tickets: only in memory, replaced at a fixed interval, the one before
 * kept to open what it sealed. Thread-safe. For tls/context.c. */
#pragma once

#include "base/clock.h"

#include <openssl/evp.h>

struct tls_ticket_keys;

struct tls_ticket_keys *tls_ticket_keys_new(const struct clock *clock, unsigned period_s);
void tls_ticket_keys_free(struct tls_ticket_keys *keys); /* wipes; accepts NULL */

/* With the results that SSL_CTX_set_tlsext_ticket_key_evp_cb wants: -1 error, 0 unknown key, 1
 * good, 2 good and to be renewed. name has 16 bytes, iv EVP_MAX_IV_LENGTH. */
int tls_ticket_keys_seal(struct tls_ticket_keys *keys, uint8_t *name, uint8_t *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
int tls_ticket_keys_open(struct tls_ticket_keys *keys, const uint8_t *name, const uint8_t *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
