/* What the files of the store share: its state, the catalog of mailboxes, write transactions.
 *
 * Threads. `state_lock` guards what readers see of the catalog: it is held for moments, never over
 * I/O. Whoever holds the writer (writer.c) is the only one that changes committed state and does so
 * under state_lock after its commit; it may read that state without the lock. Lock order: writer,
 * then state_lock.
 */
#pragma once

#include "store/blob.h"
#include "store/db.h"
#include "store/view.h"

#include <pthread.h>
#include <xxhash.h>

#define READERS_MAX           8u
#define INLINE_MAX_DEFAULT    (64 * KIB)
#define EXPUNGED_KEEP_DEFAULT 100000u
/* Mailboxes whose view stays in memory though nobody uses it. */
#define WARM_VIEWS_MAX  8u
#define SUMMARY_MAX     ((size_t)64 * 1024 * 1024) /* arena of one message's summary */
#define DELIVERY_ID_MAX 64u
#define DELIVERY_KEEP_S (24 * 3600)

/* What a change of entries changes in its mailbox's row. */
struct counts {
	uint32_t uid_next;
	uint32_t n_messages;
	uint32_t n_unseen;
	uint32_t n_deleted;
	uint64_t modseq;
	uint64_t size;
};

struct mailbox {
	struct store_mailbox_id id;
	enum store_special_use use;
	uint32_t uid_validity;
	struct counts counts;
	struct keywords *keywords;
	struct store_view *view; /* the newest, when warm */
	struct chunk *tail;      /* the last page, when written lately; only the writer's */
	uint64_t used;           /* tick of the last use of the view */
	struct slice name;
	uint8_t name_bytes[];
};

/* All names. Replaced as a whole when names change. */
struct catalog {
	struct mailbox **by_id;   /* ascending */
	struct mailbox **by_name; /* bytewise */
	size_t n;
	struct slice *subscribed; /* bytewise; each on the heap */
	size_t n_subscribed;
};

struct request;

struct store {
	struct store_options options;
	int dir_fd;
	char path[64]; /* of the index */
	struct blobs blobs;
	atomic_int_fast64_t next_message;
	atomic_bool failed; /* a sync failed: no more writing */

	pthread_mutex_t state_lock; /* guards, for readers: */
	struct catalog *catalog;
	struct store_watcher *watchers;
	uint64_t size; /* of all mailboxes */
	uint64_t n_messages;
	uint64_t tick;

	pthread_mutex_t writer_lock;   /* guards: */
	struct request *first, **last; /* waiting, in order */
	bool writing;

	/* Only the writer's: */
	struct db *writer; /* NULL until needed */
	uint64_t modseq;
	uint32_t uid_validity; /* last one given */
	int64_t next_mailbox;
	uint64_t expunged_floor; /* the log is complete after this modseq */
	uint64_t n_expunged;     /* UIDs in the log */
	bool garbage;            /* there may be messages to remove */
	int64_t pruned_at;       /* when old deliveries were removed last */
	int64_t sent_pruned_at;  /* the same of those who were written to */

	pthread_mutex_t reader_lock; /* guards: */
	pthread_cond_t reader_free;
	struct db *readers[READERS_MAX]; /* idle ones */
	size_t n_idle_readers;
	size_t n_readers; /* open ones */
};

/* ---- catalog.c ------------------------------------------------------------------------------ */

struct status catalog_load(struct db *db, struct catalog **ret_catalog);
void catalog_free(struct catalog *catalog); /* NULL is fine; views and tails too */
/* The new one gets the views that the old one holds. */
void catalog_inherit(struct catalog *catalog, struct catalog *old);
struct mailbox *catalog_get(const struct catalog *catalog, struct store_mailbox_id id);
struct mailbox *catalog_find(const struct catalog *catalog, struct slice name);
/* Index in by_name of the first name >= the given one. */
size_t catalog_from(const struct catalog *catalog, struct slice name);
/* Range in by_name of the mailboxes below a name, at any depth. */
size_t catalog_children(const struct catalog *catalog, struct slice name, size_t *ret_end);
bool name_is_below(struct slice name, struct slice parent);
struct status keywords_load(struct db *db, struct store_mailbox_id id,
                            struct keywords **ret_keywords);
