/* SQLite behind db.h.
 *
 * Durability: WAL with synchronous=FULL syncs the log at each commit, before it returns. The index
 * file itself is synced by checkpoints, which we run by hand (no autocheckpoint inside a commit).
 * Temporary files stay in memory: the room may open none. No memory map: an I/O error must be an
 * error code, not a signal. Deleted text is not overwritten (secure_delete off): that would write
 * every page of every removed body once more.
 */
#include "store/db.h"

#include <pthread.h>
#include <sqlite3.h>

/* "mkp1": tells our files from other SQLite files. */
#define APPLICATION_ID 0x6d6b7031
#define STATEMENTS_MAX 64
/* In KiB, as PRAGMA cache_size takes them, while in use; store_idle closes connections. */
#define WRITER_CACHE_KIB 1024
#define READER_CACHE_KIB 256
/* Connections of this process get in each other's way for moments while one opens or closes. */
#define BUSY_TIMEOUT_MS 10000

struct db_stmt {
	sqlite3_stmt *raw;
	const char *sql;
	struct db *db;
	int bind_rc; /* first failure of a bind */
};

struct db {
	sqlite3 *raw;
	struct db_stmt stmts[STATEMENTS_MAX];
	size_t n_stmts;
	int log_pages;
	bool sync_failed;
};

static struct status db_fail(struct db *db, int rc)
{
	const char *why = sqlite3_errstr(rc);
	switch (rc & 0xff) {
	case SQLITE_OK:
		return ok();
	case SQLITE_FULL:
		return fail(ERR_NO_SPACE, why);
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
			db->sync_failed = true;
		return fail(ERR_IO, why);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
		return fail(ERR_CORRUPT, why);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return fail(ERR_BUSY, "the index is in use by another process");
	case SQLITE_TOOBIG:
		return fail(ERR_LIMIT, why);
	default:
		return fail(ERR_IO, why);
	}
}

static void set_up_sqlite(void)
{
	/* Failures leave SQLite's defaults, which work too. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	(void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 128, 32);
	(void)sqlite3_initialize();
}

void db_prepare_process(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up_sqlite);
}

static int count_log_pages(void *context, sqlite3 *raw, const char *name, int n_pages)
{
	struct db *db = context;
	(void)raw;
	(void)name;
	db->log_pages = n_pages;
	return SQLITE_OK;
}

static struct status pragma_value(struct db *db, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->raw, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? ok() : db_fail(db, rc);
}

/* Pragmas take no parameters. */
static struct status exec_number(struct db *db, const char *pragma, int64_t value)
{
	char sql[128];
	snprintf(sql, sizeof(sql), "PRAGMA %s=%" PRId64, pragma, value);
	return db_exec(db, sql);
}

static struct status check_owner(struct db *db)
{
	int64_t id = 0, version = 0;
	TRY(pragma_value(db, "PRAGMA application_id", &id));
	TRY(db_schema_version(db, &version));
	if (id == 0 && version == 0)
		return exec_number(db, "application_id", APPLICATION_ID);
	if (id != APPLICATION_ID)
		return fail(ERR_CORRUPT, "index.db is another program's database");
	return ok();
}

static struct status set_up_writer(struct db *db)
{
	/* Before the file has any page. */
	TRY(db_exec(db, "PRAGMA page_size=4096"));
	TRY(db_exec(db, "PRAGMA auto_vacuum=INCREMENTAL"));
	TRY(db_exec(db, "PRAGMA journal_mode=WAL"));
	TRY(db_exec(db, "PRAGMA synchronous=FULL"));
	TRY(db_exec(db, "PRAGMA wal_autocheckpoint=0"));
	TRY(db_exec(db, "PRAGMA journal_size_limit=4194304"));
	TRY(db_exec(db, "PRAGMA secure_delete=OFF"));
	sqlite3_wal_hook(db->raw, count_log_pages, db);
	return check_owner(db);
}

static struct status set_up(struct db *db, enum db_mode mode)
{
	(void)sqlite3_extended_result_codes(db->raw, 1);
	(void)sqlite3_busy_timeout(db->raw, BUSY_TIMEOUT_MS);
	(void)sqlite3_db_config(db->raw, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db->raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	TRY(db_exec(db, "PRAGMA temp_store=MEMORY"));
	TRY(db_exec(db, "PRAGMA mmap_size=0"));
	TRY(exec_number(db, "cache_size",
	                mode == DB_WRITER ? -WRITER_CACHE_KIB : -READER_CACHE_KIB));
	if (mode == DB_WRITER)
		return set_up_writer(db);
	return db_exec(db, "PRAGMA query_only=ON");
}

struct status db_open(const char *path, const char *vfs, enum db_mode mode, struct db **ret_db)
{
	db_prepare_process();
	struct db *db = base_alloc(sizeof(*db));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	if (mode == DB_WRITER)
		flags |= SQLITE_OPEN_CREATE;
	int rc = sqlite3_open_v2(path, &db->raw, flags, vfs ? vfs : "unix-excl");
	struct status status = rc == SQLITE_OK ? set_up(db, mode) : db_fail(db, rc);
	if (!is_ok(status)) {
		db_close(db);
		return status;
	}
	*ret_db = db;
	return ok();
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < db->n_stmts; i++)
		sqlite3_finalize(db->stmts[i].raw);
	if (sqlite3_close(db->raw) != SQLITE_OK)
		BUG("an index connection is closed while in use");
	base_free(db);
}

struct status db_exec(struct db *db, const char *sql)
{
	return db_fail(db, sqlite3_exec(db->raw, sql, NULL, NULL, NULL));
}

struct status db_begin(struct db *db)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "BEGIN", &stmt));
	return db_run(stmt);
}

