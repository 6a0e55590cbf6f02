/* Adding messages. In the caller's thread: bodies are read, hashed, summarized, and files synced,
 * all of a call together: the disk works on some while others are parsed. In the transaction: each
 * message is checked and given its entry (no SQL writes yet), then the rows of those that passed
 * are inserted. */
#include "store/store_private.h"

#include "os/fd.h"

#define COPY_PIECE ((size_t)64 * 1024)

struct prepared {
	struct store_append *append;
	struct body_file own;   /* a file made here */
	struct body_file *file; /* the body's file: own or the spool's; NULL: inline */
	uint8_t *whole;         /* prefix and body of an inline message */
	size_t n_whole;
	uint64_t body_size;
	uint8_t sum[SUM_SIZE];
	struct arena arena;
	struct store_summary summary;
	/* set by each run */
	struct status status;
	bool repeated; /* its delivery_id was there */
	struct store_entry entry;
	uint32_t uid_validity;
};

struct append_request {
	struct request request;
	struct prepared *prepared;
	size_t n;
	bool all_or_none;
};

/* ---- in the caller's thread ------------------------------------------------------------------ */

static struct store_reader *body_reader(struct store *store, const struct store_append *append,
                                        struct span *span)
{
	if (append->spool)
		return store_spool_reader(append->spool);
	span_init(span, &store->blobs, slice_empty(), append->fd, append->size);
	return &span->reader;
}

static struct status read_inline(struct prepared *p, const struct store_reader *body)
{
	struct slice prefix = p->append->prefix;
	size_t n = 0;
	p->n_whole = prefix.n + (size_t)body->size;
	p->whole = base_alloc(p->n_whole);
	memcpy(p->whole, prefix.p, prefix.n);
	TRY(body->read(body, 0, p->whole + prefix.n, (size_t)body->size, &n));
	if (n != body->size)
		return fail(ERR_TRUNCATED, "the message's file is shorter than said");
	XXH3_state_t *sum = sum_new();
	XXH3_128bits_update(sum, p->whole + prefix.n, n);
	XXH3_128bits_update(sum, prefix.p, prefix.n);
	sum_write(XXH3_128bits_digest(sum), p->sum);
	XXH3_freeState(sum);
	return ok();
}

static struct status copy_to_file(struct store *store, struct prepared *p,
                                  const struct store_reader *body)
{
	CLEANUP(base_freep) uint8_t *piece = base_alloc(COPY_PIECE);
	TRY(body_file_new(store, &p->own));
	for (uint64_t at = 0; at < body->size;) {
		size_t n = (size_t)MIN((uint64_t)COPY_PIECE, body->size - at);
		TRY(body->read(body, at, piece, n, &n));
		if (n == 0)
			return fail(ERR_TRUNCATED, "the message's file is shorter than said");
		TRY(body_file_write(&p->own, slice_of(piece, n)));
		at += n;
	}
	return ok();
}

static void sum_file(struct prepared *p)
{
	struct slice prefix = p->append->prefix;
	/* The state goes on: another append of the same spool has another prefix. */
	XXH3_state_t *sum = sum_new();
	XXH3_copyState(sum, p->file->sum);
	XXH3_128bits_update(sum, prefix.p, prefix.n);
	sum_write(XXH3_128bits_digest(sum), p->sum);
	XXH3_freeState(sum);
}

/* Whether a message of this call has the spool's file already. */
static bool spool_is_used(const struct append_request *r, const struct store_spool *spool)
{
	for (size_t i = 0; i < r->n && r->prepared[i].append; i++)
		if (r->prepared[i].file == &spool->file)
			return true;
	return spool->file.taken;
}

static struct status prepare_body(struct store *store, struct append_request *r, struct prepared *p)
{
	struct span span;
	struct store_spool *spool = p->append->spool;
	struct store_reader *body = body_reader(store, p->append, &span);
	p->body_size = body->size;
	if (body->size <= store->options.inline_max && (!spool || spool->file.id == 0))
		return read_inline(p, body);
	if (spool && !spool_is_used(r, spool)) {
		p->file = &spool->file;
	} else {
		TRY(copy_to_file(store, p, body));
		p->file = &p->own;
	}
	sum_file(p);
	if (r->n > 1)
		blob_start(p->file->fd);
	return ok();
}

static struct status summarize(struct store *store, struct prepared *p)
{
	struct span span;
	if (p->file)
		span_init(&span, &store->blobs, p->append->prefix, p->file->fd, p->file->size);
	else
		span_init(&span, &store->blobs, slice_of(p->whole, p->n_whole), -1, 0);
	p->summary = (struct store_summary){.envelope = slice_empty(),
	                                    .bodystructure = slice_empty(),
	                                    .body = slice_empty(),
	                                    .sent_at = INT64_MIN};
	return store->options.summarize(&span.reader, &p->arena, &p->summary);
}

