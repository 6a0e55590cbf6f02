/* mailkeep account add|rm|list|password|enable|disable|quota */
#include "cli/change.h"
#include "cli/password.h"
#include "config/value.h"

/* --- password --- */

/* Reads or makes a password. *ret_is_made: it must be shown. */
static int get_password(struct cli *cli, const char *account, struct secret *password,
                        bool *ret_is_made)
{
	*ret_is_made = cli_option(cli, "generate") != NULL;
	if (!*ret_is_made)
		return cli_password_read(cli, account, password);
	struct status status = cli_password_make(password);
	return is_ok(status) ? 0 : cli_fail(cli, NULL, "cannot make a password: %s", status.why);
}

/* A member of the JSON object, or a line: the only time that the password is shown. */
static json_t *show_password(const struct cli *cli, const char *account,
                             const struct secret *password)
{
	if (cli->json)
		return json_pack("{s:s%}", "password", (const char *)password->p, password->n);
	printf("password of %s: %.*s\n", account, (int)password->n, (const char *)password->p);
	return NULL;
}

/* made: to be shown, NULL when the user knows it. */
static void password_done(const struct cli *cli, const char *name, const struct secret *made,
                          bool is_live)
{
	json_t *shown = made ? show_password(cli, name, made) : NULL;
	if (cli->json) {
		json_t *object = json_pack("{s:b, s:b}", "ok", 1, "running", (int)is_live);
		if (shown)
			json_object_update(object, shown);
		cli_put_json(object);
	} else if (!made) {
		printf("the password of %s is set\n", name);
	}
	json_decref(shown);
}

int cli_account_password(struct cli *cli)
{
	struct arena arena;
	struct secret password = {0};
	struct config *config;
	const char *name = cli->args[0], *why = "";
	enum cli_password_way way = CLI_PASSWORD_LIVE;
	bool is_made = false;
	arena_init(&arena, CONFIG_ARENA_MAX);
	secret_init(&password, CLI_PASSWORD_MAX);
	int result = cli_load(cli, &arena, &config);
	if (result == 0 && !config_account_find(config, slice_str(name)))
		result = cli_fail(cli, NULL,
		                  "there is no account `%s`; `mailkeep account list` shows all",
		                  name);
	if (result == 0)
		result = get_password(cli, name, &password, &is_made);
	if (result == 0 && !is_ok(cli_password_set(config, name, &password, &arena, &way, &why)))
		result = cli_fail(cli, NULL, "cannot set the password of %s: %s", name, why);
	if (result == 0)
		password_done(cli, name, is_made ? &password : NULL, way == CLI_PASSWORD_LIVE);
	secret_done(&password);
	arena_done(&arena);
	return result;
}

/* --- add and remove --- */

static size_t given_fields(struct cli *cli, struct config_edit_field *fields)
{
	size_t n = 0;
	if (cli_option(cli, "full-name"))
		fields[n++] = (struct config_edit_field){"full_name", cli_option(cli, "full-name")};
	if (cli_option(cli, "quota"))
		fields[n++] = (struct config_edit_field){"quota", cli_option(cli, "quota")};
	return n;
}

#define KNOWN_STEP_MS 50
#define KNOWN_MAX_MS  5000

/* The rooms take a new configuration over one after the other; until the account is known to all,
 * its password is refused. */
static struct status set_when_known(struct cli_change *change, const char *name,
                                    const struct secret *password, const char **ret_why)
{
	const struct timespec step = {.tv_nsec = KNOWN_STEP_MS * 1000000L};
	const struct config *config = config_edit_config(change->edit);
	enum cli_password_way way;
	struct status status =
	        cli_password_set(config, name, password, &change->arena, &way, ret_why);
	for (int waited = 0; change->is_live && status.code == ERR_INVALID && waited < KNOWN_MAX_MS;
	     waited += KNOWN_STEP_MS) {
		(void)nanosleep(&step, NULL);
		status = cli_password_set(config, name, password, &change->arena, &way, ret_why);
	}
	return status;
}

/* The account is in the files and known to a running server: now its password. */
static int finish_add(struct cli_change *change, const char *done, const struct secret *password,
                      bool is_made)
{
	struct cli *cli = change->cli;
	const char *why = "", *name = cli->args[0];
	if (!password)
		return cli_change_done(change, done, NULL);
	if (!is_ok(set_when_known(change, name, password, &why)))
		return cli_fail(cli, NULL,
		                "added account `%s`, but cannot set its password: %s; try "
		                "`mailkeep account password %s`",
		                name, why, name);
	json_t *shown = is_made ? show_password(cli, name, password) : NULL;
	return cli_change_done(change, done, shown);
}

static int add_account(struct cli *cli, const struct secret *password, bool is_made)
{
	struct cli_change change;
	struct config_edit_field fields[2];
	char what[128], done[128];
	snprintf(what, sizeof(what), "add account `%s`", cli->args[0]);
	snprintf(done, sizeof(done), "added account `%s`", cli->args[0]);
	int result = cli_change_begin(&change, cli);
	if (result)
		return result;
	struct status status =
	        config_edit_account_add(change.edit, cli->args[0], cli->args + 1, cli->n_args - 1,
	                                fields, given_fields(cli, fields));
	if (!is_ok(status))
		result = cli_change_fail(&change, status, what);
	if (result == 0)
		result = cli_change_commit(&change, what);
	if (result == 0)
		result = finish_add(&change, done, password, is_made);
	cli_change_end(&change);
	return result;
}

int cli_account_add(struct cli *cli)
{
	struct secret password;
	bool is_made = false;
	if (cli_option(cli, "no-password"))
		return add_account(cli, NULL, false);
	secret_init(&password, CLI_PASSWORD_MAX);
	int result = get_password(cli, cli->args[0], &password, &is_made);
	if (result == 0)
		result = add_account(cli, &password, is_made);
	secret_done(&password);
	return result;
}

