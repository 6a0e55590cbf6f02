/* Header fields that the structure of a message is made of (RFC 5322 section 3.6, RFC 2045 to 2047,
 * RFC 1864, RFC 2183, RFC 2557, RFC 3282). Everything kept is copied into the arena. */
#include "message/field.h"

#include "message/header.h"
#include "message/param.h"

static const struct {
	struct slice name;
	enum message_field_id id;
} fields[] = {
        {{(const uint8_t *)"to", 2}, MESSAGE_FIELD_TO},
        {{(const uint8_t *)"cc", 2}, MESSAGE_FIELD_CC},
        {{(const uint8_t *)"bcc", 3}, MESSAGE_FIELD_BCC},
        {{(const uint8_t *)"date", 4}, MESSAGE_FIELD_DATE},
        {{(const uint8_t *)"from", 4}, MESSAGE_FIELD_FROM},
        {{(const uint8_t *)"sender", 6}, MESSAGE_FIELD_SENDER},
        {{(const uint8_t *)"subject", 7}, MESSAGE_FIELD_SUBJECT},
        {{(const uint8_t *)"reply-to", 8}, MESSAGE_FIELD_REPLY_TO},
        {{(const uint8_t *)"message-id", 10}, MESSAGE_FIELD_MESSAGE_ID},
        {{(const uint8_t *)"content-id", 10}, MESSAGE_FIELD_CONTENT_ID},
        {{(const uint8_t *)"in-reply-to", 11}, MESSAGE_FIELD_IN_REPLY_TO},
        {{(const uint8_t *)"content-md5", 11}, MESSAGE_FIELD_CONTENT_MD5},
        {{(const uint8_t *)"content-type", 12}, MESSAGE_FIELD_CONTENT_TYPE},
        {{(const uint8_t *)"content-language", 16}, MESSAGE_FIELD_CONTENT_LANGUAGE},
        {{(const uint8_t *)"content-location", 16}, MESSAGE_FIELD_CONTENT_LOCATION},
        {{(const uint8_t *)"content-description", 19}, MESSAGE_FIELD_CONTENT_DESCRIPTION},
        {{(const uint8_t *)"content-disposition", 19}, MESSAGE_FIELD_CONTENT_DISPOSITION},
        {{(const uint8_t *)"content-transfer-encoding", 25}, MESSAGE_FIELD_CONTENT_ENCODING},
};

enum message_field_id message_field_id(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		if (fields[i].name.n == name.n && slice_ieq(fields[i].name, name))
			return fields[i].id;
	return MESSAGE_FIELD_OTHER;
}

/* ------------------------------------------------------------------------------------ Content-* */

static struct slice line_copy(struct slice value, struct arena *arena)
{
	struct slice line = message_unfold(value, arena);
	bool is_copy = line.p < value.p || line.p > value.p + value.n;
	return is_copy ? line : arena_copy(arena, line);
}

static void keep_once(bool *has, struct slice *keep, struct slice value, struct arena *arena)
{
	if (*has)
		return;
	*has = true;
	*keep = line_copy(value, arena);
}

static void apply_type(struct message_part *part, struct slice value, struct arena *arena,
                       unsigned *defects)
{
	if (part->has_content_type)
		return;
	struct message_content_type type;
	message_content_type_parse(value, arena, &type);
	part->has_content_type = true;
	part->type = type.type;
	part->subtype = type.subtype;
	part->params = type.params.v;
	part->n_params = type.params.n;
	if (!type.valid)
		*defects |= MESSAGE_DEFECT_BAD_CONTENT_TYPE;
	if (type.params.truncated)
		*defects |= MESSAGE_DEFECT_LIMIT;
}

static void apply_disposition(struct message_part *part, struct slice value, struct arena *arena,
                              unsigned *defects)
{
	if (part->has_disposition)
		return;
	struct message_params params;
	message_disposition_parse(value, arena, &part->disposition, &params);
	part->has_disposition = part->disposition.n > 0;
	part->disposition_params = part->has_disposition ? params.v : NULL;
	part->n_disposition_params = part->has_disposition ? params.n : 0;
	if (params.truncated)
		*defects |= MESSAGE_DEFECT_LIMIT;
}

