/* The vault room: holds password verifiers and private keys, signs and verifies for others.
 *
 * Which room may ask for what stands in one table (ipc/request.c). Signing is done by the channel's
 * thread, or where it takes long (RSA) by some beside it; what hashes passwords gets a thread of
 * its own, so that it holds up nobody (the vault's library lets only a few run at once).
 *
 * SECURITY. Hears gates, steward, courier (a transport's secret), account rooms and queue (DKIM
 * signatures). Holds what must never leave: there is no request that gives a
 * key or a verifier away. That a connection has a registered key, or comes from a Unix user, it
 * takes from the login gate, which saw the handshake and the kernel's word: a gate that was taken
 * over can log in by any registered key, and send as any account that has Unix users, but not read
 * its mail. No network, its own directory only. An intruder here has every key and verifier of the
 * house.
 */
#include "rooms/vault_dkim.h"

#include "ipc/request.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "vault/ticket.h"

#include <fcntl.h>
#include <pwd.h>

#define REQUEST_ARENA_MAX ((size_t)512 * 1024)
#define LIST_ARENA_MAX    ((size_t)16 * 1024 * 1024)
#define TICKET_LIFETIME_S 60
#define WORKERS_MAX       512u
#define WORKER_STACK      ((size_t)128 * 1024)
#define SIGNERS_MAX       4u /* signatures under way beside those of the doors' own threads */
#define FILE_MAX_SIZE     ((size_t)1024 * 1024)
#define RENEW_EVERY_S     (12 * 3600)
#define HOST_KEY_ID       SLICE("host")

/* A certificate and key that the config names, read before the sandbox closes. */
struct configured_key {
	struct configured_key *next;
	char *id;
	struct slice key_pem, chain_pem;
};

/* A Unix user whose processes may send without a password. */
struct unix_user {
	uid_t uid;
	char account[VAULT_NAME_MAX + 1];
};

struct vault_room {
	struct room *room;
	struct unix_user *unix_users; /* of the config that was in force at the start */
	size_t n_unix_users;
	bool cram_md5; /* what the vault was opened with */
	struct configured_key *configured;
	struct arena files;
	struct vault *vault;
	int dir_fd;
	atomic_uint n_workers, n_signers;
};

/* One peer's channel. */
struct vault_door {
	struct vault_room *room;
	struct ipc_channel *channel;
	enum ipc_room who;
	char account[VAULT_NAME_MAX + 1]; /* of an account room */
};

/* One request, worked on. */
struct vault_work {
	struct vault_room *room;
	struct ipc_channel *channel;
	struct ipc_packet packet; /* id and cid only */
	struct arena arena;
	const Door__VaultRequest *request;
};

/* ---- answers ---- */

static void answer(struct ipc_channel *channel, const struct ipc_packet *packet,
                   struct status status, Door__VaultReply *reply)
{
	Door__Status text = DOOR__STATUS__INIT;
	text.code = status.code;
	text.why = door_string(status.why);
	reply->status = &text;
	(void)door_answer(channel, packet, &reply->base, NULL, 0);
}

static struct status make_ticket(const struct vault_room *vault, uint32_t protocol,
                                 enum ticket_proof proof, uint64_t cid, const char *account,
                                 struct buf *out)
{
	struct ticket_claims claims = {
	        .protocol = (enum ticket_protocol)protocol,
	        .cid = cid,
	        .expires_s = clock_now_s(clock_real()) + TICKET_LIFETIME_S,
	};
	ProtobufCBinaryData key = vault->room->start->ticket_key;
	if (key.len != TICKET_KEY_SIZE)
		return fail(ERR_TEMPORARY, "no key for tickets");
	if (!ticket_may_be_made(protocol, proof))
		return fail(ERR_PROTOCOL, "no such login for this protocol");
	snprintf(claims.account, sizeof(claims.account), "%s", account);
	return ticket_make(key.data, &claims, out);
}

static struct status add_ticket(const struct vault_work *work, uint32_t protocol,
                                const char *account, struct buf *out)
{
	return make_ticket(work->room, protocol, TICKET_BY_CREDENTIALS, work->packet.cid, account,
	                   out);
}

