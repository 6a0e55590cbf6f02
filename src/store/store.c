/* Opening, closing and resting; watchers; usage. */
#include "store/store_private.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Removals in one transaction of an idle store: others wait for no more than that. */
#define IDLE_REMOVALS     256u
#define IDLE_SHRINK_PAGES 1024

void store_prepare_process(void)
{
	db_prepare_process();
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The index's path: relative when the account's directory is the working directory (as in a room
 * behind chroot, which has no /proc), else through the descriptor. */
static struct status set_path(struct store *store)
{
	struct stat dir, here;
	if (fstat(store->dir_fd, &dir) != 0)
		return fail_errno(errno, "cannot look at the account's directory");
	if (stat(".", &here) == 0 && dir.st_dev == here.st_dev && dir.st_ino == here.st_ino)
		snprintf(store->path, sizeof(store->path), "index.db");
	else
		snprintf(store->path, sizeof(store->path), "/proc/self/fd/%d/index.db",
		         store->dir_fd);
	return ok();
}

/* A directory opened anew, so that the lock is this store's own. */
static struct status lock_dir(struct store *store, int dir_fd)
{
	store->dir_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0)
		return fail_errno(errno, "cannot open the account's directory");
	if (flock(store->dir_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
		               ? fail(ERR_BUSY, "the account is open elsewhere")
		               : fail_errno(errno, "cannot lock the account's directory");
	return ok();
}

static void set_defaults(struct store_options *options)
{
	if (options->inline_max == 0)
		options->inline_max = INLINE_MAX_DEFAULT;
	if (options->expunged_keep == 0)
		options->expunged_keep = EXPUNGED_KEEP_DEFAULT;
}

struct sweep {
	struct store *store;
	struct db_stmt *stmt;
};

static struct status sweep_file(void *context, int64_t id, const char *name)
{
	struct sweep *sweep = context;
	bool row = false;
	(void)name;
	if (id == 0)
		return ok(); /* not ours: verify reports it */
	db_bind(sweep->stmt, 1, id);
	struct status status = db_step(sweep->stmt, &row);
	db_done(sweep->stmt);
	if (is_ok(status) && !row)
		blob_remove(&sweep->store->blobs, id);
	return status;
}

static struct status sweep_files(struct store *store)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(store->writer, "SELECT id FROM content WHERE id = $1 AND is_file = 1", &stmt));
	struct sweep sweep = {store, stmt};
	return blobs_list(&store->blobs, sweep_file, &sweep);
}

static struct status load(struct store *store)
{
	bool is_new = false, sweep = false;
	TRY(writer_open(store));
	TRY(schema_open(store->writer, store_now(store), &is_new));
	TRY(account_load(store->writer, store));
	TRY(catalog_load(store->writer, &store->catalog));
	for (size_t i = 0; i < store->catalog->n; i++) {
		store->size += store->catalog->by_id[i]->counts.size;
		store->n_messages += store->catalog->by_id[i]->counts.n_messages;
	}
	TRY(blobs_init(&store->blobs, store->dir_fd, store->options.blob_io, &sweep));
	return sweep ? sweep_files(store) : ok();
}

struct status store_open(int dir_fd, const struct store_options *options, struct store **ret_store)
{
	struct store *store = base_alloc(sizeof(*store));
	store->options = *options;
	store->dir_fd = -1;
	store->blobs.fd = -1;
	store->last = &store->first;
	set_defaults(&store->options);
	pthread_mutex_init(&store->state_lock, NULL);
	pthread_mutex_init(&store->writer_lock, NULL);
	pthread_mutex_init(&store->reader_lock, NULL);
	pthread_cond_init(&store->reader_free, NULL);
	struct status status = lock_dir(store, dir_fd);
	if (is_ok(status))
		status = set_path(store);
	if (is_ok(status))
		status = load(store);
	if (!is_ok(status)) {
		store_close(store);
		return status;
	}
	*ret_store = store;
	return ok();
}

void store_close(struct store *store)
{
	if (!store)
		return;
	ASSERT(!store->writing && !store->watchers);
	readers_close(store);
	db_close(store->writer);
	catalog_free(store->catalog);
	blobs_done(&store->blobs);
	fd_close(&store->dir_fd);
	pthread_mutex_destroy(&store->state_lock);
	pthread_mutex_destroy(&store->writer_lock);
	pthread_mutex_destroy(&store->reader_lock);
	pthread_cond_destroy(&store->reader_free);
	base_free(store);
}

/* ---- resting --------------------------------------------------------------------------------- */

static struct status run_collect(struct tx *tx, struct request *request)
{
	(void)request;
	return tx->garbage ? garbage_collect(tx, IDLE_REMOVALS) : ok();
}

struct rest_request {
	struct request request;
	bool more;
};

/* Nothing to change; `garbage` is only to be read by whoever holds the writer. */
static struct status run_look(struct tx *tx, struct request *request)
{
	((struct rest_request *)request)->more = tx->garbage;
	return ok();
}

static struct status collect_all(struct store *store)
{
	for (;;) {
		struct rest_request look = {.request = {.run = run_look}};
		struct request collect = {.run = run_collect, .alone = true};
		TRY(writer_do(store, &look.request));
		if (!look.more)
			return ok();
		TRY(writer_do(store, &collect));
	}
}

struct status store_idle(struct store *store)
{
	struct status status = collect_all(store);
	readers_close(store);
	pthread_mutex_lock(&store->state_lock);
	views_drop(store, true);
	pthread_mutex_unlock(&store->state_lock);
	writer_rest(store, IDLE_SHRINK_PAGES);
	malloc_trim(0);
	return status;
}

/* ---- being told ------------------------------------------------------------------------------ */

struct status store_watch(struct store *store, struct store_mailbox_id id, struct store_watcher *w)
{
	w->owns_fd = w->event_fd < 0;
	if (w->owns_fd)
		TRY(eventfd_new(&w->event_fd));
	w->mailbox = id;
	pthread_mutex_lock(&store->state_lock);
	w->next = store->watchers;
	w->link = &store->watchers;
	if (w->next)
		w->next->link = &w->next;
	store->watchers = w;
	pthread_mutex_unlock(&store->state_lock);
	return ok();
}

void store_unwatch(struct store *store, struct store_watcher *w)
{
	if (!w->link)
		return;
	pthread_mutex_lock(&store->state_lock);
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	pthread_mutex_unlock(&store->state_lock);
	w->link = NULL;
	if (w->owns_fd)
		fd_close(&w->event_fd);
}

struct status store_usage(struct store *store, struct store_usage *ret_usage)
{
	pthread_mutex_lock(&store->state_lock);
	*ret_usage = (struct store_usage){
	        .size = store->size,
	        .quota = store->options.quota_size,
	        .n_messages = store->n_messages,
	};
	pthread_mutex_unlock(&store->state_lock);
	return ok();
}