/* The password goes first: a verifier without an account would come to life again with a new
 * account of the name, while an account without a password can be mended. */
static int remove_account(struct cli_change *change, const char *what, const char *done)
{
	const struct config *config = config_edit_config(change->edit);
	const char *name = change->cli->args[0], *why = "";
	struct status status = config_edit_account_remove(change->edit, name);
	if (!is_ok(status))
		return cli_change_fail(change, status, what);
	struct status removed = cli_password_remove(config, name, &change->arena, &why);
	if (!is_ok(removed))
		return cli_fail(change->cli, NULL, "cannot %s: its password cannot be removed: %s",
		                what, why);
	int result = cli_change_commit(change, what);
	if (result)
		return result;
	json_t *mail =
	        json_pack("{s:s+++}", "mail", config->data_directory.s, "/accounts/", name, "");
	result = cli_change_done(change, done, mail);
	if (!change->cli->json)
		printf("its mail is still in %s/accounts/%s\n", config->data_directory.s, name);
	return result;
}

int cli_account_rm(struct cli *cli)
{
	struct cli_change change;
	char what[128], done[128];
	snprintf(what, sizeof(what), "remove account `%s`", cli->args[0]);
	snprintf(done, sizeof(done), "removed account `%s`", cli->args[0]);
	int result = cli_change_begin(&change, cli);
	if (result)
		return result;
	result = remove_account(&change, what, done);
	cli_change_end(&change);
	return result;
}

/* --- fields --- */

static int set_field(struct cli *cli, const char *field, const char *value, const char *what,
                     const char *done)
{
	struct cli_change change;
	const char *name = cli->args[0];
	int result = cli_change_begin(&change, cli);
	if (result)
		return result;
	struct status status = ok();
	if (!config_account_find(config_edit_config(change.edit), slice_str(name)))
		result = cli_fail(cli, NULL, "there is no account `%s`%s", name,
		                  cli_change_near(&change, CLI_ACCOUNT, name));
	else
		status = config_edit_account_set(change.edit, name, field, value);
	/* Back to a default that is there already is no failure. */
	bool is_noop = !value && status.code == ERR_NOT_FOUND;
	if (result == 0 && !is_ok(status) && !is_noop)
		result = cli_change_fail(&change, status, what);
	if (result == 0)
		result = cli_change_commit(&change, what);
	if (result == 0)
		result = cli_change_done(&change, done, NULL);
	cli_change_end(&change);
	return result;
}

int cli_account_enable(struct cli *cli)
{
	char what[128], done[128];
	snprintf(what, sizeof(what), "enable account `%s`", cli->args[0]);
	snprintf(done, sizeof(done), "enabled account `%s`", cli->args[0]);
	return set_field(cli, "enabled", NULL, what, done);
}

int cli_account_disable(struct cli *cli)
{
	char what[128], done[128];
	snprintf(what, sizeof(what), "disable account `%s`", cli->args[0]);
	snprintf(done, sizeof(done), "disabled account `%s`", cli->args[0]);
	return set_field(cli, "enabled", "false", what, done);
}

int cli_account_quota(struct cli *cli)
{
	char what[128], done[128];
	bool is_default = strcmp(cli->args[1], "default") == 0;
	snprintf(what, sizeof(what), "set the quota of account `%s`", cli->args[0]);
	snprintf(done, sizeof(done), "set the quota of account `%s` to %s", cli->args[0],
	         cli->args[1]);
	return set_field(cli, "quota", is_default ? NULL : cli->args[1], what, done);
}

/* --- list --- */

static json_t *texts_json(const struct config_texts *texts)
{
	json_t *list = json_array();
	for (size_t i = 0; i < texts->n; i++)
		json_array_append_new(list, json_string(texts->v[i].s));
	return list;
}

static void list_json(const struct config *config)
{
	json_t *list = json_array();
	for (size_t i = 0; i < config->accounts.n; i++) {
		const struct config_account *a = &config->accounts.v[i];
		json_t *quota = a->quota == CONFIG_UNLIMITED ? json_null()
		                                             : json_integer((json_int_t)a->quota);
		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:b}", "name",
		                                      a->name.s, "full_name", a->full_name.s,
		                                      "addresses", texts_json(&a->addresses),
		                                      "quota", quota, "enabled", (int)a->enabled));
	}
	cli_put_json(json_pack("{s:o}", "accounts", list));
}

static void add_row(struct cli_table *table, const struct config_account *account)
{
	struct buf text;
	buf_init(&text, 10000000);
	cli_table_add(table, account->name.s);
	cli_table_add(table, account->enabled ? "yes" : "no");
	if (account->quota == CONFIG_UNLIMITED)
		buf_add_str(&text, "unlimited");
	else
		config_print_size(account->quota, &text);
	cli_table_add(table, buf_cstr(&text));
	cli_table_add(table, *account->full_name.s ? account->full_name.s : "-");
	buf_reset(&text);
	for (size_t i = 0; i < account->addresses.n; i++)
		buf_printf(&text, "%s%s", i > 0 ? ", " : "", account->addresses.v[i].s);
	cli_table_add(table, buf_cstr(&text));
	buf_done(&text);
}

static void list_text(const struct cli *cli, const struct config *config)
{
	static const char *const heads[] = {"ACCOUNT", "ENABLED", "QUOTA", "FULL NAME",
	                                    "ADDRESSES"};
	struct cli_table table;
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	for (size_t i = 0; i < config->accounts.n; i++)
		add_row(&table, &config->accounts.v[i]);
	cli_table_show(cli, &table);
}

int cli_account_list(struct cli *cli)
{
	return cli_list(cli, list_json, list_text);
}
