/* The courier room: takes messages to remote servers.
 *
 * The queue gives an attempt and the message's descriptor; each attempt is a thread, which looks up
 * the transport in this room's own config, hosts by the resolver, secrets by the vault, and answers
 * with an outcome for each recipient (courier_attempt.c). What becomes of it the queue records; for
 * a queue that was killed before it could, the last ends are kept in memory (courier_memory.h).
 * When this room ends, the queue asks its successor.
 *
 * SECURITY. Hears remote servers, all hostile: their replies, certificates, SASL challenges,
 * policies by HTTPS, servers that take reports by it. Holds the message under way, connections, for
 * a moment the password of a transport, and an open descriptor of the system's certificates of
 * authorities; it can open no file. Connects by TCP to port 25, the ports of the configured
 * transports, and 443 for policies (MTA-STS). An intruder gains what is being delivered while they
 * hold it, and the secrets of transports.
 *
 * Limits: ATTEMPTS_MAX attempts at a time (the queue's own limit is lower), those of courier.h.
 */
#include "rooms/courier.h"

#include "dns/cache.h"
#include "ipc/request.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "rooms/courier_destinations.h"
#include "rooms/courier_facts.h"
#include "rooms/courier_memory.h"
#include "rooms/courier_post.h"
#include "rooms/peers.h"
#include "rooms/resolver_client.h"
#include "rooms/sts_store.h"
#include "steward.pb-c.h"
#include "tls/authorities.h"
#include "vault.pb-c.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

#define ATTEMPTS_MAX      1000u
#define ATTEMPT_STACK     ((size_t)128 * 1024)
#define REQUEST_ARENA_MAX ((size_t)1024 * 1024)
#define SECRET_TIMEOUT_MS 10000
#define POLICY_TIMEOUT_MS 15000
#define ERRANDS_MAX       16u
#define ERRAND_STACK      ((size_t)256 * 1024)
#define POST_SIZE_MAX     ((uint64_t)16 * 1024 * 1024)
#define POLICY_REPLY_MAX  ((size_t)512 * 1024)
#define CA_FILE_MAX       ((size_t)1024 * 1024)
#define PORTS_MAX         (CONFIG_TRANSPORTS_MAX + 2u)
#define HTTPS_PORT        443
#define DRAIN_S           60 /* attempts may end within it when the room must start anew */

struct courier_room {
	struct room *room;
	struct courier *courier;
	struct courier_memory *memory;
	struct sts_store *policies;
	struct reporter *reporter;
	struct courier_options options;
	struct dns_cache *dns_cache;
	struct resolver_client behind; /* of what no attempt waits for */
	struct dns_cached behind_cached;
	int bundle_fd;
	struct arena files; /* the transports' own `ca` files, until begin */
	struct own_ca *own_cas;
	int keep_fds[2];
	uint16_t ports[PORTS_MAX]; /* that it may connect to */
	size_t n_ports;
	atomic_uint n_attempts, n_errands;
	atomic_bool draining;
};

/* A `ca` file that was read before the sandbox closed. */
struct own_ca {
	struct own_ca *next;
	char *path;
	struct slice pem; /* empty: it could not be read */
};

struct courier_door {
	struct courier_room *state;
	struct ipc_channel *channel;
	enum ipc_room who;
};

/* One attempt's thread. */
struct courier_work {
	struct courier_room *state;
	struct ipc_channel *channel;
	struct ipc_packet packet; /* id and cid only */
	struct arena request_arena;
	const Door__Attempt *attempt;
	int body_fd;
};

/* ---- attempts ---- */

static void answer(struct ipc_channel *channel, const struct ipc_packet *packet,
                   struct status status)
{
	Door__CourierReply reply = DOOR__COURIER_REPLY__INIT;
	Door__Status said = DOOR__STATUS__INIT;
	said.code = status.code;
	said.why = door_string(status.why);
	reply.status = &said;
	(void)door_answer(channel, packet, &reply.base, NULL, 0);
}

