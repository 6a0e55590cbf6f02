/* What a header field says about its part: from one field's value into struct message_part. */
#pragma once

#include "message/part.h"

enum message_field_id {
	MESSAGE_FIELD_OTHER, /* says nothing that is kept */
	MESSAGE_FIELD_CONTENT_TYPE,
	MESSAGE_FIELD_CONTENT_ENCODING,
	MESSAGE_FIELD_CONTENT_ID,
	MESSAGE_FIELD_CONTENT_DESCRIPTION,
	MESSAGE_FIELD_CONTENT_DISPOSITION,
	MESSAGE_FIELD_CONTENT_LANGUAGE,
	MESSAGE_FIELD_CONTENT_LOCATION,
	MESSAGE_FIELD_CONTENT_MD5,
	MESSAGE_FIELD_DATE, /* from here on: of the envelope */
	MESSAGE_FIELD_SUBJECT,
	MESSAGE_FIELD_FROM,
	MESSAGE_FIELD_SENDER,
	MESSAGE_FIELD_REPLY_TO,
	MESSAGE_FIELD_TO,
	MESSAGE_FIELD_CC,
	MESSAGE_FIELD_BCC,
	MESSAGE_FIELD_IN_REPLY_TO,
	MESSAGE_FIELD_MESSAGE_ID,
};

enum message_field_id message_field_id(struct slice name);

/* Of several Content-* fields of a name the first counts, of several envelope strings the last (as
 * RFC 8621 section 4.1.3 has it), and several address fields are read as one list. */
void message_field_apply(struct message_part *part, enum message_field_id id, struct slice value,
                         struct arena *arena, unsigned *defects);
