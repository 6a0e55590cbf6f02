/* Hold rules and suppression. */
#include "queue/policy.h"
#include "queue/queue_private.h"

#define REASON_MAX   ((size_t)200)
#define RULES_MEMORY ((size_t)QUEUE_HOLD_RULES_MAX * (3 * QUEUE_TEXT_MAX + 128))

/* ---- hold rules ---- */

static bool is_domain(struct slice wanted, struct slice domain)
{
	return wanted.n == 0 || slice_ieq(wanted, domain);
}

/* All that a rule says must hold. */
bool queue_hold_rule_matches(const struct queue_hold_rule *rule, struct slice account,
                             struct slice sender, struct slice recipient_domain)
{
	size_t at = slice_rindex(sender, '@');
	struct slice sender_domain = at == SIZE_MAX ? slice_empty() : slice_from(sender, at + 1);
	return (rule->account.n == 0 || slice_eq(rule->account, account)) &&
	       is_domain(rule->sender_domain, sender_domain) &&
	       is_domain(rule->recipient_domain, recipient_domain);
}

bool hold_rules_match(const struct queue *queue, struct slice account, struct slice sender,
                      struct slice recipient_domain)
{
	for (size_t i = 0; i < queue->rules.n; i++)
		if (queue_hold_rule_matches(&queue->rules.v[i], account, sender, recipient_domain))
			return true;
	return false;
}

static struct status read_rules(struct db *db, struct arena *arena,
                                struct queue_hold_rule **ret_rules, size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct queue_hold_rule *rules =
	        ARENA_ARRAY(arena, QUEUE_HOLD_RULES_MAX, struct queue_hold_rule);
	bool row = true;
	size_t n = 0;
	TRY(db_stmt(db,
	            "SELECT id, account, sender_domain, recipient_domain, created_at"
	            " FROM hold_rule ORDER BY id",
	            &stmt));
	while (rules && n < QUEUE_HOLD_RULES_MAX) {
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		rules[n++] = (struct queue_hold_rule){
		        .id = db_int(stmt, 0),
		        .account = row_text(stmt, 1, arena),
		        .sender_domain = row_text(stmt, 2, arena),
		        .recipient_domain = row_text(stmt, 3, arena),
		        .created_ms = db_int(stmt, 4),
		};
	}
	*ret_rules = rules;
	*ret_n = n;
	return arena_failed(arena) ? fail(ERR_LIMIT, "too many hold rules") : ok();
}

struct status hold_rules_load(struct queue *queue, struct db *db)
{
	struct hold_rules rules = {0};
	arena_init(&rules.arena, RULES_MEMORY);
	struct status status = read_rules(db, &rules.arena, &rules.v, &rules.n);
	if (!is_ok(status)) {
		arena_done(&rules.arena);
		return status;
	}
	arena_done(&queue->rules.arena);
	queue->rules = rules;
	return ok();
}

struct status queue_hold_rule_list(struct queue *queue, struct arena *arena,
                                   struct queue_hold_rule **ret_rules, size_t *ret_n)
{
	TRY(reader_lock(queue, &queue->people));
	struct status status = read_rules(queue->people.db, arena, ret_rules, ret_n);
	reader_unlock(&queue->people);
	return status;
}

struct rule_request {
	struct request request;
	struct queue_hold_rule *rule;
	int64_t id;
	bool removed;
};

static struct status run_rule_add(struct tx *tx, struct request *request)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct queue_hold_rule *rule = ((struct rule_request *)request)->rule;
	if (tx->queue->rules.n >= QUEUE_HOLD_RULES_MAX)
		return fail(ERR_LIMIT, "there are too many hold rules");
	rule->id = queue_new_ids(tx->queue, 1);
	rule->created_ms = tx->now_ms;
	tx->rules_changed = true;
	TRY(db_stmt(tx->db,
	            "INSERT INTO hold_rule (id, account, sender_domain, recipient_domain,"
	            " created_at) VALUES ($1, $2, $3, $4, $5)",
	            &stmt));
	db_bind(stmt, 1, rule->id);
	db_bind_text(stmt, 2, rule->account);
	db_bind_text(stmt, 3, rule->sender_domain);
	db_bind_text(stmt, 4, rule->recipient_domain);
	db_bind(stmt, 5, rule->created_ms);
	return db_run(stmt);
}

