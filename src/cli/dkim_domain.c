/* mailkeep dkim key add|rm|list|sign|record and dkim rotate: the keys of our own domains.
 *
 * A key goes through three states: made (the vault has it, the config names it), published (its
 * record is in the DNS, which the administrator does) and signing. Nothing signs before its record
 * can be looked up, unless that is asked for: what cannot be verified is worse than what is not
 * signed.
 */
#include "cli/change.h"
#include "cli/dkim.h"
#include "cli/dkim_vault.h"
#include "cli/server.h"

#include "config/value.h"
#include "os/clock.h"
#include "os/file.h"
#include "vault/secret.h"

#define STRING_MAX 255u /* bytes of one string of a TXT record */

/* A command under way. */
struct keys {
	struct cli *cli;
	struct cli_change change;
	const struct config_domain *domain;
	struct cli_dkim_key *v;
	size_t n;
	bool ended; /* `change` is not there */
};

static int load_keys(struct keys *k)
{
	return cli_dkim_keys(k->cli, config_edit_config(k->change.edit), k->domain,
	                     &k->change.arena, &k->v, &k->n);
}

static int find_domain(struct keys *k)
{
	const char *name = k->cli->args[0];
	k->domain = config_domain_find(config_edit_config(k->change.edit), slice_str(name));
	if (k->domain)
		return 0;
	return cli_fail(k->cli, NULL, "there is no domain `%s`%s", name,
	                cli_change_near(&k->change, CLI_DOMAIN, name));
}

/* On failure it has explained itself, and there is nothing to end. */
static int begin(struct keys *k, struct cli *cli)
{
	*k = (struct keys){.cli = cli, .ended = true};
	int result = cli_change_begin(&k->change, cli);
	if (result != 0)
		return result;
	result = find_domain(k);
	if (result == 0)
		result = load_keys(k);
	if (result != 0)
		cli_change_end(&k->change);
	k->ended = result != 0;
	return result;
}

/* Writes, and looks at the keys as they are then: an edit shows the config as it was when it began.
 */
static int commit(struct keys *k, struct status status, const char *what)
{
	int result = is_ok(status) ? cli_change_commit(&k->change, what)
	                           : cli_change_fail(&k->change, status, what);
	bool is_live = k->change.is_live;
	if (result != 0)
		return result;
	cli_change_end(&k->change);
	k->ended = true;
	result = begin(k, k->cli);
	k->change.is_live = is_live;
	return result;
}

static const struct cli_dkim_key *wanted_key(struct keys *k, int *ret_result)
{
	const char *selector = k->cli->args[1];
	const struct cli_dkim_key *key = cli_dkim_key_find(k->v, k->n, selector);
	*ret_result = 0;
	if (!key)
		*ret_result =
		        cli_fail(k->cli, NULL,
		                 "%s has no key `%s`; `mailkeep dkim key list %s` shows those "
		                 "it has",
		                 k->domain->name.s, selector, k->domain->name.s);
	return key;
}

/* --- printing --- */

/* As in a zone file: strings of at most 255 bytes. */
static void print_record(const struct cli_dkim_key *key, struct buf *out)
{
	struct slice text = slice_str(key->record);
	buf_printf(out, "%s. IN TXT (", key->name);
	for (size_t at = 0; at < text.n; at += STRING_MAX) {
		struct slice piece = slice_sub(text, at, STRING_MAX);
		buf_printf(out, "%s\"%.*s\"", at > 0 ? "\n        " : " ", SLICE_FMT(piece));
	}
	buf_add_str(out, " )\n");
}

static json_t *key_json(const struct cli_dkim_key *key)
{
	json_t *json = json_pack("{s:s, s:b, s:b, s:b, s:s}", "selector", key->selector,
	                         "configured", (int)key->in_config, "in_vault", (int)key->in_vault,
	                         "sign", (int)key->sign, "name", key->name);
	if (key->in_vault) {
		json_object_set_new(json, "type", json_string(key->type));
		json_object_set_new(json, "created_at", json_integer(key->created_s));
		json_object_set_new(json, "record", json_string(key->record));
	}
	return json;
}

