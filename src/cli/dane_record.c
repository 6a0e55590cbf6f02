/* `mailkeep dane record`: TLSA records. Of a file, in this process; without one, of the keys that
 * the running server shows to other mail servers, and of those that its config says come next. */
#include "cli/change.h"
#include "cli/dns.h"
#include "cli/evidence.h"
#include "cli/server.h"

#include "os/file.h"
#include "tls/certificate.h"
#include "tls/tlsa.h"

#define RECORD_PORT  25u
#define RECORD_ARENA ((size_t)8 * 1024 * 1024)

/* What the records shall be like. */
struct form {
	uint8_t usage, selector, matching;
	uint16_t port;
};

static int number_option(const struct cli *cli, const char *name, uint32_t max, uint32_t fallback,
                         uint8_t *ret_value)
{
	const char *text = cli_option(cli, name);
	uint32_t value = fallback;
	if (text && !slice_to_u32(slice_str(text), max, &value))
		return cli_fail(cli, NULL, "--%s is a number from 0 to %u", name, max);
	*ret_value = (uint8_t)value;
	return 0;
}

static int form_of(const struct cli *cli, struct form *form)
{
	int result = number_option(cli, "usage", 3, TLS_TLSA_DANE_EE, &form->usage);
	if (result == 0)
		result = number_option(cli, "selector", 1, TLS_TLSA_SPKI, &form->selector);
	if (result == 0)
		result = number_option(cli, "matching", 2, TLS_TLSA_SHA256, &form->matching);
	if (result == 0)
		result = cli_port_option(cli, "port", &form->port);
	return result;
}

/* "_25._tcp.mx.example.com." */
static int owner_of(const struct cli *cli, const struct form *form, const char *host,
                    struct arena *arena, const char **ret_owner)
{
	struct dns_name name;
	char prefix[16];
	snprintf(prefix, sizeof(prefix), "_%u._tcp", form->port ? form->port : RECORD_PORT);
	if (!is_ok(dns_name_parse(slice_str(host), arena, &name)) ||
	    !is_ok(dns_name_prepend(slice_str(prefix), name, arena, &name)))
		return cli_fail(cli, NULL, "`%s` is not the name of a host", host);
	*ret_owner = arena_printf(arena, "%s.", name.text);
	return 0;
}

/* --- of a file --- */

static void put_record(const struct cli *cli, const struct tls_tlsa *record, const char *owner)
{
	struct buf text;
	buf_init(&text, 4 * TLS_PEM_MAX);
	tls_tlsa_print(record, &text);
	if (cli->json)
		cli_put_json(json_pack("{s:b, s:s, s:i, s:i, s:i, s:s}", "ok", 1, "record",
		                       buf_cstr(&text), "usage", record->usage, "selector",
		                       record->selector, "matching", record->matching, "owner",
		                       owner));
	else if (*owner)
		printf("%s IN TLSA %s\n", owner, buf_cstr(&text));
	else
		printf("%s\n", buf_cstr(&text));
	buf_done(&text);
}

static int read_record(const struct cli *cli, const struct form *form, const char *path,
                       struct arena *arena, struct tls_tlsa *ret_record)
{
	struct os_fault fault = {0};
	struct slice pem;
	if (!is_ok(file_read_path(path, TLS_PEM_MAX, arena, &pem, &fault)))
		return cli_fail(cli, NULL, "the file cannot be read: %s", fault.text);
	struct status status = tls_tlsa_of_pem(pem, path, form->usage, form->selector,
	                                       form->matching, ret_record, arena);
	return is_ok(status) ? 0 : cli_fail(cli, NULL, "%s", status.why);
}

static int record_of_file(const struct cli *cli, const struct form *form, struct arena *arena)
{
	const char *host = cli_option(cli, "host"), *owner = "";
	struct tls_tlsa record;
	int result = host ? owner_of(cli, form, host, arena, &owner) : 0;
	if (result == 0)
		result = read_record(cli, form, cli->args[0], arena, &record);
	if (result == 0)
		put_record(cli, &record, owner);
	return result;
}

/* --- of our own server --- */

struct own {
	struct cli *cli;
	struct form form;
	struct arena *arena;
	struct config *config;
	json_t *answer; /* the server's: its certificates */
	json_t *records;
	struct buf text;
};

/* Once for each host, whatever number of certificates has the key. */
static bool is_listed(const struct own *own, const char *owner, const char *record)
{
	for (size_t i = 0; i < json_array_size(own->records); i++) {
		const json_t *listed = json_array_get(own->records, i);
		if (strcmp(cli_json_text(listed, "owner"), owner) == 0 &&
		    strcmp(cli_json_text(listed, "record"), record) == 0)
			return true;
	}
	return false;
}

