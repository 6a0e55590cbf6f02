/* Scalars: sizes, durations, addresses of machines and mailboxes, names. */
#include "config/value.h"

#include "config/name.h"
#include "os/socket.h"

#include <arpa/inet.h>
#include <unistr.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest binary units first: config_print_size takes the first that divides. */
static const struct unit size_units[] = {
        {"TiB", 1024 * GIB}, {"GiB", GIB},    {"MiB", MIB}, {"KiB", KIB}, {"TB", 1000000000000},
        {"GB", 1000000000},  {"MB", 1000000}, {"KB", 1000}, {"B", 1},     {"", 1},
};
static const struct unit duration_units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static bool parse_unit(struct slice s, const struct unit *units, size_t n_units, uint64_t *ret)
{
	size_t n_digits = 0;
	uint64_t value;
	while (n_digits < s.n && ascii_is_digit(s.p[n_digits]))
		n_digits++;
	if (!slice_to_u64(slice_sub(s, 0, n_digits), UINT64_MAX, &value))
		return false;
	struct slice unit = slice_trim(slice_from(s, n_digits));
	for (size_t i = 0; i < n_units; i++)
		if (slice_ieq_str(unit, units[i].name))
			return !__builtin_mul_overflow(value, units[i].factor, ret);
	return false;
}

struct status config_value_size(struct slice s, uint64_t *ret_bytes)
{
	if (!parse_unit(s, size_units, N_ELEMENTS(size_units), ret_bytes))
		return fail(ERR_SYNTAX, "must be a size such as 100 MiB, 2GB or 4096");
	return ok();
}

struct status config_value_duration(struct slice s, uint64_t *ret_ms)
{
	if (!parse_unit(s, duration_units, N_ELEMENTS(duration_units), ret_ms))
		return fail(ERR_SYNTAX,
		            "must be a time with its unit, such as 250ms, 60s, 5m, 1h or 7d");
	return ok();
}

void config_print_size(uint64_t bytes, struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(size_units); i++) {
		if (bytes == 0 || bytes % size_units[i].factor != 0)
			continue;
		buf_printf(out, "%" PRIu64 " %s", bytes / size_units[i].factor, size_units[i].name);
		return;
	}
	buf_add_byte(out, '0');
}

void config_print_duration(uint64_t ms, struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(duration_units); i++) {
		if (ms == 0 || ms % duration_units[i].factor != 0)
			continue;
		buf_printf(out, "%" PRIu64 "%s", ms / duration_units[i].factor,
		           duration_units[i].name);
		return;
	}
	buf_add_str(out, "0s");
}

static bool is_name(struct slice s)
{
	if (s.n == 0 || s.n > CONFIG_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		bool first = ascii_is_digit(c) || (c >= 'a' && c <= 'z');
		if (!first && (i == 0 || (c != '.' && c != '_' && c != '-')))
			return false;
	}
	return slice_find(s, SLICE("..")) == SIZE_MAX;
}

struct status config_check_account_name(struct slice s)
{
	if (!is_name(s))
		return fail(ERR_SYNTAX,
		            "must be an account's name: 1 to 64 of a-z, 0-9, '.', '_' and '-', "
		            "beginning with a letter or digit, without '..'");
	return ok();
}

struct status config_check_listener_name(struct slice s)
{
	if (!is_name(s))
		return fail(ERR_SYNTAX,
		            "must be a listener's name: 1 to 64 of a-z, 0-9, '.', '_' and '-'");
	return ok();
}

struct status config_check_hostname(struct slice s)
{
	char canonical[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	if (!is_ok(config_domain_canonical(s, canonical, &n)))
		return fail(ERR_SYNTAX, "must be a domain name such as mail.example.org");
	return ok();
}

struct status config_check_path(struct slice s)
{
	if (s.n == 0 || s.n > 3000 || !is_ok(config_check_text(s)))
		return fail(ERR_SYNTAX, "must be the path of a file or directory, in one line");
	return ok();
}

struct status config_check_user(struct slice s)
{
	bool good = s.n > 0 && s.n <= 32 && (ascii_is_alpha(s.p[0]) || s.p[0] == '_');
	for (size_t i = 0; good && i < s.n; i++)
		good = ascii_is_alnum(s.p[i]) || s.p[i] == '_' || s.p[i] == '-';
	return good ? ok() : fail(ERR_SYNTAX, "must be the name of a Unix user, such as mailkeep");
}

struct status config_check_text(struct slice s)
{
	bool good = u8_check(s.p, s.n) == NULL;
	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] >= 0x20 && s.p[i] != 0x7f;
	return good ? ok()
	            : fail(ERR_SYNTAX, "must be one line of text without control characters");
}

