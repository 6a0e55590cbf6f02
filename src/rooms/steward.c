/* The steward: keeper of the config. Loads and checks it, seals it for the other rooms, answers the
 * administrator's commands on the control socket.
 *
 * The control socket (DATA/control.sock) takes one JSON object a line and answers each with one:
 *	{"command":"reload"}                                   {"ok":true}
 *	{"command":"password","account":"me","password":"..."} {"ok":false,"errors":["..."]}
 *	{"command":"remove-password","account":"me"}
 *	{"command":"secret-set","name":"n","value":"..."}
 *	{"command":"secret-rm","name":"n"}
 *	{"command":"secret-list"}                              {"ok":true,"names":["n"]}
 * and those of the queue (steward_queue.h), about messages (steward_explain.h), of the resolver
 * (steward_lookup.h), for DKIM keys (steward_dkim.h), of certificates (steward_certificates.h), for
 * policies of MTA-STS (steward_policies.h), and about reports: those to send (steward_reports.h)
 * and those that came in (steward_received.h).
 *
 * SECURITY. Hears the administrator (root or the server's own Unix user, checked by the kernel's
 * credentials) and the supervisor; strangers never. Courier and gate-mx have it keep policies and
 * count facts for reports, account rooms keep reports that came in (steward_door.c); texts of
 * strangers among these are stored and handed on, not understood. Reads the config directory, holds
 * no key and no mail. An intruder could make the house serve another config, or set passwords, or
 * send mail as the server itself.
 */
#include "rooms/peers.h"
#include "rooms/protocol.h"
#include "rooms/report_db.h"
#include "rooms/steward_certificates.h"
#include "rooms/steward_dkim.h"
#include "rooms/steward_door.h"
#include "rooms/steward_explain.h"
#include "rooms/steward_lookup.h"
#include "rooms/steward_policies.h"
#include "rooms/steward_queue.h"
#include "rooms/steward_received.h"
#include "rooms/steward_reports.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/socket.h"
#include "vault.pb-c.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>

#define REPLY_MAX             ((size_t)64 * 1024)
#define LINE_MAX_SIZE         ((size_t)16 * 1024)
#define VAULT_TIMEOUT_MS      60000
#define SUPERVISOR_TIMEOUT_MS 60000
#define CONTROL_TIMEOUT_MS    60000
#define SOCKET_FOLLOWS_MS     30000
#define OPEN_PATIENCE_MS      15000
#define OPEN_PAUSE_MS         50
#define CLIENTS_MAX           32 /* commands under way; more wait */
#define CLIENT_STACK          ((size_t)256 * 1024)

struct steward {
	struct room *room;
	int config_dir;
	int control_fd;
	pthread_mutex_t reload_lock; /* one reload at a time */
	struct report_db *report_db;
	struct steward_reports *reports;
	atomic_uint n_clients; /* of the control socket */
};

/* ---- loading ---- */

static struct status read_sources(const struct steward *steward, struct arena *arena,
                                  struct config_sources *ret_sources, struct os_fault *ret_fault)
{
	ret_sources->directory = steward->room->start->config_directory;
	TRY(file_read(steward->config_dir, CONFIG_SERVER_FILE, CONFIG_FILE_MAX, arena,
	              &ret_sources->text[CONFIG_SERVER], ret_fault));
	struct status status = file_read(steward->config_dir, CONFIG_DOMAINS_FILE, CONFIG_FILE_MAX,
	                                 arena, &ret_sources->text[CONFIG_DOMAINS], ret_fault);
	if (status.code == ERR_NOT_FOUND) {
		ret_sources->text[CONFIG_DOMAINS] = slice_empty();
		return ok();
	}
	return status;
}

/* What this release serves; ports of services to come are not opened. */
static bool served_protocol(enum config_service_kind kind, enum room_protocol *ret_protocol)
{
	switch (kind) {
	case CONFIG_SMTP:
		*ret_protocol = ROOM_PROTOCOL_SMTP;
		return true;
	case CONFIG_IMAP:
		*ret_protocol = ROOM_PROTOCOL_IMAP;
		return true;
	case CONFIG_IMAPS:
		*ret_protocol = ROOM_PROTOCOL_IMAPS;
		return true;
	case CONFIG_SUBMISSION:
		*ret_protocol = ROOM_PROTOCOL_SUBMISSION;
		return true;
	case CONFIG_SUBMISSIONS:
		*ret_protocol = ROOM_PROTOCOL_SUBMISSIONS;
		return true;
	case CONFIG_HTTP:
	case CONFIG_HTTPS:
	case CONFIG_SERVICE_COUNT:
		break;
	}
	return false;
}

