/* The names of an account in memory: loaded at open and again after each change of names. */
#include "store/store_private.h"

static int compare_names(const void *a, const void *b)
{
	const struct mailbox *const *left = a, *const *right = b;
	return slice_cmp((*left)->name, (*right)->name);
}

/* NULL for a row that no store writes. */
static struct mailbox *mailbox_new(struct db_stmt *stmt)
{
	struct slice name = db_bytes(stmt, 9);
	int64_t use = db_int(stmt, 8);
	if (name.n == 0 || name.n > STORE_NAME_MAX || use < 0 || use > STORE_USE_REJECTS)
		return NULL;
	struct mailbox *m = base_alloc(sizeof(*m) + name.n);
	memcpy(m->name_bytes, name.p, name.n);
	m->name = slice_of(m->name_bytes, name.n);
	m->id.v = db_int(stmt, 0);
	m->counts = (struct counts){
	        .uid_next = (uint32_t)db_int(stmt, 1),
	        .modseq = (uint64_t)db_int(stmt, 2),
	        .n_messages = (uint32_t)db_int(stmt, 3),
	        .n_unseen = (uint32_t)db_int(stmt, 4),
	        .n_deleted = (uint32_t)db_int(stmt, 5),
	        .size = (uint64_t)db_int(stmt, 6),
	};
	m->uid_validity = (uint32_t)db_int(stmt, 7);
	m->use = (enum store_special_use)use;
	return m;
}

static void mailbox_free(struct mailbox *m)
{
	keywords_unref(m->keywords);
	store_view_unref(m->view);
	chunk_unref(m->tail);
	base_free(m);
}

struct status keywords_load(struct db *db, struct store_mailbox_id id,
                            struct keywords **ret_keywords)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	/* Columns live for one step: the names are gathered in a buffer. */
	struct slice names[STORE_KEYWORDS_MAX];
	uint8_t bytes[STORE_KEYWORDS_MAX * STORE_KEYWORD_SIZE_MAX];
	size_t n = 0, used = 0;
	bool row = false;
	TRY(db_stmt(db, "SELECT bit, name FROM keyword WHERE mailbox = $1 ORDER BY bit", &stmt));
	db_bind(stmt, 1, id.v);
	TRY(db_step(stmt, &row));
	for (; row; n++) {
		struct slice name = db_bytes(stmt, 1);
		if (n == STORE_KEYWORDS_MAX || db_int(stmt, 0) != (int64_t)n ||
		    !keyword_is_valid(name))
			return fail(ERR_CORRUPT, "a mailbox's keyword list contradicts itself");
		memcpy(bytes + used, name.p, name.n);
		names[n] = slice_of(bytes + used, name.n);
		used += name.n;
		TRY(db_step(stmt, &row));
	}
	*ret_keywords = keywords_new(names, n);
	return ok();
}

static struct status load_mailboxes(struct db *db, struct catalog *catalog)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	size_t capacity = 0;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT id, uid_next, modseq, n_messages, n_unseen, n_deleted, size,"
	            " uid_validity, special_use, name FROM mailbox ORDER BY id",
	            &stmt));
	TRY(db_step(stmt, &row));
	while (row) {
		if (catalog->n == capacity) {
			capacity = MAX(capacity * 2, (size_t)8);
			catalog->by_id =
			        base_realloc(catalog->by_id, capacity * sizeof(catalog->by_id[0]));
		}
		struct mailbox *m = mailbox_new(stmt);
		if (!m)
			return fail(ERR_CORRUPT, "a mailbox's row contradicts itself");
		catalog->by_id[catalog->n++] = m;
		TRY(db_step(stmt, &row));
	}
	for (size_t i = 0; i < catalog->n; i++)
		TRY(keywords_load(db, catalog->by_id[i]->id, &catalog->by_id[i]->keywords));
	return ok();
}

