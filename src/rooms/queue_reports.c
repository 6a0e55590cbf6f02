/* Reports about mail (DMARC, TLS), which the steward writes: signed, and added to the queue under
 * an account of their own that no person has, so that nobody's limits, routes or suppressions apply
 * and the courier tells nothing about them. Nobody is told when one cannot be delivered
 * (docs/decisions/reports.md). */
#include "rooms/queue_room.h"

#include "message/header.h"
#include "os/fd.h"
#include "os/log.h"
#include "rooms/dkim_signer.h"

#define REPORT_SIZE_MAX ((uint64_t)64 * 1024 * 1024)
#define HEADER_MAX      ((size_t)64 * 1024)
#define REPORT_MEMORY   ((size_t)512 * 1024)

static struct status find_header_end(int fd, uint64_t size, struct arena *arena, size_t *ret_n)
{
	size_t n = (size_t)MIN(size, (uint64_t)HEADER_MAX);
	struct message_header_end end = {0};
	uint8_t *bytes = arena_alloc(arena, MAX(n, (size_t)1));
	if (!bytes)
		return fail(ERR_LIMIT, "no memory for a report");
	TRY(fd_pread_all(fd, bytes, n, 0, NULL));
	*ret_n = message_header_end_feed(&end, slice_of(bytes, n));
	return end.found ? ok() : fail(ERR_SYNTAX, "a report without an end of its header");
}

/* By the keys of the sender's domain, or of the nearest above it that is ours. */
static struct status sign(struct queue_room *q, const struct config *config, int fd,
                          const Door__QueueReport *report, uint64_t cid, struct arena *arena,
                          struct slice *ret_signatures)
{
	struct slice sender = slice_str(report->sender);
	const struct config_domain *domain =
	        dkim_signer_domain(config, NULL, slice_from(sender, slice_rindex(sender, '@') + 1));
	struct dkim_signer_message message = {
	        .fd = fd, .size = report->size, .now_s = queue_now_ms() / 1000, .cid = cid};
	struct buf fields;
	TRY(find_header_end(fd, report->size, arena, &message.n_header));
	*ret_signatures = slice_empty();
	if (!domain)
		return ok();
	buf_init(&fields, DKIM_SIGNER_FIELDS_MAX);
	struct status status = dkim_signer_sign(q->room, domain, &message, &fields);
	if (is_ok(status))
		*ret_signatures = arena_copy(arena, buf_slice(&fields));
	buf_done(&fields);
	if (status.code != ERR_INVALID && status.code != ERR_LIMIT)
		return status;
	log_error(cid, "a report is not signed", LOG_STATUS(status)); /* but sent all the same */
	return ok();
}

static void add(struct queue_room *q, const Door__QueueReport *report, int fd,
                struct slice signatures, struct queue_add *ret_add,
                struct queue_recipient *recipient)
{
	*recipient = (struct queue_recipient){
	        .address = slice_str(report->recipient),
	        .notify = QUEUE_NOTIFY_NEVER,
	        .orcpt = slice_empty(),
	};
	*ret_add = (struct queue_add){
	        .submission_id = door_bytes(report->submission_id),
	        .message = {.account = SLICE(QUEUE_REPORTS_ACCOUNT),
	                    .sender = slice_str(report->sender),
	                    .from = slice_str(report->sender),
	                    .message_id = slice_str(report->message_id),
	                    .subject = slice_str(report->subject),
	                    .references = slice_empty(),
	                    .prefix = signatures,
	                    .envid = slice_empty(),
	                    .size = report->size,
	                    .tls_optional = report->tls_optional},
	        .body_fd = fd,
	        .transport = slice_empty(),
	        .recipients = recipient,
	        .n_recipients = 1,
	};
	struct queue_add *adds[] = {ret_add};
	queue_add(q->queue, adds, 1);
}

static struct status check(const Door__QueueReport *report, int fd)
{
	if (fd < 0 || report->size == 0 || report->size > REPORT_SIZE_MAX)
		return fail(ERR_PROTOCOL, "a report comes with its message");
	if (slice_rindex(slice_str(report->sender), '@') == SIZE_MAX)
		return fail(ERR_PROTOCOL, "a report without a sender");
	return ok();
}

static struct status take(struct queue_room *q, const Door__QueueReport *report, int fd,
                          uint64_t cid)
{
	struct room_config *config = room_config_get(q->room);
	struct slice signatures = slice_empty();
	struct queue_recipient recipient;
	struct queue_add done;
	struct arena arena;
	arena_init(&arena, REPORT_MEMORY);
	struct status status = check(report, fd);
	if (is_ok(status))
		status = sign(q, config->config, fd, report, cid, &arena, &signatures);
	if (is_ok(status)) {
		add(q, report, fd, signatures, &done, &recipient);
		status = done.status;
	}
	if (is_ok(status))
		log_info(cid, done.repeated ? "report queued before" : "report queued",
		         LOG_STR("to", report->recipient),
		         LOG_STR("message_id", report->message_id), LOG_UINT("size", report->size),
		         LOG_INT("entry", recipient.ret_id));
	else
		log_warn(cid, "report not queued", LOG_STR("to", report->recipient),
		         LOG_STATUS(status));
	arena_done(&arena);
	room_config_unref(config);
	return status;
}

void queue_on_report(struct queue_door *door, struct ipc_packet *packet,
                     const Door__QueueReport *report)
{
	Door__QueueReply reply = DOOR__QUEUE_REPLY__INIT;
	CLEANUP(fd_close) int fd = ipc_packet_take_fd(packet, 0);
	uint64_t cid = packet->cid ? packet->cid : room_new_cid();
	queue_door_answer(door, packet, take(door->room, report, fd, cid), &reply, -1);
}
