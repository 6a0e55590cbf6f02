/* Counting what an account sends.
 *
 * `sent` has a row for each minute of the last day in which something was sent, `recipient` one for
 * everybody who was written to in the last two years. Both are read and written in the transaction
 * that counts, so that two sessions at the same time cannot both take the last place.
 *
 * Limits: STORE_SENT_ADDRESS_MAX bytes of an address; rows of `sent` by the minutes of a day.
 */
#include "store/sent.h"

#include "store/store_private.h"

#include <stdlib.h>

#define DAY_MINUTES   (24 * 60)
#define PRUNE_EVERY_S (24 * 3600)

struct sent_request {
	struct request request; /* first member */
	/* in */
	struct slice *addresses; /* lower case, each once */
	size_t n;
	struct slice *first; /* room for as many; run_add fills it */
	size_t n_sent;       /* as many copies go out */
	struct store_sent_limits limits;
	int64_t now_s;
	/* out */
	enum store_sent_verdict verdict;
	struct store_sent_count count;
	struct store_sent_state state;
};

/* Minutes that count are those after the one a day ago. */
static int64_t minute_of(int64_t now_s)
{
	return now_s / 60;
}

static struct status load_state(struct db *db, int64_t minute, struct store_sent_state *ret_state)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT COALESCE(SUM(n), 0), COALESCE(SUM(n_first), 0) FROM sent"
	            " WHERE minute > $1",
	            &stmt));
	db_bind(stmt, 1, minute - DAY_MINUTES);
	TRY(db_step(stmt, &row));
	ret_state->n = (uint64_t)MAX(db_int(stmt, 0), 0);
	ret_state->n_first = (uint64_t)MAX(db_int(stmt, 1), 0);
	return ok();
}

static struct status find_strangers(struct db *db, const struct sent_request *r, uint32_t *ret_n)
{
	uint32_t n = 0;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "SELECT last_at FROM recipient WHERE address = $1", &stmt));
	for (size_t i = 0; i < r->n; i++) {
		bool known = false;
		db_bind_bytes(stmt, 1, r->addresses[i]);
		TRY(db_step(stmt, &known));
		if (!known)
			r->first[n++] = r->addresses[i];
		db_again(stmt);
	}
	*ret_n = n;
	return ok();
}

static enum store_sent_verdict judge(const struct store_sent_limits *limits,
                                     const struct store_sent_state *state, uint64_t n,
                                     uint64_t n_first)
{
	if (limits->per_day != STORE_SENT_UNLIMITED && state->n + n > limits->per_day)
		return STORE_SENT_OVER_DAY;
	if (limits->first_time_per_day != STORE_SENT_UNLIMITED && n_first > 0 &&
	    state->n_first + n_first > limits->first_time_per_day)
		return STORE_SENT_OVER_FIRST_TIME;
	return STORE_SENT_OK;
}

static struct status add_count(struct db *db, int64_t minute, int64_t n, int64_t n_first)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "INSERT INTO sent (minute, n, n_first) VALUES ($1, $2, $3)"
	            " ON CONFLICT (minute) DO UPDATE SET n = sent.n + excluded.n,"
	            " n_first = sent.n_first + excluded.n_first",
	            &stmt));
	db_bind(stmt, 1, minute);
	db_bind(stmt, 2, n);
	db_bind(stmt, 3, n_first);
	return db_run(stmt);
}

static struct status remember(struct db *db, const struct sent_request *r)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "INSERT INTO recipient (address, last_at) VALUES ($1, $2)"
	            " ON CONFLICT (address) DO UPDATE SET last_at = excluded.last_at",
	            &stmt));
	for (size_t i = 0; i < r->n; i++) {
		db_bind_bytes(stmt, 1, r->addresses[i]);
		db_bind(stmt, 2, r->now_s);
		TRY(db_run(stmt));
	}
	return ok();
}

static struct status delete_before(struct db *db, const char *sql, int64_t limit)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, sql, &stmt));
	db_bind(stmt, 1, limit);
	return db_run(stmt);
}

