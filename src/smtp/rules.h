/* Character rules that several grammars of this folder share. */
#pragma once

#include "base/slice.h"

/* atext of RFC 5322 section 3.2.3, ASCII only. */
bool smtp_is_atext(uint8_t c);

/* UTF8-non-ascii of RFC 6532 section 3.1: the size (2..4) of the sequence that s starts with, 0
 * when it starts with none. Overlong forms and surrogates are none; C1 controls (U+0080..U+009F)
 * are refused too, since they act on terminals that show a log. */
size_t smtp_utf8_size(struct slice s);
