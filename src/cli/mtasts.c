/* `mailkeep mtasts lookup` and `mailkeep tlsrpt lookup`: what a domain publishes about TLS with its
 * mail servers. In this process: no running server is needed. */
#include "cli/dns.h"
#include "cli/evidence.h"

#include "delivery/https_fetch.h"
#include "delivery/tlsrpt.h"
#include "os/clock.h"

/* --- mtasts lookup --- */

struct sts {
	struct cli *cli;
	struct arena arena;
	struct cli_resolver resolver;
	struct cli_tls tls;
	uint16_t port;
	struct mtasts_found found;
	struct delivery_hosts hosts;
};

/* The first word. */
static const char *result_of(const struct mtasts_found *found)
{
	if (found->entry.state.has_policy)
		return mtasts_mode_name(found->entry.policy.mode);
	switch (found->lookup.announcement) {
	case MTASTS_ANNOUNCED:
		return "invalid";
	case MTASTS_ABSENT:
		return "absent";
	case MTASTS_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

static struct status look(struct sts *s)
{
	const struct mtasts_query query = {
	        .resolver = s->resolver.resolver,
	        .clock = clock_real(),
	        .domain = slice_str(s->cli->args[0]),
	        .lookup_timeout_ms = s->resolver.timeout_ms,
	        .fetch_timeout_ms = s->resolver.timeout_ms,
	        .port = s->port,
	        .fetcher = &https_by_curl,
	        .authorities = s->tls.authorities,
	};
	const struct delivery_query hosts = {.resolver = s->resolver.resolver,
	                                     .domain = query.domain,
	                                     .timeout_ms = s->resolver.timeout_ms};
	TRY(mtasts_find(&query, &s->arena, &s->found));
	return s->found.entry.state.has_policy ? delivery_hosts_find(&hosts, &s->arena, &s->hosts)
	                                       : ok();
}

static bool is_named(const struct sts *s, size_t i)
{
	return mtasts_policy_matches(&s->found.entry.policy, slice_str(s->hosts.v[i].name));
}

static void say(const struct sts *s, struct buf *out)
{
	const struct mtasts_found *found = &s->found;
	buf_printf(out, "%s: %s\n", result_of(found),
	           found->fetch.made ? found->fetch.why : found->why);
	cli_say_mtasts(found, out);
	for (size_t i = 0; i < s->hosts.n; i++)
		buf_printf(out, "  MX %s: %s by the policy\n", s->hosts.v[i].name,
		           is_named(s, i) ? "named" : "not named");
}

static json_t *hosts_json(const struct sts *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->hosts.n; i++)
		json_array_append_new(list, json_pack("{s:s, s:b}", "host", s->hosts.v[i].name,
		                                      "named", is_named(s, i)));
	return list;
}

static int put(const struct sts *s)
{
	const char *result = result_of(&s->found);
	bool is_good = s->found.entry.state.has_policy || strcmp(result, "absent") == 0;
	struct buf text;
	if (s->cli->json) {
		json_t *json = json_pack("{s:b, s:s, s:s, s:o, s:o}", "ok", is_good, "result",
		                         result, "why", s->found.why, "mta_sts",
		                         cli_mtasts_json(&s->found), "hosts", hosts_json(s));
		cli_put_json(json);
	} else {
		buf_init(&text, SIZE_MAX);
		say(s, &text);
		cli_put(&text);
		buf_done(&text);
	}
	return is_good ? 0 : CLI_FAILED;
}

int cli_mtasts_lookup(struct cli *cli)
{
	struct sts *s = base_alloc(sizeof(*s));
	*s = (struct sts){.cli = cli};
	arena_init(&s->arena, MTASTS_ARENA + DELIVERY_HOSTS_ARENA);
	int result = cli_port_option(cli, "port", &s->port);
	if (result == 0 && !https_warm_up())
		result = cli_fail(cli, NULL, "libcurl cannot be used");
	if (result == 0)
		result = cli_resolver_open(cli, &s->resolver);
	if (result == 0) {
		result = cli_tls_open(cli, &s->tls);
		struct status status = result == 0 ? look(s) : ok();
		if (!is_ok(status))
			result = cli_fail(cli, NULL, "%s", status.why);
		else if (result == 0)
			result = put(s);
		cli_tls_done(&s->tls);
		cli_resolver_done(&s->resolver);
	}
	arena_done(&s->arena);
	base_free(s);
	return result;
}

/* --- tlsrpt lookup --- */

static const char *const outcomes[] = {
        [TLSRPT_FOUND] = "found", [TLSRPT_ABSENT] = "absent", [TLSRPT_UNKNOWN] = "unknown"};
static const char *const kinds[] = {[TLSRPT_URI_OTHER] = "unusable",
                                    [TLSRPT_URI_MAILTO] = "mailto",
                                    [TLSRPT_URI_HTTPS] = "https"};

static void say_rua(const struct tlsrpt_uri *uri, struct buf *out)
{
	buf_printf(out, "  rua %s ", kinds[uri->kind]);
	buf_add(out, uri->address ? slice_str(uri->address) : uri->text);
	buf_add_byte(out, '\n');
}

static json_t *rua_json(const struct tlsrpt_record *record)
{
	json_t *list = json_array();
	for (size_t i = 0; i < record->n; i++)
		json_array_append_new(
		        list,
		        json_pack("{s:s, s:s#, s:s}", "kind", kinds[record->rua[i].kind], "uri",
		                  (const char *)record->rua[i].text.p, (int)record->rua[i].text.n,
		                  "address", record->rua[i].address ? record->rua[i].address : ""));
	return list;
}

static int put_tlsrpt(const struct cli *cli, const struct tlsrpt_lookup *lookup)
{
	bool is_good = lookup->outcome != TLSRPT_UNKNOWN;
	size_t n_answers = lookup->answer ? 1 : 0;
	struct buf text;
	if (cli->json) {
		cli_put_json(json_pack("{s:b, s:s, s:s, s:o, s:o}", "ok", is_good, "result",
		                       outcomes[lookup->outcome], "why", lookup->why, "rua",
		                       rua_json(&lookup->record), "answers",
		                       cli_answers_json(&lookup->answer, n_answers)));
	} else {
		buf_init(&text, SIZE_MAX);
		buf_printf(&text, "%s: %s\n", outcomes[lookup->outcome], lookup->why);
		for (size_t i = 0; i < lookup->record.n; i++)
			say_rua(&lookup->record.rua[i], &text);
		cli_say_answers(&lookup->answer, n_answers, &text);
		cli_put(&text);
		buf_done(&text);
	}
	return is_good ? 0 : CLI_FAILED;
}

int cli_tlsrpt_lookup(struct cli *cli)
{
	struct cli_resolver resolver;
	struct tlsrpt_lookup lookup;
	struct arena arena;
	int result = cli_resolver_open(cli, &resolver);
	if (result != 0)
		return result;
	arena_init(&arena, DNS_ANSWER_ARENA);
	struct status status = tlsrpt_lookup(resolver.resolver, slice_str(cli->args[0]),
	                                     resolver.timeout_ms, &arena, &lookup);
	result = is_ok(status) ? put_tlsrpt(cli, &lookup) : cli_fail(cli, NULL, "%s", status.why);
	arena_done(&arena);
	cli_resolver_done(&resolver);
	return result;
}
