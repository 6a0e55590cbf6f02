/* See report_facts.h. A transaction a batch. */
#include "rooms/report_facts.h"

#include "rooms/report_outbox.h"
#include "rooms/report_policies.h"

/* ---- periods ---- */

struct period {
	int64_t id, begin_s, end_s;
};

static struct status find_running(struct db *db, struct period *ret_period)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT id, begin_at, end_at FROM period WHERE ended = 0", &stmt));
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "no period runs");
	*ret_period = (struct period){db_int(stmt, 0), db_int(stmt, 1), db_int(stmt, 2)};
	return ok();
}

static struct status last_end(struct db *db, int64_t *ret_end_s)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT COALESCE(MAX(end_at), 0) FROM period", &stmt));
	TRY(db_step(stmt, &row));
	*ret_end_s = row ? db_int(stmt, 0) : 0;
	return ok();
}

/* A clock that was set back makes no two periods of one day: the new one begins where the last
 * ended. */
static struct status begin_period(struct db *db, int64_t now_s, struct period *ret_period)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct period period;
	bool row = false;
	int64_t end_s;
	TRY(last_end(db, &end_s));
	period.begin_s = MAX(now_s - now_s % REPORT_DAY_S, end_s);
	period.end_s = period.begin_s - period.begin_s % REPORT_DAY_S + REPORT_DAY_S;
	TRY(db_stmt(db,
	            "INSERT INTO period (begin_at, end_at, ended, n_facts, n_dropped)"
	            " VALUES ($1, $2, 0, 0, 0) RETURNING id",
	            &stmt));
	db_bind(stmt, 1, period.begin_s);
	db_bind(stmt, 2, period.end_s);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_CORRUPT, "a period has no number");
	period.id = db_int(stmt, 0);
	*ret_period = period;
	return db_step(stmt, &row); /* to its end */
}

static struct status end_period(struct db *db, const struct period *period, int64_t end_s,
                                int64_t due_s, int64_t jitter_s)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "UPDATE period SET ended = 1, end_at = $1 WHERE id = $2", &stmt));
	db_bind(stmt, 1, end_s);
	db_bind(stmt, 2, period->id);
	TRY(db_run(stmt));
	return report_outbox_enter(db, period->id, due_s, jitter_s);
}

static struct status end_when_due(struct db *db, int64_t now_s, struct period *ret_period)
{
	TRY(find_running(db, ret_period));
	if (now_s < ret_period->end_s)
		return ok();
	TRY(end_period(db, ret_period, ret_period->end_s,
	               MAX(now_s, ret_period->end_s + REPORT_DELAY_MIN_S), REPORT_JITTER_S));
	return fail(ERR_NOT_FOUND, "the period has ended");
}

/* The one that runs now, begun when there is none. */
static struct status running_period(struct db *db, int64_t now_s, struct period *ret_period)
{
	struct status status = end_when_due(db, now_s, ret_period);
	return status.code == ERR_NOT_FOUND ? begin_period(db, now_s, ret_period) : status;
}

struct rolling {
	int64_t now_s, next_s;
};

static struct status roll(struct db *db, void *context)
{
	struct rolling *rolling = context;
	struct period period;
	struct status status = end_when_due(db, rolling->now_s, &period);
	rolling->next_s = is_ok(status) ? period.end_s : INT64_MAX;
	return status.code == ERR_NOT_FOUND ? ok() : status;
}

struct status report_facts_roll(struct report_db *db, int64_t now_s, int64_t *ret_next_s)
{
	struct rolling rolling = {.now_s = now_s};
	TRY(report_db_change(db, roll, &rolling));
	*ret_next_s = rolling.next_s;
	return ok();
}

static struct status end_now(struct db *db, void *context)
{
	int64_t now_s = *(const int64_t *)context;
	struct period period;
	TRY(end_when_due(db, now_s, &period));
	return end_period(db, &period, MAX(now_s, period.begin_s + 1), now_s, 0);
}

struct status report_facts_end_now(struct report_db *db, int64_t now_s)
{
	return report_db_change(db, end_now, &now_s);
}

/* ---- adding ---- */

struct adding {
	int64_t now_s;
	struct slice batch;
	const struct report_fact *facts;
	size_t n_facts;
	uint64_t n_dropped;
	bool repeated;
	struct period period;
	int64_t n_topics, n_rows; /* of the period */
};

