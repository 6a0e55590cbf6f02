/* A write transaction: requests stage their changes of entries, pages and mailbox rows are written
 * once before the commit, and after it the new views are made and shown.
 *
 * A request that fails is undone by giving each thing it staged its value of before (`owner` is the
 * number of the request that changed it last). SQL that a request ran itself is not undone here:
 * see writer.c.
 */
#include "store/store_private.h"

#include "os/fd.h"

void tx_begin(struct tx *tx, struct store *store, struct db *db)
{
	*tx = (struct tx){
	        .store = store,
	        .db = db,
	        .catalog = store->catalog,
	        .modseq = store->modseq,
	        .now_s = store_now(store),
	        .expunged_floor = store->expunged_floor,
	        .n_expunged = store->n_expunged,
	        .garbage = store->garbage,
	        .next_mailbox = store->next_mailbox,
	        .uid_validity = store->uid_validity,
	};
}

void tx_request_begin(struct tx *tx)
{
	tx->n_request++;
	tx->request_modseq = 0;
}

uint64_t tx_modseq(struct tx *tx)
{
	if (tx->request_modseq == 0)
		tx->request_modseq = ++tx->modseq;
	return tx->request_modseq;
}

/* ---- mailboxes ------------------------------------------------------------------------------ */

static struct staged *stage(struct tx *tx, struct mailbox *m)
{
	struct staged *staged = base_alloc(sizeof(*staged));
	staged->mailbox = m;
	staged->now = m->counts;
	staged->keywords = keywords_ref(m->keywords);
	staged->next = tx->staged;
	tx->staged = staged;
	pthread_mutex_lock(&tx->store->state_lock);
	if (m->view)
		staged->base = store_view_ref(m->view);
	pthread_mutex_unlock(&tx->store->state_lock);
	return staged;
}

static void own_mailbox(struct tx *tx, struct staged *staged)
{
	if (staged->owner == tx->n_request)
		return;
	staged->owner = tx->n_request;
	staged->before = staged->now;
	keywords_unref(staged->keywords_before);
	staged->keywords_before = keywords_ref(staged->keywords);
}

struct status tx_mailbox(struct tx *tx, struct store_mailbox_id id, struct staged **ret_staged)
{
	struct staged *staged = tx->staged;
	while (staged && staged->mailbox->id.v != id.v)
		staged = staged->next;
	if (!staged) {
		struct mailbox *m = catalog_get(tx->catalog, id);
		if (!m)
			return fail(ERR_NOT_FOUND, "no such mailbox");
		staged = stage(tx, m);
	}
	own_mailbox(tx, staged);
	*ret_staged = staged;
	return ok();
}

struct status tx_mailbox_whole(struct tx *tx, struct store_mailbox_id id,
                               struct staged **ret_staged)
{
	TRY(tx_mailbox(tx, id, ret_staged));
	return (*ret_staged)->base ? ok() : view_load(tx->db, id, &(*ret_staged)->base);
}

struct status tx_reload_catalog(struct tx *tx)
{
	ASSERT(!tx->new_catalog && !tx->staged);
	TRY(catalog_load(tx->db, &tx->new_catalog));
	tx->catalog = tx->new_catalog;
	return ok();
}

uint64_t tx_usage(const struct tx *tx)
{
	uint64_t size = tx->store->size;
	for (const struct staged *staged = tx->staged; staged; staged = staged->next)
		size += staged->now.size - staged->mailbox->counts.size;
	return size;
}

