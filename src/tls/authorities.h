/* Certificates of authorities, to verify servers with: kept as text, found when one is needed.
 *
 * A system's bundle has well over a hundred certificates, of which a connection needs one; parsed
 * they take megabytes. So they stay in the file: an index by subject is made at the first
 * verification, and a certificate is read again each time it is asked for. The file is opened
 * beforehand, outside the sandbox; one that is replaced by a new file is seen after a restart.
 *
 * Shared by reference; thread-safe once all sources are added.
 */
#pragma once

#include "base/status.h"

#include <openssl/x509.h>

#define TLS_AUTHORITIES_MAX      ((size_t)4096) /* certificates of one source */
#define TLS_AUTHORITIES_FILE_MAX ((size_t)16 * 1024 * 1024)

struct slice;
struct tls_authorities;

/* Where distributions keep the bundle of a system, in the order to be tried; ends with NULL. */
extern const char *const tls_authorities_bundles[];

/* Asks the parent (a reference is taken; may be NULL) after its own sources. */
struct tls_authorities *tls_authorities_new(struct tls_authorities *parent);
struct tls_authorities *tls_authorities_ref(struct tls_authorities *authorities);
void tls_authorities_unref(struct tls_authorities *authorities); /* accepts NULL */

/* One source each way: the PEM file behind the descriptor, which it takes, or a text, which is
 * copied. Nothing is read yet. */
void tls_authorities_set_file(struct tls_authorities *authorities, int fd);
void tls_authorities_set_text(struct tls_authorities *authorities, struct slice pem);

/* How many certificates there are, the parent's included; reads the index. */
size_t tls_authorities_count(struct tls_authorities *authorities);

/* Adds those of that subject to the stack, which owns them. */
void tls_authorities_find(struct tls_authorities *authorities, OSSL_LIB_CTX *libctx,
                          const X509_NAME *subject, STACK_OF(X509) * to);
