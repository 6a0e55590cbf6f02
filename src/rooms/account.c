/* The account room: the only process that can open one account's mail. And the zygote it is forked
 * from: warm, empty, one thread.
 *
 * SECURITY. The zygote hears the supervisor only. An account room hears what its own user sends
 * after login (IMAP, submission) and the mail that is delivered to it, both hostile; it parses
 * MIME, IMAP and SQL's own files. It holds one account's directory and nothing else: no network, no
 * key, no other account. An intruder gains that one mailbox, and may put mail of this account into
 * the queue past its own checks and limits.
 *
 * A connection is served only with the vault's ticket that says that this account logged in on it.
 */
#include "rooms/runtime.h"

#include "account.pb-c.h"
#include "imap/session.h"
#include "imap/summarize.h"
#include "ipc/request.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/socket.h"
#include "rooms/account_explain.h"
#include "rooms/account_reports.h"
#include "rooms/account_submission.h"
#include "rooms/dkim_signer.h"
#include "store/store.h"
#include "text/charset.h"
#include "vault/ticket.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>

#define BATCH_MAX         64u
#define SESSION_STACK     ((size_t)256 * 1024)
#define CHANNEL_STACK     ((size_t)256 * 1024)
#define REQUEST_ARENA_MAX ((size_t)1024 * 1024)
#define STOP_WAIT_MS      5000
#define OPEN_PATIENCE_MS  5000
#define OPEN_PAUSE_MS     20
#define WATCH_MS          2000
#define QUIET_CPU_MS      5 /* of CPU between two looks: the room only waits */
#define LOGIN_TAG_MAX     512
#define ACCOUNT_NAME_MAX  128

struct session;

struct account {
	struct room *room;
	char name[ACCOUNT_NAME_MAX];
	struct store *store;
	struct status store_status; /* why there is no store */
	pthread_mutex_t rest_lock;  /* held while the store rests, and once it is closed */
	struct account_reports reports;
	pthread_mutex_t lock; /* guards what follows */
	struct session *sessions;
	unsigned n_sessions;
	unsigned n_busy; /* requests under way */
	int64_t idle_since_ms;
	bool closed; /* the store is, or will be at once: nobody may begin to use it */
};

struct session {
	struct session *next, **link;
	struct account *account;
	struct fd_stream stream;
	int wake_fd;
	_Atomic bool stop;
	uint64_t cid;
	bool relayed;
	bool submission;
	bool local; /* by the local socket */
	char tag[LOGIN_TAG_MAX + 1];
};

/* Deliveries that are to be stored together. */
struct waiting {
	struct ipc_packet packets[BATCH_MAX];
	struct store_append appends[BATCH_MAX];
};

/* A channel to a gate, with the deliveries that have arrived on it and wait to be stored together.
 */
struct door {
	struct account *account;
	struct ipc_channel *channel;
	enum ipc_room who;  /* at the other end */
	struct arena arena; /* of the batch */
	size_t n;
	struct waiting *waiting; /* made for the first delivery */
};

static void busy(struct account *account, int change)
{
	pthread_mutex_lock(&account->lock);
	account->n_busy += (unsigned)change;
	account->idle_since_ms = clock_monotonic_ms(clock_real());
	pthread_mutex_unlock(&account->lock);
}

/* Who got true calls busy(account, -1) when done. */
static bool enter(struct account *account)
{
	pthread_mutex_lock(&account->lock);
	bool entered = !account->closed;
	account->n_busy += entered;
	pthread_mutex_unlock(&account->lock);
	return entered;
}

static void answer(struct ipc_channel *channel, const struct ipc_packet *packet,
                   struct status status, const struct store_append *append)
{
	Door__Status text = DOOR__STATUS__INIT;
	text.code = status.code;
	text.why = door_string(status.why);
	Door__AccountReply reply = DOOR__ACCOUNT_REPLY__INIT;
	reply.status = &text;
	if (append && is_ok(status)) {
		reply.uid_validity = append->uid_validity;
		reply.uid = append->uid.v;
	}
	(void)door_answer(channel, packet, &reply.base, NULL, 0);
}

