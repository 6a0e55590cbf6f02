/* Special-use attributes (RFC 6154). */
#pragma once

#include "store/store.h"

/* "\Sent" ...; NULL for uses that have no attribute. */
const char *imap_special_use_name(enum store_special_use use);
/* STORE_USE_NONE for an attribute that no mailbox can be given. */
enum store_special_use imap_special_use_find(struct slice attribute);
