/* `mailkeep dkim genkey`, `dkim txt` and `dkim lookup`: keys and their records. */
#include "cli/dkim.h"

#include "cli/dns.h"
#include "os/clock.h"
#include "os/file.h"
#include "vault/secret.h"

#define RECORD_STRING_MAX 255u /* octets of one string of a TXT record (RFC 1035 section 3.3) */
#define KEY_ARENA         ((size_t)256 * 1024)

/* --- records --- */

/* "text" "text", as a zone file has it. */
static void print_strings(struct slice record, struct buf *out)
{
	while (record.n > 0) {
		struct slice part = slice_sub(record, 0, RECORD_STRING_MAX);
		buf_printf(out, " \"%.*s\"", SLICE_FMT(part));
		record = slice_from(record, part.n);
	}
}

/* The line of a zone file; the name is what --selector and --domain make it. */
static void print_zone_line(const struct cli *cli, struct slice record, struct buf *out)
{
	const char *selector = cli_option(cli, "selector"), *domain = cli_option(cli, "domain");
	buf_printf(out, "%s._domainkey", selector ? selector : "SELECTOR");
	if (domain)
		buf_printf(out, ".%s.", domain);
	buf_add_str(out, " TXT");
	print_strings(record, out);
	buf_add_byte(out, '\n');
}

static int check_names(struct cli *cli)
{
	const char *selector = cli_option(cli, "selector"), *domain = cli_option(cli, "domain");
	struct arena arena;
	int result = 0;
	arena_init(&arena, 4 * KIB);
	if (selector && !dkim_name_parse(slice_str(selector), 1, &arena))
		result = cli_fail(cli, NULL, "`%s` is not a selector", selector);
	else if (domain && !dkim_name_parse(slice_str(domain), 2, &arena))
		result = cli_fail(cli, NULL, "`%s` is not a domain", domain);
	arena_done(&arena);
	return result;
}

static int put_record(struct cli *cli, const struct dkim_key *key, struct slice pem)
{
	struct buf record, text;
	buf_init(&record, DKIM_KEY_RECORD_MAX);
	buf_init(&text, 4 * DKIM_KEY_RECORD_MAX);
	struct status status = dkim_key_print(key, &record);
	if (is_ok(status))
		print_zone_line(cli, buf_slice(&record), &text);
	if (!is_ok(status)) {
		(void)cli_fail(cli, NULL, "%s", status.why);
	} else if (cli->json) {
		json_t *json = json_pack("{s:b, s:s, s:i, s:s, s:s}", "ok", 1, "type",
		                         dkim_key_type_name(key->type), "bits", (int)key->bits,
		                         "record", buf_cstr(&record), "zone", buf_cstr(&text));
		if (pem.n > 0)
			json_object_set_new(json, "private_key", cli_text_json(pem));
		cli_put_json(json);
	} else {
		if (pem.n > 0)
			printf("%.*s\n", SLICE_FMT(pem));
		else
			printf("%s\n", buf_cstr(&record));
		cli_put(&text);
	}
	buf_done(&record);
	buf_done(&text);
	return is_ok(status) ? 0 : CLI_FAILED;
}

/* --- genkey --- */

static bool type_of(const char *name, enum dkim_key_type *ret_type, unsigned *ret_bits)
{
	static const struct {
		const char *name;
		enum dkim_key_type type;
		unsigned bits;
	} types[] = {
	        {"rsa-2048", DKIM_KEY_RSA, 2048},
	        {"rsa-3072", DKIM_KEY_RSA, 3072},
	        {"rsa-4096", DKIM_KEY_RSA, 4096},
	        {"ed25519", DKIM_KEY_ED25519, 0},
	};
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (strcmp(name, types[i].name) == 0) {
			*ret_type = types[i].type;
			*ret_bits = types[i].bits;
			return true;
		}
	return false;
}

