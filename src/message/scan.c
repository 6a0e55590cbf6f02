/* Counting over blocks of a fixed size with byte-wide sums, so that compilers vectorise it. */
#include "message/scan.h"

#define LANE 128 /* bytes per step: sums of single bits stay below 256 */

/* Looks at before[1] to before[LANE]; before[0] is the byte before them. */
static void scan_lane(const uint8_t *before, struct message_scan *scan)
{
	uint8_t n_lf = 0, n_crlf = 0, n_cr = 0, nul = 0;
	for (size_t i = 0; i < LANE; i++) {
		uint8_t c = before[i + 1], lf = c == '\n', cr = before[i] == '\r';
		n_lf = (uint8_t)(n_lf + lf);
		n_cr = (uint8_t)(n_cr + cr);
		n_crlf = (uint8_t)(n_crlf + (lf & cr));
		nul |= c == 0;
	}
	scan->n_lf += n_lf;
	scan->n_crlf += n_crlf;
	scan->n_cr_not_lf += (uint8_t)(n_cr - n_crlf);
	scan->has_nul |= nul;
}

static void scan_byte(uint8_t c, uint8_t before, struct message_scan *scan)
{
	scan->n_lf += c == '\n';
	scan->n_crlf += before == '\r' && c == '\n';
	scan->n_cr_not_lf += before == '\r' && c != '\n';
	scan->has_nul |= c == 0;
}

struct message_scan message_scan(struct slice s, uint8_t before)
{
	struct message_scan scan = {0};
	scan_byte(s.p[0], before, &scan);
	size_t i = 1;
	for (; i + LANE <= s.n; i += LANE)
		scan_lane(s.p + i - 1, &scan);
	for (; i < s.n; i++)
		scan_byte(s.p[i], s.p[i - 1], &scan);
	return scan;
}

size_t message_scan_find_dash_line(struct slice s)
{
	const uint8_t *p = s.p, *end = s.p + s.n;
	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		p++;
		if (p == end || *p == '-')
			return (size_t)(p - s.p);
	}
	return s.n;
}