/* What counts no more goes; people are looked through once a day only, since all rows are read. */
static struct status prune(struct tx *tx, int64_t now_s)
{
	struct store *store = tx->store;
	TRY(delete_before(tx->db, "DELETE FROM sent WHERE minute <= $1",
	                  minute_of(now_s) - DAY_MINUTES));
	if (now_s - store->sent_pruned_at < PRUNE_EVERY_S)
		return ok();
	store->sent_pruned_at = now_s;
	return delete_before(tx->db, "DELETE FROM recipient WHERE last_at < $1",
	                     now_s - STORE_SENT_KEEP_S);
}

static struct status run_add(struct tx *tx, struct request *request)
{
	struct sent_request *r = (struct sent_request *)request;
	int64_t minute = minute_of(r->now_s);
	uint32_t n_first = 0;
	TRY(load_state(tx->db, minute, &r->state));
	TRY(find_strangers(tx->db, r, &n_first));
	r->verdict = judge(&r->limits, &r->state, r->n_sent, n_first);
	r->count = (struct store_sent_count){
	        .at_s = r->now_s, .n = (uint32_t)r->n_sent, .n_first = n_first, .first = r->first};
	if (r->verdict != STORE_SENT_OK)
		return ok();
	r->state.n += r->n_sent;
	r->state.n_first += n_first;
	TRY(add_count(tx->db, minute, (int64_t)r->n_sent, n_first));
	TRY(remember(tx->db, r));
	return prune(tx, r->now_s);
}

static int compare(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Lower case, sorted, each once; cut to what is compared. */
static struct status normalize(struct sent_request *r, const struct slice *recipients, size_t n,
                               struct arena *arena)
{
	r->addresses = ARENA_ARRAY(arena, MAX(n, 1), struct slice);
	r->first = ARENA_ARRAY(arena, MAX(n, 1), struct slice);
	for (size_t i = 0; r->addresses && i < n; i++) {
		size_t size = MIN(recipients[i].n, (size_t)STORE_SENT_ADDRESS_MAX);
		uint8_t *lower = arena_alloc(arena, MAX(size, 1));
		for (size_t j = 0; lower && j < size; j++)
			lower[j] = ascii_lower(recipients[i].p[j]);
		r->addresses[i] = slice_of(lower, lower ? size : 0);
	}
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "too many recipients");
	r->n_sent = n;
	qsort(r->addresses, n, sizeof(*r->addresses), compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !slice_eq(r->addresses[i], r->addresses[r->n - 1]))
			r->addresses[r->n++] = r->addresses[i];
	return ok();
}

struct status store_sent_add(struct store *store, const struct slice *recipients, size_t n,
                             const struct store_sent_limits *limits, struct arena *arena,
                             enum store_sent_verdict *ret_verdict,
                             struct store_sent_count *ret_count, struct store_sent_state *ret_state)
{
	struct sent_request r = {
	        .request.run = run_add, .limits = *limits, .now_s = store_now(store)};
	if (n > STORE_SENT_RECIPIENTS_MAX)
		return fail(ERR_LIMIT, "too many recipients");
	TRY(normalize(&r, recipients, n, arena));
	TRY(writer_do(store, &r.request));
	*ret_verdict = r.verdict;
	*ret_count = r.count;
	*ret_state = r.state;
	return ok();
}

/* Those that another message has gone to since have a later time, and stay. */
static struct status forget(struct db *db, const struct store_sent_count *count)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "DELETE FROM recipient WHERE address = $1 AND last_at = $2", &stmt));
	for (size_t i = 0; i < count->n_first; i++) {
		db_bind_bytes(stmt, 1, count->first[i]);
		db_bind(stmt, 2, count->at_s);
		TRY(db_run(stmt));
	}
	return ok();
}

static struct status run_take_back(struct tx *tx, struct request *request)
{
	struct sent_request *r = (struct sent_request *)request;
	TRY(add_count(tx->db, minute_of(r->count.at_s), -(int64_t)r->count.n,
	              -(int64_t)r->count.n_first));
	return forget(tx->db, &r->count);
}

struct status store_sent_take_back(struct store *store, const struct store_sent_count *count)
{
	struct sent_request r = {.request.run = run_take_back, .count = *count};
	return writer_do(store, &r.request);
}

struct status store_sent_get(struct store *store, struct store_sent_state *ret_state)
{
	struct db *db;
	TRY(reader_take(store, &db));
	struct status status = load_state(db, minute_of(store_now(store)), ret_state);
	reader_give(store, db);
	return status;
}
