/* Secrets of transports: set, removed, listed; never shown. The vault keeps them. */
#include "cli/secret.h"

#include "cli/change.h"
#include "cli/password.h"
#include "config/value.h"

#include <unistd.h>

#define LIST_MEMORY ((size_t)1024 * 1024)

struct secret_change {
	const char *name;
	const struct secret *value; /* NULL: removed */
};

static struct status write_vault(struct vault *vault, void *context, struct os_fault *fault)
{
	const struct secret_change *change = context;
	struct slice name = slice_str(change->name);
	if (change->value)
		return vault_secret_set(vault, name, secret_slice(change->value), fault);
	return vault_secret_remove(vault, name, fault);
}

static int read_value(const struct cli *cli, const char *name, struct secret *ret_value)
{
	char prompt[200];
	bool got;
	snprintf(prompt, sizeof(prompt), "Secret `%s`: ", name);
	got = isatty(STDIN_FILENO) ? cli_secret_hidden(prompt, ret_value)
	                           : cli_secret_line(ret_value);
	if (got)
		return 0;
	return cli_fail(cli, NULL,
	                "no secret came on standard input, or one of more than %zu bytes; write it "
	                "as one line",
	                VAULT_SECRET_MAX);
}

static bool is_used(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->transports.n; i++)
		if (strcmp(config->transports.v[i].secret.s, name) == 0)
			return true;
	return false;
}

static int run_change(struct cli *cli, const struct config *config, struct secret_change *change,
                      struct arena *arena)
{
	bool live = false;
	const char *why = "";
	struct cli_vault_change request = {
	        .request =
	                json_pack("{s:s, s:s}", "command",
	                          change->value ? "secret-set" : "secret-rm", "name", change->name),
	        .offline = write_vault,
	        .context = change,
	};
	struct status status = ok();
	if (change->value && !cli_vault_add_secret(request.request, "value", change->value))
		status = fail(ERR_INVALID, why = "the secret is not UTF-8 text");
	if (is_ok(status))
		status = cli_vault_change(config, &request, arena, NULL, &live, &why);
	json_decref(request.request);
	/* From the running server NOT_FOUND comes as INVALID, apart from there being none. */
	if (!change->value &&
	    (status.code == ERR_NOT_FOUND || (live && status.code == ERR_INVALID)))
		return cli_fail(cli, NULL, "there is no secret `%s`", change->name);
	if (!is_ok(status))
		return cli_fail(cli, NULL, "the secret `%s` could not be %s: %s", change->name,
		                change->value ? "kept" : "removed", why);
	if (cli->json) {
		cli_put_json(json_pack("{s:b, s:s, s:b}", "ok", 1, "name", change->name, "live",
		                       (int)live));
		return 0;
	}
	printf("%s the secret `%s`%s\n", change->value ? "kept" : "removed", change->name,
	       change->value && !is_used(config, change->name)
	               ? "; no transport names it yet (`secret: NAME`)"
	               : "");
	return 0;
}

static int with_config(struct cli *cli, int (*run)(struct cli *cli, const struct config *config,
                                                   struct arena *arena))
{
	struct arena arena;
	struct config_problems problems;
	struct config *config;
	int result;
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	if (is_ok(config_load(cli->config_directory, &arena, &config, &problems)))
		result = run(cli, config, &arena);
	else
		result = cli_fail(cli, &problems, "the configuration has errors");
	config_problems_done(&problems);
	arena_done(&arena);
	return result;
}

static int check_name(const struct cli *cli)
{
	struct status status = config_check_name(slice_str(cli->args[0]));
	return is_ok(status) ? 0
	                     : cli_fail(cli, NULL, "`%s` is no name of a secret: it %s",
	                                cli->args[0], status.why);
}

static int set_secret(struct cli *cli, const struct config *config, struct arena *arena)
{
	struct secret value;
	secret_init(&value, VAULT_SECRET_MAX);
	int result = check_name(cli);
	if (result == 0)
		result = read_value(cli, cli->args[0], &value);
	if (result == 0)
		result = run_change(cli, config, &(struct secret_change){cli->args[0], &value},
		                    arena);
	secret_done(&value);
	return result;
}

int cli_secret_set(struct cli *cli)
{
	return with_config(cli, set_secret);
}

static int remove_secret(struct cli *cli, const struct config *config, struct arena *arena)
{
	int result = check_name(cli);
	if (result)
		return result;
	return run_change(cli, config, &(struct secret_change){cli->args[0], NULL}, arena);
}

int cli_secret_rm(struct cli *cli)
{
	return with_config(cli, remove_secret);
}

/* --- list --- */

