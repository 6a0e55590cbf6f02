/* Credentials go to the vault, which gives a ticket for the right ones; with it the connection goes
 * to the account's room.
 *
 * What the vault is asked about a login name that stands for no account is the same question about
 * the account "": it takes as long and is answered alike. EXTERNAL asks nothing: whether a key is
 * registered, and for whom, is found in the config, in the same time for every name.
 */
#include "rooms/gate_credentials.h"

#include "account.pb-c.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"
#include "tls/client_key.h"
#include "tls/relay.h"
#include "vault.pb-c.h"

#define REPLY_MAX        ((size_t)64 * 1024)
#define VAULT_TIMEOUT_MS 60000
#define OPEN_TIMEOUT_MS  30000

/* ---- the vault ---- */

/* The account that a login name stands for; "" for none. */
static const char *find_account(struct gate_credentials *c, struct slice user)
{
	c->account = config_login_find(c->connection->config->config, user);
	if (c->account && !c->account->enabled)
		c->account = NULL;
	snprintf(c->user, sizeof(c->user), "%.*s", SLICE_FMT(user));
	return c->account ? c->account->name.s : "";
}

static struct status ask_vault(struct gate_credentials *c, const Door__VaultRequest *request,
                               struct arena *arena, const Door__VaultReply **ret_reply)
{
	ProtobufCMessage *message = NULL;
	TRY(room_call(c->connection->gate->room, IPC_ROOM_VAULT, "", c->connection->cid,
	              &request->base, NULL, 0, VAULT_TIMEOUT_MS, &door__vault_reply__descriptor,
	              arena, &message));
	const Door__VaultReply *reply = (const Door__VaultReply *)message;
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the vault");
	if (reply->status->code == ERR_AUTH)
		return fail(ERR_AUTH, "wrong user name or password");
	if (reply->status->code != ERR_OK)
		return fail(ERR_TEMPORARY, "credentials cannot be checked now");
	*ret_reply = reply;
	return ok();
}

static struct status keep_ticket(struct gate_credentials *c, const Door__VaultReply *reply)
{
	if (reply->ticket.len == 0 || reply->ticket.len > TICKET_MAX)
		return fail(ERR_PROTOCOL, "malformed reply of the vault");
	memcpy(c->ticket, reply->ticket.data, reply->ticket.len);
	c->ticket_size = reply->ticket.len;
	return ok();
}

/* A question whose good answer is a ticket and nothing else. */
static struct status ask_for_ticket(struct gate_credentials *c, const Door__VaultRequest *request)
{
	struct arena arena;
	const Door__VaultReply *reply;
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(c, request, &arena, &reply);
	if (is_ok(status))
		status = keep_ticket(c, reply);
	arena_done(&arena);
	return status;
}

static struct status verify_plain(void *context, struct slice user, struct slice password)
{
	struct gate_credentials *c = context;
	Door__VerifyPlain verify = DOOR__VERIFY_PLAIN__INIT;
	verify.account = door_string(find_account(c, user));
	verify.password = door_binary(password);
	verify.protocol = c->protocol;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_VERIFY_PLAIN;
	request.verify_plain = &verify;
	return ask_for_ticket(c, &request);
}

static uint32_t hash_number(enum sasl_hash hash)
{
	return hash == SASL_SHA1 ? 1 : 256;
}

static struct status scram_parameters(void *context, struct slice user, enum sasl_hash hash,
                                      uint8_t salt[SASL_SALT_MAX], size_t *ret_n_salt,
                                      uint32_t *ret_iterations)
{
	struct gate_credentials *c = context;
	struct arena arena;
	const Door__VaultReply *reply;
	Door__ScramParameters ask = DOOR__SCRAM_PARAMETERS__INIT;
	ask.account = door_string(find_account(c, user));
	ask.user = door_binary(user);
	ask.hash = hash_number(hash);
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_SCRAM_PARAMETERS;
	request.scram_parameters = &ask;
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(c, &request, &arena, &reply);
	if (is_ok(status) && (reply->salt.len == 0 || reply->salt.len > SASL_SALT_MAX))
		status = fail(ERR_PROTOCOL, "malformed reply of the vault");
	if (is_ok(status)) {
		memcpy(salt, reply->salt.data, reply->salt.len);
		*ret_n_salt = reply->salt.len;
		*ret_iterations = reply->iterations;
	}
	arena_done(&arena);
	return status;
}

