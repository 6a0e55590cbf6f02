/* mailkeep address add|rm|list|find */
#include "cli/change.h"
#include "config/name.h"

/* "added x@example.org and 2 more to account ada" */
static const char *done_text(struct cli_change *change, bool add)
{
	const struct cli *cli = change->cli;
	size_t first = add ? 1 : 0, n_more = cli->n_args - first - 1;
	struct buf text;
	buf_init(&text, 10000);
	buf_printf(&text, "%s `%.600s`", add ? "added" : "removed", cli->args[first]);
	if (n_more > 0)
		buf_printf(&text, " and %zu more", n_more);
	if (add)
		buf_printf(&text, " to account `%s`", cli->args[0]);
	const char *copy = arena_cstr(&change->arena, buf_slice(&text));
	buf_done(&text);
	return copy ? copy : "done";
}

static int change_addresses(struct cli *cli, bool add)
{
	struct cli_change change;
	const char *account = add ? cli->args[0] : NULL;
	const char *what = add ? "add the address" : "remove the address";
	int result = cli_change_begin(&change, cli);
	if (result)
		return result;
	if (add && !config_account_find(config_edit_config(change.edit), slice_str(account)))
		result = cli_fail(cli, NULL, "there is no account `%s`%s", account,
		                  cli_change_near(&change, CLI_ACCOUNT, account));
	for (size_t i = add ? 1 : 0; result == 0 && i < cli->n_args; i++) {
		const char *address = cli->args[i];
		const char *this = arena_printf(&change.arena, "%s `%s`", what, address);
		struct status status = add ? config_edit_address_add(change.edit, account, address)
		                           : config_edit_address_remove(change.edit, address);
		if (!is_ok(status))
			result = cli_change_fail(&change, status, this ? this : what);
	}
	if (result == 0)
		result = cli_change_commit(&change, what);
	if (result == 0)
		result = cli_change_done(&change, done_text(&change, add), NULL);
	cli_change_end(&change);
	return result;
}

int cli_address_add(struct cli *cli)
{
	return change_addresses(cli, true);
}

int cli_address_rm(struct cli *cli)
{
	return change_addresses(cli, false);
}

/* --- list --- */

struct listing {
	struct cli_table table;
	json_t *json; /* NULL: the table */
};

static void list_one(struct listing *listing, const char *address, const char *kind,
                     const char *target)
{
	if (listing->json) {
		json_array_append_new(listing->json,
		                      json_pack("{s:s, s:s, s:s}", "address", address, "kind", kind,
		                                "target", target));
		return;
	}
	cli_table_add(&listing->table, address);
	cli_table_add(&listing->table, kind);
	cli_table_add(&listing->table, target);
}

static void list_all(struct listing *listing, const struct config *config, const char *only)
{
	for (size_t i = 0; i < config->accounts.n; i++) {
		const struct config_account *a = &config->accounts.v[i];
		for (size_t j = 0; (!only || strcmp(only, a->name.s) == 0) && j < a->addresses.n;
		     j++)
			list_one(listing, a->addresses.v[j].s,
			         a->addresses.v[j].s[0] == '@' ? "catchall" : "account", a->name.s);
	}
	for (size_t i = 0; i < config->domains.n; i++) {
		const struct config_domain *d = &config->domains.v[i];
		char address[CONFIG_ADDRESS_MAX + 2];
		snprintf(address, sizeof(address), "@%s", d->name.s);
		if (d->catchall.n > 0 && (!only || strcmp(only, d->catchall.s) == 0))
			list_one(listing, address, "catchall", d->catchall.s);
	}
	for (size_t i = 0; !only && i < config->aliases.n; i++) {
		const struct config_alias *alias = &config->aliases.v[i];
		for (size_t j = 0; j < alias->members.n; j++)
			list_one(listing, alias->name.s, "alias", alias->members.v[j].s);
	}
}

static int list_addresses(struct cli *cli, const struct config *config, const char *only)
{
	static const char *const heads[] = {"ADDRESS", "KIND", "GOES TO"};
	struct listing listing = {.json = cli->json ? json_array() : NULL};
	struct buf text;
	cli_table_heads(&listing.table, heads, N_ELEMENTS(heads));
	list_all(&listing, config, only);
	if (cli->json) {
		cli_put_json(json_pack("{s:o}", "addresses", listing.json));
	} else {
		buf_init(&text, SIZE_MAX);
		cli_table_print(&listing.table, cli->width, &text);
		cli_put(&text);
		buf_done(&text);
	}
	cli_table_done(&listing.table);
	return 0;
}

