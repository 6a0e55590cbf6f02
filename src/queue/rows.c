/* Rows to structs and back: entries, retired entries, messages, histories. */
#include "queue/queue_private.h"

#include "base/hash.h"

enum message_flag {
	FLAG_8BIT = 1,
	FLAG_UTF8 = 2,
	FLAG_BINARY = 4,
	FLAG_REQUIRE_TLS = 8,
	FLAG_TLS_OPTIONAL = 16,
	FLAG_BY_TRACE = 32,
};

struct slice row_text(struct db_stmt *stmt, int column, struct arena *arena)
{
	struct slice text = db_bytes(stmt, column);
	return arena ? arena_copy(arena, text) : text;
}

struct slice cut_text(struct slice text, size_t max)
{
	if (text.n <= max)
		return slice_of(text.p, text.n);
	size_t n = max;
	while (n > 0 && (text.p[n] & 0xc0) == 0x80)
		n--;
	return slice_of(text.p, n);
}

/* ---- entries ---- */

void row_read(struct db_stmt *stmt, struct arena *arena, struct entry_row *ret_row)
{
	int c = 0;
	struct queue_entry *e = &ret_row->entry;
	*ret_row = (struct entry_row){0};
	e->id = db_int(stmt, c++);
	e->message = db_int(stmt, c++);
	e->account = row_text(stmt, c++, arena);
	e->sender = row_text(stmt, c++, arena);
	e->recipient = row_text(stmt, c++, arena);
	e->from = row_text(stmt, c++, arena);
	e->message_id = row_text(stmt, c++, arena);
	e->subject = row_text(stmt, c++, arena);
	e->envid = row_text(stmt, c++, arena);
	e->size = (uint64_t)db_int(stmt, c++);
	e->domain = row_text(stmt, c++, arena);
	e->orcpt = row_text(stmt, c++, arena);
	e->notify = (uint32_t)db_int(stmt, c++);
	e->submitted_ms = db_int(stmt, c++);
	e->next_ms = db_int(stmt, c++);
	e->last_ms = db_int(stmt, c++);
	e->released_ms = db_int(stmt, c++);
	e->deliver_by_ms = db_int(stmt, c++);
	e->by_mode = (enum queue_by_mode)db_int(stmt, c++);
	e->priority = (int)db_int(stmt, c++);
	e->n_attempts = (uint32_t)db_int(stmt, c++);
	e->n_lost = (uint32_t)db_int(stmt, c++);
	e->state = db_int(stmt, c++) ? QUEUE_HELD : QUEUE_WAITING;
	e->delay_told = db_int(stmt, c++) != 0;
	e->transport = row_text(stmt, c++, arena);
	e->require_tls = (enum queue_tls_wish)db_int(stmt, c++);
	e->last_result = row_text(stmt, c++, arena);
	ret_row->n_history = (uint32_t)db_int(stmt, c++);
	int64_t flags = db_int(stmt, c++);
	e->message_require_tls = flags & FLAG_REQUIRE_TLS;
	e->message_tls_optional = flags & FLAG_TLS_OPTIONAL;
}

void retired_row_read(struct db_stmt *stmt, struct arena *arena, struct entry_row *ret_row)
{
	int c = 0;
	struct queue_entry *e = &ret_row->entry;
	*ret_row = (struct entry_row){0};
	e->id = db_int(stmt, c++);
	e->message = db_int(stmt, c++);
	e->account = row_text(stmt, c++, arena);
	e->sender = row_text(stmt, c++, arena);
	e->recipient = row_text(stmt, c++, arena);
	e->from = row_text(stmt, c++, arena);
	e->message_id = row_text(stmt, c++, arena);
	e->subject = row_text(stmt, c++, arena);
	e->envid = row_text(stmt, c++, arena);
	e->size = (uint64_t)db_int(stmt, c++);
	e->orcpt = row_text(stmt, c++, arena);
	e->notify = (uint32_t)db_int(stmt, c++);
	e->submitted_ms = db_int(stmt, c++);
	e->last_ms = db_int(stmt, c++);
	e->n_attempts = (uint32_t)db_int(stmt, c++);
	e->state = (enum queue_state)db_int(stmt, c++);
	e->transport = row_text(stmt, c++, arena);
	e->require_tls = (enum queue_tls_wish)db_int(stmt, c++);
	e->last_result = row_text(stmt, c++, arena);
	ret_row->n_history = (uint32_t)db_int(stmt, c++);
	e->keep_until_ms = db_int(stmt, c++);
	e->domain = slice_empty();
}