static void list(struct own *own, const char *owner, const struct tls_tlsa *record,
                 const char *state, const char *file)
{
	struct buf text;
	buf_init(&text, 4 * TLS_PEM_MAX);
	tls_tlsa_print(record, &text);
	if (!is_listed(own, owner, buf_cstr(&text))) {
		json_array_append_new(own->records,
		                      json_pack("{s:s, s:s, s:s, s:s}", "owner", owner, "record",
		                                buf_cstr(&text), "key", state, "file", file));
		buf_printf(&own->text, "%s IN TLSA %s ; %s%s%s\n", owner, buf_cstr(&text), state,
		           *file ? ": " : "", file);
	}
	buf_done(&text);
}

static bool serves(const json_t *certificate, const char *host)
{
	const json_t *names = json_object_get(certificate, "names");
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		if (name && tls_name_matches(slice_str(name), slice_str(host)))
			return true;
	}
	return false;
}

static int list_served(struct own *own, const char *host, const char *owner)
{
	const json_t *certificates = json_object_get(own->answer, "certificates");
	for (size_t i = 0; i < json_array_size(certificates); i++) {
		const json_t *certificate = json_array_get(certificates, i);
		struct tls_tlsa record;
		if (!serves(certificate, host))
			continue;
		struct status status = tls_tlsa_of_pem(slice_str(cli_json_text(certificate, "pem")),
		                                       "the server's certificate", own->form.usage,
		                                       own->form.selector, own->form.matching,
		                                       &record, own->arena);
		if (!is_ok(status))
			return cli_fail(own->cli, NULL, "%s", status.why);
		list(own, owner, &record, "in use", "");
	}
	return 0;
}

static int list_host(struct own *own, const struct config_listener *listener)
{
	const char *owner;
	struct dns_name host;
	if (!is_ok(dns_name_parse(config_slice(&listener->hostname), own->arena, &host)))
		return cli_fail(own->cli, NULL, "`%s` is not the name of a host",
		                listener->hostname.s);
	int result = owner_of(own->cli, &own->form, host.text, own->arena, &owner);
	if (result == 0)
		result = list_served(own, host.text, owner);
	for (size_t i = 0; result == 0 && i < listener->tls.next_keys.n; i++) {
		const char *path = listener->tls.next_keys.v[i].s;
		struct tls_tlsa record;
		result = read_record(own->cli, &own->form, path, own->arena, &record);
		if (result == 0)
			list(own, owner, &record, "next", path);
	}
	return result;
}

static int list_all(struct own *own)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < own->config->listeners.n; i++) {
		const struct config_listener *listener = &own->config->listeners.v[i];
		if (listener->tls.enabled && listener->services[CONFIG_SMTP].enabled)
			result = list_host(own, listener);
	}
	if (result == 0 && json_array_size(own->records) == 0)
		result = cli_fail(own->cli, NULL,
		                  "no listener takes mail over TLS (smtp with tls), so there is no "
		                  "key to publish");
	return result;
}

static int records_of_server(struct cli *cli, const struct form *form, struct arena *arena)
{
	struct own own = {.cli = cli, .form = *form, .arena = arena};
	if (cli_option(cli, "host"))
		return cli_fail(cli, NULL,
		                "--host goes with a FILE; the server's own hosts are "
		                "those of its listeners");
	int result = cli_load(cli, arena, &own.config);
	if (result == 0)
		result = cli_server_ask(
		        cli, own.config, json_pack("{s:s}", "command", "certificates"),
		        "the keys are with it: start it, or name a FILE", &own.answer);
	if (result != 0)
		return result;
	own.records = json_array();
	buf_init(&own.text, SIZE_MAX);
	result = list_all(&own);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "records", own.records));
	else if (result == 0)
		cli_put(&own.text);
	buf_done(&own.text);
	json_decref(own.records);
	json_decref(own.answer);
	return result;
}

int cli_dane_record(struct cli *cli)
{
	struct form form = {0};
	struct arena arena;
	int result = form_of(cli, &form);
	if (result != 0)
		return result;
	arena_init(&arena, CONFIG_ARENA_MAX + RECORD_ARENA);
	result = cli->n_args > 0 ? record_of_file(cli, &form, &arena)
	                         : records_of_server(cli, &form, &arena);
	arena_done(&arena);
	return result;
}
