/* What signing and sealing share. */
#pragma once

#include "mailauth/dkim_crypto.h"
#include "mailauth/dkim_sign.h"

/* A list of names under way. */
struct dkim_names {
	struct slice v[DKIM_SIGNED_NAMES_MAX];
	size_t n;
	bool failed; /* there were more */
};

/* `name` once for each field of the header that has it, and `extra` times more. */
void dkim_names_add(struct dkim_names *names, const struct dkim_header *header, struct slice name,
                    size_t extra);
/* The usual fields, oversigned. */
void dkim_names_add_usual(struct dkim_names *names, const struct dkim_header *header);

/* Domain and selector of the options, for a signature that is otherwise made by the caller.
 * INVALID when they are none. */
struct status dkim_sign_names(struct slice domain, struct slice selector, struct arena *arena,
                              struct dkim_signature *s);

/* Signs a hash and appends the finished field with its CRLF. */
struct status dkim_sign_digest(const struct dkim_signer_key *key,
                               const uint8_t digest[DKIM_HASH_SIZE], bool utf8, struct arena *arena,
                               struct dkim_signature *s, struct buf *out);
/* The same for a signature over fields of the header and the body. */
struct status dkim_sign_message(const struct dkim_header *header, const struct dkim_body *body,
                                const struct dkim_signer_key *key, bool utf8, struct arena *arena,
                                struct dkim_signature *s, struct buf *out);
