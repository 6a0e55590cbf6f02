/* Loading: what is understood, what is reported and where, and the look-ups. */
#include "config/bind.h"
#include "config/config.h"
#include "config/schema.h"

#include "os/fd.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SERVER                                                                                     \
	"hostname: mail.example.org\n"                                                             \
	"postmaster: me\n"                                                                         \
	"listeners:\n"                                                                             \
	"  public:\n"                                                                              \
	"    addresses: [192.0.2.1, \"2001:db8::1\"]\n"                                            \
	"    smtp: {}\n"
#define DOMAINS                                                                                    \
	"domains:\n"                                                                               \
	"  example.org:\n"                                                                         \
	"accounts:\n"                                                                              \
	"  me:\n"                                                                                  \
	"    addresses: [me@example.org]\n"

struct loaded {
	struct arena arena;
	struct config_problems problems;
	struct config *config;
	struct status status;
};

static void load(struct loaded *l, const char *server, const char *domains)
{
	struct config_sources sources = {
	        .directory = "/etc/mailkeep",
	        .text = {slice_str(server), slice_str(domains)},
	};
	*l = (struct loaded){0};
	arena_init(&l->arena, CONFIG_ARENA_MAX);
	config_problems_init(&l->problems);
	l->status = config_parse(&sources, &l->arena, &l->config, &l->problems);
}

static void unload(struct loaded *l)
{
	arena_done(&l->arena);
	config_problems_done(&l->problems);
}

static void print_problems(const struct loaded *l)
{
	struct buf text;
	buf_init(&text, 1000000);
	for (size_t i = 0; i < l->problems.n; i++)
		config_problem_print(&l->problems.v[i], NULL, &text);
	print_message("%s", buf_cstr(&text));
	buf_done(&text);
}

static void load_good(struct loaded *l, const char *server, const char *domains)
{
	load(l, server, domains);
	if (!is_ok(l->status) || l->problems.n > 0)
		print_problems(l);
	assert_true(is_ok(l->status));
	assert_int_equal(l->problems.n, 0);
}

static void defaults_are_filled_in(void **state)
{
	(void)state;
	struct loaded l;
	load_good(&l, SERVER, DOMAINS);
	const struct config *c = l.config;
	assert_string_equal(c->hostname_ascii, "mail.example.org");
	assert_string_equal(c->data_directory.s, "/var/lib/mailkeep");
	assert_int_equal(c->limits.message_size, 100 * MIB);
	assert_int_equal(c->limits.connections.per_network, 270);
	assert_true(c->limits.bytes_per_day.per_ip == 3000000000u);
	assert_true(c->limits.quota == CONFIG_UNLIMITED &&
	            c->accounts.v[0].quota == CONFIG_UNLIMITED);
	assert_int_equal(c->rooms.account_idle_ms, 60000);
	assert_int_equal(c->log.level, CONFIG_LOG_INFO);
	assert_int_equal(c->listeners.n, 1);
	const struct config_listener *listener = &c->listeners.v[0];
	assert_string_equal(listener->hostname.s, "mail.example.org");
	assert_int_equal(listener->addresses.n, 2);
	assert_true(listener->addresses.v[1].is_v6 && listener->addresses.v[1].bytes[15] == 1);
	assert_true(listener->tls.enabled && listener->tls.self_signed);
	assert_true(listener->services[CONFIG_SMTP].enabled);
	assert_int_equal(listener->services[CONFIG_SMTP].port, 25);
	assert_false(listener->services[CONFIG_IMAPS].enabled);
	assert_int_equal(listener->services[CONFIG_IMAPS].port, 993);
	assert_true(c->domains.v[0].enabled && c->accounts.v[0].enabled);
	assert_string_equal(c->domains.v[0].subaddress_separator.s, "+");
	unload(&l);
}

static bool may_send(const struct loaded *l, const char *account, const char *localpart,
                     const char *domain)
{
	return config_may_send_as(l->config, config_account_find(l->config, slice_str(account)),
	                          slice_str(localpart), slice_str(domain));
}

static void accounts_send_with_their_own_addresses(void **state)
{
	(void)state;
	struct loaded l;
	load_good(
	        &l, SERVER,
	        "domains:\n  example.org:\n  example.net:\n  off.example: {enabled: false}\n"
	        "accounts:\n  me:\n    addresses: [me@example.org, \"@example.net\", "
	        "x@off.example]\n"
	        "  you:\n    addresses: [you@example.org]\n"
	        "aliases:\n  team@example.org:\n    members: [me@example.org, you@example.org]\n"
	        "    allow_from: true\n"
	        "  quiet@example.org:\n    members: [me@example.org]\n"
	        "  you-only@example.org:\n    members: [you@example.org]\n    allow_from: true\n");
	assert_true(may_send(&l, "me", "me", "example.org"));
	assert_true(may_send(&l, "me", "ME+tag", "Example.ORG"));
	assert_true(may_send(&l, "me", "anything", "example.net")); /* its catchall */
	assert_true(may_send(&l, "me", "team", "example.org"));
	assert_true(may_send(&l, "you", "team", "example.org"));
	assert_true(may_send(&l, "me", "postmaster", "example.org"));
	assert_false(may_send(&l, "you", "postmaster", "example.org"));
	assert_false(may_send(&l, "me", "you", "example.org"));
	assert_false(may_send(&l, "you", "anything", "example.net"));
	assert_false(may_send(&l, "me", "quiet", "example.org"));
	assert_false(may_send(&l, "me", "you-only", "example.org"));
	assert_false(may_send(&l, "me", "nobody", "example.org"));
	assert_false(may_send(&l, "me", "me", "example.com"));
	assert_false(may_send(&l, "me", "x", "off.example"));
	assert_false(may_send(&l, "me", "", ""));
	unload(&l);
}

