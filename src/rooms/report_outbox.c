/* See report_outbox.h. */
#include "rooms/report_outbox.h"

#include "base/encode.h"
#include "rooms/runtime.h"

#define RANDOM_SIZE 8u

const char *report_state_name(enum report_state state)
{
	static const char *const names[] = {
#define X(id, name) name,
	        REPORT_STATE_LIST(X)
#undef X
	};
	return names[state];
}

const char *report_dispatch_state_name(enum report_dispatch_state state)
{
	static const char *const names[] = {
#define X(id, name) name,
	        REPORT_DISPATCH_LIST(X)
#undef X
	};
	return names[state];
}

static struct slice cut(struct slice text, size_t max)
{
	if (text.n <= max)
		return text;
	while (max > 0 && (text.p[max] & 0xc0) == 0x80)
		max--;
	return slice_sub(text, 0, max);
}

/* A number from a table, as db_int gives it. */
static enum report_dispatch_state dispatch_state_of(int64_t number)
{
	return number >= 0 && number <= REPORT_DISPATCH_UNKNOWN ? (enum report_dispatch_state)number
	                                                        : REPORT_DISPATCH_UNKNOWN;
}

/* ---- entering ---- */

static struct status enter_one(struct db *db, int64_t topic, int64_t due_s)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "INSERT INTO report (topic, state, next_at, give_up_at, n_tries, why)"
	            " VALUES ($1, 0, $2, $3, 0, '')",
	            &stmt));
	db_bind(stmt, 1, topic);
	db_bind(stmt, 2, due_s);
	db_bind(stmt, 3, due_s + REPORT_GIVE_UP_S);
	return db_run(stmt);
}

static int64_t jitter(int64_t max_s)
{
	uint64_t random;
	room_random(&random, sizeof(random));
	return max_s > 0 ? (int64_t)(random % (uint64_t)max_s) : 0;
}

struct status report_outbox_enter(struct db *db, int64_t period, int64_t due_s, int64_t jitter_s)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT id FROM topic WHERE period = $1", &stmt));
	db_bind(stmt, 1, period);
	TRY(db_step(stmt, &row));
	while (row) {
		TRY(enter_one(db, db_int(stmt, 0), due_s + jitter(jitter_s)));
		TRY(db_step(stmt, &row));
	}
	return ok();
}

/* ---- hurrying ---- */

struct hurrying {
	int64_t from_s, to_s, now_s;
};

static struct status hurry(struct db *db, void *context)
{
	static const char *const statements[] = {
	        "UPDATE report SET next_at = $1 WHERE state = 0 AND topic IN (SELECT t.id FROM "
	        "topic t"
	        " JOIN period e ON e.id = t.period WHERE e.end_at > $2 AND e.begin_at < $3)",
	        "UPDATE dispatch SET next_at = $1 WHERE state = 0 AND topic IN (SELECT t.id FROM"
	        " topic t JOIN period e ON e.id = t.period WHERE e.end_at > $2 AND e.begin_at < "
	        "$3)",
	};
	const struct hurrying *h = context;
	for (size_t i = 0; i < N_ELEMENTS(statements); i++) {
		CLEANUP(db_donep) struct db_stmt *stmt = NULL;
		TRY(db_stmt(db, statements[i], &stmt));
		db_bind(stmt, 1, h->now_s);
		db_bind(stmt, 2, h->from_s);
		db_bind(stmt, 3, h->to_s);
		TRY(db_run(stmt));
	}
	return ok();
}

struct status report_outbox_hurry(struct report_db *db, int64_t from_s, int64_t to_s, int64_t now_s)
{
	struct hurrying h = {from_s, to_s, now_s};
	return report_db_change(db, hurry, &h);
}

/* ---- rows ---- */

#define DISPATCH_COLUMNS                                                                           \
	"topic, n, policy, state, uri, address, size_max, report_id, begun_at, ended_at, next_at," \
	" n_tries, why"

static void dispatch_read(struct db_stmt *stmt, struct arena *arena,
                          struct report_dispatch *ret_dispatch)
{
	*ret_dispatch = (struct report_dispatch){
	        .topic = db_int(stmt, 0),
	        .n = (unsigned)db_int(stmt, 1),
	        .policy = db_int(stmt, 2),
	        .state = dispatch_state_of(db_int(stmt, 3)),
	        .uri = arena_copy(arena, db_bytes(stmt, 4)),
	        .address = arena_copy(arena, db_bytes(stmt, 5)),
	        .size_max = (uint64_t)db_int(stmt, 6),
	        .report_id = arena_copy(arena, db_bytes(stmt, 7)),
	        .begun_s = db_int(stmt, 8),
	        .ended_s = db_int(stmt, 9),
	        .next_s = db_int(stmt, 10),
	        .n_tries = (uint32_t)db_int(stmt, 11),
	        .why = arena_copy(arena, db_bytes(stmt, 12)),
	};
}

