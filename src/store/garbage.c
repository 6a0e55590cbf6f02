/* Which messages nobody shows any more, and their removal.
 *
 * Removing a message's rows frees pages all over the index, which costs far more than taking its
 * entry out of a mailbox. So EXPUNGE only notes the ids (the table garbage); each later change
 * removes a few, and an idle store (store_idle) all of them. */
#include "store/store_private.h"

#define IDS_PER_ROW 128u

/* ---- references ------------------------------------------------------------------------------ */

static struct status set_more(struct tx *tx, int64_t message, int64_t n_more)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	if (n_more == 0) {
		TRY(db_stmt(tx->db, "DELETE FROM reference WHERE message = $1", &stmt));
		db_bind(stmt, 1, message);
		return db_run(stmt);
	}
	TRY(db_stmt(tx->db, "UPDATE reference SET n_more = $1 WHERE message = $2", &stmt));
	db_bind(stmt, 1, n_more);
	db_bind(stmt, 2, message);
	return db_run(stmt);
}

struct status reference_add(struct tx *tx, int64_t message)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "INSERT INTO reference (message, n_more) VALUES ($1, 1)"
	            " ON CONFLICT (message) DO UPDATE SET n_more = reference.n_more + 1",
	            &stmt));
	db_bind(stmt, 1, message);
	return db_run(stmt);
}

/* One entry of the message is gone; true when it was the last. `stmt` selects n_more. */
static struct status drop_reference(struct tx *tx, struct db_stmt *stmt, int64_t message,
                                    bool *ret_last)
{
	bool row = false;
	db_bind(stmt, 1, message);
	TRY(db_step(stmt, &row));
	int64_t n_more = row ? db_int(stmt, 0) : 0;
	db_done(stmt);
	*ret_last = !row;
	return row ? set_more(tx, message, n_more - 1) : ok();
}

static struct status have_references(struct tx *tx, bool *ret_any)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "SELECT message FROM reference LIMIT 1", &stmt));
	return db_step(stmt, ret_any);
}

/* ---- garbage --------------------------------------------------------------------------------- */

static struct status add_row(struct tx *tx, const int64_t *messages, size_t n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "INSERT INTO garbage (messages) VALUES ($1)", &stmt));
	db_bind_bytes(stmt, 1, slice_of(messages, n * sizeof(messages[0])));
	tx->garbage = true;
	return db_run(stmt);
}

struct status garbage_drop(struct tx *tx, const int64_t *messages, size_t n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t row[IDS_PER_ROW];
	size_t n_row = 0;
	bool shared = false;
	TRY(have_references(tx, &shared));
	TRY(db_stmt(tx->db, "SELECT n_more FROM reference WHERE message = $1", &stmt));
	for (size_t i = 0; i < n; i++) {
		bool last = true;
		if (shared)
			TRY(drop_reference(tx, stmt, messages[i], &last));
		if (!last)
			continue;
		row[n_row++] = messages[i];
		if (n_row == IDS_PER_ROW) {
			TRY(add_row(tx, row, n_row));
			n_row = 0;
		}
	}
	return n_row > 0 ? add_row(tx, row, n_row) : ok();
}

static struct status remove_message(struct tx *tx, int64_t id)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	CLEANUP(db_donep) struct db_stmt *summary = NULL;
	bool row = false;
	TRY(db_stmt(tx->db, "DELETE FROM content WHERE id = $1 RETURNING is_file", &stmt));
	db_bind(stmt, 1, id);
	TRY(db_step(stmt, &row));
	if (row && db_int(stmt, 0))
		tx_unlink(tx, id);
	TRY(db_stmt(tx->db, "DELETE FROM summary WHERE id = $1", &summary));
	db_bind(summary, 1, id);
	TRY(db_run(summary));
	return note_remove(tx, id);
}

/* Shortens a row, or removes it when nothing of it is left. */
static struct status keep_row(struct tx *tx, int64_t row, struct slice left)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	if (left.n == 0) {
		TRY(db_stmt(tx->db, "DELETE FROM garbage WHERE id = $1", &stmt));
		db_bind(stmt, 1, row);
		return db_run(stmt);
	}
	TRY(db_stmt(tx->db, "UPDATE garbage SET messages = $1 WHERE id = $2", &stmt));
	db_bind_bytes(stmt, 1, left);
	db_bind(stmt, 2, row);
	return db_run(stmt);
}

/* Works on the first row; *ret_n: how many messages it removed, 0 when there is no row. */
static struct status collect_row(struct tx *tx, size_t max, size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t ids[IDS_PER_ROW];
	bool row = false;
	TRY(db_stmt(tx->db, "SELECT id, messages FROM garbage ORDER BY id LIMIT 1", &stmt));
	TRY(db_step(stmt, &row));
	if (!row) {
		*ret_n = 0;
		return ok();
	}
	int64_t key = db_int(stmt, 0);
	struct slice bytes = db_bytes(stmt, 1);
	if (bytes.n == 0 || bytes.n % sizeof(ids[0]) != 0 || bytes.n > sizeof(ids))
		return fail(ERR_CORRUPT, "a row of removed messages contradicts itself");
	memcpy(ids, bytes.p, bytes.n);
	db_done(stmt);
	size_t n = bytes.n / sizeof(ids[0]), n_kept = n > max ? n - max : 0;
	for (size_t i = n_kept; i < n; i++)
		TRY(remove_message(tx, ids[i]));
	*ret_n = n - n_kept;
	return keep_row(tx, key, slice_of(ids, n_kept * sizeof(ids[0])));
}

struct status garbage_collect(struct tx *tx, size_t n)
{
	while (n > 0) {
		size_t n_removed = 0;
		TRY(collect_row(tx, n, &n_removed));
		if (n_removed == 0) {
			tx->garbage = false;
			break;
		}
		n -= n_removed;
	}
	return ok();
}
