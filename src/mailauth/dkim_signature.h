/* The DKIM-Signature field (RFC 6376 section 3.5, RFC 8463, RFC 8616) and its two relatives in ARC,
 * ARC-Message-Signature and ARC-Seal (RFC 8617 sections 4.1.2 and 4.1.3): read strictly, and
 * written.
 *
 * Parsing judges what stands in the field alone: a signature that was parsed may still be expired,
 * of an algorithm that counts no more, or not sign what it must (dkim_verify.h).
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "mailauth/dkim_canon.h"
#include "mailauth/dkim_header.h"

#define DKIM_HASH_SIZE          32u   /* bytes of a SHA-256 value, which all signatures are about */
#define DKIM_SIGNATURE_SIZE_MAX 1024u /* bytes of b=: RSA with 8,192 bits */
#define DKIM_IDENTITY_MAX       500u  /* bytes of i= */
#define DKIM_NAME_MAX           253u  /* bytes of d= and s= */
#define ARC_INSTANCE_MAX        50u   /* RFC 8617 section 4.2.1 */

enum dkim_kind {
	DKIM_KIND_SIGNATURE,   /* DKIM-Signature */
	DKIM_KIND_ARC_MESSAGE, /* ARC-Message-Signature */
	DKIM_KIND_ARC_SEAL,    /* ARC-Seal */
};
#define DKIM_N_KINDS 3u
const char *dkim_kind_field(enum dkim_kind kind); /* "DKIM-Signature" */

/* code, text. rsa-sha1 is read, but nothing is signed or verified with it (RFC 8301 section 3.1).
 */
#define DKIM_ALGORITHM_LIST(X)                                                                     \
	X(RSA_SHA256, "rsa-sha256")                                                                \
	X(ED25519_SHA256, "ed25519-sha256")                                                        \
	X(RSA_SHA1, "rsa-sha1")

enum dkim_algorithm {
#define X(code, text) DKIM_##code,
	DKIM_ALGORITHM_LIST(X)
#undef X
};
const char *dkim_algorithm_name(enum dkim_algorithm algorithm); /* "rsa-sha256" */
bool dkim_algorithm_parse(struct slice text, enum dkim_algorithm *ret_algorithm);

/* cv= of an ARC-Seal (RFC 8617 section 4.4). */
enum arc_cv {
	ARC_CV_NONE,
	ARC_CV_FAIL,
	ARC_CV_PASS,
};
const char *arc_cv_name(enum arc_cv cv); /* "none" */

struct dkim_signature {
	enum dkim_kind kind;
	enum dkim_algorithm algorithm;            /* a= */
	enum dkim_canon header_canon, body_canon; /* c=; of a seal: relaxed */
	const char *domain;                       /* d=: A-labels, lower case */
	const char *selector;                     /* s=: the same */
	struct slice signature;                   /* b=, decoded; empty: not signed yet */
	struct slice body_hash;                   /* bh=, decoded; not in a seal */
	const struct slice *names; /* h=: n_names, at least one; not in a seal; not checked against
	                              any header */
	size_t n_names;
	bool has_identity;
	struct slice identity;       /* i= before the "@", decoded, UTF-8; may be empty */
	const char *identity_domain; /* i= behind it: A-labels, lower case */
	bool has_length;
	uint64_t length; /* l=; UINT64_MAX for all that is larger */
	bool has_time, has_expiry;
	int64_t time_s, expiry_s; /* t=, x=: seconds since 1970; at most 12 digits */
	unsigned instance;        /* i= of ARC: 1 to ARC_INSTANCE_MAX */
	enum arc_cv cv;           /* of a seal */

	/* Of one that was parsed, in the parsed text. */
	struct slice b_raw;  /* all that stands between "b=" and ';': what is not hashed */
	struct slice b_text; /* b= without blanks, for header.b (RFC 6008) */
};

/* value: the field behind its colon, folded as it came; it must outlive the signature. SYNTAX: does
 * not follow the grammar, lacks a tag or contradicts itself. UNSUPPORTED: of an unknown version,
 * algorithm, canonicalization or way to the key. LIMIT: a value is longer than the limits above.
 * The reasons are static sentences about "the signature". */
struct status dkim_signature_parse(enum dkim_kind kind, struct slice value, struct arena *arena,
                                   struct dkim_signature *ret_signature);

/* "Name: tag=value; ...", folded, without a line end at its end; b= stands last. Everything is
 * checked: INVALID for what could not be parsed again, LIMIT when the buffer is full. utf8: the
 * header may have UTF-8 (RFC 8616 section 5); otherwise it is encoded where it occurs (i=). */
struct status dkim_signature_print(const struct dkim_signature *signature, bool utf8,
                                   struct buf *out);

/* A domain (at_least_labels: 2) or selector (1) as people or fields write it, in A-labels and lower
 * case. Underscores are taken (docs/deviations.md). NULL when it is none. */
const char *dkim_name_parse(struct slice text, size_t at_least_labels, struct arena *arena);
/* "local@domain", decoded, as i= means it. False when it is none. */
bool dkim_identity_parse(struct slice text, struct arena *arena, struct dkim_signature *signature);
/* name is ancestor or lies below it; both in lower case. */
bool dkim_name_is_within(const char *name, const char *ancestor);
