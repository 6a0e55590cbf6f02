/* Editing commands: their common frame. */
#include "cli/change.h"

#include "cli/control.h"
#include "config/suggest.h"

int cli_load(struct cli *cli, struct arena *arena, struct config **ret_config)
{
	struct config_problems problems;
	config_problems_init(&problems);
	struct status status = config_load(cli->config_directory, arena, ret_config, &problems);
	int result = is_ok(status) ? 0
	                           : cli_fail(cli, &problems,
	                                      "the configuration in %s cannot be used: %s",
	                                      cli->config_directory, status.why);
	config_problems_done(&problems);
	return result;
}

int cli_list(struct cli *cli, void (*list_json)(const struct config *config),
             void (*list_text)(const struct cli *cli, const struct config *config))
{
	struct arena arena;
	struct config *config;
	arena_init(&arena, CONFIG_ARENA_MAX);
	int result = cli_load(cli, &arena, &config);
	if (result == 0 && cli->json)
		list_json(config);
	else if (result == 0)
		list_text(cli, config);
	arena_done(&arena);
	return result;
}

int cli_change_begin(struct cli_change *change, struct cli *cli)
{
	*change = (struct cli_change){.cli = cli};
	config_problems_init(&change->problems);
	arena_init(&change->arena, (size_t)1024 * 1024);
	struct status status =
	        config_edit_open(cli->config_directory, &change->edit, &change->problems);
	if (is_ok(status)) {
		/* Warnings of what is there are for `config test`. */
		config_problems_done(&change->problems);
		config_problems_init(&change->problems);
		return 0;
	}
	int result =
	        cli_fail(cli, &change->problems, "the configuration in %s cannot be changed: %s%s",
	                 cli->config_directory, status.why,
	                 status.code == ERR_INVALID ? "; mend these first" : "");
	cli_change_end(change);
	return result;
}

void cli_change_end(struct cli_change *change)
{
	config_edit_free(change->edit);
	config_problems_done(&change->problems);
	arena_done(&change->arena);
}

static void drop_warnings(struct config_problems *problems)
{
	size_t n = 0;
	for (size_t i = 0; i < problems->n; i++)
		if (problems->v[i].severity == CONFIG_ERROR)
			problems->v[n++] = problems->v[i];
	problems->n = n;
}

int cli_change_fail(struct cli_change *change, struct status status, const char *what)
{
	const char *why = config_edit_why(change->edit);
	drop_warnings(&change->problems);
	if (change->problems.n > 0)
		return cli_fail(change->cli, &change->problems,
		                "cannot %s, because the configuration would then have these errors",
		                what);
	return cli_fail(change->cli, NULL, "cannot %s: %s", what, *why ? why : status.why);
}

const char *cli_change_near(struct cli_change *change, enum cli_kind kind, const char *wanted)
{
	struct suggest near;
	const struct config *config = config_edit_config(change->edit);
	suggest_init(&near, slice_str(wanted));
	for (size_t i = 0; kind == CLI_ACCOUNT && i < config->accounts.n; i++)
		suggest_offer(&near, config_slice(&config->accounts.v[i].name));
	for (size_t i = 0; kind == CLI_DOMAIN && i < config->domains.n; i++)
		suggest_offer(&near, config_slice(&config->domains.v[i].name));
	for (size_t i = 0; kind == CLI_ALIAS && i < config->aliases.n; i++)
		suggest_offer(&near, config_slice(&config->aliases.v[i].name));
	const char *text = near.best.n == 0 ? NULL
	                                    : arena_printf(&change->arena, "; did you mean `%.*s`?",
	                                                   SLICE_FMT(near.best));
	return text ? text : "";
}

/* The errors of an answer as one text. */
static const char *errors_of(struct cli_change *change, const json_t *answer)
{
	const json_t *errors = json_object_get(answer, "errors");
	struct buf text;
	buf_init(&text, 100000);
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const char *error = json_string_value(json_array_get(errors, i));
		buf_printf(&text, "%s%s", i > 0 ? "\n    " : "", error ? error : "?");
	}
	const char *copy = arena_cstr(&change->arena, buf_slice(&text));
	buf_done(&text);
	return copy ? copy : "";
}

static int reload(struct cli_change *change, const char *what)
{
	const struct config *config = config_edit_config(change->edit);
	json_t *answer = NULL;
	json_t *request = json_pack("{s:s}", "command", "reload");
	struct status status = control_call(config->data_directory.s, request, &answer);
	json_decref(request);
	if (status.code == ERR_NOT_FOUND)
		return 0;
	if (!is_ok(status))
		return cli_fail(
		        change->cli, NULL,
		        "could %s in the files, but the running server did not take it over: %s; "
		        "restart it",
		        what, status.why);
	change->is_live = json_is_true(json_object_get(answer, "ok"));
	int result = change->is_live
	                     ? 0
	                     : cli_fail(change->cli, NULL,
	                                "could %s in the files, but the running server refused "
	                                "them: %s",
	                                what, errors_of(change, answer));
	json_decref(answer);
	return result;
}

int cli_change_commit(struct cli_change *change, const char *what)
{
	struct status status = config_edit_commit(change->edit, &change->problems);
	if (!is_ok(status))
		return cli_change_fail(change, status, what);
	return reload(change, what);
}

int cli_change_done(struct cli_change *change, const char *done, json_t *extra)
{
	if (change->cli->json) {
		json_t *object = json_pack("{s:b, s:s, s:b}", "ok", 1, "done", done, "running",
		                           (int)change->is_live);
		if (extra)
			json_object_update(object, extra);
		json_decref(extra);
		cli_put_json(object);
		return 0;
	}
	json_decref(extra);
	printf("%s; %s\n", done,
	       change->is_live ? "the running server has taken it over"
	                       : "no server is running, so it counts from the next start");
	return 0;
}