static struct status prepare(struct store *store, struct append_request *r, struct prepared *p,
                             struct store_append *append)
{
	p->append = append;
	p->own.fd = -1;
	/* A caller may have left them zeroed. */
	append->prefix = slice_of(append->prefix.p, append->prefix.n);
	append->delivery_id = slice_of(append->delivery_id.p, append->delivery_id.n);
	append->note = slice_of(append->note.p, append->note.n);
	arena_init(&p->arena, SUMMARY_MAX);
	if (append->prefix.n > STORE_PREFIX_MAX)
		return fail(ERR_LIMIT, "the generated header is too long");
	if (append->note.n > STORE_NOTE_MAX)
		return fail(ERR_LIMIT, "the note about the message is too long");
	if (append->delivery_id.n > DELIVERY_ID_MAX)
		return fail(ERR_LIMIT, "the delivery id is too long");
	return prepare_body(store, r, p);
}

/* Files first, then each folder once. */
static void seal_files(struct store *store, struct append_request *r)
{
	const struct body_file *before = NULL; /* in whose folder `folder` is about */
	struct status folder = ok();
	for (size_t i = 0; i < r->n; i++) {
		struct prepared *p = &r->prepared[i];
		if (is_ok(p->append->status) && p->file && !p->file->sealed)
			p->append->status = blob_sync(&store->blobs, p->file->fd);
	}
	for (size_t i = 0; i < r->n; i++) {
		struct prepared *p = &r->prepared[i];
		if (!is_ok(p->append->status) || !p->file || p->file->sealed)
			continue;
		if (!before || !blob_same_folder(before->id, p->file->id))
			folder = blob_sync_folder(&store->blobs, p->file->id);
		before = p->file;
		p->append->status = folder;
		p->file->sealed = is_ok(folder);
	}
}

/* How many can be added. */
static size_t prepare_all(struct store *store, struct append_request *r,
                          struct store_append *appends)
{
	size_t n_ready = 0;
	for (size_t i = 0; i < r->n; i++)
		appends[i].status = prepare(store, r, &r->prepared[i], &appends[i]);
	for (size_t i = 0; i < r->n; i++)
		if (is_ok(appends[i].status))
			appends[i].status = summarize(store, &r->prepared[i]);
	seal_files(store, r);
	for (size_t i = 0; i < r->n; i++)
		n_ready += is_ok(appends[i].status);
	return n_ready;
}

/* ---- deliveries that are repeated ------------------------------------------------------------ */

static struct status find_delivery(struct tx *tx, struct append_request *r, struct prepared *p)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct slice id = p->append->delivery_id;
	bool row = false;
	for (struct prepared *q = r->prepared; q < p; q++)
		if (is_ok(q->status) && slice_eq(q->append->delivery_id, id)) {
			p->repeated = true;
			p->entry = q->entry;
			p->uid_validity = q->uid_validity;
			return ok();
		}
	TRY(db_stmt(tx->db,
	            "SELECT uid_validity, uid, message FROM delivery WHERE id = $1"
	            " AND done_at > $2",
	            &stmt));
	db_bind_bytes(stmt, 1, id);
	db_bind(stmt, 2, tx->now_s - DELIVERY_KEEP_S);
	TRY(db_step(stmt, &row));
	if (row) {
		p->repeated = true;
		p->uid_validity = (uint32_t)db_int(stmt, 0);
		p->entry.uid.v = (uint32_t)db_int(stmt, 1);
		p->entry.message.v = db_int(stmt, 2);
	}
	return ok();
}

static struct status insert_delivery(struct tx *tx, const struct prepared *p)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "INSERT INTO delivery (id, done_at, uid_validity, uid, message)"
	            " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET"
	            " done_at = excluded.done_at, uid_validity = excluded.uid_validity,"
	            " uid = excluded.uid, message = excluded.message",
	            &stmt));
	db_bind_bytes(stmt, 1, p->append->delivery_id);
	db_bind(stmt, 2, tx->now_s);
	db_bind(stmt, 3, p->uid_validity);
	db_bind(stmt, 4, p->entry.uid.v);
	db_bind(stmt, 5, p->entry.message.v);
	return db_run(stmt);
}

/* Forgets those of the day before yesterday, at most once an hour. */
static struct status prune_deliveries(struct tx *tx)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	if (tx->now_s - tx->store->pruned_at < 3600 && tx->now_s >= tx->store->pruned_at)
		return ok();
	TRY(db_stmt(tx->db, "DELETE FROM delivery WHERE done_at <= $1", &stmt));
	db_bind(stmt, 1, tx->now_s - DELIVERY_KEEP_S);
	TRY(db_run(stmt));
	tx->store->pruned_at = tx->now_s;
	return ok();
}

/* ---- in the transaction ---------------------------------------------------------------------- */