static void limits_keys_and_unix_users_are_known(void **state)
{
	(void)state;
	struct loaded l;
	uint8_t key[CONFIG_KEY_SIZE] = {0};
	load_good(&l, SERVER "limits: {sent_per_day: unlimited}\n",
	          DOMAINS
	          "    first_time_recipients_per_day: 7\n"
	          "    client_keys: [\"SHA256:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:"
	          "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\"]\n"
	          "    unix_users: [www-data, 1000]\n");
	const struct config_account *me = &l.config->accounts.v[0];
	assert_true(me->sent_per_day == CONFIG_UNLIMITED);
	assert_int_equal(me->first_time_recipients_per_day, 7);
	assert_int_equal(l.config->limits.first_time_recipients_per_day, 200);
	assert_false(l.config->logins.cram_md5);
	assert_true(config_has_keys(l.config) && config_has_unix_users(l.config));
	assert_null(config_key_find(l.config, key));
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i % 16 * 0x11);
	assert_ptr_equal(config_key_find(l.config, key), me);
	unload(&l);
	load_good(&l, SERVER, DOMAINS);
	assert_false(config_has_keys(l.config) || config_has_unix_users(l.config));
	assert_null(config_key_find(l.config, key));
	unload(&l);
}

static void every_default_and_example_is_valid(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1000000);
	for (size_t i = 0; i < config_n_fields; i++) {
		const struct config_field *field = &config_fields[i];
		uint64_t room[8];
		assert_true(strlen(field->doc) > 10 && field->doc[strlen(field->doc) - 1] == '.');
		assert_true(config_field_parent(i) < (int)i);
		if (!field->fallback)
			continue;
		struct status status =
		        config_bind_text(field, slice_str(field->fallback), &arena, room);
		if (!is_ok(status))
			print_message("%s: %s %s\n", field->path, field->fallback, status.why);
		assert_true(is_ok(status));
	}
	arena_done(&arena);
}

static void paths_are_absolute(void **state)
{
	(void)state;
	struct loaded l;
	load_good(&l,
	          "hostname: h.example\npostmaster: me\ndata_directory: ../data\nlisteners:\n  a:\n"
	          "    addresses: [\"::\"]\n    tls: {certificate: tls/c.pem, key: /k.pem}\n    "
	          "imaps:\n",
	          DOMAINS);
	assert_string_equal(l.config->data_directory.s, "/etc/data");
	assert_string_equal(l.config->listeners.v[0].tls.certificate.s, "/etc/mailkeep/tls/c.pem");
	assert_string_equal(l.config->listeners.v[0].tls.key.s, "/k.pem");
	assert_false(l.config->listeners.v[0].tls.self_signed);
	assert_true(l.config->listeners.v[0].services[CONFIG_IMAPS].enabled);
	unload(&l);
}

struct bad {
	const char *server;  /* NULL: SERVER */
	const char *domains; /* NULL: DOMAINS */
	unsigned line, column;
	const char *file_is_domains; /* "d" or "s" */
	const char *what;            /* part of the sentence */
	const char *mend;            /* part of it */
};