struct status config_check_separator(struct slice s)
{
	bool good = s.n <= 4;
	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] && strchr("+-_=#.", s.p[i]) != NULL;
	return good ? ok()
	            : fail(ERR_SYNTAX,
	                   "must be \"\" (no tags) or 1 to 4 of the characters + - _ = # .");
}

static struct status check_address(struct slice s, bool allow_catchall)
{
	struct slice localpart, domain;
	char text[CONFIG_ADDRESS_MAX + 1];
	size_t n;
	if (!config_address_split(s, &localpart, &domain))
		return fail(ERR_SYNTAX, "must be an address such as me@example.org");
	if (!is_ok(config_domain_canonical(domain, text, &n)))
		return fail(ERR_SYNTAX, "must have a domain name behind its @");
	if (localpart.n == 0 && allow_catchall)
		return ok();
	if (!is_ok(config_localpart_canonical(localpart, false, text, &n)))
		return fail(ERR_SYNTAX, "must have a name of at most 256 bytes before its @");
	for (size_t i = 0; i < localpart.n; i++)
		if (strchr(" \"<>()[]\\,:;@", localpart.p[i]))
			return fail(ERR_SYNTAX, "must not have blanks, quotes, brackets or any of "
			                        "\\ , : ; before its @");
	return ok();
}

struct status config_check_address(struct slice s)
{
	return check_address(s, false);
}

struct status config_check_address_or_catchall(struct slice s)
{
	return check_address(s, true);
}

struct status config_check_certificate(struct slice s)
{
	return slice_eq_str(s, "self-signed") ? ok() : config_check_path(s);
}

struct status config_check_address_or_account(struct slice s)
{
	if (slice_index(s, '@') != SIZE_MAX)
		return check_address(s, false);
	if (!is_name(s))
		return fail(ERR_SYNTAX, "must be the name of an account or an address");
	return ok();
}

struct status config_check_name(struct slice s)
{
	return is_name(s)
	               ? ok()
	               : fail(ERR_SYNTAX, "must be a name: 1 to 64 of a-z, 0-9, '.', '_' and '-', "
	                                  "beginning with a letter or digit, without '..'");
}

struct status config_check_name_or_empty(struct slice s)
{
	return s.n == 0 ? ok() : config_check_name(s);
}

struct status config_check_selector(struct slice s)
{
	bool good = s.n > 0 && s.n <= CONFIG_SELECTOR_MAX && s.p[0] != '-';
	for (size_t i = 0; good && i < s.n; i++)
		good = (s.p[i] >= 'a' && s.p[i] <= 'z') || ascii_is_digit(s.p[i]) ||
		       s.p[i] == '-' || s.p[i] == '_';
	return good ? ok()
	            : fail(ERR_SYNTAX, "must be a selector: up to 63 of a-z, 0-9, '-' and '_'");
}

/* RFC 5322 section 2.2. */
struct status config_check_field_name(struct slice s)
{
	bool good = s.n > 0 && s.n <= 76;
	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != ':' && s.p[i] != ';' &&
		       s.p[i] != '|';
	return good ? ok()
	            : fail(ERR_SYNTAX, "must be the name of a header field, such as Subject");
}

struct status config_check_host(struct slice s)
{
	uint8_t bytes[16];
	bool is_v6;
	if (config_parse_ip(s, bytes, &is_v6) || is_ok(config_check_hostname(s)))
		return ok();
	return fail(ERR_SYNTAX, "must be a domain name or an IP address");
}

struct status config_check_server(struct slice s)
{
	struct os_address address;
	if (is_ok(os_address_parse(s, 53, &address)) ||
	    (is_ok(os_address_parse_port(s, &address)) && address.port > 0))
		return ok();
	return fail(ERR_SYNTAX, "must be an IP address, with a port or without");
}

struct status config_check_mx_pattern(struct slice s)
{
	uint8_t bytes[16];
	bool is_v6;
	if (!config_parse_ip(s, bytes, &is_v6) &&
	    is_ok(config_check_hostname(slice_starts(s, SLICE("*.")) ? slice_from(s, 2) : s)))
		return ok();
	return fail(ERR_SYNTAX, "must be a host name, or *. and a domain");
}

/* As a URI goes into a record: visible ASCII that ends neither the URI nor the tag (RFC 8460
 * section 3). */
