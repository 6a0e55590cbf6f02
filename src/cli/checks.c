/* One check in this process: no running server is asked, and none is needed. */
#include "cli/checks.h"

#include "os/clock.h"
#include "os/socket.h"

int cli_check_open(struct cli_check *check, struct cli *cli)
{
	*check = (struct cli_check){.cli = cli};
	int result = cli_resolver_open(cli, &check->resolver);
	if (result != 0)
		return result;
	arena_init(&check->arena, MAILAUTH_DNS_ARENA);
	mailauth_dns_init(&check->dns, check->resolver.resolver, clock_real(),
	                  check->resolver.timeout_ms, &check->arena);
	return 0;
}

void cli_check_done(struct cli_check *check)
{
	arena_done(&check->arena);
	cli_resolver_done(&check->resolver);
}

int cli_check_address(struct cli *cli, const char *text, uint8_t bytes[16], size_t *ret_n)
{
	struct os_address address;
	if (!is_ok(os_address_parse(slice_str(text), 0, &address)))
		return cli_fail(cli, NULL,
		                "`%s` is not an IP address such as 192.0.2.1 or 2001:db8::1", text);
	memcpy(bytes, address.ip, sizeof(address.ip));
	*ret_n = address.family == OS_FAMILY_V4 ? 4 : 16;
	return 0;
}

int cli_check_domain(struct cli_check *check, const char *text, struct dns_name *ret_name)
{
	struct status status = dns_name_parse(slice_str(text), &check->arena, ret_name);
	if (is_ok(status))
		return 0;
	return cli_fail(check->cli, NULL, "`%s` is not a domain name: %s", text, status.why);
}

void cli_story_print(const struct mailauth_story *story, struct buf *out)
{
	for (size_t i = 0; i < story->n; i++)
		buf_printf(out, "  %s\n", story->v[i]);
	if (story->truncated)
		buf_add_str(out, "  and more that was not written down\n");
}

json_t *cli_story_json(const struct mailauth_story *story)
{
	json_t *list = json_array();
	for (size_t i = 0; i < story->n; i++)
		json_array_append_new(list, json_string(story->v[i]));
	return list;
}

json_t *cli_evidence_json(const struct mailauth_evidence *evidence)
{
	json_t *list = json_array();
	for (size_t i = 0; i < evidence->n; i++) {
		const struct mailauth_evidence_item *item = &evidence->v[i];
		json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", item->name.text,
		                         "type", dns_type_name(item->type), "outcome",
		                         dns_outcome_name(item->outcome), "security",
		                         dns_security_name(item->security), "records",
		                         (int)item->n_records);
		if (item->outcome == DNS_FAILED)
			json_object_set_new(json, "error", json_string(item->why));
		json_array_append_new(list, json);
	}
	return list;
}