static struct status number_of(struct db_stmt *stmt, int64_t *ret_number)
{
	bool row = false;
	TRY(db_step(stmt, &row));
	*ret_number = row ? db_int(stmt, 0) : 0;
	return ok();
}

static struct status note_batch(struct db *db, struct adding *a)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "INSERT INTO batch (id, added_at) VALUES ($1, $2)"
	            " ON CONFLICT (id) DO NOTHING RETURNING added_at",
	            &stmt));
	db_bind_bytes(stmt, 1, a->batch);
	db_bind(stmt, 2, a->now_s);
	TRY(db_step(stmt, &row));
	a->repeated = !row;
	return row ? db_step(stmt, &row) : ok();
}

static struct status count_period(struct db *db, struct adding *a)
{
	CLEANUP(db_donep) struct db_stmt *topics = NULL, *rows = NULL;
	TRY(db_stmt(db, "SELECT COUNT(*) FROM topic WHERE period = $1", &topics));
	db_bind(topics, 1, a->period.id);
	TRY(number_of(topics, &a->n_topics));
	TRY(db_stmt(db, "SELECT n_facts FROM period WHERE id = $1", &rows));
	db_bind(rows, 1, a->period.id);
	return number_of(rows, &a->n_rows);
}

static struct status find_topic(struct db *db, const struct adding *a,
                                const struct report_fact *fact, struct slice domain,
                                int64_t *ret_topic)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "SELECT id FROM topic WHERE period = $1 AND kind = $2 AND domain = $3",
	            &stmt));
	db_bind(stmt, 1, a->period.id);
	db_bind(stmt, 2, fact->kind);
	db_bind_text(stmt, 3, domain);
	return number_of(stmt, ret_topic);
}

static struct status new_topic(struct db *db, struct adding *a, const struct report_fact *fact,
                               struct slice domain, int64_t *ret_topic)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "INSERT INTO topic (period, kind, domain, wanted, n_facts, n_dropped)"
	            " VALUES ($1, $2, $3, 0, 0, 0) RETURNING id",
	            &stmt));
	db_bind(stmt, 1, a->period.id);
	db_bind(stmt, 2, fact->kind);
	db_bind_text(stmt, 3, domain);
	TRY(number_of(stmt, ret_topic));
	a->n_topics++;
	return db_step(stmt, &row);
}

static struct status find_policy(struct db *db, int64_t topic, struct slice form,
                                 int64_t *ret_policy)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "SELECT id FROM policy WHERE topic = $1 AND form = $2", &stmt));
	db_bind(stmt, 1, topic);
	db_bind_bytes(stmt, 2, form);
	return number_of(stmt, ret_policy);
}

static struct status n_policies(struct db *db, int64_t topic, int64_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "SELECT COUNT(*) FROM policy WHERE topic = $1", &stmt));
	db_bind(stmt, 1, topic);
	return number_of(stmt, ret_n);
}

/* 0 where there are too many. */
static struct status policy_of(struct db *db, int64_t topic, struct slice form, int64_t *ret_policy)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t n = 0;
	bool row = false;
	TRY(find_policy(db, topic, form, ret_policy));
	if (*ret_policy != 0)
		return ok();
	TRY(n_policies(db, topic, &n));
	if (n >= (int64_t)REPORT_TOPIC_POLICIES_MAX)
		return ok();
	TRY(db_stmt(db, "INSERT INTO policy (topic, form) VALUES ($1, $2) RETURNING id", &stmt));
	db_bind(stmt, 1, topic);
	db_bind_bytes(stmt, 2, form);
	TRY(number_of(stmt, ret_policy));
	return db_step(stmt, &row);
}

/* Adds to a row that there is: *ret_done. */
static struct status count_again(struct db *db, int64_t policy, const struct report_fact *fact,
                                 bool *ret_done)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "UPDATE fact SET count = count + $1 WHERE policy = $2 AND form = $3"
	            " RETURNING count",
	            &stmt));
	db_bind(stmt, 1, (int64_t)fact->count);
	db_bind(stmt, 2, policy);
	db_bind_bytes(stmt, 3, fact->form);
	TRY(db_step(stmt, &row));
	*ret_done = row;
	return row ? db_step(stmt, &row) : ok();
}

