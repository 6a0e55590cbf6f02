/* Format, big endian:
 *
 *	version (1 byte, 1), protocol (1), size of the name (1), name, cid (8), expiry (8),
 *	HMAC-SHA256 over all of that (32)
 */
#include "vault/ticket.h"

#include <openssl/evp.h>

#define VERSION    1
#define MAC_SIZE   ((size_t)32)
#define FIXED_SIZE ((size_t)3 + 8 + 8 + MAC_SIZE)

_Static_assert(FIXED_SIZE + TICKET_ACCOUNT_MAX <= TICKET_MAX, "a ticket fits its limit");

static bool compute_mac(const uint8_t *key, struct slice text, uint8_t mac[MAC_SIZE])
{
	size_t n = 0;
	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, TICKET_KEY_SIZE, text.p, text.n,
	                 mac, MAC_SIZE, &n) != NULL &&
	       n == MAC_SIZE;
}

static void add_u64(struct buf *out, uint64_t value)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_add_byte(out, (uint8_t)(value >> shift));
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t value = 0;
	for (size_t i = 0; i < 8; i++)
		value = value << 8 | p[i];
	return value;
}

bool ticket_may_be_made(uint32_t protocol, enum ticket_proof proof)
{
	switch (proof) {
	case TICKET_BY_CREDENTIALS:
		return protocol == TICKET_IMAP || protocol == TICKET_SUBMISSION;
	case TICKET_BY_UNIX_USER:
		return protocol == TICKET_SUBMISSION;
	}
	return false;
}

struct status ticket_make(const uint8_t key[TICKET_KEY_SIZE], const struct ticket_claims *claims,
                          struct buf *out)
{
	struct slice name =
	        slice_of(claims->account, strnlen(claims->account, sizeof(claims->account)));
	if (name.n == 0 || name.n > TICKET_ACCOUNT_MAX)
		return fail(ERR_LIMIT, "account name does not fit a ticket");
	struct buf ticket;
	uint8_t mac[MAC_SIZE];
	buf_init(&ticket, TICKET_MAX);
	buf_add_byte(&ticket, VERSION);
	buf_add_byte(&ticket, (uint8_t)claims->protocol);
	buf_add_byte(&ticket, (uint8_t)name.n);
	buf_add(&ticket, name);
	add_u64(&ticket, claims->cid);
	add_u64(&ticket, (uint64_t)claims->expires_s);
	bool made = compute_mac(key, buf_slice(&ticket), mac);
	buf_add(&ticket, slice_of(mac, sizeof(mac)));
	if (made)
		buf_add(out, buf_slice(&ticket));
	buf_done(&ticket);
	if (!made)
		return fail(ERR_IO, "libcrypto cannot compute a ticket");
	return buf_failed(out) ? fail(ERR_LIMIT, "ticket does not fit") : ok();
}

static bool has_good_mac(const uint8_t *key, struct slice ticket)
{
	uint8_t mac[MAC_SIZE];
	if (ticket.n < FIXED_SIZE || ticket.n > TICKET_MAX)
		return false;
	struct slice text = slice_sub(ticket, 0, ticket.n - MAC_SIZE);
	return compute_mac(key, text, mac) &&
	       slice_eq_secret(slice_of(mac, sizeof(mac)), slice_from(ticket, text.n));
}

/* Only for tickets with a good MAC; what we made is well-formed, but that is not relied upon. */
static bool parse(struct slice ticket, struct ticket_claims *claims)
{
	size_t n_name = ticket.p[2];
	if (ticket.p[0] != VERSION || n_name == 0 || n_name > TICKET_ACCOUNT_MAX ||
	    ticket.n != FIXED_SIZE + n_name)
		return false;
	*claims = (struct ticket_claims){.protocol = (enum ticket_protocol)ticket.p[1]};
	memcpy(claims->account, ticket.p + 3, n_name);
	claims->cid = get_u64(ticket.p + 3 + n_name);
	claims->expires_s = (int64_t)get_u64(ticket.p + 3 + n_name + 8);
	return true;
}

struct status ticket_verify(const uint8_t key[TICKET_KEY_SIZE], struct slice ticket,
                            enum ticket_protocol protocol, uint64_t cid, int64_t now_s,
                            struct ticket_claims *ret_claims)
{
	struct ticket_claims claims;
	if (!has_good_mac(key, ticket) || !parse(ticket, &claims) || claims.protocol != protocol ||
	    claims.cid != cid || claims.expires_s <= now_s)
		return fail(ERR_AUTH, "ticket is not valid");
	*ret_claims = claims;
	return ok();
}
