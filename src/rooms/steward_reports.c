/* See steward_reports.h.
 *
 * Why nothing is sent twice: a dispatch is written down as begun before it is handed over, under an
 * id that the queue takes once; docs/decisions/reports.md has the proof and its limits.
 */
#include "rooms/steward_reports.h"

#include "courier.pb-c.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"
#include "queue.pb-c.h"
#include "rooms/peers.h"
#include "rooms/report_make.h"
#include "rooms/report_policies.h"
#include "rooms/steward_reports_private.h"

#include <poll.h>

#define STACK              ((size_t)512 * 1024)
#define TASK_ARENA         ((size_t)4 * 1024 * 1024)
#define REPLY_ARENA        ((size_t)1024 * 1024)
#define LONGEST_SLEEP_S    3600
#define FAILED_PAUSE_S     60
#define CLEAN_EVERY_S      21600
#define QUEUE_TIMEOUT_MS   60000
#define COURIER_TIMEOUT_MS 150000
#define DESTINATIONS_MAX   20u

static int64_t now_s(void)
{
	return clock_now_s(clock_real());
}

/* ---- who reports ---- */

static bool has_dot(struct slice domain)
{
	return slice_index(domain, '.') != SIZE_MAX;
}

const char *steward_report_author(const struct config *config, struct arena *arena,
                                  struct report_author *ret_author)
{
	const struct config_reports *r = &config->reports;
	struct slice host = slice_str(config->hostname_ascii);
	struct report_author author = {
	        .organization = r->organization.n > 0 ? config_slice(&r->organization) : host,
	        .generator = SLICE("mailkeep"),
	};
	author.address =
	        r->address.n > 0
	                ? config_slice(&r->address)
	                : slice_str(arena_printf(arena, "postmaster@%s", config->hostname_ascii));
	author.contact = r->contact.n > 0 ? config_slice(&r->contact) : author.address;
	struct slice domain = report_author_domain(&author);
	if (!report_domain_is_good(domain) || !slice_is_ascii(author.address))
		return "the address that reports are from must be in ASCII, its domain in lower "
		       "case "
		       "(`reports.address`)";
	if (!has_dot(domain))
		return "the server's name is no name of the public DNS, and no `reports.address` "
		       "is "
		       "configured";
	*ret_author = author;
	return NULL;
}

/* A domain, or an address as a whole. */
static bool is_suppressed(const struct config_reports *r, struct slice text)
{
	for (size_t i = 0; i < r->suppress.n; i++)
		if (slice_ieq(config_slice(&r->suppress.v[i]), text))
			return true;
	return false;
}

static bool is_enabled(const struct config_reports *r, enum report_kind kind)
{
	return kind == REPORT_DMARC ? r->dmarc : r->tls;
}

/* Why no report of the topic goes out at all; NULL: it may. */
static const char *refusal_of(const struct config *config, const struct report_topic *topic,
                              const char *no_author)
{
	if (!is_enabled(&config->reports, topic->kind))
		return "reports of this kind are turned off in the config";
	if (!topic->wanted)
		return "all that was counted is report mail, which causes no report";
	if (is_suppressed(&config->reports, topic->domain))
		return "the config suppresses reports about this domain (`reports.suppress`)";
	return no_author;
}

/* ---- destinations ---- */

static struct status read_reply(ProtobufCMessage *message, const Door__CourierReply **ret_reply)
{
	*ret_reply = (const Door__CourierReply *)message;
	return (*ret_reply)->status ? ok() : fail(ERR_PROTOCOL, "malformed reply of the courier");
}

static struct status ask_courier(struct steward_reports *s, const Door__CourierRequest *request,
                                 struct arena *arena, const Door__CourierReply **ret_reply)
{
	ProtobufCMessage *message = NULL;
	TRY(room_call(s->room, IPC_ROOM_COURIER, "", 0, &request->base, NULL, 0, COURIER_TIMEOUT_MS,
	              &door__courier_reply__descriptor, arena, &message));
	return read_reply(message, ret_reply);
}

/* A channel whose other end has not been closed while nobody looked. */
static struct status live_courier(struct steward_reports *s, struct ipc_channel **ret_channel)
{
	struct ipc_channel *channel;
	TRY(room_peer(s->room, IPC_ROOM_COURIER, "", &channel));
	struct pollfd end = {.fd = ipc_channel_fd(channel), .events = POLLIN};
	if (poll(&end, 1, 0) > 0 && (end.revents & (POLLHUP | POLLERR))) {
		ipc_channel_close(channel);
		ipc_channel_unref(channel);
		return room_peer(s->room, IPC_ROOM_COURIER, "", ret_channel);
	}
	*ret_channel = channel;
	return ok();
}

