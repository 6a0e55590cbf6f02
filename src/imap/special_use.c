/* Special-use attributes (RFC 6154 section 2). */
#include "imap/special_use.h"

static const struct {
	enum store_special_use use;
	const char *name;
} uses[] = {
        {STORE_USE_ARCHIVE, "\\Archive"}, {STORE_USE_DRAFTS, "\\Drafts"},
        {STORE_USE_JUNK, "\\Junk"},       {STORE_USE_SENT, "\\Sent"},
        {STORE_USE_TRASH, "\\Trash"},
};

const char *imap_special_use_name(enum store_special_use use)
{
	for (size_t i = 0; i < N_ELEMENTS(uses); i++)
		if (uses[i].use == use)
			return uses[i].name;
	return NULL;
}

enum store_special_use imap_special_use_find(struct slice attribute)
{
	for (size_t i = 0; i < N_ELEMENTS(uses); i++)
		if (slice_ieq_str(attribute, uses[i].name))
			return uses[i].use;
	return STORE_USE_NONE;
}