/* ---- what is due ---- */

struct looking {
	int64_t now_s, next_s;
	struct arena *arena;
	struct report_task *task;
	int64_t topic;
};

static struct status due_dispatch(struct db *db, struct looking *l)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT " DISPATCH_COLUMNS " FROM dispatch WHERE state = 0"
	            " ORDER BY next_at, topic, n LIMIT 1",
	            &stmt));
	TRY(db_step(stmt, &row));
	if (!row)
		return ok();
	dispatch_read(stmt, l->arena, &l->task->dispatch);
	if (l->task->dispatch.next_s <= l->now_s)
		l->topic = l->task->dispatch.topic;
	else
		l->next_s = MIN(l->next_s, l->task->dispatch.next_s);
	return ok();
}

static struct status due_report(struct db *db, struct looking *l)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	l->task->dispatch = (struct report_dispatch){.topic = 0};
	TRY(db_stmt(db,
	            "SELECT topic, next_at, n_tries FROM report WHERE state = 0"
	            " ORDER BY next_at, topic LIMIT 1",
	            &stmt));
	TRY(db_step(stmt, &row));
	if (!row)
		return ok();
	if (db_int(stmt, 1) <= l->now_s)
		l->topic = db_int(stmt, 0);
	else
		l->next_s = MIN(l->next_s, db_int(stmt, 1));
	l->task->n_tries = (uint32_t)db_int(stmt, 2);
	return ok();
}

static struct status look(struct db *db, void *context)
{
	struct looking *l = context;
	TRY(due_dispatch(db, l));
	if (l->topic == 0)
		TRY(due_report(db, l));
	return arena_failed(l->arena) ? fail(ERR_LIMIT, "no memory for a report") : ok();
}

struct status report_outbox_next(struct report_db *db, int64_t now_s, struct arena *arena,
                                 struct report_task *ret_task, int64_t *ret_next_s)
{
	struct looking l = {.now_s = now_s, .next_s = INT64_MAX, .arena = arena, .task = ret_task};
	*ret_task = (struct report_task){.n_tries = 0};
	*ret_next_s = INT64_MAX;
	TRY(report_db_read(db, look, &l));
	*ret_next_s = l.next_s;
	if (l.topic == 0)
		return fail(ERR_NOT_FOUND, "nothing is due");
	*ret_next_s = now_s;
	return report_topic_find(db, l.topic, arena, &ret_task->topic);
}

/* ---- destinations ---- */

struct finding {
	int64_t topic, now_s;
	const struct report_destination *destinations;
	size_t n;
	struct slice domain, why;
	bool is_dmarc;
	unsigned n_dispatches, n_open;
};

static struct status set_report(struct db *db, int64_t topic, enum report_state state,
                                struct slice why)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "UPDATE report SET state = $1, why = $2 WHERE topic = $3", &stmt));
	db_bind(stmt, 1, state);
	db_bind_text(stmt, 2, cut(why, REPORT_WHY_MAX));
	db_bind(stmt, 3, topic);
	return db_run(stmt);
}

/* The same for all destinations of a report: receivers know a report by it (RFC 8460 section 5.3).
 */
static void print_id(const struct finding *f, int64_t policy, struct buf *out)
{
	uint8_t random[RANDOM_SIZE];
	room_random(random, sizeof(random));
	buf_printf(out, "%" PRId64 ".%" PRId64 ".", f->topic, policy);
	hex_encode(slice_of(random, sizeof(random)), out);
	buf_add_byte(out, '@');
	buf_add(out, f->domain);
}

