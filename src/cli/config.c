/* mailkeep config test|reload|describe */
#include "cli/change.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "config/describe.h"

static void test_text(const struct cli *cli, const struct config_problems *problems, bool good)
{
	struct buf text;
	size_t n_warnings = 0;
	for (size_t i = 0; i < problems->n; i++)
		n_warnings += problems->v[i].severity == CONFIG_WARNING;
	buf_init(&text, SIZE_MAX);
	cli_problems_text(problems, cli->config_directory, &text);
	fputs(buf_cstr(&text), stderr);
	buf_done(&text);
	if (good)
		printf("the configuration in %s is valid%s\n", cli->config_directory,
		       n_warnings > 0 ? ", with warnings" : "");
	else
		fprintf(stderr, "mailkeep: the configuration in %s has %zu error%s\n",
		        cli->config_directory, problems->n_errors,
		        problems->n_errors == 1 ? "" : "s");
}

int cli_config_test(struct cli *cli)
{
	struct arena arena;
	struct config *config;
	struct config_problems problems;
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	struct status status = config_load(cli->config_directory, &arena, &config, &problems);
	bool good = is_ok(status);
	if (cli->json)
		cli_put_json(json_pack("{s:b, s:s, s:I, s:o}", "ok", (int)good, "directory",
		                       cli->config_directory, "errors",
		                       (json_int_t)problems.n_errors, "problems",
		                       cli_problems_json(&problems)));
	else if (!good && problems.n_errors == 0)
		(void)cli_fail(cli, &problems, "%s", status.why);
	else
		test_text(cli, &problems, good);
	config_problems_done(&problems);
	arena_done(&arena);
	return good ? 0 : CLI_FAILED;
}

/* --- reload --- */

static int tell_reload(const struct cli *cli, const json_t *answer)
{
	const json_t *errors = json_object_get(answer, "errors");
	bool good = json_is_true(json_object_get(answer, "ok"));
	for (size_t i = 0; !good && !cli->json && i < json_array_size(errors); i++) {
		const char *error = json_string_value(json_array_get(errors, i));
		fprintf(stderr, "%s\n", error ? error : "?");
	}
	if (good && !cli->json)
		printf("the running server has read its configuration again\n");
	else if (!cli->json)
		fprintf(stderr, "mailkeep: the running server goes on with the configuration that "
		                "it had\n");
	return good ? 0 : CLI_FAILED;
}

int cli_config_reload(struct cli *cli)
{
	struct arena arena;
	struct config *config;
	json_t *answer = NULL;
	arena_init(&arena, CONFIG_ARENA_MAX);
	int result = cli_load(cli, &arena, &config);
	if (result != 0) {
		arena_done(&arena);
		return result;
	}
	json_t *request = json_pack("{s:s}", "command", "reload");
	struct status status = control_call(config->data_directory.s, request, &answer);
	json_decref(request);
	arena_done(&arena);
	if (status.code == ERR_NOT_FOUND)
		return cli_fail(cli, NULL,
		                "no server runs on this configuration; start one with "
		                "`mailkeep serve`");
	if (!is_ok(status))
		return cli_fail(cli, NULL, "cannot reach the running server: %s", status.why);
	result = tell_reload(cli, answer);
	if (cli->json)
		cli_put_json(answer);
	else
		json_decref(answer);
	return result;
}

/* --- describe --- */

static json_t *field_json(const struct config_field *field)
{
	struct buf range;
	buf_init(&range, 1000);
	config_range_text(field, &range);
	json_t *choices = NULL;
	for (size_t i = 0; field->choices && field->choices[i]; i++) {
		choices = choices ? choices : json_array();
		json_array_append_new(choices, json_string(field->choices[i]));
	}
	json_t *object = json_pack("{s:s, s:s, s:s, s:s?, s:b, s:s, s:s?, s:o*, s:s}", "path",
	                           field->path, "file", config_file_names[field->file], "type",
	                           config_type_text(field), "default", field->fallback, "required",
	                           (int)field->required, "range", buf_cstr(&range), "example",
	                           field->example, "choices", choices, "doc", field->doc);
	buf_done(&range);
	return object;
}

static int describe_json(const char *path)
{
	json_t *list = json_array();
	for (size_t i = 0; i < config_n_fields; i++)
		if (config_field_is_below(&config_fields[i], slice_str(path)))
			json_array_append_new(list, field_json(&config_fields[i]));
	size_t n = json_array_size(list);
	cli_put_json(json_pack("{s:b, s:o}", "ok", n > 0, "fields", list));
	return n > 0 ? 0 : CLI_FAILED;
}

static int describe_text(const struct cli *cli, const char *path)
{
	struct buf text;
	const char *near = NULL;
	buf_init(&text, 10000000);
	struct status status = config_describe_text(path, cli->width, &text, &near);
	int result = 0;
	if (is_ok(status))
		cli_put(&text);
	else if (near)
		result = cli_fail(cli, NULL, "there is no field `%s`; did you mean `%s`?", path,
		                  near);
	else
		result = cli_fail(cli, NULL,
		                  "there is no field `%s`; `mailkeep config describe` shows all",
		                  path);
	buf_done(&text);
	return result;
}

int cli_config_describe(struct cli *cli)
{
	const char *path = cli->n_args > 0 ? cli->args[0] : "";
	if (cli_option(cli, "markdown")) {
		struct buf text;
		buf_init(&text, 10000000);
		config_describe_markdown(&text);
		cli_put(&text);
		buf_done(&text);
		return 0;
	}
	return cli->json ? describe_json(path) : describe_text(cli, path);
}
