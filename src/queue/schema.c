/* The queue's tables. The only file here with SQL dialect (WITHOUT ROWID, INTEGER PRIMARY KEY).
 * Times are milliseconds since 1970, texts UTF-8.
 *
 *   counter     one row: every id given out is below next_id
 *   message     a submission: envelope, facts, prefix; n_users counts its entries and notices
 *   body        bytes of those messages whose body is not in a file
 *   entry       one recipient that is to be served
 *   attempt     history of an entry, waiting or retired
 *   retired     entries that ended; base is the recipient as suppression sees it
 *   submission  ids of the last day's submissions and the entries they got
 *   notice      what a sender is still to be told, about the recipients in `told`
 *   hold_rule, suppression
 */
#include "queue/queue_private.h"

#define SCHEMA_VERSION 3

static const char *const tables[] = {
        "CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), next_id INTEGER NOT NULL)",
        "CREATE TABLE message (id INTEGER PRIMARY KEY, uid BLOB NOT NULL, account TEXT NOT NULL,"
        " sender TEXT NOT NULL, from_address TEXT NOT NULL, message_id TEXT NOT NULL,"
        " subject TEXT NOT NULL, refs BLOB NOT NULL, prefix BLOB NOT NULL, envid TEXT NOT NULL,"
        " size INTEGER NOT NULL, flags INTEGER NOT NULL, ret INTEGER NOT NULL,"
        " submitted_at INTEGER NOT NULL, deliver_by INTEGER NOT NULL, by_mode INTEGER NOT NULL,"
        " priority INTEGER NOT NULL, n_users INTEGER NOT NULL, is_file INTEGER NOT NULL,"
        " xxh3_128 BLOB NOT NULL)",
        "CREATE TABLE body (message INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
        "CREATE TABLE entry (id INTEGER PRIMARY KEY, message INTEGER NOT NULL,"
        " recipient TEXT NOT NULL, domain TEXT NOT NULL, orcpt TEXT NOT NULL,"
        " notify INTEGER NOT NULL, next_at INTEGER NOT NULL, last_at INTEGER NOT NULL,"
        " released_at INTEGER NOT NULL, n_attempts INTEGER NOT NULL, n_lost INTEGER NOT NULL,"
        " hold INTEGER NOT NULL, delay_told INTEGER NOT NULL, transport TEXT NOT NULL,"
        " require_tls INTEGER NOT NULL, last_result TEXT NOT NULL, n_history INTEGER NOT NULL)",
        "CREATE INDEX entry_next ON entry (next_at)",
        "CREATE INDEX entry_message ON entry (message)",
        "CREATE TABLE attempt (entry INTEGER NOT NULL, n INTEGER NOT NULL,"
        " started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, transport TEXT NOT NULL,"
        " route TEXT NOT NULL, host TEXT NOT NULL, address TEXT NOT NULL, code INTEGER NOT NULL,"
        " enhanced TEXT NOT NULL, lines TEXT NOT NULL, why TEXT NOT NULL, tls TEXT NOT NULL,"
        " result INTEGER NOT NULL, PRIMARY KEY (entry, n)) WITHOUT ROWID",
        "CREATE TABLE retired (id INTEGER PRIMARY KEY, message INTEGER NOT NULL,"
        " account TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,"
        " from_address TEXT NOT NULL, message_id TEXT NOT NULL, subject TEXT NOT NULL,"
        " envid TEXT NOT NULL, size INTEGER NOT NULL, orcpt TEXT NOT NULL,"
        " notify INTEGER NOT NULL, submitted_at INTEGER NOT NULL, last_at INTEGER NOT NULL,"
        " n_attempts INTEGER NOT NULL, state INTEGER NOT NULL, transport TEXT NOT NULL,"
        " require_tls INTEGER NOT NULL, last_result TEXT NOT NULL, n_history INTEGER NOT NULL,"
        " keep_until INTEGER NOT NULL, base TEXT NOT NULL)",
        "CREATE INDEX retired_last ON retired (last_at)",
        "CREATE INDEX retired_keep ON retired (keep_until)",
        "CREATE INDEX retired_base ON retired (account, base, last_at)",
        "CREATE INDEX retired_sent ON retired (account, message_id)",
        "CREATE TABLE submission (id BLOB PRIMARY KEY, done_at INTEGER NOT NULL,"
        " message INTEGER NOT NULL, first_entry INTEGER NOT NULL, n_entries INTEGER NOT NULL)"
        " WITHOUT ROWID",
        "CREATE TABLE notice (id INTEGER PRIMARY KEY, message INTEGER NOT NULL,"
        " kind INTEGER NOT NULL, made_at INTEGER NOT NULL, next_at INTEGER NOT NULL,"
        " n_tries INTEGER NOT NULL)",
        "CREATE INDEX notice_next ON notice (next_at)",
        "CREATE TABLE told (notice INTEGER NOT NULL, entry INTEGER NOT NULL,"
        " recipient TEXT NOT NULL, orcpt TEXT NOT NULL, next_at INTEGER NOT NULL,"
        " retry_until INTEGER NOT NULL, n_attempts INTEGER NOT NULL,"
        " started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,"
        " host TEXT NOT NULL, address TEXT NOT NULL, code INTEGER NOT NULL,"
        " enhanced TEXT NOT NULL, lines TEXT NOT NULL, why TEXT NOT NULL, result INTEGER NOT NULL,"
        " PRIMARY KEY (notice, entry)) WITHOUT ROWID",
        "CREATE TABLE hold_rule (id INTEGER PRIMARY KEY, account TEXT NOT NULL,"
        " sender_domain TEXT NOT NULL, recipient_domain TEXT NOT NULL, created_at INTEGER NOT "
        "NULL)",
        "CREATE TABLE suppression (account TEXT NOT NULL, address TEXT NOT NULL,"
        " reason TEXT NOT NULL, created_at INTEGER NOT NULL, manual INTEGER NOT NULL,"
        " PRIMARY KEY (account, address)) WITHOUT ROWID",
};

