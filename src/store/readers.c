/* Reader connections: opened when first needed, at most READERS_MAX, shared by all threads. With
 * WAL they see the last commit and never wait for the writer. */
#include "store/store_private.h"

struct status reader_take(struct store *store, struct db **ret_db)
{
	pthread_mutex_lock(&store->reader_lock);
	while (store->n_idle_readers == 0 && store->n_readers == READERS_MAX)
		pthread_cond_wait(&store->reader_free, &store->reader_lock);
	if (store->n_idle_readers > 0) {
		*ret_db = store->readers[--store->n_idle_readers];
		pthread_mutex_unlock(&store->reader_lock);
		return ok();
	}
	store->n_readers++;
	pthread_mutex_unlock(&store->reader_lock);
	struct status status = db_open(store->path, store->options.vfs, DB_READER, ret_db);
	if (!is_ok(status)) {
		pthread_mutex_lock(&store->reader_lock);
		store->n_readers--;
		pthread_cond_signal(&store->reader_free);
		pthread_mutex_unlock(&store->reader_lock);
	}
	return status;
}

void reader_give(struct store *store, struct db *db)
{
	pthread_mutex_lock(&store->reader_lock);
	store->readers[store->n_idle_readers++] = db;
	pthread_cond_signal(&store->reader_free);
	pthread_mutex_unlock(&store->reader_lock);
}

void readers_close(struct store *store)
{
	for (;;) {
		struct db *db = NULL;
		pthread_mutex_lock(&store->reader_lock);
		if (store->n_idle_readers > 0) {
			db = store->readers[--store->n_idle_readers];
			store->n_readers--;
		}
		pthread_mutex_unlock(&store->reader_lock);
		if (!db)
			return;
		db_close(db);
	}
}