/* Not by room_call, which asks again when the other room ended: a POST is made once. */
static struct status ask_courier_once(struct steward_reports *s,
                                      const Door__CourierRequest *request, int fd,
                                      struct arena *arena, const Door__CourierReply **ret_reply)
{
	ProtobufCMessage *message = NULL;
	struct ipc_channel *channel;
	TRY(live_courier(s, &channel));
	struct status status = door_call(channel, 0, &request->base, &fd, 1, COURIER_TIMEOUT_MS,
	                                 &door__courier_reply__descriptor, arena, &message, NULL);
	if (status.code == ERR_CLOSED)
		ipc_channel_close(channel);
	ipc_channel_unref(channel);
	TRY(status);
	return read_reply(message, ret_reply);
}

static struct slice keep(const char *text, size_t max, struct arena *arena)
{
	return arena_copy(arena, slice_sub(slice_str(text), 0, max));
}

static struct report_destination destination_of(const struct config_reports *r,
                                                const Door__Destination *from, struct arena *arena)
{
	struct report_destination to = {
	        .uri = keep(from->uri, REPORT_URI_MAX, arena),
	        .address = keep(from->address, REPORT_URI_MAX, arena),
	        .size_max = from->size_max,
	        .refused = keep(from->refused, REPORT_WHY_MAX, arena),
	};
	size_t at = slice_rindex(to.address, '@');
	if (to.refused.n == 0 && at != SIZE_MAX &&
	    (is_suppressed(r, to.address) || is_suppressed(r, slice_from(to.address, at + 1))))
		to.refused = SLICE("the config suppresses reports to it (`reports.suppress`)");
	return to;
}

static struct status record_found(struct steward_reports *s, const struct config *config,
                                  const struct report_topic *topic,
                                  const struct report_author *author,
                                  const Door__CourierReply *reply, struct arena *arena)
{
	struct report_destination to[DESTINATIONS_MAX];
	size_t n = MIN(reply->n_destinations, (size_t)DESTINATIONS_MAX);
	for (size_t i = 0; i < n; i++)
		to[i] = destination_of(&config->reports, reply->destinations[i], arena);
	return report_outbox_found(s->db, topic->id, now_s(), to, n, report_author_domain(author),
	                           keep(reply->why, REPORT_WHY_MAX, arena));
}

static struct status find(struct steward_reports *s, const struct config *config,
                          const struct report_topic *topic, const struct report_author *author,
                          struct arena *arena)
{
	Door__FindDestinations find = DOOR__FIND_DESTINATIONS__INIT;
	Door__CourierRequest request = DOOR__COURIER_REQUEST__INIT;
	const Door__CourierReply *reply = NULL;
	find.kind = topic->kind;
	find.domain = arena_cstr(arena, topic->domain);
	request.body_case = DOOR__COURIER_REQUEST__BODY_FIND_DESTINATIONS;
	request.find_destinations = &find;
	struct status status = find.domain ? ask_courier(s, &request, arena, &reply)
	                                   : fail(ERR_LIMIT, "a domain is too long");
	if (!is_ok(status))
		return report_outbox_later(s->db, topic->id, now_s(),
		                           SLICE("the courier cannot be asked who wants it"));
	if (reply->status->code == ERR_OK)
		return record_found(s, config, topic, author, reply, arena);
	if (reply->status->code == ERR_TEMPORARY)
		return report_outbox_later(s->db, topic->id, now_s(),
		                           slice_str(reply->status->why));
	return report_outbox_found(s->db, topic->id, now_s(), NULL, 0, report_author_domain(author),
	                           slice_str(reply->status->why));
}

static struct status refuse(struct steward_reports *s, const struct report_topic *topic,
                            const char *why)
{
	return report_outbox_found(s->db, topic->id, now_s(), NULL, 0, SLICE("invalid"),
	                           slice_str(why));
}

/* ---- handing over ---- */

/* One dispatch under way. */
struct handing {
	struct steward_reports *s;
	const struct report_topic *topic;
	const struct report_dispatch *dispatch;
	const struct report_author *author;
	struct arena arena;
	struct buf packed;
};

static struct status make(struct handing *h)
{
	struct report_counted *counted;
	size_t n;
	bool more;
	TRY(report_topic_read(h->s->db, h->topic->id, h->dispatch->policy, REPORT_TOPIC_FACTS_MAX,
	                      &h->arena, &counted, &n, &more));
	TRY(report_make_document(h->topic, h->dispatch->report_id, h->author, counted, n, &h->arena,
	                         &h->packed));
	/* "!10m" (RFC 7489 section 6.2): of what is attached. */
	if (h->dispatch->size_max > 0 && h->packed.n > h->dispatch->size_max)
		return fail(ERR_INVALID, "the report is larger than its receiver takes");
	return ok();
}