/* ---- requests that hash ---- */

static struct status verify_plain(const struct vault_work *work, struct buf *ticket)
{
	const Door__VerifyPlain *verify = work->request->verify_plain;
	TRY(vault_verify_plain(work->room->vault, slice_str(verify->account),
	                       door_bytes(verify->password)));
	return add_ticket(work, verify->protocol, verify->account, ticket);
}

static struct status scram_verify(const struct vault_work *work, struct buf *ticket,
                                  uint8_t signature[SASL_HASH_MAX])
{
	const Door__ScramVerify *verify = work->request->scram_verify;
	if (!sasl_hash_is_known(verify->hash))
		return fail(ERR_PROTOCOL, "unknown hash");
	TRY(vault_scram_verify(work->room->vault, slice_str(verify->account),
	                       (enum sasl_hash)verify->hash, door_bytes(verify->auth_message),
	                       door_bytes(verify->client_proof), signature));
	return add_ticket(work, verify->protocol, verify->account, ticket);
}

static struct status cram_md5_verify(const struct vault_work *work, struct buf *ticket)
{
	const Door__CramMd5Verify *verify = work->request->cram_md5_verify;
	if (verify->digest.len != 16)
		return fail(ERR_PROTOCOL, "malformed digest");
	TRY(vault_cram_md5_verify(work->room->vault, slice_str(verify->account),
	                          door_bytes(verify->challenge), verify->digest.data));
	return add_ticket(work, verify->protocol, verify->account, ticket);
}

static struct status set_password(const struct vault_work *work)
{
	const Door__SetPassword *set = work->request->set_password;
	struct os_fault fault = {0};
	struct status status = vault_password_set(work->room->vault, slice_str(set->account),
	                                          door_bytes(set->password), &fault);
	log_info(work->packet.cid, "password set", LOG_STR("account", set->account),
	         LOG_STATUS(status), LOG_STR("fault", fault.text));
	return status;
}

static struct status set_secret(const struct vault_work *work)
{
	const Door__SetSecret *set = work->request->set_secret;
	struct os_fault fault = {0};
	struct status status = vault_secret_set(work->room->vault, slice_str(set->name),
	                                        door_bytes(set->value), &fault);
	log_info(work->packet.cid, "secret set", LOG_STR("name", set->name), LOG_STATUS(status),
	         LOG_STR("fault", fault.text));
	return status;
}

static void wipe(ProtobufCBinaryData bytes)
{
	if (bytes.data)
		explicit_bzero(bytes.data, bytes.len);
}

/* Passwords and secrets do not stay in memory that is freed. */
static void wipe_request(const Door__VaultRequest *request)
{
	if (request->body_case == DOOR__VAULT_REQUEST__BODY_VERIFY_PLAIN)
		wipe(request->verify_plain->password);
	else if (request->body_case == DOOR__VAULT_REQUEST__BODY_SET_PASSWORD)
		wipe(request->set_password->password);
	else if (request->body_case == DOOR__VAULT_REQUEST__BODY_SET_SECRET)
		wipe(request->set_secret->value);
}

static void run_work(void *context)
{
	struct vault_work *work = context;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	struct buf ticket;
	uint8_t signature[SASL_HASH_MAX] = {0};
	struct status status = fail(ERR_UNSUPPORTED, "unknown request");
	buf_init(&ticket, TICKET_MAX);
	if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_VERIFY_PLAIN)
		status = verify_plain(work, &ticket);
	else if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_SCRAM_VERIFY)
		status = scram_verify(work, &ticket, signature);
	else if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_CRAM_MD5_VERIFY)
		status = cram_md5_verify(work, &ticket);
	else if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_SET_PASSWORD)
		status = set_password(work);
	else if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_REMOVE_PASSWORD)
		status = vault_password_remove(work->room->vault,
		                               slice_str(work->request->remove_password->account),
		                               NULL);
	else if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_SET_SECRET)
		status = set_secret(work);
	else if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_REMOVE_SECRET)
		status = vault_secret_remove(work->room->vault,
		                             slice_str(work->request->remove_secret->name), NULL);
	if (is_ok(status)) {
		reply.ticket = door_binary(buf_slice(&ticket));
		if (work->request->body_case == DOOR__VAULT_REQUEST__BODY_SCRAM_VERIFY)
			reply.signature = door_binary(slice_of(
			        signature,
			        sasl_hash_size((enum sasl_hash)work->request->scram_verify->hash)));
	}
	answer(work->channel, &work->packet, status, &reply);
	buf_done(&ticket);
	explicit_bzero(signature, sizeof(signature));
	ipc_channel_unref(work->channel);
	atomic_fetch_sub(&work->room->n_workers, 1);
	wipe_request(work->request);
	arena_done(&work->arena);
	base_free(work);
}

