/* Reports to senders (RFC 3461, 3464): composed from a notice, delivered into the sender's own
 * account, never sent anywhere. The delivery's id is the notice's, so a crash in between doubles
 * nothing; the notice stays until the account room has answered. The same thread cleans the queue
 * up every hour. */
#include "rooms/queue_room.h"

#include "account.pb-c.h"
#include "message/dsn.h"
#include "message/header.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"
#include "rooms/dkim_signer.h"
#include "smtp/param.h"

#define NOTICE_MEMORY      ((size_t)32 * 1024 * 1024)
#define NOTICE_STACK       ((size_t)128 * 1024)
#define DELIVER_TIMEOUT_MS 60000
#define REPLY_MAX          ((size_t)16 * 1024)
#define CLEAN_EVERY_MS     3600000
#define FAILED_PAUSE_MS    5000
#define FIRST_PAUSE_MS     60000
#define LONGEST_PAUSE_MS   3600000
#define TRIES_MAX          120 /* five days */
#define COPY_PIECE         ((size_t)64 * 1024)

_Static_assert((int)QUEUE_NOTIFY_NEVER == (int)SMTP_NOTIFY_NEVER &&
                       (int)QUEUE_NOTIFY_SUCCESS == (int)SMTP_NOTIFY_SUCCESS &&
                       (int)QUEUE_NOTIFY_FAILURE == (int)SMTP_NOTIFY_FAILURE &&
                       (int)QUEUE_NOTIFY_DELAY == (int)SMTP_NOTIFY_DELAY,
               "the queue's bits are SMTP's");
_Static_assert((int)QUEUE_BY_RETURN == (int)SMTP_BY_RETURN &&
                       (int)QUEUE_BY_NOTIFY == (int)SMTP_BY_NOTIFY,
               "the queue's modes are SMTP's");

/* ---- composing ---- */

static enum message_dsn_action action_of(enum queue_notice_kind kind)
{
	switch (kind) {
	case QUEUE_NOTICE_FAILED:
		return MESSAGE_DSN_FAILED;
	case QUEUE_NOTICE_DELAYED:
		return MESSAGE_DSN_DELAYED;
	case QUEUE_NOTICE_RELAYED:
		return MESSAGE_DSN_RELAYED;
	case QUEUE_NOTICE_DELIVERED:
		return MESSAGE_DSN_DELIVERED;
	case QUEUE_NOTICE_EXPANDED:
		return MESSAGE_DSN_EXPANDED;
	case QUEUE_NOTICE_NONE:
		break;
	}
	BUG("a notice of no kind");
}

static size_t split_lines(struct slice lines, struct arena *arena, const struct slice **ret_lines)
{
	size_t n = 0, n_max = lines.n > 0;
	for (size_t i = 0; i < lines.n; i++)
		n_max += lines.p[i] == '\n';
	struct slice *list = ARENA_ARRAY(arena, MAX(n_max, 1u), struct slice);
	while (list && n < n_max)
		(void)slice_cut(lines, '\n', &list[n++], &lines);
	*ret_lines = list;
	return n;
}

/* The status of a delay or of what was given up is ours to say by class (RFC 3463 section 2). */
static struct slice status_of(enum queue_notice_kind kind, struct slice enhanced,
                              struct arena *arena)
{
	uint8_t class = kind == QUEUE_NOTICE_FAILED    ? '5'
	                : kind == QUEUE_NOTICE_DELAYED ? '4'
	                                               : '2';
	if (enhanced.n < 5 || enhanced.p[1] != '.' || enhanced.p[0] == class)
		return enhanced.n >= 5 ? enhanced : slice_empty();
	if (kind == QUEUE_NOTICE_FAILED && enhanced.p[0] == '4')
		return enhanced; /* given up after failures for the time being: as RFC 3464 2.3.4 */
	struct slice copy = arena_copy(arena, enhanced);
	if (copy.n > 0)
		((uint8_t *)(uintptr_t)copy.p)[0] = class;
	return copy;
}

static void fill_recipient(const struct queue_notice *notice, const struct queue_told *told,
                           struct arena *arena, struct message_dsn_recipient *to)
{
	*to = (struct message_dsn_recipient){
	        .address = told->recipient,
	        .original = told->orcpt,
	        .status = status_of(notice->kind, told->attempt.enhanced, arena),
	        .why = told->attempt.why,
	        .remote_host = told->attempt.remote_host,
	        .remote_address = told->attempt.remote_address,
	        .last_attempt_s = told->attempt.ended_ms / 1000,
	        .next_attempt_s = told->next_ms / 1000,
	        .retry_until_s = told->retry_until_ms / 1000,
	        .n_attempts = told->n_attempts,
	};
	to->n_lines = split_lines(told->attempt.lines, arena, &to->lines);
}