static struct status scram_verify(void *context, struct slice user, enum sasl_hash hash,
                                  struct slice auth_message, struct slice proof,
                                  uint8_t server_signature[SASL_HASH_MAX])
{
	struct gate_credentials *c = context;
	struct arena arena;
	const Door__VaultReply *reply;
	Door__ScramVerify verify = DOOR__SCRAM_VERIFY__INIT;
	verify.account = door_string(find_account(c, user));
	verify.hash = hash_number(hash);
	verify.auth_message = door_binary(auth_message);
	verify.client_proof = door_binary(proof);
	verify.protocol = c->protocol;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_SCRAM_VERIFY;
	request.scram_verify = &verify;
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(c, &request, &arena, &reply);
	if (is_ok(status) && reply->signature.len != sasl_hash_size(hash))
		status = fail(ERR_PROTOCOL, "malformed reply of the vault");
	if (is_ok(status))
		status = keep_ticket(c, reply);
	if (is_ok(status))
		memcpy(server_signature, reply->signature.data, reply->signature.len);
	arena_done(&arena);
	return status;
}

static struct status cram_md5_verify(void *context, struct slice user, struct slice challenge,
                                     const uint8_t digest[16])
{
	struct gate_credentials *c = context;
	Door__CramMd5Verify verify = DOOR__CRAM_MD5_VERIFY__INIT;
	verify.account = door_string(find_account(c, user));
	verify.challenge = door_binary(challenge);
	verify.digest = door_binary(slice_of(digest, 16));
	verify.protocol = c->protocol;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_CRAM_MD5_VERIFY;
	request.cram_md5_verify = &verify;
	return ask_for_ticket(c, &request);
}

/* The handshake proved that the client has its certificate's key; the config says whose that is. */
static struct status external(void *context, struct slice wanted, struct buf *ret_user)
{
	struct gate_credentials *c = context;
	uint8_t key[TLS_CLIENT_KEY_SIZE];
	const struct config *config = c->connection->config->config;
	_Static_assert(TLS_CLIENT_KEY_SIZE == CONFIG_KEY_SIZE, "the same hash");
	bool has_key = tls_stream_client_key(c->stream, key);
	const struct config_account *owner = has_key ? config_key_find(config, key) : NULL;
	(void)find_account(c, wanted);
	if (wanted.n == 0 && owner && owner->enabled)
		c->account = owner;
	if (!owner || c->account != owner)
		return fail(ERR_AUTH, "the key is not one of the account");
	snprintf(c->user, sizeof(c->user), "%s", owner->name.s);
	buf_add_str(ret_user, owner->name.s);
	Door__VerifyKey verify = DOOR__VERIFY_KEY__INIT;
	verify.account = door_string(owner->name.s);
	verify.key = door_binary(slice_of(key, sizeof(key)));
	verify.protocol = c->protocol;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_VERIFY_KEY;
	request.verify_key = &verify;
	return ask_for_ticket(c, &request);
}

struct status gate_credentials_unix_user(struct gate_credentials *c, uint32_t uid)
{
	struct arena arena;
	const Door__VaultReply *reply;
	Door__VerifyUnixUser verify = DOOR__VERIFY_UNIX_USER__INIT;
	verify.uid = uid;
	verify.protocol = c->protocol;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_VERIFY_UNIX_USER;
	request.verify_unix_user = &verify;
	snprintf(c->user, sizeof(c->user), "uid %u", uid);
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(c, &request, &arena, &reply);
	if (is_ok(status))
		status = keep_ticket(c, reply);
	if (is_ok(status)) {
		c->account = config_account_find(c->connection->config->config,
		                                 slice_str(reply->account));
		if (!c->account)
			status = fail(ERR_TEMPORARY, "the account is new, try again");
	}
	arena_done(&arena);
	return status;
}