#define D   DOMAINS
#define S   SERVER
#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static const struct bad bad_cases[] = {
        /* grammar */
        {"hostname: [a\n", NULL, 2, 1, "s", "not valid YAML", "brackets"},
        {"hostname: a.example\n\tx: 1\n", NULL, 2, 1, "s", "not valid YAML", "spaces, not tabs"},
        {"hostname: a\x01\n", NULL, 1, 12, "s", "not valid text", "UTF-8"},
        {"hostname: \"\xff\xfe\"\n", NULL, 1, 12, "s", "not valid text", "UTF-8"},
        {S "---\na: b\n", NULL, 7, 1, "s", "second document", "---"},
        {S "x: &a 1\n", NULL, 7, 4, "s", "anchor (&a)", "write the value out"},
        {S "user: *a\n", NULL, 7, 7, "s", "alias (*a)", "write the value out"},
        {S "user: !!str x\n", NULL, 7, 7, "s", "a tag", "remove"},
        {S "hostname: b.example\n", NULL, 7, 1, "s", "already there, in line 1", "keep one"},
        {S "? [a]\n: b\n", NULL, 7, 3, "s", "name of a field", "name: value"},
        {S "log: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", NULL, 7, 21, "s",
         "nested too deeply", ""},
        /* fields */
        {S "reports: {suppress: [a b]}\n", NULL, 7, 22, "s", "must be an address or a domain", ""},
        {S "reports: {address: example.org}\n", NULL, 7, 20, "s", "must be an address",
         "reports@example.org"},
        {S "reports: {dmarc: maybe}\n", NULL, 7, 18, "s", "true or false", "dmarc: true"},
        {S "hostnam: x\n", NULL, 7, 1, "s", "`hostnam` is no field", "did you mean `hostname`?"},
        {S "message_size: 1\n", NULL, 7, 1, "s", "no field",
         "mailkeep.yaml, as limits.message_size"},
        {S "accounts: {}\n", NULL, 7, 1, "s", "no field", "domains.yaml, as accounts"},
        {S "password: x\n", NULL, 7, 1, "s", "no secret", "mailkeep account password"},
        {S "zzzzzzzz: x\n", NULL, 7, 1, "s", "no field",
         "fields here are: hostname, data_directory"},
        {S "log: {levle: info}\n", NULL, 7, 7, "s", "levle", "`level`"},
        {"postmaster: me\nlisteners: {a: {addresses: [\"::\"], smtp: }}\n", NULL, 1, 1, "s",
         "`hostname` is missing", "hostname: mail.example.org"},
        {"hostname: a.example\npostmaster: me\n", NULL, 1, 1, "s", "`listeners` is missing", ""},
        {"hostname: a.example\npostmaster: me\nlisteners: {}\n", NULL, 3, 12, "s", "is empty",
         "at least 1"},
        {"", NULL, 1, 1, "s", "`hostname` is missing", ""},
        {"- a\n", NULL, 1, 1, "s", "a list stands where fields", "name: value"},
        /* types */
        {S "user: [a]\n", NULL, 7, 7, "s", "must be text, but is a list", ""},
        {S "user:\n", NULL, 7, 6, "s", "has no value", "remove the line"},
        {S "log: info\n", NULL, 7, 6, "s", "must be a section with fields, but is a single value",
         "below"},
        {S "log: {level: loud}\n", NULL, 7, 14, "s", "must be one of: debug, info, warning, error",
         ""},
        {S "limits: {recipients: \"200\"}\n", NULL, 7, 22, "s", "but is text in quotes", "1000"},
        {S "limits: {recipients: 99}\n", NULL, 7, 22, "s", "from 100 to 10000", ""},
        {S "limits: {recipients: -5}\n", NULL, 7, 22, "s", "whole number", ""},
        {S "limits: {recipients: 0x10}\n", NULL, 7, 22, "s", "whole number", ""},
        {S "limits: {message_size: 4 GiB}\n", NULL, 7, 24, "s", "64 KiB to", ""},
        {S "limits: {message_size: 10 apples}\n", NULL, 7, 24, "s", "must be a size", "100 MiB"},
        {S "limits: {message_size: unlimited}\n", NULL, 7, 24, "s", "must be a size", ""},
        {S "limits: {message_size: 99999999999999 TiB}\n", NULL, 7, 24, "s", "must be a size", ""},
        {S "limits: {rate_limits_on_loopback: yes}\n", NULL, 7, 35, "s", "true or false", ""},
        {S "timeouts: {write: 60}\n", NULL, 7, 19, "s", "a time with its unit", "5m"},
        {S "timeouts: {write: 60d}\n", NULL, 7, 19, "s", "from 1s to 1d", ""},
        {S "user: \"a b\"\n", NULL, 7, 7, "s", "Unix user", "mailkeep"},
        {S "data_directory: \"a\\nb\"\n", NULL, 7, 17, "s", "one line of text", ""},
        {"hostname: -a-\npostmaster: me\nlisteners: {a: {addresses: [\"::\"], smtp: }}\n", NULL, 1,
         11, "s", "must be a domain name", ""},
        /* listeners */
        {"hostname: a.b\npostmaster: me\nlisteners:\n  a:\n    addresses: [localhost]\n    smtp:\n",
         NULL, 5, 17, "s", "`localhost` is no IP address", "0.0.0.0"},
        {"hostname: a.b\npostmaster: me\nlisteners:\n  a:\n    addresses: 1.2.3.4\n    smtp:\n",
         NULL, 5, 16, "s", "must be a list", "[0.0.0.0"},
        {"hostname: a.b\npostmaster: me\nlisteners:\n  a:\n    smtp:\n", NULL, 4, 3, "s",
         "`addresses` is missing", ""},
        {"hostname: a.b\npostmaster: me\nlisteners:\n  a:\n    addresses: [1.2.3.4]\n    smtp: "
         "{port: 0}\n",
         NULL, 6, 18, "s", "from 1 to 65535", ""},
        {"hostname: a.b\npostmaster: me\nlisteners:\n  a:\n    addresses: [1.2.3.4]\n    smtp: "
         "{port: 65536}\n",
         NULL, 6, 18, "s", "from 1 to 65535", ""},
        {S "  two:\n    addresses: [192.0.2.1]\n    imap: {port: 25}\n", NULL, 8, 17, "s",
         "port 25 at 192.0.2.1 is taken twice: by smtp of listener `public` and imap of listener "
         "`two`",
         ""},
        {S "  two:\n    addresses: [\"::\"]\n    smtp:\n", NULL, 5, 28, "s",
         "port 25 at 2001:db8::1 is taken twice", ""},
        {S "    tls: {certificate: /a}\n", NULL, 7, 24, "s", "has no key", "key: PATH"},
        {S "    tls: {key: /a}\n", NULL, 7, 16, "s", "has no certificate", ""},
        {S "    tls: {enabled: false}\n    imaps:\n", NULL, 4, 3, "s",
         "`imaps` of listener `public` needs TLS", ""},
        /* domains.yaml */
        {NULL, D "    adresses: []\n", 6, 5, "d", "`adresses`", "did you mean `addresses`?"},
        {NULL, D "    secret: x\n", 6, 5, "d", "no secret", "account password"},
        {NULL, D "    sent_per_day: many\n", 6, 19, "d", "whole number", ""},
        {NULL, D "    sent_per_day: 0\n", 6, 19, "d", "from 1 to", ""},
        {NULL, D "    client_keys: [abc]\n", 6, 19, "d", "must be the SHA-256", ""},
        {NULL, D "    client_keys: [" KEY "0]\n", 6, 19, "d", "must be the SHA-256", ""},
        {NULL, D "    client_keys: [" KEY ", \"sha256:" KEY "\"]\n", 6, 85, "d",
         "is already that of account `me`, line 4", "remove one"},
        {NULL, D "    unix_users: [\"-1\"]\n", 6, 18, "d", "name or number of a Unix user", ""},
        {NULL,
         D "    unix_users: [a]\n  you:\n    addresses: [y@example.org]\n"
           "    unix_users: [b, a]\n",
         9, 21, "d", "is already that of account `me`", ""},
        {NULL, D "aliases:\n  a@example.org: {members: [me@example.org], allow_from: 1}\n", 7, 58,
         "d", "true or false", ""},
        {NULL, D "    quota: 10 KB\n", 6, 12, "d", "from 1 MiB", ""},
        {NULL, D "    full_name: \"a\\u0007\"\n", 6, 16, "d", "one line of text", ""},
        {NULL, D "  Big:\n    addresses: [b@example.org]\n", 6, 3, "d", "must be an account's name",
         ""},
        {NULL, D "  ../x:\n    addresses: [b@example.org]\n", 6, 3, "d",
         "must be an account's name", ""},
        {NULL, D "  me:\n    addresses: [b@example.org]\n", 6, 3, "d", "already there, in line 4",
         ""},
        {NULL, D "  you:\n    addresses: [b@exmaple.org]\n", 7, 17, "d",
         "the domain of `b@exmaple.org` is not configured", "did you mean `example.org`?"},
        {NULL, D "  you:\n    addresses: [b@other.net]\n", 7, 17, "d", "not configured",
         "domain add"},
        {NULL, D "  you:\n    addresses: [ME@Example.ORG]\n", 7, 17, "d",
         "already an address of account `me`, line 4", "remove one"},
        {NULL, D "  you:\n    addresses: [b]\n", 7, 17, "d", "must be an address", ""},
        {NULL, D "  you:\n    addresses: [\"a b@example.org\"]\n", 7, 17, "d",
         "must not have blanks", ""},
        {NULL, D "  you:\n    addresses: [a@b@example.org]\n", 7, 17, "d", "must not have blanks",
         ""},
        {NULL, D "  you:\n    addresses: [[a]]\n", 7, 17, "d", "must be text, but is a list", ""},
        {NULL, D "  you: {addresses: [\"@example.org\"]}\n  she: {addresses: [\"@example.org\"]}\n",
         7, 21, "d", "second catchall", ""},
        {NULL,
         "domains: {example.org: {catchall: mee}}\naccounts: {me: {addresses: [a@example.org]}}\n",
         1, 35, "d", "account `mee`, which does not exist", "`me`"},
        {NULL,
         "domains: {example.org: {catchall: me}}\naccounts: {me: {addresses: "
         "[\"@example.org\"]}}\n",
         1, 35, "d", "which is a catchall too", ""},
        {NULL,
         "domains: {example.org: {catchall: x@example.org}}\naccounts: {me: {addresses: "
         "[a@example.org]}}\n",
         1, 35, "d", "no address of an account", ""},
        {NULL,
         "domains: {example.org: , EXAMPLE.org: }\naccounts: {me: {addresses: [a@example.org]}}\n",
         1, 26, "d", "same domain as `example.org` in line 1", ""},
        {NULL,
         "domains: {example.org: , \"b\xc3\xbc"
         "cher.example\": , xn--bcher-kva.example: }\naccounts: {me: "
         "{addresses: [a@example.org]}}\n",
         1, 46, "d", "same domain", ""},
        {NULL, "domains: {\"a..b\": }\naccounts: {me: {addresses: []}}\n", 1, 11, "d",
         "must be a domain name", "rename"},
        {NULL, D "aliases:\n  all@example.org:\n", 7, 3, "d", "`members` is missing", ""},
        {NULL, D "aliases:\n  all@example.org: {members: []}\n", 7, 30, "d", "is empty", ""},
        {NULL, D "aliases:\n  all: {members: [me@example.org]}\n", 7, 3, "d", "must be an address",
         ""},
        {NULL, D "aliases:\n  me@example.org: {members: [me@example.org]}\n", 7, 3, "d",
         "already an address of account `me`", ""},
        {NULL, D "aliases:\n  all@example.org: {members: [you@example.org]}\n", 7, 31, "d",
         "no address of an account or alias", "address add"},
        {NULL, D "aliases:\n  all@example.org: {members: [you@elsewhere.net]}\n", 7, 31, "d",
         "is not configured", ""},
        {NULL, D "aliases:\n  a@example.org: {members: [a@example.org]}\n", 7, 3, "d",
         "member of itself", ""},
        {NULL,
         D "aliases:\n  a@example.org: {members: [b@example.org]}\n  b@example.org: {members: "
           "[a+x@example.org]}\n",
         7, 3, "d", "leads back to itself by way of `b@example.org`", ""},
        {"hostname: a.b\npostmaster: mee\nlisteners: {a: {addresses: [\"::\"], smtp: }}\n", NULL, 2,
         13, "s", "account `mee`, which does not exist", "did you mean `me`?"},
};