static void put(struct buf *text)
{
	cli_put(text);
	buf_done(text);
}

/* --- what the DNS has --- */

enum publication { PUBLISHED, MISSING, DIFFERENT, UNKNOWN };

struct published {
	enum publication state;
	const char *why; /* a sentence */
	const char *security;
};

static bool is_same(const struct dkim_key *a, const struct dkim_key *b)
{
	return a->type == b->type && !b->revoked && slice_eq(a->modulus, b->modulus) &&
	       slice_eq(a->exponent, b->exponent) && slice_eq(a->ed25519, b->ed25519);
}

static void compare(const struct dns_answer *answer, const struct cli_dkim_key *key,
                    struct arena *arena, struct published *p)
{
	p->state = DIFFERENT;
	p->why = "the record there has another key";
	for (size_t i = 0; i < answer->n_records; i++) {
		struct dkim_key there;
		struct status status = dkim_key_parse(answer->records[i].txt.joined, arena, &there);
		if (is_ok(status) && is_same(&key->key, &there)) {
			p->state = PUBLISHED;
			p->why = answer->n_records == 1 ? "its record is published"
			                                : "its record is published, among others: "
			                                  "verifiers may take any of them";
		}
	}
}

static struct published look_up(struct cli_check *check, const struct cli_dkim_key *key)
{
	struct published p = {UNKNOWN, "", "none"};
	struct dns_name name;
	if (!is_ok(dns_name_parse(slice_str(key->name), &check->arena, &name)))
		return (struct published){UNKNOWN, "its name is too long for the DNS", "none"};
	const struct dns_answer *answer = mailauth_lookup(&check->dns, name, DNS_TYPE_TXT);
	p.security = dns_security_name(answer->security);
	if (answer->outcome == DNS_FOUND) {
		compare(answer, key, &check->arena, &p);
	} else if (answer->outcome == DNS_FAILED) {
		p.why = answer->why;
	} else {
		p.state = MISSING;
		p.why = "there is no such record";
	}
	return p;
}

/* 0 when the records of all that `wanted` chooses are there; else it says what is to be done. */
static int check_published(struct keys *k, bool (*wanted)(const struct keys *, size_t i))
{
	struct cli_check check;
	int result = cli_check_open(&check, k->cli);
	if (result != 0)
		return result;
	for (size_t i = 0; i < k->n && result == 0; i++) {
		if (!wanted(k, i))
			continue;
		struct published p = look_up(&check, &k->v[i]);
		if (p.state != PUBLISHED)
			result =
			        cli_fail(k->cli, NULL,
			                 "%s: %s (DNSSEC: %s); publish what `mailkeep dkim key "
			                 "record %s %s` prints and wait until it can be looked up, "
			                 "or give --unchecked",
			                 k->v[i].name, p.why, p.security, k->domain->name.s,
			                 k->v[i].selector);
	}
	cli_check_done(&check);
	return result;
}

/* --- dkim key add --- */

static int make_key(struct keys *k, const char *selector, const char *type)
{
	const char *path = cli_option(k->cli, "import");
	const struct config *config = config_edit_config(k->change.edit);
	struct os_fault fault = {.text = "cannot be read"};
	struct slice pem;
	if (!path)
		return cli_dkim_vault_generate(k->cli, config, k->domain, selector, type);
	if (!is_ok(file_read_path(path, DKIM_PEM_MAX, &k->change.arena, &pem, &fault)))
		return cli_fail(k->cli, NULL, "the key cannot be read: %s", fault.text);
	int result = cli_dkim_vault_import(k->cli, config, k->domain, selector, pem);
	secret_wipe((void *)(uintptr_t)pem.p, pem.n);
	return result;
}

