/* A record's data as it travels, shared by packets and packed answers. */
#pragma once

#include "base/cursor.h"
#include "dns/answer.h"

/* record->type says what to read; c ends with the data, compression pointers may lead to whatever
 * stands before it. SYNTAX; LIMIT: too many strings, the arena's budget. */
struct status dns_record_read(struct cursor *c, struct arena *arena, struct dns_record *record);
/* Without compression. */
void dns_record_write(const struct dns_record *record, struct buf *out);
