/* The configuration: two YAML files, loaded once into an immutable tree with lookup tables.
 *
 * mailkeep.yaml is server-wide, domains.yaml has domains, accounts and aliases. Neither holds a
 * secret. The fields are declared once, in schema.c; structs here are where that table stores them.
 *
 * Life: config_load (or config_load_frozen in a room) fills an arena; everything in `struct config`
 * lives as long as that arena and never changes, so threads may share it. A reload makes a new tree
 * in a new arena.
 *
 * Text: every `struct config_text` is NUL-terminated UTF-8 without NUL, CR or LF inside.
 */
#pragma once

#include "base/hash.h"
#include "config/problem.h"

#define CONFIG_SERVER_FILE  "mailkeep.yaml"
#define CONFIG_DOMAINS_FILE "domains.yaml"
#define CONFIG_UNLIMITED    UINT64_MAX /* of a quota */

/* Limits of what a configuration may ask for. */
#define CONFIG_FILE_MAX     ((size_t)16 * 1024 * 1024) /* bytes of one file */
#define CONFIG_ACCOUNTS_MAX 500000
#define CONFIG_DOMAINS_MAX  100000
#define CONFIG_ALIASES_MAX  200000
#define CONFIG_LIST_MAX     10000    /* addresses of an account, members of an alias */
#define CONFIG_MEMBERS_MAX  10000    /* of an alias, after aliases in it are resolved */
#define CONFIG_EXPAND_MAX   10000000 /* steps to resolve all aliases together */
#define CONFIG_ARENA_MAX    ((size_t)512 * 1024 * 1024) /* a fit budget for the result's arena */
#define CONFIG_LOCALPART_MAX                                                                       \
	256                    /* bytes; RFC 5321 section 4.5.3.1.1 promises 64, tags are longer */
#define CONFIG_DOMAIN_MAX  255 /* bytes of the A-label form, RFC 5321 section 4.5.3.1.2 */
#define CONFIG_ADDRESS_MAX (CONFIG_LOCALPART_MAX + 1 + CONFIG_DOMAIN_MAX)

enum config_file {
	CONFIG_SERVER,
	CONFIG_DOMAINS,
	CONFIG_FILE_COUNT,
};

/* A text value and the place it was written at; line 0 when it is a default. */
struct config_text {
	const char *s; /* never NULL; "" when not configured */
	uint32_t n;    /* bytes */
	uint32_t line; /* from 1 */
	uint32_t column;
};

static inline struct slice config_slice(const struct config_text *text)
{
	return slice_of(text->s, text->n);
}

struct config_texts {
	struct config_text *v;
	size_t n;
};

/* An IP address. `text.s` is how it was written. */
struct config_ip {
	struct config_text text;
	bool is_v6;
	uint8_t bytes[16]; /* network order; the first four for IPv4 */
};

struct config_ips {
	struct config_ip *v;
	size_t n;
};

/* --- mailkeep.yaml --- */

/* kind, key in YAML, default port, TLS from the first byte */
#define CONFIG_SERVICE_LIST(X)                                                                     \
	X(SMTP, smtp, 25, false)                                                                   \
	X(SUBMISSION, submission, 587, false)                                                      \
	X(SUBMISSIONS, submissions, 465, true)                                                     \
	X(IMAP, imap, 143, false)                                                                  \
	X(IMAPS, imaps, 993, true)                                                                 \
	X(HTTP, http, 80, false)                                                                   \
	X(HTTPS, https, 443, true)

enum config_service_kind {
#define X(kind, key, port, tls) CONFIG_##kind,
	CONFIG_SERVICE_LIST(X)
#undef X
	        CONFIG_SERVICE_COUNT
};

const char *config_service_name(enum config_service_kind kind); /* "smtp" */
bool config_service_is_tls(enum config_service_kind kind);      /* TLS from the first byte */

struct config_service {
	bool enabled;
	uint16_t port;
};

enum config_plain_login {
	CONFIG_PLAIN_LOGIN_NEVER,    /* a password only inside TLS */
	CONFIG_PLAIN_LOGIN_LOOPBACK, /* also in clear when the client is on the loopback */
};

