/* See dkim_vault.h. */
#include "cli/dkim_vault.h"

#include "base/encode.h"
#include "cli/server.h"
#include "cli/vault_change.h"
#include "mailauth/dkim_private_key.h"

#define LIST_MEMORY ((size_t)4 * 1024 * 1024)
#define PEM_MAX     ((size_t)16 * 1024)

/* ---- changes ---- */

struct change {
	const char *domain, *selector;
	const char *type; /* generated */
	struct slice pem; /* imported */
};

static struct status write_generated(struct vault *vault, void *context, struct os_fault *fault)
{
	const struct change *c = context;
	enum tls_key_type type;
	if (!tls_key_type_of(slice_str(c->type), &type))
		return fail(ERR_INVALID, "there is no such type of key");
	return vault_dkim_generate(vault, slice_str(c->domain), slice_str(c->selector), type,
	                           fault);
}

static struct status write_imported(struct vault *vault, void *context, struct os_fault *fault)
{
	const struct change *c = context;
	return vault_dkim_import(vault, slice_str(c->domain), slice_str(c->selector), c->pem,
	                         fault);
}

static struct status write_removed(struct vault *vault, void *context, struct os_fault *fault)
{
	const struct change *c = context;
	struct status status =
	        vault_dkim_remove(vault, slice_str(c->domain), slice_str(c->selector), fault);
	return status.code == ERR_NOT_FOUND ? ok() : status;
}

/* Takes the request. *ret_missing: the running server knows no such key. */
static int change_vault(const struct cli *cli, const struct config *config, json_t *request,
                        struct status (*offline)(struct vault *, void *, struct os_fault *),
                        struct change *change, bool missing_is_fine, const char *what)
{
	const struct cli_vault_change c = {
	        .request = request, .offline = offline, .context = change};
	const char *why = "";
	bool live;
	struct arena arena;
	arena_init(&arena, LIST_MEMORY);
	struct status status = request ? cli_vault_change(config, &c, &arena, NULL, &live, &why)
	                               : fail(ERR_INVALID, why = "the key is not text");
	int result = 0;
	if (!is_ok(status) && !(missing_is_fine && live && status.code == ERR_INVALID))
		result = cli_fail(cli, NULL, "the key `%s` of %s could not be %s: %s",
		                  change->selector, change->domain, what, why);
	json_decref(request);
	arena_done(&arena);
	return result;
}

int cli_dkim_vault_generate(const struct cli *cli, const struct config *config,
                            const struct config_domain *domain, const char *selector,
                            const char *type)
{
	struct change change = {.domain = domain->ascii, .selector = selector, .type = type};
	json_t *request = json_pack("{s:s, s:s, s:s, s:s}", "command", "dkim-generate", "domain",
	                            domain->ascii, "selector", selector, "type", type);
	return change_vault(cli, config, request, write_generated, &change, false, "made");
}

int cli_dkim_vault_import(const struct cli *cli, const struct config *config,
                          const struct config_domain *domain, const char *selector,
                          struct slice pem)
{
	struct change change = {.domain = domain->ascii, .selector = selector, .pem = pem};
	json_t *request =
	        json_pack("{s:s, s:s, s:s, s:s%}", "command", "dkim-import", "domain",
	                  domain->ascii, "selector", selector, "pem", (const char *)pem.p, pem.n);
	return change_vault(cli, config, request, write_imported, &change, false, "imported");
}

int cli_dkim_vault_remove(const struct cli *cli, const struct config *config,
                          const struct config_domain *domain, const char *selector)
{
	struct change change = {.domain = domain->ascii, .selector = selector};
	json_t *request = json_pack("{s:s, s:s, s:s}", "command", "dkim-rm", "domain",
	                            domain->ascii, "selector", selector);
	return change_vault(cli, config, request, write_removed, &change, true, "removed");
}

/* ---- the list ---- */

struct listing {
	const char *domain;
	struct arena *arena;
	struct cli_dkim_key *keys;
	size_t n;
};