void tx_count(struct staged *staged, const struct store_entry *entry, bool add)
{
	uint32_t one = add ? 1 : UINT32_MAX; /* +1 or -1 */
	struct counts *counts = &staged->now;
	counts->n_messages += one;
	counts->n_unseen += entry->flags & STORE_SEEN ? 0 : one;
	counts->n_deleted += entry->flags & STORE_DELETED ? one : 0;
	counts->size += add ? entry->size : (uint64_t)0 - entry->size;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* Index of the first staged page with a number >= page_no. */
static size_t staged_from(const struct staged *staged, uint32_t page_no)
{
	size_t low = 0, high = staged->n_pages;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (staged->pages[middle].page_no < page_no)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct chunk *tx_next_page(const struct staged *staged, uint32_t page_no)
{
	const struct store_view *base = staged->base;
	size_t i = staged_from(staged, page_no);
	uint32_t j = view_chunk_from(base, page_no);
	for (;;) {
		bool has_staged = i < staged->n_pages, has_base = j < base->n_chunks;
		if (!has_staged)
			return has_base ? base->chunks[j] : NULL;
		if (has_base && base->chunks[j]->page_no < staged->pages[i].page_no)
			return base->chunks[j];
		if (staged->pages[i].now)
			return staged->pages[i].now;
		if (has_base && base->chunks[j]->page_no == staged->pages[i].page_no)
			j++;
		i++;
	}
}

/* A place for the page among the staged ones, owned by this request. */
static struct staged_page *own_page(struct tx *tx, struct staged *staged, uint32_t page_no)
{
	size_t i = staged_from(staged, page_no);
	if (i == staged->n_pages || staged->pages[i].page_no != page_no) {
		if (staged->n_pages == staged->pages_capacity) {
			staged->pages_capacity = MAX(staged->pages_capacity * 2, (size_t)4);
			staged->pages = base_realloc(
			        staged->pages, staged->pages_capacity * sizeof(staged->pages[0]));
		}
		memmove(&staged->pages[i + 1], &staged->pages[i],
		        (staged->n_pages - i) * sizeof(staged->pages[0]));
		staged->pages[i] = (struct staged_page){.page_no = page_no, .owner = tx->n_request};
		staged->n_pages++;
		return &staged->pages[i];
	}
	struct staged_page *page = &staged->pages[i];
	if (page->owner != tx->n_request) {
		if (page->had_before)
			chunk_unref(page->before);
		page->before = page->now;
		page->had_before = true;
		page->now = NULL;
		page->owner = tx->n_request;
	}
	return page;
}

void tx_put_page(struct tx *tx, struct staged *staged, uint32_t page_no, struct chunk *chunk)
{
	struct staged_page *page = own_page(tx, staged, page_no);
	chunk_unref(page->now);
	page->now = chunk;
	staged->changed = true;
}

/* The page as it is now, if this request owns it and it has room. */
static struct chunk *owned_page(const struct tx *tx, const struct staged *staged, uint32_t page_no,
                                uint32_t extra)
{
	size_t i = staged_from(staged, page_no);
	if (i == staged->n_pages || staged->pages[i].page_no != page_no ||
	    staged->pages[i].owner != tx->n_request)
		return NULL;
	struct chunk *chunk = staged->pages[i].now;
	return chunk && chunk->capacity - chunk->n >= extra ? chunk : NULL;
}

struct chunk *tx_write_page(struct tx *tx, struct staged *staged, const struct chunk *page,
                            uint32_t extra)
{
	struct chunk *own = owned_page(tx, staged, page->page_no, extra);
	if (own)
		return own;
	/* More than asked for: who adds one entry often adds the next. */
	struct chunk *copy = chunk_copy(page, extra == 0 ? 0 : MAX(extra, page->n / 4));
	tx_put_page(tx, staged, page->page_no, copy);
	return copy;
}

/* ---- adding entries ------------------------------------------------------------------------- */

/* The page that the next UID goes to, ready to take it. */
static struct status page_for_add(struct tx *tx, struct staged *staged, uint32_t page_no,
                                  struct chunk **ret_chunk)
{
	struct chunk *tail = staged->mailbox->tail, *loaded = NULL;
	size_t i = staged_from(staged, page_no);
	if (i < staged->n_pages && staged->pages[i].page_no == page_no) {
		if (staged->pages[i].now) {
			*ret_chunk = tx_write_page(tx, staged, staged->pages[i].now, 1);
			return ok();
		}
	} else if (staged->base) {
		uint32_t j = view_chunk_from(staged->base, page_no);
		if (j < staged->base->n_chunks)
			loaded = chunk_ref(staged->base->chunks[j]);
	} else if (tail && tail->page_no == page_no) {
		loaded = chunk_ref(tail);
	} else if (staged->now.n_messages > 0) {
		struct status status = page_load(tx->db, staged->mailbox->id, page_no, &loaded);
		if (!is_ok(status) && status.code != ERR_NOT_FOUND)
			return status;
	}
	if (loaded) {
		*ret_chunk = tx_write_page(tx, staged, loaded, 1);
		chunk_unref(loaded);
	} else {
		*ret_chunk = chunk_new(page_no, 1);
		tx_put_page(tx, staged, page_no, *ret_chunk);
	}
	return ok();
}

struct status tx_add_entry(struct tx *tx, struct staged *staged, struct store_entry *entry)
{
	struct chunk *chunk = NULL;
	if (staged->now.uid_next == UINT32_MAX)
		return fail(ERR_LIMIT, "the mailbox has no UIDs left");
	entry->uid.v = staged->now.uid_next;
	entry->modseq = tx_modseq(tx);
	entry->saved_at = tx->now_s;
	TRY(page_for_add(tx, staged, page_of_uid(entry->uid), &chunk));
	chunk->entries[chunk->n++] = *entry;
	staged->now.uid_next++;
	staged->now.modseq = entry->modseq;
	staged->changed = true;
	tx_count(staged, entry, true);
	return ok();
}

bool keyword_is_valid(struct slice name)
{
	if (name.n == 0 || name.n > STORE_KEYWORD_SIZE_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_print(name.p[i]) || name.p[i] == ' ')
			return false;
	return true;
}

static struct status check_keywords(const struct keywords *keywords, const struct slice *names,
                                    size_t n)
{
	size_t n_new = 0;
	for (size_t i = 0; i < n; i++) {
		if (names[i].n > STORE_KEYWORD_SIZE_MAX)
			return fail(ERR_LIMIT, "a keyword is too long");
		if (!keyword_is_valid(names[i]))
			return fail(ERR_INVALID, "a keyword holds a character that it must not");
		bool known = keywords_find(keywords, names[i]) >= 0;
		for (size_t j = 0; j < i && !known; j++)
			known = slice_ieq(names[i], names[j]);
		if (!known && keywords->n + ++n_new > STORE_KEYWORDS_MAX)
			return fail(ERR_LIMIT, "the mailbox has too many different keywords");
	}
	return ok();
}

static void add_keyword(struct tx *tx, struct staged *staged, struct slice name)
{
	struct slice names[STORE_KEYWORDS_MAX];
	struct keywords *old = staged->keywords;
	memcpy(names, old->names, old->n * sizeof(names[0]));
	names[old->n] = name;
	staged->keywords = keywords_new(names, old->n + 1);
	keywords_unref(old);
	staged->now.modseq = tx_modseq(tx);
	staged->changed = true;
}

struct status tx_keywords(struct tx *tx, struct staged *staged, const struct slice *names, size_t n,
                          uint64_t *ret_bits)
{
	uint64_t bits = 0;
	if (n > STORE_KEYWORDS_MAX)
		return fail(ERR_LIMIT, "too many keywords");
	TRY(check_keywords(staged->keywords, names, n));
	for (size_t i = 0; i < n; i++) {
		int bit = keywords_find(staged->keywords, names[i]);
		if (bit < 0) {
			add_keyword(tx, staged, names[i]);
			bit = keywords_find(staged->keywords, names[i]);
		}
		bits |= UINT64_C(1) << bit;
	}
	*ret_bits = bits;
	return ok();
}

void tx_unlink(struct tx *tx, int64_t id)
{
	if (tx->n_unlink == tx->unlink_capacity) {
		tx->unlink_capacity = MAX(tx->unlink_capacity * 2, (size_t)16);
		tx->unlink = base_realloc(tx->unlink, tx->unlink_capacity * sizeof(tx->unlink[0]));
	}
	tx->unlink[tx->n_unlink++] = id;
}

/* ---- undo, flush ---------------------------------------------------------------------------- */

static void undo_pages(const struct tx *tx, struct staged *staged)
{
	size_t kept = 0;
	for (size_t i = 0; i < staged->n_pages; i++) {
		struct staged_page *page = &staged->pages[i];
		if (page->owner == tx->n_request) {
			chunk_unref(page->now);
			if (!page->had_before)
				continue;
			page->now = page->before;
			page->before = NULL;
			page->had_before = false;
			page->owner = 0;
		}
		staged->pages[kept++] = *page;
	}
	staged->n_pages = kept;
}

void tx_request_undo(struct tx *tx)
{
	for (struct staged *staged = tx->staged; staged; staged = staged->next) {
		if (staged->owner != tx->n_request)
			continue;
		undo_pages(tx, staged);
		staged->now = staged->before;
		keywords_unref(staged->keywords);
		staged->keywords = staged->keywords_before;
		staged->keywords_before = NULL;
		staged->owner = 0;
	}
}

static struct status flush_page(struct tx *tx, const struct staged *staged,
                                const struct staged_page *page)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	uint8_t bytes[PAGE_SIZE_MAX];
	int64_t key = page_key(staged->mailbox->id, page->page_no);
	if (!page->now) {
		TRY(db_stmt(tx->db, "DELETE FROM page WHERE id = $1", &stmt));
		db_bind(stmt, 1, key);
		return db_run(stmt);
	}
	size_t n = page_encode(page->page_no, page->now->entries, page->now->n, bytes);
	TRY(db_stmt(tx->db,
	            "INSERT INTO page (id, entries) VALUES ($1, $2)"
	            " ON CONFLICT (id) DO UPDATE SET entries = excluded.entries",
	            &stmt));
	db_bind(stmt, 1, key);
	db_bind_bytes(stmt, 2, slice_of(bytes, n));
	return db_run(stmt);
}

static struct status flush_keywords(struct tx *tx, const struct staged *staged)
{
	for (size_t i = staged->mailbox->keywords->n; i < staged->keywords->n; i++) {
		CLEANUP(db_donep) struct db_stmt *stmt = NULL;
		TRY(db_stmt(tx->db, "INSERT INTO keyword (mailbox, bit, name) VALUES ($1, $2, $3)",
		            &stmt));
		db_bind(stmt, 1, staged->mailbox->id.v);
		db_bind(stmt, 2, (int64_t)i);
		db_bind_bytes(stmt, 3, staged->keywords->names[i]);
		TRY(db_run(stmt));
	}
	return ok();
}

static struct status flush_row(struct tx *tx, const struct staged *staged)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct counts *now = &staged->now;
	TRY(db_stmt(tx->db,
	            "UPDATE mailbox SET uid_next = $1, modseq = $2, next_message = $3,"
	            " n_messages = $4, n_unseen = $5, n_deleted = $6, size = $7 WHERE id = $8",
	            &stmt));
	db_bind(stmt, 1, now->uid_next);
	db_bind(stmt, 2, (int64_t)now->modseq);
	db_bind(stmt, 3, atomic_load(&tx->store->next_message));
	db_bind(stmt, 4, now->n_messages);
	db_bind(stmt, 5, now->n_unseen);
	db_bind(stmt, 6, now->n_deleted);
	db_bind(stmt, 7, (int64_t)now->size);
	db_bind(stmt, 8, staged->mailbox->id.v);
	return db_run(stmt);
}

