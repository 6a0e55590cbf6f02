/* Any text: what parses prints, and what is printed parses to the same. */
#include "os/socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_address(const struct os_address *a, unsigned bits)
{
	char text[OS_ADDRESS_TEXT_MAX];
	struct os_address again;
	os_address_print(a, text);
	ASSERT(is_ok(os_address_parse(slice_str(text), a->port, &again)));
	ASSERT(os_address_eq(a, &again));
	os_address_print_port(a, text);
	ASSERT(is_ok(os_address_parse_port(slice_str(text), &again)));
	ASSERT(os_address_eq(a, &again));
	struct os_address net = os_address_network(a, bits);
	ASSERT(os_network_contains(&net, bits, a));
	struct sockaddr_storage sa;
	socklen_t size = os_address_to_sockaddr(a, &sa);
	again = os_address_from_sockaddr((struct sockaddr *)&sa, size);
	ASSERT(os_address_eq(a, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct os_address a;
	unsigned bits;
	struct slice text = slice_of(p, n);
	if (is_ok(os_address_parse(text, 25, &a)))
		check_address(&a, p[0]);
	if (is_ok(os_address_parse_port(text, &a)))
		check_address(&a, p[0] & 127);
	if (is_ok(os_network_parse(text, &a, &bits)))
		check_address(&a, bits);
	return 0;
}
