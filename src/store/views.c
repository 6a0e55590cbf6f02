/* Loading views from the index and keeping the newest of each mailbox in use.
 *
 * A cold view is read by a reader connection while writing goes on, so it may be behind (or,
 * between a commit and its publication, ahead of) what the catalog says. It is installed only when
 * its modseq is the catalog's; after some vain tries it is loaded by whoever holds the writer, when
 * nothing can change.
 */
#include "store/store_private.h"

#define LOAD_TRIES 3

struct status page_load(struct db *db, struct store_mailbox_id id, uint32_t page_no,
                        struct chunk **ret_chunk)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT entries FROM page WHERE id = $1", &stmt));
	db_bind(stmt, 1, page_key(id, page_no));
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "no such page of mailbox entries");
	return chunk_decode(page_no, db_bytes(stmt, 0), ret_chunk);
}

static struct status load_row(struct db *db, struct store_view *view, uint32_t *ret_n_messages)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT uid_validity, uid_next, modseq, n_messages FROM mailbox WHERE id = $1",
	            &stmt));
	db_bind(stmt, 1, view->mailbox.v);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "no such mailbox");
	view->uid_validity = (uint32_t)db_int(stmt, 0);
	view->uid_next = (uint32_t)db_int(stmt, 1);
	view->modseq = (uint64_t)db_int(stmt, 2);
	*ret_n_messages = (uint32_t)db_int(stmt, 3);
	return keywords_load(db, view->mailbox, &view->keywords);
}

static struct status load_pages(struct db *db, struct store_view *view)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT id, entries FROM page WHERE id >= $1 AND id <= $2 ORDER BY id",
	            &stmt));
	db_bind(stmt, 1, page_key(view->mailbox, 0));
	db_bind(stmt, 2, page_key(view->mailbox, PAGE_NO_MAX));
	TRY(db_step(stmt, &row));
	while (row) {
		struct chunk *chunk = NULL;
		uint32_t page_no = (uint32_t)db_int(stmt, 0) & PAGE_NO_MAX;
		TRY(chunk_decode(page_no, db_bytes(stmt, 1), &chunk));
		view_add_chunk(view, chunk);
		TRY(db_step(stmt, &row));
	}
	return ok();
}

struct status view_load(struct db *db, struct store_mailbox_id id, struct store_view **ret_view)
{
	uint32_t n_messages = 0;
	if (id.v <= 0 || id.v > MAILBOX_ID_MAX)
		return fail(ERR_NOT_FOUND, "no such mailbox");
	struct store_view *view = view_new(id, 1);
	struct status status = load_row(db, view, &n_messages);
	if (is_ok(status))
		status = load_pages(db, view);
	view_finish(view);
	if (is_ok(status) && n_messages != view->n_entries)
		status = fail(ERR_CORRUPT, "a mailbox's count differs from its entries");
	if (is_ok(status) && view->n_entries > 0 &&
	    store_view_at(view, view->n_entries - 1)->uid.v >= view->uid_next)
		status = fail(ERR_CORRUPT, "a mailbox holds a UID that it has not given out");
	if (!is_ok(status)) {
		store_view_unref(view);
		return status;
	}
	*ret_view = view;
	return ok();
}

static void drop_view(struct mailbox *m)
{
	store_view_unref(m->view);
	m->view = NULL;
}

static bool view_is_idle(const struct mailbox *m)
{
	/* A count of one is ours; others get references under state_lock only. */
	return m->view && atomic_load_explicit(&m->view->refs, memory_order_acquire) == 1;
}

void views_drop(struct store *store, bool all)
{
	for (;;) {
		size_t n_idle = 0;
		struct mailbox *oldest = NULL;
		for (size_t i = 0; i < store->catalog->n; i++) {
			struct mailbox *m = store->catalog->by_id[i];
			if (!view_is_idle(m))
				continue;
			n_idle++;
			if (!oldest || m->used < oldest->used)
				oldest = m;
		}
		if (n_idle <= (all ? 0 : WARM_VIEWS_MAX))
			return;
		drop_view(oldest);
	}
}

/* The warm view with a reference, or NULL; NOT_FOUND. */
static struct status take_warm(struct store *store, struct store_mailbox_id id,
                               struct store_view **ret_view)
{
	pthread_mutex_lock(&store->state_lock);
	struct mailbox *m = catalog_get(store->catalog, id);
	*ret_view = m && m->view ? store_view_ref(m->view) : NULL;
	if (m)
		m->used = ++store->tick;
	pthread_mutex_unlock(&store->state_lock);
	return m ? ok() : fail(ERR_NOT_FOUND, "no such mailbox");
}

/* Makes the view the mailbox's newest if it is; takes a second reference then. */
static bool install(struct store *store, struct store_view *view)
{
	bool current = false;
	pthread_mutex_lock(&store->state_lock);
	struct mailbox *m = catalog_get(store->catalog, view->mailbox);
	if (m && m->counts.modseq == view->modseq) {
		current = true;
		if (!m->view)
			m->view = store_view_ref(view);
		views_drop(store, false);
	}
	pthread_mutex_unlock(&store->state_lock);
	return current;
}

static struct status load_by_reader(struct store *store, struct store_mailbox_id id,
                                    struct store_view **ret_view)
{
	struct db *db = NULL;
	TRY(reader_take(store, &db));
	struct status status = db_begin(db);
	if (is_ok(status))
		status = view_load(db, id, ret_view);
	db_rollback(db);
	reader_give(store, db);
	return status;
}

struct load_request {
	struct request request;
	struct store_mailbox_id id;
	struct store_view *view;
};

static struct status run_load(struct tx *tx, struct request *request)
{
	struct load_request *load = (struct load_request *)request;
	struct staged *staged = NULL;
	store_view_unref(load->view);
	load->view = NULL;
	TRY(tx_mailbox(tx, load->id, &staged));
	if (staged->base) {
		load->view = store_view_ref(staged->base);
		return ok();
	}
	TRY(view_load(tx->db, load->id, &load->view));
	(void)install(tx->store, load->view);
	return ok();
}

static struct status load_by_writer(struct store *store, struct store_mailbox_id id,
                                    struct store_view **ret_view)
{
	struct load_request load = {.request = {.run = run_load}, .id = id};
	struct status status = writer_do(store, &load.request);
	if (!is_ok(status)) {
		store_view_unref(load.view);
		return status;
	}
	*ret_view = load.view;
	return ok();
}

struct status store_view_open(struct store *store, struct store_mailbox_id id,
                              struct store_view **ret_view)
{
	for (int i = 0; i < LOAD_TRIES; i++) {
		struct store_view *view = NULL;
		TRY(take_warm(store, id, &view));
		if (!view) {
			TRY(load_by_reader(store, id, &view));
			if (!install(store, view)) {
				store_view_unref(view);
				continue;
			}
		}
		*ret_view = view;
		return ok();
	}
	return load_by_writer(store, id, ret_view);
}