/* Of the stored message: generated lines, then as much of its header as a report returns. */
static struct status read_header(const struct queue_notice *notice, int body_fd,
                                 struct arena *arena, struct slice *ret_header)
{
	struct slice prefix = notice->message.prefix;
	size_t n = (size_t)MIN(notice->message.size, (uint64_t)MESSAGE_DSN_HEADER_MAX);
	uint8_t *header = arena_alloc(arena, prefix.n + n + 1);
	if (!header)
		return fail(ERR_LIMIT, "the header is too large");
	memcpy(header, prefix.p, prefix.n);
	TRY(fd_pread_all(body_fd, header + prefix.n, n, 0, NULL));
	struct slice all = slice_of(header, prefix.n + n);
	size_t end = slice_find(all, SLICE("\r\n\r\n"));
	*ret_header = end == SIZE_MAX ? all : slice_sub(all, 0, end + 2);
	return ok();
}

static struct status fill_dsn(const struct config *config, const struct queue_notice *notice,
                              int body_fd, struct arena *arena, struct message_dsn *dsn)
{
	const struct queue_message *m = &notice->message;
	struct message_dsn_recipient *recipients =
	        ARENA_ARRAY(arena, MAX(notice->n_told, 1u), struct message_dsn_recipient);
	char uid[33];
	if (!recipients)
		return fail(ERR_LIMIT, "too many recipients");
	for (size_t i = 0; i < notice->n_told; i++)
		fill_recipient(notice, &notice->told[i], arena, &recipients[i]);
	for (size_t i = 0; i < sizeof(m->uid); i++)
		snprintf(uid + 2 * i, 3, "%02x", m->uid[i]);
	*dsn = (struct message_dsn){
	        .action = action_of(notice->kind),
	        .host = slice_str(config->hostname_ascii),
	        .to = m->sender,
	        .message_id = slice_str(arena_printf(arena, "<%s.%" PRId64 "@%s>", uid, notice->id,
	                                             config->hostname_ascii)),
	        .now_s = queue_now_ms() / 1000,
	        .envid = m->envid,
	        .arrival_s = m->submitted_ms / 1000,
	        .original_id = m->message_id,
	        .original_references = m->references,
	        .subject = m->subject,
	        .smtputf8 = m->smtputf8,
	        .has_8bit = m->has_8bit,
	        .full = message_dsn_returns_full(action_of(notice->kind), m->ret == SMTP_RET_FULL,
	                                         m->size, m->binary),
	        .recipients = recipients,
	        .n_recipients = MIN(notice->n_told, (size_t)MESSAGE_DSN_RECIPIENTS_MAX),
	};
	room_random(dsn->boundary, sizeof(dsn->boundary));
	return read_header(notice, body_fd, arena, &dsn->header);
}

static struct status write_original(int to, const struct queue_notice *notice, int body_fd)
{
	CLEANUP(base_freep) uint8_t *piece = base_alloc(COPY_PIECE);
	TRY(fd_write_all(to, notice->message.prefix, NULL));
	for (uint64_t at = 0; at < notice->message.size;) {
		size_t n = (size_t)MIN((uint64_t)COPY_PIECE, notice->message.size - at);
		TRY(fd_pread_all(body_fd, piece, n, at, NULL));
		TRY(fd_write_all(to, slice_of(piece, n), NULL));
		at += n;
	}
	return ok();
}

static struct status compose(const struct config *config, const struct queue_notice *notice,
                             int body_fd, struct arena *arena, int *ret_fd)
{
	CLEANUP(fd_close) int fd = -1;
	struct message_dsn dsn;
	struct buf head, tail;
	bool is_8bit, is_utf8;
	TRY(fill_dsn(config, notice, body_fd, arena, &dsn));
	TRY(memfd_new("report", &fd));
	buf_init(&head, (size_t)4 * 1024 * 1024);
	buf_init(&tail, (size_t)64 * 1024);
	struct status status = message_dsn_compose(&dsn, &head, &tail, &is_8bit, &is_utf8);
	if (is_ok(status))
		status = fd_write_all(fd, buf_slice(&head), NULL);
	if (is_ok(status) && dsn.full)
		status = write_original(fd, notice, body_fd);
	if (is_ok(status))
		status = fd_write_all(fd, buf_slice(&tail), NULL);
	buf_done(&head);
	buf_done(&tail);
	if (is_ok(status))
		*ret_fd = TAKE_FD(fd);
	return status;
}

