/* Loading any two texts: "server\0domains". A configuration that is accepted must answer for
 * everything in it, and be the same after freezing. */
#include "config/config.h"

#include "os/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUDGET ((size_t)64 * 1024 * 1024)

static void check_problems(const struct config_problems *problems)
{
	ASSERT(problems->n <= CONFIG_PROBLEMS_MAX);
	for (size_t i = 0; i < problems->n; i++) {
		const struct config_problem *p = &problems->v[i];
		ASSERT(*p->what && !strchr(p->what, '\n') && !strchr(p->mend, '\n'));
		ASSERT(!slice_has_control(slice_str(p->what)));
	}
}

/* Every address leads to the account that has it, or somewhere on purpose. */
static void check_accounts(const struct config *config)
{
	struct config_lookup lookup;
	for (size_t i = 0; i < config->accounts.n; i++) {
		const struct config_account *account = &config->accounts.v[i];
		ASSERT(config_account_find(config, config_slice(&account->name)) == account);
		for (size_t j = 0; j < account->addresses.n; j++) {
			struct slice local, domain;
			(void)slice_cut(config_slice(&account->addresses.v[j]), '@', &local,
			                &domain);
			config_lookup_address(config, local, domain, &lookup);
			ASSERT(lookup.domain);
			if (local.n == 0)
				continue;
			ASSERT(lookup.kind == CONFIG_LOOKUP_DISABLED || lookup.account == account);
			ASSERT(config_login_find(config, config_slice(&account->addresses.v[j])));
		}
	}
	for (size_t i = 0; i < config->aliases.n; i++) {
		const struct config_alias *alias = &config->aliases.v[i];
		ASSERT(config_alias_find(config, config_slice(&alias->name)) == alias);
		for (size_t j = 0; j < alias->n_targets; j++)
			ASSERT(alias->targets[j].account->enabled && *alias->targets[j].address);
	}
}

static void check_frozen(const struct config_sources *sources, const struct config *config)
{
	struct arena arena;
	struct config_problems problems;
	struct config *again;
	CLEANUP(fd_close) int fd = -1;
	arena_init(&arena, BUDGET);
	config_problems_init(&problems);
	ASSERT(is_ok(config_freeze(sources, &fd)));
	ASSERT(is_ok(config_load_frozen(fd, &arena, &again, &problems)));
	ASSERT(again->accounts.n == config->accounts.n && again->domains.n == config->domains.n);
	ASSERT(strcmp(again->data_directory.s, config->data_directory.s) == 0);
	config_problems_done(&problems);
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct config_problems problems;
	struct config *config = NULL;
	struct config_sources sources = {.directory = "/etc/mailkeep"};
	struct slice input = slice_of(data, size);
	(void)slice_cut(input, 0, &sources.text[CONFIG_SERVER], &sources.text[CONFIG_DOMAINS]);
	arena_init(&arena, BUDGET);
	config_problems_init(&problems);
	struct status status = config_parse(&sources, &arena, &config, &problems);
	check_problems(&problems);
	ASSERT(is_ok(status) == (problems.n_errors == 0) || status.code == ERR_LIMIT);
	if (is_ok(status)) {
		struct config_lookup lookup;
		check_accounts(config);
		check_frozen(&sources, config);
		config_lookup_address(config, input, input, &lookup);
		config_lookup_address(config, input, slice_str("example.org"), &lookup);
	}
	config_problems_done(&problems);
	arena_done(&arena);
	return 0;
}