static bool has_problem(const struct loaded *l, const struct bad *bad)
{
	const char *file = bad->file_is_domains[0] == 'd' ? "domains.yaml" : "mailkeep.yaml";
	for (size_t i = 0; i < l->problems.n; i++) {
		const struct config_problem *p = &l->problems.v[i];
		if (p->severity == CONFIG_ERROR && strcmp(p->file, file) == 0 &&
		    p->line == bad->line && p->column == bad->column &&
		    strstr(p->what, bad->what) && strstr(p->mend, bad->mend))
			return true;
	}
	return false;
}

static void each_error_is_reported_with_place_and_mend(void **state)
{
	(void)state;
	size_t n_failed = 0;
	for (size_t i = 0; i < N_ELEMENTS(bad_cases); i++) {
		const struct bad *bad = &bad_cases[i];
		struct loaded l;
		load(&l, bad->server ? bad->server : SERVER, bad->domains ? bad->domains : DOMAINS);
		if (l.status.code != ERR_INVALID || !has_problem(&l, bad)) {
			print_message("case %zu wants %s:%u:%u %s / %s, got:\n", i,
			              bad->file_is_domains, bad->line, bad->column, bad->what,
			              bad->mend);
			print_problems(&l);
			n_failed++;
		}
		unload(&l);
	}
	assert_int_equal(n_failed, 0);
}

