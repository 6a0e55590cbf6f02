/* Scalars of the configuration: text to value and back, and the formats that texts must have.
 *
 * The same functions read the files, the defaults in the schema and arguments of commands, so they
 * agree. A function that refuses says why in one sentence that also mends.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"

#define CONFIG_NAME_MAX 64 /* bytes of an account's or listener's name */

/* "100 MiB", "64KB", "4096"; B, KB, MB, GB, TB count in thousands, KiB … TiB in 1024. */
struct status config_value_size(struct slice s, uint64_t *ret_bytes);
/* "60s", "5m", "1h", "7d", "250ms". */
struct status config_value_duration(struct slice s, uint64_t *ret_ms);

void config_print_size(uint64_t bytes, struct buf *out); /* the shortest exact form */
void config_print_duration(uint64_t ms, struct buf *out);

/* Formats. Each gives SYNTAX with a sentence that begins with "must". */
struct status config_check_account_name(struct slice s); /* [a-z0-9][a-z0-9._-]*, no ".." */
struct status config_check_listener_name(struct slice s);
struct status config_check_hostname(struct slice s); /* a domain in A- or U-labels */
struct status config_check_path(struct slice s);
struct status config_check_user(struct slice s);      /* a Unix user name */
struct status config_check_text(struct slice s);      /* one line of printable UTF-8 */
struct status config_check_separator(struct slice s); /* "" or 1 to 4 characters of + - _ = # . */
struct status config_check_address(struct slice s);   /* local@domain */
struct status config_check_address_or_catchall(struct slice s); /* also "@domain" */
struct status config_check_certificate(struct slice s);         /* "self-signed" or a path */
struct status config_check_address_or_account(struct slice s);
struct status config_check_name(struct slice s); /* of a transport, route or secret */
struct status config_check_name_or_empty(struct slice s);
struct status config_check_host(struct slice s);         /* a domain name or an IP address */
struct status config_check_suppressed(struct slice s);   /* address or domain */
struct status config_check_route_domain(struct slice s); /* d, .d with subdomains, ".", [IP] */
struct status config_check_mechanism(struct slice s);    /* SASL, for a login elsewhere */
struct status config_check_login(struct slice s);        /* a name to log in with elsewhere */
struct status config_check_reply_text(struct slice s);   /* of an SMTP reply */

struct status config_check_selector(struct slice s); /* of DKIM: one label in lower case */
struct status config_check_field_name(struct slice s);
struct status config_check_key(struct slice s);       /* see config_parse_key */
struct status config_check_unix_user(struct slice s); /* name or number of a Unix user */

/* A fingerprint of a public key: "sha256:" (or nothing) and 64 hexadecimal digits, colons between
 * them or not. ret_key has room for CONFIG_KEY_SIZE bytes. */
bool config_parse_key(struct slice s, uint8_t *ret_key);

/* An IP address, with a port or without: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53". */
struct status config_check_server(struct slice s);
struct status config_check_mx_pattern(struct slice s); /* RFC 8461 section 3.2 */
struct status config_check_report_uri(struct slice s); /* an address or an https URI */

/* IPv4 or IPv6 text. bytes has room for 16. */
bool config_parse_ip(struct slice s, uint8_t *bytes, bool *ret_is_v6);