static bool rule_wants(void *context, const struct queue_entry *entry)
{
	return entry->state != QUEUE_HELD &&
	       queue_hold_rule_matches(context, entry->account, entry->sender, entry->domain);
}

struct status queue_hold_rule_add(struct queue *queue, struct queue_hold_rule *rule,
                                  uint64_t *ret_n_held)
{
	struct rule_request r = {.request.run = run_rule_add, .rule = rule};
	struct queue_apply apply = {.filter.hold = -1, .change = QUEUE_CHANGE_HOLD};
	if (rule->account.n > QUEUE_TEXT_MAX || rule->sender_domain.n > QUEUE_TEXT_MAX ||
	    rule->recipient_domain.n > QUEUE_TEXT_MAX)
		return fail(ERR_LIMIT, "a name in the rule is too long");
	TRY(writer_do(queue, &r.request));
	TRY(apply_where(queue, &apply, rule_wants, rule));
	*ret_n_held = apply.n_changed;
	return ok();
}

static struct status run_rule_remove(struct tx *tx, struct request *request)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct rule_request *r = (struct rule_request *)request;
	TRY(db_stmt(tx->db, "DELETE FROM hold_rule WHERE id = $1 RETURNING id", &stmt));
	db_bind(stmt, 1, r->id);
	TRY(db_step(stmt, &r->removed));
	tx->rules_changed = tx->rules_changed || r->removed;
	return r->removed ? ok() : fail(ERR_NOT_FOUND, "there is no such hold rule");
}

struct status queue_hold_rule_remove(struct queue *queue, int64_t id)
{
	struct rule_request r = {.request.run = run_rule_remove, .id = id};
	return writer_do(queue, &r.request);
}

/* ---- suppression ---- */

struct status suppress_insert(struct tx *tx, const struct queue_suppression *suppression,
                              bool *ret_new)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct slice base = queue_base_address(suppression->address, &tx->arena);
	TRY(db_stmt(tx->db,
	            "INSERT INTO suppression (account, address, reason, created_at, manual)"
	            " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account, address) DO NOTHING"
	            " RETURNING created_at",
	            &stmt));
	db_bind_text(stmt, 1, suppression->account);
	db_bind_text(stmt, 2, base);
	db_bind_text(stmt, 3, cut_text(suppression->reason, REASON_MAX));
	db_bind(stmt, 4, tx->now_ms);
	db_bind(stmt, 5, suppression->manual);
	return db_step(stmt, ret_new);
}

/* Did the two deliveries before this one to the same address fail? */
static struct status two_failed(struct tx *tx, struct slice account, struct slice address,
                                bool *ret_failed)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	unsigned n_failed = 0;
	bool row = true;
	TRY(db_stmt(tx->db,
	            "SELECT state FROM retired WHERE account = $1 AND base = $2"
	            " ORDER BY last_at DESC, id DESC LIMIT 2",
	            &stmt));
	db_bind_text(stmt, 1, account);
	db_bind_text(stmt, 2, queue_base_address(address, &tx->arena));
	TRY(db_step(stmt, &row));
	while (row) {
		n_failed += db_int(stmt, 0) == QUEUE_FAILED;
		TRY(db_step(stmt, &row));
	}
	*ret_failed = n_failed == 2;
	return ok();
}

struct status suppress_after(struct tx *tx, const struct entry_row *row, enum queue_suppress how,
                             const struct queue_attempt *attempt)
{
	bool suppress = how == QUEUE_SUPPRESS_NOW, is_new;
	struct slice line, rest;
	if (how == QUEUE_SUPPRESS_THIRD)
		TRY(two_failed(tx, row->entry.account, row->entry.recipient, &suppress));
	if (!suppress)
		return ok();
	(void)slice_cut(attempt->lines, '\n', &line, &rest);
	return suppress_insert(tx,
	                       &(struct queue_suppression){
	                               .account = row->entry.account,
	                               .address = row->entry.recipient,
	                               .reason = line.n > 0 ? line : attempt->why,
	                       },
	                       &is_new);
}

struct suppress_request {
	struct request request;
	const struct queue_suppression *suppression;
	struct slice account, address;
};

static struct status run_suppress_add(struct tx *tx, struct request *request)
{
	bool is_new = false;
	TRY(suppress_insert(tx, ((const struct suppress_request *)request)->suppression, &is_new));
	return is_new ? ok() : fail(ERR_EXISTS, "the address is on the list already");
}