static void start_work(struct vault_door *door, const struct ipc_packet *packet,
                       struct arena *arena, const Door__VaultRequest *request)
{
	struct vault_work *work = base_alloc(sizeof(*work));
	work->room = door->room;
	work->channel = ipc_channel_ref(door->channel);
	work->packet = (struct ipc_packet){.id = packet->id, .cid = packet->cid};
	work->arena = *arena; /* moved */
	work->request = request;
	struct thread_options options = {.name = "verify", .stack_size = WORKER_STACK};
	if (atomic_fetch_add(&door->room->n_workers, 1) < WORKERS_MAX &&
	    is_ok(thread_start(&options, run_work, work, NULL)))
		return;
	atomic_fetch_sub(&door->room->n_workers, 1);
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	answer(door->channel, packet, fail(ERR_BUSY, "too many logins at once"), &reply);
	ipc_channel_unref(work->channel);
	wipe_request(work->request);
	arena_done(&work->arena);
	base_free(work);
}

/* ---- requests answered at once ---- */

static void list_certificates(struct vault_door *door, const struct ipc_packet *packet)
{
	const struct vault_key_info *keys = NULL;
	size_t n = 0;
	struct arena arena;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	arena_init(&arena, LIST_ARENA_MAX);
	struct status status = vault_key_list(door->room->vault, &keys, &n, &arena);
	Door__Certificate *items = ARENA_ARRAY(&arena, n, Door__Certificate);
	Door__Certificate **list = ARENA_ARRAY(&arena, n, Door__Certificate *);
	for (size_t i = 0; i < n && is_ok(status) && items && list; i++) {
		if (keys[i].chain_pem.n == 0)
			continue;
		Door__Certificate *item = &items[reply.n_certificates];
		door__certificate__init(item);
		item->key_id = door_binary(keys[i].id);
		item->chain_pem = arena_cstr(&arena, keys[i].chain_pem);
		item->names = ARENA_ARRAY(&arena, keys[i].n_names, char *);
		for (size_t j = 0; j < keys[i].n_names && item->names; j++)
			item->names[item->n_names++] = arena_cstr(&arena, keys[i].names[j]);
		list[reply.n_certificates++] = item;
	}
	reply.certificates = list;
	if (is_ok(status) && arena_failed(&arena)) {
		status = fail(ERR_LIMIT, "too many certificates");
		reply.n_certificates = 0;
	}
	answer(door->channel, packet, status, &reply);
	arena_done(&arena);
}

static void sign(struct vault_room *room, struct ipc_channel *channel,
                 const struct ipc_packet *packet, const Door__Sign *request)
{
	uint8_t signature[TLS_SIGNATURE_MAX];
	size_t n = 0;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	struct status status = fail(ERR_PROTOCOL, "unknown signature scheme");
	if (tls_sign_scheme_is_known(request->scheme))
		status = vault_key_sign(room->vault, door_bytes(request->key_id),
		                        (enum tls_sign_scheme)request->scheme,
		                        door_bytes(request->input), signature, sizeof(signature),
		                        &n);
	if (is_ok(status))
		reply.signature = door_binary(slice_of(signature, n));
	answer(channel, packet, status, &reply);
}

/* ---- signatures that take long ---- */

static void run_signing(void *context)
{
	struct vault_work *work = context;
	sign(work->room, work->channel, &work->packet, work->request->sign);
	ipc_channel_unref(work->channel);
	atomic_fetch_sub(&work->room->n_signers, 1);
	arena_done(&work->arena);
	base_free(work);
}

