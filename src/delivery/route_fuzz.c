/* Any transports and routes, any question: "yaml of transports and routes\0from\0to\0attempts".
 * Whatever the config says, a choice is explained, points into it, and is one of its own routes. */
#include "delivery/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUDGET ((size_t)64 * 1024 * 1024)

static const char head[] = "hostname: mail.example.org\n"
                           "postmaster: me\n"
                           "listeners: {public: {addresses: [192.0.2.1], smtp: {}}}\n";
static const char domains[] = "domains: {example.org: {}}\n"
                              "accounts: {me: {addresses: [me@example.org]}}\n";

static void check_choice(const struct config *config, const struct delivery_choice *choice,
                         unsigned n_attempts)
{
	ASSERT(*choice->why && strlen(choice->why) < sizeof(choice->why));
	ASSERT(!slice_has_control(slice_str(choice->why)));
	if (!choice->route) {
		ASSERT(!choice->transport && choice->level == DELIVERY_LEVEL_NONE);
		return;
	}
	ASSERT(choice->level == DELIVERY_LEVEL_GLOBAL);
	ASSERT(choice->route >= config->routes.v &&
	       choice->route < config->routes.v + config->routes.n);
	ASSERT(choice->route->min_attempts <= n_attempts);
	ASSERT(choice->transport ==
	       config_transport_find(config, config_slice(&choice->route->transport)));
}

static void ask(const struct config *config, struct slice rest)
{
	struct delivery_choice choice, later;
	struct slice from, to;
	(void)slice_cut(rest, 0, &from, &rest);
	(void)slice_cut(rest, 0, &to, &rest);
	struct delivery_question question = {
	        .config = config,
	        .account = &config->accounts.v[0],
	        .sender_domain = from,
	        .recipient_domain = to,
	        .n_attempts = rest.n > 0 ? rest.p[0] : 0,
	};
	delivery_choose(&question, &choice);
	check_choice(config, &choice, question.n_attempts);
	/* More attempts can only lead to an earlier route. */
	question.n_attempts += 1000;
	delivery_choose(&question, &later);
	ASSERT(!choice.route || (later.route && later.route <= choice.route));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct config_problems problems;
	struct config *config = NULL;
	struct slice yaml, rest;
	struct buf server;
	(void)slice_cut(slice_of(data, size), 0, &yaml, &rest);
	buf_init(&server, CONFIG_FILE_MAX);
	buf_add_str(&server, head);
	buf_add(&server, yaml);
	struct config_sources sources = {
	        .directory = "/etc/mailkeep",
	        .text = {buf_slice(&server), slice_str(domains)},
	};
	arena_init(&arena, BUDGET);
	config_problems_init(&problems);
	if (is_ok(config_parse(&sources, &arena, &config, &problems)))
		ask(config, rest);
	config_problems_done(&problems);
	arena_done(&arena);
	buf_done(&server);
	return 0;
}