struct status queue_suppress_add(struct queue *queue, const struct queue_suppression *suppression)
{
	struct suppress_request r = {.request.run = run_suppress_add, .suppression = suppression};
	if (suppression->account.n == 0 || suppression->account.n > QUEUE_TEXT_MAX ||
	    suppression->address.n > QUEUE_TEXT_MAX ||
	    slice_rindex(suppression->address, '@') == SIZE_MAX)
		return fail(ERR_SYNTAX, "an account and an address with a domain are needed");
	return writer_do(queue, &r.request);
}

static struct status run_suppress_remove(struct tx *tx, struct request *request)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct suppress_request *r = (const struct suppress_request *)request;
	bool row = false;
	TRY(db_stmt(tx->db,
	            "DELETE FROM suppression WHERE account = $1 AND address = $2"
	            " RETURNING created_at",
	            &stmt));
	db_bind_text(stmt, 1, r->account);
	db_bind_text(stmt, 2, queue_base_address(r->address, &tx->arena));
	TRY(db_step(stmt, &row));
	return row ? ok() : fail(ERR_NOT_FOUND, "the address is not on the list");
}

struct status queue_suppress_remove(struct queue *queue, struct slice account, struct slice address)
{
	struct suppress_request r = {
	        .request.run = run_suppress_remove, .account = account, .address = address};
	return writer_do(queue, &r.request);
}

static void read_suppression(struct db_stmt *stmt, struct arena *arena,
                             struct queue_suppression *ret_suppression)
{
	*ret_suppression = (struct queue_suppression){
	        .account = row_text(stmt, 0, arena),
	        .address = row_text(stmt, 1, arena),
	        .reason = row_text(stmt, 2, arena),
	        .created_ms = db_int(stmt, 3),
	        .manual = db_int(stmt, 4) != 0,
	};
}

#define SUPPRESSION_COLUMNS "account, address, reason, created_at, manual"

static struct status list_suppressed(struct db *db, struct slice account,
                                     const struct queue_suppression *after, size_t limit,
                                     struct arena *arena, struct queue_suppression **ret_list,
                                     size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct queue_suppression *list = ARENA_ARRAY(arena, limit, struct queue_suppression);
	bool row = true;
	size_t n = 0;
	TRY(db_stmt(db,
	            "SELECT " SUPPRESSION_COLUMNS " FROM suppression"
	            " WHERE ($1 = '' OR account = $1) AND (account, address) > ($2, $3)"
	            " ORDER BY account, address LIMIT $4",
	            &stmt));
	db_bind_text(stmt, 1, account);
	db_bind_text(stmt, 2, after ? after->account : slice_empty());
	db_bind_text(stmt, 3, after ? after->address : slice_empty());
	db_bind(stmt, 4, (int64_t)limit);
	while (list && n < limit) {
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		read_suppression(stmt, arena, &list[n++]);
	}
	*ret_list = list;
	*ret_n = n;
	return arena_failed(arena) ? fail(ERR_LIMIT, "the list is too long") : ok();
}

struct status queue_suppress_list(struct queue *queue, struct slice account,
                                  const struct queue_suppression *after, size_t limit,
                                  struct arena *arena, struct queue_suppression **ret_list,
                                  size_t *ret_n)
{
	TRY(reader_lock(queue, &queue->people));
	struct status status =
	        list_suppressed(queue->people.db, account, after, limit, arena, ret_list, ret_n);
	reader_unlock(&queue->people);
	return status;
}

static struct status find_suppressed(struct db *db, struct slice account, struct slice base,
                                     struct arena *arena, struct queue_suppression *ret_suppression)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT " SUPPRESSION_COLUMNS
	            " FROM suppression WHERE account = $1 AND address = $2",
	            &stmt));
	db_bind_text(stmt, 1, account);
	db_bind_text(stmt, 2, base);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "the address is not on the list");
	read_suppression(stmt, arena, ret_suppression);
	return arena_failed(arena) ? fail(ERR_LIMIT, "the reason is too long") : ok();
}

struct status queue_suppress_find(struct queue *queue, struct slice account, struct slice address,
                                  struct arena *arena, struct queue_suppression *ret_suppression)
{
	struct slice base = queue_base_address(address, arena);
	TRY(reader_lock(queue, &queue->deliveries));
	struct status status =
	        find_suppressed(queue->deliveries.db, account, base, arena, ret_suppression);
	reader_unlock(&queue->deliveries);
	return status;
}