static struct status add_message(struct tx *tx, struct append_request *r, struct prepared *p)
{
	const struct store_append *append = p->append;
	struct staged *staged = NULL;
	uint64_t keyword_bits = 0;
	uint64_t size = append->prefix.n + p->body_size;
	if (append->delivery_id.n > 0) {
		TRY(find_delivery(tx, r, p));
		if (p->repeated)
			return ok();
	}
	TRY(tx_mailbox(tx, append->mailbox, &staged));
	if (tx->store->options.quota_size > 0 &&
	    tx_usage(tx) + size > tx->store->options.quota_size)
		return fail(ERR_QUOTA, "the account is over its quota");
	if (staged->now.uid_next == UINT32_MAX)
		return fail(ERR_LIMIT, "the mailbox has no UIDs left");
	TRY(tx_keywords(tx, staged, append->keywords, append->n_keywords, &keyword_bits));
	p->entry = (struct store_entry){
	        .message.v = p->file ? p->file->id : atomic_fetch_add(&tx->store->next_message, 1),
	        .flags = (append->flags & STORE_SYSTEM_FLAGS) | keyword_bits,
	        .size = size,
	        .received_at = append->received_at,
	};
	p->uid_validity = staged->mailbox->uid_validity;
	return tx_add_entry(tx, staged, &p->entry);
}

static struct status insert_summary(struct tx *tx, const struct prepared *p)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "INSERT INTO summary (id, sent_at, sent_day, envelope, bodystructure, body)"
	            " VALUES ($1, $2, $3, $4, $5, $6)",
	            &stmt));
	db_bind(stmt, 1, p->entry.message.v);
	db_bind(stmt, 2, p->summary.sent_at);
	db_bind(stmt, 3, p->summary.sent_day);
	db_bind_bytes(stmt, 4, p->summary.envelope);
	db_bind_bytes(stmt, 5, p->summary.bodystructure);
	db_bind_bytes(stmt, 6, p->summary.body);
	return db_run(stmt);
}

static struct status insert_content(struct tx *tx, const struct prepared *p)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "INSERT INTO content (id, size, prefix_size, is_file, xxh3_128, bytes)"
	            " VALUES ($1, $2, $3, $4, $5, $6)",
	            &stmt));
	db_bind(stmt, 1, p->entry.message.v);
	db_bind(stmt, 2, (int64_t)p->entry.size);
	db_bind(stmt, 3, (int64_t)p->append->prefix.n);
	db_bind(stmt, 4, p->file != NULL);
	db_bind_bytes(stmt, 5, slice_of(p->sum, SUM_SIZE));
	db_bind_bytes(stmt, 6, p->file ? p->append->prefix : slice_of(p->whole, p->n_whole));
	return db_run(stmt);
}

static struct status insert_rows(struct tx *tx, const struct prepared *p)
{
	TRY(insert_summary(tx, p));
	TRY(insert_content(tx, p));
	if (p->append->note.n > 0)
		TRY(note_insert(tx, p->entry.message.v, p->append->note));
	if (p->append->delivery_id.n == 0)
		return ok();
	TRY(insert_delivery(tx, p));
	return prune_deliveries(tx);
}

static struct status run_append(struct tx *tx, struct request *request)
{
	struct append_request *r = (struct append_request *)request;
	for (size_t i = 0; i < r->n; i++) {
		struct prepared *p = &r->prepared[i];
		if (p->append->status.code != ERR_OK) /* not prepared */
			continue;
		p->repeated = false;
		p->status = add_message(tx, r, p);
		if (!is_ok(p->status) && (r->all_or_none || err_is_environment(p->status.code)))
			return p->status;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct prepared *p = &r->prepared[i];
		if (p->append->status.code == ERR_OK && is_ok(p->status) && !p->repeated)
			TRY(insert_rows(tx, p));
	}
	return ok();
}

/* ---- together -------------------------------------------------------------------------------- */

static void give_result(const struct append_request *r, struct prepared *p)
{
	struct store_append *append = p->append;
	if (!is_ok(append->status))
		return;
	append->status =
	        is_ok(r->request.status) || !is_ok(p->status) ? p->status : r->request.status;
	if (!is_ok(append->status))
		return;
	append->uid_validity = p->uid_validity;
	append->uid = p->entry.uid;
	append->message = p->entry.message;
	if (p->file && !p->repeated)
		p->file->taken = true;
}

static void prepared_done(struct append_request *r, struct prepared *p)
{
	/* The commit's outcome may be unknown: then the sweep of the next open decides. */
	if (r->request.status.code == ERR_IO && p->file) {
		p->file->taken = true;
		atomic_store(&p->file->store->blobs.unclean, true);
	}
	body_file_done(&p->own);
	base_free(p->whole);
	arena_done(&p->arena);
}

void store_append(struct store *store, struct store_append *appends, size_t n, bool all_or_none)
{
	struct append_request r = {.request.run = run_append, .all_or_none = all_or_none, .n = n};
	r.prepared = base_alloc(n * sizeof(r.prepared[0]));
	size_t n_ready = prepare_all(store, &r, appends);
	if (all_or_none && n_ready < n) {
		for (size_t i = 0; i < n; i++)
			if (is_ok(appends[i].status))
				appends[i].status =
				        fail(ERR_CANCELED, "another message of the call failed");
	} else if (n_ready > 0) {
		(void)writer_do(store, &r.request); /* its status goes into each message's */
	}
	for (size_t i = 0; i < n; i++)
		give_result(&r, &r.prepared[i]);
	for (size_t i = 0; i < n; i++)
		prepared_done(&r, &r.prepared[i]);
	base_free(r.prepared);
}
