/* Addresses of RFC 5322 section 3.4, with the obsolete and broken forms seen in the wild.
 *
 * There is exactly one address parser in mailkeep: IMAP envelopes, DMARC and every listing use it.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

enum message_address_kind {
	MESSAGE_ADDRESS_MAILBOX,
	MESSAGE_ADDRESS_GROUP_START, /* localpart holds the group's name */
	MESSAGE_ADDRESS_GROUP_END,
	MESSAGE_ADDRESS_INVALID, /* text that is no address: whole text in localpart */
};

struct message_address {
	enum message_address_kind kind;
	bool has_name;
	/* Display name, unquoted, encoded words kept as they came, one space between words. Where
	 * there is none: the last comment after "a@b (Name)". */
	struct slice name;
	bool has_route;
	struct slice route;     /* obsolete source route: "@a,@b" */
	struct slice localpart; /* unquoted; empty in "<>" */
	struct slice domain;    /* may be empty: "<root>"; a literal keeps its brackets */
};

struct message_address_list {
	struct message_address *v;
	size_t n;
	size_t capacity; /* the parser's own */
	bool present;    /* the field was there */
	bool truncated;  /* more than MESSAGE_ADDRESSES_MAX, or the arena's budget ended it */
};

/* value: a field's body, unfolded or not. Never fails but for the arena's budget (then a shorter
 * list with truncated set). Nothing points into value. Strings may hold any byte but CR and LF, NUL
 * included. Work is linear in the value.
 *
 * What is broken is understood thus: a missing comma or a ';' outside of a group separates
 * addresses; a missing '>' or ';' is added; an address without '@' is a mailbox without domain when
 * it is one word, else INVALID; "a@b <c@d>" is c@d with the name "a@b"; a group that is never
 * closed is closed at the end, so that starts and ends always pair up. */
void message_addresses_parse(struct slice value, struct arena *arena,
                             struct message_address_list *ret_list);

/* The same for one more field of that name: appends to what the list holds. */
void message_addresses_add(struct slice value, struct arena *arena,
                           struct message_address_list *list);

/* "name <local@domain>" in the form that message_addresses_parse reads back, quoted where needed:
 * for one mailbox. False when a string holds CR, LF or NUL (nothing useful is in out then). */
bool message_address_print(const struct message_address *address, struct buf *out);