/* RSA costs about as much as the rest of a handshake, so several are made beside each other. False:
 * there are enough; then the door's own thread makes it, and the arena stays the caller's. */
static bool start_signing(struct vault_door *door, const struct ipc_packet *packet,
                          struct arena *arena, const Door__VaultRequest *request)
{
	struct thread_options options = {.name = "sign", .stack_size = WORKER_STACK};
	struct vault_room *room = door->room;
	if (!tls_sign_scheme_is_slow(request->sign->scheme))
		return false;
	if (atomic_fetch_add(&room->n_signers, 1) < SIGNERS_MAX) {
		struct vault_work *work = base_alloc(sizeof(*work));
		work->room = room;
		work->channel = ipc_channel_ref(door->channel);
		work->packet = (struct ipc_packet){.id = packet->id, .cid = packet->cid};
		work->arena = *arena; /* moved */
		work->request = request;
		if (is_ok(thread_start(&options, run_signing, work, NULL)))
			return true;
		ipc_channel_unref(work->channel);
		base_free(work);
	}
	atomic_fetch_sub(&room->n_signers, 1);
	return false;
}

static void scram_parameters(struct vault_door *door, const struct ipc_packet *packet,
                             const Door__ScramParameters *request)
{
	uint8_t salt[SASL_SALT_MAX];
	size_t n_salt = 0;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	struct status status = fail(ERR_PROTOCOL, "unknown hash");
	if (sasl_hash_is_known(request->hash))
		status = vault_scram_parameters(
		        door->room->vault, slice_str(request->account), door_bytes(request->user),
		        (enum sasl_hash)request->hash, salt, &n_salt, &reply.iterations);
	if (is_ok(status))
		reply.salt = door_binary(slice_of(salt, n_salt));
	answer(door->channel, packet, status, &reply);
}

static void list_secrets(struct vault_door *door, const struct ipc_packet *packet)
{
	const struct slice *names = NULL;
	struct arena arena;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	size_t n = 0;
	arena_init(&arena, REQUEST_ARENA_MAX);
	struct status status = vault_secret_list(door->room->vault, &names, &n, &arena);
	reply.secret_names = ARENA_ARRAY(&arena, n, char *);
	for (size_t i = 0; i < n && is_ok(status) && reply.secret_names; i++)
		reply.secret_names[reply.n_secret_names++] = arena_cstr(&arena, names[i]);
	if (is_ok(status) && arena_failed(&arena)) {
		status = fail(ERR_LIMIT, "too many secrets");
		reply.n_secret_names = 0;
	}
	answer(door->channel, packet, status, &reply);
	arena_done(&arena);
}

static void get_secret(struct vault_door *door, const struct ipc_packet *packet,
                       const Door__GetSecret *request)
{
	struct secret secret = {0};
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	struct status status =
	        vault_secret_get(door->room->vault, slice_str(request->name), &secret, NULL);
	if (is_ok(status))
		reply.secret = door_binary(secret_slice(&secret));
	answer(door->channel, packet, status, &reply);
	if (is_ok(status))
		secret_done(&secret);
}

/* A gate says that the connection has the key; whose key it is says the config. */
static struct status key_account(struct vault_room *vault, const Door__VerifyKey *verify,
                                 char account[VAULT_NAME_MAX + 1])
{
	struct room_config *config = room_config_get(vault->room);
	const struct config_account *owner =
	        verify->key.len == CONFIG_KEY_SIZE
	                ? config_key_find(config->config, verify->key.data)
	                : NULL;
	bool right =
	        owner && owner->enabled && slice_eq_str(slice_str(owner->name.s), verify->account);
	if (right)
		snprintf(account, VAULT_NAME_MAX + 1, "%s", owner->name.s);
	room_config_unref(config);
	return right ? ok() : fail(ERR_AUTH, "the key is not one of the account");
}

