/* For fuzzers: runs one input as a whole session at two sizes of network reads and checks that
 * replies and backend saw the same, that every reply line is well-formed, and that calls came in
 * order. */
#pragma once

#include "base/slice.h"

/* prefix is sent before the input. tls: STARTTLS is offered; what is pipelined behind it is then
 * dropped or not depending on the reads, so replies are not compared. */
void smtp_session_check(struct slice prefix, struct slice input, size_t chunk, bool tls);
