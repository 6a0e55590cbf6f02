#include "report/report_private.h"
#include "text/utf8.h"

#include <arpa/inet.h>

bool report_is_ip(struct slice text)
{
	char address[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	if (text.n >= sizeof(address) || slice_index(text, 0) != SIZE_MAX)
		return false;
	snprintf(address, sizeof(address), "%.*s", SLICE_FMT(text));
	return inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1;
}

struct slice report_clean(uint8_t *p, size_t n, size_t max)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			p[i] = ' ';
	return slice_trim(utf8_cut(slice_trim(slice_of(p, n)), max));
}
