/* The resolver: DNS for all rooms.
 *
 * A lookup gets a thread of its own, so that a slow name delays nobody; how many there may be is
 * the config's max_lookups, of which rooms that serve strangers get three quarters. The answers
 * come from libunbound (recursive, forward) or from the servers of the machine (trust).
 *
 * Files (anchor, hints, resolv.conf) are read before the sandbox closes; when the config of the
 * resolver changes the process ends, and the supervisor starts it again with those of then. Others
 * repeat the lookups that were under way.
 *
 * SECURITY. Hears DNS servers, all hostile, and every room. Holds the cache, no file and no secret;
 * may send UDP, and connect by TCP to the ports of its servers. An intruder can lie about names.
 */
#include "dns/stub.h"
#include "dns/unbound.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "resolver.pb-c.h"
#include "rooms/runtime.h"

#define REQUEST_ARENA_MAX ((size_t)16 * 1024)
#define FILES_ARENA_MAX   ((size_t)4 * 1024 * 1024)
#define FILE_MAX_SIZE     ((size_t)1024 * 1024)
#define WORKER_STACK      DNS_UNBOUND_STACK
#define DNS_PORT          53
#define RESOLV_CONF       "/etc/resolv.conf"

struct resolver_room {
	struct room *room;
	struct room_config *config; /* in force since the start */
	struct arena files;
	struct slice anchors, hints;
	struct os_address servers[CONFIG_RESOLVER_SERVERS_MAX];
	size_t n_servers;
	bool trust_ad;
	uint16_t ports[CONFIG_RESOLVER_SERVERS_MAX + 1]; /* that TCP may go to */
	size_t n_ports;
	struct dns_unbound *unbound; /* NULL in the mode trust */
	struct dns_stub stub;
	struct dns_resolver broken;
	const struct dns_resolver *resolver; /* one of the three */
	const struct dns_resolver *for_strangers;
	atomic_uint n_lookups, n_for_strangers;
};

/* One peer's channel. */
struct resolver_door {
	struct resolver_room *room;
	struct ipc_channel *channel;
	enum ipc_room who;
};

/* One lookup under way. */
struct lookup {
	struct resolver_room *room;
	struct ipc_channel *channel;
	struct ipc_packet packet; /* id and cid only */
	bool for_strangers;
	struct arena arena;
	struct dns_name name;
	enum dns_type type;
	int timeout_ms;
};

static const struct config_resolver *settings_of(const struct resolver_room *resolver)
{
	return &resolver->config->config->resolver;
}

/* ---- one lookup ---- */

static void answer(struct ipc_channel *channel, const struct ipc_packet *packet,
                   struct status status, struct slice packed)
{
	Door__Status text = DOOR__STATUS__INIT;
	Door__ResolverReply reply = DOOR__RESOLVER_REPLY__INIT;
	text.code = status.code;
	text.why = door_string(status.why);
	reply.status = &text;
	reply.answer = door_binary(packed);
	(void)door_answer(channel, packet, &reply.base, NULL, 0);
}

static struct status look_up(struct lookup *lookup, struct buf *packed)
{
	const struct dns_answer *answer;
	const struct dns_resolver *resolver =
	        lookup->for_strangers ? lookup->room->for_strangers : lookup->room->resolver;
	TRY(dns_lookup_name(resolver, lookup->name, lookup->type, lookup->timeout_ms,
	                    &lookup->arena, &answer));
	if (answer->outcome == DNS_FAILED)
		log_debug(lookup->packet.cid, "lookup failed", LOG_STR("name", answer->name.text),
		          LOG_STR("type", dns_type_name(answer->type)),
		          LOG_STR("kind", dns_failure_name(answer->failure)),
		          LOG_STR("why", answer->why));
	struct status status = dns_answer_pack(answer, packed);
	if (status.code != ERR_LIMIT)
		return status;
	answer = dns_answer_failed(lookup->name, lookup->type, DNS_FAILURE_OTHER, status.why,
	                           &lookup->arena);
	buf_reset(packed);
	return answer ? dns_answer_pack(answer, packed) : status;
}

