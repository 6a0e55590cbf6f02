/* See report_received.h. */
#include "rooms/report_received.h"

#include "rooms/report_policies.h"
#include "text/utf8.h"

#define COLUMNS                                                                                    \
	"id, kind, domain, organization, contact, report_id, account, begin_at, end_at,"           \
	" received_at, n_good, n_bad, authentic"

/* ---- adding ---- */

static bool is_text(struct slice text, size_t n_min)
{
	return text.n >= n_min && text.n <= REPORT_RECEIVED_TEXT_MAX && utf8_valid(text);
}

static bool is_good(const struct report_received *r)
{
	return (unsigned)r->kind < REPORT_KINDS && report_domain_is_good(r->domain) &&
	       is_text(r->organization, 1) && is_text(r->contact, 0) && is_text(r->report_id, 1) &&
	       is_text(r->account, 1) && r->begin_s >= 0 && r->end_s >= r->begin_s &&
	       r->n_good <= INT64_MAX && r->n_bad <= INT64_MAX &&
	       r->form.n <= REPORT_RECEIVED_FORM_MAX;
}

struct adding {
	const struct report_received *report;
	bool is_new;
};

static void bind_report(struct db_stmt *stmt, const struct report_received *r)
{
	db_bind(stmt, 1, (int64_t)r->kind);
	db_bind_text(stmt, 2, r->domain);
	db_bind_text(stmt, 3, r->organization);
	db_bind_text(stmt, 4, r->contact);
	db_bind_text(stmt, 5, r->report_id);
	db_bind_text(stmt, 6, r->account);
	db_bind(stmt, 7, r->begin_s);
	db_bind(stmt, 8, r->end_s);
	db_bind(stmt, 9, r->received_s);
	db_bind(stmt, 10, (int64_t)r->n_good);
	db_bind(stmt, 11, (int64_t)r->n_bad);
	db_bind(stmt, 12, r->authentic);
	db_bind(stmt, 13, (int64_t)r->form.n);
	db_bind_bytes(stmt, 14, r->form);
}

static struct status totals(struct db *db, int64_t *ret_n, int64_t *ret_size)
{
	return report_db_totals(db, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM received", ret_n,
	                        ret_size);
}

static struct status remove_one(struct db *db, struct slice account)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "DELETE FROM received WHERE id = (SELECT id FROM received"
	            " ORDER BY account = $1 DESC, authentic, received_at, id LIMIT 1)",
	            &stmt));
	db_bind_text(stmt, 1, account);
	return db_run(stmt);
}

static struct status make_place(struct db *db, struct slice account)
{
	int64_t n = 0, size = 0;
	TRY(totals(db, &n, &size));
	while (n > (int64_t)REPORT_RECEIVED_MAX || (n > 1 && size > REPORT_RECEIVED_SIZE_MAX)) {
		TRY(remove_one(db, account));
		TRY(totals(db, &n, &size));
	}
	return ok();
}

static struct status write_report(struct db *db, void *context)
{
	struct adding *adding = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "INSERT INTO received (kind, domain, organization, contact, report_id, account,"
	            " begin_at, end_at, received_at, n_good, n_bad, authentic, size, form)"
	            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
	            " ON CONFLICT (kind, domain, organization, report_id) DO UPDATE SET"
	            " contact = excluded.contact, account = excluded.account,"
	            " begin_at = excluded.begin_at, end_at = excluded.end_at,"
	            " received_at = excluded.received_at, n_good = excluded.n_good,"
	            " n_bad = excluded.n_bad, authentic = 1, size = excluded.size,"
	            " form = excluded.form"
	            " WHERE excluded.authentic = 1 AND received.authentic = 0 RETURNING id",
	            &stmt));
	bind_report(stmt, adding->report);
	TRY(db_step(stmt, &adding->is_new));
	db_done(stmt);
	stmt = NULL;
	return make_place(db, adding->report->account);
}