/* TLS of a listener. The vault reads the files; gates never do. */
struct config_tls {
	bool enabled;
	struct config_text certificate; /* "self-signed", or a path (absolute) of a PEM chain */
	struct config_text key;         /* path (absolute) of the PEM key, "" when self-signed */
	bool self_signed;               /* derived: certificate is "self-signed" */
	struct config_texts next_keys;  /* paths (absolute) of PEM files: public keys to come */
};

struct config_listener {
	struct config_text name;
	struct config_ips addresses;
	struct config_text hostname; /* never empty: the server's where none is configured */
	enum config_plain_login plain_login;
	struct config_tls tls;
	struct config_service services[CONFIG_SERVICE_COUNT];
};

struct config_listeners {
	struct config_listener *v;
	size_t n;
};

/* A limit counted for the client's address, its subnet and its network:
 * IPv4 /32, /26, /21; IPv6 /64, /48, /32. */
struct config_rate {
	uint32_t per_ip, per_subnet, per_network;
};
struct config_size_rate {
	uint64_t per_ip, per_subnet, per_network; /* bytes */
};

struct config_limits {
	uint64_t message_size; /* bytes, below 2^32 */
	uint32_t recipients;   /* per message */
	uint32_t received_hops;
	uint64_t quota;        /* of an account without its own, bytes or CONFIG_UNLIMITED */
	uint64_t sent_per_day; /* recipients, or CONFIG_UNLIMITED */
	uint64_t first_time_recipients_per_day; /* the same */
	bool rate_limits_on_loopback;
	uint32_t connections_total;
	struct config_rate connections;     /* open at one time */
	struct config_rate connection_rate; /* new ones per minute */
	struct config_rate failed_logins_per_minute;
	struct config_rate failed_logins_per_day;
	struct config_rate messages_per_minute; /* into one account */
	struct config_rate messages_per_day;
	struct config_size_rate bytes_per_minute; /* into one account */
	struct config_size_rate bytes_per_day;
};

struct config_timeouts { /* all in milliseconds */
	uint64_t tls_handshake_ms;
	uint64_t smtp_command_ms;
	uint64_t smtp_data_block_ms; /* between two pieces of a message */
	uint64_t smtp_data_total_ms;
	uint64_t smtp_login_ms; /* before authentication */
	uint64_t imap_login_ms;
	uint64_t imap_idle_ms; /* after authentication */
	uint64_t write_ms;
};

enum config_log_level {
	CONFIG_LOG_DEBUG,
	CONFIG_LOG_INFO,
	CONFIG_LOG_WARNING,
	CONFIG_LOG_ERROR,
};

enum config_log_format {
	CONFIG_LOG_TEXT,
	CONFIG_LOG_JSON,
};

struct config_log {
	enum config_log_level level;
	enum config_log_format format;
};

struct config_gates { /* processes per purpose; 0 is one per processor */
	uint32_t mx, login, web;
};

struct config_logins {
	bool cram_md5;
};

struct config_queue {
	uint64_t first_retry_ms, max_retry_ms;
	uint32_t retry_factor, max_attempts;
	uint64_t delay_notice_ms; /* 0: senders are not told of delays */
	uint64_t keep_retired_ms;
	uint32_t max_connections, max_per_destination;
	uint32_t max_messages; /* recipients */
	uint64_t max_size;     /* bytes */
};

struct config_rooms {
	uint64_t account_idle_ms; /* an account room without work leaves after it */
	struct config_gates gates;
};

enum config_resolver_mode {
	CONFIG_RESOLVER_RECURSIVE, /* asks the servers of the world itself */
	CONFIG_RESOLVER_FORWARD,   /* asks `servers`, validates what they say */
	CONFIG_RESOLVER_TRUST,     /* asks `servers`, believes what they say of validation */
};

#define CONFIG_RESOLVER_SERVERS_MAX 16