static struct status insert_dispatch(struct db *db, struct finding *f, size_t at, int64_t policy,
                                     struct slice id)
{
	const struct report_destination *to = &f->destinations[at];
	bool refused = to->refused.n > 0;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	if (f->n_dispatches == REPORT_DISPATCHES_MAX)
		return ok();
	TRY(db_stmt(db,
	            "INSERT INTO dispatch (topic, n, policy, state, uri, address, size_max,"
	            " report_id, due_at, begun_at, ended_at, next_at, n_tries, why)"
	            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, 0, $12)",
	            &stmt));
	db_bind(stmt, 1, f->topic);
	db_bind(stmt, 2, ++f->n_dispatches);
	db_bind(stmt, 3, policy);
	db_bind(stmt, 4, refused ? REPORT_DISPATCH_REFUSED : REPORT_DISPATCH_WAITING);
	db_bind_text(stmt, 5, to->uri);
	db_bind_text(stmt, 6, to->address);
	db_bind(stmt, 7, (int64_t)MIN(to->size_max, (uint64_t)INT64_MAX));
	db_bind_text(stmt, 8, id);
	db_bind(stmt, 9, f->now_s);
	db_bind(stmt, 10, refused ? f->now_s : 0);
	db_bind(stmt, 11, f->now_s);
	db_bind_text(stmt, 12, cut(to->refused, REPORT_WHY_MAX));
	f->n_open += !refused;
	return db_run(stmt);
}

static struct status insert_policy(struct db *db, struct finding *f, int64_t policy)
{
	struct buf id;
	struct status status = ok();
	buf_init(&id, REPORT_ID_MAX);
	print_id(f, policy, &id);
	for (size_t i = 0; i < f->n && is_ok(status); i++)
		status = insert_dispatch(db, f, i, policy, buf_slice(&id));
	buf_done(&id);
	return status;
}

/* A DMARC report is about one published policy. */
static struct status insert_policies(struct db *db, struct finding *f)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT id FROM policy WHERE topic = $1 ORDER BY id", &stmt));
	db_bind(stmt, 1, f->topic);
	TRY(db_step(stmt, &row));
	while (row) {
		TRY(insert_policy(db, f, db_int(stmt, 0)));
		TRY(db_step(stmt, &row));
	}
	return ok();
}

static struct status report_is_waiting(struct db *db, int64_t topic, int64_t *ret_give_up_s,
                                       uint32_t *ret_n_tries)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT give_up_at, n_tries FROM report WHERE topic = $1 AND state = 0",
	            &stmt));
	db_bind(stmt, 1, topic);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "the report is on its way already");
	*ret_give_up_s = db_int(stmt, 0);
	*ret_n_tries = (uint32_t)db_int(stmt, 1);
	return ok();
}

static struct status find_kind(struct db *db, struct finding *f)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT kind FROM topic WHERE id = $1", &stmt));
	db_bind(stmt, 1, f->topic);
	TRY(db_step(stmt, &row));
	f->is_dmarc = row && db_int(stmt, 0) == REPORT_DMARC;
	return ok();
}

static struct status write_found(struct db *db, void *context)
{
	struct finding *f = context;
	int64_t give_up_s;
	uint32_t n_tries;
	TRY(report_is_waiting(db, f->topic, &give_up_s, &n_tries));
	TRY(find_kind(db, f));
	TRY(f->is_dmarc ? insert_policies(db, f) : insert_policy(db, f, 0));
	return set_report(db, f->topic, f->n_open > 0 ? REPORT_SENDING : REPORT_DONE, f->why);
}

struct status report_outbox_found(struct report_db *db, int64_t topic, int64_t now_s,
                                  const struct report_destination *destinations, size_t n,
                                  struct slice domain, struct slice why)
{
	struct finding f = {.topic = topic,
	                    .now_s = now_s,
	                    .destinations = destinations,
	                    .n = n,
	                    .domain = domain,
	                    .why = why};
	return report_db_change(db, write_found, &f);
}

/* ---- again ---- */

/* n_tries: before the one that has just failed. */
static int64_t pause_after(uint32_t n_tries)
{
	int64_t pause = REPORT_RETRY_S;
	for (uint32_t i = 0; i < n_tries && pause < REPORT_RETRY_MAX_S; i++)
		pause *= 2;
	return MIN(pause, (int64_t)REPORT_RETRY_MAX_S);
}

static struct status write_later(struct db *db, void *context)
{
	const struct finding *f = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t give_up_s;
	uint32_t n_tries;
	TRY(report_is_waiting(db, f->topic, &give_up_s, &n_tries));
	if (f->now_s >= give_up_s)
		return set_report(db, f->topic, REPORT_DONE, f->why);
	TRY(db_stmt(db,
	            "UPDATE report SET next_at = $1, n_tries = n_tries + 1, why = $2"
	            " WHERE topic = $3",
	            &stmt));
	db_bind(stmt, 1, f->now_s + pause_after(n_tries));
	db_bind_text(stmt, 2, cut(f->why, REPORT_WHY_MAX));
	db_bind(stmt, 3, f->topic);
	return db_run(stmt);
}

