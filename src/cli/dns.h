/* The resolver of commands that look things up: their options --resolver, --anchor, --hints,
 * --trust, --running and --timeout. */
#pragma once

#include "cli/cli.h"
#include "cli/dns_running.h"
#include "dns/stub.h"
#include "dns/unbound.h"

/* Of every command that looks something up; it takes_config, for --running. */
#define CLI_RESOLVER_OPTIONS                                                                       \
	{"resolver", "ADDRESS[:PORT]", CLI_ANY,                                                    \
	 "Resolver to ask, instead of the servers of the world"},                                  \
	        {"anchor", "FILE", CLI_ANY,                                                        \
	         "Keys that validation begins at (/usr/share/dns/root.key)"},                      \
	        {"hints", "FILE", CLI_ANY, "Addresses of root servers to begin at"},               \
	        {"trust", NULL, CLI_ANY,                                                           \
	         "Believe what the --resolver says of DNSSEC instead of validating"},              \
	        {"running", NULL, CLI_ANY, "Ask the running server's resolver instead"},           \
	{                                                                                          \
		"timeout", "SECONDS", CLI_ANY, "How long to wait for the DNS in all (30)"          \
	}

struct cli_resolver {
	struct dns_unbound *unbound;
	struct dns_stub stub;
	struct cli_running running;
	struct arena config; /* of --running */
	const struct dns_resolver *resolver;
	int timeout_ms;
};

/* 0, or the failure's exit status when it is explained already. */
int cli_resolver_open(struct cli *cli, struct cli_resolver *resolver);
void cli_resolver_done(struct cli_resolver *resolver);

/* An answer in words: "secure: 2 MX records for 3600 s" and a line for each alias and record. */
void cli_answer_text(const struct dns_answer *answer, struct buf *out);
/* The same as an object with all there is. */
json_t *cli_answer_json(const struct dns_answer *answer);
