/* mailkeep alias add|rm|list */
#include "cli/change.h"

static struct status add_members(struct cli *cli, struct config_edit *edit)
{
	struct status status =
	        config_edit_alias_add(edit, cli->args[0], cli->args + 1, cli->n_args - 1);
	if (status.code != ERR_EXISTS)
		return status;
	for (size_t i = 1; i < cli->n_args; i++)
		TRY(config_edit_member_add(edit, cli->args[0], cli->args[i]));
	return ok();
}

static struct status remove_members(struct cli *cli, struct config_edit *edit)
{
	if (cli->n_args == 1)
		return config_edit_alias_remove(edit, cli->args[0]);
	for (size_t i = 1; i < cli->n_args; i++)
		TRY(config_edit_member_remove(edit, cli->args[0], cli->args[i]));
	return ok();
}

static int change_alias(struct cli *cli, bool add)
{
	struct cli_change change;
	const char *name = cli->args[0];
	int result = cli_change_begin(&change, cli);
	if (result)
		return result;
	const char *what =
	        arena_printf(&change.arena, "%s alias `%s`", add ? "add to" : "remove from", name);
	const char *done = arena_printf(&change.arena, "%s alias `%s`",
	                                add ? "added to" : "removed from", name);
	if (!add && !config_alias_find(config_edit_config(change.edit), slice_str(name)))
		result = cli_fail(cli, NULL, "there is no alias `%s`%s", name,
		                  cli_change_near(&change, CLI_ALIAS, name));
	struct status status = ok();
	if (result == 0)
		status = add ? add_members(cli, change.edit) : remove_members(cli, change.edit);
	if (result == 0 && !is_ok(status))
		result = cli_change_fail(&change, status, what ? what : "change the alias");
	if (result == 0)
		result = cli_change_commit(&change, what ? what : "change the alias");
	if (result == 0)
		result = cli_change_done(&change, done ? done : "changed the alias", NULL);
	cli_change_end(&change);
	return result;
}

int cli_alias_add(struct cli *cli)
{
	return change_alias(cli, true);
}

int cli_alias_rm(struct cli *cli)
{
	return change_alias(cli, false);
}

static void list_json(const struct config *config)
{
	json_t *list = json_array();
	for (size_t i = 0; i < config->aliases.n; i++) {
		const struct config_alias *alias = &config->aliases.v[i];
		json_t *members = json_array(), *accounts = json_array();
		for (size_t j = 0; j < alias->members.n; j++)
			json_array_append_new(members, json_string(alias->members.v[j].s));
		for (size_t j = 0; j < alias->n_targets; j++)
			json_array_append_new(accounts,
			                      json_string(alias->targets[j].account->name.s));
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "address", alias->name.s,
		                                      "members", members, "accounts", accounts));
	}
	cli_put_json(json_pack("{s:o}", "aliases", list));
}

static void list_text(const struct cli *cli, const struct config *config)
{
	static const char *const heads[] = {"ALIAS", "MEMBERS"};
	struct cli_table table;
	struct buf text;
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	buf_init(&text, SIZE_MAX);
	for (size_t i = 0; i < config->aliases.n; i++) {
		const struct config_alias *alias = &config->aliases.v[i];
		buf_reset(&text);
		for (size_t j = 0; j < alias->members.n; j++)
			buf_printf(&text, "%s%s", j > 0 ? ", " : "", alias->members.v[j].s);
		cli_table_add(&table, alias->name.s);
		cli_table_add(&table, buf_cstr(&text));
	}
	buf_done(&text);
	cli_table_show(cli, &table);
}

int cli_alias_list(struct cli *cli)
{
	return cli_list(cli, list_json, list_text);
}
