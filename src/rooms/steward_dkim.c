/* DKIM keys: the vault has and checks them, this only carries. */
#include "rooms/steward_dkim.h"

#include "base/encode.h"
#include "rooms/peers.h"
#include "vault.pb-c.h"

#define VAULT_TIMEOUT_MS 60000
#define REPLY_MEMORY     ((size_t)1024 * 1024)
#define KEY_TEXT_MAX     ((size_t)4096)

static json_t *answer_of(struct status status, const char *why)
{
	json_t *said = is_ok(status) ? json_array() : json_pack("[s]", why);
	return json_pack("{s:b, s:s, s:o}", "ok", (int)is_ok(status), "code", err_name(status.code),
	                 "errors", said);
}

static json_t *key_json(const Door__DkimKey *key)
{
	struct buf text;
	buf_init(&text, KEY_TEXT_MAX);
	base64_encode(door_bytes(key->public_key), &text);
	json_t *json =
	        json_pack("{s:s, s:s, s:I, s:s}", "domain", key->domain, "selector", key->selector,
	                  "created", (json_int_t)key->created_s, "public_key", buf_cstr(&text));
	buf_done(&text);
	return json;
}

static json_t *keys_json(const Door__VaultReply *reply)
{
	json_t *keys = json_array();
	for (size_t i = 0; i < reply->n_dkim_keys; i++)
		json_array_append_new(keys, key_json(reply->dkim_keys[i]));
	return keys;
}

static json_t *ask_vault(struct room *room, const Door__VaultRequest *request, bool lists)
{
	struct arena arena;
	ProtobufCMessage *message = NULL;
	json_t *keys = NULL;
	arena_init(&arena, REPLY_MEMORY);
	struct status status =
	        room_call(room, IPC_ROOM_VAULT, "", 0, &request->base, NULL, 0, VAULT_TIMEOUT_MS,
	                  &door__vault_reply__descriptor, &arena, &message);
	if (is_ok(status)) {
		const Door__VaultReply *reply = (const Door__VaultReply *)message;
		status = reply->status ? door_status(reply->status->code, reply->status->why)
		                       : fail(ERR_PROTOCOL, "malformed reply of the vault");
		if (is_ok(status) && lists)
			keys = keys_json(reply);
	}
	json_t *answer = answer_of(status, status.why);
	if (keys)
		json_object_set_new(answer, "keys", keys);
	arena_done(&arena);
	return answer;
}

static json_t *generate(struct room *room, const char *domain, const char *selector,
                        const char *type)
{
	Door__DkimGenerate body = DOOR__DKIM_GENERATE__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	body.domain = door_string(domain);
	body.selector = door_string(selector);
	body.type = door_string(type);
	request.body_case = DOOR__VAULT_REQUEST__BODY_DKIM_GENERATE;
	request.dkim_generate = &body;
	return ask_vault(room, &request, false);
}

static json_t *import(struct room *room, const char *domain, const char *selector, const char *pem)
{
	Door__DkimImport body = DOOR__DKIM_IMPORT__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	body.domain = door_string(domain);
	body.selector = door_string(selector);
	body.pem = door_binary(slice_str(pem));
	request.body_case = DOOR__VAULT_REQUEST__BODY_DKIM_IMPORT;
	request.dkim_import = &body;
	return ask_vault(room, &request, false);
}

static json_t *remove_key(struct room *room, const char *domain, const char *selector)
{
	Door__DkimRemove body = DOOR__DKIM_REMOVE__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	body.domain = door_string(domain);
	body.selector = door_string(selector);
	request.body_case = DOOR__VAULT_REQUEST__BODY_DKIM_REMOVE;
	request.dkim_remove = &body;
	return ask_vault(room, &request, false);
}

static json_t *list(struct room *room, const char *domain)
{
	Door__DkimList body = DOOR__DKIM_LIST__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	body.domain = door_string(domain);
	request.body_case = DOOR__VAULT_REQUEST__BODY_DKIM_LIST;
	request.dkim_list = &body;
	return ask_vault(room, &request, true);
}

json_t *steward_dkim(struct room *room, const char *command, const json_t *request)
{
	const char *domain = "", *selector = "", *type = "", *pem = "";
	struct slice name = slice_str(command);
	(void)json_unpack((json_t *)(uintptr_t)request, "{s?:s, s?:s, s?:s, s?:s}", "domain",
	                  &domain, "selector", &selector, "type", &type, "pem", &pem);
	if (slice_eq_str(name, "dkim-generate"))
		return generate(room, domain, selector, type);
	if (slice_eq_str(name, "dkim-import"))
		return import(room, domain, selector, pem);
	if (slice_eq_str(name, "dkim-rm"))
		return remove_key(room, domain, selector);
	if (slice_eq_str(name, "dkim-list"))
		return list(room, domain);
	return NULL;
}