static struct status post(struct handing *h)
{
	CLEANUP(fd_close) int fd = -1;
	Door__PostReport post = DOOR__POST_REPORT__INIT;
	Door__CourierRequest request = DOOR__COURIER_REQUEST__INIT;
	const Door__CourierReply *reply = NULL;
	if (!is_ok(memfd_new_sealed("report", buf_slice(&h->packed), &fd)))
		return fail(ERR_TEMPORARY, "too little memory for a report");
	post.uri = arena_cstr(&h->arena, h->dispatch->uri);
	post.size = h->packed.n;
	request.body_case = DOOR__COURIER_REQUEST__BODY_POST_REPORT;
	request.post_report = &post;
	if (!post.uri)
		return fail(ERR_INVALID, "a URI that cannot be used");
	struct status status = ask_courier_once(h->s, &request, fd, &h->arena, &reply);
	if (status.code == ERR_CLOSED || status.code == ERR_TIMEOUT)
		return fail(ERR_BUSY, "the courier ended before it told whether this was taken");
	if (!is_ok(status))
		return fail(ERR_TEMPORARY, "the courier cannot be asked");
	return door_status(reply->status->code, reply->status->why);
}

static struct slice submission_id(struct handing *h)
{
	/* Within the queue's 64 bytes, whatever the domain's length. */
	struct slice local, domain;
	(void)slice_cut(h->dispatch->report_id, '@', &local, &domain);
	return slice_str(
	        arena_printf(&h->arena, "report:%.*s.%u", SLICE_FMT(local), h->dispatch->n));
}

static struct status ask_queue(struct handing *h, Door__QueueReport *report, int fd)
{
	Door__QueueRequest request = DOOR__QUEUE_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	request.body_case = DOOR__QUEUE_REQUEST__BODY_REPORT;
	request.report = report;
	TRY(room_call(h->s->room, IPC_ROOM_QUEUE, "", 0, &request.base, &fd, 1, QUEUE_TIMEOUT_MS,
	              &door__queue_reply__descriptor, &h->arena, &message));
	const Door__QueueReply *reply = (const Door__QueueReply *)message;
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the queue");
	return door_status(reply->status->code, reply->status->why);
}

static struct status queue_message(struct handing *h, struct buf *text)
{
	CLEANUP(fd_close) int fd = -1;
	Door__QueueReport report = DOOR__QUEUE_REPORT__INIT;
	struct slice subject, message_id;
	const struct report_mail mail = {
	        .topic = h->topic,
	        .author = h->author,
	        .to = h->dispatch->address,
	        .report_id = h->dispatch->report_id,
	        .n = h->dispatch->n,
	        .now_s = now_s(),
	        .packed = buf_slice(&h->packed),
	};
	TRY(report_make_message(&mail, &h->arena, text, &subject, &message_id));
	if (!is_ok(memfd_new_sealed("report", buf_slice(text), &fd)))
		return fail(ERR_TEMPORARY, "too little memory for a report");
	report.submission_id = door_binary(submission_id(h));
	report.sender = arena_cstr(&h->arena, h->author->address);
	report.recipient = arena_cstr(&h->arena, h->dispatch->address);
	report.message_id = arena_cstr(&h->arena, message_id);
	report.subject = arena_cstr(&h->arena, subject);
	report.size = text->n;
	report.tls_optional = h->topic->kind == REPORT_TLS;
	if (arena_failed(&h->arena) || !report.sender || !report.recipient)
		return fail(ERR_INVALID, "an address that cannot be used");
	return ask_queue(h, &report, fd);
}

static struct status mail(struct handing *h)
{
	struct buf text;
	buf_init(&text, REPORT_MESSAGE_MAX);
	struct status status = queue_message(h, &text);
	buf_done(&text);
	return status;
}

static struct status hand_over(struct handing *h)
{
	TRY(make(h));
	return h->dispatch->address.n > 0 ? mail(h) : post(h);
}

/* ---- what came of it ---- */

static void log_dispatch(const struct handing *h, const char *what, struct status status)
{
	log_info(0, "report", LOG_STR("kind", h->topic->kind == REPORT_DMARC ? "dmarc" : "tls"),
	         LOG_SLICE("domain", h->topic->domain), LOG_SLICE("to", h->dispatch->uri),
	         LOG_SLICE("id", h->dispatch->report_id), LOG_STR("result", what),
	         LOG_STR("why", is_ok(status) ? "" : status.why));
}

static bool is_final(enum err code)
{
	return code == ERR_INVALID || code == ERR_DENIED || code == ERR_SYNTAX ||
	       code == ERR_UNSUPPORTED || code == ERR_PROTOCOL || code == ERR_LIMIT;
}

