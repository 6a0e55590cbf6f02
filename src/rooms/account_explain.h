/* Why a message was accepted: finds it, and the note that came with it. Private to the account
 * room. */
#pragma once

#include "account.pb-c.h"
#include "rooms/runtime.h"
#include "store/store.h"

#define EXPLAIN_ARENA        ((size_t)4 * 1024 * 1024)
#define EXPLAIN_SEARCHED_MAX 20000u /* newest messages among which a Message-ID is looked for */

/* Fills the reply but for its status; everything in it lives in the arena. NOT_FOUND: no such
 * mailbox, no such message, or nothing is known about it; why says which. Reads up to
 * EXPLAIN_SEARCHED_MAX messages. */
struct status account_explain(struct store *store, const Door__Explain *explain,
                              struct arena *arena, Door__AccountReply *reply);
