/* See report_policies.h. */
#include "rooms/report_policies.h"

#define LIST_MAX 500u /* of one page */

bool report_domain_is_good(struct slice domain)
{
	bool label = false;
	for (size_t i = 0; i < domain.n; i++) {
		uint8_t c = domain.p[i];
		if (c == '.' && !label)
			return false;
		label = c != '.';
		if (label && !ascii_is_digit(c) && c != '-' && c != '_' &&
		    (!ascii_is_alpha(c) || ascii_is_upper(c)))
			return false;
	}
	return label && domain.n <= 253;
}

/* One policy to be found, stored or forgotten. */
struct one {
	struct slice domain;
	int64_t now_s;
	struct arena *arena;
	struct slice form;
	int64_t used_at_s;
};

/* ---- get ---- */

static struct status read_one(struct db *db, void *context)
{
	struct one *one = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT form, used_at FROM sts_policy WHERE domain = $1", &stmt));
	db_bind_text(stmt, 1, one->domain);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "no policy of that domain is kept");
	one->form = arena_copy(one->arena, db_bytes(stmt, 0));
	one->used_at_s = db_int(stmt, 1);
	return arena_failed(one->arena) ? fail(ERR_LIMIT, "no memory for a policy") : ok();
}

struct status report_policies_find(struct report_db *db, struct report_policy *policy,
                                   struct arena *arena)
{
	struct one one = {.domain = policy->domain, .arena = arena};
	TRY(report_db_read(db, read_one, &one));
	policy->used_at_s = one.used_at_s;
	policy->form = one.form;
	return ok();
}

static struct status write_use(struct db *db, void *context)
{
	const struct one *one = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "UPDATE sts_policy SET used_at = $1 WHERE domain = $2", &stmt));
	db_bind(stmt, 1, one->now_s);
	db_bind_text(stmt, 2, one->domain);
	return db_run(stmt);
}

struct status report_policies_get(struct report_db *db, struct slice domain, int64_t now_s,
                                  struct arena *arena, struct slice *ret_form)
{
	struct one one = {.domain = domain, .now_s = now_s, .arena = arena};
	TRY(report_db_read(db, read_one, &one));
	/* A commit costs a sync: not one for each message. A clock that went back is believed, too.
	 */
	if (now_s >= one.used_at_s + REPORT_POLICY_USED_S || now_s < one.used_at_s)
		(void)report_db_change(db, write_use, &one);
	*ret_form = one.form;
	return ok();
}

/* ---- put ---- */

static struct status totals(struct db *db, int64_t *ret_n, int64_t *ret_size)
{
	return report_db_totals(db, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM sts_policy",
	                        ret_n, ret_size);
}

static struct status remove_oldest(struct db *db, struct slice but)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "DELETE FROM sts_policy WHERE domain = (SELECT domain FROM sts_policy"
	            " WHERE domain <> $1 ORDER BY used_at LIMIT 1)",
	            &stmt));
	db_bind_text(stmt, 1, but);
	return db_run(stmt);
}

static struct status make_place(struct db *db, struct slice but)
{
	int64_t n = 0, size = 0;
	TRY(totals(db, &n, &size));
	while (n > 1 && (n > (int64_t)REPORT_POLICIES_MAX || size > REPORT_POLICIES_SIZE_MAX)) {
		TRY(remove_oldest(db, but));
		TRY(totals(db, &n, &size));
	}
	return ok();
}

static struct status write_one(struct db *db, void *context)
{
	const struct one *one = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "INSERT INTO sts_policy (domain, size, used_at, form) VALUES ($1, $2, $3, $4)"
	            " ON CONFLICT (domain) DO UPDATE SET size = excluded.size,"
	            " used_at = excluded.used_at, form = excluded.form",
	            &stmt));
	db_bind_text(stmt, 1, one->domain);
	db_bind(stmt, 2, (int64_t)one->form.n);
	db_bind(stmt, 3, one->now_s);
	db_bind_bytes(stmt, 4, one->form);
	TRY(db_run(stmt));
	return make_place(db, one->domain);
}

struct status report_policies_put(struct report_db *db, struct slice domain, int64_t now_s,
                                  struct slice form)
{
	struct one one = {.domain = domain, .now_s = now_s, .form = form};
	if (!report_domain_is_good(domain))
		return fail(ERR_INVALID, "the domain of a policy is none");
	if (form.n == 0 || form.n > REPORT_POLICY_SIZE_MAX)
		return fail(ERR_LIMIT, "a policy is too long");
	return report_db_change(db, write_one, &one);
}

/* ---- forget ---- */

static struct status remove_one(struct db *db, void *context)
{
	const struct one *one = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "DELETE FROM sts_policy WHERE domain = $1 RETURNING domain", &stmt));
	db_bind_text(stmt, 1, one->domain);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "no policy of that domain is kept");
	return db_step(stmt, &row); /* to its end */
}

struct status report_policies_forget(struct report_db *db, struct slice domain)
{
	struct one one = {.domain = domain};
	return report_db_change(db, remove_one, &one);
}

/* ---- list ---- */

struct listing {
	struct slice after;
	size_t size_max;
	struct arena *arena;
	struct report_policy *policies;
	size_t n;
	bool more;
};

static struct status read_page(struct db *db, void *context)
{
	struct listing *l = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	size_t size = 0;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT domain, used_at, form FROM sts_policy WHERE domain > $1"
	            " ORDER BY domain",
	            &stmt));
	db_bind_text(stmt, 1, l->after);
	TRY(db_step(stmt, &row));
	while (row && l->n < LIST_MAX && (size <= l->size_max || l->n == 0)) {
		l->policies[l->n] = (struct report_policy){
		        .domain = arena_copy(l->arena, db_bytes(stmt, 0)),
		        .used_at_s = db_int(stmt, 1),
		        .form = arena_copy(l->arena, db_bytes(stmt, 2)),
		};
		size += l->policies[l->n++].form.n;
		TRY(db_step(stmt, &row));
	}
	l->more = row;
	return arena_failed(l->arena) ? fail(ERR_LIMIT, "no memory for a list of policies") : ok();
}

struct status report_policies_list(struct report_db *db, struct slice after, size_t size_max,
                                   struct arena *arena, struct report_policy **ret_policies,
                                   size_t *ret_n, bool *ret_more)
{
	struct listing l = {.after = after, .size_max = size_max, .arena = arena};
	l.policies = ARENA_ARRAY(arena, LIST_MAX, struct report_policy);
	if (!l.policies)
		return fail(ERR_LIMIT, "no memory for a list of policies");
	TRY(report_db_read(db, read_page, &l));
	*ret_policies = l.policies;
	*ret_n = l.n;
	*ret_more = l.more;
	return ok();
}