static struct status record(struct handing *h, struct status status)
{
	struct steward_reports *s = h->s;
	bool by_queue = h->dispatch->address.n > 0;
	if (is_ok(status)) {
		log_dispatch(h, by_queue ? "queued" : "posted", status);
		return report_dispatch_end(s->db, h->dispatch, REPORT_DISPATCH_SENT, now_s(),
		                           slice_empty());
	}
	if (status.code == ERR_BUSY && !by_queue) {
		log_dispatch(h, "unknown", status);
		return report_dispatch_end(s->db, h->dispatch, REPORT_DISPATCH_UNKNOWN, now_s(),
		                           slice_str(status.why));
	}
	if (is_final(status.code)) {
		log_dispatch(h, "not sent", status);
		return report_dispatch_end(s->db, h->dispatch, REPORT_DISPATCH_REFUSED, now_s(),
		                           slice_str(status.why));
	}
	log_dispatch(h, "later", status);
	return report_dispatch_later(s->db, h->dispatch, now_s(), slice_str(status.why));
}

static struct status dispatch(struct steward_reports *s, const struct report_topic *topic,
                              struct report_dispatch *dispatch, const struct report_author *author,
                              const char *no_author)
{
	struct handing h = {.s = s, .topic = topic, .dispatch = dispatch, .author = author};
	int64_t begun_s = now_s();
	TRY(report_dispatch_begin(s->db, dispatch, begun_s));
	dispatch->n_tries++;
	if (dispatch->begun_s == 0)
		dispatch->begun_s = begun_s;
	arena_init(&h.arena, REPORT_MAKE_ARENA);
	buf_init(&h.packed, REPORT_PACKED_MAX);
	struct status status = no_author ? fail(ERR_INVALID, no_author) : hand_over(&h);
	status = record(&h, status);
	buf_done(&h.packed);
	arena_done(&h.arena);
	return status;
}

/* ---- the thread ---- */

static struct status do_task(struct steward_reports *s, struct report_task *task,
                             struct arena *arena)
{
	struct room_config *config = room_config_get(s->room);
	struct report_author author;
	const char *no_author = steward_report_author(config->config, arena, &author);
	struct status status;
	if (task->dispatch.topic != 0) {
		status = dispatch(s, &task->topic, &task->dispatch, &author, no_author);
	} else {
		const char *why = refusal_of(config->config, &task->topic, no_author);
		status = why ? refuse(s, &task->topic, why)
		             : find(s, config->config, &task->topic, &author, arena);
	}
	room_config_unref(config);
	return status;
}

/* All that is due; *ret_next_s: when something may be again. */
static struct status do_due(struct steward_reports *s, int64_t *ret_next_s)
{
	struct status status;
	do {
		struct report_task task;
		struct arena arena;
		arena_init(&arena, TASK_ARENA);
		status = report_outbox_next(s->db, now_s(), &arena, &task, ret_next_s);
		if (is_ok(status))
			status = do_task(s, &task, &arena);
		arena_done(&arena);
	} while (is_ok(status));
	return status.code == ERR_NOT_FOUND && *ret_next_s != 0 ? ok() : status;
}

static struct status work(struct steward_reports *s, int64_t *ret_next_s)
{
	int64_t roll_s, due_s = 0;
	if (!s->resumed)
		TRY(report_outbox_resume(s->db, now_s()));
	s->resumed = true;
	TRY(report_facts_roll(s->db, now_s(), &roll_s));
	if (now_s() >= s->clean_s) {
		TRY(report_facts_clean(s->db, now_s()));
		TRY(report_db_shrink(s->db));
		s->clean_s = now_s() + CLEAN_EVERY_S;
	}
	TRY(do_due(s, &due_s));
	*ret_next_s = MIN(roll_s, due_s);
	return ok();
}

static void sleep_until(struct steward_reports *s, int64_t at_s)
{
	/* The clock may be set: never too long. */
	struct timespec until = {.tv_sec = MIN(at_s, now_s() + LONGEST_SLEEP_S),
	                         .tv_nsec = 1000000};
	pthread_mutex_lock(&s->lock);
	while (!s->called && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
		;
	s->called = false;
	pthread_mutex_unlock(&s->lock);
}

static void run(void *context)
{
	struct steward_reports *s = context;
	for (;;) {
		int64_t next_s = 0;
		struct status status = work(s, &next_s);
		if (!is_ok(status)) {
			log_error(0, "reports cannot be worked on now", LOG_STATUS(status));
			next_s = now_s() + FAILED_PAUSE_S;
		}
		sleep_until(s, next_s);
	}
}

void steward_reports_call(struct steward_reports *s)
{
	pthread_mutex_lock(&s->lock);
	s->called = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

struct steward_reports *steward_reports_start(struct room *room, struct report_db *db)
{
	const struct thread_options options = {.name = "reports", .stack_size = STACK};
	struct steward_reports *s = base_alloc(sizeof(*s));
	s->room = room;
	s->db = db;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	if (is_ok(thread_start(&options, run, s, NULL)))
		return s;
	base_free(s);
	return NULL;
}