struct status report_outbox_later(struct report_db *db, int64_t topic, int64_t now_s,
                                  struct slice why)
{
	struct finding f = {.topic = topic, .now_s = now_s, .why = why};
	return report_db_change(db, write_later, &f);
}

/* ---- dispatches ---- */

static int64_t pause_of(const struct report_dispatch *dispatch)
{
	return pause_after(dispatch->n_tries > 0 ? dispatch->n_tries - 1 : 0);
}

struct moving {
	const struct report_dispatch *dispatch;
	enum report_dispatch_state from, to;
	int64_t now_s;
	struct slice why;
};

/* Only from the state that it is believed to be in. */
static struct status move(struct db *db, const struct moving *m, const char *sql, int64_t value)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, sql, &stmt));
	db_bind(stmt, 1, m->to);
	db_bind(stmt, 2, value);
	db_bind_text(stmt, 3, cut(m->why, REPORT_WHY_MAX));
	db_bind(stmt, 4, m->dispatch->topic);
	db_bind(stmt, 5, m->dispatch->n);
	db_bind(stmt, 6, m->from);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "the dispatch is in another state");
	return db_step(stmt, &row); /* to its end */
}

static struct status write_begin(struct db *db, void *context)
{
	return move(db, context,
	            "UPDATE dispatch SET state = $1, begun_at = $2, why = $3,"
	            " n_tries = n_tries + 1 WHERE topic = $4 AND n = $5 AND state = $6"
	            " RETURNING n",
	            ((const struct moving *)context)->now_s);
}

struct status report_dispatch_begin(struct report_db *db, const struct report_dispatch *dispatch,
                                    int64_t now_s)
{
	/* The day in which the queue knows the id begins with the first time it may have got it. */
	struct moving m = {.dispatch = dispatch,
	                   .from = REPORT_DISPATCH_WAITING,
	                   .to = REPORT_DISPATCH_HANDING,
	                   .now_s = dispatch->begun_s > 0 ? dispatch->begun_s : now_s,
	                   .why = slice_empty()};
	return report_db_change(db, write_begin, &m);
}

static struct status n_open(struct db *db, int64_t topic, int64_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT COUNT(*) FROM dispatch WHERE topic = $1 AND state < $2", &stmt));
	db_bind(stmt, 1, topic);
	db_bind(stmt, 2, REPORT_DISPATCH_SENT);
	TRY(db_step(stmt, &row));
	*ret_n = row ? db_int(stmt, 0) : 0;
	return ok();
}

static struct status write_end(struct db *db, void *context)
{
	const struct moving *m = context;
	int64_t n = 0;
	TRY(move(db, m,
	         "UPDATE dispatch SET state = $1, ended_at = $2, why = $3"
	         " WHERE topic = $4 AND n = $5 AND state = $6 RETURNING n",
	         m->now_s));
	TRY(n_open(db, m->dispatch->topic, &n));
	return n > 0 ? ok() : set_report(db, m->dispatch->topic, REPORT_DONE, slice_empty());
}

struct status report_dispatch_end(struct report_db *db, const struct report_dispatch *dispatch,
                                  enum report_dispatch_state state, int64_t now_s, struct slice why)
{
	struct moving m = {.dispatch = dispatch,
	                   .from = REPORT_DISPATCH_HANDING,
	                   .to = state,
	                   .now_s = now_s,
	                   .why = why};
	return report_db_change(db, write_end, &m);
}

static struct status write_dispatch_later(struct db *db, void *context)
{
	const struct moving *m = context;
	return move(db, m,
	            "UPDATE dispatch SET state = $1, next_at = $2, why = $3"
	            " WHERE topic = $4 AND n = $5 AND state = $6 RETURNING n",
	            m->now_s + pause_of(m->dispatch));
}

struct status report_dispatch_later(struct report_db *db, const struct report_dispatch *dispatch,
                                    int64_t now_s, struct slice why)
{
	struct moving m = {.dispatch = dispatch,
	                   .from = REPORT_DISPATCH_HANDING,
	                   .to = REPORT_DISPATCH_WAITING,
	                   .now_s = now_s,
	                   .why = why};
	if (dispatch->begun_s > 0 && now_s >= dispatch->begun_s + REPORT_HANDING_FRESH_S)
		return report_dispatch_end(db, dispatch, REPORT_DISPATCH_REFUSED, now_s, why);
	return report_db_change(db, write_dispatch_later, &m);
}