static struct status unix_account(struct vault_room *vault, uint32_t uid,
                                  char account[VAULT_NAME_MAX + 1])
{
	struct status status = fail(ERR_AUTH, "the Unix user belongs to no account");
	struct room_config *config = room_config_get(vault->room);
	for (size_t i = 0; i < vault->n_unix_users; i++) {
		const struct unix_user *user = &vault->unix_users[i];
		const struct config_account *owner =
		        config_account_find(config->config, slice_str(user->account));
		if (user->uid != uid || !owner || !owner->enabled)
			continue;
		snprintf(account, VAULT_NAME_MAX + 1, "%s", owner->name.s);
		status = ok();
		break;
	}
	room_config_unref(config);
	return status;
}

/* Logins that take no hashing. */
static void verify_otherwise(struct vault_door *door, const struct ipc_packet *packet,
                             const Door__VaultRequest *request)
{
	char account[VAULT_NAME_MAX + 1] = "";
	struct buf ticket;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	buf_init(&ticket, TICKET_MAX);
	bool by_key = request->body_case == DOOR__VAULT_REQUEST__BODY_VERIFY_KEY;
	uint32_t protocol =
	        by_key ? request->verify_key->protocol : request->verify_unix_user->protocol;
	struct status status =
	        by_key ? key_account(door->room, request->verify_key, account)
	               : unix_account(door->room, request->verify_unix_user->uid, account);
	if (is_ok(status))
		status = make_ticket(door->room, protocol,
		                     by_key ? TICKET_BY_CREDENTIALS : TICKET_BY_UNIX_USER,
		                     packet->cid, account, &ticket);
	if (is_ok(status)) {
		reply.ticket = door_binary(buf_slice(&ticket));
		reply.account = account;
	}
	answer(door->channel, packet, status, &reply);
	buf_done(&ticket);
}

static void answer_dkim(struct vault_door *door, const struct ipc_packet *packet,
                        const Door__VaultRequest *request)
{
	struct arena arena;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	struct room_config *config = room_config_get(door->room->room);
	const struct vault_dkim_call call = {
	        .vault = door->room->vault,
	        .config = config->config,
	        .who = door->who,
	        .account = door->account,
	        .cid = packet->cid,
	};
	arena_init(&arena, VAULT_DKIM_MEMORY);
	struct status status = vault_dkim_answer(&call, request, &arena, &reply);
	answer(door->channel, packet, status, &reply);
	arena_done(&arena);
	room_config_unref(config);
}

/* ---- the door ---- */

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct vault_door *door = context;
	struct arena arena;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	arena_init(&arena, REQUEST_ARENA_MAX);
	Door__VaultRequest *request = (Door__VaultRequest *)door_unpack(
	        &door__vault_request__descriptor, packet->payload, &arena);
	if (!request) {
		answer(channel, packet, fail(ERR_PROTOCOL, "malformed request"), &reply);
	} else if (!ipc_may_request(door->who, IPC_ROOM_VAULT, request->body_case)) {
		log_warn(packet->cid, "request that this room may not make",
		         LOG_STR("room", ipc_room_name(door->who)));
		answer(channel, packet, fail(ERR_DENIED, "not for this room"), &reply);
	} else if (request->body_case == DOOR__VAULT_REQUEST__BODY_LIST_CERTIFICATES) {
		list_certificates(door, packet);
	} else if (request->body_case == DOOR__VAULT_REQUEST__BODY_SIGN) {
		if (start_signing(door, packet, &arena, request))
			return; /* the arena has gone along */
		sign(door->room, channel, packet, request->sign);
	} else if (request->body_case == DOOR__VAULT_REQUEST__BODY_SCRAM_PARAMETERS) {
		scram_parameters(door, packet, request->scram_parameters);
	} else if (request->body_case == DOOR__VAULT_REQUEST__BODY_VERIFY_KEY ||
	           request->body_case == DOOR__VAULT_REQUEST__BODY_VERIFY_UNIX_USER) {
		verify_otherwise(door, packet, request);
	} else if (request->body_case == DOOR__VAULT_REQUEST__BODY_LIST_SECRETS) {
		list_secrets(door, packet);
	} else if (request->body_case == DOOR__VAULT_REQUEST__BODY_GET_SECRET) {
		get_secret(door, packet, request->get_secret);
	} else if (vault_dkim_is_request(request)) {
		answer_dkim(door, packet, request);
		if (request->body_case == DOOR__VAULT_REQUEST__BODY_DKIM_IMPORT)
			wipe(request->dkim_import->pem);
	} else {
		start_work(door, packet, &arena, request);
		return; /* the arena has gone along */
	}
	arena_done(&arena);
}