/* ---- counting ---- */

static struct slice peer_bytes(const struct gate_credentials *c)
{
	const struct os_address *peer = &c->connection->peer;
	return slice_of(peer->ip, peer->family == OS_FAMILY_V4   ? 4
	                          : peer->family == OS_FAMILY_V6 ? 16
	                                                         : 0);
}

/* One place counts failures, whatever the mechanism and the protocol. */
static struct status count(struct gate_credentials *c, struct status status)
{
	struct login_limiter *limiter = c->connection->gate->login_limiter;
	if (is_ok(status)) {
		login_limiter_succeeded(limiter, peer_bytes(c));
	} else if (status.code == ERR_AUTH) {
		login_limiter_failed(limiter, peer_bytes(c));
		log_warn(c->connection->cid, "login failed", LOG_STR("user", c->user),
		         LOG_STR("peer", c->connection->peer_text));
	}
	return status;
}

static struct status may_try(struct gate_credentials *c)
{
	if (!login_limiter_allows(c->connection->gate->login_limiter, peer_bytes(c)))
		return fail(ERR_LIMIT, "too many failed logins from your network, try again later");
	return ok();
}

/* Counted while the vault is asked: answers take their time, and meanwhile others could ask. */
static struct status begin_try(struct gate_credentials *c)
{
	return login_limiter_begin(c->connection->gate->login_limiter, peer_bytes(c), 0);
}

static void end_try(struct gate_credentials *c)
{
	login_limiter_end(c->connection->gate->login_limiter, peer_bytes(c));
}

/* ---- what the protocols ask ---- */

struct status gate_credentials_login(void *context, struct slice user, struct slice password)
{
	struct gate_credentials *c = context;
	TRY(begin_try(c));
	struct status status = count(c, verify_plain(c, user, password));
	end_try(c);
	return status;
}

/* Channel bindings of this connection, asked each time: STARTTLS may have come meanwhile. */
static void fill_bindings(struct gate_credentials *c)
{
	static const struct {
		enum tls_binding binding;
		const char *type;
	} kinds[GATE_BINDINGS] = {
	        {TLS_BINDING_EXPORTER, "tls-exporter"},
	        {TLS_BINDING_SERVER_END_POINT, "tls-server-end-point"},
	        {TLS_BINDING_UNIQUE, "tls-unique"}, /* TLS 1.2: what libgsasl binds there */
	};
	c->n_bindings = 0;
	for (size_t i = 0; i < GATE_BINDINGS; i++) {
		struct sasl_binding *binding = &c->bindings[c->n_bindings];
		uint8_t value[TLS_BINDING_MAX];
		size_t n;
		if (!is_ok(tls_stream_binding(c->stream, kinds[i].binding, value, &n)) ||
		    n > SASL_BINDING_MAX)
			continue;
		binding->type = kinds[i].type;
		memcpy(binding->value, value, n);
		binding->n = n;
		c->n_bindings++;
	}
}

/* A mechanism that cannot work here is not announced. */
static bool can_work(const struct gate_credentials *c, enum sasl_mechanism mechanism)
{
	uint8_t key[TLS_CLIENT_KEY_SIZE];
	if (sasl_mechanism_binds_channel(mechanism))
		return c->n_bindings > 0;
	if (mechanism == SASL_EXTERNAL)
		return tls_stream_client_key(c->stream, key);
	if (mechanism == SASL_CRAM_MD5)
		return c->connection->config->config->logins.cram_md5;
	return true;
}

