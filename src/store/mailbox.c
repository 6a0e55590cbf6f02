/* Names: listing, making, deleting, renaming, subscribing (RFC 9051 sections 6.3.4 to 6.3.9).
 *
 * A change of names runs alone in its transaction: it checks against the catalog, changes the
 * tables and loads the catalog anew from them, all before the commit.
 */
#include "store/store_private.h"

/* ---- listing --------------------------------------------------------------------------------- */

struct name_list {
	struct arena *arena;
	struct store_mailbox *names;
	size_t n, capacity;
};

static void fill(struct store_mailbox *out, const struct mailbox *m)
{
	out->id = m->id;
	out->special_use = m->use;
	out->exists = true;
	out->uid_validity = m->uid_validity;
	out->uid_next = m->counts.uid_next;
	out->highest_modseq = m->counts.modseq;
	out->n_messages = m->counts.n_messages;
	out->n_unseen = m->counts.n_unseen;
	out->n_deleted = m->counts.n_deleted;
	out->size = m->counts.size;
}

/* m: NULL for a name without a mailbox. The name is copied at the end, when it is known to stay. */
static void add_name(struct name_list *list, struct slice name, const struct mailbox *m)
{
	if (list->n == list->capacity) {
		list->capacity = MAX(list->capacity * 2, (size_t)32);
		list->names = base_realloc(list->names, list->capacity * sizeof(list->names[0]));
	}
	list->names[list->n] = (struct store_mailbox){.name = name};
	if (m)
		fill(&list->names[list->n], m);
	list->n++;
}

/* Parents of names[i] that do not exist and that the name before it did not show already. */
static void add_missing_parents(struct name_list *list, const struct catalog *catalog, size_t i)
{
	struct slice name = catalog->by_name[i]->name;
	for (size_t at = 0; at < name.n; at++) {
		struct slice parent = slice_sub(name, 0, at);
		if (name.p[at] != '/' ||
		    (i > 0 && name_is_below(catalog->by_name[i - 1]->name, parent)))
			continue;
		if (!catalog_find(catalog, parent))
			add_name(list, parent, NULL);
	}
}

static int compare_listed(const void *a, const void *b)
{
	const struct store_mailbox *left = a, *right = b;
	bool left_first = left->special_use == STORE_USE_INBOX;
	bool right_first = right->special_use == STORE_USE_INBOX;
	if (left_first != right_first)
		return left_first ? -1 : 1;
	int order = slice_cmp(left->name, right->name);
	return order != 0 ? order : (int)right->exists - (int)left->exists;
}

static void gather_names(struct name_list *list, const struct catalog *catalog)
{
	for (size_t i = 0; i < catalog->n; i++) {
		add_name(list, catalog->by_name[i]->name, catalog->by_name[i]);
		add_missing_parents(list, catalog, i);
	}
	for (size_t i = 0; i < catalog->n_subscribed; i++)
		if (!catalog_find(catalog, catalog->subscribed[i]))
			add_name(list, catalog->subscribed[i], NULL);
	if (list->n > 0)
		qsort(list->names, list->n, sizeof(list->names[0]), compare_listed);
}

/* Removes doubles, copies to the arena. */
static struct status give_names(struct name_list *list, const struct catalog *catalog,
                                struct store_mailbox **ret_list, size_t *ret_n)
{
	struct store_mailbox *out = ARENA_ARRAY(list->arena, list->n, struct store_mailbox);
	size_t n = 0;
	for (size_t i = 0; i < list->n && out; i++) {
		struct store_mailbox *name = &list->names[i];
		if (i > 0 && slice_eq(name->name, list->names[i - 1].name))
			continue;
		out[n] = *name;
		out[n].has_children = catalog_has_children(catalog, name->name);
		out[n].subscribed = catalog_is_subscribed(catalog, name->name);
		out[n].name = arena_copy(list->arena, name->name);
		n++;
	}
	if (arena_failed(list->arena))
		return fail(ERR_LIMIT, "no memory left for the list of mailboxes");
	*ret_list = out;
	*ret_n = n;
	return ok();
}

