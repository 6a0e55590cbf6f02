/* Adding submissions. In the caller's thread: everything is checked, bodies are read and large ones
 * made durable. In the transaction: the caps are looked at and the rows inserted. */
#include "queue/policy.h"
#include "queue/queue_private.h"

#include <errno.h>
#include <sys/random.h>

#define PRUNE_EVERY_MS 3600000

struct adding {
	struct request request;
	struct queue_add *add;
	int64_t message, first_entry;
	uint8_t uid[16];
	struct body body;
	struct slice *domains; /* of the recipients */
	struct arena arena;
	bool prepared;
};

/* ---- in the caller's thread ---- */

static struct status random_bytes(void *p, size_t n)
{
	ssize_t got;
	do
		got = getrandom(p, n, 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)n ? ok() : fail(ERR_IO, "no random numbers");
}

static struct status check_text(struct slice text)
{
	if (text.n > QUEUE_TEXT_MAX)
		return fail(ERR_LIMIT, "a text of the submission is too long");
	return slice_has_control(text) ? fail(ERR_SYNTAX, "control characters in the envelope")
	                               : ok();
}

static struct status check_message(const struct queue_message *m)
{
	const struct slice texts[] = {m->account,    m->sender,  m->from,
	                              m->message_id, m->subject, m->envid};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		TRY(check_text(texts[i]));
	if (m->account.n == 0)
		return fail(ERR_SYNTAX, "a submission without an account");
	if (m->prefix.n > QUEUE_PREFIX_MAX || m->references.n > QUEUE_REFERENCES_MAX)
		return fail(ERR_LIMIT, "the generated header is too long");
	if (m->size > INT64_MAX || m->priority < -9 || m->priority > 9 || m->submitted_ms < 0 ||
	    m->deliver_by_ms < 0)
		return fail(ERR_SYNTAX, "a number of the submission is out of range");
	return ok();
}

static struct status check(const struct queue_add *add)
{
	if (add->submission_id.n == 0 || add->submission_id.n > QUEUE_ID_MAX)
		return fail(ERR_SYNTAX, "a submission without a proper id");
	if (add->n_recipients == 0 || add->n_recipients > QUEUE_RECIPIENTS_MAX)
		return fail(ERR_LIMIT, "too many recipients, or none");
	if (add->hold_until_ms < 0)
		return fail(ERR_SYNTAX, "a number of the submission is out of range");
	TRY(check_message(&add->message));
	TRY(check_text(add->transport));
	for (size_t i = 0; i < add->n_recipients; i++) {
		const struct queue_recipient *r = &add->recipients[i];
		TRY(check_text(r->address));
		TRY(check_text(r->orcpt));
		if (slice_rindex(r->address, '@') == SIZE_MAX)
			return fail(ERR_SYNTAX, "a recipient without a domain");
	}
	return ok();
}

static struct status full(void)
{
	return fail(ERR_NO_SPACE, "the queue is full");
}

static bool fits(const struct queue *queue, const struct queue_totals *totals,
                 const struct queue_add *add)
{
	return totals->n_entries + add->n_recipients <= atomic_load(&queue->max_entries) &&
	       totals->size + add->message.size <= atomic_load(&queue->max_size);
}

static struct status find_domains(struct adding *a)
{
	const struct queue_add *add = a->add;
	/* IDNA makes a name up to four times as long as it was. */
	arena_init(&a->arena, add->n_recipients * (4 * QUEUE_TEXT_MAX + sizeof(struct slice)) + 64);
	a->domains = ARENA_ARRAY(&a->arena, add->n_recipients, struct slice);
	for (size_t i = 0; i < add->n_recipients && a->domains; i++)
		a->domains[i] = queue_domain_of(add->recipients[i].address, &a->arena);
	return arena_failed(&a->arena) ? fail(ERR_LIMIT, "too many recipients") : ok();
}