static int check_new(struct keys *k, const char *selector, const char *type)
{
	static const char *const types[] = {"rsa-2048", "rsa-3072", "rsa-4096", "ed25519"};
	struct status status = config_check_selector(slice_str(selector));
	bool known = false;
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		known = known || strcmp(type, types[i]) == 0;
	if (!is_ok(status))
		return cli_fail(k->cli, NULL, "`%s` is no selector: it %s", selector, status.why);
	if (!known)
		return cli_fail(
		        k->cli, NULL,
		        "`%s` is not a type of key: rsa-2048, rsa-3072, rsa-4096 or ed25519", type);
	if (cli_dkim_key_find(k->v, k->n, selector))
		return cli_fail(k->cli, NULL,
		                "%s has a key `%s` already; a new key needs a new selector, since "
		                "mail that is under way was signed with the old one",
		                k->domain->name.s, selector);
	return 0;
}

static int put_new(struct keys *k, const struct cli_dkim_key *key, const char *done)
{
	struct buf text;
	buf_init(&text, SIZE_MAX);
	if (k->cli->json)
		return cli_change_done(&k->change, done, json_pack("{s:o}", "key", key_json(key)));
	buf_printf(&text, "%s; publish this record:\n\n", done);
	print_record(key, &text);
	buf_printf(&text, "\nand then sign with it: mailkeep dkim key sign %s %s\n",
	           k->domain->name.s, key->selector);
	put(&text);
	return 0;
}

static int add_key(struct keys *k)
{
	const char *selector = k->cli->args[1], *type = cli_option(k->cli, "type");
	int result = check_new(k, selector, type ? type : "rsa-2048");
	if (result == 0)
		result = make_key(k, selector, type ? type : "rsa-2048");
	if (result == 0)
		result = commit(
		        k, config_edit_dkim_add(k->change.edit, k->domain->name.s, selector, false),
		        "add the key");
	if (result != 0)
		return result;
	const struct cli_dkim_key *key = cli_dkim_key_find(k->v, k->n, selector);
	if (!key || !key->in_vault)
		return cli_fail(k->cli, NULL, "the key was made but is not there");
	const char *done = arena_printf(&k->change.arena, "made the key `%s` of %s", selector,
	                                k->domain->name.s);
	return put_new(k, key, done ? done : "made the key");
}

static int with_keys(struct cli *cli, int (*run)(struct keys *k))
{
	struct keys k;
	int result = begin(&k, cli);
	if (result != 0)
		return result;
	result = run(&k);
	if (!k.ended)
		cli_change_end(&k.change);
	return result;
}

int cli_dkim_key_add(struct cli *cli)
{
	return with_keys(cli, add_key);
}

/* --- dkim key rm --- */

static bool is_only_signer(const struct keys *k, const struct cli_dkim_key *key)
{
	size_t n = 0;
	for (size_t i = 0; i < k->n; i++)
		n += k->v[i].sign;
	return key->sign && n == 1;
}

static int remove_key(struct keys *k)
{
	int result;
	const struct cli_dkim_key *key = wanted_key(k, &result);
	if (!key)
		return result;
	if (is_only_signer(k, key) && !cli_option(k->cli, "force"))
		return cli_fail(k->cli, NULL,
		                "`%s` is the only key that signs mail of %s: add another first, or "
		                "give --force",
		                key->selector, k->domain->name.s);
	if (key->in_config)
		result = commit(
		        k,
		        config_edit_dkim_remove(k->change.edit, k->domain->name.s, key->selector),
		        "remove the key");
	const char *selector = k->cli->args[1];
	if (result == 0)
		result = cli_dkim_vault_remove(k->cli, config_edit_config(k->change.edit),
		                               k->domain, selector);
	if (result != 0)
		return result;
	const char *done = arena_printf(&k->change.arena,
	                                "removed the key `%s` of %s; its record can go when the "
	                                "mail that it signed has arrived",
	                                selector, k->domain->name.s);
	return cli_change_done(&k->change, done ? done : "removed the key", NULL);
}

