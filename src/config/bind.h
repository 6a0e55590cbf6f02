/* From a YAML tree to the structs, along the schema. */
#pragma once

#include "config/schema.h"
#include "config/yaml_tree.h"

/* Fills the fields of `file` in config (defaults where nothing is written) and reports every
 * unknown field, wrong type, bad value and missing field. Texts are copied into the arena. LIMIT
 * when the arena is spent; config may then be half filled. */
struct status config_bind(enum config_file file, const struct yaml_node *root,
                          const char *directory, struct arena *arena,
                          struct config_problems *problems, struct config *config);

/* One value as it would be written in the file; SYNTAX with a sentence that begins with "must".
 * For defaults, and for commands that take a value. Strings are copied to the arena. ret is what
 * the field's type says. */
struct status config_bind_text(const struct config_field *field, struct slice value,
                               struct arena *arena, void *ret);