struct status store_mailboxes(struct store *store, struct arena *arena,
                              struct store_mailbox **ret_list, size_t *ret_n)
{
	struct name_list list = {.arena = arena};
	pthread_mutex_lock(&store->state_lock);
	gather_names(&list, store->catalog);
	struct status status = give_names(&list, store->catalog, ret_list, ret_n);
	pthread_mutex_unlock(&store->state_lock);
	base_free(list.names);
	return status;
}

/* Under state_lock. */
static struct status describe(const struct store *store, const struct mailbox *m,
                              struct arena *arena, struct store_mailbox *ret_mailbox)
{
	if (!m)
		return fail(ERR_NOT_FOUND, "no such mailbox");
	struct store_mailbox out = {.name = arena_copy(arena, m->name)};
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no memory left for a mailbox name");
	fill(&out, m);
	out.has_children = catalog_has_children(store->catalog, m->name);
	out.subscribed = catalog_is_subscribed(store->catalog, m->name);
	*ret_mailbox = out;
	return ok();
}

struct status store_mailbox_find(struct store *store, struct slice name, struct arena *arena,
                                 struct store_mailbox *ret_mailbox)
{
	struct status status = store_name_normalize(name, arena, &name);
	if (!is_ok(status))
		return arena_failed(arena) ? status : fail(ERR_NOT_FOUND, "no such mailbox");
	pthread_mutex_lock(&store->state_lock);
	status = describe(store, catalog_find(store->catalog, name), arena, ret_mailbox);
	pthread_mutex_unlock(&store->state_lock);
	return status;
}

static const struct mailbox *holder_of(const struct catalog *catalog, enum store_special_use use)
{
	for (size_t i = 0; i < catalog->n && use != STORE_USE_NONE; i++)
		if (catalog->by_id[i]->use == use)
			return catalog->by_id[i];
	return NULL;
}

struct status store_mailbox_find_use(struct store *store, enum store_special_use use,
                                     struct arena *arena, struct store_mailbox *ret_mailbox)
{
	pthread_mutex_lock(&store->state_lock);
	struct status status = describe(store, holder_of(store->catalog, use), arena, ret_mailbox);
	pthread_mutex_unlock(&store->state_lock);
	return status;
}

struct status store_mailbox_get(struct store *store, struct store_mailbox_id id,
                                struct arena *arena, struct store_mailbox *ret_mailbox)
{
	pthread_mutex_lock(&store->state_lock);
	struct status status = describe(store, catalog_get(store->catalog, id), arena, ret_mailbox);
	pthread_mutex_unlock(&store->state_lock);
	return status;
}

/* ---- making ---------------------------------------------------------------------------------- */

#define NAME_ARENA ((size_t)64 * 1024)

struct name_request {
	struct request request;
	struct slice name, to; /* normalized */
	enum store_special_use use;
	bool take_use;
	bool subscribed;
	struct store_mailbox_id id;
};

static uint32_t next_uid_validity(struct tx *tx)
{
	uint32_t now = tx->now_s > 0 && tx->now_s < INT32_MAX ? (uint32_t)tx->now_s : 1;
	tx->uid_validity = MAX(tx->uid_validity + 1, now);
	return tx->uid_validity;
}

static struct status add_one(struct tx *tx, struct slice name, enum store_special_use use,
                             struct store_mailbox_id *ret_id)
{
	if (tx->next_mailbox > MAILBOX_ID_MAX)
		return fail(ERR_LIMIT, "the account has no mailbox ids left");
	ret_id->v = tx->next_mailbox++;
	tx->account_changed = true;
	return schema_add_mailbox(tx->db, ret_id->v, name, use, next_uid_validity(tx),
	                          tx_modseq(tx));
}

/* Mailboxes that creating `name` adds: itself and its missing parents. */
static size_t count_missing(const struct tx *tx, struct slice name)
{
	size_t n = 1;
	for (size_t at = 0; at < name.n; at++)
		n += name.p[at] == '/' && !catalog_find(tx->catalog, slice_sub(name, 0, at));
	return n;
}