static void end_lookup(struct lookup *lookup)
{
	atomic_fetch_sub(&lookup->room->n_lookups, 1);
	if (lookup->for_strangers)
		atomic_fetch_sub(&lookup->room->n_for_strangers, 1);
	ipc_channel_unref(lookup->channel);
	arena_done(&lookup->arena);
	base_free(lookup);
}

static void run_lookup(void *context)
{
	struct lookup *lookup = context;
	struct buf packed;
	buf_init(&packed, DNS_PACKED_MAX);
	struct status status = look_up(lookup, &packed);
	answer(lookup->channel, &lookup->packet, status, buf_slice(&packed));
	buf_done(&packed);
	end_lookup(lookup);
}

/* Counts it, if there is room for one more. */
static bool take_place(struct resolver_room *resolver, bool for_strangers)
{
	unsigned max = settings_of(resolver)->max_lookups;
	if (for_strangers && atomic_fetch_add(&resolver->n_for_strangers, 1) >= max / 4 * 3) {
		atomic_fetch_sub(&resolver->n_for_strangers, 1);
		return false;
	}
	if (atomic_fetch_add(&resolver->n_lookups, 1) < max)
		return true;
	atomic_fetch_sub(&resolver->n_lookups, 1);
	if (for_strangers)
		atomic_fetch_sub(&resolver->n_for_strangers, 1);
	return false;
}

static struct status read_request(struct resolver_door *door, const Door__Lookup *request,
                                  struct lookup *lookup)
{
	uint64_t longest = settings_of(door->room)->timeout_ms;
	if (!dns_type_is_known(request->type))
		return fail(ERR_PROTOCOL, "unknown record type");
	lookup->type = (enum dns_type)request->type;
	lookup->timeout_ms = (int)MIN((uint64_t)request->timeout_ms, longest);
	return dns_name_parse(slice_str(request->name), &lookup->arena, &lookup->name);
}

static struct status start_lookup(struct resolver_door *door, const struct ipc_packet *packet,
                                  const Door__Lookup *request)
{
	const struct thread_options options = {.name = "lookup", .stack_size = WORKER_STACK};
	bool for_strangers = door->who == IPC_ROOM_GATE_MX;
	if (!take_place(door->room, for_strangers))
		return fail(ERR_BUSY, "too many lookups at once");
	struct lookup *lookup = base_alloc(sizeof(*lookup));
	*lookup = (struct lookup){
	        .room = door->room,
	        .channel = ipc_channel_ref(door->channel),
	        .packet = {.id = packet->id, .cid = packet->cid},
	        .for_strangers = for_strangers,
	};
	arena_init(&lookup->arena, DNS_ANSWER_ARENA);
	struct status status = read_request(door, request, lookup);
	if (is_ok(status))
		status = thread_start(&options, run_lookup, lookup, NULL);
	if (!is_ok(status))
		end_lookup(lookup);
	return status;
}

/* ---- the door ---- */

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct resolver_door *door = context;
	struct arena arena;
	arena_init(&arena, REQUEST_ARENA_MAX);
	Door__ResolverRequest *request = (Door__ResolverRequest *)door_unpack(
	        &door__resolver_request__descriptor, packet->payload, &arena);
	struct status status = fail(ERR_PROTOCOL, "malformed request");
	if (request && request->body_case == DOOR__RESOLVER_REQUEST__BODY_LOOKUP)
		status = start_lookup(door, packet, request->lookup);
	if (!is_ok(status)) /* else the lookup's thread answers */
		answer(channel, packet, status, slice_empty());
	arena_done(&arena);
}

static void serve_door(void *context)
{
	struct resolver_door *door = context;
	(void)ipc_channel_serve(door->channel);
	ipc_channel_unref(door->channel);
	base_free(door);
}

static void on_meet(struct room *room, enum ipc_room who, struct slice name, int fd)
{
	(void)name;
	struct resolver_door *door = base_alloc(sizeof(*door));
	door->room = room->state;
	door->who = who;
	door->channel = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_request, .context = door});
	if (is_ok(thread_start(&(struct thread_options){.name = "door"}, serve_door, door, NULL)))
		return;
	ipc_channel_unref(door->channel);
	base_free(door);
}

/* ---- before the sandbox ---- */