static int put_key(struct cli *cli, const struct dkim_private_key *key)
{
	struct arena arena;
	struct dkim_key half;
	struct buf pem;
	arena_init(&arena, KEY_ARENA);
	buf_init(&pem, DKIM_PEM_MAX);
	struct status status = dkim_private_key_to_pem(key, &pem);
	if (is_ok(status))
		status = dkim_private_key_public(key, &arena, &half);
	int result = is_ok(status) ? put_record(cli, &half, buf_slice(&pem))
	                           : cli_fail(cli, NULL, "%s", status.why);
	if (pem.n > 0)
		secret_wipe(pem.p, pem.n);
	buf_done(&pem);
	arena_done(&arena);
	return result;
}

int cli_dkim_genkey(struct cli *cli)
{
	const char *name = cli_option(cli, "type");
	enum dkim_key_type type;
	unsigned bits;
	struct dkim_private_key *key;
	if (!type_of(name ? name : "rsa-2048", &type, &bits))
		return cli_fail(
		        cli, NULL,
		        "`%s` is not a type of key: rsa-2048, rsa-3072, rsa-4096 or ed25519", name);
	int result = check_names(cli);
	if (result != 0)
		return result;
	struct status status = dkim_private_key_generate(type, bits, &key);
	if (!is_ok(status))
		return cli_fail(cli, NULL, "%s", status.why);
	result = put_key(cli, key);
	dkim_private_key_free(key);
	return result;
}

/* --- txt --- */

/* A private key's public half, or a public key. */
static struct status public_half(struct slice pem, struct arena *arena, struct dkim_key *ret_key)
{
	struct dkim_private_key *key;
	struct status status = dkim_private_key_from_pem(pem, &key);
	if (!is_ok(status))
		return slice_find(pem, SLICE("PUBLIC KEY-----")) != SIZE_MAX
		               ? dkim_public_from_pem(pem, arena, ret_key)
		               : status;
	status = dkim_private_key_public(key, arena, ret_key);
	dkim_private_key_free(key);
	return status;
}

int cli_dkim_txt(struct cli *cli)
{
	struct cli_message file;
	struct arena arena;
	struct dkim_key key;
	int result = check_names(cli);
	if (result == 0)
		result = cli_message_read(cli, cli->n_args > 0 ? cli->args[0] : NULL, &file);
	if (result != 0)
		return result;
	arena_init(&arena, KEY_ARENA);
	struct status status = public_half(buf_slice(&file.original), &arena, &key);
	result = is_ok(status) ? put_record(cli, &key, slice_empty())
	                       : cli_fail(cli, NULL, "%s: %s", file.name, status.why);
	if (file.original.n > 0) {
		secret_wipe(file.original.p, file.original.n);
		secret_wipe(file.text.p, file.text.n);
	}
	cli_message_done(&file);
	arena_done(&arena);
	return result;
}

/* --- lookup --- */

static void describe(const struct dkim_key *key, struct buf *out)
{
	buf_printf(out, "%s key", dkim_key_type_name(key->type));
	if (!key->revoked)
		buf_printf(out, " of %u bits", key->bits);
	if (key->testing)
		buf_add_str(out, ", the domain is testing (t=y)");
	if (key->strict_identity)
		buf_add_str(out, ", for no subdomain in i= (t=s)");
	buf_add_byte(out, '\n');
	if (key->notes.n > 0) {
		buf_add_str(out, "notes: ");
		cli_text_add(key->notes, out);
		buf_add_byte(out, '\n');
	}
}

struct found {
	const char *name;
	const struct dns_answer *answer;
	const char *security;
	enum mailauth_result result;
	const char *why;            /* a sentence */
	const struct dkim_key *key; /* NULL: there is none */
};

/* The first record that is a key counts, as for a verifier. */
static void read_records(struct found *found, struct dkim_key *key, struct arena *arena)
{
	const struct dns_answer *answer = found->answer;
	struct status status = ok();
	size_t i = 0;
	do {
		status = dkim_key_parse(answer->records[i].txt.joined, arena, key);
	} while (!is_ok(status) && ++i < MIN(answer->n_records, (size_t)DKIM_KEY_RECORDS_MAX));
	found->why = status.why;
	if (!is_ok(status))
		return;
	found->key = key;
	found->result = dkim_key_judge(key, &found->why);
	const char *sentence = arena_printf(arena, "the key %s", found->why);
	if (*found->why && sentence)
		found->why = sentence;
	else if (answer->n_records > 1)
		found->why = "there are several records; verifiers may take any";
	else
		found->why = "the key can be used";
}

