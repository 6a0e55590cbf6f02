/* The structure of a message in one pass (RFC 5322 section 2, RFC 2045, RFC 2046 section 5).
 *
 *   message   = header [CRLF body]
 *   multipart = [preamble CRLF] "--" boundary *LWSP CRLF part
 *               *(CRLF "--" boundary *LWSP CRLF part) CRLF "--" boundary "--" *LWSP [CRLF epilogue]
 *
 * The parser holds the path from the root to the part under way, one header field and one line that
 * may be a boundary; body bytes are only looked at. Lines end at LF, with or without a CR.
 *
 * A boundary line is one that begins with "--" and the boundary of an open multipart (RFC 2046
 * section 5.1.1: the whole line need not match). Where several match, one that matches the whole
 * line comes first, then the longest, then the innermost; so a boundary that begins like another
 * works. An outer boundary ends all parts inside.
 *
 * Not done: no decoding of bodies, so a message/rfc822 in base64 stays closed. MIME-Version is not
 * asked for: mail without it is treated as MIME, as everybody does.
 * Limits: those of part.h. Work per line is at most MESSAGE_DEPTH_MAX comparisons of what the line
 * has.
 */
#include "message/part.h"

#include "message/field.h"
#include "message/header.h"
#include "message/scan.h"

enum state {
	IN_HEADER,
	IN_BODY,
	IN_BOUNDARY_LINE, /* behind a boundary that was understood: up to the line end */
};

struct level {
	struct message_part *part;
	struct message_part *last_child;
	struct slice boundary; /* of a multipart that is open; empty: nothing to look for */
	uint64_t lines_at_body;
};

struct message_parser {
	struct arena *arena;
	struct message_part *root;
	unsigned defects;
	uint32_t n_parts;

	struct level path[MESSAGE_DEPTH_MAX]; /* root first; the last is the part under way */
	size_t n_path;
	size_t n_boundaries; /* levels with a boundary */

	enum state state;
	uint64_t at;    /* bytes taken */
	uint64_t lines; /* LFs taken */
	uint8_t last;   /* the byte before `at` */

	/* The line under way. */
	bool at_line_start;
	bool maybe_boundary;      /* it begins with "-": it is being held */
	bool new_part;            /* IN_BOUNDARY_LINE: a part follows */
	bool first_line;          /* IN_HEADER: it begins a field */
	uint64_t line_at;         /* where it starts */
	uint64_t lines_at_line;   /* `lines` there */
	unsigned line_end_before; /* size of the line end before it, 0 at the start of a body */

	/* The field, or the line that may be a boundary, under way. */
	uint8_t *held;
	size_t n_held, held_capacity;
	bool holding; /* false: the rest of the field is not wanted */
	enum message_field_id field;
	uint32_t n_fields;  /* in this header block */
	uint64_t line_size; /* IN_HEADER: bytes of the line so far */
};

/* ------------------------------------------------------------------------------- held bytes */

static bool held_grow(struct message_parser *p, size_t need)
{
	size_t capacity = MAX(p->held_capacity * 2, 1024);
	while (capacity < need)
		capacity *= 2;
	uint8_t *held = arena_alloc(p->arena, capacity);
	if (!held)
		return false;
	if (p->n_held > 0)
		memcpy(held, p->held, p->n_held);
	p->held = held;
	p->held_capacity = capacity;
	return true;
}

/* Keeps what fits into max bytes. */
static void hold(struct message_parser *p, struct slice bytes, size_t max)
{
	size_t n = MIN(bytes.n, max - MIN(max, p->n_held));
	if (n < bytes.n && max == MESSAGE_FIELD_SIZE_MAX)
		p->defects |= MESSAGE_DEFECT_LIMIT;
	if (n == 0 || (p->n_held + n > p->held_capacity && !held_grow(p, p->n_held + n)))
		return;
	memcpy(p->held + p->n_held, bytes.p, n);
	p->n_held += n;
}

static struct slice held(const struct message_parser *p)
{
	return slice_of(p->held, p->n_held);
}

/* ------------------------------------------------------------------------------------ parts */

static struct level *top(struct message_parser *p)
{
	return &p->path[p->n_path - 1];
}

static const struct message_part blank_part = {
        .type = SLICE("text"),
        .subtype = SLICE("plain"),
        .encoding = SLICE("7bit"),
        .id = SLICE(""),
        .description = SLICE(""),
        .md5 = SLICE(""),
        .location = SLICE(""),
        .disposition = SLICE(""),
};

