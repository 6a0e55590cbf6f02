/* `mailkeep dns lookup`: what the DNS says about a name, and how far that can be trusted. In this
 * process, so that no running server is needed, or through one. */
#include "cli/dns.h"

#include "cli/change.h"
#include "os/file.h"

#define ANCHOR_FILE       "/usr/share/dns/root.key"
#define ANCHOR_MAX        ((size_t)1024 * 1024)
#define TIMEOUT_DEFAULT_S 30u
#define TIMEOUT_MAX_S     600u
#define DNS_PORT          53

/* --- the resolver --- */

static int read_file(struct cli *cli, const char *path, const char *what, struct arena *arena,
                     struct slice *ret_text)
{
	struct os_fault fault = {0};
	if (is_ok(file_read_path(path, ANCHOR_MAX, arena, ret_text, &fault)))
		return 0;
	return cli_fail(cli, NULL, "the %s cannot be read: %s", what, fault.text);
}

static int read_anchors(struct cli *cli, struct arena *arena, struct slice *ret_anchors)
{
	const char *path = cli_option(cli, "anchor");
	struct os_fault fault;
	if (path)
		return read_file(cli, path, "trust anchor", arena, ret_anchors);
	if (!is_ok(file_read_path(ANCHOR_FILE, ANCHOR_MAX, arena, ret_anchors, &fault)))
		*ret_anchors = SLICE(DNS_UNBOUND_ROOT_ANCHORS);
	return 0;
}

static int read_timeout(struct cli *cli, int *ret_ms)
{
	const char *text = cli_option(cli, "timeout");
	uint32_t seconds = TIMEOUT_DEFAULT_S;
	if (text && (!slice_to_u32(slice_str(text), TIMEOUT_MAX_S, &seconds) || seconds == 0))
		return cli_fail(cli, NULL, "--timeout is a number of seconds from 1 to %u",
		                TIMEOUT_MAX_S);
	*ret_ms = (int)seconds * 1000;
	return 0;
}

static int read_server(struct cli *cli, struct os_address *ret_server, bool *ret_given)
{
	const char *text = cli_option(cli, "resolver");
	*ret_given = text != NULL;
	if (!text || is_ok(os_address_parse(slice_str(text), DNS_PORT, ret_server)) ||
	    is_ok(os_address_parse_port(slice_str(text), ret_server)))
		return 0;
	return cli_fail(cli, NULL, "--resolver is an IP address, with a port or without, not `%s`",
	                text);
}

static int open_unbound(struct cli *cli, const struct os_address *server, bool has_server,
                        struct arena *arena, struct cli_resolver *resolver)
{
	const char *hints = cli_option(cli, "hints");
	struct dns_unbound_options options = {.servers = server, .n_servers = has_server};
	int result = read_anchors(cli, arena, &options.anchors);
	if (result == 0 && hints)
		result = read_file(cli, hints, "root hints", arena, &options.hints);
	if (result != 0)
		return result;
	if (options.anchors.n == 0)
		return cli_fail(cli, NULL, "the trust anchor's file is empty");
	struct status status = dns_unbound_new(&options, &resolver->unbound);
	if (!is_ok(status))
		return cli_fail(cli, NULL, "the resolver cannot be made: %s", status.why);
	resolver->resolver = dns_unbound_resolver(resolver->unbound);
	return 0;
}

/* The server lies where its configuration says. */
static int open_running(struct cli *cli, struct cli_resolver *resolver)
{
	static const char *const others[] = {"resolver", "anchor", "hints", "trust"};
	struct config *config;
	for (size_t i = 0; i < N_ELEMENTS(others); i++)
		if (cli_option(cli, others[i]))
			return cli_fail(
			        cli, NULL,
			        "--%s has no place beside --running: the server looks names "
			        "up as its configuration says",
			        others[i]);
	arena_init(&resolver->config, CONFIG_ARENA_MAX);
	int result = cli_load(cli, &resolver->config, &config);
	if (result != 0) {
		arena_done(&resolver->config);
		return result;
	}
	cli_running_init(&resolver->running, config->data_directory.s);
	resolver->resolver = &resolver->running.resolver;
	return 0;
}

/* Few commands can ask a running server. */
static bool declares_running(const struct cli *cli)
{
	for (size_t i = 0; i < CLI_OPTIONS_MAX && cli->command->options[i].name; i++)
		if (strcmp(cli->command->options[i].name, "running") == 0)
			return true;
	return false;
}

