/* mailkeep domain add|rm|list|enable|disable */
#include "cli/change.h"

enum action {
	ADD,
	REMOVE,
	ENABLE,
	DISABLE,
};

static struct status apply(struct config_edit *edit, enum action action, const char *name,
                           const char *catchall)
{
	struct config_edit_field field = {"catchall", catchall};
	struct status status = ok();
	switch (action) {
	case ADD:
		return config_edit_domain_add(edit, name, &field, catchall != NULL);
	case REMOVE:
		return config_edit_domain_remove(edit, name);
	case ENABLE:
		status = config_edit_domain_set(edit, name, "enabled", NULL);
		/* Enabled is the default: nothing to take away is no failure. */
		return status.code == ERR_NOT_FOUND ? ok() : status;
	case DISABLE:
		return config_edit_domain_set(edit, name, "enabled", "false");
	}
	BUG("an action is missing");
}

static int change_domain(struct cli *cli, enum action action, const char *verb, const char *past,
                         const char *catchall)
{
	struct cli_change change;
	char what[400], done[400];
	const char *name = cli->args[0];
	snprintf(what, sizeof(what), "%s domain `%.300s`", verb, name);
	snprintf(done, sizeof(done), "%s domain `%.300s`", past, name);
	int result = cli_change_begin(&change, cli);
	if (result)
		return result;
	if (action != ADD && !config_domain_find(config_edit_config(change.edit), slice_str(name)))
		result = cli_fail(cli, NULL, "there is no domain `%s`%s", name,
		                  cli_change_near(&change, CLI_DOMAIN, name));
	struct status status = ok();
	if (result == 0)
		status = apply(change.edit, action, name, catchall);
	if (result == 0 && !is_ok(status))
		result = cli_change_fail(&change, status, what);
	if (result == 0)
		result = cli_change_commit(&change, what);
	if (result == 0)
		result = cli_change_done(&change, done, NULL);
	cli_change_end(&change);
	return result;
}

int cli_domain_add(struct cli *cli)
{
	return change_domain(cli, ADD, "add", "added", cli_option(cli, "catchall"));
}

int cli_domain_rm(struct cli *cli)
{
	return change_domain(cli, REMOVE, "remove", "removed", NULL);
}

int cli_domain_enable(struct cli *cli)
{
	return change_domain(cli, ENABLE, "enable", "enabled", NULL);
}

int cli_domain_disable(struct cli *cli)
{
	return change_domain(cli, DISABLE, "disable", "disabled", NULL);
}

static const char *catchall_of(const struct config_domain *domain)
{
	if (domain->catchall_account)
		return domain->catchall_account->name.s;
	return domain->catchall_alias ? domain->catchall_alias->name.s : NULL;
}

static void list_json(const struct config *config)
{
	json_t *list = json_array();
	for (size_t i = 0; i < config->domains.n; i++) {
		const struct config_domain *d = &config->domains.v[i];
		json_array_append_new(
		        list,
		        json_pack("{s:s, s:s, s:b, s:s?, s:s, s:b}", "name", d->name.s, "ascii",
		                  d->ascii, "enabled", (int)d->enabled, "catchall", catchall_of(d),
		                  "subaddress_separator", d->subaddress_separator.s,
		                  "case_sensitive_localparts", (int)d->case_sensitive_localparts));
	}
	cli_put_json(json_pack("{s:o}", "domains", list));
}

static void list_text(const struct cli *cli, const struct config *config)
{
	static const char *const heads[] = {"DOMAIN", "ENABLED", "TAGS", "CATCHALL"};
	struct cli_table table;
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	for (size_t i = 0; i < config->domains.n; i++) {
		const struct config_domain *d = &config->domains.v[i];
		cli_table_add(&table, d->name.s);
		cli_table_add(&table, d->enabled ? "yes" : "no");
		cli_table_add(&table,
		              d->subaddress_separator.n ? d->subaddress_separator.s : "off");
		cli_table_add(&table, catchall_of(d) ? catchall_of(d) : "-");
	}
	cli_table_show(cli, &table);
}

int cli_domain_list(struct cli *cli)
{
	return cli_list(cli, list_json, list_text);
}