static void apply_encoding(struct message_part *part, struct slice value, struct arena *arena)
{
	if (part->has_encoding)
		return;
	struct slice token = message_token_parse(value, arena);
	part->has_encoding = token.n > 0;
	if (part->has_encoding)
		part->encoding = token;
}

static void apply_content(struct message_part *part, enum message_field_id id, struct slice value,
                          struct arena *arena, unsigned *defects)
{
	if (id == MESSAGE_FIELD_CONTENT_TYPE)
		apply_type(part, value, arena, defects);
	else if (id == MESSAGE_FIELD_CONTENT_ENCODING)
		apply_encoding(part, value, arena);
	else if (id == MESSAGE_FIELD_CONTENT_DISPOSITION)
		apply_disposition(part, value, arena, defects);
	else if (id == MESSAGE_FIELD_CONTENT_LANGUAGE && part->n_languages == 0)
		part->languages = message_token_list_parse(value, arena, &part->n_languages);
	else if (id == MESSAGE_FIELD_CONTENT_ID)
		keep_once(&part->has_id, &part->id, value, arena);
	else if (id == MESSAGE_FIELD_CONTENT_DESCRIPTION)
		keep_once(&part->has_description, &part->description, value, arena);
	else if (id == MESSAGE_FIELD_CONTENT_LOCATION)
		keep_once(&part->has_location, &part->location, value, arena);
	else if (id == MESSAGE_FIELD_CONTENT_MD5)
		keep_once(&part->has_md5, &part->md5, value, arena);
}

/* ------------------------------------------------------------------------------------- envelope */

static void keep_last(bool *has, struct slice *keep, struct slice value, struct arena *arena)
{
	*has = true;
	*keep = line_copy(value, arena);
}

static struct message_address_list *address_list(struct message_envelope *envelope,
                                                 enum message_field_id id)
{
	if (id == MESSAGE_FIELD_FROM)
		return &envelope->from;
	if (id == MESSAGE_FIELD_SENDER)
		return &envelope->sender;
	if (id == MESSAGE_FIELD_REPLY_TO)
		return &envelope->reply_to;
	if (id == MESSAGE_FIELD_TO)
		return &envelope->to;
	return id == MESSAGE_FIELD_CC ? &envelope->cc : &envelope->bcc;
}

static void apply_envelope(struct message_envelope *envelope, enum message_field_id id,
                           struct slice value, struct arena *arena, unsigned *defects)
{
	if (id == MESSAGE_FIELD_DATE) {
		keep_last(&envelope->has_date, &envelope->date, value, arena);
	} else if (id == MESSAGE_FIELD_SUBJECT) {
		keep_last(&envelope->has_subject, &envelope->subject, value, arena);
	} else if (id == MESSAGE_FIELD_IN_REPLY_TO) {
		keep_last(&envelope->has_in_reply_to, &envelope->in_reply_to, value, arena);
	} else if (id == MESSAGE_FIELD_MESSAGE_ID) {
		keep_last(&envelope->has_message_id, &envelope->message_id, value, arena);
	} else {
		struct message_address_list *list = address_list(envelope, id);
		envelope->n_from_fields += id == MESSAGE_FIELD_FROM;
		message_addresses_add(value, arena, list);
		if (list->truncated)
			*defects |= MESSAGE_DEFECT_LIMIT;
	}
}

void message_field_apply(struct message_part *part, enum message_field_id id, struct slice value,
                         struct arena *arena, unsigned *defects)
{
	if (id >= MESSAGE_FIELD_DATE) {
		if (part->envelope)
			apply_envelope(part->envelope, id, value, arena, defects);
	} else {
		apply_content(part, id, value, arena, defects);
	}
}