static struct status add_parents(struct tx *tx, struct slice name)
{
	struct store_mailbox_id id;
	for (size_t at = 0; at < name.n; at++) {
		struct slice parent = slice_sub(name, 0, at);
		if (name.p[at] == '/' && !catalog_find(tx->catalog, parent))
			TRY(add_one(tx, parent, STORE_USE_NONE, &id));
	}
	return ok();
}

static struct status set_use(struct tx *tx, struct store_mailbox_id id, enum store_special_use use)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "UPDATE mailbox SET special_use = $1 WHERE id = $2", &stmt));
	db_bind(stmt, 1, use);
	db_bind(stmt, 2, id.v);
	return db_run(stmt);
}

static struct status run_create(struct tx *tx, struct request *request)
{
	struct name_request *r = (struct name_request *)request;
	if (catalog_find(tx->catalog, r->name))
		return fail(ERR_EXISTS, "the mailbox exists");
	if (holder_of(tx->catalog, r->use))
		return fail(ERR_EXISTS, "another mailbox has that special use");
	if (tx->catalog->n + count_missing(tx, r->name) > STORE_MAILBOXES_MAX)
		return fail(ERR_LIMIT, "the account has too many mailboxes");
	TRY(add_parents(tx, r->name));
	TRY(add_one(tx, r->name, r->use, &r->id));
	return tx_reload_catalog(tx);
}

static struct status do_named(struct store *store, struct slice name, struct slice to,
                              struct name_request *r)
{
	struct arena arena;
	arena_init(&arena, NAME_ARENA);
	struct status status = store_name_normalize(name, &arena, &r->name);
	if (is_ok(status) && to.n > 0)
		status = store_name_normalize(to, &arena, &r->to);
	r->request.alone = true;
	if (is_ok(status))
		status = writer_do(store, &r->request);
	arena_done(&arena);
	return status;
}

struct status store_mailbox_create(struct store *store, struct slice name,
                                   enum store_special_use use, struct store_mailbox_id *ret_id)
{
	struct name_request r = {.request.run = run_create, .use = use};
	if (use == STORE_USE_INBOX || use > STORE_USE_REJECTS)
		return fail(ERR_INVALID, "no mailbox can be given that special use");
	TRY(do_named(store, name, slice_empty(), &r));
	*ret_id = r.id;
	return ok();
}

/* ---- deleting -------------------------------------------------------------------------------- */

static struct status run_with_id(struct db *db, const char *sql, int64_t id)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, sql, &stmt));
	db_bind(stmt, 1, id);
	return db_run(stmt);
}

static struct status delete_pages(struct tx *tx, struct store_mailbox_id id)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "DELETE FROM page WHERE id >= $1 AND id <= $2", &stmt));
	db_bind(stmt, 1, page_key(id, 0));
	db_bind(stmt, 2, page_key(id, PAGE_NO_MAX));
	return db_run(stmt);
}

/* Its messages become garbage unless another mailbox shows them. */
static struct status drop_messages(struct tx *tx, struct store_mailbox_id id)
{
	struct store_view *view = NULL;
	TRY(view_load(tx->db, id, &view));
	int64_t *messages = base_alloc(view->n_entries * sizeof(messages[0]));
	for (uint32_t i = 0; i < view->n_entries; i++)
		messages[i] = store_view_at(view, i)->message.v;
	struct status status = garbage_drop(tx, messages, view->n_entries);
	base_free(messages);
	store_view_unref(view);
	return status;
}

static struct status run_delete(struct tx *tx, struct request *request)
{
	const struct name_request *r = (const struct name_request *)request;
	const struct mailbox *m = catalog_find(tx->catalog, r->name);
	if (!m)
		return fail(ERR_NOT_FOUND, "no such mailbox");
	if (m->use == STORE_USE_INBOX)
		return fail(ERR_DENIED, "the Inbox cannot be deleted");
	struct store_mailbox_id id = m->id;
	TRY(drop_messages(tx, id));
	TRY(delete_pages(tx, id));
	TRY(run_with_id(tx->db, "DELETE FROM keyword WHERE mailbox = $1", id.v));
	TRY(expunged_forget_mailbox(tx, id));
	TRY(run_with_id(tx->db, "DELETE FROM mailbox WHERE id = $1", id.v));
	(void)tx_modseq(tx);
	tx->account_changed = true; /* the counters that only its row may have held */
	return tx_reload_catalog(tx);
}