int cli_dkim_key_rm(struct cli *cli)
{
	return with_keys(cli, remove_key);
}

/* --- dkim key list --- */

static const char *state_of(const struct cli_dkim_key *key)
{
	if (!key->in_vault)
		return key->sign ? "signs, but the vault has no such key" : "not in the vault";
	if (!key->in_config)
		return "not in the configuration";
	return key->sign ? "signs" : "does not sign";
}

static void add_rows(struct cli_table *table, const char *domain, const struct cli_dkim_key *keys,
                     size_t n)
{
	struct buf created;
	buf_init(&created, 64);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&created);
		cli_instant(keys[i].created_s * 1000, &created);
		cli_table_add(table, domain);
		cli_table_add(table, keys[i].selector);
		cli_table_add(table, keys[i].in_vault ? keys[i].type : "-");
		cli_table_add(table, buf_cstr(&created));
		cli_table_add(table, state_of(&keys[i]));
	}
	buf_done(&created);
}

static int list_domain(struct cli *cli, const struct config *config,
                       const struct config_domain *domain, struct arena *arena,
                       struct cli_table *table, json_t *list)
{
	struct cli_dkim_key *keys;
	size_t n;
	int result = cli_dkim_keys(cli, config, domain, arena, &keys, &n);
	if (result != 0)
		return result;
	add_rows(table, domain->name.s, keys, n);
	for (size_t i = 0; i < n; i++) {
		json_t *json = key_json(&keys[i]);
		json_object_set_new(json, "domain", json_string(domain->name.s));
		json_array_append_new(list, json);
	}
	return 0;
}

int cli_dkim_key_list(struct cli *cli)
{
	static const char *const heads[] = {"DOMAIN", "SELECTOR", "TYPE", "MADE", "STATE"};
	struct config *config;
	struct arena arena;
	struct cli_table table;
	bool found = cli->n_args == 0;
	arena_init(&arena, CONFIG_ARENA_MAX);
	int result = cli_load(cli, &arena, &config);
	if (result != 0) {
		arena_done(&arena);
		return result;
	}
	json_t *list = json_array();
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	const struct config_domain *wanted =
	        found ? NULL : config_domain_find(config, slice_str(cli->args[0]));
	if (!found && !wanted)
		result = cli_fail(cli, NULL, "there is no domain `%s`", cli->args[0]);
	for (size_t i = 0; i < config->domains.n && result == 0; i++)
		if (!wanted || wanted == &config->domains.v[i])
			result = list_domain(cli, config, &config->domains.v[i], &arena, &table,
			                     list);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "keys", list));
	if (result == 0 && !cli->json)
		cli_table_show(cli, &table);
	else
		cli_table_done(&table);
	json_decref(list);
	arena_done(&arena);
	return result;
}

/* --- dkim key sign --- */

static bool is_named(const struct keys *k, size_t i)
{
	return strcmp(k->v[i].selector, k->cli->args[1]) == 0;
}

static int set_sign(struct keys *k)
{
	bool on = !cli_option(k->cli, "stop");
	int result;
	const struct cli_dkim_key *key = wanted_key(k, &result);
	if (!key)
		return result;
	if (on && !key->in_vault)
		return cli_fail(
		        k->cli, NULL,
		        "the vault has no key `%s` of %s: remove it (`mailkeep dkim key rm`) "
		        "and add a new one",
		        key->selector, k->domain->name.s);
	if (on && !cli_option(k->cli, "unchecked"))
		result = check_published(k, is_named);
	struct status status = ok();
	if (result == 0 && !key->in_config)
		status = config_edit_dkim_add(k->change.edit, k->domain->name.s, key->selector, on);
	else if (result == 0)
		status =
		        config_edit_dkim_sign(k->change.edit, k->domain->name.s, key->selector, on);
	if (result == 0)
		result = commit(k, status, "change the key");
	if (result != 0)
		return result;
	const char *done = arena_printf(&k->change.arena, "mail of %s is %s with the key `%s`",
	                                k->domain->name.s, on ? "signed" : "no longer signed",
	                                k->cli->args[1]);
	return cli_change_done(&k->change, done ? done : "changed the key", NULL);
}

