/* The vault's proof that somebody logged in: made by the vault, checked by the account room.
 *
 * A gate cannot make one, so it cannot open a mailbox whose password it was not given, and an
 * account room needs nothing from the vault but a key that it was started with. Links libcrypto
 * only. All functions may be called by any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"

#define TICKET_KEY_SIZE    ((size_t)32)  /* random bytes, made at the house's start */
#define TICKET_ACCOUNT_MAX ((size_t)64)  /* bytes of an account's name */
#define TICKET_MAX         ((size_t)128) /* bytes of a whole ticket */

/* What the login was for; a ticket for one is worth nothing for another. The numbers are part of
 * the ticket. */
enum ticket_protocol {
	TICKET_IMAP = 1,
	TICKET_SUBMISSION = 2,
	TICKET_WEB = 3,
};

/* What the vault saw, or was told, of who logs in. */
enum ticket_proof {
	TICKET_BY_CREDENTIALS, /* a password or a registered key */
	TICKET_BY_UNIX_USER,   /* the login gate's word on who has the local socket's other end */
};

/* May such a proof give a ticket for this protocol (a number from a request)? A Unix user may send
 * and nothing else: who could only send must not read mail when a gate is taken over. */
bool ticket_may_be_made(uint32_t protocol, enum ticket_proof proof);

struct ticket_claims {
	char account[TICKET_ACCOUNT_MAX + 1];
	enum ticket_protocol protocol;
	uint64_t cid;      /* the connection that logged in */
	int64_t expires_s; /* unix seconds; from then on it is void */
};

/* Appends the ticket. LIMIT when the account's name is empty or too long. */
struct status ticket_make(const uint8_t key[TICKET_KEY_SIZE], const struct ticket_claims *claims,
                          struct buf *out);

/* AUTH, for one and the same reason text, unless the ticket was made with this key, is for this
 * protocol and connection, and has not expired. */
struct status ticket_verify(const uint8_t key[TICKET_KEY_SIZE], struct slice ticket,
                            enum ticket_protocol protocol, uint64_t cid, int64_t now_s,
                            struct ticket_claims *ret_claims);