static const struct message_envelope blank_envelope = {
        .date = SLICE(""), .subject = SLICE(""), .in_reply_to = SLICE(""), .message_id = SLICE("")};

static struct message_part *new_part(struct message_parser *p, bool is_message)
{
	struct message_part *part = ARENA_NEW(p->arena, struct message_part);
	struct message_envelope *envelope =
	        is_message ? ARENA_NEW(p->arena, struct message_envelope) : NULL;
	if (!part || (is_message && !envelope))
		return NULL;
	*part = blank_part;
	part->header_offset = part->body_offset = p->at;
	part->envelope = envelope;
	if (envelope)
		*envelope = blank_envelope;
	return part;
}

static void begin_header(struct message_parser *p)
{
	p->state = IN_HEADER;
	p->at_line_start = true;
	p->holding = false;
	p->n_held = 0;
	p->n_fields = 0;
	p->field = MESSAGE_FIELD_OTHER;
}

/* The next part starts here: below the part under way, or as the root. Without memory nothing
 * changes: finish tells. */
static void push_part(struct message_parser *p, bool is_message)
{
	struct message_part *part = new_part(p, is_message);
	if (!part)
		return;
	if (p->n_path == 0) {
		p->root = part;
	} else {
		struct level *above = top(p);
		part->parent = above->part;
		if (above->last_child)
			above->last_child->next = part;
		else
			above->part->first_child = part;
		above->last_child = part;
		above->part->n_children++;
	}
	p->path[p->n_path++] = (struct level){.part = part, .boundary = SLICE("")};
	p->n_parts++;
	part->header_lines = p->lines; /* made a difference when the header ends */
	begin_header(p);
}

static bool may_push(struct message_parser *p)
{
	if (p->n_parts < MESSAGE_PARTS_MAX && p->n_path < MESSAGE_DEPTH_MAX &&
	    !arena_failed(p->arena))
		return true;
	p->defects |= MESSAGE_DEFECT_LIMIT;
	return false;
}

/* The part under way and all above it down to level `keep` end at `end`. */
static void pop_parts(struct message_parser *p, size_t keep, uint64_t end, uint64_t lines)
{
	while (p->n_path > keep) {
		struct level *level = top(p);
		struct message_part *part = level->part;
		part->body_size = end > part->body_offset ? end - part->body_offset : 0;
		part->body_lines = lines > level->lines_at_body ? lines - level->lines_at_body : 0;
		if (level->boundary.n > 0) {
			p->defects |= MESSAGE_DEFECT_UNCLOSED;
			p->n_boundaries--;
		}
		p->n_path--;
	}
}

/* ----------------------------------------------------------------------------------- header */

static void finish_field(struct message_parser *p)
{
	if (p->field != MESSAGE_FIELD_OTHER && p->n_held > 0) {
		struct message_field field = message_field_of(held(p));
		message_field_apply(top(p)->part, p->field, field.value, p->arena, &p->defects);
	}
	p->field = MESSAGE_FIELD_OTHER;
	p->n_held = 0;
	p->holding = false;
}

/* RFC 2046 section 5.1.5: in a digest the default is message/rfc822. */
static void default_type(struct message_part *part)
{
	const struct message_part *parent = part->parent;
	if (!part->has_content_type && parent && parent->kind == MESSAGE_MULTIPART &&
	    slice_eq_str(parent->subtype, "digest")) {
		part->type = SLICE("message");
		part->subtype = SLICE("rfc822");
	}
}

static bool is_message_type(const struct message_part *part)
{
	/* RFC 6532 section 3.7 for message/global. */
	return slice_eq_str(part->type, "message") &&
	       (slice_eq_str(part->subtype, "rfc822") || slice_eq_str(part->subtype, "global")) &&
	       !slice_ieq_str(part->encoding, "base64");
}

static struct slice boundary_of(struct message_parser *p, const struct message_part *part)
{
	const struct slice *value = message_param_get(part->params, part->n_params, "boundary");
	struct slice boundary = value ? slice_sub(*value, 0, MESSAGE_BOUNDARY_MAX) : SLICE("");
	if (boundary.n == 0)
		p->defects |= MESSAGE_DEFECT_NO_BOUNDARY;
	return boundary;
}