bool catalog_has_children(const struct catalog *catalog, struct slice name);
bool catalog_is_subscribed(const struct catalog *catalog, struct slice name);

/* ---- readers.c ------------------------------------------------------------------------------ */

/* A reader connection for this thread; waits while all are in use. Give it back soon: never hold it
 * while a peer is waited for. */
struct status reader_take(struct store *store, struct db **ret_db);
void reader_give(struct store *store, struct db *db);
void readers_close(struct store *store); /* the idle ones */

/* ---- views.c -------------------------------------------------------------------------------- */

/* All of a mailbox's pages and its row, in one snapshot. NOT_FOUND. */
struct status view_load(struct db *db, struct store_mailbox_id id, struct store_view **ret_view);
struct status page_load(struct db *db, struct store_mailbox_id id, uint32_t page_no,
                        struct chunk **ret_chunk); /* NOT_FOUND */
/* Lets go of views that nobody uses: all, or down to WARM_VIEWS_MAX. Under state_lock. */
void views_drop(struct store *store, bool all);

/* Key of a page's row. */
static inline int64_t page_key(struct store_mailbox_id id, uint32_t page_no)
{
	return id.v << 24 | (int64_t)page_no;
}
#define PAGE_NO_MAX    ((UINT32_C(1) << 24) - 1)
#define MAILBOX_ID_MAX ((INT64_C(1) << 38) - 1)

/* ---- tx.c ----------------------------------------------------------------------------------- */

/* A page under change. */
struct staged_page {
	uint32_t page_no;
	uint32_t owner;       /* number of the request that made `now` */
	struct chunk *now;    /* NULL: the page is gone */
	struct chunk *before; /* what it was when its owner began */
	bool had_before;      /* else the page was not staged before */
};

/* A mailbox under change. */
struct staged {
	struct mailbox *mailbox;
	struct store_view *base; /* the view it started from; NULL when cold */
	struct counts now;
	struct counts before;
	struct keywords *keywords;
	struct keywords *keywords_before;
	uint32_t owner;
	bool had_before;
	bool changed;
	struct staged_page *pages; /* ascending */
	size_t n_pages, pages_capacity;
	struct staged *next;
};

struct tx {
	struct store *store;
	struct db *db;
	struct catalog *catalog;     /* the committed one, or new_catalog */
	struct catalog *new_catalog; /* NULL: names did not change */
	struct staged *staged;
	uint32_t n_request;      /* number of the request that runs, from 1 */
	uint64_t modseq;         /* last one given out */
	uint64_t request_modseq; /* 0 until the request asks */
	int64_t now_s;
	int64_t *unlink; /* files to remove after the commit */
	size_t n_unlink, unlink_capacity;
	uint64_t expunged_floor;
	uint64_t n_expunged;
	bool garbage;
	int64_t next_mailbox;
	uint32_t uid_validity;
	bool account_changed;
};

void tx_begin(struct tx *tx, struct store *store, struct db *db);
/* Between requests: what a failed one staged is undone. */
void tx_request_begin(struct tx *tx);
void tx_request_undo(struct tx *tx);
struct status tx_flush(struct tx *tx); /* writes what is staged to the index */
void tx_publish(struct tx *tx);        /* after the commit: readers see it */
void tx_done(struct tx *tx);           /* frees what is left, published or not */

