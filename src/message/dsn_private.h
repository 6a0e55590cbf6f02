/* What writing and reading notifications share. */
#pragma once

#include "message/dsn.h"

/* Text from elsewhere made fit for one line: valid UTF-8, controls as spaces, cut; without UTF-8
 * everything beyond ASCII becomes '?'. */
void dsn_add_clean(struct slice text, size_t max, bool utf8, struct buf *out);

/* "5.1.1": three numbers, the first 2, 4 or 5 (RFC 3463 section 2). */
bool dsn_status_is_valid(struct slice status);
/* The recipient's, or that of the action's class. */
struct slice dsn_status_of(const struct message_dsn *dsn,
                           const struct message_dsn_recipient *recipient);

/* The first part: words for people. */
void dsn_add_words(const struct message_dsn *dsn, struct buf *out);
