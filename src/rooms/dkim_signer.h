/* DKIM-Signature fields for a message that leaves, as the config of a domain of ours wants them,
 * made with the vault's keys. For the rooms that write messages: account (what its user sends),
 * queue (reports). */
#pragma once

#include "base/buf.h"
#include "rooms/runtime.h"

#define DKIM_SIGNER_HEADER_MAX ((size_t)1024 * 1024)
#define DKIM_SIGNER_FIELDS_MAX ((size_t)24 * 1024) /* bytes of all fields of a message */

struct dkim_signer_message {
	struct slice prefix; /* what goes before the file's bytes */
	int fd;              /* the rest of the header with its blank line, and the body */
	uint64_t size;
	size_t n_header; /* of these bytes, up to DKIM_SIGNER_HEADER_MAX */
	int64_t now_s;
	bool utf8; /* SMTPUTF8 */
	uint64_t cid;
};

/* The domain whose keys sign a message with this author: that of the address, or the nearest one
 * above it that is ours and has keys to sign with; account: only one that it sends from, NULL for
 * what the server writes itself. NULL: nothing is signed. */
const struct config_domain *dkim_signer_domain(const struct config *config,
                                               const struct config_account *account,
                                               struct slice author_domain);

/* Appends a field for each key that is to sign. A key that the vault does not have is told in the
 * log and left out. INVALID and LIMIT: the message cannot be signed; others: not now. Blocks for
 * the vault. */
struct status dkim_signer_sign(struct room *room, const struct config_domain *domain,
                               const struct dkim_signer_message *message, struct buf *out);

/* Touches what hashing needs of libcrypto, so that rooms that are forked later share it. */
void dkim_signer_warm_up(void);
