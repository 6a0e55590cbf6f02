/* Canonicalization (RFC 6376 section 3.4).
 *
 * Body: two layers. `reduce` (relaxed only) takes blanks out, `give` holds back line ends until
 * something stands behind them. Both pass whole runs on, found with vector compares, so that the
 * hash behind them is what costs: "simple" looks at the end of each piece only.
 *
 * A piece's last CR is kept for the next piece, so no layer ever sees half a line end.
 */
#include "mailauth/dkim_canon.h"

#define BLOCK ((size_t)16)

typedef uint8_t vector __attribute__((vector_size(16)));

const char *dkim_canon_name(enum dkim_canon canon)
{
	return canon == DKIM_SIMPLE ? "simple" : "relaxed";
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* --- finding what must change --- */

static vector load(const uint8_t *p)
{
	vector v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* Index of the first byte that is set, of BLOCK; BLOCK when none is. */
static size_t first_set(vector v)
{
	uint64_t halves[2];
	memcpy(halves, &v, sizeof(v));
	for (size_t i = 0; i < 2; i++)
		if (halves[i] != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			return 8 * i + (size_t)__builtin_ctzll(halves[i]) / 8;
#else
			return 8 * i + (size_t)__builtin_clzll(halves[i]) / 8;
#endif
		}
	return BLOCK;
}

/* A tab, or a space that another blank, a line end or nothing may follow; a CR on demand. A single
 * space within a line is canonical as it is. */
static bool needs_care(const uint8_t *p, const uint8_t *end, bool at_cr)
{
	if (*p == '\t' || (at_cr && *p == '\r'))
		return true;
	return *p == ' ' && (p + 1 == end || p[1] <= ' ');
}

static inline __attribute__((always_inline)) vector care_in(const uint8_t *p, bool at_cr)
{
	vector now = load(p), next = load(p + 1);
	vector hit = (vector)(now == '\t') | ((vector)(now == ' ') & (vector)(next <= ' '));
	return at_cr ? hit | (vector)(now == '\r') : hit;
}

static inline __attribute__((always_inline)) const uint8_t *
find_care(const uint8_t *p, const uint8_t *end, bool at_cr)
{
	if ((size_t)(end - p) > BLOCK) {
		size_t at = first_set(care_in(p, at_cr));
		p += at;
		if (at < BLOCK)
			return p;
	}
	while ((size_t)(end - p) > 4 * BLOCK) {
		vector hits[4];
		for (size_t i = 0; i < 4; i++)
			hits[i] = care_in(p + i * BLOCK, at_cr);
		if (first_set(hits[0] | hits[1] | hits[2] | hits[3]) < BLOCK)
			break;
		p += 4 * BLOCK;
	}
	while ((size_t)(end - p) > BLOCK) {
		size_t at = first_set(care_in(p, at_cr));
		p += at;
		if (at < BLOCK)
			return p;
	}
	while (p < end && !needs_care(p, end, at_cr))
		p++;
	return p;
}

static const uint8_t *skip_blanks(const uint8_t *p, const uint8_t *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/* --- the body --- */

void dkim_body_canon_init(struct dkim_body_canon *c, enum dkim_canon canon, struct dkim_sink *sink)
{
	*c = (struct dkim_body_canon){.canon = canon, .sink = sink};
}

static void add(struct dkim_body_canon *c, struct slice s)
{
	c->size += s.n;
	c->sink->add(c->sink, s);
}

#define CRLF_8  "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
#define CRLF_64 CRLF_8 CRLF_8 CRLF_8 CRLF_8 CRLF_8 CRLF_8 CRLF_8 CRLF_8

static void add_line_ends(struct dkim_body_canon *c)
{
	static const char ends[] = CRLF_64 CRLF_64 CRLF_64 CRLF_64;
	while (c->n_crlf > 0) {
		uint64_t n = MIN(c->n_crlf, (uint64_t)(sizeof(ends) / 2));
		add(c, slice_of(ends, (size_t)(2 * n)));
		c->n_crlf -= n;
	}
}

/* Gives s but for the line ends at its end. */
static void give(struct dkim_body_canon *c, struct slice s)
{
	size_t n = s.n;
	while (n >= 2 && s.p[n - 1] == '\n' && s.p[n - 2] == '\r')
		n -= 2;
	if (n > 0) {
		add_line_ends(c);
		add(c, slice_sub(s, 0, n));
	}
	c->n_crlf += (s.n - n) / 2;
}

static bool starts_line_end(const uint8_t *p, const uint8_t *end)
{
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n';
}

/* Short runs between blanks are gathered before they go on: each call costs more than they do. */
#define GATHER_RUN  ((size_t)64)
#define GATHER_SIZE ((size_t)512)

struct gather {
	struct dkim_body_canon *c;
	size_t n;
	uint8_t bytes[GATHER_SIZE + GATHER_RUN];
};

static void gather_flush(struct gather *g)
{
	if (g->n > 0)
		give(g->c, slice_of(g->bytes, g->n));
	g->n = 0;
}

/* The n bytes at p; up to end may be read. */
static void gather_add(struct gather *g, const uint8_t *p, size_t n, const uint8_t *end)
{
	if (n > GATHER_RUN) {
		gather_flush(g);
		give(g->c, slice_of(p, n));
		return;
	}
	/* A fixed size is copied without a call; what is too much is overwritten. */
	if ((size_t)(end - p) >= GATHER_RUN)
		memcpy(g->bytes + g->n, p, GATHER_RUN);
	else
		memcpy(g->bytes + g->n, p, n);
	g->n += n;
	if (g->n >= GATHER_SIZE)
		gather_flush(g);
}

/* "Reduce all sequences of WSP within a line to a single SP", "Ignore all whitespace at the end of
 * lines" (section 3.4.4). */
static void reduce(struct dkim_body_canon *c, struct slice s)
{
	const uint8_t *p = s.p, *end = s.p + s.n;
	struct gather g;
	bool blank = c->blank;
	g.c = c;
	g.n = 0;
	while (p < end) {
		if (blank) {
			p = skip_blanks(p, end);
			if (p == end)
				break;
			if (!starts_line_end(p, end))
				g.bytes[g.n++] = ' ';
		}
		const uint8_t *care = find_care(p, end, false);
		gather_add(&g, p, (size_t)(care - p), end);
		p = care;
		blank = p < end;
	}
	gather_flush(&g);
	c->blank = blank;
}

/* The CR at the end of the last piece: true when it was half of a line end. */
static bool finish_cr(struct dkim_body_canon *c, int next)
{
	bool line_end = next == '\n';
	if (line_end)
		c->n_crlf++;
	else if (c->blank)
		give(c, SLICE(" "));
	if (!line_end)
		give(c, SLICE("\r"));
	c->blank = c->cr = false;
	return line_end;
}

void dkim_body_canon_feed(struct dkim_body_canon *c, struct slice s)
{
	if (s.n > 0 && c->cr && finish_cr(c, s.p[0]))
		s = slice_from(s, 1);
	if (s.n == 0)
		return;
	bool cr = s.p[s.n - 1] == '\r';
	s.n -= cr;
	if (c->canon == DKIM_SIMPLE)
		give(c, s);
	else
		reduce(c, s);
	c->cr = cr;
}

/* Of all line ends at the end one is left, or is added; a relaxed body with nothing in it stays
 * empty. */
void dkim_body_canon_finish(struct dkim_body_canon *c)
{
	if (c->cr)
		finish_cr(c, -1);
	if (c->canon == DKIM_SIMPLE || c->size > 0)
		add(c, SLICE("\r\n"));
	c->n_crlf = 0;
	c->blank = false;
}

/* --- a header field --- */

void dkim_field_canon_init(struct dkim_field_canon *c, enum dkim_canon canon,
                           struct dkim_sink *sink)
{
	*c = (struct dkim_field_canon){.canon = canon, .sink = sink};
}

/* Takes the name with the colon: lower case, no blanks around it. The number of bytes taken. */
static size_t relax_name(struct dkim_field_canon *c, struct slice s)
{
	uint8_t lower[64];
	size_t n = 0, i = 0;
	for (; i < s.n && c->state == DKIM_FIELD_NAME; i++) {
		if (is_blank(s.p[i]))
			continue;
		if (s.p[i] == ':')
			c->state = DKIM_FIELD_START;
		lower[n++] = ascii_lower(s.p[i]);
		if (n == sizeof(lower)) {
			c->sink->add(c->sink, slice_of(lower, n));
			n = 0;
		}
	}
	if (n > 0)
		c->sink->add(c->sink, slice_of(lower, n));
	return i;
}

static void give_value(struct dkim_field_canon *c, struct slice s)
{
	if (s.n == 0)
		return;
	if (c->blank && c->state == DKIM_FIELD_VALUE)
		c->sink->add(c->sink, SLICE(" "));
	c->blank = false;
	c->state = DKIM_FIELD_VALUE;
	c->sink->add(c->sink, s);
}

/* Unfolds, reduces blanks, drops those at both ends. */
static void relax_value(struct dkim_field_canon *c, struct slice s)
{
	const uint8_t *p = s.p, *end = s.p + s.n;
	while (p < end) {
		if (c->cr && *p != '\n')
			give_value(c, SLICE("\r"));
		p += c->cr && *p == '\n';
		c->cr = false;
		const uint8_t *past = skip_blanks(p, end);
		c->blank |= past > p;
		const uint8_t *care = find_care(past, end, true);
		give_value(c, slice_of(past, (size_t)(care - past)));
		p = care;
		c->cr = p < end && *p == '\r';
		p += c->cr;
	}
}

void dkim_field_canon_feed(struct dkim_field_canon *c, struct slice s)
{
	if (c->canon == DKIM_SIMPLE) {
		c->sink->add(c->sink, s);
		return;
	}
	if (c->state == DKIM_FIELD_NAME)
		s = slice_from(s, relax_name(c, s));
	relax_value(c, s);
}

void dkim_field_canon_finish(struct dkim_field_canon *c, bool end_line)
{
	if (c->cr)
		give_value(c, SLICE("\r"));
	if (end_line)
		c->sink->add(c->sink, SLICE("\r\n"));
}

struct slice dkim_field_content(struct slice raw)
{
	if (slice_ends(raw, SLICE("\r\n")))
		raw.n -= 2;
	return raw;
}

void dkim_canon_field(enum dkim_canon canon, struct slice raw, struct dkim_sink *sink)
{
	struct dkim_field_canon c;
	dkim_field_canon_init(&c, canon, sink);
	dkim_field_canon_feed(&c, dkim_field_content(raw));
	dkim_field_canon_finish(&c, true);
}