struct status tx_flush(struct tx *tx)
{
	for (struct staged *staged = tx->staged; staged; staged = staged->next) {
		if (!staged->changed)
			continue;
		for (size_t i = 0; i < staged->n_pages; i++)
			TRY(flush_page(tx, staged, &staged->pages[i]));
		TRY(flush_keywords(tx, staged));
		TRY(flush_row(tx, staged));
	}
	return tx->account_changed ? account_save(tx->db, tx) : ok();
}

/* ---- after the commit ----------------------------------------------------------------------- */

/* The mailbox's next view: its chunks, with the staged pages in their places. */
static struct store_view *next_view(const struct staged *staged, const struct store_view *old)
{
	const struct mailbox *m = staged->mailbox;
	struct store_view *view = view_new(m->id, old->n_chunks + (uint32_t)staged->n_pages + 1);
	uint32_t j = 0;
	view->uid_validity = m->uid_validity;
	view->uid_next = staged->now.uid_next;
	view->modseq = staged->now.modseq;
	view->keywords = keywords_ref(staged->keywords);
	for (size_t i = 0; i < staged->n_pages; i++) {
		const struct staged_page *page = &staged->pages[i];
		for (; j < old->n_chunks && old->chunks[j]->page_no < page->page_no; j++)
			view_add_chunk(view, chunk_ref(old->chunks[j]));
		if (j < old->n_chunks && old->chunks[j]->page_no == page->page_no)
			j++;
		if (page->now)
			view_add_chunk(view, chunk_ref(page->now));
	}
	for (; j < old->n_chunks; j++)
		view_add_chunk(view, chunk_ref(old->chunks[j]));
	view_finish(view);
	return view;
}

