/* Message identifiers (RFC 5322 section 3.6.4). */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

#define MESSAGE_IDS_MAX     1000u /* of one field; the first are kept */
#define MESSAGE_ID_SIZE_MAX 2000u /* bytes; longer ones are left out */

struct message_ids {
	struct slice *v; /* without angle brackets, blanks and comments: "local@domain" */
	size_t n;
	bool truncated;
};

/* References, In-Reply-To, Message-ID: all "<...>" in the order they stand; text between them
 * (obsolete phrases) is left out. Case is kept. Nothing points into value. */
void message_ids_parse(struct slice value, struct arena *arena, struct message_ids *ret_ids);

/* The one identifier of a Message-ID field; where there are no angle brackets, the first word.
 * False when there is none. */
bool message_id_parse(struct slice value, struct arena *arena, struct slice *ret_id);