/* ---- delivery ---- */

/* The mailbox for junk, whatever its owner calls it; one of that name; else a new one. */
static struct status choose_junk(struct store *store, struct arena *arena,
                                 struct store_mailbox_id *ret_id)
{
	struct store_mailbox mailbox;
	struct status status = store_mailbox_find_use(store, STORE_USE_JUNK, arena, &mailbox);
	if (status.code == ERR_NOT_FOUND)
		status = store_mailbox_find(store, SLICE("Junk"), arena, &mailbox);
	if (status.code == ERR_NOT_FOUND)
		return store_mailbox_create(store, SLICE("Junk"), STORE_USE_JUNK, ret_id);
	*ret_id = mailbox.id;
	return status;
}

/* Where it goes: with the junk, or the mailbox that was named, which is made, or Inbox, also when
 * no such mailbox can be: mail is not lost for a name. */
static struct status choose_mailbox(struct door *door, const Door__Deliver *deliver,
                                    struct store_mailbox_id *ret_id)
{
	struct store *store = door->account->store;
	struct slice name = slice_str(deliver->mailbox);
	struct store_mailbox mailbox;
	if (deliver->junk)
		return choose_junk(store, &door->arena, ret_id);
	struct status status = fail(ERR_NOT_FOUND, "no name");
	if (name.n > 0) {
		status = store_mailbox_find(store, name, &door->arena, &mailbox);
		if (status.code == ERR_NOT_FOUND &&
		    is_ok(store_mailbox_create(store, name, STORE_USE_NONE, ret_id)))
			return ok();
	}
	if (!is_ok(status))
		TRY(store_mailbox_find(store, SLICE("Inbox"), &door->arena, &mailbox));
	*ret_id = mailbox.id;
	return ok();
}

static void commit_batch(struct door *door)
{
	if (door->n == 0)
		return;
	struct waiting *waiting = door->waiting;
	store_append(door->account->store, waiting->appends, door->n, false);
	for (size_t i = 0; i < door->n; i++) {
		const struct store_append *append = &waiting->appends[i];
		const struct ipc_packet *packet = &waiting->packets[i];
		if (is_ok(append->status))
			log_debug(packet->cid, "stored", LOG_UINT("uid", append->uid.v),
			          LOG_UINT("size", append->size));
		else
			log_error(packet->cid, "cannot store", LOG_STATUS(append->status));
		answer(door->channel, packet, append->status, append);
		const struct account_mail mail = {
		        .size = append->size,
		        .cid = packet->cid,
		        .prefix = append->prefix,
		        .note = append->note,
		        .from_elsewhere = door->who == IPC_ROOM_GATE_MX,
		};
		if (is_ok(append->status))
			account_reports_look(&door->account->reports, append->fd, &mail);
		else
			close(append->fd);
	}
	busy(door->account, -(int)door->n);
	door->n = 0;
	arena_reset(&door->arena);
}

static void on_deliver(struct door *door, struct ipc_packet *packet, const Door__Deliver *deliver)
{
	struct account *account = door->account;
	if (!account->store) {
		answer(door->channel, packet, account->store_status, NULL);
		return;
	}
	struct store_append append = {
	        .fd = packet->n_fds > 0 ? packet->fds[0] : -1,
	        .size = deliver->size,
	        .prefix = door_bytes(deliver->prefix),
	        .received_at = deliver->received_at,
	        .delivery_id = door_bytes(deliver->delivery_id),
	        .note = deliver->note.len <= STORE_NOTE_MAX ? door_bytes(deliver->note)
	                                                    : slice_empty(),
	};
	struct status status = append.fd >= 0 ? choose_mailbox(door, deliver, &append.mailbox)
	                                      : fail(ERR_PROTOCOL, "no body was sent");
	if (!is_ok(status)) {
		answer(door->channel, packet, status, NULL);
		return;
	}
	(void)ipc_packet_take_fd(packet, 0);
	busy(account, 1);
	if (!door->waiting)
		door->waiting = base_alloc(sizeof(*door->waiting));
	door->waiting->packets[door->n] = (struct ipc_packet){.id = packet->id, .cid = packet->cid};
	door->waiting->appends[door->n] = append;
	door->n++;
}

