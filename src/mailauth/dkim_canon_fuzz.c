/* Any bytes in any pieces: the machines give what the RFC's steps, done one after the other on the
 * whole, give. The first byte chooses the size of the pieces. */
#include "base/buf.h"
#include "mailauth/dkim_canon.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct collector {
	struct dkim_sink sink;
	struct buf out;
};

static void collect(struct dkim_sink *sink, struct slice piece)
{
	buf_add(&((struct collector *)sink)->out, piece);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_line_end(struct slice s, size_t at)
{
	return slice_starts(slice_from(s, at), SLICE("\r\n"));
}

/* Section 3.4.4 (a): blanks at the end of lines go, others become one space. one_line: only the end
 * of it all is the end of a line. */
static void reduce(struct slice in, bool one_line, struct buf *out)
{
	for (size_t i = 0; i < in.n;) {
		if (!is_blank(in.p[i])) {
			buf_add_byte(out, in.p[i++]);
			continue;
		}
		while (i < in.n && is_blank(in.p[i]))
			i++;
		if (i < in.n && (one_line || !is_line_end(in, i)))
			buf_add_byte(out, ' ');
	}
}

/* Sections 3.4.3 and 3.4.4 (b): "*CRLF" at the end becomes one. */
static void end_body(enum dkim_canon canon, struct buf *out)
{
	while (slice_ends(buf_slice(out), SLICE("\r\n")))
		out->n -= 2;
	if (canon == DKIM_SIMPLE || out->n > 0)
		buf_add_str(out, "\r\n");
}

static void check_body(enum dkim_canon canon, struct slice in, size_t step)
{
	struct collector c = {.sink.add = collect};
	struct dkim_body_canon b;
	struct buf expected;
	buf_init(&c.out, 4 * MIB);
	buf_init(&expected, 4 * MIB);
	if (canon == DKIM_SIMPLE)
		buf_add(&expected, in);
	else
		reduce(in, false, &expected);
	end_body(canon, &expected);
	dkim_body_canon_init(&b, canon, &c.sink);
	for (size_t at = 0; at < in.n; at += step)
		dkim_body_canon_feed(&b, slice_sub(in, at, step));
	dkim_body_canon_finish(&b);
	ASSERT(b.size == c.out.n && slice_eq(buf_slice(&c.out), buf_slice(&expected)));
	buf_done(&c.out);
	buf_done(&expected);
}

/* Section 3.4.2, for a field that has a colon. */
static void relax_field(struct slice field, struct buf *out)
{
	struct slice name, value;
	struct buf unfolded;
	slice_cut(field, ':', &name, &value);
	for (size_t i = 0; i < name.n; i++)
		if (!is_blank(name.p[i]))
			buf_add_byte(out, ascii_lower(name.p[i]));
	buf_add_byte(out, ':');
	buf_init(&unfolded, 4 * MIB);
	for (size_t i = 0; i < value.n; i++) {
		if (is_line_end(value, i))
			i++;
		else
			buf_add_byte(&unfolded, value.p[i]);
	}
	struct slice rest = buf_slice(&unfolded);
	while (rest.n > 0 && is_blank(rest.p[0]))
		rest = slice_from(rest, 1);
	reduce(rest, true, out);
	buf_add_str(out, "\r\n");
	buf_done(&unfolded);
}

static void check_field(enum dkim_canon canon, struct slice in, size_t step)
{
	struct collector c = {.sink.add = collect};
	struct dkim_field_canon f;
	struct buf expected;
	if (slice_index(in, ':') == SIZE_MAX)
		return;
	buf_init(&c.out, 4 * MIB);
	buf_init(&expected, 4 * MIB);
	if (canon == DKIM_SIMPLE) {
		buf_add(&expected, in);
		buf_add_str(&expected, "\r\n");
	} else {
		relax_field(in, &expected);
	}
	dkim_field_canon_init(&f, canon, &c.sink);
	for (size_t at = 0; at < in.n; at += step)
		dkim_field_canon_feed(&f, slice_sub(in, at, step));
	dkim_field_canon_finish(&f, true);
	ASSERT(slice_eq(buf_slice(&c.out), buf_slice(&expected)));
	buf_done(&c.out);
	buf_done(&expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	struct slice in = slice_of(p + 1, n - 1);
	size_t step = p[0] < 200 ? p[0] % 40 + (size_t)1 : n;
	for (size_t canon = 0; canon < DKIM_N_CANONS; canon++) {
		check_body((enum dkim_canon)canon, in, step);
		check_field((enum dkim_canon)canon, in, step);
	}
	return 0;
}