struct names {
	const char **v;
	size_t n;
	struct arena *arena;
};

static bool add_name(struct names *names, struct slice name)
{
	char *copy = arena_cstr(names->arena, name);
	if (copy)
		names->v[names->n++] = copy;
	return copy != NULL;
}

static struct status list_offline(struct vault *vault, void *context, struct os_fault *fault)
{
	struct names *names = context;
	const struct slice *found;
	size_t n;
	(void)fault;
	TRY(vault_secret_list(vault, &found, &n, names->arena));
	names->v = ARENA_ARRAY(names->arena, n, const char *);
	for (size_t i = 0; i < n && names->v; i++)
		(void)add_name(names, found[i]);
	return arena_failed(names->arena) ? fail(ERR_LIMIT, "too many secrets") : ok();
}

static void take_answer(struct names *names, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "names");
	names->v = ARENA_ARRAY(names->arena, json_array_size(list), const char *);
	for (size_t i = 0; i < json_array_size(list) && names->v; i++) {
		const char *name = json_string_value(json_array_get(list, i));
		if (name)
			(void)add_name(names, slice_str(name));
	}
}

/* "smarthost, proxy": the transports that log in with it. */
static void users_of(const struct config *config, const char *name, struct buf *out)
{
	for (size_t i = 0; i < config->transports.n; i++) {
		const struct config_transport *t = &config->transports.v[i];
		if (strcmp(t->secret.s, name) == 0)
			buf_printf(out, "%s%s", out->n > 0 ? ", " : "", t->name.s);
	}
}

static bool has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], name) == 0)
			return true;
	return false;
}

/* What transports name and the vault does not have, each once. */
static bool is_first_missing(const struct config *config, const struct names *names, size_t at)
{
	const char *name = config->transports.v[at].secret.s;
	for (size_t i = 0; i < at; i++)
		if (strcmp(config->transports.v[i].secret.s, name) == 0)
			return false;
	return *name && !has_name(names, name);
}

static json_t *row_json(const struct config *config, const char *name, bool kept)
{
	json_t *users = json_array();
	for (size_t i = 0; i < config->transports.n; i++)
		if (strcmp(config->transports.v[i].secret.s, name) == 0)
			json_array_append_new(users, json_string(config->transports.v[i].name.s));
	return json_pack("{s:s, s:b, s:o}", "name", name, "set", (int)kept, "transports", users);
}

static void print_json(const struct config *config, const struct names *names)
{
	json_t *list = json_array();
	for (size_t i = 0; i < names->n; i++)
		json_array_append_new(list, row_json(config, names->v[i], true));
	for (size_t i = 0; i < config->transports.n; i++)
		if (is_first_missing(config, names, i))
			json_array_append_new(
			        list, row_json(config, config->transports.v[i].secret.s, false));
	cli_put_json(json_pack("{s:o}", "secrets", list));
}

static void add_row(struct cli_table *table, const struct config *config, const char *name,
                    bool kept)
{
	struct buf users;
	buf_init(&users, LIST_MEMORY);
	users_of(config, name, &users);
	cli_table_add(table, name);
	cli_table_add(table, kept ? "yes" : "missing");
	cli_table_add(table, users.n > 0 ? buf_cstr(&users) : "-");
	buf_done(&users);
}

static void print_table(const struct cli *cli, const struct config *config,
                        const struct names *names)
{
	static const char *const heads[] = {"SECRET", "SET", "TRANSPORTS"};
	struct cli_table table;
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	for (size_t i = 0; i < names->n; i++)
		add_row(&table, config, names->v[i], true);
	for (size_t i = 0; i < config->transports.n; i++)
		if (is_first_missing(config, names, i))
			add_row(&table, config, config->transports.v[i].secret.s, false);
	cli_table_show(cli, &table);
}

static int list_secrets(struct cli *cli, const struct config *config, struct arena *arena)
{
	struct names names = {.arena = arena};
	bool live;
	const char *why;
	json_t *answer = NULL;
	struct cli_vault_change change = {
	        .request = json_pack("{s:s}", "command", "secret-list"),
	        .offline = list_offline,
	        .context = &names,
	};
	struct status status = cli_vault_change(config, &change, arena, &answer, &live, &why);
	json_decref(change.request);
	if (!is_ok(status))
		return cli_fail(cli, NULL, "the secrets cannot be listed: %s", why);
	if (live)
		take_answer(&names, answer);
	json_decref(answer);
	if (cli->json)
		print_json(config, &names);
	else
		print_table(cli, config, &names);
	return 0;
}

int cli_secret_list(struct cli *cli)
{
	return with_config(cli, list_secrets);
}
