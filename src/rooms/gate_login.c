/* IMAP in the gate: until login. Credentials go to the vault, which gives a ticket for the right
 * ones; with it the connection goes to the account's room: the socket itself where there is no TLS
 * to terminate, else one end of a socket pair whose other end the relay pumps.
 */
#include "rooms/gate.h"

#include "account.pb-c.h"
#include "imap/prelogin.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"
#include "sasl/server.h"
#include "tls/relay.h"
#include "vault.pb-c.h"
#include "vault/ticket.h"

#define REPLY_MAX        ((size_t)64 * 1024)
#define VAULT_TIMEOUT_MS 60000
#define OPEN_TIMEOUT_MS  30000
#define PLUS_BINDINGS    2

struct login {
	struct gate_connection *connection;
	struct tls_stream *stream;
	struct room_config *config;
	struct sasl_backend backend;
	struct sasl_server sasl;
	struct sasl_binding bindings[PLUS_BINDINGS];
	size_t n_bindings;
	bool sasl_active;
	bool relayed;   /* stream and connection are the relay's */
	char user[256]; /* as given, for the log */
	const struct config_account *account;
	uint8_t ticket[TICKET_MAX];
	size_t ticket_size;
};

/* ---- the vault ---- */

/* The account that a login name stands for; "" for none: the vault then takes as long and says no.
 */
static const char *find_account(struct login *login, struct slice user)
{
	login->account = config_login_find(login->config->config, user);
	if (login->account && !login->account->enabled)
		login->account = NULL;
	snprintf(login->user, sizeof(login->user), "%.*s", SLICE_FMT(user));
	return login->account ? login->account->name.s : "";
}

