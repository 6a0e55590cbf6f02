/* mailkeep account clientkey add|rm|list: keys of TLS client certificates that log in without a
 * password. */
#include "cli/change.h"
#include "config/value.h"
#include "os/file.h"
#include "tls/certificate.h"

/* "sha256:...": as it was given, or of the certificate or public key in a file. */
static int read_key(struct cli_change *change, const char *given, const char **ret_key)
{
	uint8_t key[CONFIG_KEY_SIZE];
	struct os_fault fault = {.text = "cannot be read"};
	struct slice pem, fingerprint;
	if (config_parse_key(slice_str(given), key)) {
		*ret_key = given;
		return 0;
	}
	if (!is_ok(file_read_path(given, TLS_PEM_MAX, &change->arena, &pem, &fault)))
		return cli_fail(
		        change->cli, NULL,
		        "`%s` is neither the SHA-256 of a public key (64 hexadecimal digits) nor "
		        "a file with a certificate or public key: %s",
		        given, fault.text);
	struct status status = tls_public_key_fingerprint(pem, given, &fingerprint, &change->arena);
	if (!is_ok(status))
		return cli_fail(change->cli, NULL, "%s", status.why);
	*ret_key = arena_printf(&change->arena, "sha256:%.*s", SLICE_FMT(fingerprint));
	return *ret_key ? 0 : cli_fail(change->cli, NULL, "the key is too long");
}

static int change_key(struct cli *cli, bool add)
{
	struct cli_change change;
	const char *account = cli->args[0], *key = NULL;
	const char *what = add ? "add the client key" : "remove the client key";
	int result = cli_change_begin(&change, cli);
	if (result)
		return result;
	if (!config_account_find(config_edit_config(change.edit), slice_str(account)))
		result = cli_fail(cli, NULL, "there is no account `%s`%s", account,
		                  cli_change_near(&change, CLI_ACCOUNT, account));
	if (result == 0)
		result = read_key(&change, cli->args[1], &key);
	struct status status = ok();
	if (result == 0)
		status = add ? config_edit_client_key_add(change.edit, account, key)
		             : config_edit_client_key_remove(change.edit, account, key);
	if (result == 0 && !is_ok(status))
		result = cli_change_fail(&change, status, what);
	if (result == 0)
		result = cli_change_commit(&change, what);
	const char *done =
	        arena_printf(&change.arena, "%s %s %s account `%s`", add ? "added" : "removed",
	                     key ? key : "the key", add ? "to" : "from", account);
	if (result == 0)
		result = cli_change_done(&change, done ? done : what,
		                         json_pack("{s:s}", "key", key));
	cli_change_end(&change);
	return result;
}

int cli_client_key_add(struct cli *cli)
{
	return change_key(cli, true);
}

int cli_client_key_rm(struct cli *cli)
{
	return change_key(cli, false);
}

/* --- list --- */

static void list_json(const struct config *config)
{
	json_t *list = json_array();
	for (size_t i = 0; i < config->accounts.n; i++) {
		const struct config_account *a = &config->accounts.v[i];
		for (size_t j = 0; j < a->client_keys.n; j++)
			json_array_append_new(list, json_pack("{s:s, s:s}", "account", a->name.s,
			                                      "key", a->client_keys.v[j].s));
	}
	cli_put_json(json_pack("{s:o}", "client_keys", list));
}

static void list_text(const struct cli *cli, const struct config *config)
{
	static const char *const heads[] = {"ACCOUNT", "KEY"};
	struct cli_table table;
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	for (size_t i = 0; i < config->accounts.n; i++) {
		const struct config_account *a = &config->accounts.v[i];
		for (size_t j = 0; j < a->client_keys.n; j++) {
			cli_table_add(&table, a->name.s);
			cli_table_add(&table, a->client_keys.v[j].s);
		}
	}
	cli_table_show(cli, &table);
}

int cli_client_key_list(struct cli *cli)
{
	return cli_list(cli, list_json, list_text);
}
