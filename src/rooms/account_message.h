/* A stored message by its descriptor, taken apart. Private to the account room. */
#pragma once

#include "message/body.h"

struct account_message {
	struct message_source source; /* first member */
	int fd;
	uint64_t size;
};

void account_message_init(struct account_message *message, int fd, uint64_t size);
/* The parts live in the arena. LIMIT past its budget. */
struct status account_message_parts(const struct account_message *message, struct arena *arena,
                                    struct message_part **ret_root);
