/* The index's tables. The only file with SQL dialect (WITHOUT ROWID, INTEGER PRIMARY KEY).
 *
 *   account       one row: the counters that must survive the mailboxes they came from
 *   mailbox       a row each, with the counters that every delivery updates. modseq and
 *                 next_message are high-water marks; the account's are the largest of all mailboxes
 *                 and its own row, so that a delivery writes one row, not two
 *   keyword       names of a mailbox's keyword bits
 *   subscription
 *   page          a mailbox's entries, packed (page.h); id = mailbox << 24 | page number
 *   summary       what FETCH ENVELOPE and the like read, dense: a scan reads nothing else
 *   content       size, checksum (XXH3-128 of body, then prefix) and the bytes: prefix and body, or
 *                 for a body in a file the prefix alone
 *   reference     how many more entries than one show a message; a message without a row has one
 *   garbage       messages that no entry shows any more, removed bit by bit
 *   expunged      the log for QRESYNC: UIDs as packed ranges, a row per change
 *   delivery      ids of the last day's deliveries and their results
 *   sent          how many recipients were sent to in each minute of the last day (version 2)
 *   recipient     who was written to, and when last (version 2)
 *   note          what is known about a message beside its bytes; opaque here (version 3)
 */
#include "store/store_private.h"

#define SENT_TABLE                                                                                 \
	"CREATE TABLE sent (minute INTEGER PRIMARY KEY, n INTEGER NOT NULL,"                       \
	" n_first INTEGER NOT NULL)"
#define RECIPIENT_TABLE                                                                            \
	"CREATE TABLE recipient (address BLOB PRIMARY KEY NOT NULL, last_at INTEGER NOT NULL)"     \
	" WITHOUT ROWID"

#define NOTE_TABLE "CREATE TABLE note (message INTEGER PRIMARY KEY, bytes BLOB NOT NULL)"

static const char *const tables[] = {
        "CREATE TABLE account (id INTEGER PRIMARY KEY CHECK (id = 1), modseq INTEGER NOT NULL,"
        " next_message INTEGER NOT NULL, next_mailbox INTEGER NOT NULL,"
        " uid_validity INTEGER NOT NULL, expunged_floor INTEGER NOT NULL,"
        " created_at INTEGER NOT NULL)",
        "CREATE TABLE mailbox (id INTEGER PRIMARY KEY, uid_next INTEGER NOT NULL,"
        " modseq INTEGER NOT NULL, next_message INTEGER NOT NULL, n_messages INTEGER NOT NULL,"
        " n_unseen INTEGER NOT NULL, n_deleted INTEGER NOT NULL, size INTEGER NOT NULL,"
        " uid_validity INTEGER NOT NULL, special_use INTEGER NOT NULL,"
        " name BLOB NOT NULL UNIQUE)",
        "CREATE TABLE keyword (mailbox INTEGER NOT NULL, bit INTEGER NOT NULL, name BLOB NOT NULL,"
        " PRIMARY KEY (mailbox, bit)) WITHOUT ROWID",
        "CREATE TABLE subscription (name BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID",
        "CREATE TABLE page (id INTEGER PRIMARY KEY, entries BLOB NOT NULL)",
        "CREATE TABLE summary (id INTEGER PRIMARY KEY, sent_at INTEGER NOT NULL,"
        " sent_day INTEGER NOT NULL, envelope BLOB NOT NULL, bodystructure BLOB NOT NULL,"
        " body BLOB NOT NULL)",
        "CREATE TABLE content (id INTEGER PRIMARY KEY, size INTEGER NOT NULL,"
        " prefix_size INTEGER NOT NULL, is_file INTEGER NOT NULL, xxh3_128 BLOB NOT NULL,"
        " bytes BLOB NOT NULL)",
        "CREATE TABLE reference (message INTEGER PRIMARY KEY, n_more INTEGER NOT NULL)",
        "CREATE TABLE garbage (id INTEGER PRIMARY KEY, messages BLOB NOT NULL)",
        "CREATE TABLE expunged (modseq INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL,"
        " n INTEGER NOT NULL, uids BLOB NOT NULL)",
        "CREATE TABLE delivery (id BLOB PRIMARY KEY NOT NULL, done_at INTEGER NOT NULL,"
        " uid_validity INTEGER NOT NULL, uid INTEGER NOT NULL, message INTEGER NOT NULL)"
        " WITHOUT ROWID",
        SENT_TABLE,
        RECIPIENT_TABLE,
        NOTE_TABLE,
};

static const struct {
	const char *name;
	enum store_special_use use;
} default_mailboxes[] = {
        {"Inbox", STORE_USE_INBOX},     {"Sent", STORE_USE_SENT},   {"Drafts", STORE_USE_DRAFTS},
        {"Archive", STORE_USE_ARCHIVE}, {"Trash", STORE_USE_TRASH}, {"Junk", STORE_USE_JUNK},
        {"Rejects", STORE_USE_REJECTS},
};

struct status schema_add_mailbox(struct db *db, int64_t id, struct slice name,
                                 enum store_special_use use, uint32_t uid_validity, uint64_t modseq)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "INSERT INTO mailbox (id, uid_next, modseq, next_message, n_messages, n_unseen,"
	            " n_deleted, size, uid_validity, special_use, name)"
	            " VALUES ($1, 1, $2, 1, 0, 0, 0, 0, $3, $4, $5)",
	            &stmt));
	db_bind(stmt, 1, id);
	db_bind(stmt, 2, (int64_t)modseq);
	db_bind(stmt, 3, uid_validity);
	db_bind(stmt, 4, use);
	db_bind_bytes(stmt, 5, name);
	return db_run(stmt);
}