static void read_answer(struct found *found, struct arena *arena)
{
	struct dkim_key *key = ARENA_NEW(arena, struct dkim_key);
	const struct dns_answer *answer = found->answer;
	found->result = MAILAUTH_PERMERROR;
	found->why = "there is no such record";
	if (answer->outcome == DNS_FAILED) {
		found->result = MAILAUTH_TEMPERROR;
		found->why = answer->why;
	} else if (answer->outcome == DNS_FOUND && key) {
		read_records(found, key, arena);
	}
}

static void print_found(const struct found *found, struct buf *out)
{
	const struct dns_answer *answer = found->answer;
	buf_printf(out, "%s: %s: %s (DNSSEC: %s)\n", mailauth_result_name(found->result),
	           found->name, found->why, found->security);
	if (found->key)
		describe(found->key, out);
	for (size_t i = 0; answer->outcome == DNS_FOUND && i < answer->n_records; i++) {
		buf_add_str(out, "TXT ");
		dns_record_print(&answer->records[i], out);
		buf_add_byte(out, '\n');
	}
}

static json_t *found_json(const struct found *found)
{
	json_t *records = json_array();
	json_t *json =
	        json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", (int)(found->result == MAILAUTH_PASS),
	                  "result", mailauth_result_name(found->result), "name", found->name, "why",
	                  found->why, "security", found->security);
	if (found->key)
		json_object_set_new(json, "key",
		                    json_pack("{s:s, s:i, s:b, s:b, s:b}", "type",
		                              dkim_key_type_name(found->key->type), "bits",
		                              (int)found->key->bits, "revoked",
		                              (int)found->key->revoked, "testing",
		                              (int)found->key->testing, "strict_identity",
		                              (int)found->key->strict_identity));
	for (size_t i = 0; found->answer->outcome == DNS_FOUND && i < found->answer->n_records; i++)
		json_array_append_new(records, cli_text_json(found->answer->records[i].txt.joined));
	json_object_set_new(json, "records", records);
	return json;
}

static int look_up(struct cli *cli, const struct cli_resolver *resolver, const char *name,
                   struct arena *arena)
{
	struct mailauth_dns dns;
	struct dns_name parsed;
	struct found found = {.name = name};
	if (!is_ok(dns_name_parse(slice_str(name), arena, &parsed)))
		return cli_fail(cli, NULL, "`%s` is not a name of the DNS", name);
	mailauth_dns_init(&dns, resolver->resolver, clock_real(), resolver->timeout_ms, arena);
	found.answer = mailauth_lookup(&dns, parsed, DNS_TYPE_TXT);
	found.security = mailauth_evidence_word(&dns.evidence);
	read_answer(&found, arena);
	if (cli->json) {
		cli_put_json(found_json(&found));
	} else {
		struct buf text;
		buf_init(&text, SIZE_MAX);
		print_found(&found, &text);
		cli_put(&text);
		buf_done(&text);
	}
	return found.result == MAILAUTH_PASS ? 0 : CLI_FAILED;
}

int cli_dkim_lookup(struct cli *cli)
{
	struct cli_resolver resolver;
	struct arena arena;
	arena_init(&arena, MAILAUTH_DNS_ARENA);
	const char *selector = dkim_name_parse(slice_str(cli->args[0]), 1, &arena);
	const char *domain = dkim_name_parse(slice_str(cli->args[1]), 2, &arena);
	const char *name = selector && domain ? dkim_key_name(selector, domain, &arena) : NULL;
	int result = name ? cli_resolver_open(cli, &resolver)
	                  : cli_fail(cli, NULL, "`%s` and `%s` are not a selector and a domain",
	                             cli->args[0], cli->args[1]);
	if (result == 0) {
		result = look_up(cli, &resolver, name, &arena);
		cli_resolver_done(&resolver);
	}
	arena_done(&arena);
	return result;
}
