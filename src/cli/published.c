/* mailkeep mtasts record|policy, tlsrpt record, dmarc record: what a domain of ours publishes, as
 * the config says. Nothing is looked up, and no running server is needed. */
#include "cli/change.h"

#include "config/name.h"
#include "setup/published.h"

#define STRING_MAX 255u /* octets of one string of a TXT record (RFC 1035 section 3.3) */

typedef struct status publish_fn(const struct config *config, const struct config_domain *domain,
                                 struct buf *out);

/* On failure it has explained itself. */
static int text_of(struct cli *cli, publish_fn *publish, struct arena *arena, struct buf *out,
                   const struct config_domain **ret_domain)
{
	struct config *config;
	int result = cli_load(cli, arena, &config);
	if (result != 0)
		return result;
	*ret_domain = config_domain_find(config, slice_str(cli->args[0]));
	if (!*ret_domain)
		return cli_fail(cli, NULL,
		                "there is no domain `%s`; `mailkeep domain list` shows all",
		                cli->args[0]);
	struct status status = publish(config, *ret_domain, out);
	return is_ok(status) ? 0 : cli_fail(cli, NULL, "%s", status.why);
}

/* A line of a zone file. */
static void add_line(const char *owner, struct slice text, struct buf *out)
{
	buf_printf(out, "%s IN TXT", owner);
	for (size_t at = 0; at < text.n; at += STRING_MAX)
		buf_printf(out, " \"%.*s\"", SLICE_FMT(slice_sub(text, at, STRING_MAX)));
	buf_add_byte(out, '\n');
}

/* Who is told of another domain's mail must say that he wants to be (RFC 9990 section 4). */
static void add_consents(const struct config_domain *domain, struct arena *arena, struct buf *out)
{
	for (size_t i = 0; i < domain->dmarc.reports.n; i++) {
		struct slice localpart, host;
		char ascii[CONFIG_DOMAIN_MAX + 1];
		size_t n = 0;
		if (!config_address_split(slice_str(domain->dmarc.reports.v[i].s), &localpart,
		                          &host) ||
		    !is_ok(config_domain_canonical(host, ascii, &n)) ||
		    slice_eq_str(slice_of(ascii, n), domain->ascii))
			continue;
		const char *owner = arena_printf(arena, "%s._report._dmarc.%.*s.", domain->ascii,
		                                 (int)n, ascii);
		if (owner)
			add_line(owner, SLICE("v=DMARC1;"), out);
	}
}

static int record(struct cli *cli, const char *prefix, publish_fn *publish, bool consents)
{
	const struct config_domain *domain;
	struct buf text, lines;
	struct arena arena;
	arena_init(&arena, CONFIG_ARENA_MAX);
	buf_init(&text, PUBLISHED_MAX);
	buf_init(&lines, 4 * PUBLISHED_MAX);
	int result = text_of(cli, publish, &arena, &text, &domain);
	const char *owner =
	        result == 0 ? arena_printf(&arena, "%s.%s.", prefix, domain->ascii) : NULL;
	if (owner && cli->json) {
		cli_put_json(json_pack("{s:b, s:s, s:s, s:s}", "ok", 1, "owner", owner, "type",
		                       "TXT", "text", buf_cstr(&text)));
	} else if (owner) {
		add_line(owner, buf_slice(&text), &lines);
		if (consents)
			add_consents(domain, &arena, &lines);
		cli_put(&lines);
	}
	buf_done(&lines);
	buf_done(&text);
	arena_done(&arena);
	return result;
}

static struct status publish_tlsrpt(const struct config *config, const struct config_domain *domain,
                                    struct buf *out)
{
	(void)config;
	return published_tlsrpt_record(domain, out);
}

static struct status publish_dmarc(const struct config *config, const struct config_domain *domain,
                                   struct buf *out)
{
	(void)config;
	return published_dmarc_record(domain, out);
}

int cli_mtasts_record(struct cli *cli)
{
	return record(cli, "_mta-sts", published_mtasts_record, false);
}

int cli_tlsrpt_record(struct cli *cli)
{
	return record(cli, "_smtp._tls", publish_tlsrpt, false);
}

int cli_dmarc_record(struct cli *cli)
{
	return record(cli, "_dmarc", publish_dmarc, true);
}

int cli_mtasts_policy(struct cli *cli)
{
	const struct config_domain *domain;
	struct arena arena;
	struct buf text;
	arena_init(&arena, CONFIG_ARENA_MAX);
	buf_init(&text, PUBLISHED_MAX);
	int result = text_of(cli, published_mtasts_policy, &arena, &text, &domain);
	const char *url =
	        result == 0 ? arena_printf(&arena, "https://mta-sts.%s/.well-known/mta-sts.txt",
	                                   domain->ascii)
	                    : NULL;
	if (url && cli->json)
		cli_put_json(json_pack("{s:b, s:s, s:s}", "ok", 1, "url", url, "policy",
		                       buf_cstr(&text)));
	else if (url)
		cli_put(&text);
	buf_done(&text);
	arena_done(&arena);
	return result;
}
