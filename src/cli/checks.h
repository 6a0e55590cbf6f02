/* What commands that make one check of mailauth/ share: the resolver with its evidence, printing of
 * steps and lookups, addresses and domains as people type them.
 *
 * Their first line begins with the result's word; below it stand the reason and every step, with
 * the DNSSEC status of each lookup. */
#pragma once

#include "cli/dns.h"
#include "mailauth/explain.h"
#include "mailauth/lookup.h"

/* Their options, which cli/dns.h reads. */
#define CLI_RESOLVER_OPTIONS                                                                       \
	CLI_RESOLVER_OPTION, CLI_ANCHOR_OPTION,                                                    \
	        {"hints", "FILE", CLI_ANY, "Addresses of root servers to begin at"},               \
	        {"trust", NULL, CLI_ANY,                                                           \
	         "Believe what the --resolver says of DNSSEC instead of validating"},              \
	{                                                                                          \
		"timeout", "SECONDS", CLI_ANY, "How long to wait in all (30)"                      \
	}

struct cli_check {
	struct cli *cli;
	struct cli_resolver resolver;
	struct arena arena;
	struct mailauth_dns dns;
};

/* 0, or the failure's exit status when it is explained already. */
int cli_check_open(struct cli_check *check, struct cli *cli);
void cli_check_done(struct cli_check *check);

/* 0 and 4 or 16 bytes, or an exit status. */
int cli_check_address(struct cli *cli, const char *text, uint8_t bytes[16], size_t *ret_n);
int cli_check_domain(struct cli_check *check, const char *text, struct dns_name *ret_name);

/* The steps, indented by two blanks. */
void cli_story_print(const struct mailauth_story *story, struct buf *out);
json_t *cli_story_json(const struct mailauth_story *story);
json_t *cli_evidence_json(const struct mailauth_evidence *evidence);