struct listener_list {
	Door__Listener **v;
	size_t n;
	struct arena *arena;
};

static void add_listener(struct listener_list *list, enum room_protocol protocol, const char *name,
                         const char *address, uint16_t port)
{
	Door__Listener *listener = ARENA_NEW(list->arena, Door__Listener);
	if (!listener)
		return;
	door__listener__init(listener);
	listener->protocol = protocol;
	listener->name = door_string(name);
	listener->address = door_string(address);
	listener->port = port;
	list->v[list->n++] = listener;
}

static struct status list_listeners(const struct config *config, struct listener_list *list)
{
	size_t n_max = 2;
	for (size_t i = 0; i < config->listeners.n; i++)
		n_max += config->listeners.v[i].addresses.n * CONFIG_SERVICE_COUNT;
	list->v = ARENA_ARRAY(list->arena, n_max, Door__Listener *);
	if (!list->v)
		return fail(ERR_LIMIT, "too many listeners");
	for (size_t i = 0; i < config->listeners.n; i++) {
		const struct config_listener *l = &config->listeners.v[i];
		for (size_t j = 0; j < l->addresses.n; j++) {
			for (int kind = 0; kind < CONFIG_SERVICE_COUNT; kind++) {
				enum room_protocol protocol;
				if (l->services[kind].enabled &&
				    served_protocol((enum config_service_kind)kind, &protocol))
					add_listener(list, protocol, l->name.s,
					             l->addresses.v[j].text.s,
					             l->services[kind].port);
			}
		}
	}
	char *path = arena_printf(list->arena, "%s/control.sock", config->data_directory.s);
	if (path)
		add_listener(list, ROOM_PROTOCOL_CONTROL, "control", path, 0);
	path = arena_printf(list->arena, "%s/submit.sock", config->data_directory.s);
	if (path && config_has_unix_users(config))
		add_listener(list, ROOM_PROTOCOL_SUBMIT, "submit", path, 0);
	return arena_failed(list->arena) ? fail(ERR_LIMIT, "too many listeners") : ok();
}

/* Tells the supervisor, which binds and passes the config on. `why` (in the arena) says what
 * failed. */
static struct status tell_supervisor(struct steward *steward, const struct config *config, int fd,
                                     struct arena *arena)
{
	struct listener_list listeners = {.arena = arena};
	TRY(list_listeners(config, &listeners));
	Door__NewConfig new_config = DOOR__NEW_CONFIG__INIT;
	new_config.data_directory = door_string(config->data_directory.s);
	new_config.user = door_string(config->user.s);
	new_config.listeners = listeners.v;
	new_config.n_listeners = listeners.n;
	new_config.n_gates_mx = config->rooms.gates.mx;
	new_config.n_gates_login = config->rooms.gates.login;
	new_config.n_gates_web = config->rooms.gates.web;
	Door__SupervisorRequest request = DOOR__SUPERVISOR_REQUEST__INIT;
	request.body_case = DOOR__SUPERVISOR_REQUEST__BODY_NEW_CONFIG;
	request.new_config = &new_config;
	ProtobufCMessage *message = NULL;
	TRY(door_call(steward->room->supervisor, 0, &request.base, &fd, 1, SUPERVISOR_TIMEOUT_MS,
	              &door__supervisor_reply__descriptor, arena, &message, NULL));
	const Door__SupervisorReply *reply = (const Door__SupervisorReply *)message;
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the supervisor");
	return door_status(reply->status->code, reply->status->why);
}