struct status config_check_report_uri(struct slice s)
{
	bool good = slice_istarts(s, SLICE("https://")) && s.n > 8 && s.n <= 1000;
	if (slice_index(s, ':') == SIZE_MAX)
		return config_check_address(s);
	for (size_t i = 0; good && i < s.n; i++)
		good = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr(",;!\"<>\\", s.p[i]);
	return good ? ok()
	            : fail(ERR_SYNTAX, "must be an address, or an https:// URI without blanks and "
	                               "without , ; !");
}

struct status config_check_suppressed(struct slice s)
{
	if (is_ok(check_address(s, false)) || is_ok(config_check_hostname(s)))
		return ok();
	return fail(ERR_SYNTAX, "must be an address or a domain");
}

/* RFC 5321 section 4.1.3, as far as addresses are known here. */
static bool is_address_literal(struct slice s)
{
	uint8_t bytes[16];
	bool is_v6;
	if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	s = slice_sub(s, 1, s.n - 2);
	bool tagged = slice_istarts(s, SLICE("IPv6:"));
	return config_parse_ip(slice_from(s, tagged ? 5 : 0), bytes, &is_v6) && is_v6 == tagged;
}

struct status config_check_route_domain(struct slice s)
{
	struct slice domain = slice_from(s, slice_starts(s, SLICE(".")) ? 1 : 0);
	if (slice_eq_str(s, ".") || is_address_literal(s) || is_ok(config_check_hostname(domain)))
		return ok();
	return fail(ERR_SYNTAX, "must be a domain such as example.org, .example.org (with its "
	                        "subdomains) or . (every domain)");
}

struct status config_check_mechanism(struct slice s)
{
	static const char *const known[] = {"SCRAM-SHA-256-PLUS",
	                                    "SCRAM-SHA-256",
	                                    "SCRAM-SHA-1-PLUS",
	                                    "SCRAM-SHA-1",
	                                    "CRAM-MD5",
	                                    "PLAIN",
	                                    "LOGIN"};
	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (slice_eq_str(s, known[i]))
			return ok();
	return fail(ERR_SYNTAX,
	            "must be one of: SCRAM-SHA-256-PLUS, SCRAM-SHA-256, SCRAM-SHA-1-PLUS, "
	            "SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN");
}

struct status config_check_login(struct slice s)
{
	if (s.n == 0 || s.n > 255 || !is_ok(config_check_text(s)))
		return fail(ERR_SYNTAX, "must be a name of 1 to 255 bytes to log in with");
	return ok();
}

/* RFC 5321 section 4.2: textstring. */
struct status config_check_reply_text(struct slice s)
{
	bool good = s.n > 0 && s.n <= 256;
	for (size_t i = 0; good && i < s.n; i++)
		good = ascii_is_print(s.p[i]);
	return good ? ok() : fail(ERR_SYNTAX, "must be 1 to 256 characters of plain ASCII");
}

bool config_parse_ip(struct slice s, uint8_t *bytes, bool *ret_is_v6)
{
	char text[INET6_ADDRSTRLEN];
	if (s.n >= sizeof(text) || slice_index(s, 0) != SIZE_MAX)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	*ret_is_v6 = strchr(text, ':') != NULL;
	return inet_pton(*ret_is_v6 ? AF_INET6 : AF_INET, text, bytes) == 1;
}

bool config_parse_key(struct slice s, uint8_t *ret_key)
{
	uint8_t key[CONFIG_KEY_SIZE];
	size_t n = 0;
	if (slice_istarts(s, SLICE("sha256:")))
		s = slice_from(s, strlen("sha256:"));
	for (; s.n >= 2 && n < sizeof(key); n++) {
		int high = ascii_hex_value(s.p[0]), low = ascii_hex_value(s.p[1]);
		if (high < 0 || low < 0)
			return false;
		key[n] = (uint8_t)(high << 4 | low);
		s = slice_from(s, 2);
		if (s.n > 1 && s.p[0] == ':')
			s = slice_from(s, 1);
	}
	if (n < sizeof(key) || s.n > 0)
		return false;
	memcpy(ret_key, key, sizeof(key));
	return true;
}

struct status config_check_key(struct slice s)
{
	uint8_t key[CONFIG_KEY_SIZE];
	return config_parse_key(s, key)
	               ? ok()
	               : fail(ERR_SYNTAX, "must be the SHA-256 of a public key: sha256: and 64 "
	                                  "hexadecimal digits");
}

struct status config_check_unix_user(struct slice s)
{
	uint32_t number;
	if (slice_to_u32(s, UINT32_MAX - 1, &number) || is_ok(config_check_user(s)))
		return ok();
	return fail(ERR_SYNTAX, "must be the name or number of a Unix user");
}
