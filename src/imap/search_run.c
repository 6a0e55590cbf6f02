/* Evaluation of a search program over the messages of a view.
 *
 * The tree is walked by its links: down to the first leaf, and from each answer up and to the right
 * until it is settled. Keys of a list come in the order of their cost, so that what is cheap
 * decides first; the summary, the header, the structure and the text of a message are read only
 * when a key gets that far, with those of the messages that may be next (read_ahead.h). Text is
 * compared as i;unicode-casemap, decoded from its transfer encoding, charset and encoded words (RFC
 * 9051 section 6.4.4); parts that are no text are not searched.
 *
 * A search that takes long says so every PROGRESS_MS (RFC 9585) and ends when the session must.
 */
#include "imap/envelope_text.h"
#include "imap/fetch_body.h"
#include "imap/read_ahead.h"
#include "imap/search.h"
#include "message/body.h"
#include "message/header.h"
#include "text/fold.h"

#define PROGRESS_MS 10000

struct search_run {
	struct imap_session *s;
	const struct store_view *view;
	const struct imap_search_key *root;
	const struct store_entry *entry;
	uint32_t index;
	struct imap_summaries summaries;
	struct imap_ahead messages;
	bool summary_read, header_read;
	struct store_summary summary;
	struct buf header_bytes; /* of messages in files */
	struct slice header;
	struct imap_fold fold; /* of a field */
	struct status status;
};

static int64_t day_of(int64_t unix_s)
{
	return unix_s / 86400 - (unix_s % 86400 < 0);
}

/* ---- texts ---------------------------------------------------------------------------------- */

static struct status read_header(struct search_run *run)
{
	struct slice bytes;
	if (run->header_read)
		return ok();
	TRY(imap_ahead_open(&run->messages, run->index));
	run->header_read = true;
	TRY(imap_header_block(run->s, &run->header_bytes, &bytes));
	run->header = bytes;
	return ok();
}

static bool summary_is_read(struct search_run *run)
{
	if (!run->summary_read)
		run->status = imap_summaries_get(&run->summaries, run->index, &run->summary);
	run->summary_read = is_ok(run->status);
	return run->summary_read;
}

static bool folded_contains(const struct search_run *run, struct slice wanted)
{
	return slice_find(buf_slice(&run->fold.folded), wanted) != SIZE_MAX;
}

/* A field's decoded value holds the text; with_name: or its name does. */
static bool field_contains(struct search_run *run, const struct message_field *field,
                           bool with_name, struct slice wanted)
{
	buf_reset(&run->fold.folded);
	if (with_name) {
		text_unicode_casemap(field->name, &run->fold.folded);
		buf_add_str(&run->fold.folded, ": ");
	}
	imap_fold_words(&run->fold, field->bad ? field->raw : field->value);
	return folded_contains(run, wanted);
}

static bool block_contains(struct search_run *run, struct slice block, struct slice wanted)
{
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	while (message_headers_next(&headers, &field))
		if (field_contains(run, &field, true, wanted))
			return true;
	return false;
}

static bool match_header(struct search_run *run, const struct imap_search_key *key)
{
	run->status = read_header(run);
	if (!is_ok(run->status))
		return false;
	struct message_headers headers = message_headers_of(run->header);
	struct message_field field;
	while (message_headers_next(&headers, &field)) {
		if (field.bad || !slice_ieq(field.name, key->field))
			continue;
		if (key->text.n == 0 || field_contains(run, &field, false, key->text))
			return true;
	}
	return false;
}

static bool match_envelope(struct search_run *run, const struct imap_search_key *key)
{
	if (!summary_is_read(run))
		return false;
	if (imap_envelope_text(run->summary.envelope, (enum imap_envelope_field)key->number,
	                       &run->fold))
		return folded_contains(run, key->text);
	return match_header(run, key);
}

static bool match_sent_day(struct search_run *run, const struct imap_search_key *key)
{
	return summary_is_read(run) && run->summary.sent_at != INT64_MIN &&
	       run->summary.sent_day >= key->number && run->summary.sent_day <= key->number_to;
}

/* Looks for text in pieces: the end of what was searched is kept for a match across the border. */
struct find_sink {
	struct message_sink sink; /* first member */
	struct slice wanted;
	struct buf window;
	bool found;
};

