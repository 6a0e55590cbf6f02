/* The MIME parser against malformed and nested messages made by others: mime4j's suites, where they
 * lie beside the checkout (../shared/suites/mime); skipped, with a word, where they do not.
 *
 * Each NAME.msg has NAME_decoded.xml, an event stream (message, header, field, multipart,
 * body-part, bodies by file name), and the decoded bodies as files. Compared are the tree, the
 * number of header fields of each part, and every decoded body, byte by byte. Where we differ on
 * purpose, the table below says why.
 */
#include "message/body.h"
#include "message/header.h"
#include "message/part.h"

#include <dirent.h>
#include <stdio.h>

#define FILE_MAX ((size_t)4 * 1024 * 1024)
#define SKIPPED  77

#define BASE64_MESSAGE "a message/rfc822 in base64 stays closed (RFC 2046 section 5.2.1 forbids it)"
#define HEADER_GOES_ON "a line without a colon does not end the header: it is kept as a bad field"

#define CUT_BASE64 "a last group of base64 without padding gives the bytes that it has"

/* Messages that are understood otherwise here, and why. */
static const struct {
	const char *name, *why;
} deviations[] = {
        {"base64encoded-rfc822message", BASE64_MESSAGE},
        {"base64encoded-rfc822message-nested", BASE64_MESSAGE},
        {"bad-newlines-multiple-parts-base64", BASE64_MESSAGE},
        {"multi-2gifs-base64", BASE64_MESSAGE},
        {"malformedHeaderStartsBody-nocrlfcrlf", HEADER_GOES_ON},
        {"malformedHeaderStartsBody-noheader", HEADER_GOES_ON},
        {"frag", CUT_BASE64},
        {"multi-frag", CUT_BASE64},
        {"very-very-long-boundary", "boundaries are compared up to MESSAGE_BOUNDARY_MAX"},
        {"x-gzip64", "an unknown transfer encoding is not decoded (RFC 2045 section 6.4)"},
};

static const char *deviation(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(deviations); i++)
		if (strcmp(name, deviations[i].name) == 0)
			return deviations[i].why;
	return NULL;
}

static bool read_file(const char *dir, const char *name, const char *suffix, struct buf *out)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
	FILE *file = fopen(path, "rb");
	if (!file)
		return false;
	buf_reset(out);
	uint8_t *p = buf_reserve(out, FILE_MAX);
	buf_commit(out, fread(p, 1, FILE_MAX, file));
	fclose(file);
	return true;
}

/* --------------------------------------------------------------------------- what is expected */

struct expected {
	struct buf shape;  /* a line per part: depth, fields, kind */
	struct buf bodies; /* file names, a line per leaf */
};

struct events {
	struct slice xml;
	struct expected *expected;
	size_t depth, n_fields;
	bool described; /* the part under way has got its line */
};

static void describe(struct events *e, char kind)
{
	if (!e->described)
		buf_printf(&e->expected->shape, "%zu %zu %c\n", e->depth, e->n_fields, kind);
	e->described = true;
}

static void body_event(struct events *e, struct slice tag)
{
	struct slice head, name;
	describe(e, 'b');
	if (slice_cut(tag, '"', &head, &name) && slice_cut(name, '"', &name, &head))
		buf_add(&e->expected->bodies, name);
	buf_add_byte(&e->expected->bodies, '\n');
}

static void event(struct events *e, struct slice tag)
{
	if (slice_eq_str(tag, "message") || slice_eq_str(tag, "body-part")) {
		if (e->depth > 0)
			describe(e, 'm');
		e->depth++;
		e->n_fields = 0;
		e->described = false;
	} else if (slice_eq_str(tag, "/message") || slice_eq_str(tag, "/body-part")) {
		e->depth--;
	} else if (slice_eq_str(tag, "field")) {
		e->n_fields++;
	} else if (slice_eq_str(tag, "multipart")) {
		describe(e, 'x');
	} else if (slice_starts(tag, SLICE("text-body")) ||
	           slice_starts(tag, SLICE("binary-body"))) {
		body_event(e, tag);
	}
}

static void read_events(struct slice xml, struct expected *expected)
{
	struct events events = {.xml = xml, .expected = expected};
	struct slice text, tag, rest = xml;
	buf_reset(&expected->shape);
	buf_reset(&expected->bodies);
	while (slice_cut(rest, '<', &text, &rest) && slice_cut(rest, '>', &tag, &rest))
		event(&events, tag);
}

/* -------------------------------------------------------------------------------- what we find */

static size_t count_fields(struct slice message, const struct message_part *part)
{
	struct slice block = slice_sub(message, part->header_offset, part->header_size);
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	size_t n = 0;
	while (message_headers_next(&headers, &field))
		n += !field.bad;
	return n;
}

static const struct message_part *next_part(const struct message_part *part, size_t *depth)
{
	if (part->first_child) {
		++*depth;
		return part->first_child;
	}
	while (part && !part->next) {
		part = part->parent;
		--*depth;
	}
	return part ? part->next : NULL;
}