struct status row_find(struct db *db, int64_t entry, struct arena *arena, struct entry_row *ret_row)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT " ENTRY_COLUMNS
	            " FROM entry e JOIN message m ON m.id = e.message WHERE e.id = $1",
	            &stmt));
	db_bind(stmt, 1, entry);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "there is no such entry");
	row_read(stmt, arena, ret_row);
	return arena_failed(arena) ? fail(ERR_LIMIT, "an entry is too large") : ok();
}

uint32_t queue_mailbox_hash(struct slice recipient)
{
	static const struct hash_key fixed = {0x6d61696c626f78, 0x6c616e65};
	uint8_t folded[64];
	size_t n = 0, end = MIN(slice_rindex(recipient, '@'), recipient.n);
	end = MIN(end, slice_index(recipient, '+'));
	for (; n < MIN(end, sizeof(folded)); n++)
		folded[n] = ascii_lower(recipient.p[n]);
	return (uint32_t)hash_slice(fixed, slice_of(folded, n));
}

void row_brief(const struct entry_row *row, struct queue_brief *ret_brief)
{
	const struct queue_entry *e = &row->entry;
	size_t at = slice_rindex(e->sender, '@');
	bool is_told = e->by_mode == QUEUE_BY_NOTIFY && e->delay_told;
	*ret_brief = (struct queue_brief){
	        .id = e->id,
	        .message = e->message,
	        .account = e->account,
	        .sender_domain = at == SIZE_MAX ? slice_empty() : slice_from(e->sender, at + 1),
	        .domain = e->domain,
	        .transport = e->transport,
	        .mailbox = queue_mailbox_hash(e->recipient),
	        .next_ms = e->next_ms,
	        .deadline_ms = e->by_mode == QUEUE_BY_NONE || is_told ? 0 : e->deliver_by_ms,
	        .priority = e->priority,
	        .n_attempts = e->n_attempts,
	        .require_tls = e->require_tls,
	        .hold = e->state == QUEUE_HELD,
	};
}

void tx_tell_row(struct tx *tx, const struct entry_row *row)
{
	struct queue_brief brief;
	row_brief(row, &brief);
	tx_tell(tx, &brief);
}

/* ---- messages ---- */

int64_t message_flags(const struct queue_message *m)
{
	return (m->has_8bit ? FLAG_8BIT : 0) | (m->smtputf8 ? FLAG_UTF8 : 0) |
	       (m->binary ? FLAG_BINARY : 0) | (m->require_tls ? FLAG_REQUIRE_TLS : 0) |
	       (m->tls_optional ? FLAG_TLS_OPTIONAL : 0) |
	       (m->deliver_by_trace ? FLAG_BY_TRACE : 0);
}

static void read_flags(struct queue_message *m, int64_t flags)
{
	m->has_8bit = flags & FLAG_8BIT;
	m->smtputf8 = flags & FLAG_UTF8;
	m->binary = flags & FLAG_BINARY;
	m->require_tls = flags & FLAG_REQUIRE_TLS;
	m->tls_optional = flags & FLAG_TLS_OPTIONAL;
	m->deliver_by_trace = flags & FLAG_BY_TRACE;
}

struct status message_read(struct db *db, int64_t id, struct arena *arena,
                           struct queue_message *ret_message)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	int c = 0;
	TRY(db_stmt(db,
	            "SELECT uid, account, sender, from_address, message_id, subject, refs, prefix,"
	            " envid, size, flags, ret, submitted_at, deliver_by, by_mode, priority"
	            " FROM message WHERE id = $1",
	            &stmt));
	db_bind(stmt, 1, id);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "there is no such message");
	struct queue_message *m = ret_message;
	*m = (struct queue_message){.id = id};
	struct slice uid = db_bytes(stmt, c++);
	if (uid.n != sizeof(m->uid))
		return fail(ERR_CORRUPT, "a message's row contradicts itself");
	memcpy(m->uid, uid.p, sizeof(m->uid));
	m->account = row_text(stmt, c++, arena);
	m->sender = row_text(stmt, c++, arena);
	m->from = row_text(stmt, c++, arena);
	m->message_id = row_text(stmt, c++, arena);
	m->subject = row_text(stmt, c++, arena);
	m->references = row_text(stmt, c++, arena);
	m->prefix = row_text(stmt, c++, arena);
	m->envid = row_text(stmt, c++, arena);
	m->size = (uint64_t)db_int(stmt, c++);
	read_flags(m, db_int(stmt, c++));
	m->ret = (uint32_t)db_int(stmt, c++);
	m->submitted_ms = db_int(stmt, c++);
	m->deliver_by_ms = db_int(stmt, c++);
	m->deliver_by_mode = (enum queue_by_mode)db_int(stmt, c++);
	m->priority = (int)db_int(stmt, c++);
	return arena_failed(arena) ? fail(ERR_LIMIT, "a message's envelope is too large") : ok();
}