/* ---- sessions ---- */

static void end_session(struct session *session)
{
	struct account *account = session->account;
	fd_stream_done(&session->stream);
	pthread_mutex_lock(&account->lock);
	*session->link = session->next;
	if (session->next)
		session->next->link = session->link;
	account->n_sessions--;
	account->idle_since_ms = clock_monotonic_ms(clock_real());
	pthread_mutex_unlock(&account->lock);
	fd_close(&session->wake_fd);
	base_free(session);
}

static void serve_imap(struct session *session)
{
	struct account *account = session->account;
	struct room_config *config = room_config_get(account->room);
	struct imap_session_options options = {
	        .stream = &session->stream.stream,
	        .store = account->store,
	        .clock = clock_real(),
	        .login_tag = session->tag,
	        .wake_fd = session->wake_fd,
	        .stop = &session->stop,
	        .append_max = config->config->limits.message_size,
	        .timeout_ms = (int)config->config->timeouts.imap_idle_ms,
	};
	room_config_unref(config);
	struct status status = account->store ? imap_session_run(&options)
	                                      : imap_session_refuse(options.stream, session->tag,
	                                                            account->store_status);
	log_info(session->cid, "IMAP session ended", LOG_STR("account", account->name),
	         LOG_STATUS(status));
}

static void serve_submission(struct session *session)
{
	struct account *account = session->account;
	const struct account_submission options = {
	        .room = account->room,
	        .account = account->name,
	        .store = account->store,
	        .store_status = account->store_status,
	        .stream = &session->stream.stream,
	        .wake_fd = session->wake_fd,
	        .cid = session->cid,
	        .local = session->local,
	};
	account_submission_run(&options);
}

static void run_session(void *context)
{
	struct session *session = context;
	struct room_config *config = room_config_get(session->account->room);
	session->stream.stream.write_timeout_ms = (int)config->config->timeouts.write_ms;
	room_config_unref(config);
	if (session->submission)
		serve_submission(session);
	else
		serve_imap(session);
	stream_shutdown(&session->stream.stream);
	end_session(session);
}

static struct status check_ticket(struct account *account, const Door__OpenSession *open,
                                  uint64_t cid)
{
	struct ticket_claims claims;
	ProtobufCBinaryData key = account->room->start->ticket_key;
	enum ticket_protocol protocol = open->protocol == DOOR__OPEN_SESSION__PROTOCOL__SUBMISSION
	                                        ? TICKET_SUBMISSION
	                                        : TICKET_IMAP;
	if (key.len != TICKET_KEY_SIZE)
		return fail(ERR_DENIED, "no key for tickets");
	TRY(ticket_verify(key.data, door_bytes(open->ticket), protocol, cid,
	                  clock_now_s(clock_real()), &claims));
	if (!slice_eq_str(slice_str(claims.account), account->name))
		return fail(ERR_DENIED, "ticket is for another account");
	return ok();
}

static void link_session(struct account *account, struct session *session)
{
	pthread_mutex_lock(&account->lock);
	session->next = account->sessions;
	session->link = &account->sessions;
	if (session->next)
		session->next->link = &session->next;
	account->sessions = session;
	account->n_sessions++;
	pthread_mutex_unlock(&account->lock);
}

/* TLS ends at the gate; what it was like is a matter of the session's, too. */
static void set_peer(struct session *session, const Door__Peer *peer)
{
	struct stream_tls *tls = &session->stream.stream.tls;
	tls->on = peer && peer->tls;
	if (!tls->on)
		return;
	snprintf(tls->version, sizeof(tls->version), "%s", peer->tls_version);
	snprintf(tls->cipher, sizeof(tls->cipher), "%s", peer->tls_cipher);
}

