/* Tickets come from gates, which strangers may have taken over: nothing but a ticket that was made
 * with the key is believed, at any length and with any byte changed.
 *
 * Input: taken as a ticket; and its bytes as the claims of one, which is made, verified, damaged.
 */
#include "vault/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[TICKET_KEY_SIZE] = "a key that nobody else can know";

static void round_trip(const uint8_t *data, size_t size)
{
	struct ticket_claims claims = {.protocol = TICKET_WEB, .cid = size, .expires_s = 100}, seen;
	struct buf ticket;
	size_t n = MIN(size, TICKET_ACCOUNT_MAX);
	memcpy(claims.account, data, n);
	buf_init(&ticket, TICKET_MAX);
	if (is_ok(ticket_make(key, &claims, &ticket))) {
		if (!is_ok(ticket_verify(key, buf_slice(&ticket), TICKET_WEB, size, 99, &seen)) ||
		    !slice_eq_str(slice_str(claims.account), seen.account))
			BUG("a good ticket is refused");
		ticket.p[size % ticket.n] ^= 0x10;
		if (is_ok(ticket_verify(key, buf_slice(&ticket), TICKET_WEB, size, 99, &seen)))
			BUG("a damaged ticket is believed");
	}
	buf_done(&ticket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ticket_claims seen;
	if (is_ok(ticket_verify(key, slice_of(data, size), TICKET_IMAP, 0, 0, &seen)))
		BUG("somebody else's ticket is believed");
	round_trip(data, size);
	return 0;
}
