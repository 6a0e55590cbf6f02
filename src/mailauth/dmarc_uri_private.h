/* One URI of rua or ruf, for the parser of records. */
#pragma once

#include "mailauth/dmarc_record.h"

/* dmarc-uri / obs-dmarc-uri (RFC 9989 section 4.8), without blanks around it. Copied into the
 * arena. SYNTAX with what is wrong; LIMIT past the arena's budget. */
struct status dmarc_uri_parse(struct slice text, struct arena *arena, struct dmarc_uri *ret_uri);
