/* Any text as the URI of a report's destination: what is used has a host name that the DNS can
 * have, a port and a path without anything that ends a line of HTTP, all within what was given. */
#include "rooms/courier_post.h"

#include "dns/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct courier_uri uri, again;
	struct dns_name name;
	struct arena arena;
	arena_init(&arena, 64 * 1024);
	if (is_ok(courier_uri_parse(slice_of(data, size), &arena, &uri))) {
		struct slice path = slice_str(uri.path);
		ASSERT(uri.port > 0 && uri.path[0] == '/' && path.n <= COURIER_POST_PATH_MAX + 1);
		ASSERT(!slice_has_control(path) && slice_is_ascii(path));
		ASSERT(slice_index(path, ' ') == SIZE_MAX && slice_index(path, '#') == SIZE_MAX);
		ASSERT(is_ok(dns_name_parse(slice_str(uri.host), &arena, &name)));
		ASSERT(dns_name_is_host(name) && strcmp(name.text, uri.host) == 0);
		const char *printed =
		        arena_printf(&arena, "https://%s:%u%s", uri.host, uri.port, uri.path);
		ASSERT(printed && is_ok(courier_uri_parse(slice_str(printed), &arena, &again)));
		ASSERT(strcmp(again.host, uri.host) == 0 && again.port == uri.port);
		ASSERT(strcmp(again.path, uri.path) == 0 || path.n > COURIER_POST_PATH_MAX);
	}
	arena_done(&arena);
	return 0;
}