static void on_open_session(struct door *door, struct ipc_packet *packet,
                            const Door__OpenSession *open)
{
	struct account *account = door->account;
	struct status status = check_ticket(account, open, packet->cid);
	if (is_ok(status) && (packet->n_fds < 1 || strlen(open->login_tag) > LOGIN_TAG_MAX ||
	                      open->buffered.len > STREAM_IN_MAX))
		status = fail(ERR_PROTOCOL, "malformed request for a session");
	int wake_fd = -1;
	if (is_ok(status))
		status = eventfd_new(&wake_fd);
	if (!is_ok(status)) {
		log_warn(packet->cid, "session refused", LOG_STATUS(status));
		answer(door->channel, packet, status, NULL);
		return;
	}
	struct session *session = base_alloc(sizeof(*session));
	session->account = account;
	session->cid = packet->cid;
	session->wake_fd = wake_fd;
	session->relayed = open->relayed;
	session->submission = open->protocol == DOOR__OPEN_SESSION__PROTOCOL__SUBMISSION;
	session->local = open->local;
	snprintf(session->tag, sizeof(session->tag), "%s", open->login_tag);
	fd_stream_init(&session->stream, ipc_packet_take_fd(packet, 0));
	buf_add(&session->stream.stream.in, door_bytes(open->buffered));
	set_peer(session, open->peer);
	link_session(account, session);
	const char *what = session->submission ? "submission session" : "IMAP session";
	log_info(packet->cid, what, LOG_STR("account", account->name),
	         LOG_STR("peer", open->peer ? open->peer->address : ""));
	struct thread_options options = {.name = session->submission ? "submission" : "imap",
	                                 .stack_size = SESSION_STACK};
	status = thread_start(&options, run_session, session, NULL);
	answer(door->channel, packet, status, NULL);
	if (!is_ok(status))
		end_session(session);
}

/* ---- explaining ---- */

static void on_explain(struct door *door, struct ipc_packet *packet, const Door__Explain *explain)
{
	struct account *account = door->account;
	Door__AccountReply reply = DOOR__ACCOUNT_REPLY__INIT;
	Door__Status text = DOOR__STATUS__INIT;
	struct arena arena;
	arena_init(&arena, EXPLAIN_ARENA);
	struct status status = account->store
	                               ? account_explain(account->store, explain, &arena, &reply)
	                               : account->store_status;
	text.code = status.code;
	text.why = door_string(status.why);
	reply.status = &text;
	(void)door_answer(door->channel, packet, &reply.base, NULL, 0);
	arena_done(&arena);
}

/* ---- the door ---- */

static void handle(struct door *door, struct ipc_channel *channel, struct ipc_packet *packet)
{
	/* The batch's slices must outlive this packet's buffer: the message is unpacked, hence
	 * copied, into the batch's arena. */
	Door__AccountRequest *request = (Door__AccountRequest *)door_unpack(
	        &door__account_request__descriptor, packet->payload, &door->arena);
	if (!request)
		answer(channel, packet, fail(ERR_PROTOCOL, "malformed request"), NULL);
	else if (!ipc_may_request(door->who, IPC_ROOM_ACCOUNT, request->body_case))
		answer(channel, packet, fail(ERR_DENIED, "not for this room"), NULL);
	else if (request->body_case == DOOR__ACCOUNT_REQUEST__BODY_DELIVER)
		on_deliver(door, packet, request->deliver);
	else if (request->body_case == DOOR__ACCOUNT_REQUEST__BODY_EXPLAIN)
		on_explain(door, packet, request->explain);
	else if (request->body_case == DOOR__ACCOUNT_REQUEST__BODY_OPEN_SESSION)
		on_open_session(door, packet, request->open_session);
	else
		answer(channel, packet, fail(ERR_UNSUPPORTED, "unknown request"), NULL);
	if (door->n == BATCH_MAX || arena_failed(&door->arena))
		commit_batch(door);
}

/* A room that ends gives no answer any more: the peer finds its channel closed and asks the next
 * room of this account. */
static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct door *door = context;
	if (!enter(door->account))
		return;
	handle(door, channel, packet);
	busy(door->account, -1);
}

/* Waits, takes all that has arrived, stores it in one commit, answers; again. */
static void run_door(void *context)
{
	struct door *door = context;
	while (is_ok(socket_wait_readable(ipc_channel_fd(door->channel), -1))) {
		struct status status = ipc_channel_pump(door->channel);
		commit_batch(door);
		if (!is_ok(status))
			break;
	}
	ipc_channel_unref(door->channel);
	arena_done(&door->arena);
	base_free(door->waiting);
	base_free(door);
}

