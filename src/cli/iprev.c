/* `mailkeep iprev`: does the name that an address claims lead back to it. */
#include "mailauth/iprev.h"

#include "cli/checks.h"

static const char *forward_word(const struct iprev_result *result)
{
	return result->has_forward ? dns_security_name(result->forward_security) : "none";
}

static void print_text(const struct iprev_result *result)
{
	struct buf out;
	buf_init(&out, SIZE_MAX);
	buf_add_str(&out, mailauth_result_name(result->result));
	if (result->result == MAILAUTH_PASS)
		buf_printf(&out, " %s", result->name.text);
	buf_printf(&out, " (DNSSEC: reverse %s, forward %s)\n%s\n",
	           dns_security_name(result->reverse_security), forward_word(result), result->why);
	cli_story_print(&result->story, &out);
	cli_put(&out);
	buf_done(&out);
}

static void print_json(const struct iprev_result *result)
{
	json_t *names = json_array();
	for (size_t i = 0; i < result->n_names; i++)
		json_array_append_new(names, json_string(result->names[i].text));
	json_t *json =
	        json_pack("{s:b, s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o}", "ok", 1, "result",
	                  mailauth_result_name(result->result), "why", result->why, "names", names,
	                  "security", mailauth_evidence_word(&result->evidence), "reverse_security",
	                  dns_security_name(result->reverse_security), "forward_security",
	                  forward_word(result), "steps", cli_story_json(&result->story), "lookups",
	                  cli_evidence_json(&result->evidence));
	if (result->result == MAILAUTH_PASS)
		json_object_set_new(json, "name", json_string(result->name.text));
	cli_put_json(json);
}

int cli_iprev(struct cli *cli)
{
	struct cli_check check;
	struct iprev_result checked;
	uint8_t bytes[16];
	size_t n;
	int result = cli_check_address(cli, cli->args[0], bytes, &n);
	if (result == 0)
		result = cli_check_open(&check, cli);
	if (result != 0)
		return result;
	iprev_check(&check.dns, slice_of(bytes, n), &checked);
	if (cli->json)
		print_json(&checked);
	else
		print_text(&checked);
	cli_check_done(&check);
	return 0;
}
