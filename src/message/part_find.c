/* Looking things up in a message's tree (part.h). */
#include "message/part.h"

static const struct message_part *child_number(const struct message_part *part, uint32_t number)
{
	const struct message_part *child = part->first_child;
	while (child && number > 1) {
		child = child->next;
		number--;
	}
	return number == 1 ? child : NULL;
}

const struct message_part *message_part_find(const struct message_part *root,
                                             const uint32_t *numbers, size_t n)
{
	const struct message_part *part = root;
	bool is_message = true; /* `part` stands for a whole message, not for a body part */
	for (size_t i = 0; i < n && part; i++) {
		if (!is_message && part->kind == MESSAGE_RFC822) {
			part = part->first_child;
			is_message = true;
		}
		if (part && part->kind == MESSAGE_MULTIPART)
			part = child_number(part, numbers[i]);
		else if (!is_message || numbers[i] != 1)
			part = NULL;
		is_message = false;
	}
	return part;
}

const struct slice *message_param_get(const struct message_param *params, size_t n,
                                      const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq_str(params[i].name, name))
			return &params[i].value;
	return NULL;
}