/* The header is complete: what is the part? */
static void begin_body(struct message_parser *p)
{
	struct level *level = top(p);
	struct message_part *part = level->part;
	p->state = IN_BODY;
	p->at_line_start = true;
	p->maybe_boundary = false;
	p->line_at = p->at;
	p->lines_at_line = p->lines;
	p->line_end_before = 0;
	if (slice_eq_str(part->type, "multipart")) {
		if (p->n_path == MESSAGE_DEPTH_MAX) {
			p->defects |= MESSAGE_DEFECT_LIMIT;
			return;
		}
		level->boundary = boundary_of(p, part);
		if (level->boundary.n == 0)
			return;
		part->kind = MESSAGE_MULTIPART;
		p->n_boundaries++;
	} else if (is_message_type(part) && may_push(p)) {
		part->kind = MESSAGE_RFC822;
		push_part(p, true);
	}
}

static void end_header(struct message_parser *p, uint64_t end, uint64_t lines)
{
	finish_field(p);
	struct level *level = top(p);
	struct message_part *part = level->part;
	part->header_size = end - part->header_offset;
	part->header_lines = lines - part->header_lines;
	part->body_offset = end;
	level->lines_at_body = lines;
	default_type(part);
}

/* ------------------------------------------------------------------------------- boundaries */

static bool is_padding(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
			return false;
	return true;
}

/* The level whose boundary the line is, n_path when there is none. */
static size_t match_boundary(const struct message_parser *p, struct slice line, bool *ret_closing)
{
	size_t best = p->n_path, best_size = 0;
	line = slice_from(line, 2);
	for (size_t i = p->n_path; i-- > 0;) {
		struct slice boundary = p->path[i].boundary;
		if (boundary.n <= best_size || !slice_starts(line, boundary))
			continue;
		struct slice rest = slice_from(line, boundary.n);
		bool closing = slice_starts(rest, SLICE("--"));
		best = i;
		best_size = boundary.n;
		*ret_closing = closing;
		if (is_padding(slice_from(rest, closing ? 2 : 0)))
			break;
	}
	return best;
}

/* Ends what the boundary ends. end: of the part before it. The line itself is then skipped. */
static void take_boundary(struct message_parser *p, size_t level, bool closing, uint64_t end,
                          uint64_t lines)
{
	pop_parts(p, level + 1, end, lines);
	if (closing) {
		p->path[level].boundary = SLICE("");
		p->n_boundaries--;
	}
	p->new_part = !closing;
	p->state = IN_BOUNDARY_LINE;
	p->n_held = 0;
}

/* A line that begins with "--", or as much of it as is ever compared. True when it is a boundary.
 */
static bool try_boundary(struct message_parser *p, struct slice line)
{
	bool closing = false;
	if (!slice_starts(line, SLICE("--")))
		return false;
	size_t level = match_boundary(p, line, &closing);
	if (level == p->n_path || (!closing && p->n_parts >= MESSAGE_PARTS_MAX)) {
		if (level < p->n_path)
			p->defects |= MESSAGE_DEFECT_LIMIT;
		return false;
	}
	if (p->state == IN_HEADER) {
		p->defects |= MESSAGE_DEFECT_NO_HEADER_END;
		end_header(p, p->line_at, p->lines_at_line);
		take_boundary(p, level, closing, p->line_at, p->lines_at_line);
	} else {
		unsigned line_end = p->line_end_before;
		take_boundary(p, level, closing, p->line_at - line_end,
		              p->lines_at_line - (line_end > 0));
	}
	return true;
}

/* After the LF of a boundary line. */
static void after_boundary_line(struct message_parser *p, unsigned line_end)
{
	p->state = IN_BODY;
	p->at_line_start = true;
	p->maybe_boundary = false;
	p->line_at = p->at;
	p->lines_at_line = p->lines;
	p->line_end_before = line_end;
	if (p->new_part && may_push(p))
		push_part(p, false);
}

/* -------------------------------------------------------------------------- taking of bytes */

/* Takes n bytes of the input: counts lines, notes defects. */
static void take(struct message_parser *p, struct slice bytes)
{
	if (bytes.n == 0)
		return;
	struct message_scan scan = message_scan(bytes, p->last);
	p->lines += scan.n_lf;
	p->at += bytes.n;
	p->last = bytes.p[bytes.n - 1];
	if (scan.n_lf > scan.n_crlf)
		p->defects |= MESSAGE_DEFECT_BARE_LF;
	/* A CR at the end of a piece may still get its LF: counted when the next byte comes. */
	if (scan.n_cr_not_lf > 0)
		p->defects |= MESSAGE_DEFECT_BARE_CR;
	if (scan.has_nul)
		p->defects |= MESSAGE_DEFECT_NUL;
}

