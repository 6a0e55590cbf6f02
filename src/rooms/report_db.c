/* See report_db.h. The only file of these with SQL dialect (WITHOUT ROWID, INTEGER PRIMARY KEY).
 * Instants are seconds since 1970, texts UTF-8.
 *
 *   sts_policy  policies of MTA-STS as the courier prints them, opaque here (report_policies.c)
 *   batch       ids of facts that were added in the last day (report_facts.c, as the next five)
 *   period      a stretch of time that is reported about; ended 0: facts are added to it
 *   topic       what is told to one domain of one period: a report of one kind
 *   policy      a policy that its facts were measured by, packed
 *   fact        sessions or messages that have all of `form` in common, packed; how many
 *   report      what becomes of a topic when its period has ended (report_outbox.c, as the next)
 *   dispatch    a message or a POST: one destination of a report
 *   received    reports about our domains that others sent (report_received.c)
 */
#include "rooms/report_db.h"

#include <pthread.h>

#define LOG_PAGES_MAX 1000
#define SHRINK_PAGES  10000

static const char *const version_1[] = {
        "CREATE TABLE sts_policy (domain TEXT PRIMARY KEY, size INTEGER NOT NULL,"
        " used_at INTEGER NOT NULL, form BLOB NOT NULL)",
        "CREATE INDEX sts_policy_used ON sts_policy (used_at)",
        "CREATE TABLE batch (id BLOB PRIMARY KEY, added_at INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE period (id INTEGER PRIMARY KEY, begin_at INTEGER NOT NULL,"
        " end_at INTEGER NOT NULL, ended INTEGER NOT NULL, n_facts INTEGER NOT NULL,"
        " n_dropped INTEGER NOT NULL)",
        "CREATE TABLE topic (id INTEGER PRIMARY KEY, period INTEGER NOT NULL,"
        " kind INTEGER NOT NULL, domain TEXT NOT NULL, wanted INTEGER NOT NULL,"
        " n_facts INTEGER NOT NULL, n_dropped INTEGER NOT NULL, UNIQUE (period, kind, domain))",
        "CREATE TABLE policy (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, form BLOB NOT NULL,"
        " UNIQUE (topic, form))",
        "CREATE TABLE fact (policy INTEGER NOT NULL, form BLOB NOT NULL, count INTEGER NOT NULL,"
        " PRIMARY KEY (policy, form)) WITHOUT ROWID",
        "CREATE TABLE report (topic INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
        " next_at INTEGER NOT NULL, give_up_at INTEGER NOT NULL, n_tries INTEGER NOT NULL,"
        " why TEXT NOT NULL)",
        "CREATE INDEX report_next ON report (state, next_at)",
        "CREATE TABLE dispatch (topic INTEGER NOT NULL, n INTEGER NOT NULL,"
        " policy INTEGER NOT NULL, state INTEGER NOT NULL, uri TEXT NOT NULL, address TEXT NOT "
        "NULL,"
        " size_max INTEGER NOT NULL, report_id TEXT NOT NULL, due_at INTEGER NOT NULL, begun_at "
        "INTEGER NOT NULL,"
        " ended_at INTEGER NOT NULL, next_at INTEGER NOT NULL, n_tries INTEGER NOT NULL,"
        " why TEXT NOT NULL, PRIMARY KEY (topic, n)) WITHOUT ROWID",
        "CREATE INDEX dispatch_next ON dispatch (state, next_at)",
};

static const char *const version_2[] = {
        "CREATE TABLE received (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL,"
        " domain TEXT NOT NULL, organization TEXT NOT NULL, report_id TEXT NOT NULL,"
        " contact TEXT NOT NULL, account TEXT NOT NULL, begin_at INTEGER NOT NULL,"
        " end_at INTEGER NOT NULL, received_at INTEGER NOT NULL, n_good INTEGER NOT NULL,"
        " n_bad INTEGER NOT NULL, authentic INTEGER NOT NULL, size INTEGER NOT NULL,"
        " form BLOB NOT NULL, UNIQUE (kind, domain, organization, report_id))",
        "CREATE INDEX received_age ON received (authentic, received_at, id)",
};

static const struct version {
	const char *const *statements;
	size_t n;
} versions[] = {
        {version_1, N_ELEMENTS(version_1)},
        {version_2, N_ELEMENTS(version_2)},
};

struct report_db {
	pthread_mutex_t lock; /* guards the connection */
	char *path, *vfs;     /* vfs NULL: the real one */
	struct db *db;        /* NULL after a failed sync */
};