/* A new config from the files into force. Texts for people are added to `said`. */
static struct status load(struct steward *steward, json_t *said)
{
	struct arena arena;
	struct config_sources sources;
	struct config_problems problems;
	struct config *config = NULL;
	struct os_fault fault = {0};
	CLEANUP(fd_close) int fd = -1;
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	struct status status = read_sources(steward, &arena, &sources, &fault);
	if (!is_ok(status))
		json_array_append_new(
		        said,
		        json_sprintf("%s/%s", steward->room->start->config_directory, fault.text));
	if (is_ok(status))
		status = config_parse(&sources, &arena, &config, &problems);
	config_problems_sort(&problems);
	for (size_t i = 0; i < problems.n; i++) {
		struct buf text;
		if (problems.v[i].severity == CONFIG_WARNING && !steward->room->start->check_only)
			continue; /* `mailkeep config test` shows them */
		buf_init(&text, 8192);
		config_problem_print(&problems.v[i], steward->room->start->config_directory, &text);
		json_array_append_new(said, json_string(buf_cstr(&text)));
		buf_done(&text);
	}
	if (is_ok(status))
		status = config_freeze(&sources, &fd);
	if (is_ok(status)) {
		status = tell_supervisor(steward, config, fd, &arena);
		if (!is_ok(status))
			json_array_append_new(said, json_string(status.why));
		else if (!steward->room->start->check_only)
			room_config_replace(steward->room, TAKE_FD(fd)); /* nobody tells us */
	}
	status.why = err_name(status.code); /* the words lie in the arena; `said` has them */
	config_problems_done(&problems);
	arena_done(&arena);
	return status;
}

/* ---- commands ---- */

static json_t *answer_of(struct status status, json_t *said)
{
	return json_pack("{s:b, s:s, s:o}", "ok", (int)is_ok(status), "code", err_name(status.code),
	                 "errors", said);
}

static json_t *do_reload(struct steward *steward)
{
	json_t *said = json_array();
	pthread_mutex_lock(&steward->reload_lock);
	struct status status = load(steward, said);
	pthread_mutex_unlock(&steward->reload_lock);
	return answer_of(status, said);
}

/* names: gets the secrets' names of the reply; may be NULL. */
static struct status ask_vault(struct steward *steward, const Door__VaultRequest *request,
                               json_t *said, json_t *names)
{
	struct arena arena;
	ProtobufCMessage *message = NULL;
	arena_init(&arena, REPLY_MAX);
	struct status status =
	        room_call(steward->room, IPC_ROOM_VAULT, "", 0, &request->base, NULL, 0,
	                  VAULT_TIMEOUT_MS, &door__vault_reply__descriptor, &arena, &message);
	if (is_ok(status)) {
		const Door__VaultReply *reply = (const Door__VaultReply *)message;
		status = reply->status ? door_status(reply->status->code, reply->status->why)
		                       : fail(ERR_PROTOCOL, "malformed reply of the vault");
		for (size_t i = 0; names && i < reply->n_secret_names; i++)
			json_array_append_new(names, json_string(reply->secret_names[i]));
	}
	if (!is_ok(status))
		json_array_append_new(said, json_string(status.why));
	status.why = err_name(status.code);
	arena_done(&arena);
	return status;
}

static json_t *do_password(struct steward *steward, const char *account, const char *password)
{
	json_t *said = json_array();
	struct room_config *config = room_config_get(steward->room);
	struct status status = ok();
	if (!account || !config_account_find(config->config, slice_str(account))) {
		status = fail(ERR_NOT_FOUND, "no such account");
		json_array_append_new(said, json_string("no such account in the running server"));
	}
	room_config_unref(config);
	if (is_ok(status)) {
		Door__SetPassword set = DOOR__SET_PASSWORD__INIT;
		Door__RemovePassword remove = DOOR__REMOVE_PASSWORD__INIT;
		Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
		if (password) {
			set.account = door_string(account);
			set.password = door_binary(slice_str(password));
			request.body_case = DOOR__VAULT_REQUEST__BODY_SET_PASSWORD;
			request.set_password = &set;
		} else {
			remove.account = door_string(account);
			request.body_case = DOOR__VAULT_REQUEST__BODY_REMOVE_PASSWORD;
			request.remove_password = &remove;
		}
		status = ask_vault(steward, &request, said, NULL);
	}
	return answer_of(status, said);
}

/* value NULL: forget it. The vault checks both. */
static json_t *do_secret(struct steward *steward, const char *name, const char *value)
{
	json_t *said = json_array();
	Door__SetSecret set = DOOR__SET_SECRET__INIT;
	Door__RemoveSecret remove = DOOR__REMOVE_SECRET__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	if (value) {
		set.name = door_string(name);
		set.value = door_binary(slice_str(value));
		request.body_case = DOOR__VAULT_REQUEST__BODY_SET_SECRET;
		request.set_secret = &set;
	} else {
		remove.name = door_string(name);
		request.body_case = DOOR__VAULT_REQUEST__BODY_REMOVE_SECRET;
		request.remove_secret = &remove;
	}
	return answer_of(ask_vault(steward, &request, said, NULL), said);
}