static void on_meet(struct room *room, enum ipc_room who, struct slice name, int fd)
{
	(void)name;
	struct door *door = base_alloc(sizeof(*door));
	door->who = who;
	door->account = room->state;
	arena_init(&door->arena,
	           (size_t)BATCH_MAX * (IPC_PACKET_MAX + REQUEST_ARENA_MAX / BATCH_MAX));
	door->channel = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_request, .context = door});
	struct thread_options options = {.name = "door", .stack_size = CHANNEL_STACK};
	busy(door->account, 0);
	if (!is_ok(thread_start(&options, run_door, door, NULL))) {
		ipc_channel_unref(door->channel);
		base_free(door);
	}
}

/* ---- leaving ---- */

static bool is_idle(struct account *account, int64_t idle_ms)
{
	pthread_mutex_lock(&account->lock);
	bool idle = account->n_sessions == 0 && account->n_busy == 0 &&
	            clock_monotonic_ms(clock_real()) - account->idle_since_ms >= idle_ms;
	pthread_mutex_unlock(&account->lock);
	return idle;
}

/* The supervisor introduces nobody any more once it has said yes. A request that a known peer sent
 * meanwhile is lost with its channel and asked again by that peer of the next room. */
static bool may_leave(struct room *room)
{
	Door__MayLeave may_leave_message = DOOR__MAY_LEAVE__INIT;
	Door__SupervisorRequest request = DOOR__SUPERVISOR_REQUEST__INIT;
	request.body_case = DOOR__SUPERVISOR_REQUEST__BODY_MAY_LEAVE;
	request.may_leave = &may_leave_message;
	struct arena arena;
	ProtobufCMessage *reply;
	arena_init(&arena, REQUEST_ARENA_MAX);
	struct status status = door_call(room->supervisor, 0, &request.base, NULL, 0, 10000,
	                                 &door__supervisor_reply__descriptor, &arena, &reply, NULL);
	arena_done(&arena);
	return is_ok(status);
}

static int64_t cpu_used_ms(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * (int64_t)1000 + used.tv_nsec / 1000000;
}

/* Does it in a thread of its own. What SQLite frees stays in small part with the thread that freed
 * it (glibc's tcache), scattered over many pages, until that thread ends. */
static struct status in_passing(void (*run)(void *context), void *context)
{
	pthread_t thread;
	struct thread_options options = {
	        .name = "passing", .stack_size = CHANNEL_STACK, .joinable = true};
	TRY(thread_start(&options, run, context, &thread));
	thread_join(thread);
	malloc_trim(0);
	return ok();
}

static void rest_store(void *context)
{
	store_idle(context);
}

/* A room whose sessions only wait gives its caches back, once, until it works again. */
static void rest(struct account *account, int64_t *worked_ms, bool *rested)
{
	int64_t now_ms = cpu_used_ms();
	bool quiet = now_ms - *worked_ms < QUIET_CPU_MS;
	*worked_ms = now_ms;
	if (!quiet) {
		*rested = false;
	} else if (!*rested && account->store) {
		pthread_mutex_lock(&account->rest_lock);
		(void)in_passing(rest_store, account->store);
		pthread_mutex_unlock(&account->rest_lock);
		*worked_ms = cpu_used_ms();
		*rested = true;
	}
}

/* The last thing before the process ends. A store still in use is left as it is, as by a kill. */
static void close_store(struct account *account)
{
	pthread_mutex_lock(&account->lock);
	bool unused = !account->closed && account->n_sessions == 0 && account->n_busy == 0;
	account->closed |= unused;
	pthread_mutex_unlock(&account->lock);
	pthread_mutex_lock(&account->rest_lock);
	if (unused)
		store_close(account->store);
}

