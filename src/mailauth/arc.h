/* Authenticated Received Chains (RFC 8617): what other servers said about a message on its way,
 * each sealed by its writer.
 *
 * A chain is verified together with the DKIM signatures, over one pass of the body:
 *
 *	dkim_verifier_new(...)
 *	arc_chain_new(v, &chain)     before keys are fetched and the body is fed
 *	...                          as in dkim_verify.h; the chain's keys are among the verifier's
 *	dkim_verifier_finish(v)
 *	arc_chain_finish(chain, &result)
 *
 * A chain that passes tells who has sealed it. Whether their word counts is for policy: anybody can
 * seal anything.
 */
#pragma once

#include "mailauth/dkim_sign.h"
#include "mailauth/dkim_verify.h"

#define ARC_SETS_MAX ARC_INSTANCE_MAX /* section 5.2 step 1 */
#define ARC_OLDER_MAX                                                                              \
	10u /* message signatures before the newest that are tried for oldest-pass                 \
	     */

/* One set: what one server added. */
struct arc_set {
	unsigned instance;
	/* The ARC-Message-Signature and the ARC-Seal. */
	const struct dkim_signature *message, *seal;
	/* Of the ARC-Authentication-Results what stands behind "i=N;": authserv-id and results,
	 * folded as it came. The word of this sealer, sealed if the chain passes; it may be empty
	 * or hold anything (section 3.4: its syntax does not matter to the chain). */
	struct slice results;
	enum mailauth_result message_result; /* none: was not tried */
	const char *message_why;             /* in words, about the signature; "" */
	enum mailauth_result seal_result;    /* none: was not tried */
	const char *seal_why;
	struct mailauth_evidence message_evidence, seal_evidence; /* lookups of their keys */
};

struct arc_result {
	enum mailauth_result
	        result;  /* none (there is no chain), pass or fail: the cv of the chain */
	const char *why; /* in words, about the chain; "" for pass and none */
	/* It failed because a key could not be looked up. To ARC that is a failure for good
	 * (section 5.2.1); whoever can wait may try again. */
	bool temporary;
	/* In the order of their instances, 1 first. Empty where the fields do not make up whole
	 * sets. */
	const struct arc_set *sets;
	size_t n_sets;
	/* The lowest instance whose message signature still passes, 0 when all do (section 5.2
	 * step 5): header.oldest-pass. Of a chain that passes. Where there are more than
	 * ARC_OLDER_MAX older ones it is the lowest of those that were tried. */
	bool has_oldest_pass;
	unsigned oldest_pass;
};

struct arc_chain;

/* Lives in the verifier's arena and not longer than it. LIMIT when that does not suffice. */
struct status arc_chain_new(struct dkim_verifier *v, struct arc_chain **ret_chain);
/* Once, behind dkim_verifier_finish. The result points into the verifier's arena and those of the
 * lookups. */
void arc_chain_finish(struct arc_chain *chain, struct arc_result *ret_result);

/* --- sealing (section 5.1) --- */

struct arc_seal_options {
	struct slice domain, selector;
	const struct dkim_signer_key *key;
	/* What was found when the message came in: authserv-id and results as in
	 * Authentication-Results, in one line ("mx.example.org; arc=none; spf=pass ..."). It is
	 * folded at its blanks. */
	struct slice results;
	enum arc_cv cv; /* what arc_chain_finish said then */
	/* Of the ARC-Message-Signature, as in struct dkim_sign_options. ARC fields and
	 * Authentication-Results are refused among the names. The usual ones include the
	 * DKIM-Signature fields. */
	enum dkim_canon header_canon, body_canon;
	const struct slice *names;
	size_t n_names;
	bool no_oversign;
	int64_t now_s; /* t= of both; 0: none */
	bool utf8;
};

/* Appends the new set, to be put before the message: seal, message signature, results; and tells
 * its instance. 0, and nothing is appended, when the chain was marked as failed already: nobody
 * adds to such a chain. header: of the message as it goes out, DKIM signatures included. body:
 * finished, with options->body_canon. A chain that is not in order is sealed as failed whatever cv
 * says. INVALID, LIMIT: as for dkim_sign; LIMIT, too, when there are ARC_SETS_MAX sets already. */
struct status arc_seal(struct slice header, const struct dkim_body *body,
                       const struct arc_seal_options *options, struct buf *out,
                       unsigned *ret_instance);
