/* Text for people: lines broken at a width, and manual pages. */
#pragma once

#include "base/buf.h"

/* Words of a sentence, broken before `width`, each line indented; ends with a line end. */
void prose_wrap(struct slice text, unsigned indent, unsigned width, struct buf *out);

/* Text as roff source: a backslash, and a dot or quote at the start of a line, would mean something
 * there; a hyphen is made the ASCII one, so that names can be copied. */
void prose_roff(const char *text, struct buf *out);