static void publish_mailbox(struct store *store, struct staged *staged)
{
	struct mailbox *m = staged->mailbox;
	if (!staged->changed)
		return;
	store->size += staged->now.size - m->counts.size;
	store->n_messages += (uint64_t)staged->now.n_messages - m->counts.n_messages;
	m->counts = staged->now;
	keywords_unref(m->keywords);
	m->keywords = keywords_ref(staged->keywords);
	if (m->view) {
		struct store_view *old = m->view;
		m->view = next_view(staged, old);
		store_view_unref(old);
	}
	if (staged->n_pages > 0) {
		struct chunk *last = staged->pages[staged->n_pages - 1].now;
		chunk_unref(m->tail);
		m->tail = !m->view && last ? chunk_ref(last) : NULL;
	}
}

static void publish_catalog(struct tx *tx)
{
	struct store *store = tx->store;
	struct catalog *old = store->catalog;
	catalog_inherit(tx->new_catalog, old);
	store->catalog = tx->new_catalog;
	tx->new_catalog = NULL;
	catalog_free(old);
	store->size = 0;
	store->n_messages = 0;
	for (size_t i = 0; i < store->catalog->n; i++) {
		store->size += store->catalog->by_id[i]->counts.size;
		store->n_messages += store->catalog->by_id[i]->counts.n_messages;
	}
}