/* ---- delivering ---- */

struct status queue_deliver(struct queue_room *q, const char *account, uint64_t cid,
                            struct slice delivery_id, struct slice prefix, int body_fd,
                            uint64_t size)
{
	Door__Deliver deliver = DOOR__DELIVER__INIT;
	Door__AccountRequest request = DOOR__ACCOUNT_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct arena arena;
	deliver.size = size;
	deliver.prefix = door_binary(prefix);
	deliver.received_at = queue_now_ms() / 1000;
	deliver.delivery_id = door_binary(delivery_id);
	request.body_case = DOOR__ACCOUNT_REQUEST__BODY_DELIVER;
	request.deliver = &deliver;
	arena_init(&arena, REPLY_MAX);
	struct status status =
	        room_call(q->room, IPC_ROOM_ACCOUNT, account, cid, &request.base, &body_fd, 1,
	                  DELIVER_TIMEOUT_MS, &door__account_reply__descriptor, &arena, &message);
	if (is_ok(status)) {
		const Door__AccountReply *reply = (const Door__AccountReply *)message;
		uint32_t code = reply->status ? reply->status->code : ERR_PROTOCOL;
		if (code != ERR_OK)
			status = fail(code < ERR_COUNT ? (enum err)code : ERR_PROTOCOL,
			              "the account room could not store it");
	}
	arena_done(&arena);
	return status;
}

/* The account that gets it: the sender's own, else the postmaster's. */
static const char *account_for(const struct config *config, struct slice account)
{
	const struct config_account *own = config_account_find(config, account);
	if (own && own->enabled)
		return own->name.s;
	return config->postmaster_account ? config->postmaster_account->name.s : NULL;
}

/* Of a report that we have composed ourselves. */
static struct status find_header_end(int fd, uint64_t size, struct arena *arena, size_t *ret_n)
{
	size_t n = (size_t)MIN(size, (uint64_t)COPY_PIECE);
	struct message_header_end end = {0};
	uint8_t *bytes = arena_alloc(arena, n);
	if (!bytes)
		return fail(ERR_LIMIT, "no memory for a report");
	TRY(fd_pread_all(fd, bytes, n, 0, NULL));
	*ret_n = message_header_end_feed(&end, slice_of(bytes, n));
	return ok();
}

/* By the keys of the host's domain, as far as it is one of ours; by the nearest above it else. */
static struct status sign_report(struct queue_room *q, const struct config *config, int fd,
                                 uint64_t size, uint64_t cid, struct arena *arena,
                                 struct slice *ret_signatures)
{
	const struct config_domain *domain =
	        dkim_signer_domain(config, NULL, slice_str(config->hostname_ascii));
	struct dkim_signer_message message = {
	        .fd = fd,
	        .size = size,
	        .now_s = queue_now_ms() / 1000,
	        .utf8 = true, /* a report may hold addresses in UTF-8 (RFC 6533) */
	        .cid = cid,
	};
	struct buf fields;
	*ret_signatures = slice_empty();
	if (!domain)
		return ok();
	TRY(find_header_end(fd, size, arena, &message.n_header));
	buf_init(&fields, DKIM_SIGNER_FIELDS_MAX);
	struct status status = dkim_signer_sign(q->room, domain, &message, &fields);
	if (is_ok(status))
		*ret_signatures = arena_copy(arena, buf_slice(&fields));
	buf_done(&fields);
	if (status.code != ERR_INVALID && status.code != ERR_LIMIT)
		return status;
	log_error(cid, "a report is not signed", LOG_STATUS(status)); /* but told all the same */
	return ok();
}

static struct status deliver_report(struct queue_room *q, const struct config *config,
                                    const struct queue_notice *notice, int fd, struct arena *arena)
{
	const char *account = account_for(config, notice->message.account);
	uint8_t id[sizeof(notice->message.uid) + sizeof(notice->id)];
	uint64_t size = 0;
	if (!account)
		return fail(ERR_NOT_FOUND, "no account and no postmaster to tell it to");
	TRY(fd_size(fd, &size));
	memcpy(id, notice->message.uid, sizeof(notice->message.uid));
	memcpy(id + sizeof(notice->message.uid), &notice->id, sizeof(notice->id));
	uint64_t cid = room_new_cid();
	struct slice signatures;
	TRY(sign_report(q, config, fd, size, cid, arena, &signatures));
	char *prefix = arena_printf(arena, "Return-Path: <>\r\nDelivered-To: %.*s\r\n%.*s",
	                            SLICE_FMT(notice->message.sender), SLICE_FMT(signatures));
	return queue_deliver(q, account, cid, slice_of(id, sizeof(id)), slice_str(prefix), fd,
	                     size);
}

