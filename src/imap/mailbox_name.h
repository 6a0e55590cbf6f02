/* Mailbox names on the wire and their patterns. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

#define IMAP_PATTERN_MAX 1000u /* bytes */

/* list-mailbox: "*" matches anything, "%" anything but the hierarchy separator (RFC 9051 section
 * 6.3.9). The first n_folded bytes of the name (INBOX) are compared without regard to case. Work is
 * at most pattern.n * name.n. */
bool imap_pattern_matches(struct slice pattern, struct slice name, size_t n_folded);
