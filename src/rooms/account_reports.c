/* Reports: one thread while there are any, which takes them in order. Notifications about mail that
 * this account sent, for the queue; others' reports about our domains, for the steward.
 *
 * Limits: WAITING_MAX reports that wait, REPORT_SIZE_MAX bytes of one, FACTS_MAX recipients told,
 * an arena of PARSE_MEMORY.
 */
#include "rooms/account_reports.h"

#include "message/dsn.h"
#include "os/fd.h"
#include "os/log.h"
#include "queue.pb-c.h"
#include "rooms/account_feedback.h"
#include "rooms/peers.h"

#define WAITING_MAX      64u
#define REPORT_SIZE_MAX  ((uint64_t)16 * 1024 * 1024)
#define FACTS_MAX        100u
#define PARSE_MEMORY     ((size_t)8 * 1024 * 1024)
#define WORKER_STACK     ((size_t)256 * 1024)
#define QUEUE_TIMEOUT_MS 30000
#define REPLY_MEMORY     ((size_t)64 * 1024)

struct account_report {
	struct account_report *next;
	int fd;
	uint64_t size;
	uint64_t cid;
	bool is_notification, is_feedback, authentic;
};

/* ---- reading ---- */

static struct status read_report(const struct account_report *report, struct arena *arena,
                                 struct message_dsn_report *ret)
{
	struct message_part *root = NULL;
	struct account_message message;
	account_message_init(&message, report->fd, report->size);
	TRY(account_message_parts(&message, arena, &root));
	return message_dsn_parse(root, &message.source, arena, ret);
}

/* ---- telling ---- */

static struct status tell(const struct account_reports *reports, uint64_t cid,
                          const struct message_dsn_report *dsn, const struct message_dsn_fact *fact,
                          struct arena *arena)
{
	struct slice recipient = fact->recipient.n > 0 ? fact->recipient : fact->original;
	Door__QueueReported reported = DOOR__QUEUE_REPORTED__INIT;
	reported.account = door_string(reports->account);
	reported.message_id = arena_cstr(arena, dsn->original_id);
	reported.envid = arena_cstr(arena, dsn->envid);
	reported.recipient = arena_cstr(arena, recipient);
	reported.action = door_string(message_dsn_action_name(fact->action));
	reported.status = arena_cstr(arena, fact->status);
	reported.diagnostic = arena_cstr(arena, fact->diagnostic);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "a report takes too much memory");
	Door__QueueRequest request = DOOR__QUEUE_REQUEST__INIT;
	request.body_case = DOOR__QUEUE_REQUEST__BODY_REPORTED;
	request.reported = &reported;
	struct arena reply_arena;
	ProtobufCMessage *reply = NULL;
	arena_init(&reply_arena, REPLY_MEMORY);
	struct status status =
	        room_call(reports->room, IPC_ROOM_QUEUE, "", cid, &request.base, NULL, 0,
	                  QUEUE_TIMEOUT_MS, &door__queue_reply__descriptor, &reply_arena, &reply);
	arena_done(&reply_arena);
	return status;
}

static void read_notification(const struct account_reports *reports,
                              const struct account_report *report)
{
	struct arena arena;
	struct message_dsn_report dsn;
	arena_init(&arena, PARSE_MEMORY);
	struct status status = read_report(report, &arena, &dsn);
	if (is_ok(status)) {
		log_info(report->cid, "delivery report", LOG_STR("account", reports->account),
		         LOG_SLICE("about", dsn.original_id),
		         LOG_STR("action", message_dsn_action_name(dsn.facts[0].action)),
		         LOG_UINT("recipients", dsn.n_facts));
		for (size_t i = 0; i < MIN(dsn.n_facts, (size_t)FACTS_MAX) && is_ok(status); i++)
			status = tell(reports, report->cid, &dsn, &dsn.facts[i], &arena);
	}
	if (!is_ok(status) && status.code != ERR_NOT_FOUND)
		log_warn(report->cid, "report not told to the queue", LOG_STATUS(status));
	arena_done(&arena);
}

static void work_on(const struct account_reports *reports, const struct account_report *report)
{
	struct account_message message;
	account_message_init(&message, report->fd, report->size);
	if (report->is_notification)
		read_notification(reports, report);
	if (report->is_feedback)
		account_feedback_work(reports->room, &message, report->authentic, report->cid);
}

/* ---- the line of those that wait ---- */

static struct account_report *take(struct account_reports *reports)
{
	pthread_mutex_lock(&reports->lock);
	struct account_report *report = reports->first;
	if (report) {
		reports->first = report->next;
		reports->n--;
		if (!reports->first)
			reports->last = &reports->first;
	} else {
		reports->running = false;
	}
	pthread_mutex_unlock(&reports->lock);
	return report;
}

static void drop(struct account_reports *reports, struct account_report *report)
{
	fd_close(&report->fd);
	base_free(report);
	reports->busy(reports->context, -1);
}

static void run(void *context)
{
	struct account_reports *reports = context;
	for (struct account_report *report; (report = take(reports));) {
		work_on(reports, report);
		drop(reports, report);
	}
}

void account_reports_init(struct account_reports *reports)
{
	pthread_mutex_init(&reports->lock, NULL);
	reports->last = &reports->first;
}

/* Notifications come from the null sender (RFC 3461 section 6.1, RFC 5321 section 4.5.5), which the
 * prefix tells; of those that we make ourselves the queue knows. */
static bool is_notification(const struct account_mail *mail)
{
	return mail->from_elsewhere && slice_starts(mail->prefix, SLICE("Return-Path: <>\r\n"));
}

/* True: the thread must be started. False as well when there was no place. */
static bool enqueue(struct account_reports *reports, struct account_report *report, bool *ret_taken)
{
	pthread_mutex_lock(&reports->lock);
	*ret_taken = reports->n < WAITING_MAX;
	bool start = *ret_taken && !reports->running;
	if (*ret_taken) {
		*reports->last = report;
		reports->last = &report->next;
		reports->n++;
		reports->running = true;
	}
	pthread_mutex_unlock(&reports->lock);
	return start;
}

static void add(struct account_reports *reports, struct account_report *report)
{
	bool taken = false;
	reports->busy(reports->context, 1);
	bool start = report->size <= REPORT_SIZE_MAX && enqueue(reports, report, &taken);
	struct thread_options options = {.name = "reports", .stack_size = WORKER_STACK};
	if (!taken)
		drop(reports, report);
	else if (start && !is_ok(thread_start(&options, run, reports, NULL)))
		run(reports); /* here, then: late, but not lost */
}

void account_reports_look(struct account_reports *reports, int fd, const struct account_mail *mail)
{
	const struct account_report found = {
	        .fd = fd,
	        .size = mail->size,
	        .cid = mail->cid,
	        .is_notification = is_notification(mail),
	        .is_feedback = account_feedback_wants(reports->room, mail->prefix),
	        .authentic = account_feedback_is_authentic(mail->note),
	};
	if (!found.is_notification && !found.is_feedback) {
		fd_close(&fd);
		return;
	}
	struct account_report *report = base_alloc(sizeof(*report));
	*report = found;
	add(reports, report);
}