/* Version 2: to find what a report is about. */
static const char *const since_2[] = {
        "CREATE INDEX message_sent ON message (account, message_id)",
        "CREATE INDEX message_envid ON message (account, envid) WHERE envid <> ''",
        "CREATE INDEX retired_envid ON retired (account, envid) WHERE envid <> ''",
};

/* Version 3: what protected a message on its way. */
static const char *const since_3[] = {
        "ALTER TABLE attempt ADD COLUMN protection TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attempt ADD COLUMN demands TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attempt ADD COLUMN tls_results TEXT NOT NULL DEFAULT ''",
};

static struct status migrate(struct db *db, int64_t from)
{
	for (size_t i = 0; from < 2 && i < N_ELEMENTS(since_2); i++)
		TRY(db_exec(db, since_2[i]));
	for (size_t i = 0; from < 3 && i < N_ELEMENTS(since_3); i++)
		TRY(db_exec(db, since_3[i]));
	return db_set_schema_version(db, SCHEMA_VERSION);
}

static struct status make_tables(struct db *db)
{
	for (size_t i = 0; i < N_ELEMENTS(tables); i++)
		TRY(db_exec(db, tables[i]));
	TRY(db_exec(db, "INSERT INTO counter (id, next_id) VALUES (1, 1)"));
	return migrate(db, 1);
}

struct status schema_prepare(struct db *db)
{
	int64_t version = 0;
	TRY(db_schema_version(db, &version));
	if (version == SCHEMA_VERSION)
		return ok();
	if (version < 0 || version > SCHEMA_VERSION)
		return fail(ERR_UNSUPPORTED, "the queue was written by a newer release");
	TRY(db_begin(db));
	struct status status = version == 0 ? make_tables(db) : migrate(db, version);
	if (is_ok(status))
		status = db_commit(db);
	if (!is_ok(status))
		db_rollback(db);
	return status;
}