static void all_errors_come_at_once_in_order(void **state)
{
	(void)state;
	struct loaded l;
	load(&l, SERVER "usr: x\nlog: {level: x, format: y}\n",
	     DOMAINS "    quota: x\naliases: 5\n");
	assert_int_equal(l.status.code, ERR_INVALID);
	assert_int_equal(l.problems.n, 5);
	assert_int_equal(l.problems.n_errors, 5);
	static const unsigned lines[] = {7, 8, 8, 6, 7};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(l.problems.v[i].line, lines[i]);
	assert_true(l.problems.v[1].column < l.problems.v[2].column);
	unload(&l);
}

static void reports_go_to_somebody(void **state)
{
	(void)state;
	struct loaded l;
	load(&l, SERVER,
	     "domains:\n"
	     "  example.org: {tls_reports: [nobody@example.org, 'https://r.example/'],\n"
	     "    dmarc: {reports: [me+tag@example.org, them@elsewhere.example, a@b.example]}}\n"
	     "  b.example: {}\n"
	     "accounts: {me: {addresses: [me@example.org]}, you: {addresses: [you@b.example]}}\n"
	     "aliases: {a@b.example: {members: [you@b.example]}}\n");
	print_problems(&l);
	assert_true(is_ok(l.status));
	assert_int_equal(l.problems.n, 1);
	assert_int_equal(l.problems.v[0].severity, CONFIG_WARNING);
	assert_int_equal(l.problems.v[0].line, 2);
	assert_non_null(strstr(l.problems.v[0].what, "nobody@example.org"));
	assert_true(config_account_find(l.config, SLICE("me"))->takes_reports);
	assert_false(config_account_find(l.config, SLICE("you"))->takes_reports);
	assert_true(l.config->aliases.v[0].takes_reports);
	unload(&l);
}

static void problems_are_kept_up_to_their_limit(void **state)
{
	(void)state;
	struct buf text;
	struct loaded l;
	buf_init(&text, 1000000);
	buf_add_str(&text, SERVER);
	for (unsigned i = 0; i < CONFIG_PROBLEMS_MAX + 500; i++)
		buf_printf(&text, "field%u: x\n", i);
	load(&l, buf_cstr(&text), DOMAINS);
	assert_int_equal(l.problems.n, CONFIG_PROBLEMS_MAX);
	assert_int_equal(l.problems.n_errors, CONFIG_PROBLEMS_MAX + 500);
	assert_int_equal(l.problems.n_dropped, 500);
	unload(&l);
	buf_done(&text);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
	(void)state;
	struct loaded l;
	CLEANUP(base_freep) char *text = base_alloc(CONFIG_FILE_MAX + 2);
	memset(text, '#', CONFIG_FILE_MAX + 1);
	load(&l, text, DOMAINS);
	assert_int_equal(l.status.code, ERR_INVALID);
	assert_non_null(strstr(l.problems.v[0].what, "larger than 16 MiB"));
	unload(&l);
}

static void a_small_budget_is_a_limit(void **state)
{
	(void)state;
	struct config_sources sources = {.directory = "/x",
	                                 .text = {SLICE(SERVER), SLICE(DOMAINS)}};
	struct config_problems problems;
	struct config *config = NULL;
	config_problems_init(&problems);
	for (size_t budget = 0; budget < 6000; budget += 16) {
		struct arena arena;
		arena_init(&arena, budget);
		struct status status = config_parse(&sources, &arena, &config, &problems);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		arena_done(&arena);
	}
	config_problems_done(&problems);
}

/* --- look-ups --- */

static const char lookup_domains[] =
        "domains:\n"
        "  example.org:\n"
        "  case.example: {case_sensitive_localparts: true, subaddress_separator: \"--\"}\n"
        "  notags.example: {subaddress_separator: \"\", catchall: all@example.org}\n"
        "  off.example: {enabled: false}\n"
        "  \"b\xc3\xbc"
        "cher.example\":\n"
        "  catch.example:\n"
        "accounts:\n"
        "  me:\n"
        "    addresses: [Me@example.org, me@off.example, \"J\xc3\xb6rg@b\xc3\xbc"
        "cher.example\",\n"
        "      Case@case.example, a+b@example.org, \"@catch.example\"]\n"
        "  you:\n"
        "    addresses: [you@example.org, postmaster@case.example]\n"
        "    quota: 5 GiB\n"
        "  gone:\n"
        "    addresses: [gone@example.org]\n"
        "    enabled: false\n"
        "aliases:\n"
        "  all@example.org: {members: [both@example.org, gone@example.org, me+x@example.org]}\n"
        "  both@example.org: {members: [me@example.org, you@example.org]}\n"
        "  nobody@example.org: {members: [gone@example.org]}\n";

