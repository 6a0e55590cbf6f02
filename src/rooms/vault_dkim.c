/* DKIM keys at the vault's door. An account room gets signatures for domains that its account sends
 * from; queue for those it writes reports for, which are all of ours. */
#include "rooms/vault_dkim.h"

#include "os/log.h"

#define REPLY_SIZE_MAX ((size_t)150 * 1024) /* below IPC_PACKET_MAX */

bool vault_dkim_is_request(const Door__VaultRequest *request)
{
	return request->body_case >= DOOR__VAULT_REQUEST__BODY_DKIM_GENERATE &&
	       request->body_case <= DOOR__VAULT_REQUEST__BODY_DKIM_SIGN;
}

/* The fault's words, if any, outlive it in the arena. */
static struct status explained(struct status status, const struct os_fault *fault,
                               struct arena *arena)
{
	const char *why = fault->text[0] ? arena_cstr(arena, slice_str(fault->text)) : NULL;
	return why ? fail(status.code, why) : status;
}

static struct status change(const struct vault_dkim_call *call, const Door__VaultRequest *request,
                            struct arena *arena)
{
	struct os_fault fault = {0};
	struct status status = ok();
	const char *domain = "", *selector = "", *what = "";
	enum tls_key_type type;
	if (request->body_case == DOOR__VAULT_REQUEST__BODY_DKIM_GENERATE) {
		const Door__DkimGenerate *g = request->dkim_generate;
		domain = g->domain, selector = g->selector, what = "DKIM key made";
		status = tls_key_type_of(slice_str(g->type), &type)
		                 ? vault_dkim_generate(call->vault, slice_str(domain),
		                                       slice_str(selector), type, &fault)
		                 : fail(ERR_INVALID, "there is no such kind of key");
	} else if (request->body_case == DOOR__VAULT_REQUEST__BODY_DKIM_IMPORT) {
		const Door__DkimImport *i = request->dkim_import;
		domain = i->domain, selector = i->selector, what = "DKIM key imported";
		status = vault_dkim_import(call->vault, slice_str(domain), slice_str(selector),
		                           door_bytes(i->pem), &fault);
	} else {
		const Door__DkimRemove *r = request->dkim_remove;
		domain = r->domain, selector = r->selector, what = "DKIM key removed";
		status = vault_dkim_remove(call->vault, slice_str(domain), slice_str(selector),
		                           &fault);
	}
	log_info(call->cid, what, LOG_STR("domain", domain), LOG_STR("selector", selector),
	         LOG_STATUS(status), LOG_STR("fault", fault.text));
	return explained(status, &fault, arena);
}

static Door__DkimKey *key_message(const struct vault_dkim_info *info, struct arena *arena)
{
	Door__DkimKey *key = ARENA_NEW(arena, Door__DkimKey);
	if (!key)
		return NULL;
	door__dkim_key__init(key);
	key->domain = arena_cstr(arena, info->domain);
	key->selector = arena_cstr(arena, info->selector);
	key->created_s = info->created_s;
	key->public_key = door_binary(info->public_key);
	return arena_failed(arena) ? NULL : key;
}

static struct status list(const struct vault_dkim_call *call, const Door__DkimList *request,
                          struct arena *arena, Door__VaultReply *reply)
{
	const struct vault_dkim_info *keys;
	size_t n, size = 0;
	TRY(vault_dkim_list(call->vault, slice_str(request->domain), &keys, &n, arena));
	reply->dkim_keys = ARENA_ARRAY(arena, n, Door__DkimKey *);
	for (size_t i = 0; i < n && reply->dkim_keys; i++) {
		Door__DkimKey *key = key_message(&keys[i], arena);
		size += key ? protobuf_c_message_get_packed_size(&key->base) + 8 : 0;
		if (!key || size > REPLY_SIZE_MAX) {
			reply->n_dkim_keys = 0;
			return fail(ERR_LIMIT, "too many keys for one answer: ask for a domain");
		}
		reply->dkim_keys[reply->n_dkim_keys++] = key;
	}
	return arena_failed(arena) ? fail(ERR_LIMIT, "too many keys") : ok();
}

static bool may_sign(const struct vault_dkim_call *call, struct slice domain)
{
	if (call->who != IPC_ROOM_ACCOUNT)
		return true;
	const struct config_account *account =
	        config_account_find(call->config, slice_str(call->account));
	return account && account->enabled && config_may_sign_for(call->config, account, domain);
}

static struct status sign(const struct vault_dkim_call *call, const Door__DkimSign *request,
                          struct arena *arena, Door__VaultReply *reply)
{
	uint8_t *signature = arena_alloc(arena, TLS_SIGNATURE_MAX);
	bool is_ed25519 = false;
	size_t n = 0;
	if (request->digest.len != TLS_DIGEST_SIZE || !signature)
		return fail(ERR_PROTOCOL, "malformed request for a signature");
	if (!may_sign(call, slice_str(request->domain)))
		return fail(ERR_DENIED, "the account does not send from this domain");
	TRY(vault_dkim_sign(call->vault, slice_str(request->domain), slice_str(request->selector),
	                    request->digest.data, signature, TLS_SIGNATURE_MAX, &n, &is_ed25519));
	reply->algorithm = door_string(is_ed25519 ? "ed25519-sha256" : "rsa-sha256");
	reply->signature = door_binary(slice_of(signature, n));
	return ok();
}

struct status vault_dkim_answer(const struct vault_dkim_call *call,
                                const Door__VaultRequest *request, struct arena *arena,
                                Door__VaultReply *reply)
{
	if (request->body_case == DOOR__VAULT_REQUEST__BODY_DKIM_LIST)
		return list(call, request->dkim_list, arena, reply);
	if (request->body_case == DOOR__VAULT_REQUEST__BODY_DKIM_SIGN)
		return sign(call, request->dkim_sign, arena, reply);
	return change(call, request, arena);
}