int cli_address_list(struct cli *cli)
{
	struct arena arena;
	struct config *config;
	const char *only = cli->n_args > 0 ? cli->args[0] : NULL;
	arena_init(&arena, CONFIG_ARENA_MAX);
	int result = cli_load(cli, &arena, &config);
	if (result == 0 && only && !config_account_find(config, slice_str(only)))
		result = cli_fail(cli, NULL,
		                  "there is no account `%s`; `mailkeep account list` shows all",
		                  only);
	if (result == 0)
		result = list_addresses(cli, config, only);
	arena_done(&arena);
	return result;
}

/* --- find --- */

static const char *match_text(enum config_match match)
{
	switch (match) {
	case CONFIG_MATCH_EXACT:
		return "the address itself is configured";
	case CONFIG_MATCH_SUBADDRESS:
		return "the address without its tag is configured";
	case CONFIG_MATCH_CATCHALL:
		return "the domain has a catchall";
	case CONFIG_MATCH_POSTMASTER:
		return "postmaster is received for every domain and name of the server";
	}
	BUG("a match is missing");
}

static const char *refusal_text(const struct config_lookup *lookup)
{
	switch (lookup->kind) {
	case CONFIG_LOOKUP_ACCOUNT:
	case CONFIG_LOOKUP_ALIAS:
		return "";
	case CONFIG_LOOKUP_UNKNOWN_USER:
		return "the domain is received here, but it has no such address, no catchall, and "
		       "it is not "
		       "postmaster";
	case CONFIG_LOOKUP_UNKNOWN_DOMAIN:
		return "the domain is not received here";
	case CONFIG_LOOKUP_DISABLED:
		return lookup->domain && !lookup->domain->enabled
		               ? "the domain is disabled; senders are told to try later"
		               : "the account, or each member of the alias, is disabled; senders "
		                 "are told to "
		                 "try later";
	}
	BUG("a kind is missing");
}

static void found_json(const struct config_lookup *lookup)
{
	json_t *accounts = json_array();
	if (lookup->account)
		json_array_append_new(accounts, json_string(lookup->account->name.s));
	for (size_t i = 0; lookup->alias && i < lookup->alias->n_targets; i++)
		json_array_append_new(accounts,
		                      json_string(lookup->alias->targets[i].account->name.s));
	cli_put_json(json_pack("{s:b, s:s, s:s?, s:o, s:s}", "ok", 1, "address", lookup->address,
	                       "alias", lookup->alias ? lookup->alias->name.s : NULL, "accounts",
	                       accounts, "because", match_text(lookup->match)));
}

static void found_text(const struct cli *cli, const struct config_lookup *lookup)
{
	if (lookup->account)
		printf("%s goes to account %s, because %s\n", cli->args[0], lookup->account->name.s,
		       match_text(lookup->match));
	if (!lookup->alias)
		return;
	printf("%s goes to alias %s, because %s; that is\n", cli->args[0], lookup->alias->name.s,
	       match_text(lookup->match));
	for (size_t i = 0; i < lookup->alias->n_targets; i++)
		printf("  account %s (%s)\n", lookup->alias->targets[i].account->name.s,
		       lookup->alias->targets[i].address);
}

int cli_address_find(struct cli *cli)
{
	struct arena arena;
	struct config *config;
	struct config_lookup lookup;
	struct slice localpart = slice_str(cli->args[0]), domain = slice_empty();
	arena_init(&arena, CONFIG_ARENA_MAX);
	int result = cli_load(cli, &arena, &config);
	if (result == 0) {
		(void)config_address_split(slice_str(cli->args[0]), &localpart, &domain);
		config_lookup_address(config, localpart, domain, &lookup);
		if (!lookup.account && !lookup.alias)
			result = cli_fail(cli, NULL, "mail to %s is refused: %s", cli->args[0],
			                  refusal_text(&lookup));
		else if (cli->json)
			found_json(&lookup);
		else
			found_text(cli, &lookup);
	}
	arena_done(&arena);
	return result;
}
