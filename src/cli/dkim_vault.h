/* The DKIM keys of our own domains: which the config names, and which the vault has, of a running
 * server or in its files. */
#pragma once

#include "cli/cli.h"
#include "mailauth/dkim_key.h"

#define CLI_DKIM_KEYS_MAX 256u /* of a domain that are looked at */

struct cli_dkim_key {
	const char *selector;
	const char *name; /* of the record: "2026a._domainkey.example.org" */
	bool in_config;
	bool sign;         /* by the config */
	bool in_vault;     /* else what follows is not known */
	int64_t created_s; /* unix seconds */
	struct dkim_key key;
	const char *type;   /* "rsa-2048" */
	const char *record; /* the text of the TXT record */
};

/* Both, by selector; copies, in the arena. On failure it has explained itself; 0 or an exit status.
 */
int cli_dkim_keys(const struct cli *cli, const struct config *config,
                  const struct config_domain *domain, struct arena *arena,
                  struct cli_dkim_key **ret_keys, size_t *ret_n);
/* NULL: there is none. */
const struct cli_dkim_key *cli_dkim_key_find(const struct cli_dkim_key *keys, size_t n,
                                             const char *selector);

/* Changes of the vault. Each explains itself on failure. */
int cli_dkim_vault_generate(const struct cli *cli, const struct config *config,
                            const struct config_domain *domain, const char *selector,
                            const char *type);
int cli_dkim_vault_import(const struct cli *cli, const struct config *config,
                          const struct config_domain *domain, const char *selector,
                          struct slice pem);
/* A key that is not there is no failure. */
int cli_dkim_vault_remove(const struct cli *cli, const struct config *config,
                          const struct config_domain *domain, const char *selector);
