/* `mailkeep dkim sign`, and what `mailkeep arc seal` has in common with it. */
#include "cli/dkim.h"

#include "config/value.h"
#include "os/clock.h"
#include "os/file.h"
#include "text/utf8.h"
#include "vault/secret.h"

#include <fcntl.h>

#define FIELDS_MAX ((size_t)1024 * 1024)

/* --- keys --- */

static int read_key(struct cli *cli, struct slice path, struct dkim_private_key **ret_key)
{
	struct os_fault fault = {0};
	struct arena arena;
	struct slice pem;
	arena_init(&arena, 2 * DKIM_PEM_MAX);
	const char *name = arena_cstr(&arena, path);
	int result = 0;
	if (!name || !is_ok(file_read_path(name, DKIM_PEM_MAX, &arena, &pem, &fault))) {
		result = cli_fail(cli, NULL, "the key `%.*s` cannot be read: %s", SLICE_FMT(path),
		                  fault.text);
	} else {
		struct status status = dkim_private_key_from_pem(pem, ret_key);
		secret_wipe((void *)(uintptr_t)pem.p, pem.n);
		if (!is_ok(status))
			result = cli_fail(cli, NULL, "`%.*s`: %s", SLICE_FMT(path), status.why);
	}
	arena_done(&arena);
	return result;
}

/* Splits at commas. */
static int split(struct cli *cli, const char *option, struct slice *parts, size_t *ret_n)
{
	struct slice rest = slice_str(cli_option(cli, option));
	size_t n = 0;
	bool more;
	if (rest.n == 0)
		return cli_fail(cli, NULL, "--%s must be given", option);
	do {
		if (n == CLI_SIGNATURES_MAX)
			return cli_fail(cli, NULL, "--%s lists more than %d", option,
			                CLI_SIGNATURES_MAX);
		more = slice_cut(rest, ',', &parts[n++], &rest);
	} while (more);
	*ret_n = n;
	return 0;
}

int cli_signers_open(struct cli *cli, struct cli_signers *signers)
{
	struct slice paths[CLI_SIGNATURES_MAX];
	size_t n_domains, n_paths;
	*signers = (struct cli_signers){.n = 0};
	int result = split(cli, "domain", signers->domains, &n_domains);
	if (result == 0)
		result = split(cli, "selector", signers->selectors, &signers->n);
	if (result == 0)
		result = split(cli, "key", paths, &n_paths);
	if (result == 0 && (n_paths != signers->n || (n_domains != 1 && n_domains != signers->n)))
		result = cli_fail(cli, NULL,
		                  "each --selector needs a --key of its own, and one "
		                  "--domain or each its own");
	for (size_t i = 0; i < signers->n && result == 0; i++) {
		if (n_domains == 1)
			signers->domains[i] = signers->domains[0];
		result = read_key(cli, paths[i], &signers->keys[i]);
		if (result == 0)
			signers->signers[i] = dkim_private_key_signer(signers->keys[i]);
	}
	if (result != 0)
		cli_signers_done(signers);
	return result;
}

void cli_signers_done(struct cli_signers *signers)
{
	for (size_t i = 0; i < CLI_SIGNATURES_MAX; i++)
		dkim_private_key_free(signers->keys[i]);
	*signers = (struct cli_signers){.n = 0};
}

/* --- options --- */

int cli_header_names(struct cli *cli, const char *text, struct slice *names, size_t *ret_n)
{
	struct slice rest = slice_str(text);
	size_t n = 0;
	bool more = text != NULL;
	while (more) {
		if (n == DKIM_SIGNED_NAMES_MAX)
			return cli_fail(cli, NULL, "--headers lists too many names");
		more = slice_cut(rest, ':', &names[n], &rest);
		names[n] = slice_trim(names[n]);
		n++;
	}
	*ret_n = n;
	return 0;
}

int cli_at(struct cli *cli, int64_t *ret_s)
{
	const char *text = cli_option(cli, "at");
	uint64_t at_s = (uint64_t)clock_now_s(clock_real());
	if (text && !slice_to_u64(slice_str(text), 999999999999, &at_s))
		return cli_fail(cli, NULL, "--at is a number of seconds since 1970, not `%s`",
		                text);
	*ret_s = (int64_t)at_s;
	return 0;
}

static bool canon_of(struct slice name, enum dkim_canon *ret_canon)
{
	*ret_canon = slice_eq_str(name, "simple") ? DKIM_SIMPLE : DKIM_RELAXED;
	return *ret_canon == DKIM_SIMPLE || slice_eq_str(name, "relaxed");
}

