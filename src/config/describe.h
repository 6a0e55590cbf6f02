/* Documentation of the fields, from the schema: for the terminal, docs/config.md, manual pages. */
#pragma once

#include "base/buf.h"
#include "config/schema.h"

/* The field and those below it ("" or NULL: all); width is the terminal's. NOT_FOUND when there is
 * no such field; *ret_near is then a field that may be meant, or NULL. ret_near may be NULL. */
struct status config_describe_text(const char *path, unsigned width, struct buf *out,
                                   const char **ret_near);
/* The page docs/config.md. */
void config_describe_markdown(struct buf *out);
/* The manual page of one file in man(7) macros. */
void config_describe_man(enum config_file file, struct buf *out);

/* Whether `field` is `path` or below it; `listeners.public.smtp` matches `listeners.*.smtp`. */
bool config_field_is_below(const struct config_field *field, struct slice path);
/* "100 MiB", "true", "none": how the default reads in documentation. */
const char *config_default_text(const struct config_field *field);
/* "from 1 to 65535" and the like; "" when there is nothing to say. */
void config_range_text(const struct config_field *field, struct buf *out);
