/* Notes about messages: one row each, gone with the message. */
#include "store/store_private.h"

struct status note_insert(struct tx *tx, int64_t message, struct slice note)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "INSERT INTO note (message, bytes) VALUES ($1, $2)", &stmt));
	db_bind(stmt, 1, message);
	db_bind_bytes(stmt, 2, note);
	return db_run(stmt);
}

struct status note_remove(struct tx *tx, int64_t message)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "DELETE FROM note WHERE message = $1", &stmt));
	db_bind(stmt, 1, message);
	return db_run(stmt);
}

static struct status read_note(struct db *db, int64_t message, struct arena *arena,
                               struct slice *ret_note)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT bytes FROM note WHERE message = $1", &stmt));
	db_bind(stmt, 1, message);
	TRY(db_step(stmt, &row));
	*ret_note = row ? arena_copy(arena, db_bytes(stmt, 0)) : slice_empty();
	return arena_failed(arena) ? fail(ERR_LIMIT, "no room for the note") : ok();
}

struct status store_note(struct store *store, struct store_message_id id, struct arena *arena,
                         struct slice *ret_note)
{
	struct db *db;
	TRY(reader_take(store, &db));
	struct status status = read_note(db, id.v, arena, ret_note);
	reader_give(store, db);
	return status;
}