static void serve_door(void *context)
{
	struct vault_door *door = context;
	(void)ipc_channel_serve(door->channel);
	ipc_channel_unref(door->channel);
	base_free(door);
}

static void on_meet(struct room *room, enum ipc_room who, struct slice name, int fd)
{
	struct vault_door *door = base_alloc(sizeof(*door));
	door->room = room->state;
	door->who = who;
	if (name.n < sizeof(door->account))
		memcpy(door->account, name.p, name.n);
	door->channel = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_request, .context = door});
	if (is_ok(thread_start(&(struct thread_options){.name = "door"}, serve_door, door, NULL)))
		return;
	ipc_channel_unref(door->channel);
	base_free(door);
}

/* ---- life ---- */

/* The names that the host's self-signed certificate carries: every host name of the config. */
static struct status make_host_certificate(struct vault_room *vault)
{
	struct room_config *config = room_config_get(vault->room);
	const struct config_listeners *listeners = &config->config->listeners;
	struct os_fault fault = {0};
	struct slice names[64];
	size_t n = 0;
	names[n++] = slice_str(config->config->hostname_ascii);
	for (size_t i = 0; i < listeners->n && n < N_ELEMENTS(names); i++) {
		struct slice name = config_slice(&listeners->v[i].hostname);
		bool known = false;
		for (size_t j = 0; j < n; j++)
			known = known || slice_ieq(names[j], name);
		if (!known)
			names[n++] = name;
	}
	struct status status = vault_key_self_signed(vault->vault, HOST_KEY_ID, names, n, &fault);
	room_config_unref(config);
	if (status.code == ERR_EXISTS)
		return ok();
	if (!is_ok(status))
		log_error(0, "no self-signed certificate", LOG_STATUS(status),
		          LOG_STR("fault", fault.text));
	return status;
}

/* Files outside the vault's directory can be read before the sandbox only; a reload therefore lets
 * the supervisor start this room again (on_reconfigured). */
static struct status read_configured(struct vault_room *vault,
                                     const struct config_listener *listener)
{
	struct os_fault fault = {0};
	struct configured_key *key = base_alloc(sizeof(*key));
	struct status status = file_read(AT_FDCWD, listener->tls.certificate.s, FILE_MAX_SIZE,
	                                 &vault->files, &key->chain_pem, &fault);
	if (is_ok(status))
		status = file_read(AT_FDCWD, listener->tls.key.s, FILE_MAX_SIZE, &vault->files,
		                   &key->key_pem, &fault);
	if (!is_ok(status)) {
		log_error(0, "certificate of a listener cannot be read",
		          LOG_STR("listener", listener->name.s), LOG_STR("fault", fault.text));
		base_free(key);
		return status;
	}
	char id[VAULT_NAME_MAX + 1];
	snprintf(id, sizeof(id), "listener-%s", listener->name.s);
	key->id = base_strdup(id);
	key->next = vault->configured;
	vault->configured = key;
	return ok();
}

static void import_configured(struct vault_room *vault)
{
	for (struct configured_key *key = vault->configured; key; key = key->next) {
		struct os_fault fault = {0};
		struct status status = vault_key_import(vault->vault, slice_str(key->id),
		                                        key->key_pem, key->chain_pem, &fault);
		if (!is_ok(status))
			log_error(0, "certificate cannot be used", LOG_STR("key", key->id),
			          LOG_STATUS(status), LOG_STR("fault", fault.text));
		explicit_bzero((void *)(uintptr_t)key->key_pem.p, key->key_pem.n);
	}
	arena_done(&vault->files);
}

/* Names can be resolved before the sandbox only, as files can be read: a reload starts this room
 * again. */
