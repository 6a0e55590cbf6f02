/* Domain names as the DNS has them: labels of any bytes, always absolute (RFC 1034 section 3.1,
 * RFC 1035 sections 2.3.4 and 5.1).
 *
 * A name is kept as canonical text: lower case, A-labels, no final dot, "." for the root. A byte
 * other than a letter, digit, '-', '_', '*' or '/' stands as \DDD, so two names are the same when
 * their texts are, and a text can be logged or compared but becomes a host name for protocols only
 * where dns_name_is_host says so. Only the functions here and the readers of DNS messages make one.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#define DNS_LABEL_MAX     63u
#define DNS_NAME_WIRE_MAX 255u /* bytes on the wire, lengths and the root label included */
#define DNS_NAME_TEXT_MAX                                                                          \
	1004u /* bytes of the text: no label can need more than 4 bytes a byte                     \
	       */

struct dns_name {
	const char *text; /* canonical, in the maker's arena; never NULL in a name that was made */
};

extern const struct dns_name dns_root;

/* From what people, configs and protocols write. It is absolute with or without a final dot; \DDD
 * and \X are understood (RFC 1035 section 5.1). What is not ASCII is an IDN and becomes A-labels
 * (text/domain.h). SYNTAX: empty label, label or name too long, byte that must be escaped (blanks,
 * controls), malformed escape. */
struct status dns_name_parse(struct slice text, struct arena *arena, struct dns_name *ret_name);

static inline struct slice dns_name_slice(struct dns_name name)
{
	return slice_str(name.text);
}
bool dns_name_eq(struct dns_name a, struct dns_name b);
bool dns_name_is_root(struct dns_name name);
size_t dns_name_n_labels(struct dns_name name); /* 0 for the root */

/* name is ancestor or lies below it. */
bool dns_name_is_within(struct dns_name name, struct dns_name ancestor);
/* Without the first label; the root's parent is the root. Shares the text: needs no arena. */
struct dns_name dns_name_parent(struct dns_name name);

/* The end of a name that one party is likely to answer for: two labels, of reverse names four below
 * in-addr.arpa (a /16) and ten below ip6.arpa (a /32). Knows no public suffixes: for sharing out
 * resources, not for trust. Shares the text. */
struct dns_name dns_name_party(struct dns_name name);

/* Letters, digits and hyphens only, no hyphen at a label's end, not all digits in the last label
 * (RFC 1123 section 2.1): fit to be a host name in a protocol. */
bool dns_name_is_host(struct dns_name name);

/* For reverse lookups: 4 or 16 bytes of an address become a name below in-addr.arpa or ip6.arpa
 * (RFC 1035 section 3.5, RFC 3596 section 2.5). */
struct status dns_name_reverse(struct slice address, struct arena *arena,
                               struct dns_name *ret_name);
/* "prefix.name", for such as _25._tcp.host. The prefix is written as for dns_name_parse. */
struct status dns_name_prepend(struct slice prefix, struct dns_name name, struct arena *arena,
                               struct dns_name *ret_name);

/* The uncompressed wire form; at most DNS_NAME_WIRE_MAX bytes. */
void dns_name_to_wire(struct dns_name name, uint8_t wire[DNS_NAME_WIRE_MAX], size_t *ret_n);
/* Exactly one uncompressed name. SYNTAX when it is malformed, has a compression pointer or bytes
 * behind it. */
struct status dns_name_from_wire(struct slice wire, struct arena *arena, struct dns_name *ret_name);