const char *const *gate_credentials_mechanisms(void *context)
{
	static const enum sasl_mechanism strongest_first[] = {
	        SASL_EXTERNAL,      SASL_SCRAM_SHA_256_PLUS,
	        SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_1_PLUS,
	        SASL_SCRAM_SHA_1,   SASL_CRAM_MD5,
	        SASL_PLAIN,         SASL_LOGIN,
	};
	struct gate_credentials *c = context;
	size_t n = 0;
	_Static_assert(N_ELEMENTS(strongest_first) == SASL_MECHANISM_COUNT, "all of them");
	fill_bindings(c);
	for (size_t i = 0; i < N_ELEMENTS(strongest_first); i++)
		if (can_work(c, strongest_first[i]))
			c->mechanisms[n++] = sasl_mechanism_name(strongest_first[i]);
	c->mechanisms[n] = NULL;
	return c->mechanisms;
}

static struct status answer(struct gate_credentials *c, const struct slice *response,
                            struct buf *challenge, bool *ret_done)
{
	enum sasl_step step;
	struct slice bytes;
	struct status status = sasl_server_step(&c->sasl, response, &step, &bytes);
	if (!is_ok(status))
		return count(c, status);
	buf_add(challenge, bytes);
	*ret_done = step == SASL_DONE;
	if (*ret_done) {
		sasl_server_done(&c->sasl);
		c->sasl_active = false;
		return count(c, ok());
	}
	return ok();
}

static struct status step(struct gate_credentials *c, const struct slice *response,
                          struct buf *challenge, bool *ret_done)
{
	TRY(begin_try(c));
	struct status status = answer(c, response, challenge, ret_done);
	end_try(c);
	return status;
}

struct status gate_credentials_start(void *context, struct slice mechanism,
                                     const struct slice *initial, struct buf *challenge,
                                     bool *ret_done)
{
	struct gate_credentials *c = context;
	enum sasl_mechanism chosen;
	TRY(may_try(c));
	fill_bindings(c);
	if (!sasl_mechanism_of(mechanism, &chosen) || !can_work(c, chosen))
		return fail(ERR_UNSUPPORTED, "mechanism is not offered");
	sasl_server_init(&c->sasl,
	                 &(struct sasl_server_options){
	                         .mechanism = chosen,
	                         .backend = &c->backend,
	                         .bindings = c->bindings,
	                         .n_bindings = c->n_bindings,
	                         .plus_announced = c->n_bindings > 0,
	                         .host_name = c->connection->config->config->hostname_ascii,
	                         .now_s = clock_now_s(clock_real()),
	                 });
	c->sasl_active = true;
	return step(c, initial, challenge, ret_done);
}

struct status gate_credentials_step(void *context, struct slice response, struct buf *challenge,
                                    bool *ret_done)
{
	return step(context, &response, challenge, ret_done);
}

void gate_credentials_abort(void *context)
{
	struct gate_credentials *c = context;
	if (c->sasl_active)
		sasl_server_done(&c->sasl);
	c->sasl_active = false;
}

bool gate_may_login_plainly(const struct gate_connection *connection)
{
	const struct config_listener *listener = gate_listener_config(connection);
	return listener && listener->plain_login == CONFIG_PLAIN_LOGIN_LOOPBACK &&
	       os_address_is_loopback(&connection->peer);
}

/* ---- handing over ---- */

