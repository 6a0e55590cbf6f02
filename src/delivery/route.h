/* Which transport a message goes by: routes of the sending account, of the sender's domain, of the
 * server, in this order; within a level in the order of the file. The first that matches in all it
 * says decides. Asked anew at every attempt.
 */
#pragma once

#include "config/config.h"

enum delivery_level {
	DELIVERY_LEVEL_NONE, /* no route matched */
	DELIVERY_LEVEL_ACCOUNT,
	DELIVERY_LEVEL_DOMAIN,
	DELIVERY_LEVEL_GLOBAL,
};
const char *delivery_level_name(enum delivery_level level); /* "account" */

struct delivery_question {
	const struct config *config;
	const struct config_account *account; /* whose mail it is; NULL: nobody's (reports) */
	struct slice sender_domain;           /* of MAIL FROM, A- or U-labels; empty: null sender */
	struct slice recipient_domain;        /* A- or U-labels, or an address literal */
	uint32_t n_attempts;                  /* already made, 0 before the first */
};

#define DELIVERY_WHY_MAX 400

struct delivery_choice {
	const struct config_transport *transport; /* NULL: direct, with the defaults */
	const struct config_route *route;         /* NULL: none matched */
	enum delivery_level level;
	/* "route `x` of account `me`: smarthost", "no route matches: direct" */
	char why[DELIVERY_WHY_MAX];
};

/* Pure; never fails. The choice points into the config. */
void delivery_choose(const struct delivery_question *question, struct delivery_choice *ret_choice);