struct config_resolver {
	enum config_resolver_mode mode;
	struct config_texts servers; /* "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53" */
	bool validate;
	bool trust_ad;
	struct config_text anchor; /* path (absolute) */
	struct config_text hints;  /* path (absolute), or "built-in" */
	uint64_t timeout_ms;
	uint64_t cache_size;
	uint32_t max_lookups;
};

/* --- the checks of what comes in --- */

enum config_dmarc { CONFIG_DMARC_OBEY, CONFIG_DMARC_QUARANTINE, CONFIG_DMARC_IGNORE };
enum config_dmarc_discovery { CONFIG_DMARC_TREE_WALK, CONFIG_DMARC_PUBLIC_SUFFIX };

/* In order of strength; as enum policy_action. */
enum config_action { CONFIG_ACCEPT, CONFIG_JUNK, CONFIG_DEFER, CONFIG_REFUSE };

#define CONFIG_LISTS_MAX       20 /* block lists */
#define CONFIG_ARC_TRUSTED_MAX 1000

struct config_reception {
	bool checks;
	uint64_t timeout_ms; /* for all lookups about one message */
	enum config_dmarc dmarc;
	enum config_dmarc_discovery dmarc_discovery;
	enum config_action dmarc_error, dmarc_temporary, no_author, spf_fail, iprev_fail, listed;
	struct config_texts address_lists, domain_lists; /* zones, as written */
	struct config_texts arc_trusted;                 /* domains, as written */
	/* The same as A-labels in lower case. */
	const char **address_lists_ascii, **domain_lists_ascii, **arc_trusted_ascii;
};

#define CONFIG_SUPPRESSED_MAX 1000

/* Reports about mail to the domains it is from and goes to. */
struct config_reports {
	bool dmarc, tls;
	struct config_text address;      /* "" for postmaster@ the server's name */
	struct config_text organization; /* "" for the server's name */
	struct config_text contact;      /* "" for the address */
	struct config_texts suppress;    /* addresses and domains that get none */
};

enum config_exception_kind { CONFIG_EXCEPTION_LIST, CONFIG_EXCEPTION_FORWARD };

#define CONFIG_EXCEPTIONS_MAX        200 /* of an account */
#define CONFIG_EXCEPTION_DOMAINS_MAX 100

/* Mail that an account expects by an indirect way. */
struct config_exception {
	struct config_text name;
	enum config_exception_kind kind;
	struct config_texts domains; /* as written; one of them is authenticated */
	const char **domains_ascii;
	struct config_text mailbox; /* "" for the usual one */
};

struct config_exceptions {
	struct config_exception *v;
	size_t n;
};

/* --- the way out: transports in mailkeep.yaml, routes in both files --- */

#define CONFIG_TRANSPORTS_MAX 256
#define CONFIG_ROUTES_MAX     1000 /* of one level */
#define CONFIG_ROUTE_LIST_MAX 10000

enum config_transport_kind {
	CONFIG_TRANSPORT_DIRECT,     /* to the recipient domain's own servers */
	CONFIG_TRANSPORT_SMTP,       /* to one server, without login */
	CONFIG_TRANSPORT_SUBMISSION, /* to one server, with login */
	CONFIG_TRANSPORT_SOCKS,      /* like direct, through a SOCKS5 proxy */
	CONFIG_TRANSPORT_FAIL,       /* refused at once */
};

const char *config_transport_kind_name(enum config_transport_kind kind); /* "direct" */

enum config_tls_policy {
	CONFIG_TLS_DEFAULT, /* only until the checks have filled in the kind's own */
	CONFIG_TLS_NONE,
	CONFIG_TLS_OPPORTUNISTIC, /* used where it is offered, verified or not */
	CONFIG_TLS_REQUIRED,      /* STARTTLS and a verified certificate, or nothing */
	CONFIG_TLS_IMPLICIT,      /* the same, TLS from the first byte */
};

enum config_family {
	CONFIG_FAMILY_BOTH,
	CONFIG_FAMILY_IPV4,
	CONFIG_FAMILY_IPV6,
};