struct status schema_subscribe(struct db *db, struct slice name)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "INSERT INTO subscription (name) VALUES ($1) ON CONFLICT (name) DO NOTHING",
	            &stmt));
	db_bind_bytes(stmt, 1, name);
	return db_run(stmt);
}

static struct status add_account(struct db *db, int64_t now_s)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	/* UIDVALIDITY starts at the time, so that a new account in an old one's place differs. */
	int64_t uid_validity = now_s > 0 && now_s < INT32_MAX ? now_s : 1;
	TRY(db_stmt(db,
	            "INSERT INTO account (id, modseq, next_message, next_mailbox, uid_validity,"
	            " expunged_floor, created_at) VALUES (1, 1, 1, $1, $2, 0, $3)",
	            &stmt));
	db_bind(stmt, 1, (int64_t)N_ELEMENTS(default_mailboxes) + 1);
	db_bind(stmt, 2, uid_validity + (int64_t)N_ELEMENTS(default_mailboxes));
	db_bind(stmt, 3, now_s);
	TRY(db_run(stmt));
	for (size_t i = 0; i < N_ELEMENTS(default_mailboxes); i++) {
		struct slice name = slice_str(default_mailboxes[i].name);
		TRY(schema_add_mailbox(db, (int64_t)i + 1, name, default_mailboxes[i].use,
		                       (uint32_t)(uid_validity + (int64_t)i), 1));
		TRY(schema_subscribe(db, name));
	}
	return ok();
}

static struct status create(struct db *db, int64_t now_s)
{
	for (size_t i = 0; i < N_ELEMENTS(tables); i++)
		TRY(db_exec(db, tables[i]));
	TRY(add_account(db, now_s));
	return db_set_schema_version(db, SCHEMA_VERSION);
}

static struct status add_sent(struct db *db)
{
	TRY(db_exec(db, SENT_TABLE));
	return db_exec(db, RECIPIENT_TABLE);
}

static struct status add_note(struct db *db)
{
	return db_exec(db, NOTE_TABLE);
}

/* Steps from version i + 1 to i + 2; each leaves the tables as `tables` of its version had them. */
static struct status (*const migrations[])(struct db *db) = {add_sent, add_note};
_Static_assert(N_ELEMENTS(migrations) == SCHEMA_VERSION - 1, "a step from each older version");

static struct status migrate(struct db *db, int64_t version)
{
	for (; version < SCHEMA_VERSION; version++)
		TRY(migrations[version - 1](db));
	return db_set_schema_version(db, SCHEMA_VERSION);
}

struct status schema_open(struct db *db, int64_t now_s, bool *ret_new)
{
	int64_t version = 0;
	TRY(db_schema_version(db, &version));
	*ret_new = version == 0;
	if (version == SCHEMA_VERSION)
		return ok();
	if (version < 0 || version > SCHEMA_VERSION)
		return fail(ERR_UNSUPPORTED, "the account was written by a newer version");
	TRY(db_begin(db));
	struct status status = version == 0 ? create(db, now_s) : migrate(db, version);
	if (is_ok(status))
		status = db_commit(db);
	if (!is_ok(status))
		db_rollback(db);
	return status;
}

static struct status load_log_size(struct db *db, struct store *store)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT COALESCE(SUM(n), 0), (SELECT COUNT(*) FROM (SELECT id FROM garbage"
	            " LIMIT 1) AS some) FROM expunged",
	            &stmt));
	TRY(db_step(stmt, &row));
	store->n_expunged = (uint64_t)db_int(stmt, 0);
	store->garbage = db_int(stmt, 1) > 0;
	return ok();
}

struct status account_load(struct db *db, struct store *store)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT modseq, next_message, next_mailbox, uid_validity, expunged_floor,"
	            " (SELECT COALESCE(MAX(modseq), 0) FROM mailbox),"
	            " (SELECT COALESCE(MAX(next_message), 0) FROM mailbox) FROM account"
	            " WHERE id = 1",
	            &stmt));
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_CORRUPT, "the index has no account row");
	store->modseq = (uint64_t)MAX(db_int(stmt, 0), db_int(stmt, 5));
	atomic_store(&store->next_message, MAX(db_int(stmt, 1), db_int(stmt, 6)));
	store->next_mailbox = db_int(stmt, 2);
	store->uid_validity = (uint32_t)db_int(stmt, 3);
	store->expunged_floor = (uint64_t)db_int(stmt, 4);
	return load_log_size(db, store);
}

struct status account_save(struct db *db, const struct tx *tx)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "UPDATE account SET modseq = $1, next_message = $2, next_mailbox = $3,"
	            " uid_validity = $4, expunged_floor = $5 WHERE id = 1",
	            &stmt));
	db_bind(stmt, 1, (int64_t)tx->modseq);
	db_bind(stmt, 2, atomic_load(&tx->store->next_message));
	db_bind(stmt, 3, tx->next_mailbox);
	db_bind(stmt, 4, tx->uid_validity);
	db_bind(stmt, 5, (int64_t)tx->expunged_floor);
	return db_run(stmt);
}