int cli_resolver_open(struct cli *cli, struct cli_resolver *resolver)
{
	struct os_address server;
	struct arena arena;
	bool has_server;
	*resolver = (struct cli_resolver){.timeout_ms = 0};
	int result = read_timeout(cli, &resolver->timeout_ms);
	if (result == 0)
		result = read_server(cli, &server, &has_server);
	if (result != 0)
		return result;
	if (declares_running(cli) && cli_option(cli, "running"))
		return open_running(cli, resolver);
	if (cli_option(cli, "trust")) {
		if (!has_server)
			return cli_fail(cli, NULL, "--trust needs a --resolver to believe");
		dns_stub_init(&resolver->stub, &server, 1, true);
		resolver->resolver = &resolver->stub.resolver;
		return 0;
	}
	arena_init(&arena, 4 * ANCHOR_MAX);
	result = open_unbound(cli, &server, has_server, &arena, resolver);
	arena_done(&arena);
	return result;
}

void cli_resolver_done(struct cli_resolver *resolver)
{
	dns_unbound_free(resolver->unbound);
	resolver->unbound = NULL;
	arena_done(&resolver->config);
}

/* --- words --- */

static void print_ede(const struct dns_answer *answer, struct buf *out)
{
	if (answer->ede_code == DNS_NO_EDE)
		return;
	buf_printf(out, "extended error %u", answer->ede_code);
	if (*dns_ede_name(answer->ede_code))
		buf_printf(out, " (%s)", dns_ede_name(answer->ede_code));
	if (*answer->ede_text)
		buf_printf(out, ": %s", answer->ede_text);
	buf_add_byte(out, '\n');
}

static void print_outcome(const struct dns_answer *answer, struct buf *out)
{
	const char *type = dns_type_name(answer->type);
	const char *proven = answer->denial_proven ? ", proven" : ", not proven";
	switch (answer->outcome) {
	case DNS_FOUND:
		buf_printf(out, "%zu %s record%s for %u s", answer->n_records, type,
		           answer->n_records == 1 ? "" : "s", answer->ttl_s);
		break;
	case DNS_NODATA:
		buf_printf(out, "the name has no %s record (NODATA)%s, for %u s", type, proven,
		           answer->ttl_s);
		break;
	case DNS_NXDOMAIN:
		buf_printf(out, "there is no such name (NXDOMAIN)%s, for %u s", proven,
		           answer->ttl_s);
		break;
	case DNS_FAILED:
		buf_printf(out, "failed (%s): %s", dns_failure_name(answer->failure), answer->why);
		break;
	}
	buf_add_byte(out, '\n');
}

void cli_answer_text(const struct dns_answer *answer, struct buf *out)
{
	buf_printf(out, "%s: ", dns_security_name(answer->security));
	print_outcome(answer, out);
	for (size_t i = 0; i < answer->n_chain; i++)
		buf_printf(out, "%s is an alias of %s (%s, for %u s)\n",
		           answer->chain[i].alias.text, answer->chain[i].target.text,
		           dns_security_name(answer->chain[i].security), answer->chain[i].ttl_s);
	if (answer->n_chain > 0)
		buf_printf(out, "%s itself: %s\n", answer->canonical_name.text,
		           dns_security_name(answer->final_security));
	for (size_t i = 0; i < answer->n_records; i++) {
		buf_printf(out, "%s ", dns_type_name(answer->records[i].type));
		dns_record_print(&answer->records[i], out);
		buf_add_byte(out, '\n');
	}
	print_ede(answer, out);
}

/* --- JSON --- */

static json_t *text_json(struct slice text)
{
	json_t *json = json_stringn((const char *)text.p, text.n);
	return json ? json : json_null();
}

/* The fields of a record, beside its text. */
static void add_fields(const struct dns_record *record, json_t *json)
{
	char address[DNS_ADDRESS_TEXT_MAX];
	switch (record->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		dns_address_print(record, address);
		json_object_set_new(json, "address", json_string(address));
		break;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		json_object_set_new(json, "name", json_string(record->name.text));
		break;
	case DNS_TYPE_MX:
		json_object_set_new(json, "preference", json_integer(record->mx.preference));
		json_object_set_new(json, "host", json_string(record->mx.host.text));
		break;
	case DNS_TYPE_TXT:
		json_object_set_new(json, "joined", text_json(record->txt.joined));
		break;
	case DNS_TYPE_SRV:
		json_object_set_new(json, "priority", json_integer(record->srv.priority));
		json_object_set_new(json, "weight", json_integer(record->srv.weight));
		json_object_set_new(json, "port", json_integer(record->srv.port));
		json_object_set_new(json, "target", json_string(record->srv.target.text));
		break;
	case DNS_TYPE_TLSA:
		json_object_set_new(json, "usage", json_integer(record->tlsa.usage));
		json_object_set_new(json, "selector", json_integer(record->tlsa.selector));
		json_object_set_new(json, "matching", json_integer(record->tlsa.matching));
		break;
	case DNS_TYPE_CAA:
		json_object_set_new(json, "flags", json_integer(record->caa.flags));
		json_object_set_new(json, "tag", text_json(record->caa.tag));
		json_object_set_new(json, "value", text_json(record->caa.value));
		break;
	}
}