static struct status read_anchors(struct resolver_room *resolver)
{
	struct os_fault fault = {0};
	const struct config_text *path = &settings_of(resolver)->anchor;
	if (!settings_of(resolver)->validate)
		return ok();
	struct status status = file_read_path(path->s, FILE_MAX_SIZE, &resolver->files,
	                                      &resolver->anchors, &fault);
	if (status.code == ERR_NOT_FOUND && path->line == 0) { /* the default */
		resolver->anchors = SLICE(DNS_UNBOUND_ROOT_ANCHORS);
		return ok();
	}
	if (is_ok(status) && resolver->anchors.n == 0)
		status = fail(ERR_INVALID, "no trust anchor in the file");
	if (!is_ok(status))
		log_error(0, "trust anchor cannot be read", LOG_STR("file", path->s),
		          LOG_STATUS(status), LOG_STR("fault", fault.text));
	return status;
}

static struct status read_hints(struct resolver_room *resolver)
{
	struct os_fault fault = {0};
	const struct config_text *path = &settings_of(resolver)->hints;
	if (settings_of(resolver)->mode != CONFIG_RESOLVER_RECURSIVE || path->line == 0)
		return ok();
	struct status status =
	        file_read_path(path->s, FILE_MAX_SIZE, &resolver->files, &resolver->hints, &fault);
	if (!is_ok(status))
		log_error(0, "root hints cannot be read", LOG_STR("file", path->s),
		          LOG_STATUS(status), LOG_STR("fault", fault.text));
	return status;
}

static void read_servers(struct resolver_room *resolver)
{
	const struct config_texts *servers = &settings_of(resolver)->servers;
	for (size_t i = 0; i < servers->n && i < CONFIG_RESOLVER_SERVERS_MAX; i++) {
		struct os_address *address = &resolver->servers[resolver->n_servers];
		struct slice text = config_slice(&servers->v[i]);
		if (is_ok(os_address_parse(text, DNS_PORT, address)) ||
		    is_ok(os_address_parse_port(text, address)))
			resolver->n_servers++;
	}
}

/* A missing resolv.conf(5) means a resolver on this machine. */
static void read_resolv_conf(struct resolver_room *resolver)
{
	struct os_fault fault = {0};
	struct slice text = slice_empty();
	struct os_address servers[DNS_STUB_SERVERS_MAX];
	bool trust_ad;
	struct status status =
	        file_read_path(RESOLV_CONF, FILE_MAX_SIZE, &resolver->files, &text, &fault);
	if (!is_ok(status) && status.code != ERR_NOT_FOUND)
		log_warn(0, RESOLV_CONF " cannot be read", LOG_STATUS(status),
		         LOG_STR("fault", fault.text));
	dns_stub_read_resolv_conf(text, servers, &resolver->n_servers, &trust_ad);
	resolver->n_servers = MIN(resolver->n_servers, (size_t)CONFIG_RESOLVER_SERVERS_MAX);
	for (size_t i = 0; i < resolver->n_servers; i++)
		resolver->servers[i] = servers[i];
	resolver->trust_ad = resolver->trust_ad || trust_ad;
}

/* Landlock limits TCP to these; UDP it does not know. */
static void list_ports(struct resolver_room *resolver, struct sandbox_context *walls)
{
	resolver->ports[resolver->n_ports++] = DNS_PORT;
	for (size_t i = 0; i < resolver->n_servers; i++) {
		bool known = false;
		for (size_t j = 0; j < resolver->n_ports; j++)
			known = known || resolver->ports[j] == resolver->servers[i].port;
		if (!known)
			resolver->ports[resolver->n_ports++] = resolver->servers[i].port;
	}
	walls->connect_ports = resolver->ports;
	walls->n_connect_ports = resolver->n_ports;
}

/* Whether the servers may be believed: all of them, or none is. */
static bool are_trusted(const struct resolver_room *resolver)
{
	bool trusted = true;
	for (size_t i = 0; i < resolver->n_servers; i++)
		trusted = trusted && os_address_is_loopback(&resolver->servers[i]);
	return trusted || resolver->trust_ad;
}