static void notify(struct store *store, const struct tx *tx, bool names)
{
	for (struct store_watcher *w = store->watchers; w; w = w->next) {
		bool told = w->mailbox.v == 0 && names;
		for (const struct staged *staged = tx->staged; staged && !told;
		     staged = staged->next)
			told = staged->changed &&
			       (w->mailbox.v == 0 || w->mailbox.v == staged->mailbox->id.v);
		told = told || (names && !catalog_get(store->catalog, w->mailbox));
		if (told)
			eventfd_signal(w->event_fd);
	}
}

void tx_publish(struct tx *tx)
{
	struct store *store = tx->store;
	bool names = tx->new_catalog != NULL;
	store->modseq = tx->modseq;
	store->expunged_floor = tx->expunged_floor;
	store->n_expunged = tx->n_expunged;
	store->garbage = tx->garbage;
	store->next_mailbox = tx->next_mailbox;
	store->uid_validity = tx->uid_validity;
	pthread_mutex_lock(&store->state_lock);
	if (names)
		publish_catalog(tx);
	for (struct staged *staged = tx->staged; staged; staged = staged->next)
		publish_mailbox(store, staged);
	notify(store, tx, names);
	pthread_mutex_unlock(&store->state_lock);
	for (size_t i = 0; i < tx->n_unlink; i++)
		blob_remove(&store->blobs, tx->unlink[i]);
}

void tx_done(struct tx *tx)
{
	for (struct staged *staged = tx->staged; staged;) {
		struct staged *next = staged->next;
		for (size_t i = 0; i < staged->n_pages; i++) {
			chunk_unref(staged->pages[i].now);
			chunk_unref(staged->pages[i].before);
		}
		store_view_unref(staged->base);
		keywords_unref(staged->keywords);
		keywords_unref(staged->keywords_before);
		base_free(staged->pages);
		base_free(staged);
		staged = next;
	}
	catalog_free(tx->new_catalog);
	base_free(tx->unlink);
	*tx = (struct tx){0};
}
