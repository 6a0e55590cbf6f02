/* See dkim_signer.h. What a signature says of its algorithm is part of what is signed, but only the
 * vault knows of which kind a key is: so its kind is guessed as it was the last time, and once more
 * when that was wrong. */
#include "rooms/dkim_signer.h"

#include "mailauth/dkim_sign.h"
#include "os/fd.h"
#include "os/log.h"
#include "rooms/peers.h"
#include "vault.pb-c.h"

#define SIGN_TIMEOUT_MS 10000
#define REPLY_ARENA_MAX ((size_t)64 * 1024)
#define PIECE           ((size_t)64 * 1024)
#define KINDS           256u /* keys whose kind is remembered */

/* By a hash of domain and selector: whether it was Ed25519 the last time. Races are harmless. */
static _Atomic uint8_t kinds[KINDS];

struct key {
	struct room *room;
	uint64_t cid;
	const char *domain, *selector;
	enum dkim_algorithm algorithm, found; /* guessed; what the vault says */
	struct status status;                 /* of the vault */
};

static _Atomic uint8_t *kind_of(const struct key *key)
{
	static const struct hash_key no_secret;
	uint64_t hash = hash_slice(no_secret, slice_str(key->domain)) ^
	                hash_slice(no_secret, slice_str(key->selector));
	return &kinds[hash % KINDS];
}

static struct status read_reply(struct key *key, const Door__VaultReply *reply, uint8_t *signature,
                                size_t max, size_t *ret_n)
{
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the vault");
	TRY(door_status(reply->status->code, reply->status->why));
	if (!dkim_algorithm_parse(slice_str(reply->algorithm), &key->found) ||
	    reply->signature.len > max)
		return fail(ERR_PROTOCOL, "malformed reply of the vault");
	memcpy(signature, reply->signature.data, reply->signature.len);
	*ret_n = reply->signature.len;
	return ok();
}

static struct status ask_vault(void *context, const uint8_t digest[DKIM_HASH_SIZE],
                               uint8_t *signature, size_t max, size_t *ret_n)
{
	struct key *key = context;
	Door__DkimSign sign = DOOR__DKIM_SIGN__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	struct arena arena;
	sign.domain = door_string(key->domain);
	sign.selector = door_string(key->selector);
	sign.digest = door_binary(slice_of(digest, DKIM_HASH_SIZE));
	request.body_case = DOOR__VAULT_REQUEST__BODY_DKIM_SIGN;
	request.dkim_sign = &sign;
	arena_init(&arena, REPLY_ARENA_MAX);
	key->status = room_call(key->room, IPC_ROOM_VAULT, "", key->cid, &request.base, NULL, 0,
	                        SIGN_TIMEOUT_MS, &door__vault_reply__descriptor, &arena, &reply);
	if (is_ok(key->status))
		key->status =
		        read_reply(key, (const Door__VaultReply *)reply, signature, max, ret_n);
	arena_done(&arena);
	return key->status;
}

/* ---- options ---- */

static enum dkim_canon header_canon(enum config_canonicalization c)
{
	return c == CONFIG_SIMPLE_RELAXED || c == CONFIG_SIMPLE_SIMPLE ? DKIM_SIMPLE : DKIM_RELAXED;
}

static enum dkim_canon body_canon(enum config_canonicalization c)
{
	return c == CONFIG_RELAXED_SIMPLE || c == CONFIG_SIMPLE_SIMPLE ? DKIM_SIMPLE : DKIM_RELAXED;
}

static bool signs(const struct config_domain *domain)
{
	for (size_t i = 0; i < domain->dkim.n; i++)
		if (domain->dkim.v[i].sign)
			return true;
	return false;
}

const struct config_domain *dkim_signer_domain(const struct config *config,
                                               const struct config_account *account,
                                               struct slice author_domain)
{
	struct slice first, rest = author_domain;
	do {
		const struct config_domain *domain = config_domain_find(config, rest);
		if (domain && signs(domain) &&
		    (!account || config_may_sign_for(config, account, slice_str(domain->ascii))))
			return domain;
	} while (slice_cut(rest, '.', &first, &rest));
	return NULL;
}

static unsigned wants(const struct config_domain *domain)
{
	unsigned wanted = 0;
	for (size_t i = 0; i < domain->dkim.n; i++)
		if (domain->dkim.v[i].sign)
			wanted |= 1u << body_canon(domain->dkim.v[i].canonicalization);
	return wanted;
}

static struct dkim_sign_options options_of(const struct config_domain *domain,
                                           const struct config_dkim *dkim,
                                           const struct dkim_signer_message *message,
                                           struct slice names[CONFIG_DKIM_HEADERS_MAX])
{
	size_t n = MIN(dkim->headers.n, (size_t)CONFIG_DKIM_HEADERS_MAX);
	for (size_t i = 0; i < n; i++)
		names[i] = config_slice(&dkim->headers.v[i]);
	return (struct dkim_sign_options){
	        .domain = slice_str(domain->ascii),
	        .selector = config_slice(&dkim->name),
	        .header_canon = header_canon(dkim->canonicalization),
	        .body_canon = body_canon(dkim->canonicalization),
	        .now_s = message->now_s,
	        .lifetime_s = (int64_t)(dkim->expiry_ms / 1000),
	        .names = n > 0 ? names : NULL,
	        .n_names = n,
	        .no_oversign = !dkim->oversign,
	        .utf8 = message->utf8,
	};
}

