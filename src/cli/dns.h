/* The resolver of commands that look things up: their options --resolver, --anchor, --hints,
 * --trust, --running and --timeout, as far as they declare them. */
#pragma once

#include "cli/cli.h"
#include "cli/dns_running.h"
#include "dns/stub.h"
#include "dns/unbound.h"

#define CLI_RESOLVER_OPTION                                                                        \
	{                                                                                          \
		"resolver", "ADDRESS[:PORT]", CLI_ANY,                                             \
		        "Resolver to ask, instead of the servers of the world"                     \
	}
#define CLI_ANCHOR_OPTION                                                                          \
	{                                                                                          \
		"anchor", "FILE", CLI_ANY,                                                         \
		        "Keys that validation begins at (/usr/share/dns/root.key)"                 \
	}

#define CLI_RUNNING_OPTION                                                                         \
	{                                                                                          \
		"running", NULL, CLI_ANY, "Ask the running server's resolver instead"              \
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