/* ---- histories ---- */

void attempt_complete(struct queue_attempt *attempt)
{
	struct slice *texts[] = {&attempt->transport,   &attempt->route,
	                         &attempt->remote_host, &attempt->remote_address,
	                         &attempt->enhanced,    &attempt->lines,
	                         &attempt->why,         &attempt->tls,
	                         &attempt->protection,  &attempt->demands,
	                         &attempt->tls_results};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		*texts[i] = slice_of(texts[i]->p, texts[i]->n);
}

/* The first and the latest stay. */
static struct status history_cut(struct db *db, int64_t entry, uint32_t n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	if (n < QUEUE_HISTORY_MAX)
		return ok();
	TRY(db_stmt(db, "DELETE FROM attempt WHERE entry = $1 AND n > 0 AND n <= $2", &stmt));
	db_bind(stmt, 1, entry);
	db_bind(stmt, 2, (int64_t)n - (QUEUE_HISTORY_MAX - 1));
	return db_run(stmt);
}

struct status history_add(struct db *db, int64_t entry, uint32_t n,
                          const struct queue_attempt *attempt)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db,
	            "INSERT INTO attempt (entry, n, started_at, ended_at, transport, route, host,"
	            " address, code, enhanced, lines, why, tls, protection, demands, tls_results,"
	            " result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
	            " $15, $16, $17)",
	            &stmt));
	db_bind(stmt, 1, entry);
	db_bind(stmt, 2, n);
	db_bind(stmt, 3, attempt->started_ms);
	db_bind(stmt, 4, attempt->ended_ms);
	db_bind_text(stmt, 5, cut_text(attempt->transport, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 6, cut_text(attempt->route, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 7, cut_text(attempt->remote_host, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 8, cut_text(attempt->remote_address, QUEUE_TEXT_MAX));
	db_bind(stmt, 9, attempt->code);
	db_bind_text(stmt, 10, cut_text(attempt->enhanced, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 11, cut_text(attempt->lines, QUEUE_LINES_SIZE_MAX));
	db_bind_text(stmt, 12, cut_text(attempt->why, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 13, cut_text(attempt->tls, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 14, cut_text(attempt->protection, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 15, cut_text(attempt->demands, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 16, cut_text(attempt->tls_results, QUEUE_RESULTS_MAX));
	db_bind(stmt, 17, attempt->result);
	TRY(db_run(stmt));
	return history_cut(db, entry, n);
}

struct status history_read(struct db *db, int64_t entry, struct arena *arena,
                           struct queue_attempt **ret_history, size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct queue_attempt *history = ARENA_ARRAY(arena, QUEUE_HISTORY_MAX, struct queue_attempt);
	size_t n = 0;
	TRY(db_stmt(db,
	            "SELECT started_at, ended_at, transport, route, host, address, code, enhanced,"
	            " lines, why, tls, protection, demands, tls_results, result"
	            " FROM attempt WHERE entry = $1 ORDER BY n",
	            &stmt));
	db_bind(stmt, 1, entry);
	for (bool row = true; history && n < QUEUE_HISTORY_MAX;) {
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		history[n++] = (struct queue_attempt){
		        .started_ms = db_int(stmt, 0),
		        .ended_ms = db_int(stmt, 1),
		        .transport = row_text(stmt, 2, arena),
		        .route = row_text(stmt, 3, arena),
		        .remote_host = row_text(stmt, 4, arena),
		        .remote_address = row_text(stmt, 5, arena),
		        .code = (uint32_t)db_int(stmt, 6),
		        .enhanced = row_text(stmt, 7, arena),
		        .lines = row_text(stmt, 8, arena),
		        .why = row_text(stmt, 9, arena),
		        .tls = row_text(stmt, 10, arena),
		        .protection = row_text(stmt, 11, arena),
		        .demands = row_text(stmt, 12, arena),
		        .tls_results = row_text(stmt, 13, arena),
		        .result = (enum queue_result)db_int(stmt, 14),
		};
	}
	*ret_history = history;
	*ret_n = n;
	return arena_failed(arena) ? fail(ERR_LIMIT, "a history is too large") : ok();
}

struct status history_remove(struct db *db, int64_t entry)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(db, "DELETE FROM attempt WHERE entry = $1", &stmt));
	db_bind(stmt, 1, entry);
	return db_run(stmt);
}
