/* What the commands of the queue share: filters from options, questions to the running server in
 * pages, times in words. */
#pragma once

#include "cli/change.h"
#include "cli/server.h"

struct cli_queue {
	struct cli *cli;
	struct arena arena;
	struct config *config;
	int64_t now_ms;
};

/* Loads the configuration, to know where the server listens. On failure it has explained itself.
 * End it in any case. */
int cli_queue_begin(struct cli_queue *q, struct cli *cli);
void cli_queue_end(struct cli_queue *q);

/* Asks the server; takes the request. On failure it has explained itself; else the answer is the
 * caller's. */
int cli_queue_ask(struct cli_queue *q, json_t *request, json_t **ret_answer);

/* The filter that options and the words from `first` on (ids) describe. *ret_given: there is any
 * restriction. */
int cli_queue_filter(struct cli_queue *q, size_t first, json_t **ret_filter, bool *ret_given);

/* "in 4 min", "3 h ago", "now". */
void cli_queue_distance(int64_t ms, struct buf *out);
