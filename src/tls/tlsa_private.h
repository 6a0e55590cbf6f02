/* Associations of certificates that are parsed already, for dane.c. */
#pragma once

#include "tls/tlsa.h"

#include <openssl/x509.h>

/* As tls_tlsa_association; the numbers are known ones. */
struct slice tls_tlsa_association_of(X509 *certificate, uint8_t selector, uint8_t matching,
                                     struct arena *arena);