static unsigned line_end_size(struct slice line, uint8_t before)
{
	uint8_t c = line.n >= 2 ? line.p[line.n - 2] : before;
	return c == '\r' ? 2 : 1;
}

static void begin_header_line(struct message_parser *p, uint8_t first)
{
	p->at_line_start = false;
	p->line_at = p->at;
	p->lines_at_line = p->lines;
	p->line_size = 0;
	p->first_line = first != ' ' && first != '\t';
	if (p->first_line) {
		finish_field(p);
		p->holding = true;
	}
}

/* The first line of a field is whole: a field that is wanted goes on being held. */
static void judge_field(struct message_parser *p, struct slice line)
{
	struct message_field field = message_field_of(line);
	uint64_t header_size = p->at - top(p)->part->header_offset;
	p->n_fields++;
	if (field.bad)
		p->defects |= MESSAGE_DEFECT_BAD_FIELD;
	p->field = message_field_id(field.name);
	if (p->n_fields > MESSAGE_HEADERS_MAX || header_size > MESSAGE_HEADER_SIZE_MAX) {
		p->defects |= MESSAGE_DEFECT_LIMIT;
		p->field = MESSAGE_FIELD_OTHER;
	}
	p->holding = p->field != MESSAGE_FIELD_OTHER;
}

static bool is_blank_line(struct slice line)
{
	return slice_eq_str(line, "\n") || slice_eq_str(line, "\r\n");
}

/* A whole line of a header; its bytes are taken. */
static void header_line(struct message_parser *p, struct slice line, bool is_held)
{
	p->at_line_start = true;
	if (!p->first_line) {
		if (p->holding && !is_held)
			hold(p, line, MESSAGE_FIELD_SIZE_MAX);
		if (p->at - top(p)->part->header_offset > MESSAGE_HEADER_SIZE_MAX)
			p->holding = false;
		return;
	}
	if (is_blank_line(line)) {
		p->n_held = 0;
		end_header(p, p->at, p->lines);
		begin_body(p);
		return;
	}
	if (p->n_boundaries > 0 && try_boundary(p, line)) {
		after_boundary_line(p, line_end_size(line, 0));
		return;
	}
	judge_field(p, line);
	if (p->holding && !is_held)
		hold(p, line, MESSAGE_FIELD_SIZE_MAX);
}

static size_t feed_header(struct message_parser *p, struct slice bytes)
{
	if (p->at_line_start)
		begin_header_line(p, bytes.p[0]);
	size_t lf = slice_index(bytes, '\n');
	struct slice piece = slice_sub(bytes, 0, lf == SIZE_MAX ? bytes.n : lf + 1);
	if (!slice_is_ascii(piece))
		p->defects |= MESSAGE_DEFECT_8BIT_HEADER;
	bool whole = p->line_size == 0 && lf != SIZE_MAX;
	take(p, piece);
	p->line_size += piece.n;
	if (whole) {
		header_line(p, piece, false);
		return piece.n;
	}
	if (p->holding)
		hold(p, piece, MESSAGE_FIELD_SIZE_MAX);
	if (lf != SIZE_MAX)
		header_line(p, p->first_line ? held(p) : slice_empty(), true);
	return piece.n;
}

/* A line that begins with "-", bit by bit, until it is judged. */
static size_t feed_held_line(struct message_parser *p, struct slice bytes)
{
	size_t max = MESSAGE_BOUNDARY_MAX + 8;
	size_t lf = slice_index(slice_sub(bytes, 0, max), '\n');
	bool whole = lf != SIZE_MAX;
	struct slice piece = slice_sub(bytes, 0, whole ? lf + 1 : max - p->n_held);
	struct slice line = piece;
	if (!(whole && p->n_held == 0)) {
		hold(p, piece, max);
		line = held(p);
	}
	uint8_t before = p->last;
	take(p, piece);
	bool dashes = line.n < 2 || line.p[1] == '-';
	if (dashes && !whole && line.n < max)
		return piece.n;
	p->maybe_boundary = false;
	bool found = dashes && try_boundary(p, line);
	p->n_held = 0;
	if (whole && found) {
		after_boundary_line(p, line_end_size(piece, before));
	} else if (whole) {
		p->at_line_start = true;
		p->line_at = p->at;
		p->lines_at_line = p->lines;
		p->line_end_before = line_end_size(piece, before);
	}
	return piece.n;
}