static struct cli_dkim_key *entry(struct listing *l, const char *selector)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->keys[i].selector, selector) == 0)
			return &l->keys[i];
	const char *copy = arena_cstr(l->arena, slice_str(selector));
	const char *name = arena_printf(l->arena, "%s._domainkey.%s", selector, l->domain);
	if (l->n == CLI_DKIM_KEYS_MAX || !copy || !name)
		return NULL;
	l->keys[l->n] = (struct cli_dkim_key){.selector = copy, .name = name};
	return &l->keys[l->n++];
}

/* What the record of a public key says; as for a key in a file. */
static void describe(struct listing *l, struct cli_dkim_key *key, const char *base64)
{
	struct buf pem, record;
	buf_init(&pem, PEM_MAX);
	buf_init(&record, DKIM_KEY_RECORD_MAX);
	buf_printf(&pem, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", base64);
	if (is_ok(dkim_public_from_pem(buf_slice(&pem), l->arena, &key->key)) &&
	    is_ok(dkim_key_print(&key->key, &record))) {
		key->in_vault = true;
		key->record = arena_cstr(l->arena, buf_slice(&record));
		key->type = key->key.type == DKIM_KEY_ED25519
		                    ? "ed25519"
		                    : arena_printf(l->arena, "rsa-%u", key->key.bits);
	}
	buf_done(&record);
	buf_done(&pem);
}

static void add_vault_key(struct listing *l, const char *selector, int64_t created_s,
                          const char *base64)
{
	struct cli_dkim_key *key = entry(l, selector);
	if (!key)
		return;
	key->created_s = created_s;
	describe(l, key, base64);
}

static struct status list_offline(struct vault *vault, void *context, struct os_fault *fault)
{
	struct listing *l = context;
	const struct vault_dkim_info *infos;
	size_t n;
	struct buf base64;
	(void)fault;
	TRY(vault_dkim_list(vault, slice_str(l->domain), &infos, &n, l->arena));
	buf_init(&base64, PEM_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *selector = arena_cstr(l->arena, infos[i].selector);
		buf_reset(&base64);
		base64_encode(infos[i].public_key, &base64);
		if (selector)
			add_vault_key(l, selector, infos[i].created_s, buf_cstr(&base64));
	}
	buf_done(&base64);
	return ok();
}

static void read_answer(struct listing *l, const json_t *answer)
{
	const json_t *keys = json_object_get(answer, "keys");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		add_vault_key(l, cli_json_text(key, "selector"), cli_json_number(key, "created"),
		              cli_json_text(key, "public_key"));
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct cli_dkim_key *)a)->selector,
	              ((const struct cli_dkim_key *)b)->selector);
}

int cli_dkim_keys(const struct cli *cli, const struct config *config,
                  const struct config_domain *domain, struct arena *arena,
                  struct cli_dkim_key **ret_keys, size_t *ret_n)
{
	struct listing l = {.domain = domain->ascii, .arena = arena};
	const char *why = "";
	json_t *answer = NULL;
	bool live;
	l.keys = ARENA_ARRAY(arena, CLI_DKIM_KEYS_MAX, struct cli_dkim_key);
	for (size_t i = 0; l.keys && i < domain->dkim.n; i++) {
		struct cli_dkim_key *key = entry(&l, domain->dkim.v[i].name.s);
		if (key) {
			key->in_config = true;
			key->sign = domain->dkim.v[i].sign;
		}
	}
	const struct cli_vault_change list = {
	        .request = json_pack("{s:s, s:s}", "command", "dkim-list", "domain", domain->ascii),
	        .offline = list_offline,
	        .context = &l,
	};
	struct status status = l.keys ? cli_vault_change(config, &list, arena, &answer, &live, &why)
	                              : fail(ERR_LIMIT, "no memory");
	json_decref(list.request);
	if (!is_ok(status))
		return cli_fail(cli, NULL, "the keys of %s cannot be listed: %s", domain->ascii,
		                *why ? why : status.why);
	read_answer(&l, answer);
	json_decref(answer);
	if (l.n > 1)
		qsort(l.keys, l.n, sizeof(l.keys[0]), compare);
	*ret_keys = l.keys;
	*ret_n = l.n;
	return 0;
}

const struct cli_dkim_key *cli_dkim_key_find(const struct cli_dkim_key *keys, size_t n,
                                             const char *selector)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].selector, selector) == 0)
			return &keys[i];
	return NULL;
}
