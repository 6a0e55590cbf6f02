/* Addresses of RFC 5322 section 3.4, with the obsolete and broken forms seen in the wild.
 *
 * There is exactly one address parser in mailkeep: IMAP envelopes, DMARC and every listing use it.
 */
#pragma once

#include "base/arena.h"
#include "base/status.h"

enum message_address_kind {
	MESSAGE_ADDRESS_MAILBOX,
	MESSAGE_ADDRESS_GROUP_START, /* localpart holds the group's name */
	MESSAGE_ADDRESS_GROUP_END,
	MESSAGE_ADDRESS_INVALID,     /* text that is no address: whole text in localpart */
};

struct message_address {
	enum message_address_kind kind;
	bool has_name;
	struct slice name;      /* display name, unquoted, encoded words kept as they came */
	bool has_route;
	struct slice route;     /* obsolete source route: "@a,@b" */
	struct slice localpart; /* unquoted */
	struct slice domain;    /* may be empty: "<root>" */
};

struct message_address_list {
	struct message_address *v;
	size_t n;
	bool present;   /* the field was there */
	bool truncated; /* more than MESSAGE_ADDRESSES_MAX */
};

/* value: a field's body, unfolded or not. Never fails but for the arena's budget (then a shorter list
 * with truncated set). */
void message_addresses_parse(struct slice value, struct arena *arena, struct message_address_list *ret_list);