static void find_shape(struct slice message, const struct message_part *root, struct buf *shape)
{
	static const char kinds[] = {'b', 'x', 'm'};
	size_t depth = 1;
	buf_reset(shape);
	for (const struct message_part *part = root; part; part = next_part(part, &depth))
		buf_printf(shape, "%zu %zu %c\n", depth, count_fields(message, part),
		           kinds[part->kind]);
}

struct suite {
	const char *dir;
	struct buf message, file, shape, decoded;
	struct expected expected;
	size_t n_passed, n_failed, n_deviating;
};

/* mime4j makes the line ends of quoted-printable text CRLF; here they stay as they came. */
static bool same_but_line_ends(struct slice a, struct slice b)
{
	size_t i = 0, k = 0;
	for (;;) {
		while (i < a.n && a.p[i] == '\r')
			i++;
		while (k < b.n && b.p[k] == '\r')
			k++;
		if (i == a.n || k == b.n || a.p[i] != b.p[k])
			return i == a.n && k == b.n;
		i++;
		k++;
	}
}

static bool same_body(struct suite *s, const struct message_part *part, struct slice file_name)
{
	struct message_source_mem source;
	struct message_sink_buf sink;
	char name[512];
	snprintf(name, sizeof(name), "%.*s", SLICE_FMT(file_name));
	if (!read_file(s->dir, name, "", &s->file))
		return false;
	buf_reset(&s->decoded);
	message_source_mem_init(&source, buf_slice(&s->message));
	message_sink_buf_init(&sink, &s->decoded);
	if (!is_ok(message_body_decode(part, &source.source, &sink.sink, NULL)))
		return false;
	return same_but_line_ends(buf_slice(&s->decoded), buf_slice(&s->file));
}

/* Number of the first leaf that differs, 0 when none does. */
static size_t differing_body(struct suite *s, const struct message_part *root)
{
	size_t depth = 1, n = 0;
	struct slice name, rest = buf_slice(&s->expected.bodies);
	for (const struct message_part *part = root; part; part = next_part(part, &depth)) {
		if (part->kind != MESSAGE_LEAF)
			continue;
		n++;
		slice_cut(rest, '\n', &name, &rest);
		if (!same_body(s, part, name))
			return n;
	}
	return 0;
}

static void run_message(struct suite *s, const char *name)
{
	CLEANUP(arena_done) struct arena arena = {.budget = FILE_MAX};
	struct message_part *root;
	unsigned defects;
	if (!read_file(s->dir, name, "_decoded.xml", &s->file) || s->file.n == 0)
		return;
	read_events(buf_slice(&s->file), &s->expected);
	if (!read_file(s->dir, name, ".msg", &s->message))
		BUG("a message of the suite cannot be read");
	if (!is_ok(message_parse(buf_slice(&s->message), &arena, &root, &defects)))
		BUG("a message of the suite does not parse");
	find_shape(buf_slice(&s->message), root, &s->shape);
	bool same = slice_eq(buf_slice(&s->shape), buf_slice(&s->expected.shape));
	size_t body = same ? differing_body(s, root) : 0;
	const char *why = deviation(name);
	if ((!same || body > 0) && !why) {
		s->n_failed++;
		printf("FAILED %s, body %zu\nfound:\n%sexpected:\n%s", name, body,
		       buf_cstr(&s->shape), buf_cstr(&s->expected.shape));
	} else if (!same || body > 0) {
		s->n_deviating++;
	} else {
		s->n_passed++;
		if (why)
			printf("%s no longer deviates\n", name);
	}
}

static bool run_folder(struct suite *s, const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return false;
	s->dir = path;
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct slice file = slice_str(entry->d_name);
		char name[256];
		if (!slice_ends(file, SLICE(".msg")))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)file.n - 4, entry->d_name);
		run_message(s, name);
	}
	closedir(dir);
	return true;
}

int main(void)
{
	struct suite s = {.dir = NULL};
	struct buf *bufs[] = {&s.message, &s.file,           &s.shape,
	                      &s.decoded, &s.expected.shape, &s.expected.bodies};
	for (size_t i = 0; i < N_ELEMENTS(bufs); i++)
		buf_init(bufs[i], 2 * FILE_MAX);
	bool there = run_folder(&s, SOURCE_ROOT "/../shared/suites/mime/structure");
	there |= run_folder(&s, SOURCE_ROOT "/../shared/suites/mime/mimetools");
	for (size_t i = 0; i < N_ELEMENTS(bufs); i++)
		buf_done(bufs[i]);
	if (!there) {
		printf("skipped: no MIME suites beside the checkout\n");
		return SKIPPED;
	}
	printf("%zu messages as expected, %zu deviate on purpose, %zu failed\n", s.n_passed,
	       s.n_deviating, s.n_failed);
	return s.n_failed == 0 && s.n_passed > 0 ? 0 : 1;
}