static json_t *records_json(const struct dns_answer *answer)
{
	json_t *records = json_array();
	struct buf text;
	buf_init(&text, 4 * DNS_PACKED_MAX);
	for (size_t i = 0; i < answer->n_records; i++) {
		buf_reset(&text);
		dns_record_print(&answer->records[i], &text);
		json_t *json = json_pack("{s:s, s:i}", "text", buf_cstr(&text), "ttl",
		                         (int)answer->records[i].ttl_s);
		add_fields(&answer->records[i], json);
		json_array_append_new(records, json);
	}
	buf_done(&text);
	return records;
}

static json_t *chain_json(const struct dns_answer *answer)
{
	json_t *chain = json_array();
	for (size_t i = 0; i < answer->n_chain; i++)
		json_array_append_new(chain, json_pack("{s:s, s:s, s:s, s:i}", "alias",
		                                       answer->chain[i].alias.text, "target",
		                                       answer->chain[i].target.text, "security",
		                                       dns_security_name(answer->chain[i].security),
		                                       "ttl", (int)answer->chain[i].ttl_s));
	return chain;
}

json_t *cli_answer_json(const struct dns_answer *answer)
{
	bool failed = answer->outcome == DNS_FAILED;
	json_t *json = json_pack(
	        "{s:b, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:s, s:o, s:o}", "ok", !failed, "name",
	        answer->name.text, "type", dns_type_name(answer->type), "security",
	        dns_security_name(answer->security), "outcome", dns_outcome_name(answer->outcome),
	        "final_security", dns_security_name(answer->final_security), "denial_proven",
	        answer->denial_proven, "ttl", (int)answer->ttl_s, "canonical_name",
	        answer->canonical_name.text, "chain", chain_json(answer), "records",
	        records_json(answer));
	if (failed) {
		json_object_set_new(json, "failure",
		                    json_string(dns_failure_name(answer->failure)));
		json_object_set_new(json, "rcode", json_string(dns_rcode_name(answer->rcode)));
		json_object_set_new(json, "error", json_string(answer->why));
	}
	if (answer->ede_code != DNS_NO_EDE)
		json_object_set_new(json, "extended_error",
		                    json_pack("{s:i, s:s, s:s}", "code", (int)answer->ede_code,
		                              "name", dns_ede_name(answer->ede_code), "text",
		                              answer->ede_text));
	return json;
}

/* --- the command --- */

static int look_up(struct cli *cli, const struct cli_resolver *resolver, enum dns_type type,
                   struct arena *arena)
{
	const struct dns_answer *answer;
	struct buf text;
	struct status status = dns_lookup(resolver->resolver, slice_str(cli->args[1]), type,
	                                  resolver->timeout_ms, arena, &answer);
	if (status.code == ERR_SYNTAX)
		return cli_fail(cli, NULL, "`%s` is not a domain name: %s", cli->args[1],
		                status.why);
	if (!is_ok(status))
		return cli_fail(cli, NULL, "%s", status.why);
	if (cli->json) {
		cli_put_json(cli_answer_json(answer));
	} else {
		buf_init(&text, SIZE_MAX);
		cli_answer_text(answer, &text);
		cli_put(&text);
		buf_done(&text);
	}
	return answer->outcome == DNS_FAILED ? CLI_FAILED : 0;
}

int cli_dns_lookup(struct cli *cli)
{
	struct cli_resolver resolver;
	struct arena arena;
	enum dns_type type;
	if (!dns_type_parse(slice_str(cli->args[0]), &type))
		return cli_fail(
		        cli, NULL,
		        "`%s` is not a type of records known here: A, AAAA, CAA, CNAME, MX, "
		        "NS, PTR, SRV, TLSA or TXT",
		        cli->args[0]);
	int result = cli_resolver_open(cli, &resolver);
	if (result != 0)
		return result;
	arena_init(&arena, DNS_ANSWER_ARENA);
	result = look_up(cli, &resolver, type, &arena);
	arena_done(&arena);
	cli_resolver_done(&resolver);
	return result;
}
