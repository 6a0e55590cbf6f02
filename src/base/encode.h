/* Base64 (RFC 4648 section 4), hexadecimal, and xtext (RFC 3461 section 4) of small values:
 * protocol tokens, not message bodies (those are decoded as streams in message/). */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

void base64_encode(struct slice in, struct buf *out);
/* Strict: padding required, no blanks, no other bytes, unused bits zero. */
struct status base64_decode(struct slice in, struct buf *out);
void hex_encode(struct slice in, struct buf *out); /* lower case */
struct status hex_decode(struct slice in, struct buf *out);
void xtext_encode(struct slice in, struct buf *out);
struct status xtext_decode(struct slice in, struct buf *out);