/* After a change of names by SQL: from here on tx->catalog shows it. Once in a transaction. */
struct status tx_reload_catalog(struct tx *tx);
/* The mailbox, staged for changes. NOT_FOUND. */
struct status tx_mailbox(struct tx *tx, struct store_mailbox_id id, struct staged **ret_staged);
/* The same, with every page at hand (tx_next_page). */
struct status tx_mailbox_whole(struct tx *tx, struct store_mailbox_id id,
                               struct staged **ret_staged);
/* This request's modseq. */
uint64_t tx_modseq(struct tx *tx);
/* The first page >= page_no as it is now; NULL at the end. Needs tx_mailbox_whole. */
const struct chunk *tx_next_page(const struct staged *staged, uint32_t page_no);
/* A page for this request to change in place; `extra` entries may be added. Needs the page to be.
 */
struct chunk *tx_write_page(struct tx *tx, struct staged *staged, const struct chunk *page,
                            uint32_t extra);
/* Puts a new chunk in the place of the page; NULL removes it. Takes the reference. */
void tx_put_page(struct tx *tx, struct staged *staged, uint32_t page_no, struct chunk *chunk);
/* Adds an entry with the next UID; the caller sets all but uid, modseq and saved_at. */
struct status tx_add_entry(struct tx *tx, struct staged *staged, struct store_entry *entry);
/* Bits of keywords, those added to the mailbox's list that are new. LIMIT, INVALID; then none is.
 */
struct status tx_keywords(struct tx *tx, struct staged *staged, const struct slice *names, size_t n,
                          uint64_t *ret_bits);
/* The counters follow: an entry comes, goes. */
void tx_count(struct staged *staged, const struct store_entry *entry, bool add);
void tx_unlink(struct tx *tx, int64_t id);
uint64_t tx_usage(const struct tx *tx);

/* ---- writer.c ------------------------------------------------------------------------------- */

/* Something to do inside a transaction, in the thread of whoever holds the writer. `run` may be
 * called more than once, each time on a fresh transaction: it only sets its outputs. It fails
 * before its first SQL write, or for a reason of the environment. */
struct request {
	struct status (*run)(struct tx *tx, struct request *request);
	bool alone; /* it changes names: nothing else goes into its transaction */
	struct status status;
	bool done, leads;
	pthread_cond_t wake;
	struct request *next;
};

/* Blocks until the request is durable or has failed without effect. */
struct status writer_do(struct store *store, struct request *request);
struct status writer_open(struct store *store); /* by whoever holds the writer */
/* Unless somebody writes: empties the log, gives free pages back, closes the connection. */
void writer_rest(struct store *store, int n_shrink_pages);

/* ---- schema.c ------------------------------------------------------------------------------- */

#define SCHEMA_VERSION 3
/* Creates or migrates; *ret_new: there was nothing. UNSUPPORTED for a newer version than ours. */
struct status schema_open(struct db *db, int64_t now_s, bool *ret_new);
struct status account_load(struct db *db, struct store *store);
struct status account_save(struct db *db, const struct tx *tx);
struct status schema_add_mailbox(struct db *db, int64_t id, struct slice name,
                                 enum store_special_use use, uint32_t uid_validity,
                                 uint64_t modseq);
struct status schema_subscribe(struct db *db, struct slice name);

/* ---- spool.c -------------------------------------------------------------------------------- */

/* Reads bytes in memory followed by a file. */
struct span {
	struct store_reader reader; /* first: what its `read` is given */
	const struct blobs *blobs;
	struct slice head;
	int fd; /* -1: all is in memory */
};
void span_init(struct span *span, const struct blobs *blobs, struct slice head, int fd,
               uint64_t file_size);
struct span *span_of(const struct store_reader *reader);

/* A body's checksum: XXH3-128 of the body, then of the prefix. */
#define SUM_SIZE 16u
void sum_write(XXH128_hash_t hash, uint8_t ret_sum[SUM_SIZE]);
XXH3_state_t *sum_new(void); /* end with XXH3_freeState */

