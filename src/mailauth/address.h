/* IP addresses as the checks get them: 4 or 16 bytes in network order. */
#pragma once

#include "base/slice.h"

#define MAILAUTH_V4_SIZE 4u
#define MAILAUTH_V6_SIZE 16u

/* An IPv4 address that is mapped into IPv6 (::ffff:192.0.2.1, RFC 4291 section 2.5.5.2) as its 4
 * bytes, everything else as it is. Points into address. */
static inline struct slice mailauth_address_unmap(struct slice address)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	bool is_mapped =
	        address.n == MAILAUTH_V6_SIZE && memcmp(address.p, mapped, sizeof(mapped)) == 0;
	return is_mapped ? slice_from(address, sizeof(mapped)) : address;
}