struct config_transport {
	struct config_text name;
	enum config_transport_kind kind;
	struct config_text host;        /* of the server or proxy: a domain name or an IP address */
	uint16_t port;                  /* of the host, or of the domains' servers; never 0 */
	uint16_t remote_port;           /* socks: of the domains' servers behind the proxy */
	enum config_tls_policy tls;     /* never CONFIG_TLS_DEFAULT */
	struct config_text ca;          /* path (absolute) of a PEM file, "" when none */
	struct config_text tls_name;    /* expected in the certificate; "": the host */
	struct config_text user;        /* login name; "" when none */
	struct config_text secret;      /* name of a secret in the vault; "" when none */
	struct config_texts mechanisms; /* SASL; empty: the strongest that is announced */
	enum config_family family;
	struct config_text ehlo_name; /* "": the server's host name */
	uint32_t code;                /* fail: of the reply */
	struct config_text message;   /* fail: may begin with an enhanced status code */
	const char *host_ascii;       /* A-labels, lower case, or the address as written */
	const char *tls_name_ascii;   /* never empty where there is a host */
	const char *ehlo_ascii;       /* never empty */
	bool host_is_ip;
};

struct config_transports {
	struct config_transport *v;
	size_t n;
};

struct config_route {
	struct config_text name;
	struct config_texts to, from;       /* as written; empty: all */
	const char **to_ascii;              /* of each: "example.org", ".example.org" with its */
	const char **from_ascii;            /* subdomains, "." every domain, "[192.0.2.1]" */
	uint32_t min_attempts;              /* already made */
	struct config_text transport;       /* "" is direct */
	const struct config_transport *via; /* NULL is direct */
};

struct config_routes {
	struct config_route *v;
	size_t n;
};

/* --- domains.yaml --- */

#define CONFIG_KEY_SIZE 32u /* SHA-256 of a public key */

struct config_account {
	struct config_text name; /* fit for a directory name: [a-z0-9][a-z0-9._-]* */
	struct config_text full_name;
	struct config_texts addresses; /* as written; "@domain" is a catchall */
	uint64_t quota;                /* bytes or CONFIG_UNLIMITED; the default is filled in */
	uint64_t sent_per_day; /* recipients, or CONFIG_UNLIMITED; the default is filled in */
	uint64_t first_time_recipients_per_day; /* the same */
	struct config_texts client_keys;        /* fingerprints, see config_parse_key */
	struct config_texts unix_users;         /* names or numbers */
	bool enabled;
	struct config_exceptions exceptions;
	struct config_routes routes; /* for what the account sends */
	bool takes_reports;          /* derived: reports of a domain go to one of its addresses */
};

struct config_accounts {
	struct config_account *v;
	size_t n;
};

/* One account that a message goes to, and by which of its addresses (canonical). */
struct config_target {
	const struct config_account *account;
	const char *address;
};

struct config_alias {
	struct config_text name;       /* the address, as written */
	struct config_texts members;   /* as written */
	bool allow_from;               /* the accounts behind it may send with its address */
	const char *address;           /* canonical */
	bool takes_reports;            /* derived, as an account's */
	struct config_target *targets; /* enabled accounts, aliases resolved, each account once */
	size_t n_targets;
};

struct config_aliases {
	struct config_alias *v;
	size_t n;
};

/* Header and body, as in the c= tag of a signature (RFC 6376 section 3.5). */
enum config_canonicalization {
	CONFIG_RELAXED_RELAXED,
	CONFIG_RELAXED_SIMPLE,
	CONFIG_SIMPLE_RELAXED,
	CONFIG_SIMPLE_SIMPLE,
};

#define CONFIG_DKIM_MAX         32 /* selectors of a domain */
#define CONFIG_DKIM_HEADERS_MAX 64
#define CONFIG_SELECTOR_MAX     63 /* bytes; one label */

/* A DKIM key of the domain; the key itself is in the vault under domain and selector. */
struct config_dkim {
	struct config_text name; /* the selector */
	bool sign;
	enum config_canonicalization canonicalization;
	struct config_texts headers; /* to be signed; empty: the usual ones */
	bool oversign;               /* so that none of them can be added */
	uint64_t expiry_ms;          /* 0: signatures do not expire */
};