static struct status load_subscriptions(struct db *db, struct catalog *catalog)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	size_t capacity = 0;
	bool row = false;
	TRY(db_stmt(db, "SELECT name FROM subscription ORDER BY name", &stmt));
	TRY(db_step(stmt, &row));
	while (row) {
		struct slice name = db_bytes(stmt, 0);
		uint8_t *copy = base_alloc(name.n);
		memcpy(copy, name.p, name.n);
		if (catalog->n_subscribed == capacity) {
			capacity = MAX(capacity * 2, (size_t)8);
			catalog->subscribed = base_realloc(
			        catalog->subscribed, capacity * sizeof(catalog->subscribed[0]));
		}
		catalog->subscribed[catalog->n_subscribed++] = slice_of(copy, name.n);
		TRY(db_step(stmt, &row));
	}
	return ok();
}

struct status catalog_load(struct db *db, struct catalog **ret_catalog)
{
	struct catalog *catalog = base_alloc(sizeof(*catalog));
	struct status status = load_mailboxes(db, catalog);
	if (is_ok(status))
		status = load_subscriptions(db, catalog);
	if (!is_ok(status)) {
		catalog_free(catalog);
		return status;
	}
	catalog->by_name = base_alloc(catalog->n * sizeof(catalog->by_name[0]));
	for (size_t i = 0; i < catalog->n; i++)
		catalog->by_name[i] = catalog->by_id[i];
	if (catalog->n > 0)
		qsort(catalog->by_name, catalog->n, sizeof(catalog->by_name[0]), compare_names);
	*ret_catalog = catalog;
	return ok();
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	for (size_t i = 0; i < catalog->n; i++)
		mailbox_free(catalog->by_id[i]);
	for (size_t i = 0; i < catalog->n_subscribed; i++)
		base_free((void *)(uintptr_t)catalog->subscribed[i].p);
	base_free(catalog->by_id);
	base_free(catalog->by_name);
	base_free(catalog->subscribed);
	base_free(catalog);
}

void catalog_inherit(struct catalog *catalog, struct catalog *old)
{
	for (size_t i = 0; i < catalog->n; i++) {
		struct mailbox *m = catalog->by_id[i], *before = catalog_get(old, m->id);
		if (!before)
			continue;
		m->view = before->view;
		m->tail = before->tail;
		m->used = before->used;
		before->view = NULL;
		before->tail = NULL;
	}
}

struct mailbox *catalog_get(const struct catalog *catalog, struct store_mailbox_id id)
{
	size_t low = 0, high = catalog->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (catalog->by_id[middle]->id.v < id.v)
			low = middle + 1;
		else
			high = middle;
	}
	return low < catalog->n && catalog->by_id[low]->id.v == id.v ? catalog->by_id[low] : NULL;
}

size_t catalog_from(const struct catalog *catalog, struct slice name)
{
	size_t low = 0, high = catalog->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slice_cmp(catalog->by_name[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct mailbox *catalog_find(const struct catalog *catalog, struct slice name)
{
	size_t i = catalog_from(catalog, name);
	return i < catalog->n && slice_eq(catalog->by_name[i]->name, name) ? catalog->by_name[i]
	                                                                   : NULL;
}

bool name_is_below(struct slice name, struct slice parent)
{
	return name.n > parent.n && name.p[parent.n] == '/' && slice_starts(name, parent);
}

/* Names below "a" start at "a/" and end before "a0". */
size_t catalog_children(const struct catalog *catalog, struct slice name, size_t *ret_end)
{
	uint8_t bound[STORE_NAME_MAX + 1];
	ASSERT(name.n <= STORE_NAME_MAX);
	memcpy(bound, name.p, name.n);
	bound[name.n] = '/';
	size_t first = catalog_from(catalog, slice_of(bound, name.n + 1));
	bound[name.n] = '/' + 1;
	*ret_end = catalog_from(catalog, slice_of(bound, name.n + 1));
	return first;
}

bool catalog_has_children(const struct catalog *catalog, struct slice name)
{
	size_t end = 0;
	return catalog_children(catalog, name, &end) < end;
}

bool catalog_is_subscribed(const struct catalog *catalog, struct slice name)
{
	size_t low = 0, high = catalog->n_subscribed;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slice_cmp(catalog->subscribed[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < catalog->n_subscribed && slice_eq(catalog->subscribed[low], name);
}
