/* ID (RFC 2971): what the client says of itself is read, bounded and forgotten. */
#pragma once

#include "imap/out.h"
#include "imap/syntax.h"

#define IMAP_ID_PAIRS_MAX 30u /* RFC 2971 section 3.3 */
#define IMAP_ID_VALUE_MAX 1024u

/* id_params_list = "(" *(string SP nstring) ")" / nil, with its leading space and the command's
 * end. */
struct status imap_id_parse(struct cursor *c, struct arena *arena);
/* "* ID (...)": our name. No version: it would only serve those who look for old ones. */
void imap_id_answer(struct imap_out *out);
