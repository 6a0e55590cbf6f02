/* What verifying DKIM and ARC share: a message's header, the hash of its body, its keys, and the
 * steps on one signature. */
#pragma once

#include "mailauth/dkim_body.h"
#include "mailauth/dkim_crypto.h"
#include "mailauth/dkim_verify.h"

/* One key record. */
struct dkim_key_record {
	struct dkim_key key;
	struct dkim_public_key *public_key; /* NULL: not one to verify with */
};

/* What the DNS has at one name. Written by the thread that fetches it, and read after that. */
struct dkim_key_slot {
	const char *text; /* the name */
	struct dns_name name;
	bool fetched;
	enum mailauth_result result; /* PASS: there are records; else why there is none */
	const char *why;
	struct dkim_key_record records[DKIM_KEY_RECORDS_MAX];
	size_t n_records;
	struct mailauth_evidence evidence;
};

#define DKIM_NO_KEY SIZE_MAX

/* A signature on its way to a result. */
struct dkim_check {
	struct dkim_signature signature;
	const struct dkim_field *field; /* that holds it */
	size_t key;                     /* in the verifier's keys, or DKIM_NO_KEY */
	/* The outcome; PASS as long as nothing speaks against it. */
	enum mailauth_result result;
	const char *why;
	unsigned key_bits;
	bool testing;
};

struct dkim_verifier {
	struct arena *arena;
	struct dkim_options options;
	struct dkim_header header;
	size_t n_from;
	unsigned wanted;        /* canonicalizations of the body */
	struct dkim_body *body; /* made when the first byte comes or at the end */
	struct dkim_hash *hash; /* for headers; made when it is needed */
	struct dkim_key_slot *keys[DKIM_KEYS_MAX];
	size_t n_keys;
	struct dkim_result *results;
	struct dkim_check *checks; /* of the first n_checks results */
	size_t n_results, n_checks, n_found;
};

/* Reads the field's value into check; what speaks against it as a field is its result. */
void dkim_check_read(struct dkim_verifier *v, enum dkim_kind kind, const struct dkim_field *field,
                     struct dkim_check *check);
/* What speaks against it before any key: age, algorithm, names. */
void dkim_check_judge(const struct dkim_verifier *v, struct dkim_check *check);
/* Its key and the hash of the body will be needed. */
void dkim_check_want(struct dkim_verifier *v, struct dkim_check *check);
/* The rest, once body and keys are there: of a DKIM-Signature or ARC-Message-Signature. */
void dkim_check_message(struct dkim_verifier *v, struct dkim_check *check);
/* Key and arithmetic alone, on a hash that is known: of an ARC-Seal. */
void dkim_check_digest(const struct dkim_verifier *v, struct dkim_check *check,
                       const uint8_t digest[DKIM_HASH_SIZE]);
/* Begins v->hash anew. */
struct dkim_sink *dkim_check_hash(struct dkim_verifier *v);
/* Gives the field that holds the signature to the sink, b= emptied (RFC 6376 section 3.7). */
void dkim_check_add_self(const struct dkim_check *check, struct dkim_sink *sink);