struct config_dkims {
	struct config_dkim *v;
	size_t n;
};

/* --- what a domain publishes about itself (setup/published.h) --- */

enum config_sts_mode { CONFIG_STS_OFF, CONFIG_STS_NONE, CONFIG_STS_TESTING, CONFIG_STS_ENFORCE };

#define CONFIG_STS_MX_MAX    100 /* patterns of a policy */
#define CONFIG_REPORTS_MAX   10  /* places that reports go to */
#define CONFIG_NEXT_KEYS_MAX 8   /* of a listener */

struct config_sts {
	enum config_sts_mode mode;
	struct config_texts mx; /* host names or "*.domain", as written; empty: the server's name */
	uint64_t max_age_ms;
};

enum config_dmarc_policy {
	CONFIG_POLICY_OFF, /* no record */
	CONFIG_POLICY_NONE,
	CONFIG_POLICY_QUARANTINE,
	CONFIG_POLICY_REJECT,
};

struct config_dmarc_record {
	enum config_dmarc_policy policy;
	struct config_texts reports; /* addresses, as written */
};

struct config_domain {
	struct config_text name; /* as written */
	struct config_text catchall;
	struct config_text subaddress_separator;
	bool case_sensitive_localparts;
	bool enabled;
	struct config_dkims dkim;
	struct config_sts mta_sts;
	struct config_texts tls_reports; /* addresses and https URIs, as written */
	struct config_dmarc_record dmarc;
	struct config_routes routes;                   /* for senders of the domain */
	const char *ascii;                             /* A-labels, lower case */
	const struct config_account *catchall_account; /* resolved; at most one of the two is set */
	const struct config_alias *catchall_alias;
};

struct config_domains {
	struct config_domain *v;
	size_t n;
};

struct config_tables; /* private: the lookup tables */

struct config {
	const char *directory; /* absolute path of the config directory */
	struct config_text hostname;
	const char *hostname_ascii;        /* A-labels, lower case: what goes into protocol lines */
	struct config_text data_directory; /* absolute */
	struct config_text user;
	struct config_text postmaster;                   /* account name; "" when none */
	const struct config_account *postmaster_account; /* NULL when none */
	struct config_log log;
	struct config_listeners listeners;
	struct config_limits limits;
	struct config_timeouts timeouts;
	struct config_logins logins;
	struct config_rooms rooms;
	struct config_queue queue;
	struct config_resolver resolver;
	struct config_reception reception;
	struct config_reports reports;
	struct config_transports transports;
	struct config_routes routes; /* the last level, for all */
	struct config_domains domains;
	struct config_accounts accounts;
	struct config_aliases aliases;
	struct config_tables *tables;
};

/* --- load --- */

/* The texts of both files and the absolute directory that relative paths in them are relative to.
 */
struct config_sources {
	const char *directory;
	struct slice text[CONFIG_FILE_COUNT];
};

/* Reads both files of the directory. A missing domains.yaml is an empty one. What cannot be read is
 * also reported as a problem. ret_sources lives in the arena. */
struct status config_read_sources(const char *directory, struct arena *arena,
                                  struct config_sources *ret_sources,
                                  struct config_problems *problems);

/* Parses and checks everything and adds every error found to `problems` (its owner prints them;
 * warnings may be there on success too). INVALID when there is at least one error, LIMIT when the
 * arena's budget is too small. Blocks only for the processor. Two threads may call it at once. */
struct status config_parse(const struct config_sources *sources, struct arena *arena,
                           struct config **ret_config, struct config_problems *problems);

/* config_read_sources and config_parse. */
struct status config_load(const char *directory, struct arena *arena, struct config **ret_config,
                          struct config_problems *problems);

/* A sealed memfd with both texts, for a room that may open no file. The caller owns the fd. */
struct status config_freeze(const struct config_sources *sources, int *ret_fd);