static struct status prepare(struct queue *queue, struct adding *a)
{
	struct queue_totals totals;
	TRY(check(a->add));
	TRY(find_domains(a));
	TRY(random_bytes(a->uid, sizeof(a->uid)));
	queue_totals(queue, &totals);
	if (!fits(queue, &totals, a->add))
		return full(); /* before its body is written */
	if (queue_is_broken(queue))
		return fail(ERR_IO, "the queue stopped writing after a failed sync");
	a->message = queue_new_ids(queue, 1);
	a->first_entry = queue_new_ids(queue, (int64_t)a->add->n_recipients);
	return body_take(queue, a->message, a->add->body_fd, a->add->message.size, &a->body);
}

/* ---- in the transaction ---- */

static void give_ids(struct queue_add *add, int64_t first)
{
	for (size_t i = 0; i < add->n_recipients; i++)
		add->recipients[i].ret_id = first + (int64_t)i;
}

static struct status find_submission(struct tx *tx, struct adding *a)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "SELECT first_entry, n_entries FROM submission WHERE id = $1", &stmt));
	db_bind_bytes(stmt, 1, a->add->submission_id);
	TRY(db_step(stmt, &a->add->repeated));
	if (!a->add->repeated)
		return ok();
	if (db_int(stmt, 1) != (int64_t)a->add->n_recipients)
		return fail(ERR_INVALID, "the submission's id was used for something else");
	give_ids(a->add, db_int(stmt, 0));
	return ok();
}

static struct status insert_message(struct tx *tx, const struct adding *a)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct queue_message *m = &a->add->message;
	TRY(db_stmt(tx->db,
	            "INSERT INTO message (id, uid, account, sender, from_address, message_id,"
	            " subject, refs, prefix, envid, size, flags, ret, submitted_at, deliver_by,"
	            " by_mode, priority, n_users, is_file, xxh3_128) VALUES ($1, $2, $3, $4, $5,"
	            " $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
	            &stmt));
	db_bind(stmt, 1, a->message);
	db_bind_bytes(stmt, 2, slice_of(a->uid, sizeof(a->uid)));
	db_bind_text(stmt, 3, m->account);
	db_bind_text(stmt, 4, m->sender);
	db_bind_text(stmt, 5, m->from);
	db_bind_text(stmt, 6, m->message_id);
	db_bind_text(stmt, 7, m->subject);
	db_bind_bytes(stmt, 8, m->references);
	db_bind_bytes(stmt, 9, m->prefix);
	db_bind_text(stmt, 10, m->envid);
	db_bind(stmt, 11, (int64_t)m->size);
	db_bind(stmt, 12, message_flags(m));
	db_bind(stmt, 13, m->ret);
	db_bind(stmt, 14, tx->now_ms);
	db_bind(stmt, 15, m->deliver_by_ms);
	db_bind(stmt, 16, m->deliver_by_mode);
	db_bind(stmt, 17, m->priority);
	db_bind(stmt, 18, (int64_t)a->add->n_recipients);
	db_bind(stmt, 19, a->body.is_file);
	db_bind_bytes(stmt, 20, slice_of(a->body.sum, SUM_SIZE));
	return db_run(stmt);
}

static struct status insert_body(struct tx *tx, const struct adding *a)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	if (a->body.is_file)
		return ok();
	TRY(db_stmt(tx->db, "INSERT INTO body (message, bytes) VALUES ($1, $2)", &stmt));
	db_bind(stmt, 1, a->message);
	db_bind_bytes(stmt, 2, slice_of(a->body.bytes, (size_t)a->body.size));
	return db_run(stmt);
}

struct status entry_insert(struct tx *tx, const struct new_entry *entry)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "INSERT INTO entry (id, message, recipient, domain, orcpt, notify, next_at,"
	            " last_at, released_at, n_attempts, n_lost, hold, delay_told, transport,"
	            " require_tls, last_result, n_history)"
	            " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, 0, $9, 0, $10, 0, '', 0)",
	            &stmt));
	db_bind(stmt, 1, entry->id);
	db_bind(stmt, 2, entry->message);
	db_bind_text(stmt, 3, entry->recipient);
	db_bind_text(stmt, 4, entry->domain);
	db_bind_text(stmt, 5, entry->orcpt);
	db_bind(stmt, 6, entry->notify);
	db_bind(stmt, 7, entry->next_ms);
	db_bind(stmt, 8, entry->next_ms);
	db_bind(stmt, 9, entry->hold);
	db_bind_text(stmt, 10, entry->transport);
	TRY(db_run(stmt));
	tx->totals.n_entries++;
	return ok();
}