static void log_attempt(const struct courier_work *work, const Door__CourierReply *reply,
                        int64_t began_ms)
{
	unsigned n[3] = {0};
	for (size_t i = 0; i < reply->n_outcomes; i++)
		n[MIN((unsigned)reply->outcomes[i]->outcome, 2u)]++;
	log_debug(work->packet.cid, "attempt", LOG_INT("message", work->attempt->message),
	          LOG_STR("domain", work->attempt->domain),
	          LOG_STR("transport", work->attempt->transport),
	          LOG_UINT("delivered", n[DOOR__OUTCOME__OUTCOME_DELIVERED]),
	          LOG_UINT("deferred", n[DOOR__OUTCOME__OUTCOME_DEFERRED]),
	          LOG_UINT("failed", n[DOOR__OUTCOME__OUTCOME_FAILED]),
	          LOG_BOOL("reused", reply->reused),
	          LOG_INT("ms", clock_monotonic_ms(clock_real()) - began_ms));
}

/* Those recipients that an attempt has ended for already are not tried again. */
static void run_claimed(const struct courier_work *work, const struct config *config,
                        const struct dns_resolver *resolver, struct arena *arena,
                        Door__CourierReply *ret_reply)
{
	Door__Status *good = ARENA_NEW(arena, Door__Status);
	struct courier_claim claim;
	door__courier_reply__init(ret_reply);
	if (!good || !courier_memory_begin(work->state->memory, work->attempt, arena, &claim))
		return;
	door__status__init(good);
	const struct courier_job job = {
	        .cid = work->packet.cid,
	        .config = config,
	        .resolver = resolver,
	        .attempt = &claim.rest,
	        .body_fd = work->body_fd,
	};
	if (claim.rest.n_recipients > 0)
		courier_run(work->state->courier, &job, arena, ret_reply);
	else
		ret_reply->status = good;
	courier_memory_end(work->state->memory, &claim, ret_reply, arena);
}

static void run_attempt(void *context)
{
	struct courier_work *work = context;
	struct courier_room *state = work->state;
	struct room_config *config = room_config_get(state->room);
	struct resolver_client resolver;
	struct dns_cached cached;
	struct arena arena;
	Door__CourierReply reply;
	int64_t began_ms = clock_monotonic_ms(clock_real());
	arena_init(&arena, COURIER_ARENA_MAX);
	resolver_client_init(&resolver, state->room, work->packet.cid);
	dns_cached_init(&cached, state->dns_cache, &resolver.resolver);
	run_claimed(work, config->config, &cached.resolver, &arena, &reply);
	log_attempt(work, &reply, began_ms);
	if (reply.status)
		(void)door_answer(work->channel, &work->packet, &reply.base, NULL, 0);
	else
		answer(work->channel, &work->packet, fail(ERR_LIMIT, "too little memory"));
	arena_done(&arena);
	room_config_unref(config);
	arena_done(&work->request_arena);
	fd_close(&work->body_fd);
	ipc_channel_unref(work->channel);
	base_free(work);
	atomic_fetch_sub(&state->n_attempts, 1);
}

static struct status start_attempt(struct courier_door *door, struct ipc_packet *packet,
                                   struct arena *arena, const Door__Attempt *attempt)
{
	const struct thread_options options = {.name = "attempt", .stack_size = ATTEMPT_STACK};
	struct courier_room *state = door->state;
	if (packet->n_fds != 1)
		return fail(ERR_PROTOCOL, "an attempt comes with its message");
	if (atomic_load(&state->draining))
		return fail(ERR_BUSY, "the courier is starting anew");
	if (atomic_fetch_add(&state->n_attempts, 1) >= ATTEMPTS_MAX) {
		atomic_fetch_sub(&state->n_attempts, 1);
		return fail(ERR_BUSY, "too many attempts at once");
	}
	struct courier_work *work = base_alloc(sizeof(*work));
	*work = (struct courier_work){
	        .state = state,
	        .channel = ipc_channel_ref(door->channel),
	        .packet = {.id = packet->id, .cid = packet->cid},
	        .request_arena = *arena, /* moved, on success */
	        .attempt = attempt,
	        .body_fd = ipc_packet_take_fd(packet, 0),
	};
	struct status status = thread_start(&options, run_attempt, work, NULL);
	if (is_ok(status))
		return status;
	fd_close(&work->body_fd);
	ipc_channel_unref(work->channel);
	base_free(work);
	atomic_fetch_sub(&state->n_attempts, 1);
	return status;
}

/* ---- what the steward asks ---- */

