/* See gate_content.h. */
#include "rooms/gate_content.h"

#include "mailauth/authres.h"

void gate_content_init(struct gate_content *content, atomic_size_t *held, struct spool *spool,
                       struct gate_checks *checks)
{
	*content = (struct gate_content){.spool = spool, .checks = checks, .held = held};
	buf_init(&content->header, GATE_HEADER_MAX);
}

void gate_content_reset(struct gate_content *content)
{
	buf_reset(&content->header);
	if (content->n_held > 0) { /* give the memory back, not only its share */
		buf_done(&content->header);
		buf_init(&content->header, GATE_HEADER_MAX);
		atomic_fetch_sub(content->held, content->n_held);
		content->n_held = 0;
	}
	content->in_body = false;
	content->end = (struct message_header_end){0};
}

void gate_content_done(struct gate_content *content)
{
	gate_content_reset(content);
	buf_done(&content->header);
}

void gate_content_begin(struct gate_content *content, const struct slice *ids, size_t n_ids,
                        int64_t now_s)
{
	gate_content_reset(content);
	content->ids = ids;
	content->n_ids = n_ids;
	content->now_s = now_s;
}

/* Each session has the first step for nothing; more is taken from what all share. */
static struct status hold(struct gate_content *content, size_t size)
{
	if (size > GATE_HEADER_MAX)
		return fail(ERR_LIMIT, "the header is too large");
	while (size > GATE_HEADER_STEP + content->n_held) {
		size_t before = atomic_fetch_add(content->held, GATE_HEADER_STEP);
		content->n_held += GATE_HEADER_STEP;
		if (before + GATE_HEADER_STEP > GATE_HEADERS_MAX)
			return fail(ERR_BUSY, "too many large headers at once");
	}
	return ok();
}

/* All fields but those that say in our name what we have not said; there may be more than
 * message_headers gives at once. */
static struct status spool_header(struct gate_content *content, struct slice header)
{
	struct message_headers headers = {.ended = false};
	while (!headers.ended) {
		struct message_field field;
		headers = message_headers_of(header);
		while (message_headers_next(&headers, &field))
			if (!authres_must_remove(field.name, field.value, content->ids,
			                         content->n_ids))
				TRY(spool_write(content->spool, field.raw));
		header = slice_from(header, headers.at);
	}
	return spool_write(content->spool, header); /* the blank line, if there is one */
}

static struct status pass_header(struct gate_content *content)
{
	content->in_body = true;
	gate_checks_header(content->checks, buf_slice(&content->header), content->now_s);
	return spool_header(content, buf_slice(&content->header));
}

static struct status pass_body(struct gate_content *content, struct slice octets)
{
	gate_checks_body(content->checks, octets);
	return spool_write(content->spool, octets);
}

/* A first line that begins with a blank would become part of the last field that we put before it:
 * then all is body. */
static bool starts_folded(const struct gate_content *content, struct slice octets)
{
	return !content->in_body && content->header.n == 0 && octets.n > 0 &&
	       (octets.p[0] == ' ' || octets.p[0] == '\t');
}

struct status gate_content_write(struct gate_content *content, struct slice octets)
{
	size_t n = 0;
	if (starts_folded(content, octets)) {
		TRY(pass_header(content));
		TRY(spool_write(content->spool, SLICE("\r\n")));
	}
	if (!content->in_body) {
		n = message_header_end_feed(&content->end, octets);
		TRY(hold(content, content->header.n + n));
		buf_add(&content->header, slice_sub(octets, 0, n));
		if (content->end.found)
			TRY(pass_header(content));
	}
	return content->in_body ? pass_body(content, slice_from(octets, n)) : ok();
}

struct status gate_content_end(struct gate_content *content)
{
	return content->in_body ? ok() : pass_header(content);
}