static struct status new_row(struct db *db, struct adding *a, int64_t policy,
                             const struct report_fact *fact)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "INSERT INTO fact (policy, form, count) VALUES ($1, $2, $3)", &stmt));
	db_bind(stmt, 1, policy);
	db_bind_bytes(stmt, 2, fact->form);
	db_bind(stmt, 3, (int64_t)fact->count);
	a->n_rows++;
	return db_run(stmt);
}

static struct status drop(struct db *db, int64_t topic, const struct report_fact *fact)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "UPDATE topic SET n_dropped = n_dropped + $1 WHERE id = $2", &stmt));
	db_bind(stmt, 1, (int64_t)fact->count);
	db_bind(stmt, 2, topic);
	return db_run(stmt);
}

static struct status note_topic(struct db *db, int64_t topic, bool is_new, bool wanted)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "UPDATE topic SET n_facts = n_facts + $1, wanted = MAX(wanted, $2)"
	            " WHERE id = $3",
	            &stmt));
	db_bind(stmt, 1, is_new);
	db_bind(stmt, 2, wanted);
	db_bind(stmt, 3, topic);
	return db_run(stmt);
}

static struct status n_topic_rows(struct db *db, int64_t topic, int64_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "SELECT n_facts FROM topic WHERE id = $1", &stmt));
	db_bind(stmt, 1, topic);
	return number_of(stmt, ret_n);
}

static struct status count_fact(struct db *db, struct adding *a, const struct report_fact *fact,
                                int64_t topic)
{
	int64_t policy = 0, n_rows = 0;
	bool done = false;
	TRY(policy_of(db, topic, fact->policy, &policy));
	if (policy == 0)
		return drop(db, topic, fact);
	TRY(count_again(db, policy, fact, &done));
	if (!done) {
		TRY(n_topic_rows(db, topic, &n_rows));
		if (n_rows >= (int64_t)REPORT_TOPIC_FACTS_MAX ||
		    a->n_rows >= (int64_t)REPORT_FACTS_MAX)
			return drop(db, topic, fact);
		TRY(new_row(db, a, policy, fact));
	}
	return note_topic(db, topic, !done, !fact->unwanted);
}

static struct status add_fact(struct db *db, struct adding *a, const struct report_fact *fact)
{
	for (size_t i = 0; i < fact->n_domains; i++) {
		int64_t topic = 0;
		TRY(find_topic(db, a, fact, fact->domains[i], &topic));
		if (topic == 0 && a->n_topics >= (int64_t)REPORT_TOPICS_MAX) {
			a->n_dropped += fact->count;
			continue;
		}
		if (topic == 0)
			TRY(new_topic(db, a, fact, fact->domains[i], &topic));
		TRY(count_fact(db, a, fact, topic));
	}
	return ok();
}

static struct status note_period(struct db *db, const struct adding *a)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "UPDATE period SET n_facts = $1, n_dropped = n_dropped + $2 WHERE id = $3",
	            &stmt));
	db_bind(stmt, 1, a->n_rows);
	db_bind(stmt, 2, (int64_t)MIN(a->n_dropped, (uint64_t)INT32_MAX));
	db_bind(stmt, 3, a->period.id);
	return db_run(stmt);
}

static struct status add(struct db *db, void *context)
{
	struct adding *a = context;
	TRY(note_batch(db, a));
	if (a->repeated)
		return ok();
	TRY(running_period(db, a->now_s, &a->period));
	TRY(count_period(db, a));
	for (size_t i = 0; i < a->n_facts; i++)
		TRY(add_fact(db, a, &a->facts[i]));
	return note_period(db, a);
}

bool report_fact_is_good(const struct report_fact *fact)
{
	if ((unsigned)fact->kind >= REPORT_KINDS || fact->n_domains == 0 ||
	    fact->n_domains > REPORT_DOMAINS_MAX || fact->count == 0 ||
	    fact->count > REPORT_COUNT_MAX_FACT || fact->policy.n > REPORT_FORM_MAX ||
	    fact->form.n > REPORT_FORM_MAX)
		return false;
	for (size_t i = 0; i < fact->n_domains; i++)
		if (!report_domain_is_good(fact->domains[i]))
			return false;
	return fact->n_domains == 1 || !slice_eq(fact->domains[0], fact->domains[1]);
}