static bool has_port(const struct courier_room *state, uint16_t port)
{
	for (size_t i = 0; i < state->n_ports; i++)
		if (state->ports[i] == port)
			return true;
	return false;
}

/* One request's thread. */
struct courier_errand {
	struct courier_room *state;
	struct ipc_channel *channel;
	struct ipc_packet packet; /* id, cid, descriptors */
	struct arena arena;       /* of the request, and of the work */
	const Door__CourierRequest *request;
};

static struct status find_destinations(struct courier_errand *e,
                                       const struct dns_resolver *resolver,
                                       const struct config *config, Door__CourierReply *reply)
{
	const Door__FindDestinations *find = e->request->find_destinations;
	enum dmarc_discovery discovery =
	        config->reception.dmarc_discovery == CONFIG_DMARC_PUBLIC_SUFFIX
	                ? DMARC_PUBLIC_SUFFIX
	                : DMARC_TREE_WALK;
	if (find->kind >= REPORT_KINDS)
		return fail(ERR_UNSUPPORTED, "unknown kind of report");
	return courier_destinations_find(resolver, clock_real(), (enum report_kind)find->kind,
	                                 find->domain, discovery, &e->arena, reply);
}

static struct status read_report(struct courier_errand *e, uint64_t size, struct slice *ret_report)
{
	CLEANUP(fd_close) int fd = ipc_packet_take_fd(&e->packet, 0);
	if (fd < 0 || size == 0 || size > POST_SIZE_MAX)
		return fail(ERR_PROTOCOL, "a report comes with its bytes");
	uint8_t *bytes = arena_alloc(&e->arena, (size_t)size);
	if (!bytes)
		return fail(ERR_TEMPORARY, "too little memory for a report");
	TRY(fd_pread_all(fd, bytes, (size_t)size, 0, NULL));
	*ret_report = slice_of(bytes, (size_t)size);
	return ok();
}

static struct status post_report(struct courier_errand *e, const struct dns_resolver *resolver)
{
	const Door__PostReport *post = e->request->post_report;
	struct courier_uri uri;
	struct slice report;
	TRY(courier_uri_parse(slice_str(post->uri), &e->arena, &uri));
	if (uri.port == 25 || !has_port(e->state, uri.port))
		return fail(ERR_DENIED, "the sandbox lets nobody connect to this port");
	TRY(read_report(e, post->size, &report));
	return courier_post(e->state->courier, resolver, &uri, report, &e->arena);
}

static struct status do_errand(struct courier_errand *e, const struct dns_resolver *resolver,
                               const struct config *config, Door__CourierReply *reply)
{
	switch (e->request->body_case) {
	case DOOR__COURIER_REQUEST__BODY_FIND_DESTINATIONS:
		return find_destinations(e, resolver, config, reply);
	case DOOR__COURIER_REQUEST__BODY_POST_REPORT:
		return post_report(e, resolver);
	case DOOR__COURIER_REQUEST__BODY_FORGET_POLICY:
		sts_store_forget(e->state->policies, e->request->forget_policy->domain);
		return ok();
	case DOOR__COURIER_REQUEST__BODY_ATTEMPT:
	case DOOR__COURIER_REQUEST__BODY__NOT_SET:
	case _DOOR__COURIER_REQUEST__BODY__CASE_IS_INT_SIZE:
		break;
	}
	return fail(ERR_UNSUPPORTED, "unknown request");
}

static void end_errand(struct courier_errand *e)
{
	for (size_t i = 0; i < IPC_FDS_MAX; i++) {
		int fd = ipc_packet_take_fd(&e->packet, i);
		fd_close(&fd);
	}
	arena_done(&e->arena);
	ipc_channel_unref(e->channel);
	base_free(e);
}

static void run_errand(void *context)
{
	struct courier_errand *e = context;
	struct room_config *config = room_config_get(e->state->room);
	Door__CourierReply reply = DOOR__COURIER_REPLY__INIT;
	Door__Status said = DOOR__STATUS__INIT;
	struct resolver_client resolver;
	struct dns_cached cached;
	resolver_client_init(&resolver, e->state->room, e->packet.cid);
	dns_cached_init(&cached, e->state->dns_cache, &resolver.resolver);
	struct status status = do_errand(e, &cached.resolver, config->config, &reply);
	said.code = status.code;
	said.why = door_string(status.why);
	reply.status = &said;
	(void)door_answer(e->channel, &e->packet, &reply.base, NULL, 0);
	room_config_unref(config);
	atomic_fetch_sub(&e->state->n_errands, 1);
	end_errand(e);
}