static struct status open_session(struct gate_credentials *c, const char *tag, int fd,
                                  struct slice buffered, bool relayed)
{
	const struct gate_connection *connection = c->connection;
	Door__Peer peer = DOOR__PEER__INIT;
	peer.address = door_string(connection->peer_text);
	peer.port = connection->peer.port;
	peer.tls = c->stream->stream.tls.on;
	peer.tls_version = c->stream->stream.tls.version;
	peer.tls_cipher = c->stream->stream.tls.cipher;
	Door__OpenSession open = DOOR__OPEN_SESSION__INIT;
	open.protocol = c->protocol == TICKET_SUBMISSION ? DOOR__OPEN_SESSION__PROTOCOL__SUBMISSION
	                                                 : DOOR__OPEN_SESSION__PROTOCOL__IMAP;
	open.ticket = door_binary(slice_of(c->ticket, c->ticket_size));
	open.login_tag = door_string(tag);
	open.login_name = c->user;
	open.peer = &peer;
	open.buffered = door_binary(buffered);
	open.relayed = relayed;
	open.local = connection->listener->protocol == ROOM_PROTOCOL_SUBMIT;
	Door__AccountRequest request = DOOR__ACCOUNT_REQUEST__INIT;
	request.body_case = DOOR__ACCOUNT_REQUEST__BODY_OPEN_SESSION;
	request.open_session = &open;

	struct arena arena;
	ProtobufCMessage *message = NULL;
	arena_init(&arena, REPLY_MAX);
	struct status status =
	        room_call(connection->gate->room, IPC_ROOM_ACCOUNT, c->account->name.s,
	                  connection->cid, &request.base, &fd, 1, OPEN_TIMEOUT_MS,
	                  &door__account_reply__descriptor, &arena, &message);
	if (is_ok(status)) {
		const Door__AccountReply *reply = (const Door__AccountReply *)message;
		if (!reply->status || reply->status->code != ERR_OK)
			status = fail(ERR_TEMPORARY, "the account room refused the session");
	}
	arena_done(&arena);
	return status;
}

/* No TLS: the account room gets the socket itself, and this connection is over for the gate. */
static struct status hand_over_socket(struct gate_credentials *c, const char *tag)
{
	struct buf buffered;
	buf_init(&buffered, STREAM_IN_MAX * 2);
	buf_add(&buffered, stream_buffered(&c->stream->stream));
	struct status status = open_session(c, tag, c->stream->fd, buf_slice(&buffered), false);
	buf_done(&buffered);
	return status;
}

/* TLS stays here: the relay pumps between it and a socket pair. */
static struct status hand_over_relayed(struct gate_credentials *c, const char *tag,
                                       bool *ret_relayed)
{
	int pair[2];
	TRY(socket_pair_stream(pair));
	struct status status = open_session(c, tag, pair[1], slice_empty(), true);
	fd_close(&pair[1]);
	if (is_ok(status))
		tls_relay_add(c->connection->gate->relay, c->stream, TAKE_FD(pair[0]),
		              c->connection);
	*ret_relayed = is_ok(status);
	fd_close(&pair[0]);
	return status;
}

struct status gate_hand_over(struct gate_credentials *c, const char *tag, bool *ret_relayed)
{
	bool tls = c->stream->stream.tls.on;
	log_info(c->connection->cid, "login", LOG_STR("account", c->account->name.s),
	         LOG_STR("for", room_protocol_name(c->connection->listener->protocol)),
	         LOG_STR("peer", c->connection->peer_text), LOG_BOOL("tls", tls));
	*ret_relayed = false;
	return tls ? hand_over_relayed(c, tag, ret_relayed) : hand_over_socket(c, tag);
}

/* ---- life ---- */

void gate_credentials_init(struct gate_credentials *c, struct gate_connection *connection,
                           struct tls_stream *stream, enum ticket_protocol protocol)
{
	*c = (struct gate_credentials){
	        .connection = connection, .stream = stream, .protocol = protocol};
	c->backend = (struct sasl_backend){
	        .verify_plain = verify_plain,
	        .scram_parameters = scram_parameters,
	        .scram_verify = scram_verify,
	        .cram_md5_verify = cram_md5_verify,
	        .external = external,
	        .context = c,
	};
}

void gate_credentials_done(struct gate_credentials *c)
{
	gate_credentials_abort(c);
	explicit_bzero(c->ticket, sizeof(c->ticket));
}