static void add_unix_user(struct vault_room *vault, const struct config_account *account,
                          const struct config_text *user)
{
	uint32_t uid;
	if (!slice_to_u32(config_slice(user), UINT32_MAX - 1, &uid)) {
		const struct passwd *entry = getpwnam(user->s);
		if (!entry) {
			log_error(0, "there is no such Unix user", LOG_STR("user", user->s),
			          LOG_STR("account", account->name.s));
			return;
		}
		uid = entry->pw_uid;
	}
	struct unix_user *added = &vault->unix_users[vault->n_unix_users++];
	added->uid = uid;
	snprintf(added->account, sizeof(added->account), "%s", account->name.s);
}

static void read_unix_users(struct vault_room *vault, const struct config *config)
{
	size_t n = 0;
	for (size_t i = 0; i < config->accounts.n; i++)
		n += config->accounts.v[i].unix_users.n;
	if (n == 0)
		return;
	vault->unix_users = base_alloc(n * sizeof(*vault->unix_users));
	for (size_t i = 0; i < config->accounts.n; i++)
		for (size_t j = 0; j < config->accounts.v[i].unix_users.n; j++)
			add_unix_user(vault, &config->accounts.v[i],
			              &config->accounts.v[i].unix_users.v[j]);
}

static bool has_files(const struct config_listener *listener)
{
	return listener->tls.enabled && !listener->tls.self_signed &&
	       listener->tls.certificate.n > 0;
}

static void renew_thread(void *context)
{
	struct vault_room *vault = context;
	for (;;) {
		size_t n = 0;
		sleep(RENEW_EVERY_S);
		struct status status = vault_key_renew(vault->vault, &n, NULL);
		if (!is_ok(status) || n > 0)
			log_info(0, "certificates renewed", LOG_UINT("n", n), LOG_STATUS(status));
	}
}

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	struct vault_room *vault = room->state;
	char path[4096];
	vault->room = room;
	snprintf(path, sizeof(path), "%s/vault", room->start->data_directory);
	TRY(file_open_dir(AT_FDCWD, path, &vault->dir_fd, NULL));
	walls->own_dir = vault->dir_fd;
	arena_init(&vault->files, LIST_ARENA_MAX);
	const struct config_listeners *listeners = &room->config->config->listeners;
	for (size_t i = 0; i < listeners->n; i++)
		if (has_files(&listeners->v[i]))
			(void)read_configured(vault, &listeners->v[i]); /* logged; others go on */
	read_unix_users(vault, room->config->config);
	return ok();
}

static void tell_of_damage(void *context, struct slice id, const char *why)
{
	(void)context;
	log_error(0, "key put aside, it cannot be used", LOG_SLICE("key", id), LOG_STR("why", why));
}

static struct status begin(struct room *room)
{
	struct vault_room *vault = room->state;
	struct os_fault fault = {0};
	vault->cram_md5 = room->config->config->logins.cram_md5;
	struct vault_options options = {.dir_fd = vault->dir_fd,
	                                .clock = clock_real(),
	                                .cram_md5 = vault->cram_md5,
	                                .damaged = tell_of_damage};
	struct status status = vault_open(&options, &vault->vault, &fault);
	if (!is_ok(status)) {
		log_error(0, "vault cannot be opened", LOG_STATUS(status),
		          LOG_STR("fault", fault.text));
		return status;
	}
	import_configured(vault);
	TRY(make_host_certificate(vault));
	return thread_start(&(struct thread_options){.name = "renew"}, renew_thread, vault, NULL);
}

static void on_reconfigured(struct room *room, const Door__Config *message)
{
	const struct vault_room *vault = room->state;
	(void)message;
	struct room_config *config = room_config_get(room);
	if (config_has_unix_users(config->config) || vault->n_unix_users > 0 ||
	    config->config->logins.cram_md5 != vault->cram_md5)
		_exit(0);
	for (size_t i = 0; i < config->config->listeners.n; i++)
		if (has_files(&config->config->listeners.v[i]))
			_exit(0); /* started again at once, with the files of now */
	room_config_unref(config);
	(void)make_host_certificate(room->state);
}

int main(int argc, char **argv)
{
	static const struct room_ops ops = {
	        .warm = warm, .begin = begin, .meet = on_meet, .reconfigured = on_reconfigured};
	struct vault_room *vault = base_alloc(sizeof(*vault));
	vault->dir_fd = -1;
	return room_main(argc, argv, SANDBOX_VAULT, &ops, vault);
}
