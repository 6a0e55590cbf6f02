/* What a stranger's certificate says, for people: nothing in it is believed, all of it is escaped
 * and bounded. */
#pragma once

#include "base/arena.h"
#include "base/status.h"

#include <openssl/x509.h>

#define TLS_FACTS_NAMES_MAX ((size_t)100) /* subject alternative names that are shown */
#define TLS_FACTS_TEXT_MAX  ((size_t)300) /* bytes of each text */

struct tls_certificate_facts {
	const char *subject, *issuer; /* RFC 4514, in one line */
	const char *const *names;     /* DNS names and IP addresses; other kinds are left out */
	size_t n_names;
	bool names_cut; /* there are more */
	/* Unix seconds; INT64_MIN for a date that cannot be read. */
	int64_t not_before_s, not_after_s;
	bool self_issued;
	const char *key;             /* "EC 256 bits", "RSA 2048 bits", "unknown" */
	const char *fingerprint;     /* SHA-256 of it: the data of TLSA x 0 1 */
	const char *key_fingerprint; /* SHA-256 of its public key: of TLSA x 1 1 */
};

/* Texts live in the arena. LIMIT past its budget. */
struct status tls_certificate_facts(X509 *certificate, struct tls_certificate_facts *ret_facts,
                                    struct arena *arena);

/* Bytes as printable ASCII: what is not becomes \xHH, and a backslash is doubled. Cut at
 * TLS_FACTS_TEXT_MAX. NULL past the arena's budget. */
const char *tls_facts_text(struct slice bytes, struct arena *arena);
