/* IP addresses as values: no socket is opened here, and no name is resolved. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#include <sys/socket.h>

#define OS_ADDRESS_TEXT_MAX 64 /* "[2001:db8::1%4294967295]:65535" and its NUL fit */

enum os_family {
	OS_FAMILY_NONE, /* not an IP socket, or unknown */
	OS_FAMILY_V4,
	OS_FAMILY_V6,
};

/* An IP address with a port; value type, comparable with os_address_eq. A v4-mapped v6 address is
 * always kept as v4. */
struct os_address {
	enum os_family family;
	uint16_t port;
	uint32_t scope_id; /* v6 link-local only */
	uint8_t ip[16];    /* network order; v4 uses the first four bytes, the rest is zero */
};

/* The IP alone: "192.0.2.1", "2001:db8::1", "fe80::1%2"; brackets are refused. */
struct status os_address_parse(struct slice text, uint16_t port, struct os_address *ret_address);
/* With a port: "192.0.2.1:25", "[2001:db8::1]:25". */
struct status os_address_parse_port(struct slice text, struct os_address *ret_address);
/* The canonical text of RFC 5952; "-" for family NONE. */
void os_address_print(const struct os_address *address, char text[OS_ADDRESS_TEXT_MAX]);
void os_address_print_port(const struct os_address *address, char text[OS_ADDRESS_TEXT_MAX]);
bool os_address_eq(const struct os_address *a, const struct os_address *b); /* port included */
bool os_address_eq_ip(const struct os_address *a, const struct os_address *b);
bool os_address_is_loopback(const struct os_address *address);

/* The network an address lies in: the address masked to `bits` (cut to 32 or 128), port 0. For
 * tables of limits per network. */
struct os_address os_address_network(const struct os_address *address, unsigned bits);
/* "192.0.2.0/24" or a bare address (all bits). INVALID when bits beyond the mask are set. */
struct status os_network_parse(struct slice text, struct os_address *ret_network,
                               unsigned *ret_bits);
bool os_network_contains(const struct os_address *network, unsigned bits,
                         const struct os_address *address);

/* To and from the kernel's form. */
socklen_t os_address_to_sockaddr(const struct os_address *address, struct sockaddr_storage *ret_sa);
struct os_address os_address_from_sockaddr(const struct sockaddr *sa, socklen_t size);