static int read_canon(struct cli *cli, struct dkim_sign_options *options)
{
	const char *text = cli_option(cli, "canon");
	struct slice header, body;
	if (!text)
		return 0;
	slice_cut(slice_str(text), '/', &header, &body);
	if (!canon_of(header, &options->header_canon) || !canon_of(body, &options->body_canon))
		return cli_fail(cli, NULL, "--canon is HEADER/BODY, each simple or relaxed");
	return 0;
}

static int read_lifetime(struct cli *cli, struct dkim_sign_options *options)
{
	const char *text = cli_option(cli, "expire");
	uint64_t ms = 0;
	if (text && (!is_ok(config_value_duration(slice_str(text), &ms)) || ms < 1000))
		return cli_fail(cli, NULL, "--expire is a time such as 72h or 7d, not `%s`", text);
	options->lifetime_s = (int64_t)(ms / 1000);
	return 0;
}

/* --- what comes of it --- */

static int write_file(struct cli *cli, const struct cli_message *message, struct slice fields,
                      const char *folder)
{
	const char *slash = strrchr(message->name, '/');
	struct os_fault fault = {0};
	char path[4096];
	struct buf text;
	buf_init(&text, 2 * CLI_MESSAGE_MAX);
	cli_message_prefixed(message, fields, true, &text);
	snprintf(path, sizeof(path), "%s/%s", folder, slash ? slash + 1 : message->name);
	struct status status = file_replace(AT_FDCWD, path, buf_slice(&text), 0666, &fault);
	buf_done(&text);
	return is_ok(status) ? 0
	                     : cli_fail(cli, NULL, "`%s` cannot be written: %s", path, fault.text);
}

int cli_put_fields(struct cli *cli, const struct cli_message *message, struct slice fields,
                   json_t *messages)
{
	const char *folder = cli_option(cli, "output");
	struct buf text;
	if (folder && write_file(cli, message, fields, folder) != 0)
		return CLI_FAILED;
	if (cli->json) {
		json_array_append_new(messages, json_pack("{s:s, s:o}", "file", message->name,
		                                          "fields", cli_text_json(fields)));
		return 0;
	}
	if (folder)
		return 0;
	buf_init(&text, 2 * CLI_MESSAGE_MAX);
	cli_message_prefixed(message, fields, cli_option(cli, "message") != NULL, &text);
	cli_put(&text);
	buf_done(&text);
	return 0;
}

/* --- the command --- */

struct session {
	struct cli_signers signers;
	struct dkim_sign_options options[CLI_SIGNATURES_MAX];
	struct slice names[DKIM_SIGNED_NAMES_MAX];
	json_t *messages;
};

static int read_options(struct cli *cli, struct session *s)
{
	struct dkim_sign_options options = {
	        .identity = slice_str(cli_option(cli, "identity")),
	        .no_oversign = cli_option(cli, "no-oversign") != NULL,
	};
	int result = cli_at(cli, &options.now_s);
	if (result == 0)
		result = read_canon(cli, &options);
	if (result == 0)
		result = read_lifetime(cli, &options);
	if (result == 0)
		result = cli_header_names(cli, cli_option(cli, "headers"), s->names,
		                          &options.n_names);
	options.names = options.n_names > 0 ? s->names : NULL;
	for (size_t i = 0; i < s->signers.n; i++) {
		s->options[i] = options;
		s->options[i].domain = s->signers.domains[i];
		s->options[i].selector = s->signers.selectors[i];
		s->options[i].key = &s->signers.signers[i];
	}
	return result;
}

static int run_message(struct cli *cli, const struct cli_message *message, void *context)
{
	struct session *s = context;
	struct slice header = cli_message_header(message);
	struct dkim_body *body = dkim_body_new(dkim_sign_wants(s->options, s->signers.n));
	struct buf fields;
	for (size_t i = 0; i < s->signers.n; i++)
		s->options[i].utf8 = !slice_is_ascii(header) && utf8_valid(header);
	buf_init(&fields, FIELDS_MAX);
	dkim_body_feed(body, cli_message_body(message));
	dkim_body_finish(body);
	struct status status = dkim_sign(header, body, s->options, s->signers.n, &fields);
	int result = is_ok(status) ? cli_put_fields(cli, message, buf_slice(&fields), s->messages)
	                           : cli_fail(cli, NULL, "%s: %s", message->name, status.why);
	dkim_body_free(body);
	buf_done(&fields);
	return result;
}

int cli_dkim_sign(struct cli *cli)
{
	struct session s;
	int result = cli_signers_open(cli, &s.signers);
	if (result != 0)
		return result;
	s.messages = json_array();
	result = read_options(cli, &s);
	if (result == 0)
		result = cli_messages_each(cli, run_message, &s);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "messages", s.messages));
	json_decref(s.messages);
	cli_signers_done(&s.signers);
	return result;
}