static struct status migrate(struct db *db, int64_t from)
{
	for (size_t v = (size_t)from; v < N_ELEMENTS(versions); v++)
		for (size_t i = 0; i < versions[v].n; i++)
			TRY(db_exec(db, versions[v].statements[i]));
	return db_set_schema_version(db, (int64_t)N_ELEMENTS(versions));
}

static struct status in_transaction(struct db *db, struct status (*run)(struct db *, void *),
                                    void *context)
{
	TRY(db_begin(db));
	struct status status = run(db, context);
	if (is_ok(status))
		status = db_commit(db);
	if (!is_ok(status))
		db_rollback(db);
	return status;
}

static struct status run_migration(struct db *db, void *context)
{
	return migrate(db, *(const int64_t *)context);
}

static struct status prepare(struct db *db)
{
	int64_t version = 0;
	TRY(db_schema_version(db, &version));
	if (version < 0 || (size_t)version > N_ELEMENTS(versions))
		return fail(ERR_UNSUPPORTED,
		            "the database of reports was written by a newer release");
	if ((size_t)version < N_ELEMENTS(versions))
		TRY(in_transaction(db, run_migration, &version));
	/* After a crash or a failed sync: the file itself is written and synced first. */
	return db_checkpoint(db, true);
}

static struct status connect_db(struct report_db *db)
{
	struct db *opened = NULL;
	if (db->db)
		return ok();
	TRY(db_open(db->path, db->vfs, DB_WRITER, &opened));
	struct status status = prepare(opened);
	if (!is_ok(status)) {
		db_close(opened);
		return status;
	}
	db->db = opened;
	return ok();
}

struct status report_db_open(const char *path, const char *vfs, struct report_db **ret_db)
{
	struct report_db *db = base_alloc(sizeof(*db));
	pthread_mutex_init(&db->lock, NULL);
	db->path = base_strdup(path);
	db->vfs = vfs ? base_strdup(vfs) : NULL;
	struct status status = connect_db(db);
	if (!is_ok(status)) {
		report_db_close(db);
		return status;
	}
	*ret_db = db;
	return ok();
}

void report_db_close(struct report_db *db)
{
	if (!db)
		return;
	if (db->db)
		(void)db_checkpoint(db->db, true); /* else the next start does it */
	db_close(db->db);
	pthread_mutex_destroy(&db->lock);
	base_free(db->path);
	base_free(db->vfs);
	base_free(db);
}

/* Nothing is written any more by a connection that does not know what is on the disk. */
static void drop_broken(struct report_db *db)
{
	if (!db->db || !db_sync_failed(db->db))
		return;
	db_close(db->db);
	db->db = NULL;
}

struct status report_db_change(struct report_db *db, struct status (*run)(struct db *, void *),
                               void *context)
{
	pthread_mutex_lock(&db->lock);
	struct status status = connect_db(db);
	if (is_ok(status)) {
		status = in_transaction(db->db, run, context);
		/* Its failure loses nothing: the log still has the pages. */
		if (is_ok(status) && db_log_pages(db->db) >= LOG_PAGES_MAX)
			(void)db_checkpoint(db->db, false);
	}
	drop_broken(db);
	pthread_mutex_unlock(&db->lock);
	return status;
}

struct status report_db_shrink(struct report_db *db)
{
	pthread_mutex_lock(&db->lock);
	struct status status = connect_db(db);
	if (is_ok(status))
		status = db_shrink(db->db, SHRINK_PAGES);
	if (is_ok(status))
		status = db_checkpoint(db->db, true);
	drop_broken(db);
	pthread_mutex_unlock(&db->lock);
	return status;
}

struct status report_db_read(struct report_db *db, struct status (*run)(struct db *, void *),
                             void *context)
{
	pthread_mutex_lock(&db->lock);
	struct status status = connect_db(db);
	if (is_ok(status))
		status = db_begin(db->db);
	if (is_ok(status)) {
		status = run(db->db, context);
		db_rollback(db->db);
	}
	drop_broken(db);
	pthread_mutex_unlock(&db->lock);
	return status;
}

struct status report_db_totals(struct db *db, const char *sql, int64_t *ret_n, int64_t *ret_size)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, sql, &stmt));
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_CORRUPT, "the database of reports cannot be counted");
	*ret_n = db_int(stmt, 0);
	*ret_size = db_int(stmt, 1);
	return ok();
}