static struct status find_add(struct message_sink *sink, struct slice piece)
{
	struct find_sink *f = (struct find_sink *)sink;
	text_unicode_casemap(piece, &f->window);
	if (buf_failed(&f->window))
		return fail(ERR_LIMIT, "the text grows too much");
	if (slice_find(buf_slice(&f->window), f->wanted) != SIZE_MAX) {
		f->found = true;
		return fail(ERR_CANCELED, "found");
	}
	size_t keep = MIN(f->wanted.n - 1, f->window.n);
	buf_consume(&f->window, f->window.n - keep);
	return ok();
}

struct blob_source {
	struct message_source source; /* first member */
	const struct store_reader *reader;
};

static struct status read_blob(const struct message_source *source, uint64_t offset, uint8_t *p,
                               size_t n, size_t *ret_n)
{
	const struct store_reader *reader = ((const struct blob_source *)source)->reader;
	return reader->read(reader, offset, p, n, ret_n);
}

static bool part_text_contains(struct search_run *run, const struct message_part *part,
                               struct slice wanted)
{
	struct blob_source source = {{read_blob}, store_blob_reader(run->s->parsed.blob)};
	struct find_sink f = {.sink.add = find_add, .wanted = wanted};
	buf_init(&f.window, MIB * 4 + wanted.n);
	struct status status = message_body_text(part, &source.source, &f.sink);
	if (!is_ok(status) && status.code != ERR_CANCELED && status.code != ERR_LIMIT)
		run->status = status;
	buf_done(&f.window);
	return f.found;
}

static bool part_header_contains(struct search_run *run, const struct message_part *part,
                                 struct slice wanted)
{
	struct buf block;
	buf_init(&block, MESSAGE_HEADER_SIZE_MAX * 2);
	bool found = is_ok(imap_read_bytes(
	                     run->s, part->header_offset,
	                     MIN(part->header_size, (uint64_t)MESSAGE_HEADER_SIZE_MAX), &block)) &&
	             block_contains(run, buf_slice(&block), wanted);
	buf_done(&block);
	return found;
}

static const struct message_part *next_part(const struct message_part *part)
{
	if (part->first_child)
		return part->first_child;
	while (part && !part->next)
		part = part->parent;
	return part ? part->next : NULL;
}

