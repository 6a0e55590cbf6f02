/* Reading ahead. What the command will want is a guess where it depends on the messages themselves
 * (SEARCH): the window doubles while at least half of what was read was used, and is halved else,
 * so that little is read in vain. */
#include "imap/read_ahead.h"

#include "imap/fetch_body.h"

void imap_ahead_init(struct imap_ahead *ahead, struct imap_session *s, size_t window,
                     bool (*next)(void *context, uint32_t *index), void *context)
{
	*ahead = (struct imap_ahead){.s = s, .next = next, .context = context, .window = window};
}

void imap_ahead_done(struct imap_ahead *ahead)
{
	store_batch_free(ahead->batch);
	base_free(ahead->indexes);
	*ahead = (struct imap_ahead){0};
}

size_t imap_ahead_window(size_t window, size_t max, size_t n, size_t n_used)
{
	return n_used * 2 >= n ? MIN(window * 2, max) : MAX(window / 2, (size_t)1);
}

/* The message and those that may come next, up to the window. */
static size_t choose(struct imap_ahead *ahead, uint32_t index, struct store_message_id *ret_ids)
{
	size_t n = 0;
	do {
		ahead->indexes[n] = index;
		ret_ids[n++] = store_view_at(ahead->s->selected.view, index)->message;
	} while (n < ahead->window && ahead->next(ahead->context, &index));
	return n;
}

static struct status refill(struct imap_ahead *ahead, uint32_t index)
{
	struct store_message_id ids[STORE_BATCH_MAX];
	if (ahead->n > 0)
		ahead->window =
		        imap_ahead_window(ahead->window, STORE_BATCH_MAX, ahead->n, ahead->n_given);
	if (!ahead->indexes)
		ahead->indexes = base_alloc(STORE_BATCH_MAX * sizeof(ahead->indexes[0]));
	ahead->at = ahead->n_given = 0;
	ahead->n = choose(ahead, index, ids);
	ahead->batched = ahead->n > 1;
	if (!ahead->batched)
		return ok();
	imap_close_message(ahead->s); /* so that its memory can be used again */
	if (!ahead->batch)
		ahead->batch = store_batch_new(ahead->s->store);
	struct status status = store_batch_read(ahead->batch, ids, ahead->n, &ahead->n);
	if (!is_ok(status))
		ahead->n = 0;
	return status;
}

struct status imap_ahead_open(struct imap_ahead *ahead, uint32_t index)
{
	struct imap_session *s = ahead->s;
	const struct store_entry *entry = store_view_at(s->selected.view, index);
	struct store_blob *blob = NULL;
	if (imap_is_open(s, entry))
		return ok();
	while (ahead->at < ahead->n && ahead->indexes[ahead->at] < index)
		ahead->at++;
	if (ahead->at == ahead->n || ahead->indexes[ahead->at] != index)
		TRY(refill(ahead, index));
	ahead->n_given++;
	if (!ahead->batched)
		return imap_open_message(s, entry);
	TRY(store_batch_open(ahead->batch, ahead->at, &blob));
	imap_set_message(s, entry, blob);
	return ok();
}

/* ---- summaries ------------------------------------------------------------------------------ */

#define BYTES_ENOUGH ((size_t)256 * 1024)       /* of summaries at once */
#define BYTES_MAX    ((size_t)16 * 1024 * 1024) /* with the last one, however large */

void imap_summaries_init(struct imap_summaries *ahead, struct imap_session *s, unsigned columns,
                         size_t window, bool (*next)(void *context, uint32_t *index), void *context)
{
	*ahead = (struct imap_summaries){
	        .s = s, .columns = columns, .window = window, .next = next, .context = context};
	buf_init(&ahead->bytes, BYTES_MAX);
}

void imap_summaries_done(struct imap_summaries *ahead)
{
	buf_done(&ahead->bytes);
	base_free(ahead->rows);
	*ahead = (struct imap_summaries){0};
}

static bool is_chosen(void *context, uint32_t index, const struct store_entry *entry)
{
	struct imap_summaries *ahead = context;
	(void)entry;
	while (ahead->n_asked < ahead->n && ahead->rows[ahead->n_asked].index < index)
		ahead->n_asked++;
	return ahead->n_asked < ahead->n && ahead->rows[ahead->n_asked].index == index;
}

static struct status keep_summary(void *context, uint32_t index, const struct store_entry *entry,
                                  const struct store_summary *summary)
{
	struct imap_summaries *ahead = context;
	const struct slice columns[] = {summary->envelope, summary->bodystructure, summary->body};
	(void)entry;
	size_t i = ahead->n_kept;
	while (ahead->rows[i].index != index) /* those between are gone */
		i++;
	struct imap_summary_row *row = &ahead->rows[i];
	row->found = true;
	row->offset = ahead->bytes.n;
	row->sent_at = summary->sent_at;
	row->sent_day = summary->sent_day;
	for (size_t k = 0; k < N_ELEMENTS(columns); k++) {
		row->sizes[k] = columns[k].n;
		buf_add(&ahead->bytes, columns[k]);
	}
	ahead->n_kept = i + 1;
	if (buf_failed(&ahead->bytes))
		return fail(ERR_LIMIT, "a summary is too large");
	return ahead->bytes.n >= BYTES_ENOUGH ? fail(ERR_CANCELED, "enough for now") : ok();
}

static struct status refill_summaries(struct imap_summaries *ahead, uint32_t index)
{
	static const struct store_summary_ops ops = {is_chosen, keep_summary};
	if (ahead->n > 0)
		ahead->window = imap_ahead_window(ahead->window, IMAP_SUMMARIES_MAX, ahead->n,
		                                  ahead->n_given);
	if (!ahead->rows)
		ahead->rows = base_alloc(IMAP_SUMMARIES_MAX * sizeof(ahead->rows[0]));
	buf_reset(&ahead->bytes);
	ahead->n = ahead->at = ahead->n_given = ahead->n_asked = ahead->n_kept = 0;
	do
		ahead->rows[ahead->n++] = (struct imap_summary_row){.index = index};
	while (ahead->n < ahead->window && ahead->next(ahead->context, &index));
	struct status status =
	        store_summaries(ahead->s->store, ahead->s->selected.view, ahead->rows[0].index,
	                        ahead->rows[ahead->n - 1].index, ahead->columns, &ops, ahead);
	if (status.code == ERR_CANCELED) { /* the next ones are read when their turn comes */
		ahead->n = ahead->n_kept;
		return ok();
	}
	if (!is_ok(status))
		ahead->n = 0;
	return status;
}

struct status imap_summaries_get(struct imap_summaries *ahead, uint32_t index,
                                 struct store_summary *ret_summary)
{
	while (ahead->at < ahead->n && ahead->rows[ahead->at].index < index)
		ahead->at++;
	if (ahead->at == ahead->n || ahead->rows[ahead->at].index != index)
		TRY(refill_summaries(ahead, index));
	const struct imap_summary_row *row = &ahead->rows[ahead->at];
	ahead->n_given++;
	if (!row->found)
		return fail(ERR_NOT_FOUND, "the message was expunged");
	struct slice bytes = slice_from(buf_slice(&ahead->bytes), row->offset);
	*ret_summary = (struct store_summary){.sent_at = row->sent_at, .sent_day = row->sent_day};
	ret_summary->envelope = slice_sub(bytes, 0, row->sizes[0]);
	bytes = slice_from(bytes, row->sizes[0]);
	ret_summary->bodystructure = slice_sub(bytes, 0, row->sizes[1]);
	ret_summary->body = slice_sub(slice_from(bytes, row->sizes[1]), 0, row->sizes[2]);
	return ok();
}