/* ---- after a crash ---- */

struct left {
	struct report_dispatch *v;
	size_t n;
	struct arena arena;
	int64_t now_s;
};

#define LEFT_MAX 100u

static struct status read_left(struct db *db, void *context)
{
	struct left *left = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	left->n = 0;
	TRY(db_stmt(db,
	            "SELECT " DISPATCH_COLUMNS " FROM dispatch WHERE state = 1"
	            " ORDER BY topic, n LIMIT 100",
	            &stmt));
	TRY(db_step(stmt, &row));
	while (row && left->n < LEFT_MAX) {
		dispatch_read(stmt, &left->arena, &left->v[left->n++]);
		TRY(db_step(stmt, &row));
	}
	return arena_failed(&left->arena) ? fail(ERR_LIMIT, "no memory for reports") : ok();
}

static struct status resume_one(struct report_db *db, const struct report_dispatch *dispatch,
                                int64_t now_s)
{
	bool knows = dispatch->address.n > 0 && now_s >= dispatch->begun_s &&
	             now_s < dispatch->begun_s + REPORT_HANDING_FRESH_S;
	struct moving m = {.dispatch = dispatch,
	                   .from = REPORT_DISPATCH_HANDING,
	                   .to = REPORT_DISPATCH_WAITING,
	                   .now_s = now_s - pause_of(dispatch),
	                   .why = slice_empty()};
	if (knows)
		return report_db_change(db, write_dispatch_later, &m);
	return report_dispatch_end(db, dispatch, REPORT_DISPATCH_UNKNOWN, now_s,
	                           SLICE("the server ended before it heard whether this was "
	                                 "taken; it is not sent again"));
}

struct status report_outbox_resume(struct report_db *db, int64_t now_s)
{
	struct left left = {.now_s = now_s};
	struct status status;
	arena_init(&left.arena, LEFT_MAX * (sizeof(struct report_dispatch) + 4096));
	do {
		arena_reset(&left.arena);
		left.v = ARENA_ARRAY(&left.arena, LEFT_MAX, struct report_dispatch);
		status = report_db_read(db, read_left, &left);
		for (size_t i = 0; i < left.n && is_ok(status); i++)
			status = resume_one(db, &left.v[i], now_s);
	} while (is_ok(status) && left.n > 0);
	arena_done(&left.arena);
	return status;
}

/* ---- reading ---- */

struct progress_reading {
	int64_t topic;
	struct arena *arena;
	struct report_progress *progress;
};

static struct status read_report(struct db *db, const struct progress_reading *r)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT state, next_at, n_tries, why FROM report WHERE topic = $1", &stmt));
	db_bind(stmt, 1, r->topic);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "the period has not ended");
	int64_t state = db_int(stmt, 0);
	r->progress->state =
	        state >= 0 && state <= REPORT_DONE ? (enum report_state)state : REPORT_DONE;
	r->progress->next_s = db_int(stmt, 1);
	r->progress->n_tries = (uint32_t)db_int(stmt, 2);
	r->progress->why = arena_copy(r->arena, db_bytes(stmt, 3));
	return ok();
}

static struct status read_progress(struct db *db, void *context)
{
	struct progress_reading *r = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(read_report(db, r));
	TRY(db_stmt(db, "SELECT " DISPATCH_COLUMNS " FROM dispatch WHERE topic = $1 ORDER BY n",
	            &stmt));
	db_bind(stmt, 1, r->topic);
	TRY(db_step(stmt, &row));
	while (row && r->progress->n_dispatches < REPORT_DISPATCHES_MAX) {
		dispatch_read(stmt, r->arena,
		              &r->progress->dispatches[r->progress->n_dispatches++]);
		TRY(db_step(stmt, &row));
	}
	return arena_failed(r->arena) ? fail(ERR_LIMIT, "no memory for a report") : ok();
}

struct status report_outbox_read(struct report_db *db, int64_t topic, struct arena *arena,
                                 struct report_progress *ret_progress)
{
	struct progress_reading r = {.topic = topic, .arena = arena, .progress = ret_progress};
	*ret_progress = (struct report_progress){.n_dispatches = 0};
	return report_db_read(db, read_progress, &r);
}