/* ---- signing ---- */

/* A message, read. */
struct content {
	struct buf header;
	struct dkim_body *body;
};

static struct status read_header(const struct dkim_signer_message *message, struct buf *header)
{
	if (message->n_header > DKIM_SIGNER_HEADER_MAX)
		return fail(ERR_LIMIT, "the header is too large");
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(message->n_header + 1);
	TRY(fd_pread_all(message->fd, bytes, message->n_header, 0, NULL));
	buf_add(header, message->prefix);
	buf_add(header, slice_of(bytes, message->n_header));
	return buf_failed(header) ? fail(ERR_LIMIT, "the header is too large") : ok();
}

static struct status hash_body(const struct dkim_signer_message *message, struct dkim_body *body)
{
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(PIECE);
	for (uint64_t at = message->n_header; at < message->size;) {
		size_t n = (size_t)MIN(message->size - at, (uint64_t)PIECE);
		TRY(fd_pread_all(message->fd, bytes, n, at, NULL));
		dkim_body_feed(body, slice_of(bytes, n));
		at += n;
	}
	dkim_body_finish(body);
	return ok();
}

/* With the kind that is guessed; *ret_kind: that of the key. */
static struct status try_kind(struct key *key, struct dkim_sign_options *options,
                              const struct content *content, struct buf *field)
{
	const struct dkim_signer_key signer = {
	        .algorithm = key->algorithm, .sign = ask_vault, .context = key};
	options->key = &signer;
	key->status = ok();
	key->found = key->algorithm;
	struct status status =
	        dkim_sign(buf_slice(&content->header), content->body, options, 1, field);
	return is_ok(key->status) ? status : key->status;
}

static struct status sign_with(struct key *key, struct dkim_sign_options *options,
                               const struct content *content, struct buf *out)
{
	_Atomic uint8_t *kind = kind_of(key);
	struct buf field;
	key->algorithm = atomic_load(kind) ? DKIM_ED25519_SHA256 : DKIM_RSA_SHA256;
	buf_init(&field, DKIM_SIGNER_FIELDS_MAX);
	struct status status = try_kind(key, options, content, &field);
	if (is_ok(status) && key->found != key->algorithm) {
		key->algorithm = key->found;
		buf_reset(&field);
		status = try_kind(key, options, content, &field);
		if (is_ok(status) && key->found != key->algorithm)
			status = fail(ERR_TEMPORARY, "the key is being changed");
		atomic_store(kind, key->algorithm == DKIM_ED25519_SHA256);
	}
	if (is_ok(status))
		buf_add(out, buf_slice(&field));
	buf_done(&field);
	return status;
}

static struct status sign_all(struct room *room, const struct config_domain *domain,
                              const struct dkim_signer_message *message,
                              const struct content *content, struct buf *out)
{
	for (size_t i = 0; i < domain->dkim.n; i++) {
		const struct config_dkim *dkim = &domain->dkim.v[i];
		struct slice names[CONFIG_DKIM_HEADERS_MAX];
		struct key key = {.room = room,
		                  .cid = message->cid,
		                  .domain = domain->ascii,
		                  .selector = dkim->name.s};
		if (!dkim->sign)
			continue;
		struct dkim_sign_options options = options_of(domain, dkim, message, names);
		struct status status = sign_with(&key, &options, content, out);
		if (status.code == ERR_NOT_FOUND)
			log_error(message->cid,
			          "the vault has no key for a DKIM selector of the config",
			          LOG_STR("domain", domain->ascii),
			          LOG_STR("selector", dkim->name.s));
		else if (!is_ok(status))
			return status;
	}
	return buf_failed(out) ? fail(ERR_LIMIT, "the signatures are too long") : ok();
}

struct status dkim_signer_sign(struct room *room, const struct config_domain *domain,
                               const struct dkim_signer_message *message, struct buf *out)
{
	struct content content = {.body = dkim_body_new(wants(domain))};
	buf_init(&content.header, message->prefix.n + DKIM_SIGNER_HEADER_MAX);
	struct status status = read_header(message, &content.header);
	if (is_ok(status))
		status = hash_body(message, content.body);
	if (is_ok(status))
		status = sign_all(room, domain, message, &content, out);
	dkim_body_free(content.body);
	buf_done(&content.header);
	return status;
}

void dkim_signer_warm_up(void)
{
	struct dkim_body *body = dkim_body_new(DKIM_BODY_BOTH);
	dkim_body_feed(body, SLICE("\r\n"));
	dkim_body_finish(body);
	dkim_body_free(body);
}
