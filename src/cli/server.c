/* See server.h. */
#include "cli/server.h"

#include "base/clock.h"
#include "cli/control.h"

int cli_server_ask(const struct cli *cli, const struct config *config, json_t *request,
                   const char *needs, json_t **ret_answer)
{
	json_t *answer = NULL;
	struct status status = control_call(config->data_directory.s, request, &answer);
	json_decref(request);
	if (status.code == ERR_NOT_FOUND)
		return cli_fail(cli, NULL, "no server is running with its data in %s; %s",
		                config->data_directory.s, needs);
	if (!is_ok(status))
		return cli_fail(cli, NULL, "the server cannot be asked: %s", status.why);
	if (json_is_true(json_object_get(answer, "ok"))) {
		*ret_answer = answer;
		return 0;
	}
	const char *why = json_string_value(json_array_get(json_object_get(answer, "errors"), 0));
	int result = cli_fail(cli, NULL, "%s", why ? why : "the server refused");
	json_decref(answer);
	return result;
}

const char *cli_json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

int64_t cli_json_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void cli_instant(int64_t at_ms, struct buf *out)
{
	if (at_ms == 0) {
		buf_add_str(out, "-");
		return;
	}
	struct civil_time t = civil_from_unix(at_ms / 1000);
	buf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d UTC", t.year, t.month, t.day, t.hour,
	           t.minute, t.second);
}