struct status report_facts_add(struct report_db *db, int64_t now_s, struct slice batch,
                               const struct report_fact *facts, size_t n_facts, uint64_t n_dropped,
                               bool *ret_repeated)
{
	struct adding a = {.now_s = now_s,
	                   .batch = batch,
	                   .facts = facts,
	                   .n_facts = n_facts,
	                   .n_dropped = n_dropped};
	if (batch.n != REPORT_BATCH_ID_SIZE)
		return fail(ERR_INVALID, "a batch without a proper id");
	for (size_t i = 0; i < n_facts; i++)
		if (!report_fact_is_good(&facts[i]))
			return fail(ERR_INVALID, "a fact that no room of ours sends");
	TRY(report_db_change(db, add, &a));
	*ret_repeated = a.repeated;
	return ok();
}

/* ---- forgetting ---- */

static struct status clean(struct db *db, void *context)
{
	static const char *const statements[] = {
	        "DELETE FROM batch WHERE added_at < $1",
	        "DELETE FROM fact WHERE policy IN (SELECT p.id FROM policy p JOIN topic t"
	        " ON t.id = p.topic JOIN period e ON e.id = t.period"
	        " WHERE e.ended = 1 AND e.end_at < $1)",
	        "DELETE FROM policy WHERE topic IN (SELECT t.id FROM topic t JOIN period e"
	        " ON e.id = t.period WHERE e.ended = 1 AND e.end_at < $1)",
	        "DELETE FROM dispatch WHERE topic IN (SELECT t.id FROM topic t JOIN period e"
	        " ON e.id = t.period WHERE e.ended = 1 AND e.end_at < $1)",
	        "DELETE FROM report WHERE topic IN (SELECT t.id FROM topic t JOIN period e"
	        " ON e.id = t.period WHERE e.ended = 1 AND e.end_at < $1)",
	        "DELETE FROM topic WHERE period IN (SELECT id FROM period"
	        " WHERE ended = 1 AND end_at < $1)",
	        "DELETE FROM period WHERE ended = 1 AND end_at < $1",
	};
	int64_t now_s = *(const int64_t *)context;
	for (size_t i = 0; i < N_ELEMENTS(statements); i++) {
		CLEANUP(db_donep) struct db_stmt *stmt = NULL;
		TRY(db_stmt(db, statements[i], &stmt));
		db_bind(stmt, 1, now_s - (i == 0 ? REPORT_BATCH_KEEP_S : REPORT_KEEP_S));
		TRY(db_run(stmt));
	}
	return ok();
}

struct status report_facts_clean(struct report_db *db, int64_t now_s)
{
	return report_db_change(db, clean, &now_s);
}

/* ---- reading ---- */

#define TOPIC_COLUMNS                                                                              \
	"t.id, t.period, e.begin_at, e.end_at, e.ended, t.kind, t.domain, t.wanted, t.n_facts,"    \
	" t.n_dropped, e.n_dropped"

static void topic_read(struct db_stmt *stmt, struct arena *arena, struct report_topic *ret_topic)
{
	*ret_topic = (struct report_topic){
	        .id = db_int(stmt, 0),
	        .period = db_int(stmt, 1),
	        .begin_s = db_int(stmt, 2),
	        .end_s = db_int(stmt, 3),
	        .ended = db_int(stmt, 4) != 0,
	        .kind = (enum report_kind)db_int(stmt, 5),
	        .domain = arena_copy(arena, db_bytes(stmt, 6)),
	        .wanted = db_int(stmt, 7) != 0,
	        .n_facts = (uint64_t)db_int(stmt, 8),
	        .n_dropped = (uint64_t)db_int(stmt, 9),
	        .n_period_dropped = (uint64_t)db_int(stmt, 10),
	};
}

struct topics {
	const struct report_topics_query *query;
	int64_t id;
	struct arena *arena;
	struct report_topic *v;
	size_t n;
};

