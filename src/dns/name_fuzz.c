/* A domain name in text and on the wire: what is accepted is canonical and goes over the wire and
 * back. */
#include "dns/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct dns_name name, struct arena *arena)
{
	uint8_t wire[DNS_NAME_WIRE_MAX];
	struct dns_name back;
	size_t n;
	ASSERT(strlen(name.text) <= DNS_NAME_TEXT_MAX);
	dns_name_to_wire(name, wire, &n);
	ASSERT(is_ok(dns_name_from_wire(slice_of(wire, n), arena, &back)));
	ASSERT(dns_name_eq(name, back));
	ASSERT(is_ok(dns_name_parse(dns_name_slice(name), arena, &back)));
	ASSERT(dns_name_eq(name, back));
	ASSERT(dns_name_is_within(name, dns_name_parent(name)));
	if (dns_name_is_host(name))
		ASSERT(strchr(name.text, '\\') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct dns_name name;
	arena_init(&arena, 64 * KIB);
	if (is_ok(dns_name_parse(slice_of(data, size), &arena, &name)))
		check_name(name, &arena);
	if (is_ok(dns_name_from_wire(slice_of(data, size), &arena, &name)))
		check_name(name, &arena);
	arena_done(&arena);
	return 0;
}