/* They wait for strangers' servers: each on a thread, beside the attempts. */
static struct status start_errand(struct courier_door *door, struct ipc_packet *packet,
                                  struct arena *arena, const Door__CourierRequest *request)
{
	const struct thread_options options = {.name = "errand", .stack_size = ERRAND_STACK};
	struct courier_room *state = door->state;
	if (atomic_fetch_add(&state->n_errands, 1) >= ERRANDS_MAX) {
		atomic_fetch_sub(&state->n_errands, 1);
		return fail(ERR_TEMPORARY, "too many requests at once");
	}
	struct courier_errand *e = base_alloc(sizeof(*e));
	*e = (struct courier_errand){
	        .state = state,
	        .channel = ipc_channel_ref(door->channel),
	        .packet = {.id = packet->id, .cid = packet->cid, .fds = {-1, -1, -1, -1}},
	        .arena = *arena, /* moved, on success */
	        .request = request,
	};
	e->arena.budget = COURIER_DESTINATIONS_ARENA + POST_SIZE_MAX;
	e->packet.n_fds = packet->n_fds > 0;
	e->packet.fds[0] = ipc_packet_take_fd(packet, 0);
	struct status status = thread_start(&options, run_errand, e, NULL);
	if (is_ok(status))
		return status;
	atomic_fetch_sub(&state->n_errands, 1);
	arena_init(&e->arena, 0); /* not moved */
	end_errand(e);
	return status;
}

/* ---- the door ---- */

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct courier_door *door = context;
	struct arena arena;
	struct status status = fail(ERR_PROTOCOL, "malformed request");
	arena_init(&arena, REQUEST_ARENA_MAX);
	const Door__CourierRequest *request = (const Door__CourierRequest *)door_unpack(
	        &door__courier_request__descriptor, packet->payload, &arena);
	if (request && !ipc_may_request(door->who, IPC_ROOM_COURIER, request->body_case))
		status = fail(ERR_DENIED, "not for this room");
	else if (request && request->body_case == DOOR__COURIER_REQUEST__BODY_ATTEMPT)
		status = start_attempt(door, packet, &arena, request->attempt);
	else if (request)
		status = start_errand(door, packet, &arena, request);
	if (is_ok(status))
		return; /* the arena has gone along */
	answer(channel, packet, status);
	arena_done(&arena);
}

static void serve_door(void *context)
{
	struct courier_door *door = context;
	(void)ipc_channel_serve(door->channel);
	ipc_channel_unref(door->channel);
	base_free(door);
}

static void on_meet(struct room *room, enum ipc_room who, struct slice name, int fd)
{
	(void)name;
	struct courier_door *door = base_alloc(sizeof(*door));
	door->state = room->state;
	door->who = who;
	door->channel = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_request, .context = door});
	if (is_ok(thread_start(&(struct thread_options){.name = "door"}, serve_door, door, NULL)))
		return;
	ipc_channel_unref(door->channel);
	base_free(door);
}

/* ---- what the attempts need ---- */

static struct status get_secret(void *context, uint64_t cid, struct slice name, struct arena *arena,
                                struct slice *ret_secret)
{
	struct courier_room *state = context;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	Door__GetSecret get = DOOR__GET_SECRET__INIT;
	ProtobufCMessage *message;
	get.name = arena_cstr(arena, name);
	if (!get.name)
		return fail(ERR_LIMIT, "name of a secret is too long");
	request.body_case = DOOR__VAULT_REQUEST__BODY_GET_SECRET;
	request.get_secret = &get;
	TRY(room_call(state->room, IPC_ROOM_VAULT, "", cid, &request.base, NULL, 0,
	              SECRET_TIMEOUT_MS, &door__vault_reply__descriptor, arena, &message));
	const Door__VaultReply *reply = (const Door__VaultReply *)message;
	if (!reply->status || reply->status->code == ERR_NOT_FOUND)
		return fail(ERR_NOT_FOUND, "the vault has no such secret");
	if (reply->status->code != ERR_OK)
		return fail(ERR_TEMPORARY, "the vault does not give it");
	*ret_secret = door_bytes(reply->secret);
	return ok();
}

