/* TLS of a gate: certificates from the vault, signatures by the vault; no private key ever comes
 * here. */
#include "rooms/gate.h"

#include "os/clock.h"
#include "os/log.h"
#include "vault.pb-c.h"

#define SIGN_TIMEOUT_MS 20000
#define REPLY_MAX       ((size_t)4 * 1024 * 1024)
#define TICKET_KEY_S    3600

/* tls_signer.sign: one call to the vault. */
static struct status sign_by_vault(void *context, struct slice key_id, enum tls_sign_scheme scheme,
                                   struct slice input, uint8_t *signature, size_t max,
                                   size_t *ret_n)
{
	struct gate *gate = context;
	Door__Sign sign = DOOR__SIGN__INIT;
	sign.key_id = door_binary(key_id);
	sign.scheme = scheme;
	sign.input = door_binary(input);
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_SIGN;
	request.sign = &sign;

	struct arena arena;
	ProtobufCMessage *message = NULL;
	arena_init(&arena, REPLY_MAX);
	struct status status =
	        room_call(gate->room, IPC_ROOM_VAULT, "", 0, &request.base, NULL, 0,
	                  SIGN_TIMEOUT_MS, &door__vault_reply__descriptor, &arena, &message);
	if (is_ok(status)) {
		const Door__VaultReply *reply = (const Door__VaultReply *)message;
		if (!reply->status || reply->status->code != ERR_OK || reply->signature.len > max) {
			status = fail(ERR_TLS, "the vault does not sign");
		} else {
			memcpy(signature, reply->signature.data, reply->signature.len);
			*ret_n = reply->signature.len;
		}
	}
	arena_done(&arena);
	return status;
}

static bool has_client_keys(struct gate *gate)
{
	struct room_config *config = room_config_get(gate->room);
	bool any = config_has_keys(config->config);
	room_config_unref(config);
	return any;
}

/* Certificates of the same names are one site: the client's abilities choose among them. */
static struct status make_context(struct gate *gate, const Door__VaultReply *reply,
                                  struct arena *arena, struct tls_context **ret_context)
{
	size_t n = reply->n_certificates;
	struct tls_site *sites = ARENA_ARRAY(arena, n, struct tls_site);
	struct tls_site_certificate *certificates =
	        ARENA_ARRAY(arena, n, struct tls_site_certificate);
	if (!sites || !certificates)
		return fail(ERR_LIMIT, "too many certificates");
	for (size_t i = 0; i < n; i++) {
		const Door__Certificate *from = reply->certificates[i];
		struct slice *names = ARENA_ARRAY(arena, from->n_names, struct slice);
		if (!names)
			return fail(ERR_LIMIT, "too many names in a certificate");
		for (size_t j = 0; j < from->n_names; j++)
			names[j] = slice_str(from->names[j]);
		certificates[i] = (struct tls_site_certificate){
		        .chain_pem = slice_str(from->chain_pem),
		        .key_id = door_bytes(from->key_id),
		};
		sites[i] = (struct tls_site){
		        .label = from->n_names ? from->names[0] : "certificate",
		        .names = names,
		        .n_names = from->n_names,
		        .certificates = &certificates[i],
		        .n_certificates = 1,
		};
	}
	/* Asked for only where somebody has registered a key: programs that are asked for a
	 * certificate tend to trouble their users with it. */
	bool ask = gate->room->id == IPC_ROOM_GATE_LOGIN && has_client_keys(gate);
	return tls_context_new(
	        gate->library,
	        &(struct tls_context_options){
	                .sites = sites,
	                .n_sites = n,
	                .signer = &gate->signer,
	                .ticket_key_s = gate->room->id == IPC_ROOM_GATE_MX ? 0 : TICKET_KEY_S,
	                .clock = clock_real(),
	                .client_certificate =
	                        ask ? TLS_CLIENT_CERTIFICATE_OPTIONAL : TLS_CLIENT_CERTIFICATE_NONE,
	        },
	        ret_context, arena);
}

struct status gate_tls_load(struct gate *gate)
{
	gate->signer = (struct tls_signer){.sign = sign_by_vault, .context = gate};
	Door__ListCertificates list = DOOR__LIST_CERTIFICATES__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	request.body_case = DOOR__VAULT_REQUEST__BODY_LIST_CERTIFICATES;
	request.list_certificates = &list;

	struct arena arena;
	ProtobufCMessage *message = NULL;
	struct tls_context *context = NULL;
	arena_init(&arena, REPLY_MAX);
	struct status status =
	        room_call(gate->room, IPC_ROOM_VAULT, "", 0, &request.base, NULL, 0,
	                  SIGN_TIMEOUT_MS, &door__vault_reply__descriptor, &arena, &message);
	if (is_ok(status) && ((Door__VaultReply *)message)->n_certificates > 0)
		status = make_context(gate, (Door__VaultReply *)message, &arena, &context);
	if (!is_ok(status)) {
		log_error(0, "no TLS: certificates cannot be used", LOG_STATUS(status));
	} else if (context) {
		pthread_mutex_lock(&gate->lock);
		struct tls_context *old = gate->tls;
		gate->tls = context;
		pthread_mutex_unlock(&gate->lock);
		tls_context_unref(old);
	}
	arena_done(&arena);
	return status;
}

struct tls_context *gate_tls_get(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	struct tls_context *context = gate->tls ? tls_context_ref(gate->tls) : NULL;
	pthread_mutex_unlock(&gate->lock);
	return context;
}
