/* The courier's policies of MTA-STS (struct mtasts_store): kept durably by the steward room, those
 * of the last minutes here as well, so that a thousand messages to one domain ask once.
 *
 *	struct sts_store *store = sts_store_new(&options);
 *	options.sts_store = sts_store_interface(store);
 *	sts_store_forget(store, domain)        an administrator has had it removed
 *	sts_store_free(store);
 *
 * What the steward does not have is remembered, too; what it could not tell is not. Thread-safe.
 */
#pragma once

#include "base/hash.h"
#include "delivery/mtasts_find.h"

#define STS_STORE_SLOTS    1024u             /* policies in memory */
#define STS_STORE_SIZE_MAX ((size_t)8 << 20) /* bytes of all of them */
#define STS_STORE_KEEP_MS  (5 * 60 * 1000)   /* then the steward is asked again */

struct sts_store_options {
	const struct clock *clock;
	struct hash_key key; /* random */
	/* At the steward's: NOT_FOUND, or another failure when it cannot be asked. They block. */
	struct status (*get)(void *context, const char *domain, struct arena *arena,
	                     struct slice *ret_form);
	struct status (*put)(void *context, const char *domain, struct slice form);
	void *context;
};

struct sts_store;

struct sts_store *sts_store_new(const struct sts_store_options *options);
void sts_store_free(struct sts_store *store); /* NULL is fine */
const struct mtasts_store *sts_store_interface(const struct sts_store *store);
void sts_store_forget(struct sts_store *store, const char *domain);
