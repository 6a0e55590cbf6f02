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