/* A file under way: hashed as it is written. */
struct body_file {
	struct store *store;
	int64_t id; /* 0: none */
	int fd;
	uint64_t size;
	XXH3_state_t *sum;
	bool sealed;
	bool taken; /* belongs to a message now */
};
struct status body_file_new(struct store *store, struct body_file *ret_file);
struct status body_file_write(struct body_file *file, struct slice bytes);
void body_file_done(struct body_file *file); /* removes it unless it is taken */

struct store_spool {
	struct span span;
	struct store *store;
	uint8_t *memory;
	size_t n_memory, capacity;
	struct body_file file; /* once the body outgrew the memory */
};

/* ---- content.c ------------------------------------------------------------------------------ */

struct status blob_load(struct store *store, struct db *db, struct store_message_id id,
                        struct store_blob **ret_blob);

/* A row of `content` but for its bytes. */
struct content_row {
	uint64_t size;
	size_t prefix_size;
	bool is_file;
	uint8_t sum[SUM_SIZE];
};
/* Of a statement whose columns are id, size, prefix_size, is_file, xxh3_128, bytes. CORRUPT when
 * they contradict each other. */
struct status content_row_read(struct db_stmt *stmt, struct content_row *ret_row,
                               struct slice *ret_bytes);

/* ---- batch.c -------------------------------------------------------------------------------- */

/* Bytes of messages that were read together: the batch's and its blobs', of one thread. */
struct piece {
	unsigned refs;
	size_t capacity;
	uint8_t bytes[];
};
void piece_unref(struct piece *piece); /* NULL is fine */
/* A blob on row->size bytes of the piece, which it shares. CORRUPT unless their checksum is right;
 * `state` is used for it. */
struct status blob_in_piece(const struct content_row *row, struct piece *piece, size_t offset,
                            XXH3_state_t *state, struct store_blob **ret_blob);

/* ---- summaries.c ---------------------------------------------------------------------------- */

/* Moves a statement "SELECT id, ... WHERE id >= $1 ORDER BY id", which stands on row *at (0:
 * nowhere), to the row of that id or past its place: by stepping where it is near enough. */
struct status rows_seek(struct db_stmt *stmt, int64_t id, int64_t steps_max, int64_t *at,
                        bool *ret_found);

/* ---- garbage.c ------------------------------------------------------------------------------ */

/* Entries of these messages went away: those that nobody else shows become garbage. */
struct status garbage_drop(struct tx *tx, const int64_t *messages, size_t n);
/* Removes up to n messages that nobody shows. */
struct status garbage_collect(struct tx *tx, size_t n);
/* One more entry shows the message. */
struct status reference_add(struct tx *tx, int64_t message);

/* ---- note.c ---------------------------------------------------------------------------------- */

struct status note_insert(struct tx *tx, int64_t message, struct slice note);
struct status note_remove(struct tx *tx, int64_t message);

/* ---- expunged.c, change.c -------------------------------------------------------------------- */

struct status expunged_add(struct tx *tx, struct store_mailbox_id id, const struct store_uid *uids,
                           size_t n);
struct status expunged_forget_mailbox(struct tx *tx, struct store_mailbox_id id);
/* Every message of `from` into `to`, with new UIDs. */
struct status tx_move_all(struct tx *tx, struct store_mailbox_id from, struct store_mailbox_id to);

/* ---- small things --------------------------------------------------------------------------- */

#define STORE_SYSTEM_FLAGS                                                                         \
	(STORE_SEEN | STORE_ANSWERED | STORE_FLAGGED | STORE_DELETED | STORE_DRAFT)

/* Failures that have nothing to do with the request. */
static inline bool err_is_environment(enum err code)
{
	return code == ERR_IO || code == ERR_NO_SPACE || code == ERR_CORRUPT || code == ERR_BUSY;
}

static inline int64_t store_now(const struct store *store)
{
	return clock_now_s(store->options.clock);
}
bool keyword_is_valid(struct slice name);