/* ---- policies, at the steward's ---- */

static struct status ask_steward(struct courier_room *state, const Door__StewardRequest *request,
                                 struct arena *arena, struct slice *ret_form)
{
	ProtobufCMessage *message = NULL;
	TRY(room_call(state->room, IPC_ROOM_STEWARD, "", 0, &request->base, NULL, 0,
	              POLICY_TIMEOUT_MS, &door__steward_reply__descriptor, arena, &message));
	const Door__StewardReply *reply = (const Door__StewardReply *)message;
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the steward");
	TRY(door_status(reply->status->code, reply->status->why));
	*ret_form = door_bytes(reply->form);
	return ok();
}

/* Failures are logged here, and told without the texts of an arena that ends. */
static struct status call_steward(struct courier_room *state, const Door__StewardRequest *request,
                                  struct arena *into, struct slice *ret_form)
{
	struct slice form = slice_empty();
	struct arena arena;
	arena_init(&arena, POLICY_REPLY_MAX);
	struct status status = ask_steward(state, request, &arena, &form);
	if (is_ok(status) && into)
		*ret_form = arena_copy(into, form);
	if (!is_ok(status) && status.code != ERR_NOT_FOUND)
		log_warn(0, "the steward does not answer for a policy", LOG_STATUS(status));
	status.why = err_name(status.code);
	arena_done(&arena);
	return status;
}

static struct status get_policy(void *context, const char *domain, struct arena *arena,
                                struct slice *ret_form)
{
	Door__StewardRequest request = DOOR__STEWARD_REQUEST__INIT;
	Door__GetPolicy get = DOOR__GET_POLICY__INIT;
	get.domain = door_string(domain);
	request.body_case = DOOR__STEWARD_REQUEST__BODY_GET_POLICY;
	request.get_policy = &get;
	return call_steward(context, &request, arena, ret_form);
}

static struct status put_policy(void *context, const char *domain, struct slice form)
{
	Door__StewardRequest request = DOOR__STEWARD_REQUEST__INIT;
	Door__PutPolicy put = DOOR__PUT_POLICY__INIT;
	put.domain = door_string(domain);
	put.form = door_binary(form);
	request.body_case = DOOR__STEWARD_REQUEST__BODY_PUT_POLICY;
	request.put_policy = &put;
	return call_steward(context, &request, NULL, NULL);
}

static void tell_facts(void *context, const char *domain, const struct delivery_tls_facts *facts)
{
	struct courier_room *state = context;
	struct room_config *config = room_config_get(state->room);
	if (config->config->reports.tls)
		courier_facts_tell(state->reporter, domain, facts);
	room_config_unref(config);
}

/* ---- life ---- */

static int open_bundle(void)
{
	for (const char *const *path = tls_authorities_bundles; *path; path++) {
		char resolved[PATH_MAX]; /* some of them are links */
		int fd;
		if (realpath(*path, resolved) &&
		    is_ok(file_open(AT_FDCWD, resolved, O_RDONLY | O_NOCTTY, 0, &fd, NULL)))
			return fd;
	}
	log_warn(0, "no certificates of authorities are installed: no server can be verified");
	return -1;
}

static struct own_ca *find_ca(const struct courier_room *state, const char *path)
{
	struct own_ca *ca = state->own_cas;
	while (ca && strcmp(ca->path, path) != 0)
		ca = ca->next;
	return ca;
}

/* Files can be read before the sandbox only. */
static void read_ca(struct courier_room *state, const struct config_transport *transport)
{
	struct os_fault fault = {.text = ""};
	if (transport->ca.n == 0 || find_ca(state, transport->ca.s))
		return;
	struct own_ca *ca = base_alloc(sizeof(*ca));
	ca->path = base_strdup(transport->ca.s);
	ca->pem = slice_empty();
	ca->next = state->own_cas;
	state->own_cas = ca;
	if (!is_ok(file_read(AT_FDCWD, ca->path, CA_FILE_MAX, &state->files, &ca->pem, &fault)))
		log_error(0, "certificates of a transport cannot be read",
		          LOG_STR("transport", transport->name.s), LOG_STR("fault", fault.text));
}

