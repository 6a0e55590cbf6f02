/* The log of expunged UIDs, for QRESYNC (RFC 7162 section 3.2.7).
 *
 * A row per change, keyed by its modseq: the UIDs as ranges, each two varints: distance of its
 * first UID from the end of the range before (from 0 at the start), and its length - 1. The oldest
 * rows go when the log holds more UIDs than it may; `expunged_floor` is the newest modseq that
 * went.
 */
#include "store/expunged.h"
#include "store/store_private.h"

/* ---- packing --------------------------------------------------------------------------------- */

static size_t put_varint(uint8_t *out, uint32_t v)
{
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

/* Two varints of five bytes for each range at most. */
uint8_t *expunged_pack(const struct store_uid *uids, size_t n, size_t *ret_size)
{
	uint8_t *bytes = base_alloc(n * 10);
	uint32_t end = 0;
	size_t size = 0;
	for (size_t i = 0; i < n;) {
		size_t j = i + 1;
		while (j < n && uids[j].v == uids[j - 1].v + 1)
			j++;
		size += put_varint(bytes + size, uids[i].v - end);
		size += put_varint(bytes + size, (uint32_t)(j - i - 1));
		end = uids[j - 1].v;
		i = j;
	}
	*ret_size = size;
	return bytes;
}

static bool take_varint(struct slice *bytes, uint64_t *ret_v)
{
	uint64_t v = 0;
	for (size_t i = 0; i < bytes->n && i < 5; i++) {
		v |= (uint64_t)(bytes->p[i] & 0x7f) << (7 * i);
		if (bytes->p[i] & 0x80)
			continue;
		*bytes = slice_from(*bytes, i + 1);
		*ret_v = v;
		return true;
	}
	return false;
}

struct status expunged_unpack(struct slice bytes, struct store_uid *uids, size_t n)
{
	uint64_t end = 0;
	size_t got = 0;
	while (bytes.n > 0) {
		uint64_t gap = 0, more = 0;
		if (!take_varint(&bytes, &gap) || !take_varint(&bytes, &more) || gap == 0 ||
		    end + gap + more > UINT32_MAX || more + 1 > n - got)
			return fail(ERR_CORRUPT, "the log of expunged messages contradicts itself");
		for (uint64_t uid = end + gap; uid <= end + gap + more; uid++)
			uids[got++].v = (uint32_t)uid;
		end += gap + more;
	}
	return got == n ? ok() : fail(ERR_CORRUPT, "the log of expunged messages ends early");
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct status insert_row(struct tx *tx, struct store_mailbox_id id,
                                const struct store_uid *uids, size_t n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	size_t size = 0;
	TRY(db_stmt(tx->db,
	            "INSERT INTO expunged (modseq, mailbox, n, uids) VALUES ($1, $2, $3, $4)",
	            &stmt));
	CLEANUP(base_freep) uint8_t *bytes = expunged_pack(uids, n, &size);
	db_bind(stmt, 1, (int64_t)tx_modseq(tx));
	db_bind(stmt, 2, id.v);
	db_bind(stmt, 3, (int64_t)n);
	db_bind_bytes(stmt, 4, slice_of(bytes, size));
	tx->n_expunged += n;
	return db_run(stmt);
}

static struct status remove_oldest(struct tx *tx, bool *ret_any)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "DELETE FROM expunged WHERE modseq = (SELECT MIN(modseq) FROM expunged)"
	            " RETURNING modseq, n",
	            &stmt));
	TRY(db_step(stmt, ret_any));
	if (*ret_any) {
		tx->expunged_floor = (uint64_t)db_int(stmt, 0);
		tx->n_expunged -= MIN((uint64_t)db_int(stmt, 1), tx->n_expunged);
		tx->account_changed = true;
	}
	return ok();
}

struct status expunged_add(struct tx *tx, struct store_mailbox_id id, const struct store_uid *uids,
                           size_t n)
{
	TRY(insert_row(tx, id, uids, n));
	while (tx->n_expunged > tx->store->options.expunged_keep) {
		bool any = false;
		TRY(remove_oldest(tx, &any));
		if (!any)
			tx->n_expunged = 0;
	}
	return ok();
}

struct status expunged_forget_mailbox(struct tx *tx, struct store_mailbox_id id)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(tx->db, "DELETE FROM expunged WHERE mailbox = $1 RETURNING n", &stmt));
	db_bind(stmt, 1, id.v);
	TRY(db_step(stmt, &row));
	while (row) {
		tx->n_expunged -= MIN((uint64_t)db_int(stmt, 0), tx->n_expunged);
		TRY(db_step(stmt, &row));
	}
	return ok();
}

