/* A message's tree as text, for tests and people: one line a part, children indented. */
#pragma once

#include "base/buf.h"
#include "message/part.h"

/* "text/plain 0+57 57+12 lines 3+1 [params] ..." and the envelope. Not a stable format. */
void message_dump(const struct message_part *root, struct buf *out);

/* The addresses of a list, each in [], with every field that is there. */
void message_dump_addresses(const struct message_address_list *list, struct buf *out);