static struct status read_topics(struct db *db, void *context)
{
	struct topics *t = context;
	const struct report_topics_query *q = t->query;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT " TOPIC_COLUMNS " FROM topic t JOIN period e ON e.id = t.period"
	            " WHERE t.kind = $1 AND ($2 = '' OR t.domain = $3) AND e.end_at > $4"
	            " AND e.begin_at < $5 AND ($6 = 0 OR t.id < $7) ORDER BY t.id DESC LIMIT $8",
	            &stmt));
	db_bind(stmt, 1, q->kind);
	db_bind_text(stmt, 2, q->domain);
	db_bind_text(stmt, 3, q->domain);
	db_bind(stmt, 4, q->from_s);
	db_bind(stmt, 5, q->to_s);
	db_bind(stmt, 6, q->after);
	db_bind(stmt, 7, q->after);
	db_bind(stmt, 8, (int64_t)q->max);
	TRY(db_step(stmt, &row));
	while (row && t->n < q->max) {
		topic_read(stmt, t->arena, &t->v[t->n++]);
		TRY(db_step(stmt, &row));
	}
	return arena_failed(t->arena) ? fail(ERR_LIMIT, "no memory for so many topics") : ok();
}

struct status report_topics_list(struct report_db *db, const struct report_topics_query *query,
                                 struct arena *arena, struct report_topic **ret_topics,
                                 size_t *ret_n)
{
	struct topics t = {.query = query, .arena = arena};
	t.v = ARENA_ARRAY(arena, MAX(query->max, (size_t)1), struct report_topic);
	if (!t.v)
		return fail(ERR_LIMIT, "no memory for so many topics");
	TRY(report_db_read(db, read_topics, &t));
	*ret_topics = t.v;
	*ret_n = t.n;
	return ok();
}

static struct status read_topic(struct db *db, void *context)
{
	struct topics *t = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT " TOPIC_COLUMNS " FROM topic t JOIN period e ON e.id = t.period"
	            " WHERE t.id = $1",
	            &stmt));
	db_bind(stmt, 1, t->id);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "there is no such topic");
	topic_read(stmt, t->arena, t->v);
	return arena_failed(t->arena) ? fail(ERR_LIMIT, "no memory for a topic") : ok();
}

struct status report_topic_find(struct report_db *db, int64_t id, struct arena *arena,
                                struct report_topic *ret_topic)
{
	struct topics t = {.id = id, .arena = arena, .v = ret_topic};
	return report_db_read(db, read_topic, &t);
}

struct reading {
	int64_t topic, policy;
	size_t max;
	struct arena *arena;
	struct report_counted *v;
	size_t n;
	bool more;
};

/* The policy's bytes once for all facts of it. */
static struct status read_facts(struct db *db, void *context)
{
	struct reading *r = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT p.id, p.form, f.form, f.count FROM policy p JOIN fact f"
	            " ON f.policy = p.id WHERE p.topic = $1 AND ($2 = 0 OR p.id = $3)"
	            " ORDER BY p.id, f.form",
	            &stmt));
	db_bind(stmt, 1, r->topic);
	db_bind(stmt, 2, r->policy);
	db_bind(stmt, 3, r->policy);
	TRY(db_step(stmt, &row));
	while (row && r->n < r->max) {
		struct report_counted *counted = &r->v[r->n];
		counted->policy = db_int(stmt, 0);
		counted->policy_form = r->n > 0 && counted[-1].policy == counted->policy
		                               ? counted[-1].policy_form
		                               : arena_copy(r->arena, db_bytes(stmt, 1));
		counted->form = arena_copy(r->arena, db_bytes(stmt, 2));
		counted->count = (uint64_t)db_int(stmt, 3);
		r->n++;
		TRY(db_step(stmt, &row));
	}
	r->more = row;
	return arena_failed(r->arena) ? fail(ERR_LIMIT, "no memory for so many facts") : ok();
}

struct status report_topic_read(struct report_db *db, int64_t topic, int64_t policy, size_t max,
                                struct arena *arena, struct report_counted **ret_counted,
                                size_t *ret_n, bool *ret_more)
{
	struct reading r = {.topic = topic, .policy = policy, .max = max, .arena = arena};
	r.v = ARENA_ARRAY(arena, MAX(max, (size_t)1), struct report_counted);
	if (!r.v)
		return fail(ERR_LIMIT, "no memory for so many facts");
	TRY(report_db_read(db, read_facts, &r));
	*ret_counted = r.v;
	*ret_n = r.n;
	*ret_more = r.more;
	return ok();
}