/* ---- reading --------------------------------------------------------------------------------- */

static int compare_uids(const void *a, const void *b)
{
	const struct store_uid *left = a, *right = b;
	return left->v < right->v ? -1 : left->v > right->v;
}

/* Counts (uids NULL) or reads the rows of a mailbox after modseq. */
static struct status read_rows(struct db *db, struct store_mailbox_id id, uint64_t modseq,
                               struct store_uid *uids, size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	size_t total = 0;
	bool row = false;
	TRY(db_stmt(db, "SELECT n, uids FROM expunged WHERE modseq > $1 AND mailbox = $2", &stmt));
	db_bind(stmt, 1, (int64_t)MIN(modseq, (uint64_t)INT64_MAX));
	db_bind(stmt, 2, id.v);
	TRY(db_step(stmt, &row));
	while (row) {
		int64_t n = db_int(stmt, 0);
		if (n <= 0 || n > UINT32_MAX)
			return fail(ERR_CORRUPT, "the log of expunged messages contradicts itself");
		if (uids)
			TRY(expunged_unpack(db_bytes(stmt, 1), uids + total, (size_t)n));
		total += (size_t)n;
		TRY(db_step(stmt, &row));
	}
	*ret_n = total;
	return ok();
}

static struct status read_floor(struct db *db, uint64_t *ret_floor)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT expunged_floor FROM account WHERE id = 1", &stmt));
	TRY(db_step(stmt, &row));
	*ret_floor = row ? (uint64_t)db_int(stmt, 0) : UINT64_MAX;
	return ok();
}

static struct status read_log(struct db *db, struct store_mailbox_id id, uint64_t modseq,
                              struct arena *arena, struct store_uid **ret_uids, size_t *ret_n,
                              bool *ret_complete)
{
	uint64_t floor = 0;
	TRY(db_begin(db));
	TRY(read_floor(db, &floor));
	*ret_complete = modseq >= floor;
	if (!*ret_complete)
		return ok();
	TRY(read_rows(db, id, modseq, NULL, ret_n));
	*ret_uids = ARENA_ARRAY(arena, *ret_n, struct store_uid);
	if (!*ret_uids)
		return fail(ERR_LIMIT, "no memory left for a list of UIDs");
	TRY(read_rows(db, id, modseq, *ret_uids, ret_n));
	if (*ret_n > 1)
		qsort(*ret_uids, *ret_n, sizeof((*ret_uids)[0]), compare_uids);
	return ok();
}

/* Every UID that the mailbox gave out and no longer has. */
static struct status missing_uids(const struct store_view *view, struct arena *arena,
                                  struct store_uid **ret_uids, size_t *ret_n)
{
	size_t n = 0, n_missing = (size_t)view->uid_next - 1 - view->n_entries;
	struct store_uid *uids = ARENA_ARRAY(arena, n_missing, struct store_uid);
	if (!uids)
		return fail(ERR_LIMIT, "no memory left for a list of UIDs");
	uint32_t uid = 1;
	for (uint32_t i = 0; i < view->n_entries; i++) {
		uint32_t next = store_view_at(view, i)->uid.v;
		while (uid < next)
			uids[n++].v = uid++;
		uid = next + 1;
	}
	while (uid < view->uid_next)
		uids[n++].v = uid++;
	*ret_uids = uids;
	*ret_n = n;
	return ok();
}

struct status store_expunged_since(struct store *store, struct store_mailbox_id id, uint64_t modseq,
                                   struct arena *arena, struct store_uid **ret_uids, size_t *ret_n,
                                   bool *ret_complete)
{
	struct store_view *view = NULL;
	struct store_uid *uids = NULL;
	struct db *db = NULL;
	size_t n = 0;
	bool complete = false;
	TRY(store_view_open(store, id, &view)); /* NOT_FOUND */
	struct status status = reader_take(store, &db);
	if (is_ok(status)) {
		status = read_log(db, id, modseq, arena, &uids, &n, &complete);
		db_rollback(db);
		reader_give(store, db);
	}
	if (is_ok(status) && !complete)
		status = missing_uids(view, arena, &uids, &n);
	store_view_unref(view);
	TRY(status);
	*ret_uids = uids;
	*ret_n = n;
	*ret_complete = complete;
	return ok();
}
