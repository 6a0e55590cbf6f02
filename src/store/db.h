/* One connection to the account's index: cached statements, bound parameters, statuses.
 *
 * The only file that knows SQLite's C interface. SQL elsewhere in this folder keeps to what SQLite
 * and PostgreSQL share ($1 parameters in ascending order, ON CONFLICT, RETURNING); schema.c alone
 * holds dialect. A connection belongs to one thread at a time.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

struct db;
struct db_stmt;

enum db_mode { DB_WRITER, DB_READER };

/* Sets SQLite up for many small accounts (no memory statistics, small page caches). Once a process;
 * store_open does it, a zygote may do it before it forks. */
void db_prepare_process(void);

/* path: of the index. vfs: NULL for the real one. The real one takes the file for this process
 * alone, so that the WAL index stays in memory and locks cost no system calls. BUSY when another
 * process has it. */
struct status db_open(const char *path, const char *vfs, enum db_mode mode, struct db **ret_db);
void db_close(struct db *db); /* NULL is fine */

struct status db_begin(struct db *db);  /* readers: a snapshot from the first read on */
struct status db_commit(struct db *db); /* durable when it returns OK (writers) */
void db_rollback(struct db *db);        /* also when nothing is open */
struct status db_exec(struct db *db, const char *sql); /* fixed statements without parameters */

/* True once a sync has failed on this connection: what is on disk is unknown from then on. */
bool db_sync_failed(const struct db *db);

/* Copies committed pages from the log into the index file. `truncate` empties the log file too;
 * otherwise readers under way only limit how far it gets. */
struct status db_checkpoint(struct db *db, bool truncate);
/* Pages in the log after the last commit. */
int db_log_pages(const struct db *db);
/* Gives up to n_pages free pages back to the file system, inside a transaction of its own. */
struct status db_shrink(struct db *db, int n_pages);

struct status db_schema_version(struct db *db, int64_t *ret_version);
struct status db_set_schema_version(struct db *db, int64_t version); /* part of the transaction */
/* Structural check of the whole file; each finding is reported. */
struct status db_check(struct db *db, void (*problem)(void *context, const char *text),
                       void *context);

/* The statement for this SQL literal (its address is the key), reset and without parameters. It
 * stays the connection's. End with db_done, or by scope with CLEANUP(db_donep). */
struct status db_stmt(struct db *db, const char *sql, struct db_stmt **ret_stmt);
void db_done(struct db_stmt *stmt);
static inline void db_donep(struct db_stmt **stmt)
{
	db_done(*stmt);
}

/* Parameters, from 1. Bytes must stay valid until db_done or the next db_again. */
void db_bind(struct db_stmt *stmt, int parameter, int64_t value);
void db_bind_bytes(struct db_stmt *stmt, int parameter, struct slice bytes);
void db_bind_text(struct db_stmt *stmt, int parameter, struct slice text);

/* The next row: *ret_row false at the end. Columns are valid until the next step. */
struct status db_step(struct db_stmt *stmt, bool *ret_row);
/* For statements that return nothing; ready for new parameters afterwards. */
struct status db_run(struct db_stmt *stmt);
void db_again(struct db_stmt *stmt); /* from the start, parameters kept */

int64_t db_int(struct db_stmt *stmt, int column); /* from 0 */
struct slice db_bytes(struct db_stmt *stmt, int column);