static struct status insert_entry(struct tx *tx, const struct adding *a, size_t i)
{
	const struct queue_add *add = a->add;
	const struct queue_message *m = &add->message;
	size_t at = slice_rindex(m->sender, '@');
	struct new_entry entry = {
	        .id = a->first_entry + (int64_t)i,
	        .message = a->message,
	        .recipient = add->recipients[i].address,
	        .domain = a->domains[i],
	        .orcpt = add->recipients[i].orcpt,
	        .transport = add->transport,
	        .notify = add->recipients[i].notify,
	        .next_ms = MAX(add->hold_until_ms, tx->now_ms),
	        .hold = hold_rules_match(tx->queue, m->account, m->sender, a->domains[i]),
	};
	TRY(entry_insert(tx, &entry));
	tx_tell(tx,
	        &(struct queue_brief){
	                .id = entry.id,
	                .message = entry.message,
	                .account = m->account,
	                .sender_domain =
	                        at == SIZE_MAX ? slice_empty() : slice_from(m->sender, at + 1),
	                .domain = entry.domain,
	                .transport = entry.transport,
	                .mailbox = queue_mailbox_hash(entry.recipient),
	                .next_ms = entry.next_ms,
	                .deadline_ms = m->deliver_by_mode == QUEUE_BY_NONE ? 0 : m->deliver_by_ms,
	                .priority = m->priority,
	                .hold = entry.hold,
	        });
	return ok();
}

static struct status insert_submission(struct tx *tx, const struct adding *a)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "INSERT INTO submission (id, done_at, message, first_entry, n_entries)"
	            " VALUES ($1, $2, $3, $4, $5)",
	            &stmt));
	db_bind_bytes(stmt, 1, a->add->submission_id);
	db_bind(stmt, 2, tx->now_ms);
	db_bind(stmt, 3, a->message);
	db_bind(stmt, 4, a->first_entry);
	db_bind(stmt, 5, (int64_t)a->add->n_recipients);
	return db_run(stmt);
}

static struct status run_add(struct tx *tx, struct request *request)
{
	struct adding *a = (struct adding *)request;
	TRY(find_submission(tx, a));
	if (a->add->repeated)
		return ok();
	if (!fits(tx->queue, &tx->totals, a->add))
		return full();
	TRY(insert_message(tx, a));
	TRY(insert_body(tx, a));
	for (size_t i = 0; i < a->add->n_recipients; i++)
		TRY(insert_entry(tx, a, i));
	TRY(insert_submission(tx, a));
	give_ids(a->add, a->first_entry);
	tx->totals.size += a->add->message.size;
	return prune(tx);
}

/* ---- together ---- */

static void finish(struct queue *queue, struct adding *a)
{
	if (is_ok(a->add->status))
		a->add->status = a->request.status;
	struct status status = a->add->status;
	a->body.kept = is_ok(status) && !a->add->repeated;
	if (a->prepared && status.code == ERR_IO && a->body.is_file) {
		/* The commit's outcome may be unknown: the next start's sweep decides. */
		a->body.kept = true;
		atomic_store(&queue->blobs.unclean, true);
	}
	body_done(queue, a->message, &a->body);
	arena_done(&a->arena);
}

void queue_add(struct queue *queue, struct queue_add *const *adds, size_t n)
{
	struct adding *adding = base_alloc(n * sizeof(*adding));
	struct request **requests = base_alloc(n * sizeof(*requests));
	size_t n_requests = 0;
	for (size_t i = 0; i < n; i++) {
		struct adding *a = &adding[i];
		a->add = adds[i];
		a->add->repeated = false;
		a->request.run = run_add;
		a->add->status = prepare(queue, a);
		a->prepared = is_ok(a->add->status);
		if (a->prepared)
			requests[n_requests++] = &a->request;
	}
	writer_do_all(queue, requests, n_requests);
	for (size_t i = 0; i < n; i++)
		finish(queue, &adding[i]);
	base_free(requests);
	base_free(adding);
}
