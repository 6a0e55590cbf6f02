/* IP addresses as values: parse, print (RFC 5952), networks.
 *
 * Parsing accepts what inet_pton accepts: four decimal parts without leading zeros for v4, RFC 4291
 * section 2.2 for v6. A scope is a decimal interface number: names would need a look into the
 * system.
 */
#include "os/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static unsigned family_bits(enum os_family family)
{
	return family == OS_FAMILY_V4 ? 32 : 128;
}

static struct os_address from_v6_bytes(const uint8_t ip[16], uint16_t port, uint32_t scope_id)
{
	struct os_address a = {.family = OS_FAMILY_V6, .port = port, .scope_id = scope_id};
	if (memcmp(ip, v4_mapped, sizeof(v4_mapped)) == 0) {
		a.family = OS_FAMILY_V4;
		a.scope_id = 0;
		memcpy(a.ip, ip + 12, 4);
	} else {
		memcpy(a.ip, ip, 16);
	}
	return a;
}

struct status os_address_parse(struct slice text, uint16_t port, struct os_address *ret_address)
{
	char ip_text[INET6_ADDRSTRLEN];
	uint8_t ip[16];
	struct slice host, scope;
	uint32_t scope_id = 0;
	bool scoped = slice_cut(text, '%', &host, &scope);
	if (host.n >= sizeof(ip_text) || slice_has_control(host))
		return fail(ERR_SYNTAX, "not an IP address");
	memcpy(ip_text, host.p, host.n);
	ip_text[host.n] = '\0';
	if (!scoped && inet_pton(AF_INET, ip_text, ip) == 1) {
		*ret_address = (struct os_address){.family = OS_FAMILY_V4, .port = port};
		memcpy(ret_address->ip, ip, 4);
		return ok();
	}
	if (inet_pton(AF_INET6, ip_text, ip) != 1)
		return fail(ERR_SYNTAX, "not an IP address");
	if (scoped && (!slice_to_u32(scope, UINT32_MAX, &scope_id) || scope_id == 0))
		return fail(ERR_SYNTAX, "the scope of an IP address is not a number");
	*ret_address = from_v6_bytes(ip, port, scope_id);
	return ok();
}

struct status os_address_parse_port(struct slice text, struct os_address *ret_address)
{
	size_t colon = slice_rindex(text, ':');
	uint32_t port;
	struct os_address parsed;
	if (colon == SIZE_MAX || !slice_to_u32(slice_from(text, colon + 1), UINT16_MAX, &port))
		return fail(ERR_SYNTAX, "address without a port");
	struct slice host = slice_sub(text, 0, colon);
	bool bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (bracketed)
		host = slice_sub(host, 1, host.n - 2);
	TRY(os_address_parse(host, (uint16_t)port, &parsed));
	bool is_v6_text = slice_index(host, ':') != SIZE_MAX;
	if (is_v6_text != bracketed)
		return fail(ERR_SYNTAX, "IPv6 addresses, and only they, stand in brackets");
	*ret_address = parsed;
	return ok();
}

void os_address_print(const struct os_address *address, char text[OS_ADDRESS_TEXT_MAX])
{
	int af = address->family == OS_FAMILY_V4 ? AF_INET : AF_INET6;
	if (address->family == OS_FAMILY_NONE ||
	    !inet_ntop(af, address->ip, text, OS_ADDRESS_TEXT_MAX)) {
		snprintf(text, OS_ADDRESS_TEXT_MAX, "-");
		return;
	}
	if (address->scope_id != 0) {
		size_t n = strlen(text);
		snprintf(text + n, OS_ADDRESS_TEXT_MAX - n, "%%%" PRIu32, address->scope_id);
	}
}

void os_address_print_port(const struct os_address *address, char text[OS_ADDRESS_TEXT_MAX])
{
	char ip[OS_ADDRESS_TEXT_MAX];
	os_address_print(address, ip);
	if (address->family == OS_FAMILY_NONE)
		snprintf(text, OS_ADDRESS_TEXT_MAX, "-");
	else if (address->family == OS_FAMILY_V4)
		snprintf(text, OS_ADDRESS_TEXT_MAX, "%.15s:%u", ip, address->port);
	else
		snprintf(text, OS_ADDRESS_TEXT_MAX, "[%.54s]:%u", ip, address->port);
}

bool os_address_eq_ip(const struct os_address *a, const struct os_address *b)
{
	return a->family == b->family && a->scope_id == b->scope_id &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool os_address_eq(const struct os_address *a, const struct os_address *b)
{
	return a->port == b->port && os_address_eq_ip(a, b);
}

bool os_address_is_loopback(const struct os_address *address)
{
	static const uint8_t v6_loopback[16] = {[15] = 1};
	if (address->family == OS_FAMILY_V4)
		return address->ip[0] == 127;
	return address->family == OS_FAMILY_V6 && memcmp(address->ip, v6_loopback, 16) == 0;
}

struct os_address os_address_network(const struct os_address *address, unsigned bits)
{
	struct os_address net = {.family = address->family};
	bits = MIN(bits, family_bits(address->family));
	for (unsigned i = 0; i < sizeof(net.ip) && bits > 0; i++) {
		unsigned here = MIN(bits, 8U);
		net.ip[i] = address->ip[i] & (uint8_t)(0xff00U >> here);
		bits -= here;
	}
	return net;
}

struct status os_network_parse(struct slice text, struct os_address *ret_network,
                               unsigned *ret_bits)
{
	struct slice ip, length;
	struct os_address address;
	uint32_t bits;
	bool has_length = slice_cut(text, '/', &ip, &length);
	TRY(os_address_parse(ip, 0, &address));
	if (address.scope_id != 0)
		return fail(ERR_SYNTAX, "a network has no scope");
	bits = family_bits(address.family);
	if (has_length && !slice_to_u32(length, bits, &bits))
		return fail(ERR_SYNTAX, "prefix length is not a number in range");
	struct os_address net = os_address_network(&address, bits);
	if (!os_address_eq_ip(&net, &address))
		return fail(ERR_INVALID, "address has bits set beyond its prefix length");
	*ret_network = net;
	*ret_bits = bits;
	return ok();
}

bool os_network_contains(const struct os_address *network, unsigned bits,
                         const struct os_address *address)
{
	struct os_address net = os_address_network(address, bits);
	struct os_address masked = os_address_network(network, bits);
	return network->family != OS_FAMILY_NONE && os_address_eq_ip(&net, &masked);
}

socklen_t os_address_to_sockaddr(const struct os_address *address, struct sockaddr_storage *ret_sa)
{
	*ret_sa = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	if (address->family == OS_FAMILY_V4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
		memcpy(&in.sin_addr, address->ip, 4);
		memcpy(ret_sa, &in, sizeof(in));
		return sizeof(in);
	}
	if (address->family == OS_FAMILY_V6) {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
		                           .sin6_port = htons(address->port),
		                           .sin6_scope_id = address->scope_id};
		memcpy(&in6.sin6_addr, address->ip, 16);
		memcpy(ret_sa, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

struct os_address os_address_from_sockaddr(const struct sockaddr *sa, socklen_t size)
{
	struct os_address a = {.family = OS_FAMILY_NONE};
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	if (size >= (socklen_t)sizeof(in) && sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		a.family = OS_FAMILY_V4;
		a.port = ntohs(in.sin_port);
		memcpy(a.ip, &in.sin_addr, 4);
	} else if (size >= (socklen_t)sizeof(in6) && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		a = from_v6_bytes(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port), in6.sin6_scope_id);
	}
	return a;
}