static json_t *do_secret_list(struct steward *steward)
{
	json_t *said = json_array(), *names = json_array();
	Door__ListSecrets list = DOOR__LIST_SECRETS__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_LIST_SECRETS;
	request.list_secrets = &list;
	json_t *reply = answer_of(ask_vault(steward, &request, said, names), said);
	json_object_set_new(reply, "names", names);
	return reply;
}

static json_t *execute(struct steward *steward, struct slice line)
{
	json_error_t error;
	json_t *request = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, &error);
	const char *command = NULL, *account = NULL, *password = NULL, *secret = NULL,
	           *value = NULL;
	json_t *reply;
	if (request)
		(void)json_unpack(request, "{s?:s, s?:s, s?:s, s?:s, s?:s}", "command", &command,
		                  "account", &account, "password", &password, "name", &secret,
		                  "value", &value);
	struct slice name = slice_str(command);
	if (slice_eq_str(name, "reload"))
		reply = do_reload(steward);
	else if (slice_eq_str(name, "password") && account && password)
		reply = do_password(steward, account, password);
	else if (slice_eq_str(name, "remove-password") && account)
		reply = do_password(steward, account, NULL);
	else if (slice_eq_str(name, "secret-set") && secret && value)
		reply = do_secret(steward, secret, value);
	else if (slice_eq_str(name, "secret-rm") && secret)
		reply = do_secret(steward, secret, NULL);
	else if (slice_eq_str(name, "secret-list"))
		reply = do_secret_list(steward);
	else if (slice_eq_str(name, "certificates"))
		reply = steward_certificates(steward->room);
	else if (slice_eq_str(name, "dns-lookup"))
		reply = steward_lookup(steward->room, request);
	else if (slice_eq_str(name, "message-explain"))
		reply = steward_explain(steward->room, request);
	else
		reply = command ? steward_queue(steward->room, command, request) : NULL;
	if (!reply && command)
		reply = steward_dkim(steward->room, command, request);
	if (!reply && command)
		reply = steward_policies(steward->room, steward->report_db, command, request);
	if (!reply && command)
		reply = steward_received(steward->report_db, command, request);
	if (!reply && command)
		reply = steward_reports_command(steward->reports, command, request);
	if (!reply)
		reply = json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code", "syntax", "errors",
		                  "this is no command of the control socket");
	json_decref(request);
	return reply;
}

/* ---- the control socket ---- */

/* Root and the server's own user only, whatever the file's mode says. */
static bool may_command(const struct steward *steward, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == 0 || peer.uid == steward->room->start->uid;
}

static void serve_client(struct steward *steward, int fd)
{
	struct fd_stream stream;
	struct slice line;
	bool crlf;
	fd_stream_init(&stream, fd);
	stream.stream.timeout_ms = CONTROL_TIMEOUT_MS;
	while (is_ok(stream_read_line(&stream.stream, LINE_MAX_SIZE, &line, &crlf))) {
		json_t *reply = execute(steward, line);
		char *text = json_dumps(reply, JSON_COMPACT);
		(void)stream_write(&stream.stream, slice_str(text ? text : "{\"ok\":false}"));
		(void)stream_write(&stream.stream, SLICE("\n"));
		(void)stream_flush(&stream.stream);
		free(text);
		json_decref(reply);
	}
	fd_stream_done(&stream);
}

struct client {
	struct steward *steward;
	int fd;
};

static void run_client(void *context)
{
	struct client *client = context;
	serve_client(client->steward, client->fd);
	atomic_fetch_sub(&client->steward->n_clients, 1);
	base_free(client);
}

/* On a thread of its own: a lookup may take its time, and a command must not wait for it. */
static void start_client(struct steward *steward, int fd)
{
	const struct thread_options options = {.name = "command", .stack_size = CLIENT_STACK};
	struct client *client = base_alloc(sizeof(*client));
	*client = (struct client){steward, fd};
	atomic_fetch_add(&steward->n_clients, 1);
	if (is_ok(thread_start(&options, run_client, client, NULL)))
		return;
	atomic_fetch_sub(&steward->n_clients, 1);
	base_free(client);
	close(fd);
}

static void run_control(void *context)
{
	struct steward *steward = context;
	for (;;) {
		struct pollfd input = {.fd = steward->control_fd, .events = POLLIN};
		if (poll(&input, 1, -1) < 0)
			continue;
		int fd;
		struct os_address peer;
		if (steward->n_clients >= CLIENTS_MAX ||
		    socket_accept(steward->control_fd, &fd, &peer) != SOCKET_ACCEPTED) {
			usleep(10000);
			continue;
		}
		if (may_command(steward, fd))
			start_client(steward, fd);
		else
			close(fd);
	}
}