static struct status make_resolver(struct resolver_room *resolver)
{
	const struct config_resolver *settings = settings_of(resolver);
	const struct dns_unbound_options options = {
	        .anchors = resolver->anchors,
	        .hints = resolver->hints,
	        .servers = resolver->servers,
	        .n_servers = resolver->n_servers,
	        .cache_size = (size_t)settings->cache_size,
	        /* Those given up go on for a while: as many places again. */
	        .lookups_max = 2 * settings->max_lookups,
	};
	if (settings->mode == CONFIG_RESOLVER_TRUST) {
		dns_stub_init(&resolver->stub, resolver->servers, resolver->n_servers,
		              are_trusted(resolver));
		resolver->resolver = &resolver->stub.resolver;
		return ok();
	}
	TRY(dns_unbound_new(&options, &resolver->unbound));
	resolver->resolver = dns_unbound_resolver(resolver->unbound);
	resolver->for_strangers = dns_unbound_for_strangers(resolver->unbound);
	return ok();
}

static struct status read_files(struct resolver_room *resolver)
{
	if (settings_of(resolver)->mode != CONFIG_RESOLVER_TRUST) {
		TRY(read_anchors(resolver));
		return read_hints(resolver);
	}
	if (resolver->n_servers == 0)
		read_resolv_conf(resolver);
	return ok();
}

/* Where the config names what cannot be used, the house stands all the same and lookups fail with
 * the reason, until the config is mended. */
static struct status broken_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                   enum dns_type type, int timeout_ms, struct arena *arena,
                                   const struct dns_answer **ret_answer)
{
	(void)timeout_ms;
	const char *why = arena_printf(arena, "the resolver's config cannot be used: %s",
	                               (const char *)resolver->context);
	struct dns_answer *answer =
	        dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY, why ? why : "", arena);
	if (!answer)
		return fail(ERR_LIMIT, "no room for an answer");
	*ret_answer = answer;
	return ok();
}

static void make_broken(struct resolver_room *resolver, struct status status)
{
	static const struct dns_resolver_ops ops = {.lookup = broken_lookup};
	log_error(0, "the resolver's config cannot be used; lookups will fail", LOG_STATUS(status));
	resolver->broken = (struct dns_resolver){.ops = &ops, .context = base_strdup(status.why)};
	resolver->resolver = &resolver->broken;
}

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	struct resolver_room *resolver = room->state;
	resolver->room = room;
	resolver->config = room_config_get(room);
	resolver->trust_ad = settings_of(resolver)->trust_ad;
	arena_init(&resolver->files, FILES_ARENA_MAX);
	walls->chroot = false;
	read_servers(resolver);
	struct status status = read_files(resolver);
	if (is_ok(status))
		status = make_resolver(resolver);
	if (!is_ok(status))
		make_broken(resolver, status);
	if (!resolver->for_strangers)
		resolver->for_strangers = resolver->resolver;
	arena_done(&resolver->files);
	list_ports(resolver, walls);
	return ok();
}

/* ---- new config ---- */

static bool same_texts(const struct config_texts *a, const struct config_texts *b)
{
	bool same = a->n == b->n;
	for (size_t i = 0; same && i < a->n; i++)
		same = slice_eq(config_slice(&a->v[i]), config_slice(&b->v[i]));
	return same;
}

static bool same_settings(const struct config_resolver *a, const struct config_resolver *b)
{
	return a->mode == b->mode && same_texts(&a->servers, &b->servers) &&
	       a->validate == b->validate && a->trust_ad == b->trust_ad &&
	       slice_eq(config_slice(&a->anchor), config_slice(&b->anchor)) &&
	       slice_eq(config_slice(&a->hints), config_slice(&b->hints)) &&
	       a->timeout_ms == b->timeout_ms && a->cache_size == b->cache_size &&
	       a->max_lookups == b->max_lookups;
}

static void on_reconfigured(struct room *room, const Door__Config *message)
{
	const struct resolver_room *resolver = room->state;
	struct room_config *config = room_config_get(room);
	(void)message;
	bool same = same_settings(settings_of(resolver), &config->config->resolver);
	room_config_unref(config);
	if (same)
		return;
	log_info(0, "the resolver begins anew with its new config");
	_exit(0); /* started again at once */
}

int main(int argc, char **argv)
{
	static const struct room_ops ops = {
	        .warm = warm, .meet = on_meet, .reconfigured = on_reconfigured};
	struct resolver_room *resolver = base_alloc(sizeof(*resolver));
	return room_main(argc, argv, SANDBOX_RESOLVER, &ops, resolver);
}