/* Bytes up to a line that begins with "-", or all. */
static size_t feed_body_lines(struct message_parser *p, struct slice bytes)
{
	size_t n = message_scan_find_dash_line(bytes);
	struct slice piece = slice_sub(bytes, 0, n);
	uint8_t before = p->last;
	take(p, piece);
	p->at_line_start = piece.p[n - 1] == '\n';
	p->line_at = p->at;
	p->lines_at_line = p->lines;
	p->line_end_before = p->at_line_start ? line_end_size(piece, before) : 0;
	return n;
}

static size_t feed_body(struct message_parser *p, struct slice bytes)
{
	if (p->n_boundaries == 0) {
		take(p, bytes);
		return bytes.n;
	}
	if (p->at_line_start && bytes.p[0] == '-') {
		p->at_line_start = false;
		p->maybe_boundary = true;
		p->n_held = 0;
	}
	return p->maybe_boundary ? feed_held_line(p, bytes) : feed_body_lines(p, bytes);
}

static size_t feed_boundary_line(struct message_parser *p, struct slice bytes)
{
	size_t lf = slice_index(bytes, '\n');
	struct slice piece = slice_sub(bytes, 0, lf == SIZE_MAX ? bytes.n : lf + 1);
	uint8_t before = p->last;
	take(p, piece);
	if (lf != SIZE_MAX)
		after_boundary_line(p, line_end_size(piece, before));
	return piece.n;
}

static size_t feed_some(struct message_parser *p, struct slice bytes)
{
	switch (p->state) {
	case IN_HEADER:
		return feed_header(p, bytes);
	case IN_BODY:
		return feed_body(p, bytes);
	case IN_BOUNDARY_LINE:
		return feed_boundary_line(p, bytes);
	}
	BUG("no such state");
}

/* ---------------------------------------------------------------------------------- the API */

struct message_parser *message_parser_new(struct arena *arena)
{
	struct message_parser *p = ARENA_NEW(arena, struct message_parser);
	if (!p)
		return NULL;
	p->arena = arena;
	p->last = '\n';
	push_part(p, true);
	return p->root ? p : NULL;
}

void message_parser_feed(struct message_parser *p, struct slice bytes)
{
	while (p && bytes.n > 0) {
		/* In blocks, so that what is looked at twice is still in the cache. */
		size_t n = feed_some(p, slice_sub(bytes, 0, MESSAGE_SCAN_BLOCK));
		bytes = slice_from(bytes, n);
	}
}

/* The end came inside of a header or of a line that is still held. */
static void finish_line(struct message_parser *p)
{
	if (p->state == IN_HEADER && !p->at_line_start && p->first_line) {
		struct slice line = held(p);
		if (!(p->n_boundaries > 0 && try_boundary(p, line)))
			judge_field(p, line);
	} else if (p->state == IN_BODY && p->maybe_boundary) {
		try_boundary(p, held(p));
	}
	if (p->state == IN_HEADER) {
		p->defects |= MESSAGE_DEFECT_NO_HEADER_END;
		end_header(p, p->at, p->lines);
		if (slice_eq_str(top(p)->part->type, "multipart") &&
		    boundary_of(p, top(p)->part).n > 0)
			top(p)->part->kind = MESSAGE_MULTIPART;
	}
}

struct status message_parser_finish(struct message_parser *p, struct message_part **ret_root,
                                    unsigned *ret_defects)
{
	if (!p)
		return fail(ERR_LIMIT, "no memory for the structure of the message");
	finish_line(p);
	if (p->last == '\r')
		p->defects |= MESSAGE_DEFECT_BARE_CR;
	pop_parts(p, 0, p->at, p->lines);
	if (arena_failed(p->arena))
		return fail(ERR_LIMIT, "no memory for the structure of the message");
	*ret_root = p->root;
	*ret_defects = p->defects;
	return ok();
}

struct status message_parse(struct slice bytes, struct arena *arena, struct message_part **ret_root,
                            unsigned *ret_defects)
{
	struct message_parser *parser = message_parser_new(arena);
	message_parser_feed(parser, bytes);
	return message_parser_finish(parser, ret_root, ret_defects);
}
