/* The table of fields. Adding one: a row here, a member in config.h, `meson test` (which checks
 * that the default parses and that docs/config.md is up to date). */
#include "config/schema.h"

#include "config/value.h"

const char *const config_file_names[CONFIG_FILE_COUNT] = {
        [CONFIG_SERVER] = CONFIG_SERVER_FILE,
        [CONFIG_DOMAINS] = CONFIG_DOMAINS_FILE,
};

const char *const config_file_docs[CONFIG_FILE_COUNT] = {
        [CONFIG_SERVER] = "Settings of the whole server: its name, where it listens, its limits.",
        [CONFIG_DOMAINS] =
                "Domains, accounts and aliases. The commands `mailkeep domain`, `account`, "
                "`address` and `alias` edit this file and keep its comments.",
};

static const struct config_format account_name = {"account name", config_check_account_name};
static const struct config_format listener_name = {"listener name", config_check_listener_name};
static const struct config_format hostname = {"domain name", config_check_hostname};
static const struct config_format path = {"path", config_check_path};
static const struct config_format user = {"Unix user", config_check_user};
static const struct config_format text = {"text", config_check_text};
static const struct config_format separator = {"separator", config_check_separator};
static const struct config_format address = {"address", config_check_address};
static const struct config_format address_or_catchall = {"address or @domain",
                                                         config_check_address_or_catchall};
static const struct config_format certificate = {"self-signed or a path", config_check_certificate};
static const struct config_format address_or_account = {"account name or address",
                                                        config_check_address_or_account};

static const struct config_format name = {"name", config_check_name};
static const struct config_format transport = {"name of a transport, or \"\"",
                                               config_check_name_or_empty};
static const struct config_format host = {"domain name or IP address", config_check_host};
static const struct config_format route_domain = {"domain", config_check_route_domain};
static const struct config_format mechanism = {"SASL mechanism", config_check_mechanism};
static const struct config_format key = {"fingerprint", config_check_key};
static const struct config_format unix_user = {"Unix user", config_check_unix_user};
static const struct config_format login = {"login name", config_check_login};
static const struct config_format reply_text = {"text", config_check_reply_text};

static const struct config_format selector = {"selector", config_check_selector};
static const struct config_format field_name = {"field name", config_check_field_name};
static const struct config_format mx_pattern = {"host name or *.domain", config_check_mx_pattern};
static const struct config_format report_uri = {"address or https URI", config_check_report_uri};
static const struct config_format suppressed = {"address or domain", config_check_suppressed};
static const struct config_format server = {"IP address", config_check_server};

static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const resolver_modes[] = {"recursive", "forward", "trust", NULL};
_Static_assert(CONFIG_RESOLVER_TRUST == 2, "the names are in the order of the enum");
static const char *const plain_logins[] = {"never", "loopback", NULL};
static const char *const transport_kinds[] = {"direct", "smtp", "submission",
                                              "socks",  "fail", NULL};
static const char *const tls_policies[] = {"default",  "none",     "opportunistic",
                                           "required", "implicit", NULL};
static const char *const dmarc_words[] = {"obey", "quarantine", "ignore", NULL};
static const char *const dmarc_discoveries[] = {"treewalk", "psl", NULL};
static const char *const sts_modes[] = {"off", "none", "testing", "enforce", NULL};
static const char *const dmarc_policies[] = {"off", "none", "quarantine", "reject", NULL};
_Static_assert(CONFIG_STS_ENFORCE == 3 && CONFIG_POLICY_REJECT == 3,
               "the names are in the order of the enums");
static const char *const actions[] = {"accept", "junk", "defer", "refuse", NULL};
static const char *const exception_kinds[] = {"list", "forward", NULL};
_Static_assert(CONFIG_DMARC_IGNORE == 2 && CONFIG_DMARC_PUBLIC_SUFFIX == 1 && CONFIG_REFUSE == 3 &&
                       CONFIG_EXCEPTION_FORWARD == 1,
               "the names are in the order of the enums");
static const char *const canonicalizations[] = {"relaxed/relaxed", "relaxed/simple",
                                                "simple/relaxed", "simple/simple", NULL};
_Static_assert(CONFIG_SIMPLE_SIMPLE == 3, "the names are in the order of the enum");
static const char *const families[] = {"both", "ipv4", "ipv6", NULL};
_Static_assert(CONFIG_TRANSPORT_FAIL == 4 && CONFIG_TLS_IMPLICIT == 4 && CONFIG_FAMILY_IPV6 == 2,
               "the names are in the order of the enums");
_Static_assert(CONFIG_LOG_ERROR == 3 && CONFIG_LOG_JSON == 1 && CONFIG_PLAIN_LOGIN_LOOPBACK == 1,
               "the names are in the order of the enums");

#define AT(member)           offsetof(struct config, member)
#define LISTENER_AT(member)  offsetof(struct config_listener, member)
#define DOMAIN_AT(member)    offsetof(struct config_domain, member)
#define ACCOUNT_AT(member)   offsetof(struct config_account, member)
#define ALIAS_AT(member)     offsetof(struct config_alias, member)
#define TRANSPORT_AT(member) offsetof(struct config_transport, member)
#define EXCEPTION_AT(member) offsetof(struct config_exception, member)
#define DKIM_AT(member)      offsetof(struct config_dkim, member)
#define ROUTE_AT(member)     offsetof(struct config_route, member)
#define ELEMENT(type)        .element_size = sizeof(struct type)

/* The three rows of a limit per address, subnet and network. */
#define RATE(prefix, member, kind, low, high, ip, subnet, network, what)                           \
	{CONFIG_SERVER, prefix, CONFIG_GROUP, .doc = what},                                        \
	        {CONFIG_SERVER,                                                                    \
	         prefix ".per_ip",                                                                 \
	         kind,                                                                             \
	         AT(member.per_ip),                                                                \
	         ip,                                                                               \
	         .min = low,                                                                       \
	         .max = high,                                                                      \
	         .doc = "From one address: IPv4 /32, IPv6 /64."},                                  \
	        {CONFIG_SERVER, prefix ".per_subnet",                                              \
	         kind,          AT(member.per_subnet),                                             \
	         subnet,        .min = low,                                                        \
	         .max = high,   .doc = "From one subnet: IPv4 /26, IPv6 /48."},                    \
	{                                                                                          \
		CONFIG_SERVER, prefix ".per_network", kind, AT(member.per_network), network,       \
		        .min = low, .max = high, .doc = "From one network: IPv4 /21, IPv6 /32."    \
	}