struct status db_commit(struct db *db)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "COMMIT", &stmt));
	return db_run(stmt);
}

void db_rollback(struct db *db)
{
	/* Some failures have rolled back already. A failure of the rollback itself leaves nothing
	 * committed; the next begin would tell. */
	if (!sqlite3_get_autocommit(db->raw))
		(void)sqlite3_exec(db->raw, "ROLLBACK", NULL, NULL, NULL);
}

bool db_sync_failed(const struct db *db)
{
	return db->sync_failed;
}

struct status db_checkpoint(struct db *db, bool truncate)
{
	int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
	int n_log = 0, n_done = 0;
	int rc = sqlite3_wal_checkpoint_v2(db->raw, NULL, mode, &n_log, &n_done);
	if (rc == SQLITE_BUSY) /* a reader holds some of it: later */
		return ok();
	if (rc == SQLITE_OK && n_log == n_done)
		db->log_pages = 0;
	return db_fail(db, rc);
}

int db_log_pages(const struct db *db)
{
	return db->log_pages;
}

struct status db_shrink(struct db *db, int n_pages)
{
	return exec_number(db, "incremental_vacuum", n_pages);
}

struct status db_schema_version(struct db *db, int64_t *ret_version)
{
	return pragma_value(db, "PRAGMA user_version", ret_version);
}

struct status db_set_schema_version(struct db *db, int64_t version)
{
	return exec_number(db, "user_version", version);
}

struct status db_check(struct db *db, void (*problem)(void *context, const char *text),
                       void *context)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->raw, "PRAGMA integrity_check(100)", -1, &stmt, NULL);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(stmt);
		if (rc != SQLITE_ROW)
			break;
		const char *text = (const char *)sqlite3_column_text(stmt, 0);
		if (text && strcmp(text, "ok") != 0)
			problem(context, text);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? ok() : db_fail(db, rc);
}

struct status db_stmt(struct db *db, const char *sql, struct db_stmt **ret_stmt)
{
	for (size_t i = 0; i < db->n_stmts; i++)
		if (db->stmts[i].sql == sql) {
			*ret_stmt = &db->stmts[i];
			return ok();
		}
	ASSERT(db->n_stmts < STATEMENTS_MAX);
	struct db_stmt *stmt = &db->stmts[db->n_stmts];
	int rc = sqlite3_prepare_v3(db->raw, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->raw, NULL);
	if (rc != SQLITE_OK)
		return db_fail(db, rc);
	stmt->sql = sql;
	stmt->db = db;
	db->n_stmts++;
	*ret_stmt = stmt;
	return ok();
}

void db_done(struct db_stmt *stmt)
{
	if (!stmt)
		return;
	(void)sqlite3_reset(stmt->raw); /* its code repeats the step's, which was handled */
	(void)sqlite3_clear_bindings(stmt->raw);
	stmt->bind_rc = SQLITE_OK;
}

static void note_bind(struct db_stmt *stmt, int rc)
{
	if (stmt->bind_rc == SQLITE_OK)
		stmt->bind_rc = rc;
}

void db_bind(struct db_stmt *stmt, int parameter, int64_t value)
{
	note_bind(stmt, sqlite3_bind_int64(stmt->raw, parameter, value));
}

void db_bind_bytes(struct db_stmt *stmt, int parameter, struct slice bytes)
{
	note_bind(stmt, sqlite3_bind_blob64(stmt->raw, parameter, bytes.p, bytes.n, SQLITE_STATIC));
}

void db_bind_text(struct db_stmt *stmt, int parameter, struct slice text)
{
	note_bind(stmt, sqlite3_bind_text64(stmt->raw, parameter, (const char *)text.p, text.n,
	                                    SQLITE_STATIC, SQLITE_UTF8));
}

struct status db_step(struct db_stmt *stmt, bool *ret_row)
{
	int rc = stmt->bind_rc == SQLITE_OK ? sqlite3_step(stmt->raw) : stmt->bind_rc;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return db_fail(stmt->db, rc);
	*ret_row = rc == SQLITE_ROW;
	return ok();
}

struct status db_run(struct db_stmt *stmt)
{
	bool row = false;
	struct status status = db_step(stmt, &row);
	while (is_ok(status) && row)
		status = db_step(stmt, &row);
	db_done(stmt);
	return status;
}

void db_again(struct db_stmt *stmt)
{
	(void)sqlite3_reset(stmt->raw);
}

int64_t db_int(struct db_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->raw, column);
}

struct slice db_bytes(struct db_stmt *stmt, int column)
{
	const void *p = sqlite3_column_blob(stmt->raw, column);
	int n = sqlite3_column_bytes(stmt->raw, column);
	return slice_of(p, p ? (size_t)n : 0);
}