static void watch_idleness(void *context)
{
	struct account *account = context;
	int64_t worked_ms = 0;
	bool rested = false;
	for (;;) {
		struct room_config *config = room_config_get(account->room);
		int64_t idle_ms = (int64_t)config->config->rooms.account_idle_ms;
		room_config_unref(config);
		usleep((useconds_t)MIN(MAX(idle_ms / 4, 250), WATCH_MS) * 1000);
		rest(account, &worked_ms, &rested);
		if (is_idle(account, idle_ms) && may_leave(account->room)) {
			log_debug(0, "leaving: nothing to do");
			close_store(account);
			_exit(0);
		}
	}
}

/* ---- life of an account room ---- */

/* The room of a supervisor that was killed may hold the account for some moments more. */
static struct status open_patiently(int dir_fd, const struct store_options *options,
                                    struct store **ret_store)
{
	struct deadline deadline = deadline_in(OPEN_PATIENCE_MS);
	for (;;) {
		struct status status = store_open(dir_fd, options, ret_store);
		if (status.code != ERR_BUSY || deadline_passed(deadline))
			return status;
		usleep(OPEN_PAUSE_MS * 1000);
	}
}

static void open_account(void *context)
{
	struct room *room = context;
	struct account *account = room->state;
	struct room_config *config = room_config_get(room);
	const struct config_account *configured =
	        config_account_find(config->config, slice_str(account->name));
	int dir_fd;
	account->store_status = file_open_dir(AT_FDCWD, ".", &dir_fd, NULL);
	if (is_ok(account->store_status)) {
		struct store_options options = {
		        .clock = clock_real(),
		        .quota_size = configured && configured->quota != CONFIG_UNLIMITED
		                              ? configured->quota
		                              : 0,
		        .summarize = imap_summarize,
		};
		account->store_status = open_patiently(dir_fd, &options, &account->store);
		close(dir_fd);
	}
	room_config_unref(config);
}

static void on_reports_busy(void *context, int change)
{
	busy(context, change);
}

static struct status begin(struct room *room)
{
	struct account *account = room->state;
	account->reports = (struct account_reports){.room = room,
	                                            .account = account->name,
	                                            .busy = on_reports_busy,
	                                            .context = account};
	account_reports_init(&account->reports);
	TRY(in_passing(open_account, room));
	if (!is_ok(account->store_status))
		log_error(0, "mailbox cannot be opened", LOG_STR("account", account->name),
		          LOG_STATUS(account->store_status));
	account->idle_since_ms = clock_monotonic_ms(clock_real());
	struct thread_options options = {.name = "idle"};
	return thread_start(&options, watch_idleness, account, NULL);
}

static void stop(struct room *room)
{
	struct account *account = room->state;
	struct deadline deadline = deadline_in(STOP_WAIT_MS);
	pthread_mutex_lock(&account->lock);
	for (struct session *session = account->sessions; session; session = session->next) {
		atomic_store(&session->stop, true);
		eventfd_signal(session->wake_fd);
	}
	pthread_mutex_unlock(&account->lock);
	for (;;) {
		pthread_mutex_lock(&account->lock);
		bool over = account->n_sessions == 0 && account->n_busy == 0;
		pthread_mutex_unlock(&account->lock);
		if (over || deadline_passed(deadline))
			break;
		usleep(5000);
	}
	close_store(account);
}

static const struct room_ops account_ops = {.begin = begin, .meet = on_meet, .stop = stop};

/* ---- the zygote ---- */

struct zygote {
	int accounts_dir;
	struct sandbox_filter *filter;
	struct text_charsets
	        *charsets; /* kept for life: what is loaded stays usable in the children */
};