struct lookup_case {
	const char *localpart, *domain;
	enum config_lookup_kind kind;
	enum config_match match;
	const char *account; /* name */
	const char *address;
};

#define EXACT   CONFIG_MATCH_EXACT
#define SUB     CONFIG_MATCH_SUBADDRESS
#define CATCH   CONFIG_MATCH_CATCHALL
#define POST    CONFIG_MATCH_POSTMASTER
#define ACCOUNT CONFIG_LOOKUP_ACCOUNT
#define ALIAS   CONFIG_LOOKUP_ALIAS
#define NOUSER  CONFIG_LOOKUP_UNKNOWN_USER
#define NODOM   CONFIG_LOOKUP_UNKNOWN_DOMAIN
#define OFF     CONFIG_LOOKUP_DISABLED
static const struct lookup_case lookup_cases[] = {
        {"me", "example.org", ACCOUNT, EXACT, "me", "me@example.org"},
        {"ME", "EXAMPLE.Org", ACCOUNT, EXACT, "me", "me@example.org"},
        {"me", "example.org.", ACCOUNT, EXACT, "me", "me@example.org"},
        {"me+tag", "example.org", ACCOUNT, SUB, "me", "me@example.org"},
        {"me+", "example.org", ACCOUNT, SUB, "me", "me@example.org"},
        {"me+a+b+c", "example.org", ACCOUNT, SUB, "me", "me@example.org"},
        {"a+b", "example.org", ACCOUNT, EXACT, "me", "a+b@example.org"},
        {"a+b+c", "example.org", ACCOUNT, SUB, "me", "a+b@example.org"},
        {"a+c", "example.org", NOUSER, EXACT, NULL, ""},
        {"+me", "example.org", NOUSER, EXACT, NULL, ""},
        {"+", "example.org", NOUSER, EXACT, NULL, ""},
        {"", "example.org", NOUSER, EXACT, NULL, ""},
        {"mee", "example.org", NOUSER, EXACT, NULL, ""},
        {"me", "example.or", NODOM, EXACT, NULL, ""},
        {"me", "sub.example.org", NODOM, EXACT, NULL, ""},
        {"me", "", NODOM, EXACT, NULL, ""},
        {"me", "not a domain", NODOM, EXACT, NULL, ""},
        {"me", "example..org", NODOM, EXACT, NULL, ""},
        {"me", "off.example", OFF, EXACT, NULL, ""},
        {"gone", "example.org", OFF, EXACT, NULL, "gone@example.org"},
        {"all", "example.org", ALIAS, EXACT, NULL, "all@example.org"},
        {"all+x", "example.org", ALIAS, SUB, NULL, "all@example.org"},
        {"nobody", "example.org", OFF, EXACT, NULL, "nobody@example.org"},
        {"Case", "case.example", ACCOUNT, EXACT, "me", "Case@case.example"},
        {"case", "case.example", NOUSER, EXACT, NULL, ""},
        {"Case--x", "case.example", ACCOUNT, SUB, "me", "Case@case.example"},
        {"Case-x", "case.example", NOUSER, EXACT, NULL, ""},
        {"any+thing", "notags.example", ALIAS, CATCH, NULL, "any+thing@notags.example"},
        {"Any+thing", "catch.example", ACCOUNT, CATCH, "me", "any+thing@catch.example"},
        {"Postmaster", "catch.example", ACCOUNT, CATCH, "me", "postmaster@catch.example"},
        {"j\xc3\xb6rg",
         "b\xc3\xbc"
         "cher.example",
         ACCOUNT, EXACT, "me", "j\xc3\xb6rg@xn--bcher-kva.example"},
        {"J\xc3\x96RG", "XN--bcher-KVA.example", ACCOUNT, EXACT, "me",
         "j\xc3\xb6rg@xn--bcher-kva.example"},
        {"jo\xcc\x88rg+x",
         "B\xc3\x9c"
         "CHER.example",
         ACCOUNT, SUB, "me", "j\xc3\xb6rg@xn--bcher-kva.example"},
        {"j\xf6rg",
         "b\xc3\xbc"
         "cher.example",
         NOUSER, EXACT, NULL, ""},
        {"jorg",
         "b\xfc"
         "cher.example",
         NODOM, EXACT, NULL, ""},
        {"me", "xn--0.example", NODOM, EXACT, NULL, ""},
        {"postmaster", "", ACCOUNT, POST, "me", "postmaster@mail.example.org"},
        {"PostMaster", "mail.example.org", ACCOUNT, POST, "me", "postmaster@mail.example.org"},
        {"postmaster", "[192.0.2.1]", ACCOUNT, POST, "me", "postmaster@mail.example.org"},
        {"postmaster", "[IPv6:2001:DB8::1]", ACCOUNT, POST, "me", "postmaster@mail.example.org"},
        {"postmaster", "[192.0.2.2]", NODOM, EXACT, NULL, ""},
        {"postmaster", "[]", NODOM, EXACT, NULL, ""},
        {"postmaster", "[IPv6:", NODOM, EXACT, NULL, ""},
        {"postmaster", "other.example", NODOM, EXACT, NULL, ""},
        {"me", "mail.example.org", NOUSER, EXACT, NULL, ""},
        {"me", "[192.0.2.1]", NOUSER, EXACT, NULL, ""},
        {"PostMaster", "example.org", ACCOUNT, POST, "me", "postmaster@example.org"},
        {"postmaster", "case.example", ACCOUNT, EXACT, "you", "postmaster@case.example"},
};