/* ---- life ---- */

static void on_listen(struct room *room, const Door__Listener *listener, int fd)
{
	struct steward *steward = room->state;
	if (listener->protocol != ROOM_PROTOCOL_CONTROL || steward->control_fd >= 0) {
		fd_close(&fd);
		return;
	}
	steward->control_fd = fd;
}

static void on_meet(struct room *room, enum ipc_room who, struct slice name, int fd)
{
	const struct steward *steward = room->state;
	steward_door_serve(room, steward->report_db, who, name, fd);
}

/* From SIGHUP, by the supervisor: on a thread, since the supervisor's channel is read by this one.
 */
static void reload_thread(void *context)
{
	json_t *reply = do_reload(context);
	json_t *errors = json_object_get(reply, "errors");
	size_t i;
	json_t *error;
	json_array_foreach(errors, i, error)
	        log_error(0, "config", LOG_STR("problem", json_string_value(error)));
	json_decref(reply);
}

static void on_reconfigured(struct room *room, const Door__Config *message)
{
	struct steward *steward = room->state;
	(void)message;
	(void)thread_start(&(struct thread_options){.name = "reload"}, reload_thread, steward,
	                   NULL);
}

/* Before the house stands: load, tell, end; what is wrong goes to standard error. */
static struct status check_only(struct steward *steward)
{
	json_t *said = json_array();
	struct status status = load(steward, said);
	size_t i;
	json_t *line;
	json_array_foreach(said, i, line)
	        fprintf(stderr, "mailkeep: %s\n", json_string_value(line));
	json_decref(said);
	_exit(is_ok(status) ? 0 : 1);
}

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	struct steward *steward = room->state;
	char path[4096];
	struct os_fault fault = {0};
	steward->room = room;
	pthread_mutex_init(&steward->reload_lock, NULL);
	struct status status = file_open_dir(AT_FDCWD, room->start->config_directory,
	                                     &steward->config_dir, &fault);
	if (!is_ok(status)) {
		fprintf(stderr, "mailkeep: %s\n", fault.text);
		return status;
	}
	walls->read_paths = &steward->config_dir;
	walls->n_read_paths = 1;
	if (room->start->check_only) {
		walls->own_dir = steward->config_dir;
		return ok();
	}
	snprintf(path, sizeof(path), "%s/steward", room->start->data_directory);
	return file_open_dir(AT_FDCWD, path, &walls->own_dir, &fault);
}

/* The room of a supervisor that was killed may hold it for some moments more. */
static struct status open_reports(struct steward *steward)
{
	struct deadline deadline = deadline_in(OPEN_PATIENCE_MS);
	struct status status;
	do {
		/* Behind the sandbox the directory is the current one. */
		status = report_db_open("reports.db", NULL, &steward->report_db);
		if (status.code == ERR_BUSY)
			usleep(OPEN_PAUSE_MS * 1000);
	} while (status.code == ERR_BUSY && !deadline_passed(deadline));
	if (!is_ok(status))
		log_error(0, "the database of reports cannot be opened", LOG_STATUS(status));
	return status;
}

static struct status begin(struct room *room)
{
	struct steward *steward = room->state;
	if (room->start->check_only)
		return check_only(steward);
	TRY(open_reports(steward));
	/* The socket follows the start message, but maybe not at once. */
	while (steward->control_fd < 0) {
		TRY(socket_wait_readable(ipc_channel_fd(room->supervisor), SOCKET_FOLLOWS_MS));
		TRY(ipc_channel_pump(room->supervisor));
	}
	steward->reports = steward_reports_start(room, steward->report_db);
	if (!steward->reports)
		return fail(ERR_BUSY, "no thread for reports");
	struct thread_options options = {.name = "control", .stack_size = (size_t)256 * 1024};
	return thread_start(&options, run_control, steward, NULL);
}

int main(int argc, char **argv)
{
	static const struct room_ops ops = {.warm = warm,
	                                    .begin = begin,
	                                    .meet = on_meet,
	                                    .listen = on_listen,
	                                    .reconfigured = on_reconfigured};
	struct steward *steward = base_alloc(sizeof(*steward));
	steward->config_dir = -1;
	steward->control_fd = -1;
	return room_main(argc, argv, SANDBOX_STEWARD, &ops, steward);
}
