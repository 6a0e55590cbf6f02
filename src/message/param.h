/* Content-Type, Content-Disposition and their parameters (RFC 2045 section 5, RFC 2183, RFC 2231).
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "message/part.h"

struct message_params {
	struct message_param *v;
	size_t n;
	bool truncated; /* more than MESSAGE_PARAMS_MAX */
};

struct message_content_type {
	struct slice type,
	        subtype; /* lower case; "text" "plain" when the value is no type at all */
	bool valid;      /* "type/subtype" with both there */
	struct message_params params;
};

/* Nothing points into value. What cannot be understood is left out. Work is linear in the value but
 * for joining at most MESSAGE_PARAMS_MAX parameters. */
void message_content_type_parse(struct slice value, struct arena *arena,
                                struct message_content_type *ret_type);

/* A token and parameters: Content-Disposition. The token is lower case, empty when there is none.
 */
void message_disposition_parse(struct slice value, struct arena *arena, struct slice *ret_token,
                               struct message_params *ret_params);

/* One token, blanks and comments around it removed (Content-Transfer-Encoding); empty when there is
 * none. Case is kept. */
struct slice message_token_parse(struct slice value, struct arena *arena);

/* Tokens between commas (Content-Language, RFC 3282 section 2). At most MESSAGE_PARAMS_MAX. */
struct slice *message_token_list_parse(struct slice value, struct arena *arena, size_t *ret_n);