/* libcrypto's first use takes 140 KB, which every room would have of its own. */
static struct status warm_tickets(void)
{
	static const uint8_t no_key[TICKET_KEY_SIZE];
	const struct ticket_claims nobody = {.account = "nobody", .protocol = TICKET_IMAP};
	struct buf ticket;
	buf_init(&ticket, TICKET_MAX);
	struct status status = ticket_make(no_key, &nobody, &ticket);
	buf_done(&ticket);
	return status;
}

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	process_title_set(&room->title, "zygote");
	struct zygote *zygote = room->state;
	char path[4096];
	struct os_fault fault = {0};
	snprintf(path, sizeof(path), "%s/accounts", room->start->data_directory);
	TRY(file_open_dir(AT_FDCWD, path, &zygote->accounts_dir, &fault));
	mallopt(M_ARENA_MAX, 2); /* sessions mostly wait: not a heap for each of their threads */
	store_prepare_process();
	TRY(warm_tickets());
	dkim_signer_warm_up();
	zygote->charsets = text_charsets_warm();
	TRY(sandbox_filter_new(SANDBOX_ACCOUNT, &zygote->filter));
	walls->own_dir = zygote->accounts_dir;
	walls->uid = 0; /* stays able to give each account room its own walls */
	walls->chroot = false;
	signal(SIGCHLD, SIG_IGN); /* the supervisor sees an account room's end by its channel */
	return ok();
}

/* The account's directory, made at first need. */
static struct status open_directory(const struct room *room, const struct zygote *zygote,
                                    const char *name, int *ret_fd)
{
	TRY(file_mkdir_all(zygote->accounts_dir, name, 0700, NULL));
	TRY(file_open_dir(zygote->accounts_dir, name, ret_fd, NULL));
	if (room->start->privileged && fchown(*ret_fd, room->start->uid, room->start->gid) < 0) {
		fd_close(ret_fd);
		return fail(ERR_IO, "cannot give the directory to its user");
	}
	return ok();
}

NORETURN static void become_account(struct room *room, const char *name, int dir_fd, int channel_fd)
{
	struct zygote *zygote = room->state;
	struct account *account = base_alloc(sizeof(*account));
	account->room = room;
	snprintf(account->name, sizeof(account->name), "%s", name);
	pthread_mutex_init(&account->lock, NULL);
	pthread_mutex_init(&account->rest_lock, NULL);
	int zygotes_channel = ROOM_CHANNEL_FD;
	fd_close(&zygotes_channel);
	room->state = account;
	char role[ACCOUNT_NAME_MAX + 16];
	snprintf(role, sizeof(role), "account %s", name);
	process_title_set(&room->title, role);
	log_setup(&(struct log_options){
	        .room = "account",
	        .level = (enum log_level)room->config->config->log.level,
	        .format = room->config->config->log.format == CONFIG_LOG_JSON ? LOG_FORMAT_JSON
	                                                                      : LOG_FORMAT_TEXT,
	});
	struct sandbox_context walls = {
	        .keep_fds = &channel_fd,
	        .n_keep_fds = 1,
	        .own_dir = dir_fd,
	        .uid = room->start->privileged ? room->start->uid : 0,
	        .gid = room->start->privileged ? room->start->gid : 0,
	        .chroot = room->start->privileged,
	        .stay_root = !room->start->privileged,
	        .filter = zygote->filter,
	};
	room_live_forked(room, channel_fd, &account_ops, SANDBOX_ACCOUNT, &walls);
}

static void on_fork(struct room *room, struct slice name, int fd)
{
	const struct config_account *configured = config_account_find(room->config->config, name);
	struct zygote *zygote = room->state;
	CLEANUP(fd_close) int dir_fd = -1;
	if (!configured || !configured->enabled) {
		log_warn(0, "no such account", LOG_SLICE("account", name));
		close(fd);
		return;
	}
	struct status status = open_directory(room, zygote, configured->name.s, &dir_fd);
	struct process child = PROCESS_NONE;
	bool in_child = false;
	if (is_ok(status))
		status = process_fork(0, &child, &in_child);
	if (in_child)
		become_account(room, configured->name.s, TAKE_FD(dir_fd), fd);
	if (!is_ok(status))
		log_error(0, "account room cannot be made", LOG_SLICE("account", name),
		          LOG_STATUS(status));
	fd_close(&child.pid_fd);
	close(fd);
}

int main(int argc, char **argv)
{
	struct zygote *zygote = base_alloc(sizeof(*zygote));
	static const struct room_ops ops = {.warm = warm, .fork = on_fork};
	zygote->accounts_dir = -1;
	return room_main(argc, argv, SANDBOX_ZYGOTE, &ops, zygote);
}
