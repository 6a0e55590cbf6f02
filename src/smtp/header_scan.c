/* The header scanner.
 *
 *   fields = *( field-name *WSP ":" unstructured CRLF ) CRLF     RFC 5322 sections 3.6.8 and 4.5
 *
 * Memory and work are bounded: one name of SMTP_SCAN_NAME_MAX octets, one look at each octet.
 */
#include "smtp/header_scan.h"

void smtp_header_scan_init(struct smtp_header_scan *scan)
{
	*scan = (struct smtp_header_scan){.state = SMTP_SCAN_LINE_START};
}

static void add_name_byte(struct smtp_header_scan *scan, uint8_t c)
{
	if (scan->n_name < sizeof(scan->name))
		scan->name[scan->n_name++] = c;
	else if (c != ' ' && c != '\t')
		scan->n_name = SIZE_MAX;
}

static void end_name(struct smtp_header_scan *scan)
{
	if (scan->n_name == SIZE_MAX)
		return;
	struct slice name = slice_trim(slice_of(scan->name, scan->n_name));
	if (slice_ieq(name, SLICE("received")))
		scan->n_received++;
}

/* The first octet of a line decides what the line is. */
static void start_line(struct smtp_header_scan *scan, uint8_t c)
{
	if (c == '\n') {
		scan->state = SMTP_SCAN_BODY;
	} else if (c == '\r') {
		scan->state = SMTP_SCAN_CR;
	} else if (c == ' ' || c == '\t') {
		scan->state = SMTP_SCAN_REST;
	} else {
		scan->state = SMTP_SCAN_NAME;
		scan->n_fields++;
		scan->n_name = 0;
		add_name_byte(scan, c);
	}
}

static void name_byte(struct smtp_header_scan *scan, uint8_t c)
{
	if (c == '\n') {
		scan->state = SMTP_SCAN_LINE_START;
	} else if (c == ':') {
		end_name(scan);
		scan->state = SMTP_SCAN_REST;
	} else {
		add_name_byte(scan, c);
	}
}

/* Octets taken from s; none when only the state changes, at most once in a row. */
static size_t feed_some(struct smtp_header_scan *scan, struct slice s)
{
	switch (scan->state) {
	case SMTP_SCAN_LINE_START:
		start_line(scan, s.p[0]);
		return 1;
	case SMTP_SCAN_NAME:
		name_byte(scan, s.p[0]);
		return 1;
	case SMTP_SCAN_CR:
		scan->state = s.p[0] == '\n' ? SMTP_SCAN_BODY : SMTP_SCAN_REST;
		return s.p[0] == '\n' ? 1 : 0;
	case SMTP_SCAN_REST: {
		size_t lf = slice_index(s, '\n');
		if (lf == SIZE_MAX)
			return s.n;
		scan->state = SMTP_SCAN_LINE_START;
		return lf + 1;
	}
	case SMTP_SCAN_BODY:
		return s.n;
	}
	BUG("unknown state of the header scan");
}

void smtp_header_scan_feed(struct smtp_header_scan *scan, struct slice content)
{
	struct slice rest = content;
	while (rest.n > 0 && scan->state != SMTP_SCAN_BODY)
		rest = slice_from(rest, feed_some(scan, rest));
	struct slice header = slice_sub(content, 0, content.n - rest.n);
	scan->size += header.n;
	scan->has_8bit |= !slice_is_ascii(header);
}
