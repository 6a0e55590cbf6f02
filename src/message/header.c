/* Header blocks:
 *
 *   fields = *(name *WSP ":" unstructured CRLF), a blank before the colon being obsolete (RFC 5322
 *   section 4.5.8); CRLF followed by WSP is a fold and belongs to the value (section 2.2.3)
 *
 * A line ends at LF, with or without a CR before it. Lines without a name are given as bad fields.
 * Limits: MESSAGE_HEADERS_MAX fields.
 */
#include "message/header.h"

#include "message/part.h"

struct message_headers message_headers_of(struct slice block)
{
	return (struct message_headers){.block = block};
}

/* Size of the line at the start of s, with its LF. */
static size_t line_size(struct slice s)
{
	size_t at = slice_index(s, '\n');
	return at == SIZE_MAX ? s.n : at + 1;
}

static bool is_blank_line(struct slice s)
{
	return s.n == 0 || s.p[0] == '\n' || slice_starts(s, SLICE("\r\n"));
}

static bool is_folded(struct slice rest)
{
	return rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t');
}

bool message_headers_next(struct message_headers *headers, struct message_field *ret_field)
{
	struct slice rest = slice_from(headers->block, headers->at);
	if (is_blank_line(rest)) {
		headers->ended = true;
		return false;
	}
	if (headers->n_fields >= MESSAGE_HEADERS_MAX)
		return false;
	size_t n = line_size(rest);
	while (is_folded(slice_from(rest, n)))
		n += line_size(slice_from(rest, n));
	*ret_field = message_field_of(slice_sub(rest, 0, n));
	headers->at += n;
	headers->n_fields++;
	return true;
}

size_t message_header_end_feed(struct message_header_end *end, struct slice bytes)
{
	size_t at = 0;
	while (at < bytes.n && !end->found) {
		if (end->state == MESSAGE_IN_LINE) {
			size_t n = slice_index(slice_from(bytes, at), '\n');
			if (n == SIZE_MAX)
				return bytes.n;
			at += n + 1;
			end->state = MESSAGE_AT_LINE;
		} else if (bytes.p[at] == '\n') {
			end->found = true;
			at++;
		} else if (bytes.p[at] == '\r' && end->state == MESSAGE_AT_LINE) {
			end->state = MESSAGE_AT_CR;
			at++;
		} else {
			end->state = MESSAGE_IN_LINE;
		}
	}
	return at;
}

bool message_headers_find(struct slice block, const char *name, struct message_field *ret_field)
{
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	while (message_headers_next(&headers, &field)) {
		if (slice_ieq_str(field.name, name)) {
			*ret_field = field;
			return true;
		}
	}
	return false;
}

/* ftext = %d33-57 / %d59-126, and what RFC 6532 does not add: names stay ASCII. */
static bool is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
			return false;
	return name.n > 0;
}

struct message_field message_field_of(struct slice raw)
{
	struct slice name, value, line = raw;
	if (slice_ends(line, SLICE("\n")))
		line.n--;
	if (slice_ends(line, SLICE("\r")))
		line.n--;
	bool colon = slice_cut(line, ':', &name, &value);
	while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
		name.n--;
	if (!colon || !is_field_name(name))
		return (struct message_field){
		        .raw = raw, .name = SLICE(""), .value = line, .bad = true};
	return (struct message_field){.raw = raw, .name = name, .value = value};
}

static bool is_line_end(uint8_t c)
{
	return c == '\r' || c == '\n';
}

struct slice message_unfold(struct slice value, struct arena *arena)
{
	value = slice_trim(value);
	if (slice_index(value, '\n') == SIZE_MAX && slice_index(value, '\r') == SIZE_MAX)
		return value;
	uint8_t *out = arena_alloc(arena, value.n);
	if (!out)
		return slice_empty();
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];
		if (!is_line_end(c)) {
			out[n++] = c;
			continue;
		}
		/* Trimmed: a line end is never the last byte. */
		uint8_t next = value.p[i + 1];
		if (!is_line_end(next) && next != ' ' && next != '\t')
			out[n++] = ' ';
	}
	return slice_of(out, n);
}