struct status store_mailbox_delete(struct store *store, struct slice name)
{
	struct name_request r = {.request.run = run_delete};
	return do_named(store, name, slice_empty(), &r);
}

/* ---- renaming -------------------------------------------------------------------------------- */

static struct status set_name(struct tx *tx, struct store_mailbox_id id, struct slice name)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "UPDATE mailbox SET name = $1 WHERE id = $2", &stmt));
	db_bind_bytes(stmt, 1, name);
	db_bind(stmt, 2, id.v);
	return db_run(stmt);
}

/* The new name of a mailbox under the renamed one; false past the limits. */
static bool new_name(const struct name_request *r, struct slice old,
                     uint8_t out[static STORE_NAME_MAX], size_t *ret_n)
{
	struct slice rest = slice_from(old, r->name.n);
	size_t n = r->to.n + rest.n, depth = 1;
	if (n > STORE_NAME_MAX)
		return false;
	memcpy(out, r->to.p, r->to.n);
	memcpy(out + r->to.n, rest.p, rest.n);
	for (size_t i = 0; i < n; i++)
		depth += out[i] == '/';
	*ret_n = n;
	return depth <= STORE_NAME_DEPTH_MAX;
}

static bool moves(const struct name_request *r, struct slice name)
{
	return slice_eq(name, r->name) || name_is_below(name, r->name);
}

static struct status check_new_name(const struct tx *tx, const struct name_request *r,
                                    const struct mailbox *m)
{
	uint8_t name[STORE_NAME_MAX];
	size_t n = 0;
	if (!new_name(r, m->name, name, &n))
		return fail(ERR_LIMIT, "a mailbox below it would get too long a name");
	const struct mailbox *there = catalog_find(tx->catalog, slice_of(name, n));
	if (there && !moves(r, there->name))
		return fail(ERR_EXISTS, "a mailbox with the new name exists");
	return ok();
}

/* In two steps, so that no name is used twice in between. */
static struct status rename_all(struct tx *tx, const struct name_request *r, struct mailbox **moved,
                                size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char between[32];
		int size = snprintf(between, sizeof(between), "/%" PRId64, moved[i]->id.v);
		TRY(set_name(tx, moved[i]->id, slice_of(between, (size_t)size)));
	}
	for (size_t i = 0; i < n; i++) {
		uint8_t name[STORE_NAME_MAX];
		size_t size = 0;
		ASSERT(new_name(r, moved[i]->name, name, &size));
		TRY(set_name(tx, moved[i]->id, slice_of(name, size)));
	}
	return ok();
}

/* Parents of the new name that neither exist nor come into being by the renaming itself. */
static struct status add_new_parents(struct tx *tx, const struct name_request *r)
{
	struct store_mailbox_id id;
	for (size_t at = 0; at < r->to.n; at++) {
		struct slice parent = slice_sub(r->to, 0, at);
		if (r->to.p[at] != '/')
			continue;
		const struct mailbox *there = catalog_find(tx->catalog, parent);
		if (!there || moves(r, there->name))
			TRY(add_one(tx, parent, STORE_USE_NONE, &id));
	}
	return ok();
}

/* RFC 9051 section 6.3.6: the messages go, Inbox stays, what is below it stays too. */
static struct status rename_inbox(struct tx *tx, struct name_request *r)
{
	struct store_mailbox_id inbox = catalog_find(tx->catalog, r->name)->id;
	if (tx->catalog->n + count_missing(tx, r->to) > STORE_MAILBOXES_MAX)
		return fail(ERR_LIMIT, "the account has too many mailboxes");
	TRY(add_parents(tx, r->to));
	TRY(add_one(tx, r->to, STORE_USE_NONE, &r->id));
	TRY(tx_reload_catalog(tx));
	return tx_move_all(tx, inbox, r->id);
}