static struct status ask_vault(struct login *login, const Door__VaultRequest *request,
                               struct arena *arena, const Door__VaultReply **ret_reply)
{
	ProtobufCMessage *message = NULL;
	TRY(room_call(login->connection->gate->room, IPC_ROOM_VAULT, "", login->connection->cid,
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

static struct status keep_ticket(struct login *login, const Door__VaultReply *reply)
{
	if (reply->ticket.len == 0 || reply->ticket.len > TICKET_MAX)
		return fail(ERR_PROTOCOL, "malformed reply of the vault");
	memcpy(login->ticket, reply->ticket.data, reply->ticket.len);
	login->ticket_size = reply->ticket.len;
	return ok();
}

static struct status verify_plain(void *context, struct slice user, struct slice password)
{
	struct login *login = context;
	struct arena arena;
	const Door__VaultReply *reply;
	Door__VerifyPlain verify = DOOR__VERIFY_PLAIN__INIT;
	verify.account = door_string(find_account(login, user));
	verify.password = door_binary(password);
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_VERIFY_PLAIN;
	request.verify_plain = &verify;
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(login, &request, &arena, &reply);
	if (is_ok(status))
		status = keep_ticket(login, reply);
	arena_done(&arena);
	return status;
}

static uint32_t hash_number(enum sasl_hash hash)
{
	return hash == SASL_SHA1 ? 1 : 256;
}

static struct status scram_parameters(void *context, struct slice user, enum sasl_hash hash,
                                      uint8_t salt[SASL_SALT_MAX], size_t *ret_n_salt,
                                      uint32_t *ret_iterations)
{
	struct login *login = context;
	struct arena arena;
	const Door__VaultReply *reply;
	Door__ScramParameters ask = DOOR__SCRAM_PARAMETERS__INIT;
	ask.account = door_string(find_account(login, user));
	ask.user = door_binary(user);
	ask.hash = hash_number(hash);
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_SCRAM_PARAMETERS;
	request.scram_parameters = &ask;
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(login, &request, &arena, &reply);
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
	struct login *login = context;
	struct arena arena;
	const Door__VaultReply *reply;
	Door__ScramVerify verify = DOOR__SCRAM_VERIFY__INIT;
	verify.account = door_string(find_account(login, user));
	verify.hash = hash_number(hash);
	verify.auth_message = door_binary(auth_message);
	verify.client_proof = door_binary(proof);
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_SCRAM_VERIFY;
	request.scram_verify = &verify;
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(login, &request, &arena, &reply);
	if (is_ok(status) && reply->signature.len != sasl_hash_size(hash))
		status = fail(ERR_PROTOCOL, "malformed reply of the vault");
	if (is_ok(status))
		status = keep_ticket(login, reply);
	if (is_ok(status))
		memcpy(server_signature, reply->signature.data, reply->signature.len);
	arena_done(&arena);
	return status;
}

static struct status cram_md5_verify(void *context, struct slice user, struct slice challenge,
                                     const uint8_t digest[16])
{
	struct login *login = context;
	struct arena arena;
	const Door__VaultReply *reply;
	Door__CramMd5Verify verify = DOOR__CRAM_MD5_VERIFY__INIT;
	verify.account = door_string(find_account(login, user));
	verify.challenge = door_binary(challenge);
	verify.digest = door_binary(slice_of(digest, 16));
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_CRAM_MD5_VERIFY;
	request.cram_md5_verify = &verify;
	arena_init(&arena, REPLY_MAX);
	struct status status = ask_vault(login, &request, &arena, &reply);
	if (is_ok(status))
		status = keep_ticket(login, reply);
	arena_done(&arena);
	return status;
}

/* ---- what prelogin asks ---- */

static struct slice peer_bytes(const struct login *login)
{
	const struct os_address *peer = &login->connection->peer;
	return slice_of(peer->ip, peer->family == OS_FAMILY_V4   ? 4
	                          : peer->family == OS_FAMILY_V6 ? 16
	                                                         : 0);
}

/* One place counts failures, whatever the mechanism and the protocol. */
static struct status count(struct login *login, struct status status)
{
	struct login_limiter *limiter = login->connection->gate->login_limiter;
	if (is_ok(status)) {
		login_limiter_succeeded(limiter, peer_bytes(login));
	} else if (status.code == ERR_AUTH) {
		login_limiter_failed(limiter, peer_bytes(login));
		log_warn(login->connection->cid, "login failed", LOG_STR("user", login->user),
		         LOG_STR("peer", login->connection->peer_text));
	}
	return status;
}

static struct status may_try(struct login *login)
{
	if (!login_limiter_allows(login->connection->gate->login_limiter, peer_bytes(login)))
		return fail(ERR_LIMIT, "too many failed logins from your network, try again later");
	return ok();
}

static struct status on_login(void *context, struct slice user, struct slice password)
{
	struct login *login = context;
	TRY(may_try(login));
	return count(login, verify_plain(login, user, password));
}

/* Channel bindings of this connection, asked when SASL starts: STARTTLS may have come before. */
static void fill_bindings(struct login *login)
{
	static const struct {
		enum tls_binding binding;
		const char *type;
	} kinds[PLUS_BINDINGS] = {{TLS_BINDING_EXPORTER, "tls-exporter"},
	                          {TLS_BINDING_SERVER_END_POINT, "tls-server-end-point"}};
	login->n_bindings = 0;
	for (size_t i = 0; i < PLUS_BINDINGS; i++) {
		struct sasl_binding *binding = &login->bindings[login->n_bindings];
		uint8_t value[TLS_BINDING_MAX];
		size_t n;
		if (!is_ok(tls_stream_binding(login->stream, kinds[i].binding, value, &n)) ||
		    n > SASL_BINDING_MAX)
			continue;
		binding->type = kinds[i].type;
		memcpy(binding->value, value, n);
		binding->n = n;
		login->n_bindings++;
	}
}

static struct status step(struct login *login, const struct slice *response, struct buf *challenge,
                          bool *ret_done)
{
	enum sasl_step step;
	struct slice bytes;
	struct status status = sasl_server_step(&login->sasl, response, &step, &bytes);
	if (!is_ok(status))
		return count(login, status);
	buf_add(challenge, bytes);
	*ret_done = step == SASL_DONE;
	if (*ret_done) {
		sasl_server_done(&login->sasl);
		login->sasl_active = false;
		return count(login, ok());
	}
	return ok();
}

static struct status on_start(void *context, struct slice mechanism, const struct slice *initial,
                              struct buf *challenge, bool *ret_done)
{
	struct login *login = context;
	enum sasl_mechanism chosen;
	TRY(may_try(login));
	if (!sasl_mechanism_of(mechanism, &chosen))
		return fail(ERR_UNSUPPORTED, "unknown mechanism");
	fill_bindings(login);
	sasl_server_init(&login->sasl, &(struct sasl_server_options){
	                                       .mechanism = chosen,
	                                       .backend = &login->backend,
	                                       .bindings = login->bindings,
	                                       .n_bindings = login->n_bindings,
	                                       .plus_announced = login->n_bindings > 0,
	                                       .host_name = login->config->config->hostname_ascii,
	                                       .now_s = clock_now_s(clock_real()),
	                               });
	login->sasl_active = true;
	return step(login, initial, challenge, ret_done);
}

static struct status on_step(void *context, struct slice response, struct buf *challenge,
                             bool *ret_done)
{
	return step(context, &response, challenge, ret_done);
}

static void on_abort(void *context)
{
	struct login *login = context;
	if (login->sasl_active)
		sasl_server_done(&login->sasl);
	login->sasl_active = false;
}

static const struct imap_auth_ops auth_ops = {
        .login = on_login,
        .start = on_start,
        .step = on_step,
        .abort = on_abort,
};

/* ---- handing over ---- */

static struct status open_session(struct login *login, const char *tag, int fd,
                                  struct slice buffered, bool relayed)
{
	const struct gate_connection *connection = login->connection;
	Door__Peer peer = DOOR__PEER__INIT;
	peer.address = door_string(connection->peer_text);
	peer.port = connection->peer.port;
	peer.tls = login->stream->stream.tls.on;
	peer.tls_version = login->stream->stream.tls.version;
	peer.tls_cipher = login->stream->stream.tls.cipher;
	Door__OpenSession open = DOOR__OPEN_SESSION__INIT;
	open.protocol = DOOR__OPEN_SESSION__PROTOCOL__IMAP;
	open.ticket = door_binary(slice_of(login->ticket, login->ticket_size));
	open.login_tag = door_string(tag);
	open.login_name = login->user;
	open.peer = &peer;
	open.buffered = door_binary(buffered);
	open.relayed = relayed;
	Door__AccountRequest request = DOOR__ACCOUNT_REQUEST__INIT;
	request.body_case = DOOR__ACCOUNT_REQUEST__BODY_OPEN_SESSION;
	request.open_session = &open;

	struct arena arena;
	ProtobufCMessage *message = NULL;
	arena_init(&arena, REPLY_MAX);
	struct status status =
	        room_call(connection->gate->room, IPC_ROOM_ACCOUNT, login->account->name.s,
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
static struct status hand_over_socket(struct login *login, const char *tag)
{
	struct buf buffered;
	buf_init(&buffered, STREAM_IN_MAX * 2);
	buf_add(&buffered, stream_buffered(&login->stream->stream));
	struct status status =
	        open_session(login, tag, login->stream->fd, buf_slice(&buffered), false);
	buf_done(&buffered);
	return status;
}

/* TLS stays here: the relay pumps between it and a socket pair. */
static struct status hand_over_relayed(struct login *login, const char *tag)
{
	int pair[2];
	TRY(socket_pair_stream(pair));
	struct status status = open_session(login, tag, pair[1], slice_empty(), true);
	fd_close(&pair[1]);
	if (is_ok(status))
		tls_relay_add(login->connection->gate->relay, login->stream, TAKE_FD(pair[0]),
		              login->connection);
	login->relayed = is_ok(status);
	fd_close(&pair[0]);
	return status;
}

static bool is_plain_login_allowed(const struct gate_connection *connection)
{
	const struct config_listener *listener = gate_listener_config(connection);
	return listener && listener->plain_login == CONFIG_PLAIN_LOGIN_LOOPBACK &&
	       os_address_is_loopback(&connection->peer);
}

static void greet_and_login(struct login *login)
{
	static const char *const mechanisms[] = {"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN",
	                                         NULL};
	static const char *const tls_mechanisms[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS",
	                                             NULL};
	struct gate_connection *connection = login->connection;
	struct stream *stream = &login->stream->stream;
	struct imap_prelogin_result result;
	struct imap_prelogin_options options = {
	        .stream = stream,
	        .clock = clock_real(),
	        .auth = &auth_ops,
	        .auth_context = login,
	        .mechanisms = mechanisms,
	        .tls_mechanisms = tls_mechanisms,
	        .allow_starttls = login->stream->context != NULL && !stream->tls.on,
	        .allow_plain_login = is_plain_login_allowed(connection),
	        .total_ms = (int)login->config->config->timeouts.imap_login_ms,
	};
	struct status status = imap_prelogin_run(&options, &result);
	if (!is_ok(status)) {
		log_debug(connection->cid, "connection ended before login",
		          LOG_STR("peer", connection->peer_text), LOG_STATUS(status));
		stream_shutdown(stream);
		return;
	}
	bool tls = stream->tls.on;
	log_info(connection->cid, "login", LOG_STR("account", login->account->name.s),
	         LOG_STR("peer", connection->peer_text), LOG_BOOL("tls", tls));
	status = tls ? hand_over_relayed(login, result.tag) : hand_over_socket(login, result.tag);
	if (!is_ok(status)) {
		log_error(connection->cid, "session cannot begin", LOG_STATUS(status));
		(void)stream_printf(stream,
		                    "%s NO [UNAVAILABLE] The mailbox cannot be opened now\r\n",
		                    result.tag);
		stream_shutdown(stream);
	}
}

bool gate_login_serve(struct gate_connection *connection, struct tls_stream *stream)
{
	struct login login = {.connection = connection, .stream = stream};
	login.config = room_config_ref(connection->config);
	login.backend = (struct sasl_backend){
	        .verify_plain = verify_plain,
	        .scram_parameters = scram_parameters,
	        .scram_verify = scram_verify,
	        .cram_md5_verify = cram_md5_verify,
	        .context = &login,
	};
	greet_and_login(&login);
	on_abort(&login);
	room_config_unref(login.config);
	return login.relayed;
}