#define COUNT_RATE(name, ip, subnet, network, what)                                                \
	RATE("limits." #name, limits.name, CONFIG_COUNT, 1, 1000000000, ip, subnet, network, what)
#define SIZE_RATE(name, ip, subnet, network, what)                                                 \
	RATE("limits." #name, limits.name, CONFIG_SIZE, 1, (1 << 20) * GIB, ip, subnet, network,   \
	     what)

/* The three rows of a service of a listener. */
#define SERVICE(kind, key, number, what)                                                           \
	{CONFIG_SERVER, "listeners.*." key, CONFIG_GROUP, .doc = what},                            \
	        {CONFIG_SERVER,                                                                    \
	         "listeners.*." key ".enabled",                                                    \
	         CONFIG_BOOL,                                                                      \
	         LISTENER_AT(services[CONFIG_##kind].enabled),                                     \
	         "false",                                                                          \
	         .by_presence = true,                                                              \
	         .doc = "Whether the service is on. It is when `" key ":` is written."},           \
	{                                                                                          \
		CONFIG_SERVER, "listeners.*." key ".port", CONFIG_PORT,                            \
		        LISTENER_AT(services[CONFIG_##kind].port), number,                         \
		        .min = 1, .max = 65535, .doc = "TCP port of the service."                  \
	}

#define TIMEOUT(name, value, what)                                                                 \
	{                                                                                          \
		CONFIG_SERVER, "timeouts." #name, CONFIG_DURATION, AT(timeouts.name##_ms), value,  \
		        .min = 1000, .max = 86400000, .doc = what                                  \
	}

/* The rows of one level of routes. */
#define ROUTES(file, prefix, where, what)                                                          \
	{file,                                                                                     \
	 prefix,                                                                                   \
	 CONFIG_MAP,                                                                               \
	 where,                                                                                    \
	 .max = CONFIG_ROUTES_MAX,                                                                 \
	 .format = &name,                                                                          \
	 ELEMENT(config_route),                                                                    \
	 .doc = what},                                                                             \
	        {file,                                                                             \
	         prefix ".*.to",                                                                   \
	         CONFIG_TEXTS,                                                                     \
	         ROUTE_AT(to),                                                                     \
	         .max = CONFIG_ROUTE_LIST_MAX,                                                     \
	         .format = &route_domain,                                                          \
	         .doc = "Domains of recipients that the route is for: example.org only this one, " \
	                ".example.org this one and all below it. Without the list, all.",          \
	         .example = "[example.org, .example.net]"},                                        \
	        {file,                                                                             \
	         prefix ".*.from",                                                                 \
	         CONFIG_TEXTS,                                                                     \
	         ROUTE_AT(from),                                                                   \
	         .max = CONFIG_ROUTE_LIST_MAX,                                                     \
	         .format = &route_domain,                                                          \
	         .doc = "Domains of the sender (MAIL FROM) that the route is for, written like "   \
	                "`to`. Without the list, all, the null sender of reports included.",       \
	         .example = "[example.org]"},                                                      \
	        {file,                                                                             \
	         prefix ".*.min_attempts",                                                         \
	         CONFIG_COUNT,                                                                     \
	         ROUTE_AT(min_attempts),                                                           \
	         "0",                                                                              \
	         .max = 1000,                                                                      \
	         .doc = "The route is for messages with at least so many failed attempts behind "  \
	                "them: with 3, the fourth attempt is the first to take it."},              \
	{                                                                                          \
		file, prefix ".*.transport", CONFIG_TEXT, ROUTE_AT(transport),                     \
		        .format = &transport,                                                      \
		        .doc = "Transport that such messages go by, a name in `transports` of "    \
		               "mailkeep.yaml. Without it, or with \"\", they go directly.",       \
		        .example = "smarthost"                                                     \
	}

const struct config_field config_fields[] = {
        {CONFIG_SERVER, "hostname", CONFIG_TEXT, AT(hostname), .required = true,
         .format = &hostname,
         .doc = "Name of this server on the internet. It is said in greetings, stands in Received "
                "lines and should have an address record that leads here and back.",
         .example = "mail.example.org"},
        {CONFIG_SERVER, "data_directory", CONFIG_TEXT, AT(data_directory), "/var/lib/mailkeep",
         .is_path = true, .format = &path,
         .doc = "Where mail, the queue and keys are kept. A relative path is relative to the "
                "directory of this file."},
        {CONFIG_SERVER, "user", CONFIG_TEXT, AT(user), "mailkeep", .format = &user,
         .doc = "Unix user that the rooms run as when the server is started as root."},
        {CONFIG_SERVER, "postmaster", CONFIG_TEXT, AT(postmaster), .format = &account_name,
         .doc = "Account that gets mail to postmaster: without a domain, at the server's own "
                "names, "
                "and at each domain that has neither such an address nor a catchall.",
         .example = "me"},

        {CONFIG_SERVER, "log", CONFIG_GROUP, .doc = "What is logged, on standard error."},
        {CONFIG_SERVER, "log.level", CONFIG_ENUM, AT(log.level), "info", .choices = log_levels,
         .doc = "The least important kind of lines that is logged."},
        {CONFIG_SERVER, "log.format", CONFIG_ENUM, AT(log.format), "text", .choices = log_formats,
         .doc = "Lines for people, or one JSON object a line."},

        {CONFIG_SERVER, "listeners", CONFIG_MAP, AT(listeners), .min = 1, .max = 100,
         .format = &listener_name, ELEMENT(config_listener), .required = true,
         .doc = "Where the server listens. The names are yours and show in the log; `public` is "
                "usual."},
        {CONFIG_SERVER, "listeners.*.addresses", CONFIG_IPS, LISTENER_AT(addresses), .min = 1,
         .max = 256, .required = true,
         .doc = "IP addresses to listen at. 0.0.0.0 and :: stand for all of the machine.",
         .example = "[0.0.0.0, \"::\"]"},
        {CONFIG_SERVER, "listeners.*.hostname", CONFIG_TEXT, LISTENER_AT(hostname),
         .format = &hostname,
         .doc = "Name used at these addresses instead of the server's `hostname`.",
         .example = "mx2.example.org"},
        {CONFIG_SERVER, "listeners.*.plain_login", CONFIG_ENUM, LISTENER_AT(plain_login), "never",
         .choices = plain_logins,
         .doc = "Whether a password may be sent without TLS: never, or by clients on the loopback "
                "interface."},
        {CONFIG_SERVER, "listeners.*.tls", CONFIG_GROUP,
         .doc = "TLS of the listener's services. The vault reads the files; no other room sees the "
                "key."},
        {CONFIG_SERVER, "listeners.*.tls.enabled", CONFIG_BOOL, LISTENER_AT(tls.enabled), "true",
         .doc = "Whether there is TLS at all. Without it submissions, imaps and https must be "
                "off."},
        {CONFIG_SERVER, "listeners.*.tls.certificate", CONFIG_TEXT, LISTENER_AT(tls.certificate),
         "self-signed", .is_path = true, .format = &certificate,
         .doc = "PEM file with the certificate and those between it and its root, or `self-signed` "
                "for one that the vault makes and keeps.",
         .example = "/etc/mailkeep/tls/fullchain.pem"},
        {CONFIG_SERVER, "listeners.*.tls.key", CONFIG_TEXT, LISTENER_AT(tls.key), .format = &path,
         .is_path = true, .doc = "PEM file with the private key of the certificate.",
         .example = "/etc/mailkeep/tls/privkey.pem"},
        {CONFIG_SERVER, "listeners.*.tls.next_keys", CONFIG_TEXTS, LISTENER_AT(tls.next_keys),
         .max = CONFIG_NEXT_KEYS_MAX, .format = &path, .is_path = true,
         .doc = "PEM files with public keys or certificates that will be used next: `mailkeep dane "
                "record` prints their TLSA records beside the present ones, so that they are known "
                "everywhere before the keys are used.",
         .example = "[/etc/mailkeep/tls/next.pem]"},
        SERVICE(SMTP, "smtp", "25", "Mail from other servers. STARTTLS is offered."),
        SERVICE(SUBMISSION, "submission", "587", "Mail from users, after STARTTLS and login."),
        SERVICE(SUBMISSIONS, "submissions", "465", "Mail from users, over TLS."),
        SERVICE(IMAP, "imap", "143", "Reading mail, after STARTTLS."),
        SERVICE(IMAPS, "imaps", "993", "Reading mail, over TLS."),
        SERVICE(HTTP, "http", "80", "The web, without TLS."),
        SERVICE(HTTPS, "https", "443", "The web, over TLS."),

        {CONFIG_SERVER, "limits", CONFIG_GROUP,
         .doc = "What clients and senders may ask for. Past a limit they are refused politely."},
        {CONFIG_SERVER, "limits.message_size", CONFIG_SIZE, AT(limits.message_size), "100 MiB",
         .min = 64 * KIB, .max = UINT32_MAX,
         .doc = "Largest message that is received or appended."},
        {CONFIG_SERVER, "limits.recipients", CONFIG_COUNT, AT(limits.recipients), "1000",
         .min = 100, .max = 10000,
         .doc = "Most recipients of one message. RFC 5321 asks for at least 100."},
        {CONFIG_SERVER, "limits.received_hops", CONFIG_COUNT, AT(limits.received_hops), "100",
         .min = 20, .max = 1000,
         .doc = "A message with more Received lines than this is taken to be in a loop."},
        {CONFIG_SERVER, "limits.quota", CONFIG_QUOTA, AT(limits.quota), "unlimited", .min = MIB,
         .max = (1 << 20) * GIB, .doc = "Storage of an account that has no quota of its own.",
         .example = "10 GiB"},
        {CONFIG_SERVER, "limits.sent_per_day", CONFIG_LIMIT, AT(limits.sent_per_day), "1000",
         .min = 1, .max = 1000000000,
         .doc = "Most recipients that an account may send to in 24 hours, unless it has a limit of "
                "its own."},
        {CONFIG_SERVER, "limits.first_time_recipients_per_day", CONFIG_LIMIT,
         AT(limits.first_time_recipients_per_day), "200", .min = 1, .max = 1000000000,
         .doc = "Most recipients in 24 hours that an account has never sent to before: a stolen "
                "password is soon noticed, and of little use to a spammer."},
        {CONFIG_SERVER, "limits.rate_limits_on_loopback", CONFIG_BOOL,
         AT(limits.rate_limits_on_loopback), "false",
         .doc = "Whether the limits per address below also hold for clients on this machine."},
        {CONFIG_SERVER, "limits.connections_total", CONFIG_COUNT, AT(limits.connections_total),
         "10000", .min = 10, .max = 1000000, .doc = "Most connections open at one time."},
        COUNT_RATE(connections, "30", "90", "270", "Most connections open at one time."),
        COUNT_RATE(connection_rate, "300", "900", "2700", "Most new connections in a minute."),
        COUNT_RATE(failed_logins_per_minute, "10", "30", "90", "Most failed logins in a minute."),
        COUNT_RATE(failed_logins_per_day, "50", "150", "450", "Most failed logins in a day."),
        COUNT_RATE(messages_per_minute, "500", "1500", "4500",
                   "Most messages into one account in a minute."),
        COUNT_RATE(messages_per_day, "10000", "30000", "90000",
                   "Most messages into one account in a day."),
        SIZE_RATE(bytes_per_minute, "1000 MB", "3000 MB", "9000 MB",
                  "Most mail into one account in a minute."),
        SIZE_RATE(bytes_per_day, "3000 MB", "9000 MB", "27000 MB",
                  "Most mail into one account in a day."),

        {CONFIG_SERVER, "timeouts", CONFIG_GROUP, .doc = "How long the server waits for a client."},
        TIMEOUT(tls_handshake, "1m", "For the whole TLS handshake."),
        TIMEOUT(smtp_command, "5m", "For the next SMTP command (RFC 5321 section 4.5.3.2.7)."),
        TIMEOUT(smtp_data_block, "3m", "For the next piece of a message."),
        TIMEOUT(smtp_data_total, "30m", "For a whole message."),
        TIMEOUT(smtp_login, "2m", "For a login, on submission connections."),
        TIMEOUT(imap_login, "1m", "For a login, on IMAP connections."),
        TIMEOUT(imap_idle, "30m",
                "For the next IMAP command after login. RFC 9051 section 5.4 asks for at least 30 "
                "minutes."),
        TIMEOUT(write, "5m", "For a client to take what is sent to it."),

        {CONFIG_SERVER, "logins", CONFIG_GROUP, .doc = "How users may log in."},
        {CONFIG_SERVER, "logins.cram_md5", CONFIG_BOOL, AT(logins.cram_md5), "false",
         .doc = "Whether CRAM-MD5 is offered, an old mechanism whose verifier is cheap to guess "
                "from for a thief of the data directory. After switching it on it works for "
                "accounts whose password was set since; after switching it off its verifier is "
                "gone at the next change of the password."},

        {CONFIG_SERVER, "rooms", CONFIG_GROUP, .doc = "Processes of the server."},
        {CONFIG_SERVER, "rooms.account_idle", CONFIG_DURATION, AT(rooms.account_idle_ms), "60s",
         .min = 1000, .max = 86400000,
         .doc = "An account's process leaves when it had no work for so long."},
        {CONFIG_SERVER, "rooms.gates", CONFIG_GROUP,
         .doc = "Processes that take connections, for each purpose. 0 is one per processor."},
        {CONFIG_SERVER, "rooms.gates.mx", CONFIG_COUNT, AT(rooms.gates.mx), "1", .max = 64,
         .doc = "For mail from other servers (smtp)."},
        {CONFIG_SERVER, "rooms.gates.login", CONFIG_COUNT, AT(rooms.gates.login), "1", .max = 64,
         .doc = "For users' mail programs (submission and IMAP)."},
        {CONFIG_SERVER, "rooms.gates.web", CONFIG_COUNT, AT(rooms.gates.web), "1", .max = 64,
         .doc = "For browsers (HTTP)."},

        {CONFIG_SERVER, "queue", CONFIG_GROUP,
         .doc = "Mail on its way out: how often it is tried and how much may wait."},
        {CONFIG_SERVER, "queue.first_retry", CONFIG_DURATION, AT(queue.first_retry_ms), "450s",
         .min = 100, .max = 86400000,
         .doc = "Pause after the first attempt that failed for now. Each further pause is longer; "
                "about a hundredth of it depends on the message, so that what was sent together "
                "does not come back together."},
        {CONFIG_SERVER, "queue.retry_factor", CONFIG_COUNT, AT(queue.retry_factor), "2", .min = 1,
         .max = 10, .doc = "Each pause is so many times as long as the one before."},
        {CONFIG_SERVER, "queue.max_retry", CONFIG_DURATION, AT(queue.max_retry_ms), "8h",
         .min = 100, .max = 604800000, .doc = "But never longer than this."},
        {CONFIG_SERVER, "queue.max_attempts", CONFIG_COUNT, AT(queue.max_attempts), "8", .min = 1,
         .max = 100,
         .doc = "After so many attempts the message is returned to its sender: by default after "
                "16 hours."},
        {CONFIG_SERVER, "queue.delay_notice", CONFIG_DURATION, AT(queue.delay_notice_ms), "1h",
         .max = 604800000,
         .doc = "The sender is told, once, when an attempt fails and the message is as old as "
                "this. 0s: never."},
        {CONFIG_SERVER, "queue.keep_retired", CONFIG_DURATION, AT(queue.keep_retired_ms), "7d",
         .max = (uint64_t)366 * 86400000,
         .doc = "How long the record of a message that was delivered or failed is kept, without "
                "its text: for `mailkeep queue retired`, for matching reports that come in and "
                "for the suppression list. 0s: not at all."},
        {CONFIG_SERVER, "queue.max_connections", CONFIG_COUNT, AT(queue.max_connections), "200",
         .min = 1, .max = 2000, .doc = "Deliveries to other servers at one time."},
        {CONFIG_SERVER, "queue.max_per_destination", CONFIG_COUNT, AT(queue.max_per_destination),
         "20", .min = 1, .max = 1000,
         .doc = "Of these to one domain or transport. It begins with one and grows as they "
                "succeed."},
        {CONFIG_SERVER, "queue.max_messages", CONFIG_COUNT, AT(queue.max_messages), "1000000",
         .min = 1, .max = 100000000,
         .doc = "Recipients that may wait, all messages together. Past it, submission is refused "
                "for the time being."},
        {CONFIG_SERVER, "queue.max_size", CONFIG_SIZE, AT(queue.max_size), "100 GiB", .min = MIB,
         .max = (1 << 20) * GIB, .doc = "Size of all messages that may wait."},

        {CONFIG_SERVER, "resolver", CONFIG_GROUP,
         .doc = "How names are looked up in the DNS. Every answer is judged secure, insecure or "
                "bogus (DNSSEC), and what rests on it is judged by that."},
        {CONFIG_SERVER, "resolver.mode", CONFIG_ENUM, AT(resolver.mode), "recursive",
         .choices = resolver_modes,
         .doc = "recursive asks the servers of the world, from the root on, and validates. forward "
                "asks `servers` and validates what they say. trust asks `servers`, or those of "
                "/etc/resolv.conf, and believes them where that is allowed (`trust_ad`)."},
        {CONFIG_SERVER, "resolver.servers", CONFIG_TEXTS, AT(resolver.servers),
         .max = CONFIG_RESOLVER_SERVERS_MAX, .format = &server,
         .doc = "Resolvers to ask, in the modes forward and trust. The port is 53 where none is "
                "given.",
         .example = "[192.0.2.53, \"[2001:db8::53]:5353\"]"},
        {CONFIG_SERVER, "resolver.validate", CONFIG_BOOL, AT(resolver.validate), "true",
         .doc = "Whether answers are validated, in the modes recursive and forward. If not, all "
                "are "
                "insecure: for networks whose resolver strips signatures."},
        {CONFIG_SERVER, "resolver.trust_ad", CONFIG_BOOL, AT(resolver.trust_ad), "false",
         .doc = "In the mode trust: whether servers beyond this machine are believed, too, when "
                "they say that they have validated (the AD bit). Those on the loopback interface "
                "are, and those of a resolv.conf with `options trust-ad`."},
        {CONFIG_SERVER, "resolver.anchor", CONFIG_TEXT, AT(resolver.anchor),
         "/usr/share/dns/root.key", .is_path = true, .format = &path,
         .doc = "File with the keys (DNSKEY or DS records) that validation begins at. Where the "
                "default does not exist, the root's keys of 2017 and 2024 are used."},
        {CONFIG_SERVER, "resolver.hints", CONFIG_TEXT, AT(resolver.hints), "built-in",
         .is_path = true, .format = &path,
         .doc = "File with the addresses (A and AAAA records) of the root servers, for a network "
                "with a root of its own. `built-in` is those of the world.",
         .example = "/etc/mailkeep/root.hints"},
        {CONFIG_SERVER, "resolver.timeout", CONFIG_DURATION, AT(resolver.timeout_ms), "15s",
         .min = 1000, .max = 120000,
         .doc = "Longest time for one lookup. After it the answer is a temporary failure."},
        {CONFIG_SERVER, "resolver.cache_size", CONFIG_SIZE, AT(resolver.cache_size), "8 MiB",
         .min = 256 * KIB, .max = 4 * GIB,
         .doc = "Memory for answers that are kept as long as their owners allow."},
        {CONFIG_SERVER, "resolver.max_lookups", CONFIG_COUNT, AT(resolver.max_lookups), "512",
         .min = 16, .max = 10000,
         .doc = "Most lookups under way at one time; three quarters of them for mail that comes "
                "in. One more is a temporary failure at once."},

        {CONFIG_SERVER, "reception", CONFIG_GROUP,
         .doc = "How mail from other servers is checked, and what becomes of it. What was found "
                "stands in the message's Authentication-Results, and `mailkeep message explain` "
                "tells it in words. `junk` delivers into the account's Junk mailbox; `defer` asks "
                "the sender to come again; `refuse` tells him why."},
        {CONFIG_SERVER, "reception.checks", CONFIG_BOOL, AT(reception.checks), "true",
         .doc = "Whether anything is checked at all."},
        {CONFIG_SERVER, "reception.timeout", CONFIG_DURATION, AT(reception.timeout_ms), "20s",
         .min = 100, .max = 120000,
         .doc = "How long all questions to the DNS about one message may take. What is not known "
                "then is a temporary error."},
        {CONFIG_SERVER, "reception.dmarc", CONFIG_ENUM, AT(reception.dmarc), "obey",
         .choices = dmarc_words,
         .doc = "`obey`: mail that fails DMARC is refused or put with the junk as the owner of the "
                "author's domain wishes. What was passed on by a mailing list or server that says "
                "so under its own authenticated name is put with the junk instead of refused. "
                "`quarantine`: never refused. `ignore`: only noted."},
        {CONFIG_SERVER, "reception.dmarc_discovery", CONFIG_ENUM, AT(reception.dmarc_discovery),
         "treewalk", .choices = dmarc_discoveries,
         .doc = "How the organization behind a domain is found: `treewalk` as RFC 9989 has it, or "
                "`psl` by the public suffix list."},
        {CONFIG_SERVER, "reception.dmarc_error", CONFIG_ENUM, AT(reception.dmarc_error), "accept",
         .choices = actions, .doc = "For a DMARC record that is of no use."},
        {CONFIG_SERVER, "reception.dmarc_temporary", CONFIG_ENUM, AT(reception.dmarc_temporary),
         "accept", .choices = actions,
         .doc = "For a DMARC record that cannot be looked up for now, or whose DNSSEC signature is "
                "bogus."},
        {CONFIG_SERVER, "reception.no_author", CONFIG_ENUM, AT(reception.no_author), "accept",
         .choices = actions,
         .doc = "For a message whose From does not name exactly one domain: none, several From "
                "fields, several domains, something malformed."},
        {CONFIG_SERVER, "reception.spf_fail", CONFIG_ENUM, AT(reception.spf_fail), "accept",
         .choices = actions,
         .doc = "When the sender's domain says that the client may not send for it, and DMARC does "
                "not pass. Mail that is passed on often fails SPF."},
        {CONFIG_SERVER, "reception.iprev_fail", CONFIG_ENUM, AT(reception.iprev_fail), "accept",
         .choices = actions,
         .doc = "When the client's address has no name, or one that does not lead back to it."},
        {CONFIG_SERVER, "reception.listed", CONFIG_ENUM, AT(reception.listed), "refuse",
         .choices = actions,
         .doc = "For clients and domains that are on one of the block lists below. A list whose "
                "own test entries are not as they must be lists nobody."},
        {CONFIG_SERVER, "reception.address_lists", CONFIG_TEXTS, AT(reception.address_lists),
         .max = CONFIG_LISTS_MAX, .format = &hostname,
         .doc = "Zones of block lists of IP addresses (RFC 5782) that clients are looked up in.",
         .example = "[bl.example.org]"},
        {CONFIG_SERVER, "reception.domain_lists", CONFIG_TEXTS, AT(reception.domain_lists),
         .max = CONFIG_LISTS_MAX, .format = &hostname,
         .doc = "Zones of block lists of domains, for the domains in MAIL FROM and From.",
         .example = "[dbl.example.org]"},
        {CONFIG_SERVER, "reception.arc_trusted", CONFIG_TEXTS, AT(reception.arc_trusted),
         .max = CONFIG_ARC_TRUSTED_MAX, .format = &hostname,
         .doc = "Domains whose ARC seals are believed: where such a server has seen DMARC pass, it "
                "passes here, although the message was changed on its way.",
         .example = "[lists.example.org]"},

        {CONFIG_SERVER, "reports", CONFIG_GROUP,
         .doc = "Reports to the owners of domains, once a day, where their DNS asks for them: how "
                "mail in their name fared here (DMARC), and how TLS with their servers did "
                "(TLSRPT). `mailkeep dmarc show` and `mailkeep tlsrpt show` tell what was counted "
                "and what was sent. They are signed with the DKIM keys of the address's domain."},
        {CONFIG_SERVER, "reports.dmarc", CONFIG_BOOL, AT(reports.dmarc), "true",
         .doc = "Whether messages are counted for DMARC aggregate reports, and these are sent."},
        {CONFIG_SERVER, "reports.tls", CONFIG_BOOL, AT(reports.tls), "true",
         .doc = "Whether TLS sessions are counted for TLS reports, and these are sent."},
        {CONFIG_SERVER, "reports.address", CONFIG_TEXT, AT(reports.address), .format = &address,
         .doc = "Whom reports are from; its domain is the submitter. Without it postmaster at the "
                "server's `hostname`; where that is no name of the public DNS (localhost, say) "
                "nothing is sent.",
         .example = "reports@example.org"},
        {CONFIG_SERVER, "reports.organization", CONFIG_TEXT, AT(reports.organization),
         .format = &text, .doc = "Name of who reports. Without it the server's `hostname`.",
         .example = "Example Hosting"},
        {CONFIG_SERVER, "reports.contact", CONFIG_TEXT, AT(reports.contact), .format = &address,
         .doc = "Address for questions about reports. Without it the address they are from.",
         .example = "postmaster@example.org"},
        {CONFIG_SERVER, "reports.suppress", CONFIG_TEXTS, AT(reports.suppress),
         .max = CONFIG_SUPPRESSED_MAX, .format = &suppressed,
         .doc = "Addresses and domains that get no reports, and domains that nothing is reported "
                "about, whatever their DNS asks for.",
         .example = "[example.net, reports@example.com]"},

        {CONFIG_SERVER, "transports", CONFIG_MAP, AT(transports), .max = CONFIG_TRANSPORTS_MAX,
         .format = &name, ELEMENT(config_transport),
         .doc = "Ways by which mail leaves, for `routes` to choose from. Mail that no route "
                "matches is delivered directly to the servers of the recipient's domain."},
        {CONFIG_SERVER, "transports.*.kind", CONFIG_ENUM, TRANSPORT_AT(kind), .required = true,
         .choices = transport_kinds,
         .doc = "What it is: `direct` to the domain's own servers (with the options below), `smtp` "
                "to one server without login, `submission` to one server with login, `socks` "
                "directly but through a SOCKS5 proxy, `fail` not at all.",
         .example = "submission"},
        {CONFIG_SERVER, "transports.*.host", CONFIG_TEXT, TRANSPORT_AT(host), .format = &host,
         .doc = "The server (smtp, submission) or proxy (socks). Its addresses are looked up, no "
                "MX records.",
         .example = "smtp.example.net"},
        {CONFIG_SERVER, "transports.*.port", CONFIG_PORT, TRANSPORT_AT(port), .min = 1,
         .max = 65535,
         .doc = "TCP port of the host. Without it: 25 for direct and smtp, 587 for submission (465 "
                "with `tls: implicit`), 1080 for socks.",
         .example = "587"},
        {CONFIG_SERVER, "transports.*.remote_port", CONFIG_PORT, TRANSPORT_AT(remote_port), "25",
         .min = 1, .max = 65535,
         .doc = "TCP port of the domains' servers that a socks transport reaches through its "
                "proxy."},
        {CONFIG_SERVER, "transports.*.tls", CONFIG_ENUM, TRANSPORT_AT(tls), "default",
         .choices = tls_policies,
         .doc = "`none`; `opportunistic`: STARTTLS where it is offered, whatever the certificate, "
                "else in clear; `required`: STARTTLS and a certificate that is verified, or no "
                "delivery; `implicit`: the same with TLS from the first byte (smtp, submission). "
                "`default` is required for submission, else opportunistic."},
        {CONFIG_SERVER, "transports.*.ca", CONFIG_TEXT, TRANSPORT_AT(ca), .format = &path,
         .is_path = true,
         .doc = "PEM file with certificates to trust besides the system's, for a server with a "
                "private authority or a self-signed certificate.",
         .example = "/etc/mailkeep/smarthost-ca.pem"},
        {CONFIG_SERVER, "transports.*.tls_name", CONFIG_TEXT, TRANSPORT_AT(tls_name),
         .format = &hostname,
         .doc = "Name that the server's certificate must have, where it is not `host` (smtp, "
                "submission).",
         .example = "smtp.example.net"},
        {CONFIG_SERVER, "transports.*.user", CONFIG_TEXT, TRANSPORT_AT(user), .format = &login,
         .doc = "Name to log in with at the server (submission) or proxy (socks).",
         .example = "ada@example.org"},
        {CONFIG_SERVER, "transports.*.secret", CONFIG_TEXT, TRANSPORT_AT(secret), .format = &name,
         .doc = "Name of the password to log in with, which the vault keeps. Set it with `mailkeep "
                "secret set NAME`.",
         .example = "smarthost"},
        {CONFIG_SERVER, "transports.*.mechanisms", CONFIG_TEXTS, TRANSPORT_AT(mechanisms), .max = 7,
         .format = &mechanism,
         .doc = "SASL mechanisms that may be used, the best first. Without it the strongest that "
                "the server announces. PLAIN and LOGIN are used only inside verified TLS.",
         .example = "[SCRAM-SHA-256-PLUS, SCRAM-SHA-256]"},
        {CONFIG_SERVER, "transports.*.address_family", CONFIG_ENUM, TRANSPORT_AT(family), "both",
         .choices = families, .doc = "Which addresses of servers are connected to."},
        {CONFIG_SERVER, "transports.*.ehlo_name", CONFIG_TEXT, TRANSPORT_AT(ehlo_name),
         .format = &hostname,
         .doc = "Name to say in EHLO instead of the server's `hostname`: behind a proxy, the name "
                "that belongs to the address the mail then comes from.",
         .example = "proxy.example.org"},
        {CONFIG_SERVER, "transports.*.code", CONFIG_COUNT, TRANSPORT_AT(code), "554", .min = 400,
         .max = 599,
         .doc = "Reply code of a fail transport: from 500 the message fails for good, below it "
                "is tried again later."},
        {CONFIG_SERVER, "transports.*.message", CONFIG_TEXT, TRANSPORT_AT(message),
         .format = &reply_text,
         .doc = "Reply text of a fail transport, which its sender reads. It may begin with an "
                "enhanced status code.",
         .example = "5.7.1 No mail leaves this server"},

        ROUTES(CONFIG_SERVER, "routes", AT(routes),
               "By which transport mail leaves. At every attempt the routes of the sending account "
               "are looked through, then those of the sender's domain, then these, each in the "
               "order of the file; the first that matches in all it says decides."),

        {CONFIG_DOMAINS, "domains", CONFIG_MAP, AT(domains), .max = CONFIG_DOMAINS_MAX,
         .format = &hostname, ELEMENT(config_domain),
         .doc = "Domains whose mail is received here. Names may be written in any script."},
        {CONFIG_DOMAINS, "domains.*.catchall", CONFIG_TEXT, DOMAIN_AT(catchall),
         .format = &address_or_account,
         .doc = "Account, address or alias that gets mail to addresses of the domain that do not "
                "exist. An account may say the same with the address \"@domain\".",
         .example = "me"},
        {CONFIG_DOMAINS, "domains.*.subaddress_separator", CONFIG_TEXT,
         DOMAIN_AT(subaddress_separator), "+", .format = &separator,
         .doc = "What begins a tag: with + mail to me+shop@ goes to me@. \"\" turns tags off.",
         .example = "\"-\""},
        {CONFIG_DOMAINS, "domains.*.case_sensitive_localparts", CONFIG_BOOL,
         DOMAIN_AT(case_sensitive_localparts), "false",
         .doc = "Whether Me@ and me@ are two addresses. Hardly anybody expects that."},
        {CONFIG_DOMAINS, "domains.*.enabled", CONFIG_BOOL, DOMAIN_AT(enabled), "true",
         .doc = "Whether mail to the domain is received. If not, senders are told to try later."},

        {CONFIG_DOMAINS, "domains.*.dkim", CONFIG_MAP, DOMAIN_AT(dkim), .max = CONFIG_DKIM_MAX,
         .format = &selector, ELEMENT(config_dkim),
         .doc = "DKIM keys of the domain, by selector. `mailkeep dkim key add` makes a key in the "
                "vault, writes it down here, and prints the DNS record that it needs. What the "
                "domain's users send is signed with each of them that has `sign`."},
        {CONFIG_DOMAINS, "domains.*.dkim.*.sign", CONFIG_BOOL, DKIM_AT(sign), "true",
         .doc = "Whether the key signs. A key that does not yet, or no more, stays in the DNS."},
        {CONFIG_DOMAINS, "domains.*.dkim.*.canonicalization", CONFIG_ENUM,
         DKIM_AT(canonicalization), "relaxed/relaxed", .choices = canonicalizations,
         .doc = "Which changes on the way a signature bears, in header and body: none (simple), or "
                "those of blanks (relaxed)."},
        {CONFIG_DOMAINS, "domains.*.dkim.*.headers", CONFIG_TEXTS, DKIM_AT(headers),
         .max = CONFIG_DKIM_HEADERS_MAX, .format = &field_name,
         .doc = "Header fields that are signed, From always. Without the list, those that a person "
                "or a mail program goes by.",
         .example = "[From, To, Subject, Date, Message-ID]"},
        {CONFIG_DOMAINS, "domains.*.dkim.*.oversign", CONFIG_BOOL, DKIM_AT(oversign), "true",
         .doc = "Whether these fields are signed once more than they occur, so that nobody can add "
                "another Subject or From."},
        {CONFIG_DOMAINS, "domains.*.dkim.*.expiry", CONFIG_DURATION, DKIM_AT(expiry_ms), "0s",
         .max = 366 * (uint64_t)86400000,
         .doc = "After which time a signature is void; 0s: never. Mail may lie in a queue for a "
                "week.",
         .example = "14d"},

        {CONFIG_DOMAINS, "domains.*.mta_sts", CONFIG_GROUP,
         .doc = "The domain's own MTA-STS policy (RFC 8461): other servers deliver over verified "
                "TLS only, to the hosts it names. `mailkeep mtasts record` and `mtasts policy` "
                "print what is to be published."},
        {CONFIG_DOMAINS, "domains.*.mta_sts.mode", CONFIG_ENUM, DOMAIN_AT(mta_sts.mode), "off",
         .choices = sts_modes,
         .doc = "`testing`: failures are reported, mail is delivered; `enforce`: it is not; "
                "`none`: "
                "the policy is withdrawn, which is what a domain publishes for max_age before it "
                "goes back to `off`, no policy at all."},
        {CONFIG_DOMAINS, "domains.*.mta_sts.mx", CONFIG_TEXTS, DOMAIN_AT(mta_sts.mx),
         .max = CONFIG_STS_MX_MAX, .format = &mx_pattern,
         .doc = "Hosts that may be MX of the domain, *.example.org for all with one label more. "
                "Without the list, this server alone.",
         .example = "[mx1.example.org, mx2.example.org]"},
        {CONFIG_DOMAINS, "domains.*.mta_sts.max_age", CONFIG_DURATION,
         DOMAIN_AT(mta_sts.max_age_ms), "28d", .min = 60 * 60 * 1000ULL, .max = 31557600ULL * 1000,
         .doc = "How long others may go by the policy without asking again. Long is safe: they "
                "ask when its id changes, and that follows its text."},
        {CONFIG_DOMAINS, "domains.*.tls_reports", CONFIG_TEXTS, DOMAIN_AT(tls_reports),
         .max = CONFIG_REPORTS_MAX, .format = &report_uri,
         .doc = "Addresses (or https URIs) at which the domain wants reports about TLS with its "
                "servers (RFC 8460). `mailkeep tlsrpt record` prints the record. What comes to an "
                "address of this server is read, and shown by `mailkeep tlsrpt received`.",
         .example = "[tls-reports@example.org]"},
        {CONFIG_DOMAINS, "domains.*.dmarc", CONFIG_GROUP,
         .doc = "The domain's own DMARC policy; `mailkeep dmarc record` prints the record."},
        {CONFIG_DOMAINS, "domains.*.dmarc.policy", CONFIG_ENUM, DOMAIN_AT(dmarc.policy), "off",
         .choices = dmarc_policies,
         .doc = "What others are asked to do with mail that claims to be the domain's and is not: "
                "deliver and report it (`none`), put it with the junk, refuse it. `off`: no "
                "record."},
        {CONFIG_DOMAINS, "domains.*.dmarc.reports", CONFIG_TEXTS, DOMAIN_AT(dmarc.reports),
         .max = CONFIG_REPORTS_MAX, .format = &address,
         .doc = "Addresses that get others' daily reports. What comes to an address of this server "
                "is read, and shown by `mailkeep dmarc received`.",
         .example = "[dmarc-reports@example.org]"},

        ROUTES(CONFIG_DOMAINS, "domains.*.routes", DOMAIN_AT(routes),
               "Routes for mail from senders of the domain; see `routes` in mailkeep.yaml."),

        {CONFIG_DOMAINS, "accounts", CONFIG_MAP, AT(accounts), .max = CONFIG_ACCOUNTS_MAX,
         .format = &account_name, ELEMENT(config_account),
         .doc = "Users. The name is for logins, logs and the directory of the account's mail. "
                "Passwords are not here: see `mailkeep account password`."},
        {CONFIG_DOMAINS, "accounts.*.full_name", CONFIG_TEXT, ACCOUNT_AT(full_name),
         .format = &text, .doc = "Name for people.", .example = "Ada Lovelace"},
        {CONFIG_DOMAINS, "accounts.*.addresses", CONFIG_TEXTS, ACCOUNT_AT(addresses),
         .max = CONFIG_LIST_MAX, .format = &address_or_catchall,
         .doc = "Addresses whose mail the account gets, and that it may log in and send with. "
                "\"@domain\" is every address of the domain that does not exist otherwise.",
         .example = "[ada@example.org, \"@example.net\"]"},
        {CONFIG_DOMAINS, "accounts.*.quota", CONFIG_QUOTA, ACCOUNT_AT(quota), .min = MIB,
         .max = (1 << 20) * GIB,
         .doc = "Storage for the account's mail, or `unlimited`. The default is `limits.quota` of "
                "mailkeep.yaml.",
         .example = "10 GiB"},
        {CONFIG_DOMAINS, "accounts.*.sent_per_day", CONFIG_LIMIT, ACCOUNT_AT(sent_per_day),
         .min = 1, .max = 1000000000,
         .doc = "Most recipients that the account may send to in 24 hours, or `unlimited`. The "
                "default is `limits.sent_per_day` of mailkeep.yaml.",
         .example = "5000"},
        {CONFIG_DOMAINS, "accounts.*.first_time_recipients_per_day", CONFIG_LIMIT,
         ACCOUNT_AT(first_time_recipients_per_day), .min = 1, .max = 1000000000,
         .doc = "Most recipients in 24 hours that the account has never sent to before, or "
                "`unlimited`. The default is `limits.first_time_recipients_per_day` of "
                "mailkeep.yaml.",
         .example = "1000"},
        {CONFIG_DOMAINS, "accounts.*.client_keys", CONFIG_TEXTS, ACCOUNT_AT(client_keys),
         .max = 100, .format = &key,
         .doc = "Public keys of TLS client certificates that log in without a password (SASL "
                "EXTERNAL): the SHA-256 of each key, as `openssl x509 -in CERTIFICATE -pubkey "
                "-noout | openssl pkey -pubin -outform DER | sha256sum` prints it. Only the key "
                "counts, neither the certificate's names nor its dates. A key belongs to one "
                "account.",
         .example =
                 "[\"sha256:6f1ed002ab5595859014ebf0951522d9f8a1c1e2b3d4c5f60718293a4b5c6d7e\"]"},
        {CONFIG_DOMAINS, "accounts.*.unix_users", CONFIG_TEXTS, ACCOUNT_AT(unix_users), .max = 100,
         .format = &unix_user,
         .doc = "Unix users of this machine, by name or number, that may send as the account "
                "without a password, by `mailkeep sendmail` and the socket submit.sock in the data "
                "directory. A Unix user belongs to one account.",
         .example = "[www-data, backup]"},
        {CONFIG_DOMAINS, "accounts.*.enabled", CONFIG_BOOL, ACCOUNT_AT(enabled), "true",
         .doc = "Whether the account may log in and gets mail. If not, senders are told to try "
                "later."},
        {CONFIG_DOMAINS, "accounts.*.exceptions", CONFIG_MAP, ACCOUNT_AT(exceptions),
         .max = CONFIG_EXCEPTIONS_MAX, .format = &name, ELEMENT(config_exception),
         .doc = "Mail that the account expects by indirect ways, and that must not be turned away "
                "for it. The first whose domains are authenticated by SPF or DKIM counts."},
        {CONFIG_DOMAINS, "accounts.*.exceptions.*.kind", CONFIG_ENUM, EXCEPTION_AT(kind), "list",
         .choices = exception_kinds,
         .doc = "`list`: a mailing list: DMARC of the author is not asked for. `forward`: a server "
                "that passes mail on to here: neither DMARC nor SPF, reverse names and block lists "
                "count."},
        {CONFIG_DOMAINS, "accounts.*.exceptions.*.domains", CONFIG_TEXTS, EXCEPTION_AT(domains),
         .min = 1, .max = CONFIG_EXCEPTION_DOMAINS_MAX, .required = true, .format = &hostname,
         .doc = "Domains of the list or server, with all below them; one of them must be "
                "authenticated.",
         .example = "[lists.example.org]"},
        {CONFIG_DOMAINS, "accounts.*.exceptions.*.mailbox", CONFIG_TEXT, EXCEPTION_AT(mailbox),
         .format = &text, .doc = "Mailbox for such mail; without it, the Inbox.",
         .example = "Lists"},
        ROUTES(CONFIG_DOMAINS, "accounts.*.routes", ACCOUNT_AT(routes),
               "Routes for mail that the account sends; see `routes` in mailkeep.yaml."),

        {CONFIG_DOMAINS, "aliases", CONFIG_MAP, AT(aliases), .max = CONFIG_ALIASES_MAX,
         .format = &address, ELEMENT(config_alias),
         .doc = "Addresses that stand for one or more others."},
        {CONFIG_DOMAINS, "aliases.*.members", CONFIG_TEXTS, ALIAS_AT(members), .min = 1,
         .max = CONFIG_LIST_MAX, .required = true, .format = &address,
         .doc = "Addresses that get the alias's mail: of accounts or of other aliases of this "
                "server.",
         .example = "[ada@example.org, charles@example.org]"},
        {CONFIG_DOMAINS, "aliases.*.allow_from", CONFIG_BOOL, ALIAS_AT(allow_from), "false",
         .doc = "Whether the accounts behind the alias may send with its address, in From and as "
                "the sender of the envelope."},
};

const size_t config_n_fields = N_ELEMENTS(config_fields);
_Static_assert(N_ELEMENTS(config_fields) <= CONFIG_FIELDS_MAX, "room for the parents' table");

#define LAYOUT(type)                                                                               \
	_Static_assert(sizeof(struct type) == sizeof(struct config_array) &&                       \
	                       offsetof(struct type, n) == offsetof(struct config_array, n),       \
	               "maps and lists are stored as arrays")
LAYOUT(config_listeners);
LAYOUT(config_domains);
LAYOUT(config_accounts);
LAYOUT(config_aliases);
LAYOUT(config_transports);
LAYOUT(config_routes);
LAYOUT(config_texts);
LAYOUT(config_ips);
_Static_assert(offsetof(struct config_listener, name) == 0 &&
                       offsetof(struct config_domain, name) == 0 &&
                       offsetof(struct config_account, name) == 0 &&
                       offsetof(struct config_alias, name) == 0 &&
                       offsetof(struct config_transport, name) == 0 &&
                       offsetof(struct config_route, name) == 0,
               "elements begin with their name");
_Static_assert(sizeof(enum config_plain_login) == sizeof(unsigned) &&
                       sizeof(enum config_log_level) == sizeof(unsigned) &&
                       sizeof(enum config_transport_kind) == sizeof(unsigned) &&
                       sizeof(enum config_tls_policy) == sizeof(unsigned) &&
                       sizeof(enum config_family) == sizeof(unsigned),
               "enums are stored as unsigned");

const char *config_field_key(const struct config_field *field)
{
	const char *dot = strrchr(field->path, '.');
	return dot ? dot + 1 : field->path;
}

/* "listeners.*.smtp" is in "listeners", whose elements the `*` stands for. */
int config_field_parent(size_t field)
{
	struct slice parent = slice_str(config_fields[field].path);
	parent = slice_sub(parent, 0, MIN(slice_rindex(parent, '.'), parent.n));
	if (slice_eq(parent, slice_str(config_fields[field].path)))
		return -1;
	if (slice_ends(parent, SLICE(".*")))
		parent.n -= 2;
	for (size_t i = 0; i < field; i++)
		if (config_fields[i].file == config_fields[field].file &&
		    slice_eq_str(parent, config_fields[i].path))
			return (int)i;
	BUG("a field stands before its group");
}

const struct config_field *config_field_find(const char *field_path)
{
	for (size_t i = 0; i < config_n_fields; i++)
		if (strcmp(config_fields[i].path, field_path) == 0)
			return &config_fields[i];
	return NULL;
}

const char *config_type_text(const struct config_field *field)
{
	switch (field->type) {
	case CONFIG_GROUP:
		return "section";
	case CONFIG_MAP:
		return "map";
	case CONFIG_TEXTS:
		return "list";
	case CONFIG_IPS:
		return "list of IP addresses";
	case CONFIG_TEXT:
		return field->format->name;
	case CONFIG_BOOL:
		return "true or false";
	case CONFIG_COUNT:
	case CONFIG_PORT:
		return "number";
	case CONFIG_SIZE:
		return "size";
	case CONFIG_QUOTA:
		return "size or unlimited";
	case CONFIG_LIMIT:
		return "number or unlimited";
	case CONFIG_DURATION:
		return "time";
	case CONFIG_ENUM:
		return "one of";
	}
	BUG("a field has no type");
}