/* BODY: the text parts and the headers of messages inside; TEXT: all headers too. */
static bool match_text(struct search_run *run, const struct imap_search_key *key)
{
	const struct message_part *root;
	bool all_headers = key->op == IMAP_SEARCH_TEXT;
	if (key->text.n == 0)
		return true;
	run->status = read_header(run);
	if (!is_ok(run->status))
		return false;
	if (all_headers && block_contains(run, run->header, key->text))
		return true;
	run->status = imap_message_root(run->s, &root);
	if (!is_ok(run->status))
		return false;
	for (const struct message_part *p = root; p && is_ok(run->status); p = next_part(p)) {
		bool inner = p->parent && p->parent->kind == MESSAGE_RFC822;
		if (p != root && (all_headers || inner) && part_header_contains(run, p, key->text))
			return true;
		if (message_part_is_text(p) && part_text_contains(run, p, key->text))
			return true;
	}
	return false;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static bool is_in(int64_t value, const struct imap_search_key *key)
{
	return value >= key->number && value <= key->number_to;
}

static bool match_leaf(struct search_run *run, const struct imap_search_key *key)
{
	const struct store_entry *e = run->entry;
	switch (key->op) {
	case IMAP_SEARCH_NONE:
		return false;
	case IMAP_SEARCH_UIDS:
		return imap_set_has(&key->set, e->uid.v);
	case IMAP_SEARCH_FLAGS:
		return (e->flags & key->set_bits) == key->set_bits && !(e->flags & key->clear_bits);
	case IMAP_SEARCH_LARGER:
		return e->size > (uint64_t)key->number;
	case IMAP_SEARCH_SMALLER:
		return e->size < (uint64_t)key->number;
	case IMAP_SEARCH_RECEIVED_DAY:
		return is_in(day_of(e->received_at), key);
	case IMAP_SEARCH_SAVED_DAY:
		return is_in(day_of(e->saved_at), key);
	case IMAP_SEARCH_SENT_DAY:
		return match_sent_day(run, key);
	case IMAP_SEARCH_RECEIVED_AFTER:
		return e->received_at >= key->number;
	case IMAP_SEARCH_RECEIVED_BEFORE:
		return e->received_at <= key->number;
	case IMAP_SEARCH_MODSEQ:
		return e->modseq >= (uint64_t)key->number;
	case IMAP_SEARCH_EMAILID:
		return e->message.v == key->number;
	case IMAP_SEARCH_ENVELOPE:
		return match_envelope(run, key);
	case IMAP_SEARCH_HEADER:
		return match_header(run, key);
	case IMAP_SEARCH_BODY:
	case IMAP_SEARCH_TEXT:
		return match_text(run, key);
	case IMAP_SEARCH_AND:
	case IMAP_SEARCH_OR:
	case IMAP_SEARCH_NOT:
	case IMAP_SEARCH_ALL:
		break;
	}
	return true;
}

/* Whether a child's answer settles its parent's, which is then in *value. */
static bool settles(const struct imap_search_key *parent, bool *value)
{
	if (parent->op == IMAP_SEARCH_AND)
		return !*value;
	if (parent->op == IMAP_SEARCH_OR)
		return *value;
	*value = !*value; /* NOT */
	return true;
}

static bool match(struct search_run *run, const struct imap_search_key *root)
{
	const struct imap_search_key *key = root;
	for (;;) {
		while (key->children)
			key = key->children;
		bool value = match_leaf(run, key);
		if (!is_ok(run->status))
			return false;
		while (key != root && (settles(key->parent, &value) || !key->next))
			key = key->parent;
		if (key == root)
			return value;
		key = key->next;
	}
}

/* ---- the run -------------------------------------------------------------------------------- */

static void set_message(struct search_run *run, uint32_t index)
{
	run->index = index;
	run->entry = store_view_at(run->view, index);
	run->summary_read = run->header_read = false;
}

/* Whether what the view knows leaves it open that the message matches. */
static bool may_match(struct search_run *run)
{
	const struct imap_search_key *key = run->root->children;
	for (; key && key->cost == IMAP_COST_VIEW; key = key->next)
		if (!match(run, key))
			return false;
	return true;
}

/* Of the messages behind *index, the first that may match. */
static bool next_candidate(void *context, uint32_t *index)
{
	struct search_run *run = context;
	struct search_run other = {.view = run->view, .root = run->root, .status = ok()};
	for (uint32_t i = *index + 1; i < store_view_count(run->view); i++) {
		set_message(&other, i);
		if (may_match(&other)) {
			*index = i;
			return true;
		}
	}
	return false;
}

static struct status progress(struct imap_session *s, int64_t *next_ms)
{
	int64_t now_ms = clock_monotonic_ms(s->options->clock);
	if (imap_stopped(s))
		return fail(ERR_CANCELED, "the search was interrupted");
	if (now_ms < *next_ms)
		return ok();
	*next_ms = now_ms + PROGRESS_MS;
	imap_out_str(&s->out, "* OK [INPROGRESS] Still searching\r\n");
	imap_out_flush(&s->out);
	return s->out.status;
}

static struct status run_all(struct search_run *run, const struct imap_search *search,
                             void (*found)(void *context, uint32_t index,
                                           const struct store_entry *entry),
                             void *context)
{
	struct imap_session *s = run->s;
	bool slow = search->cost >= IMAP_COST_HEADER;
	int64_t next_ms = clock_monotonic_ms(s->options->clock) + PROGRESS_MS;
	for (uint32_t i = 0; i < store_view_count(run->view); i++) {
		if (slow)
			TRY(progress(s, &next_ms));
		set_message(run, i);
		bool matches = match(run, search->root);
		if (run->status.code == ERR_NOT_FOUND) /* expunged meanwhile */
			run->status = ok();
		TRY(run->status);
		if (matches)
			found(context, i, run->entry);
	}
	return ok();
}

struct status imap_search_run(struct imap_session *s, const struct imap_search *search,
                              void (*found)(void *context, uint32_t index,
                                            const struct store_entry *entry),
                              void *context)
{
	struct search_run run = {
	        .s = s, .view = s->selected.view, .root = search->root, .status = ok()};
	unsigned columns = search->needs_envelope ? STORE_COLUMN_ENVELOPE : STORE_COLUMN_SENT;
	imap_summaries_init(&run.summaries, s, columns, 1, next_candidate, &run);
	imap_ahead_init(&run.messages, s, 1, next_candidate, &run);
	imap_fold_init(&run.fold);
	buf_init(&run.header_bytes, MESSAGE_HEADER_SIZE_MAX * 2);
	struct status status = run_all(&run, search, found, context);
	imap_summaries_done(&run.summaries);
	imap_ahead_done(&run.messages);
	imap_fold_done(&run.fold);
	buf_done(&run.header_bytes);
	imap_shrink_parsed(s);
	return status;
}