int cli_dkim_key_sign(struct cli *cli)
{
	return with_keys(cli, set_sign);
}

/* --- dkim key record --- */

static const char *state_name(enum publication state)
{
	static const char *const names[] = {"published", "missing", "different", "unknown"};
	return names[state];
}

static int put_records(struct keys *k, struct cli_check *check)
{
	struct buf text;
	json_t *list = json_array();
	bool good = true;
	size_t n = 0;
	buf_init(&text, SIZE_MAX);
	for (size_t i = 0; i < k->n; i++) {
		if ((k->cli->n_args > 1 && !is_named(k, i)) || !k->v[i].in_vault)
			continue;
		json_t *json = key_json(&k->v[i]);
		n++;
		print_record(&k->v[i], &text);
		if (check) {
			struct published p = look_up(check, &k->v[i]);
			good = good && p.state == PUBLISHED;
			buf_printf(&text, "; %s: %s (DNSSEC: %s)\n", state_name(p.state), p.why,
			           p.security);
			json_object_set_new(json, "state", json_string(state_name(p.state)));
			json_object_set_new(json, "security", json_string(p.security));
		}
		json_array_append_new(list, json);
	}
	if (n == 0)
		good = false;
	if (n > 0 && k->cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", (int)good, "records", list));
	else if (n > 0)
		cli_put(&text);
	json_decref(list);
	buf_done(&text);
	if (n == 0)
		return cli_fail(k->cli, NULL,
		                "%s has no such key; `mailkeep dkim key add %s SELECTOR` makes one",
		                k->domain->name.s, k->domain->name.s);
	return good ? 0 : CLI_FAILED;
}

static int show_records(struct keys *k)
{
	struct cli_check check;
	if (!cli_option(k->cli, "check"))
		return put_records(k, NULL);
	int result = cli_check_open(&check, k->cli);
	if (result != 0)
		return result;
	result = put_records(k, &check);
	cli_check_done(&check);
	return result;
}

int cli_dkim_key_record(struct cli *cli)
{
	return with_keys(cli, show_records);
}

/* --- dkim rotate --- */

/* "20261130a": the day, and the first letter from *letter on that no key of the domain has. */
static const char *new_selector(struct keys *k, char *letter)
{
	struct civil_time t = civil_from_unix(clock_now_s(clock_real()));
	while (*letter <= 'z') {
		const char *selector = arena_printf(&k->change.arena, "%04d%02d%02d%c", t.year,
		                                    t.month, t.day, (*letter)++);
		if (selector && !cli_dkim_key_find(k->v, k->n, selector))
			return selector;
	}
	return NULL;
}

/* New keys for those that sign, of the same kinds. */
static int make_successors(struct keys *k)
{
	struct status status = ok();
	size_t n_new = 0;
	char letter = 'a';
	for (size_t i = 0; i < k->n && is_ok(status); i++) {
		if (!k->v[i].sign || !k->v[i].in_vault)
			continue;
		const char *selector = new_selector(k, &letter);
		if (!selector)
			return cli_fail(k->cli, NULL, "%s has too many keys of today",
			                k->domain->name.s);
		int result = cli_dkim_vault_generate(k->cli, config_edit_config(k->change.edit),
		                                     k->domain, selector, k->v[i].type);
		if (result != 0)
			return result;
		status = config_edit_dkim_add(k->change.edit, k->domain->name.s, selector, false);
		n_new++;
	}
	if (n_new > 0)
		return commit(k, status, "add the keys");
	return cli_fail(
	        k->cli, NULL,
	        "no key of %s signs, so there is nothing to replace; `mailkeep dkim key add "
	        "%s SELECTOR` makes one",
	        k->domain->name.s, k->domain->name.s);
}

/* Not older than any of their kind that signs, not signing yet. */
static bool is_successor(const struct keys *k, size_t i)
{
	const struct cli_dkim_key *key = &k->v[i];
	bool any = false;
	if (key->sign || !key->in_vault || !key->in_config)
		return false;
	for (size_t j = 0; j < k->n; j++) {
		if (!k->v[j].sign || k->v[j].key.type != key->key.type)
			continue;
		any = true;
		if (k->v[j].created_s > key->created_s)
			return false;
	}
	return any;
}

static bool is_replaced(const struct keys *k, size_t i)
{
	if (!k->v[i].sign)
		return false;
	for (size_t j = 0; j < k->n; j++)
		if (is_successor(k, j) && k->v[j].key.type == k->v[i].key.type)
			return true;
	return false;
}

static size_t count(const struct keys *k, bool (*wanted)(const struct keys *, size_t i))
{
	size_t n = 0;
	for (size_t i = 0; i < k->n; i++)
		n += wanted(k, i);
	return n;
}

/* All in one write of the config, so that there is no moment with both or neither. */
static int switch_over(struct keys *k)
{
	struct status status = ok();
	struct buf text;
	int result = cli_option(k->cli, "unchecked") ? 0 : check_published(k, is_successor);
	if (result != 0)
		return result;
	buf_init(&text, SIZE_MAX);
	json_t *begun = json_array(), *ended = json_array();
	for (size_t i = 0; i < k->n && is_ok(status); i++) {
		bool begins = is_successor(k, i), ends = is_replaced(k, i);
		if (!begins && !ends)
			continue;
		status = config_edit_dkim_sign(k->change.edit, k->domain->name.s, k->v[i].selector,
		                               begins);
		json_array_append_new(begins ? begun : ended, json_string(k->v[i].selector));
		if (ends)
			buf_printf(&text, "%s`%s`", text.n > 0 ? ", " : "", k->v[i].selector);
	}
	result = commit(k, status, "switch to the new keys");
	const char *done =
	        result != 0 ? NULL
	                    : arena_printf(&k->change.arena,
	                                   "mail of %s is signed with the new keys; leave the "
	                                   "records of %s for a week, then "
	                                   "remove them and the keys (`mailkeep dkim key rm`)",
	                                   k->domain->name.s, buf_cstr(&text));
	if (result == 0)
		result = cli_change_done(&k->change, done ? done : "switched",
		                         json_pack("{s:O, s:O}", "begun", begun, "ended", ended));
	json_decref(begun);
	json_decref(ended);
	buf_done(&text);
	return result;
}

static int put_successors(struct keys *k)
{
	struct buf text;
	json_t *list = json_array();
	buf_init(&text, SIZE_MAX);
	buf_printf(&text, "new keys of %s; publish these records:\n\n", k->domain->name.s);
	for (size_t i = 0; i < k->n; i++) {
		if (!is_successor(k, i))
			continue;
		print_record(&k->v[i], &text);
		json_array_append_new(list, key_json(&k->v[i]));
	}
	buf_printf(&text, "\nand then sign with them: mailkeep dkim rotate %s\n",
	           k->domain->name.s);
	if (k->cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "keys", list));
	else
		cli_put(&text);
	json_decref(list);
	buf_done(&text);
	return 0;
}

static int rotate(struct keys *k)
{
	if (count(k, is_successor) > 0)
		return switch_over(k);
	int result = make_successors(k);
	return result == 0 ? put_successors(k) : result;
}

int cli_dkim_rotate(struct cli *cli)
{
	return with_keys(cli, rotate);
}