static void add_port(struct courier_room *state, uint16_t port)
{
	_Static_assert(PORTS_MAX <= SANDBOX_PORTS_MAX, "the ports of all transports fit");
	if (!has_port(state, port) && state->n_ports < PORTS_MAX)
		state->ports[state->n_ports++] = port;
}

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	struct courier_room *state = room->state;
	const struct config_transports *transports = &room->config->config->transports;
	state->room = room;
	state->bundle_fd = open_bundle();
	state->keep_fds[0] = ROOM_CHANNEL_FD;
	state->keep_fds[1] = state->bundle_fd;
	walls->keep_fds = state->keep_fds;
	walls->n_keep_fds = 2;
	walls->chroot = false; /* it has no directory, and may open nothing */
	add_port(state, 25);
	add_port(state, HTTPS_PORT);
	if (!https_warm_up())
		return fail(ERR_TLS, "libcurl cannot be set up");
	for (size_t i = 0; i < transports->n; i++)
		add_port(state, transports->v[i].port); /* of a proxy, for socks */
	walls->connect_ports = state->ports;
	walls->n_connect_ports = state->n_ports;
	arena_init(&state->files, CONFIG_TRANSPORTS_MAX * CA_FILE_MAX);
	for (size_t i = 0; i < transports->n; i++)
		read_ca(state, &transports->v[i]);
	return ok();
}

static struct status begin(struct room *room)
{
	struct courier_room *state = room->state;
	struct courier_options options = {
	        .clock = clock_real(),
	        .bundle_fd = state->bundle_fd,
	        .secret = get_secret,
	        .fetcher = &https_by_curl,
	        .report = tell_facts,
	        .context = state,
	};
	room_random(&options.key, sizeof(options.key));
	state->dns_cache = dns_cache_new(DNS_CACHE_SIZE_DEFAULT, options.key, clock_real());
	resolver_client_init(&state->behind, room, 0);
	dns_cached_init(&state->behind_cached, state->dns_cache, &state->behind.resolver);
	options.resolver = &state->behind_cached.resolver;
	state->policies = sts_store_new(&(struct sts_store_options){.clock = clock_real(),
	                                                            .key = options.key,
	                                                            .get = get_policy,
	                                                            .put = put_policy,
	                                                            .context = state});
	options.sts_store = sts_store_interface(state->policies);
	state->reporter = reporter_new(&(struct reporter_options){.key = options.key,
	                                                          .clock = clock_real(),
	                                                          .send = reporter_send_to_steward,
	                                                          .context = room});
	state->courier = courier_new(&options);
	state->memory = courier_memory_new(options.key);
	for (const struct own_ca *ca = state->own_cas; ca; ca = ca->next)
		courier_add_ca(state->courier, ca->path, ca->pem);
	arena_done(&state->files);
	return ok();
}

static void drain(void *context)
{
	struct courier_room *state = context;
	for (unsigned i = 0; i < DRAIN_S && atomic_load(&state->n_attempts) > 0; i++)
		sleep(1);
	log_info(0, "starting anew for what a transport needs");
	_exit(0);
}

/* Kept connections belong to the old config. A `ca` that was not read at the start, or a port that
 * was not opened in the walls, needs a new process: this one cannot have them any more. */
static void on_reconfigured(struct room *room, const Door__Config *message)
{
	struct courier_room *state = room->state;
	struct room_config *config = room_config_get(room);
	bool is_known = true;
	(void)message;
	courier_forget(state->courier);
	for (size_t i = 0; i < config->config->transports.n; i++) {
		const struct config_transport *t = &config->config->transports.v[i];
		is_known = is_known && has_port(state, t->port) &&
		           (t->ca.n == 0 || find_ca(state, t->ca.s));
	}
	room_config_unref(config);
	if (is_known || atomic_exchange(&state->draining, true))
		return;
	if (!is_ok(thread_start(&(struct thread_options){.name = "drain"}, drain, state, NULL)))
		_exit(0);
}

int main(int argc, char **argv)
{
	static const struct room_ops ops = {
	        .warm = warm, .begin = begin, .meet = on_meet, .reconfigured = on_reconfigured};
	struct courier_room *state = base_alloc(sizeof(*state));
	state->bundle_fd = -1;
	return room_main(argc, argv, SANDBOX_COURIER, &ops, state);
}
