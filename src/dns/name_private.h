/* Building a canonical name from bytes, for the parsers of text, wire and packets. */
#pragma once

#include "dns/name.h"

struct dns_name_builder {
	char text[DNS_NAME_TEXT_MAX + 1];
	size_t n_text;
	size_t n_wire;  /* bytes so far on the wire, the root label included */
	size_t n_label; /* bytes of the label under way */
};

void dns_name_builder_init(struct dns_name_builder *builder);
/* One byte of a label. SYNTAX when label or name grow too long. */
struct status dns_name_builder_byte(struct dns_name_builder *builder, uint8_t byte);
struct status dns_name_builder_end_label(struct dns_name_builder *builder); /* SYNTAX: empty */
/* The root when there was no label. */
struct status dns_name_builder_finish(const struct dns_name_builder *builder, struct arena *arena,
                                      struct dns_name *ret_name);