struct status report_received_add(struct report_db *db, const struct report_received *report,
                                  bool *ret_is_new)
{
	struct adding adding = {.report = report};
	if (!is_good(report))
		return fail(ERR_INVALID, "a report that no room of ours hands over");
	TRY(report_db_change(db, write_report, &adding));
	*ret_is_new = adding.is_new;
	return ok();
}

/* ---- looking ---- */

struct looking {
	enum report_kind kind;
	struct slice domain;
	int64_t below;
	size_t n_max;
	struct arena *arena;
	struct report_received *reports;
	size_t n;
};

static void read_row(struct db_stmt *stmt, struct arena *arena, struct report_received *r)
{
	*r = (struct report_received){
	        .id = db_int(stmt, 0),
	        .kind = (enum report_kind)db_int(stmt, 1),
	        .domain = arena_copy(arena, db_bytes(stmt, 2)),
	        .organization = arena_copy(arena, db_bytes(stmt, 3)),
	        .contact = arena_copy(arena, db_bytes(stmt, 4)),
	        .report_id = arena_copy(arena, db_bytes(stmt, 5)),
	        .account = arena_copy(arena, db_bytes(stmt, 6)),
	        .begin_s = db_int(stmt, 7),
	        .end_s = db_int(stmt, 8),
	        .received_s = db_int(stmt, 9),
	        .n_good = (uint64_t)db_int(stmt, 10),
	        .n_bad = (uint64_t)db_int(stmt, 11),
	        .authentic = db_int(stmt, 12) != 0,
	};
}

static struct status read_list(struct db *db, void *context)
{
	struct looking *l = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT " COLUMNS " FROM received WHERE kind = $1 AND id < $2"
	            " AND ($3 = '' OR domain = $3) ORDER BY id DESC LIMIT $4",
	            &stmt));
	db_bind(stmt, 1, (int64_t)l->kind);
	db_bind(stmt, 2, l->below);
	db_bind_text(stmt, 3, l->domain);
	db_bind(stmt, 4, (int64_t)l->n_max);
	l->reports = ARENA_ARRAY(l->arena, MAX(l->n_max, (size_t)1), struct report_received);
	if (!l->reports)
		return fail(ERR_LIMIT, "no memory for a list of reports");
	for (l->n = 0; l->n < l->n_max; l->n++) {
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		read_row(stmt, l->arena, &l->reports[l->n]);
	}
	return arena_failed(l->arena) ? fail(ERR_LIMIT, "no memory for a list of reports") : ok();
}

struct status report_received_list(struct report_db *db, enum report_kind kind, struct slice domain,
                                   int64_t below, size_t n_max, struct arena *arena,
                                   struct report_received **ret_reports, size_t *ret_n)
{
	struct looking l = {
	        .kind = kind, .domain = domain, .below = below, .n_max = n_max, .arena = arena};
	TRY(report_db_read(db, read_list, &l));
	*ret_reports = l.reports;
	*ret_n = l.n;
	return ok();
}

struct finding {
	enum report_kind kind;
	int64_t id;
	struct arena *arena;
	struct report_received *report;
};

static struct status read_one(struct db *db, void *context)
{
	struct finding *f = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, "SELECT " COLUMNS ", form FROM received WHERE id = $1 AND kind = $2",
	            &stmt));
	db_bind(stmt, 1, f->id);
	db_bind(stmt, 2, (int64_t)f->kind);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "there is no report with that number");
	read_row(stmt, f->arena, f->report);
	f->report->form = arena_copy(f->arena, db_bytes(stmt, 13));
	return arena_failed(f->arena) ? fail(ERR_LIMIT, "no memory for a report") : ok();
}

struct status report_received_find(struct report_db *db, enum report_kind kind, int64_t id,
                                   struct arena *arena, struct report_received *ret_report)
{
	struct finding f = {.kind = kind, .id = id, .arena = arena, .report = ret_report};
	return report_db_read(db, read_one, &f);
}