/* Checks seals and size, then parses. Does not close the fd and does not move its offset. */
struct status config_load_frozen(int fd, struct arena *arena, struct config **ret_config,
                                 struct config_problems *problems);

/* --- look up --- */

enum config_lookup_kind {
	CONFIG_LOOKUP_ACCOUNT,
	CONFIG_LOOKUP_ALIAS,
	CONFIG_LOOKUP_UNKNOWN_USER,
	CONFIG_LOOKUP_UNKNOWN_DOMAIN,
	CONFIG_LOOKUP_DISABLED, /* the domain, the account or every member of the alias is disabled
	                         */
};

enum config_match {
	CONFIG_MATCH_EXACT,
	CONFIG_MATCH_SUBADDRESS, /* "me+tag" found as "me" */
	CONFIG_MATCH_CATCHALL,
	CONFIG_MATCH_POSTMASTER, /* RFC 5321 section 4.5.1 */
};

struct config_lookup {
	enum config_lookup_kind kind;
	enum config_match match;              /* ACCOUNT, ALIAS and DISABLED accounts */
	const struct config_account *account; /* ACCOUNT, else NULL */
	const struct config_alias *alias;     /* ALIAS: deliver to each of its targets; else NULL */
	const struct config_domain *domain;   /* NULL when the domain is not configured */
	/* The address in canonical form, local part unquoted: as configured for EXACT, SUBADDRESS
	 * and POSTMASTER (without the tag), as asked for CATCHALL; "" in the other cases. */
	char address[CONFIG_ADDRESS_MAX + 1];
};

/* Where mail for an SMTP path goes. localpart is unquoted; domain may be in A- or U-labels of any
 * case, an address literal with its brackets, or empty (RCPT TO:<postmaster>). Total: any bytes may
 * be asked for. Allocates nothing when both are ASCII.
 *
 * Order: the exact address; without its tags, longest first; the domain's catchall; postmaster. */
void config_lookup_address(const struct config *config, struct slice localpart, struct slice domain,
                           struct config_lookup *ret_lookup);

/* By the name of the account; NULL when there is none. Disabled accounts are found too. */
const struct config_account *config_account_find(const struct config *config, struct slice name);

/* By what a user types as login name: the account's name or one of its addresses (no tag, catchall,
 * alias). NULL when there is none. Disabled accounts are found too: the caller must look. */
const struct config_account *config_login_find(const struct config *config, struct slice login);

/* The account that has registered this public key (SHA-256 of its SubjectPublicKeyInfo); NULL when
 * there is none. */
const struct config_account *config_key_find(const struct config *config,
                                             const uint8_t key[CONFIG_KEY_SIZE]);
/* Whether any account has registered a key, or lets a Unix user in. */
bool config_has_keys(const struct config *config);
bool config_has_unix_users(const struct config *config);

/* Whether the account may send with this address: its own, by whatever match, or that of an alias
 * that allows it. Arguments as of config_lookup_address. */
bool config_may_send_as(const struct config *config, const struct config_account *account,
                        struct slice localpart, struct slice domain);

/* Whether it may send with any address of the domain (A-labels, lower case): whether the domain's
 * DKIM keys may sign for it. */
bool config_may_sign_for(const struct config *config, const struct config_account *account,
                         struct slice domain);

const struct config_domain *config_domain_find(const struct config *config, struct slice name);

/* The alias of this very address, NULL when there is none. */
const struct config_alias *config_alias_find(const struct config *config, struct slice address);

/* By its name; NULL when there is none, as for "". */
const struct config_transport *config_transport_find(const struct config *config,
                                                     struct slice name);

/* --- make --- */

/* Writes the configuration of `mailkeep localserve` into the (existing or new) directory: domain
 * localhost, account `me` with me@localhost and the catchall, accounts user1..userN, services at
 * port_base + 25, 465, 587, 143, 993, 80, 443 on `ip`, data in ../data. EXISTS, and nothing is
 * written, when there is a mailkeep.yaml already. */
struct status config_default_localserve(const char *directory, const char *ip, unsigned port_base,
                                        unsigned n_accounts);