static void addresses_are_found(void **state)
{
	(void)state;
	struct loaded l;
	size_t n_failed = 0;
	load_good(&l, SERVER, lookup_domains);
	for (size_t i = 0; i < N_ELEMENTS(lookup_cases); i++) {
		const struct lookup_case *c = &lookup_cases[i];
		struct config_lookup r;
		config_lookup_address(l.config, slice_str(c->localpart), slice_str(c->domain), &r);
		const char *account = r.account ? r.account->name.s : NULL;
		bool same_account =
		        !account == !c->account && (!account || !strcmp(account, c->account));
		if (r.kind != c->kind || r.match != c->match || !same_account ||
		    strcmp(r.address, c->address) != 0 || !r.alias != (c->kind != ALIAS)) {
			print_message("case %zu %s@%s: kind %d match %d account %s address %s\n", i,
			              c->localpart, c->domain, r.kind, r.match,
			              account ? account : "-", r.address);
			n_failed++;
		}
	}
	assert_int_equal(n_failed, 0);
	unload(&l);
}

static void long_and_odd_names_are_unknown(void **state)
{
	(void)state;
	struct loaded l;
	struct config_lookup r;
	uint8_t bytes[2000];
	load_good(&l, SERVER, lookup_domains);
	for (unsigned fill = 0; fill < 256; fill++) {
		memset(bytes, (int)fill, sizeof(bytes));
		for (size_t n = 0; n < sizeof(bytes); n = n * 2 + 1) {
			struct slice s = slice_of(bytes, n);
			config_lookup_address(l.config, s, SLICE("example.org"), &r);
			assert_int_equal(r.kind, NOUSER);
			config_lookup_address(l.config, SLICE("me"), s, &r);
			assert_int_equal(r.kind, NODOM);
			config_lookup_address(l.config, s, SLICE("catch.example"), &r);
			assert_true(r.kind == NOUSER || r.match == CATCH);
			assert_null(config_account_find(l.config, s));
			assert_null(config_login_find(l.config, s));
		}
	}
	config_lookup_address(l.config, SLICE("me\0"), SLICE("example.org"), &r);
	assert_int_equal(r.kind, NOUSER);
	unload(&l);
}

static void an_alias_is_resolved_to_enabled_accounts_once(void **state)
{
	(void)state;
	struct loaded l;
	load_good(&l, SERVER, lookup_domains);
	const struct config_alias *all = config_alias_find(l.config, SLICE("ALL@example.org"));
	assert_non_null(all);
	assert_int_equal(all->n_targets, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(!strcmp(all->targets[i].address, "me@example.org") ||
		            !strcmp(all->targets[i].address, "you@example.org"));
	assert_null(config_alias_find(l.config, SLICE("me@example.org")));
	assert_null(config_alias_find(l.config, SLICE("all")));
	unload(&l);
}

static void logins_are_names_or_own_addresses(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
	                                  "ME",
	                                  "me+x@example.org",
	                                  "all@example.org",
	                                  "x@catch.example",
	                                  "@catch.example",
	                                  "postmaster@mail.example.org",
	                                  "me@example.net",
	                                  "@",
	                                  "me@"};
	struct loaded l;
	load_good(&l, SERVER, lookup_domains);
	assert_string_equal(config_login_find(l.config, SLICE("me"))->name.s, "me");
	assert_string_equal(config_login_find(l.config, SLICE("ME@example.ORG"))->name.s, "me");
	assert_string_equal(config_login_find(l.config, SLICE("you@example.org"))->name.s, "you");
	assert_string_equal(config_login_find(l.config, SLICE("gone"))->name.s, "gone");
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_null(config_login_find(l.config, slice_str(bad[i])));
	assert_true(config_account_find(l.config, SLICE("you"))->quota == 5 * GIB);
	unload(&l);
}

static void deep_aliases_have_bounded_cost(void **state)
{
	(void)state;
	/* 400 aliases, each with all later ones as members: 80,000 edges from the first. */
	struct buf text;
	struct loaded l;
	buf_init(&text, 8 * 1024 * 1024);
	buf_add_str(&text, DOMAINS "aliases:\n");
	for (unsigned i = 0; i < 400; i++) {
		buf_printf(&text, "  a%u@example.org: {members: [me@example.org", i);
		for (unsigned j = i + 1; j < 400; j++)
			buf_printf(&text, ", a%u@example.org", j);
		buf_add_str(&text, "]}\n");
	}
	load(&l, SERVER, buf_cstr(&text));
	assert_int_equal(l.status.code, ERR_INVALID);
	assert_non_null(strstr(l.problems.v[0].what, "contain each other too often"));
	unload(&l);
	buf_done(&text);
}

static bool says(const struct loaded *l, const char *what)
{
	for (size_t i = 0; i < l->problems.n; i++)
		if (strstr(l->problems.v[i].what, what))
			return true;
	return false;
}