static struct status tell(struct queue_room *q, const struct config *config,
                          const struct queue_notice *notice, struct arena *arena)
{
	CLEANUP(fd_close) int body_fd = -1;
	CLEANUP(fd_close) int fd = -1;
	TRY(queue_body(q->queue, notice->message.id, &body_fd));
	TRY(compose(config, notice, body_fd, arena, &fd));
	return deliver_report(q, config, notice, fd, arena);
}

static int64_t pause_after(uint32_t n_tries)
{
	int64_t pause = FIRST_PAUSE_MS;
	for (uint32_t i = 0; i < n_tries && pause < LONGEST_PAUSE_MS; i++)
		pause *= 2;
	return MIN(pause, LONGEST_PAUSE_MS);
}

static void end_notice(struct queue_room *q, const struct queue_notice *notice,
                       struct status status)
{
	bool gives_up = notice->n_tries >= TRIES_MAX || status.code == ERR_INVALID ||
	                status.code == ERR_LIMIT || status.code == ERR_CORRUPT;
	if (is_ok(status))
		log_info(0, "sender told", LOG_INT("message", notice->message.id),
		         LOG_SLICE("account", notice->message.account),
		         LOG_STR("what", message_dsn_action_name(action_of(notice->kind))));
	else
		log_error(0, gives_up ? "sender cannot be told" : "sender cannot be told yet",
		          LOG_INT("message", notice->message.id),
		          LOG_SLICE("account", notice->message.account), LOG_STATUS(status));
	status = is_ok(status) || gives_up
	                 ? queue_notice_done(q->queue, notice->id)
	                 : queue_notice_later(q->queue, notice->id,
	                                      queue_now_ms() + pause_after(notice->n_tries));
	if (!is_ok(status)) {
		log_error(0, "cannot record that a sender was told", LOG_STATUS(status));
		usleep(FAILED_PAUSE_MS * 1000);
	}
}

/* When the next one is due. */
static int64_t tell_due(struct queue_room *q)
{
	int64_t next_ms = INT64_MAX;
	struct arena arena;
	arena_init(&arena, NOTICE_MEMORY);
	for (;;) {
		struct queue_notice notice;
		struct status status =
		        queue_notice_next(q->queue, queue_now_ms(), &arena, &notice, &next_ms);
		if (status.code == ERR_NOT_FOUND)
			break;
		if (!is_ok(status)) {
			log_error(0, "cannot read a notice", LOG_STATUS(status));
			next_ms = queue_now_ms() + FIRST_PAUSE_MS;
			break;
		}
		struct room_config *config = room_config_get(q->room);
		end_notice(q, &notice, tell(q, config->config, &notice, &arena));
		room_config_unref(config);
		arena_reset(&arena);
	}
	arena_done(&arena);
	return next_ms;
}

/* ---- the thread ---- */

static void clean(struct queue_room *q)
{
	bool more = true;
	while (more) {
		struct status status = queue_clean(q->queue, &more);
		if (!is_ok(status)) {
			log_error(0, "cannot clean the queue up", LOG_STATUS(status));
			return;
		}
	}
}

static void sleep_until(struct queue_room *q, int64_t at_ms)
{
	struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
	pthread_mutex_lock(&q->notice_lock);
	if (!q->notice_called)
		(void)pthread_cond_timedwait(&q->notice_wake, &q->notice_lock, &until);
	q->notice_called = false;
	pthread_mutex_unlock(&q->notice_lock);
}

static void run_notices(void *context)
{
	struct queue_room *q = context;
	int64_t clean_ms = queue_now_ms() + CLEAN_EVERY_MS / 60;
	for (;;) {
		int64_t next_ms = tell_due(q), now_ms = queue_now_ms();
		if (now_ms >= clean_ms) {
			clean(q);
			clean_ms = queue_now_ms() + CLEAN_EVERY_MS;
		}
		sleep_until(q, MIN(next_ms, clean_ms));
	}
}

void queue_call_notices(struct queue_room *q)
{
	pthread_mutex_lock(&q->notice_lock);
	q->notice_called = true;
	pthread_cond_signal(&q->notice_wake);
	pthread_mutex_unlock(&q->notice_lock);
}

struct status queue_notices_start(struct queue_room *q)
{
	struct thread_options options = {.name = "notices", .stack_size = NOTICE_STACK};
	return thread_start(&options, run_notices, q, NULL);
}
