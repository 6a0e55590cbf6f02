/* Summaries of many messages in one pass.
 *
 * Rows are gathered into a buffer and told when it is full, so that no connection is held and no
 * snapshot kept while `each` waits for a slow peer. Message ids mostly ascend with the entries: one
 * statement is stepped along the table and sought anew only where the next id is far away.
 */
#include "store/store_private.h"

#define PIECE_ROWS  512u
#define PIECE_BYTES ((size_t)256 * 1024) /* a piece ends with the row that passes it */
#define STEPS_MAX   16                   /* rows that are stepped over before seeking is cheaper */

struct row {
	uint32_t index;
	uint32_t sizes[3];
	int64_t sent_at;
	int32_t sent_day;
};

struct pass {
	struct store *store;
	const struct store_view *view;
	const struct store_summary_ops *ops;
	void *context;
	const char *sql;
	uint32_t next, last; /* indexes */
	struct row rows[PIECE_ROWS];
	size_t n_rows;
	uint8_t *bytes;
	size_t n_bytes, capacity;
};

/* Every set of columns has a statement of its own: what is not selected is not read. */
#define COLUMNS_SQL(envelope, bodystructure, body)                                                 \
	"SELECT id, sent_at, sent_day, " envelope ", " bodystructure ", " body                     \
	" FROM summary WHERE id >= $1 ORDER BY id"
static const char *const column_sql[8] = {
        COLUMNS_SQL("NULL", "NULL", "NULL"),
        COLUMNS_SQL("envelope", "NULL", "NULL"),
        COLUMNS_SQL("NULL", "bodystructure", "NULL"),
        COLUMNS_SQL("envelope", "bodystructure", "NULL"),
        COLUMNS_SQL("NULL", "NULL", "body"),
        COLUMNS_SQL("envelope", "NULL", "body"),
        COLUMNS_SQL("NULL", "bodystructure", "body"),
        COLUMNS_SQL("envelope", "bodystructure", "body"),
};

static void keep_bytes(struct pass *pass, struct slice bytes)
{
	if (pass->n_bytes + bytes.n > pass->capacity) {
		pass->capacity = MAX(pass->capacity * 2, pass->n_bytes + bytes.n);
		pass->bytes = base_realloc(pass->bytes, pass->capacity);
	}
	memcpy(pass->bytes + pass->n_bytes, bytes.p, bytes.n);
	pass->n_bytes += bytes.n;
}

static void keep_row(struct pass *pass, struct db_stmt *stmt, uint32_t index)
{
	struct row *row = &pass->rows[pass->n_rows++];
	row->index = index;
	row->sent_at = db_int(stmt, 1);
	row->sent_day = (int32_t)db_int(stmt, 2);
	for (int i = 0; i < 3; i++) {
		struct slice bytes = db_bytes(stmt, 3 + i);
		row->sizes[i] = (uint32_t)bytes.n;
		keep_bytes(pass, bytes);
	}
}

static struct status step(struct db_stmt *stmt, int64_t *ret_at)
{
	bool row = false;
	TRY(db_step(stmt, &row));
	*ret_at = row ? db_int(stmt, 0) : 0;
	return ok();
}

struct status rows_seek(struct db_stmt *stmt, int64_t id, int64_t steps_max, int64_t *at,
                        bool *ret_found)
{
	if (*at == 0 || *at > id || id - *at > steps_max) {
		db_again(stmt);
		db_bind(stmt, 1, id);
		TRY(step(stmt, at));
	}
	while (*at != 0 && *at < id)
		TRY(step(stmt, at));
	*ret_found = *at != 0 && *at == id;
	return ok();
}

static struct status gather(struct pass *pass, struct db *db)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t at = 0;
	bool found = false;
	TRY(db_stmt(db, pass->sql, &stmt));
	pass->n_rows = 0;
	pass->n_bytes = 0;
	for (; pass->next <= pass->last; pass->next++) {
		const struct store_entry *entry = store_view_at(pass->view, pass->next);
		if (pass->n_rows == PIECE_ROWS || pass->n_bytes >= PIECE_BYTES)
			break;
		if (pass->ops->want && !pass->ops->want(pass->context, pass->next, entry))
			continue;
		TRY(rows_seek(stmt, entry->message.v, STEPS_MAX, &at, &found));
		if (found)
			keep_row(pass, stmt, pass->next);
	}
	return ok();
}

static struct status tell(const struct pass *pass)
{
	const uint8_t *p = pass->bytes;
	for (size_t i = 0; i < pass->n_rows; i++) {
		const struct row *row = &pass->rows[i];
		struct store_summary summary = {.sent_at = row->sent_at, .sent_day = row->sent_day};
		summary.envelope = slice_of(p, row->sizes[0]);
		p += row->sizes[0];
		summary.bodystructure = slice_of(p, row->sizes[1]);
		p += row->sizes[1];
		summary.body = slice_of(p, row->sizes[2]);
		p += row->sizes[2];
		TRY(pass->ops->each(pass->context, row->index,
		                    store_view_at(pass->view, row->index), &summary));
	}
	return ok();
}

static struct status run_piece(struct pass *pass)
{
	struct db *db = NULL;
	TRY(reader_take(pass->store, &db));
	struct status status = gather(pass, db);
	reader_give(pass->store, db);
	TRY(status);
	return tell(pass);
}

struct status store_summaries(struct store *store, const struct store_view *view, uint32_t first,
                              uint32_t last, unsigned columns, const struct store_summary_ops *ops,
                              void *context)
{
	if (first >= view->n_entries || last < first)
		return ok();
	struct pass *pass = base_alloc(sizeof(*pass));
	pass->store = store;
	pass->view = view;
	pass->ops = ops;
	pass->context = context;
	pass->sql = column_sql[columns & 7];
	pass->next = first;
	pass->last = MIN(last, view->n_entries - 1);
	/* Room for a whole piece at once; pages that stay unused cost nothing. */
	pass->capacity = 2048;
	pass->bytes = base_alloc(pass->capacity);
	struct status status = ok();
	while (is_ok(status) && pass->next <= pass->last)
		status = run_piece(pass);
	base_free(pass->bytes);
	base_free(pass);
	return status;
}
