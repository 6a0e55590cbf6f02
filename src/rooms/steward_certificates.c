/* See steward_certificates.h. */
#include "rooms/steward_certificates.h"

#include "rooms/peers.h"
#include "vault.pb-c.h"

#define VAULT_TIMEOUT_MS 30000
#define REPLY_MEMORY     ((size_t)8 * 1024 * 1024)

static json_t *certificate_json(const Door__Certificate *certificate)
{
	json_t *names = json_array();
	for (size_t i = 0; i < certificate->n_names; i++)
		json_array_append_new(names, json_string(certificate->names[i]));
	return json_pack("{s:o, s:s}", "names", names, "pem", certificate->chain_pem);
}

static json_t *certificates_json(const Door__VaultReply *reply)
{
	json_t *list = json_array();
	for (size_t i = 0; i < reply->n_certificates; i++)
		json_array_append_new(list, certificate_json(reply->certificates[i]));
	return json_pack("{s:b, s:o}", "ok", 1, "certificates", list);
}

json_t *steward_certificates(struct room *room)
{
	Door__ListCertificates list = DOOR__LIST_CERTIFICATES__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	struct arena arena;
	ProtobufCMessage *message = NULL;
	json_t *answer = NULL;
	request.body_case = DOOR__VAULT_REQUEST__BODY_LIST_CERTIFICATES;
	request.list_certificates = &list;
	arena_init(&arena, REPLY_MEMORY);
	struct status status =
	        room_call(room, IPC_ROOM_VAULT, "", 0, &request.base, NULL, 0, VAULT_TIMEOUT_MS,
	                  &door__vault_reply__descriptor, &arena, &message);
	const Door__VaultReply *reply = (const Door__VaultReply *)message;
	if (is_ok(status))
		status = reply->status ? door_status(reply->status->code, reply->status->why)
		                       : fail(ERR_PROTOCOL, "malformed reply of the vault");
	if (is_ok(status))
		answer = certificates_json(reply);
	else
		answer = json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code", err_name(status.code),
		                   "errors", status.why);
	arena_done(&arena);
	return answer;
}