/* n accounts with an address each, and an alias "first" of the first ten thousand. */
static void many_accounts(struct buf *text, unsigned n)
{
	buf_add_str(text, "domains: {e.org: }\naccounts:\n  me:\n");
	for (unsigned i = 0; i < n; i++)
		buf_printf(text, "  u%u: {addresses: [u%u@e.org]}\n", i, i);
	buf_add_str(text, "aliases:\n  first@e.org:\n    members:\n");
	for (unsigned i = 0; i < CONFIG_LIST_MAX; i++)
		buf_printf(text, "    - u%u@e.org\n", i);
}

static void lists_and_aliases_have_a_largest_size(void **state)
{
	(void)state;
	struct buf text;
	struct loaded l;
	buf_init(&text, CONFIG_FILE_MAX);
	many_accounts(&text, CONFIG_LIST_MAX + 1);
	load(&l, SERVER, buf_cstr(&text));
	assert_true(is_ok(l.status));
	assert_int_equal(l.config->aliases.v[0].n_targets, CONFIG_MEMBERS_MAX);
	unload(&l);
	/* One account more, by way of a second alias. */
	buf_printf(&text, "  all@e.org: {members: [first@e.org, u%u@e.org]}\n", CONFIG_LIST_MAX);
	load(&l, SERVER, buf_cstr(&text));
	assert_int_equal(l.status.code, ERR_INVALID);
	assert_true(says(&l, "`all@e.org` stands for more than 10000 accounts"));
	unload(&l);
	buf_reset(&text);
	many_accounts(&text, CONFIG_LIST_MAX + 1);
	buf_printf(&text, "    - u%u@e.org\n", CONFIG_LIST_MAX);
	load(&l, SERVER, buf_cstr(&text));
	assert_int_equal(l.status.code, ERR_INVALID);
	assert_true(says(&l, "`members` has 10001 entries, more than 10000"));
	unload(&l);
	buf_done(&text);
}

/* --- frozen --- */

static void frozen_is_what_was_loaded(void **state)
{
	(void)state;
	struct config_sources sources = {.directory = "/etc/mailkeep",
	                                 .text = {SLICE(SERVER), slice_str(lookup_domains)}};
	struct loaded l = {0};
	CLEANUP(fd_close) int fd = -1;
	arena_init(&l.arena, CONFIG_ARENA_MAX);
	config_problems_init(&l.problems);
	assert_true(is_ok(config_freeze(&sources, &fd)));
	assert_true(is_ok(config_load_frozen(fd, &l.arena, &l.config, &l.problems)));
	assert_string_equal(l.config->directory, "/etc/mailkeep");
	assert_int_equal(l.config->accounts.n, 3);
	unload(&l);
}

static void a_memfd_that_is_not_frozen_is_refused(void **state)
{
	(void)state;
	struct loaded l = {0};
	static const struct slice bad[] = {
	        SLICE(""),
	        SLICE("MKCONF1\n"),
	        SLICE("MKCONF2\n\0\0\0\0\0\0\0\0\0\0\0\0"),
	        SLICE("MKCONF1\n\xff\xff\xff\xff\0\0\0\0\0\0\0\0"),
	        SLICE("MKCONF1\n\1\0\0\0\1\0\0\0\0\0\0\0/"),
	        SLICE("MKCONF1\n\1\0\0\0\0\0\0\0\0\0\0\0\0"),
	        SLICE("MKCONF1\n\1\0\0\0\0\0\0\0\0\0\0\0/x"),
	};
	arena_init(&l.arena, CONFIG_ARENA_MAX);
	config_problems_init(&l.problems);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		CLEANUP(fd_close) int fd = -1;
		assert_true(is_ok(memfd_new_sealed("bad", bad[i], &fd)));
		assert_false(is_ok(config_load_frozen(fd, &l.arena, &l.config, &l.problems)));
	}
	CLEANUP(fd_close) int open_fd = -1;
	assert_true(is_ok(memfd_new("unsealed", &open_fd)));
	assert_false(is_ok(config_load_frozen(open_fd, &l.arena, &l.config, &l.problems)));
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(defaults_are_filled_in),
	        cmocka_unit_test(accounts_send_with_their_own_addresses),
	        cmocka_unit_test(limits_keys_and_unix_users_are_known),
	        cmocka_unit_test(every_default_and_example_is_valid),
	        cmocka_unit_test(paths_are_absolute),
	        cmocka_unit_test(each_error_is_reported_with_place_and_mend),
	        cmocka_unit_test(all_errors_come_at_once_in_order),
	        cmocka_unit_test(reports_go_to_somebody),
	        cmocka_unit_test(problems_are_kept_up_to_their_limit),
	        cmocka_unit_test(a_file_that_is_too_large_is_refused),
	        cmocka_unit_test(a_small_budget_is_a_limit),
	        cmocka_unit_test(addresses_are_found),
	        cmocka_unit_test(long_and_odd_names_are_unknown),
	        cmocka_unit_test(an_alias_is_resolved_to_enabled_accounts_once),
	        cmocka_unit_test(logins_are_names_or_own_addresses),
	        cmocka_unit_test(deep_aliases_have_bounded_cost),
	        cmocka_unit_test(lists_and_aliases_have_a_largest_size),
	        cmocka_unit_test(frozen_is_what_was_loaded),
	        cmocka_unit_test(a_memfd_that_is_not_frozen_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