static struct status run_rename(struct tx *tx, struct request *request)
{
	struct name_request *r = (struct name_request *)request;
	struct mailbox *self = catalog_find(tx->catalog, r->name);
	size_t end = 0, first = catalog_children(tx->catalog, r->name, &end), n = 0;
	if (!self && first == end)
		return fail(ERR_NOT_FOUND, "no such mailbox");
	if (catalog_find(tx->catalog, r->to) || slice_eq(r->name, r->to))
		return fail(ERR_EXISTS, "a mailbox with the new name exists");
	if (self && self->use == STORE_USE_INBOX)
		return rename_inbox(tx, r);
	if (name_is_below(r->to, r->name))
		return fail(ERR_INVALID, "a mailbox cannot move below itself");
	if (tx->catalog->n + count_missing(tx, r->to) > STORE_MAILBOXES_MAX + 1)
		return fail(ERR_LIMIT, "the account has too many mailboxes");
	CLEANUP(base_freep)
	struct mailbox **moved = base_alloc((end - first + 1) * sizeof(moved[0]));
	if (self)
		moved[n++] = self;
	for (size_t i = first; i < end; i++)
		moved[n++] = tx->catalog->by_name[i];
	for (size_t i = 0; i < n; i++)
		TRY(check_new_name(tx, r, moved[i]));
	TRY(rename_all(tx, r, moved, n));
	TRY(add_new_parents(tx, r));
	(void)tx_modseq(tx);
	tx->account_changed = true;
	return tx_reload_catalog(tx);
}

struct status store_mailbox_rename(struct store *store, struct slice from, struct slice to)
{
	struct name_request r = {.request.run = run_rename};
	if (to.n == 0)
		return fail(ERR_INVALID, "the mailbox name is empty");
	return do_named(store, from, to, &r);
}

/* ---- special use, subscriptions -------------------------------------------------------------- */

static struct status run_set_use(struct tx *tx, struct request *request)
{
	const struct name_request *r = (const struct name_request *)request;
	const struct mailbox *m = catalog_find(tx->catalog, r->name);
	const struct mailbox *holder = holder_of(tx->catalog, r->use);
	if (!m)
		return fail(ERR_NOT_FOUND, "no such mailbox");
	if (m->use == STORE_USE_INBOX)
		return fail(ERR_DENIED, "the Inbox stays the Inbox");
	if (holder && holder != m && !r->take_use)
		return fail(ERR_EXISTS, "another mailbox has that special use");
	if (holder)
		TRY(set_use(tx, holder->id, STORE_USE_NONE));
	TRY(set_use(tx, m->id, r->use));
	return tx_reload_catalog(tx);
}

struct status store_mailbox_set_use(struct store *store, struct slice name,
                                    enum store_special_use use, bool take_use)
{
	struct name_request r = {.request.run = run_set_use, .use = use, .take_use = take_use};
	if (use == STORE_USE_INBOX || use > STORE_USE_REJECTS)
		return fail(ERR_INVALID, "no mailbox can be given that special use");
	return do_named(store, name, slice_empty(), &r);
}

static struct status run_subscribe(struct tx *tx, struct request *request)
{
	const struct name_request *r = (const struct name_request *)request;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	if (catalog_is_subscribed(tx->catalog, r->name) == r->subscribed)
		return ok();
	if (r->subscribed) {
		if (tx->catalog->n_subscribed >= STORE_MAILBOXES_MAX)
			return fail(ERR_LIMIT, "the account has too many subscriptions");
		TRY(schema_subscribe(tx->db, r->name));
		return tx_reload_catalog(tx);
	}
	TRY(db_stmt(tx->db, "DELETE FROM subscription WHERE name = $1", &stmt));
	db_bind_bytes(stmt, 1, r->name);
	TRY(db_run(stmt));
	return tx_reload_catalog(tx);
}

struct status store_subscribe(struct store *store, struct slice name, bool subscribed)
{
	struct name_request r = {.request.run = run_subscribe, .subscribed = subscribed};
	return do_named(store, name, slice_empty(), &r);
}
