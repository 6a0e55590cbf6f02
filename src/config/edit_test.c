/* Changing domains.yaml: the text afterwards, byte for byte; errors; the file on disk. */
#include "config/edit.h"
#include "config/yaml_edit.h"

#include "os/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SERVER                                                                                     \
	"hostname: h.example\npostmaster: me\nlisteners: {a: {addresses: [\"::\"], smtp: {}}}\n"

struct fixture {
	char directory[64];
	struct config_problems problems;
	struct config_edit *edit;
};

static void write_file(const struct fixture *f, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	assert_true(is_ok(file_replace(AT_FDCWD, path, slice_str(text), 0640, NULL)));
}

static struct status start(struct fixture *f, const char *domains)
{
	*f = (struct fixture){.directory = "/tmp/mailkeep-edit-XXXXXX"};
	assert_non_null(mkdtemp(f->directory));
	write_file(f, CONFIG_SERVER_FILE, SERVER);
	write_file(f, CONFIG_DOMAINS_FILE, domains);
	config_problems_init(&f->problems);
	return config_edit_open(f->directory, &f->edit, &f->problems);
}

static void finish(struct fixture *f)
{
	char path[128];
	config_edit_free(f->edit);
	config_problems_done(&f->problems);
	snprintf(path, sizeof(path), "%s/%s", f->directory, CONFIG_SERVER_FILE);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", f->directory, CONFIG_DOMAINS_FILE);
	unlink(path);
	rmdir(f->directory);
}

enum op {
	DOMAIN_ADD,
	DOMAIN_RM,
	DOMAIN_SET,
	ACCOUNT_ADD,
	ACCOUNT_RM,
	ACCOUNT_SET,
	ADDRESS_ADD,
	ADDRESS_RM,
	ALIAS_ADD,
	ALIAS_RM,
	MEMBER_ADD,
	MEMBER_RM,
	KEY_ADD,
	KEY_RM,
	DKIM_ADD,
	DKIM_RM,
	DKIM_SIGN,
};

static struct status run(struct config_edit *edit, enum op op, const char *a, const char *b,
                         const char *c)
{
	switch (op) {
	case DOMAIN_ADD:
		return config_edit_domain_add(edit, a, &(struct config_edit_field){"catchall", b},
		                              b != NULL);
	case DOMAIN_RM:
		return config_edit_domain_remove(edit, a);
	case DOMAIN_SET:
		return config_edit_domain_set(edit, a, b, c);
	case ACCOUNT_ADD:
		return config_edit_account_add(edit, a, &b, b != NULL,
		                               &(struct config_edit_field){"full_name", c},
		                               c != NULL);
	case ACCOUNT_RM:
		return config_edit_account_remove(edit, a);
	case ACCOUNT_SET:
		return config_edit_account_set(edit, a, b, c);
	case ADDRESS_ADD:
		return config_edit_address_add(edit, a, b);
	case ADDRESS_RM:
		return config_edit_address_remove(edit, a);
	case ALIAS_ADD:
		return config_edit_alias_add(edit, a, &b, 1);
	case ALIAS_RM:
		return config_edit_alias_remove(edit, a);
	case MEMBER_ADD:
		return config_edit_member_add(edit, a, b);
	case MEMBER_RM:
		return config_edit_member_remove(edit, a, b);
	case KEY_ADD:
		return config_edit_client_key_add(edit, a, b);
	case KEY_RM:
		return config_edit_client_key_remove(edit, a, b);
	case DKIM_ADD:
		return config_edit_dkim_add(edit, a, b, c == NULL);
	case DKIM_RM:
		return config_edit_dkim_remove(edit, a, b);
	case DKIM_SIGN:
		return config_edit_dkim_sign(edit, a, b, c == NULL);
	}
	abort();
}

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_COLONS                                                                                 \
	"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:"  \
	"DD:EE:FF"

#define ME "accounts: {me: }\n"

struct change {
	const char *before;
	enum op op;
	const char *a, *b, *c;
	const char *after; /* NULL: `code` is expected */
	enum err code;
};

#define BLOCK                                                                                      \
	"# our domains\n"                                                                          \
	"domains:\n"                                                                               \
	"  example.org: # first\n"                                                                 \
	"    # inside\n"                                                                           \
	"    enabled: true\n"                                                                      \
	"\n"                                                                                       \
	"# our users\n"                                                                            \
	"accounts:\n"                                                                              \
	"  # the boss\n"                                                                           \
	"  me:\n"                                                                                  \
	"    addresses:\n"                                                                         \
	"      - me@example.org # main\n"                                                          \
	"      - b@example.org\n"                                                                  \
	"    quota: 1 GiB   # enough\n"                                                            \
	"\n"                                                                                       \
	"# the end\n"
#define FLOW                                                                                       \
	"domains: {example.org: }\n"                                                               \
	"accounts: {me: {addresses: [me@example.org, b@example.org]}, you: {addresses: [ ]}} # "   \
	"all\n"

static const struct change changes[] = {
        /* block style */
        {BLOCK, DOMAIN_ADD, "example.net", NULL, NULL,
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: true\n"
         "  example.net:\n\n# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n    quota: 1 GiB   # enough\n\n# "
         "the end\n"},
        {BLOCK, ACCOUNT_ADD, "you", "you@example.org", "You \"the second\"",
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: true\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n    quota: 1 GiB   # enough\n"
         "  you:\n    full_name: \"You \\\"the second\\\"\"\n    addresses: [you@example.org]\n"
         "\n# the end\n"},
        {BLOCK, ADDRESS_ADD, "me", "@example.org", NULL,
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: true\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n      - \"@example.org\"\n"
         "    quota: 1 GiB   # enough\n\n# the end\n"},
        {BLOCK, ADDRESS_RM, "ME@Example.org", NULL, NULL,
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: true\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n      - b@example.org\n"
         "    quota: 1 GiB   # enough\n\n# the end\n"},
        {BLOCK, ACCOUNT_SET, "me", "quota", "2 GiB",
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: true\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n    quota: 2 GiB   # enough\n\n# "
         "the end\n"},
        {BLOCK, ACCOUNT_SET, "me", "quota", NULL,
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: true\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n\n# the end\n"},
        {BLOCK, ACCOUNT_SET, "me", "enabled", "false",
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: true\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n    quota: 1 GiB   # enough\n"
         "    enabled: false\n\n# the end\n"},
        {BLOCK, DOMAIN_SET, "EXAMPLE.org", "enabled", "false",
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n    enabled: false\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n    quota: 1 GiB   # enough\n\n# "
         "the end\n"},
        {BLOCK, DOMAIN_SET, "example.org", "enabled", NULL,
         "# our domains\ndomains:\n  example.org: # first\n    # inside\n\n"
         "# our users\naccounts:\n  # the boss\n  me:\n    addresses:\n"
         "      - me@example.org # main\n      - b@example.org\n    quota: 1 GiB   # enough\n\n# "
         "the end\n"},
        {BLOCK, ALIAS_ADD, "all@example.org", "me@example.org", NULL,
         BLOCK "\naliases:\n  all@example.org:\n    members: [me@example.org]\n"},
        /* the last of a kind */
        {"domains:\n  example.org:\n  other.net:\naccounts:\n  me:\n", DOMAIN_RM, "other.net", NULL,
         NULL, "domains:\n  example.org:\naccounts:\n  me:\n"},
        {"domains:\n  example.org:\naccounts:\n  me:\n", DOMAIN_RM, "example.org", NULL, NULL,
         "domains:\naccounts:\n  me:\n"},
        {"domains:\n# kept\naccounts:\n  me:\n", DOMAIN_ADD, "example.org", "me", NULL,
         "domains:\n  example.org:\n    catchall: me\n# kept\naccounts:\n  me:\n"},
        {"domains: {}  # none\naccounts:\n  me:\n", DOMAIN_ADD, "example.org", "me", NULL,
         "domains:  # none\n  example.org:\n    catchall: me\naccounts:\n  me:\n"},
        {"domains: ~\naccounts: {me: }\n", DOMAIN_ADD, "example.org", NULL, NULL,
         "domains:\n  example.org:\naccounts: {me: }\n"},
        {"accounts:\n  me:", DOMAIN_ADD, "example.org", NULL, NULL,
         "accounts:\n  me:\n\ndomains:\n  example.org:\n"},
        {"accounts:\n    me:\n        enabled: true\n", ACCOUNT_ADD, "you", NULL, "You",
         "accounts:\n    me:\n        enabled: true\n    you:\n        full_name: You\n"},
        {"domains:\n  example.org:\naccounts:\n  me:\n    # no address yet\n", ADDRESS_ADD, "me",
         "me@example.org", NULL,
         "domains:\n  example.org:\naccounts:\n  me:\n    addresses: [me@example.org]\n    # no "
         "address "
         "yet\n"},
        {"domains:\n  example.org:\naccounts:\n  me:\n    addresses:\n", ADDRESS_ADD, "me",
         "me@example.org", NULL,
         "domains:\n  example.org:\naccounts:\n  me:\n    addresses: [me@example.org]\n"},
        {"domains:\n  example.org:\naccounts:\n  me:\n    addresses:\n    - me@example.org\n  "
         "you:\n",
         ADDRESS_RM, "me@example.org", NULL, NULL,
         "domains:\n  example.org:\naccounts:\n  me:\n    addresses:\n  you:\n"},
        {"domains:\n  example.org:\naccounts:\n  me:\n    addresses:\n    - me@example.org\n  "
         "you:\n",
         ADDRESS_ADD, "me", "b@example.org", NULL,
         "domains:\n  example.org:\naccounts:\n  me:\n    addresses:\n    - me@example.org\n"
         "    - b@example.org\n  you:\n"},
        /* flow style */
        {FLOW, ADDRESS_ADD, "me", "c@example.org", NULL,
         "domains: {example.org: }\naccounts: {me: {addresses: [me@example.org, b@example.org, "
         "c@example.org]}, you: {addresses: [ ]}} # all\n"},
        {FLOW, ADDRESS_ADD, "you", "c@example.org", NULL,
         "domains: {example.org: }\naccounts: {me: {addresses: [me@example.org, b@example.org]}, "
         "you: "
         "{addresses: [c@example.org ]}} # all\n"},
        {FLOW, ADDRESS_RM, "me@example.org", NULL, NULL,
         "domains: {example.org: }\naccounts: {me: {addresses: [b@example.org]}, you: {addresses: "
         "[ ]}} # "
         "all\n"},
        {FLOW, ADDRESS_RM, "b@example.org", NULL, NULL,
         "domains: {example.org: }\naccounts: {me: {addresses: [me@example.org]}, you: {addresses: "
         "[ ]}} # "
         "all\n"},
        {FLOW, ACCOUNT_RM, "you", NULL, NULL,
         "domains: {example.org: }\naccounts: {me: {addresses: [me@example.org, b@example.org]}} # "
         "all\n"},
        {FLOW, ACCOUNT_ADD, "she", "s@example.org", NULL,
         "domains: {example.org: }\naccounts: {me: {addresses: [me@example.org, b@example.org]}, "
         "you: "
         "{addresses: [ ]}, she: {addresses: [s@example.org]}} # all\n"},
        {FLOW, ACCOUNT_SET, "you", "enabled", "false",
         "domains: {example.org: }\naccounts: {me: {addresses: [me@example.org, b@example.org]}, "
         "you: "
         "{addresses: [ ], enabled: false}} # all\n"},
        {FLOW, DOMAIN_SET, "example.org", "subaddress_separator", "-",
         "domains: {example.org: {subaddress_separator: \"-\"}}\naccounts: {me: {addresses: "
         "[me@example.org, b@example.org]}, you: {addresses: [ ]}} # all\n"},
        {"{domains: {example.org: }, accounts: {me: }}\n", ALIAS_ADD, "a@example.org",
         "postmaster@example.org", NULL, NULL, ERR_INVALID},
        {"{accounts: {me: }}\n", DOMAIN_ADD, "example.org", NULL, NULL,
         "{accounts: {me: }, domains: {example.org: {}}}\n"},
        /* several lines in brackets */
        {"domains: {example.org: }\naccounts:\n  me:\n    addresses: [\n      a@example.org, # "
         "one\n"
         "      b@example.org, # two\n      c@example.org # three\n    ]\n",
         ADDRESS_RM, "b@example.org", NULL, NULL,
         "domains: {example.org: }\naccounts:\n  me:\n    addresses: [\n      a@example.org, # "
         "one\n"
         "      c@example.org # three\n    ]\n"},
        {"domains: {example.org: }\naccounts:\n  me:\n    addresses: [\n      a@example.org, # "
         "one\n"
         "      c@example.org # three\n    ]\n",
         ADDRESS_RM, "c@example.org", NULL, NULL,
         "domains: {example.org: }\naccounts:\n  me:\n    addresses: [\n      a@example.org # "
         "one\n    ]\n"},
        {"domains: {example.org: }\naccounts:\n  me:\n    addresses: [\n      a@example.org, # "
         "one\n    ]\n",
         ADDRESS_ADD, "me", "b@example.org", NULL,
         "domains: {example.org: }\naccounts:\n  me:\n    addresses: [\n      a@example.org, "
         "b@example.org # "
         "one\n    ]\n"},
        /* line ends, marks, other writing */
        {"domains:\r\n  example.org:\r\naccounts:\r\n  me:\r\n", ACCOUNT_ADD, "you", NULL, NULL,
         "domains:\r\n  example.org:\r\naccounts:\r\n  me:\r\n  you:\r\n"},
        {"\xef\xbb\xbf"
         "domains: {\"b\xc3\xbc"
         "cher.example\": }\naccounts:\n  me: {full_name: \"\xe2\x82\xac\", enabled: true}\n",
         ACCOUNT_SET, "me", "enabled", "false",
         "\xef\xbb\xbf"
         "domains: {\"b\xc3\xbc"
         "cher.example\": }\naccounts:\n  me: {full_name: \"\xe2\x82\xac\", enabled: false}\n"},
        {"domains:\n  \"b\xc3\xbc"
         "cher.example\":\n  example.org:\naccounts:\n  me:\n",
         DOMAIN_RM, "xn--bcher-kva.example", NULL, NULL,
         "domains:\n  example.org:\naccounts:\n  me:\n"},
        {"accounts:\n  me:\n    full_name: >-\n      Me and\n      myself\n\n    enabled: true\n",
         ACCOUNT_SET, "me", "full_name", "I",
         "accounts:\n  me:\n    full_name: I\n\n    enabled: true\n"},
        {"accounts:\n  me:\n    full_name: Me and\n      myself # two lines\n", ACCOUNT_SET, "me",
         "quota", "unlimited",
         "accounts:\n  me:\n    full_name: Me and\n      myself # two lines\n    quota: "
         "unlimited\n"},
        {"---\naccounts:\n  me:\n...\n", ACCOUNT_ADD, "you", NULL, NULL,
         "---\naccounts:\n  me:\n  you:\n...\n"},
        {"accounts:\n  me:\n", ACCOUNT_ADD, "123", NULL, NULL, "accounts:\n  me:\n  \"123\":\n"},
        {"accounts:\n  me:\n", ACCOUNT_ADD, "null", NULL, NULL, "accounts:\n  me:\n  \"null\":\n"},
        /* members */
        {"domains: {e.org: }\naccounts: {me: {addresses: [a@e.org, b@e.org]}}\naliases:\n  "
         "x@e.org:\n"
         "    members:\n      - a@e.org\n",
         MEMBER_ADD, "X@e.org", "b@e.org", NULL,
         "domains: {e.org: }\naccounts: {me: {addresses: [a@e.org, b@e.org]}}\naliases:\n  "
         "x@e.org:\n"
         "    members:\n      - a@e.org\n      - b@e.org\n"},
        {"domains: {e.org: }\naccounts: {me: {addresses: [a@e.org, b@e.org]}}\naliases:\n  "
         "x@e.org:\n"
         "    members: [a@e.org, b@e.org]\n",
         MEMBER_RM, "x@e.org", "a@e.org", NULL,
         "domains: {e.org: }\naccounts: {me: {addresses: [a@e.org, b@e.org]}}\naliases:\n  "
         "x@e.org:\n"
         "    members: [b@e.org]\n"},
        {"domains: {e.org: }\naccounts: {me: {addresses: [a@e.org]}}\naliases:\n  x@e.org:\n"
         "    members: [a@e.org]\n",
         ALIAS_RM, "x@e.org", NULL, NULL,
         "domains: {e.org: }\naccounts: {me: {addresses: [a@e.org]}}\naliases:\n"},
        /* DKIM keys */
        {ME "domains:\n  e.org:\n", DKIM_ADD, "E.org", "2026a", NULL,
         ME "domains:\n  e.org:\n    dkim:\n      2026a: {}\n"},
        {ME "domains:\n  e.org: # ours\n    enabled: true\n", DKIM_ADD, "e.org", "2026a", "later",
         ME
         "domains:\n  e.org: # ours\n    enabled: true\n    dkim:\n      2026a: {sign: false}\n"},
        {ME "domains:\n  e.org:\n    dkim:\n      a: {} # old\n", DKIM_ADD, "e.org", "b", NULL,
         ME "domains:\n  e.org:\n    dkim:\n      a: {} # old\n      b: {}\n"},
        {ME "domains:\n  e.org:\n    dkim:\n      a: {}\n      b: {}\n", DKIM_RM, "e.org", "a",
         NULL, ME "domains:\n  e.org:\n    dkim:\n      b: {}\n"},
        {ME "domains:\n  e.org:\n    dkim:\n      a: {}\n", DKIM_SIGN, "e.org", "a", "no",
         ME "domains:\n  e.org:\n    dkim:\n      a:\n        sign: false\n"},
        {ME "domains:\n  e.org:\n    dkim:\n      a: {sign: false}\n", DKIM_SIGN, "e.org", "a",
         NULL, ME "domains:\n  e.org:\n    dkim:\n      a: {sign: true}\n"},
        {ME "domains:\n  e.org:\n    dkim:\n      a:\n        oversign: false\n", DKIM_SIGN,
         "e.org", "a", "no",
         ME
         "domains:\n  e.org:\n    dkim:\n      a:\n        oversign: false\n        sign: false\n"},
        {ME "domains:\n  e.org:\n    dkim:\n      a:\n", DKIM_SIGN, "e.org", "a", "no",
         ME "domains:\n  e.org:\n    dkim:\n      a: {sign: false}\n"},
        {ME "domains:\n  e.org:\n    dkim:\n", DKIM_ADD, "e.org", "a", NULL,
         ME "domains:\n  e.org:\n    dkim: {a: {}}\n"},
        {ME "domains: {e.org: {dkim: {a: {}}}}\n", DKIM_ADD, "e.org", "b", "later",
         ME "domains: {e.org: {dkim: {a: {}, b: {sign: false}}}}\n"},
        {ME "domains:\n  e.org:\n    dkim:\n      a: {}\n", DKIM_ADD, "e.org", "a", NULL, NULL,
         ERR_EXISTS},
        {ME "domains:\n  e.org:\n", DKIM_RM, "e.org", "a", NULL, NULL, ERR_NOT_FOUND},
        {ME "domains:\n  e.org:\n", DKIM_SIGN, "e.org", "a", NULL, NULL, ERR_NOT_FOUND},
        {ME "domains:\n  e.org:\n", DKIM_ADD, "e.net", "a", NULL, NULL, ERR_NOT_FOUND},
        {ME "domains:\n  e.org:\n", DKIM_ADD, "e.org", "a.b", NULL, NULL, ERR_SYNTAX},
        {ME "domains:\n  e.org:\n", DKIM_ADD, "e.org", "A", NULL, NULL, ERR_SYNTAX},
        /* client keys */
        {"accounts:\n  me:\n", KEY_ADD, "me", "sha256:" KEY, NULL,
         "accounts:\n  me:\n    client_keys: [\"sha256:" KEY "\"]\n"},
        {"accounts:\n  me:\n    client_keys: [SHA256:" KEY_COLONS "]\n", KEY_RM, "me", KEY, NULL,
         "accounts:\n  me:\n    client_keys: []\n"},
        {"accounts:\n  me:\n    client_keys: [SHA256:" KEY_COLONS "]\n", KEY_ADD, "me", KEY, NULL,
         NULL, ERR_EXISTS},
        {"accounts:\n  me:\n    client_keys: [" KEY "]\n  you:\n", KEY_ADD, "you", KEY, NULL, NULL,
         ERR_INVALID},
        {"accounts:\n  me:\n", KEY_RM, "me", KEY, NULL, NULL, ERR_NOT_FOUND},
        {"accounts:\n  me:\n", KEY_ADD, "you", KEY, NULL, NULL, ERR_NOT_FOUND},
        {"accounts:\n  me:\n", KEY_ADD, "me", KEY "0", NULL, NULL, ERR_SYNTAX},
        {"accounts:\n  me:\n", KEY_ADD, "me", "", NULL, NULL, ERR_SYNTAX},
        /* refused */
        {BLOCK, DOMAIN_ADD, "Example.ORG", NULL, NULL, NULL, ERR_EXISTS},
        {BLOCK, DOMAIN_ADD, "exa mple", NULL, NULL, NULL, ERR_SYNTAX},
        {BLOCK, DOMAIN_ADD, "new.example", "nobody", NULL, NULL, ERR_INVALID},
        {BLOCK, DOMAIN_ADD, "new.example", "no body", NULL, NULL, ERR_SYNTAX},
        {BLOCK, DOMAIN_RM, "example.com", NULL, NULL, NULL, ERR_NOT_FOUND},
        {BLOCK, DOMAIN_RM, "example.org", NULL, NULL, NULL, ERR_INVALID},
        {BLOCK, DOMAIN_SET, "example.org", "enabled", "maybe", NULL, ERR_SYNTAX},
        {BLOCK, DOMAIN_SET, "example.org", "enabeld", "true", NULL, ERR_INVALID},
        {BLOCK, DOMAIN_SET, "example.org", "catchall", NULL, NULL, ERR_NOT_FOUND},
        {BLOCK, ACCOUNT_ADD, "me", NULL, NULL, NULL, ERR_EXISTS},
        {BLOCK, ACCOUNT_ADD, "Me", NULL, NULL, NULL, ERR_SYNTAX},
        {BLOCK, ACCOUNT_ADD, "../me", NULL, NULL, NULL, ERR_SYNTAX},
        {BLOCK, ACCOUNT_ADD, "you", "me@example.org", NULL, NULL, ERR_INVALID},
        {BLOCK, ACCOUNT_ADD, "you", "you@example.net", NULL, NULL, ERR_INVALID},
        {BLOCK, ACCOUNT_ADD, "you", "you", NULL, NULL, ERR_SYNTAX},
        {BLOCK, ACCOUNT_ADD, "you", NULL, "two\nlines", NULL, ERR_SYNTAX},
        {BLOCK, ACCOUNT_RM, "you", NULL, NULL, NULL, ERR_NOT_FOUND},
        {BLOCK, ACCOUNT_RM, "me", NULL, NULL, NULL, ERR_INVALID},
        {BLOCK, ACCOUNT_SET, "you", "enabled", "true", NULL, ERR_NOT_FOUND},
        {BLOCK, ACCOUNT_SET, "me", "quota", "lots", NULL, ERR_SYNTAX},
        {BLOCK, ACCOUNT_SET, "me", "addresses", "x", NULL, ERR_INVALID},
        {BLOCK, ADDRESS_ADD, "me", "B@example.org", NULL, NULL, ERR_EXISTS},
        {BLOCK, ADDRESS_ADD, "you", "c@example.org", NULL, NULL, ERR_NOT_FOUND},
        {BLOCK, ADDRESS_ADD, "me", "c@nowhere.example", NULL, NULL, ERR_INVALID},
        {BLOCK, ADDRESS_ADD, "me", "c", NULL, NULL, ERR_SYNTAX},
        {BLOCK, ADDRESS_RM, "c@example.org", NULL, NULL, NULL, ERR_NOT_FOUND},
        {BLOCK, ADDRESS_RM, "@example.org", NULL, NULL, NULL, ERR_NOT_FOUND},
        {BLOCK, ALIAS_ADD, "me@example.org", "b@example.org", NULL, NULL, ERR_INVALID},
        {BLOCK, ALIAS_ADD, "x@example.org", "x@example.org", NULL, NULL, ERR_INVALID},
        {BLOCK, ALIAS_ADD, "@example.org", "b@example.org", NULL, NULL, ERR_SYNTAX},
        {BLOCK, ALIAS_RM, "me@example.org", NULL, NULL, NULL, ERR_NOT_FOUND},
        {BLOCK, MEMBER_ADD, "x@example.org", "me@example.org", NULL, NULL, ERR_NOT_FOUND},
        {"domains: {e.org: }\naccounts: {me: {addresses: [a@e.org]}}\naliases:\n  x@e.org:\n"
         "    members: [a@e.org]\n",
         ADDRESS_RM, "a@e.org", NULL, NULL, NULL, ERR_INVALID},
        {"domains: {e.org: }\naccounts: {me: {addresses: [a@e.org]}}\naliases:\n  x@e.org:\n"
         "    members: [a@e.org]\n",
         MEMBER_RM, "x@e.org", "a@e.org", NULL, NULL, ERR_INVALID},
        {"accounts:\n  ? me\n  : {enabled: true}\n  ? you\n  : {}\n", ACCOUNT_RM, "you", NULL, NULL,
         NULL, ERR_UNSUPPORTED},
};

static struct slice read_back(const struct fixture *f, struct arena *arena)
{
	char path[128];
	struct slice text;
	snprintf(path, sizeof(path), "%s/%s", f->directory, CONFIG_DOMAINS_FILE);
	assert_true(is_ok(file_read(AT_FDCWD, path, CONFIG_FILE_MAX, arena, &text, NULL)));
	return text;
}

static bool change_is_right(const struct change *c, struct fixture *f, struct status status)
{
	struct arena arena;
	arena_init(&arena, CONFIG_FILE_MAX * 2);
	struct slice text = read_back(f, &arena);
	const char *wanted = c->after ? c->after : c->before;
	bool right = slice_eq_str(text, wanted) && status.code == (c->after ? ERR_OK : c->code);
	if (!right) {
		struct buf out;
		buf_init(&out, 100000);
		for (size_t i = 0; i < f->problems.n; i++)
			config_problem_print(&f->problems.v[i], NULL, &out);
		print_message("case %zu: %s (%s) %s\n%s--- got\n%.*s--- wanted\n%s---\n",
		              c - changes, err_name(status.code), status.why,
		              f->edit ? config_edit_why(f->edit) : "", buf_cstr(&out),
		              SLICE_FMT(text), wanted);
		buf_done(&out);
	}
	arena_done(&arena);
	return right;
}

static void changes_keep_the_rest(void **state)
{
	(void)state;
	size_t n_failed = 0;
	for (size_t i = 0; i < N_ELEMENTS(changes); i++) {
		const struct change *c = &changes[i];
		struct fixture f;
		struct status status = start(&f, c->before);
		if (is_ok(status))
			status = run(f.edit, c->op, c->a, c->b, c->c);
		if (is_ok(status))
			status = config_edit_commit(f.edit, &f.problems);
		n_failed += !change_is_right(c, &f, status);
		finish(&f);
	}
	assert_int_equal(n_failed, 0);
}

static void an_invalid_configuration_is_not_edited(void **state)
{
	(void)state;
	struct fixture f;
	assert_int_equal(start(&f, BLOCK "accounts: 5\n").code, ERR_INVALID);
	assert_null(f.edit);
	assert_int_equal(f.problems.n_errors, 1);
	assert_int_equal(f.problems.v[0].line, 17);
	finish(&f);
}

static void a_missing_directory_is_said(void **state)
{
	(void)state;
	struct config_problems problems;
	struct config_edit *edit = NULL;
	config_problems_init(&problems);
	assert_int_equal(config_edit_open("/nowhere/at/all", &edit, &problems).code, ERR_NOT_FOUND);
	assert_non_null(strstr(problems.v[0].what, "/nowhere/at/all"));
	assert_null(edit);
	config_problems_done(&problems);
}

static void mode_is_kept_and_links_are_followed(void **state)
{
	(void)state;
	struct fixture f;
	char path[128], target[128];
	struct stat st;
	assert_true(is_ok(start(&f, "accounts:\n  me:\n")));
	config_edit_free(f.edit);
	snprintf(path, sizeof(path), "%s/%s", f.directory, CONFIG_DOMAINS_FILE);
	snprintf(target, sizeof(target), "%s/target", f.directory);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink("target", path), 0);
	assert_int_equal(chmod(target, 0604), 0);
	assert_true(is_ok(config_edit_open(f.directory, &f.edit, &f.problems)));
	assert_true(is_ok(config_edit_domain_add(f.edit, "example.org", NULL, 0)));
	assert_true(is_ok(config_edit_commit(f.edit, &f.problems)));
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(lstat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_true(st.st_size > 20);
	unlink(target);
	finish(&f);
}

static void only_one_editor_at_a_time(void **state)
{
	(void)state;
	struct fixture f;
	struct config_edit *second = NULL;
	assert_true(is_ok(start(&f, "accounts:\n  me:\n")));
	assert_int_equal(config_edit_open(f.directory, &second, &f.problems).code, ERR_BUSY);
	config_edit_free(f.edit);
	assert_true(is_ok(config_edit_open(f.directory, &f.edit, &f.problems)));
	finish(&f);
}

static void many_changes_in_one_go(void **state)
{
	(void)state;
	struct fixture f;
	struct arena arena;
	struct config *config;
	arena_init(&arena, CONFIG_ARENA_MAX);
	assert_true(is_ok(start(&f, "# head\naccounts:\n  me:\n")));
	assert_true(is_ok(config_edit_domain_add(f.edit, "e.org", NULL, 0)));
	for (unsigned i = 0; i < 50; i++) {
		char name[32], address[64];
		const char *list[] = {address};
		snprintf(name, sizeof(name), "u%u", i);
		snprintf(address, sizeof(address), "u%u@e.org", i);
		assert_true(is_ok(config_edit_account_add(f.edit, name, list, 1, NULL, 0)));
		snprintf(address, sizeof(address), "v%u@e.org", i);
		assert_true(is_ok(config_edit_address_add(f.edit, name, address)));
	}
	assert_true(is_ok(config_edit_commit(f.edit, &f.problems)));
	assert_true(is_ok(config_load(f.directory, &arena, &config, &f.problems)));
	assert_int_equal(config->accounts.n, 51);
	assert_int_equal(config->accounts.v[50].addresses.n, 2);
	arena_done(&arena);
	finish(&f);
}

static void quoting_reads_back(void **state)
{
	(void)state;
	static const char *const texts[] = {
	        "",   " ",   "a",    "null", "~",        "true",  "1e3", "a: b", "a #b",
	        "#",  "@x",  "a@b",  "- a",  "[a",       "a]",    "{",   "a,b",  "'",
	        "\"", "\\",  "a\\n", "\x01", "\x7f",     "*a",    "&a",  "!a",   "%a",
	        "|",  ">",   "a b",  "a ",   " a",       "?",     "a:",  ":a",   "=",
	        "<<", "---", "...",  "\t",   "\xc3\xbc", "10 GiB"};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct buf text;
		struct yaml_doc doc;
		struct config_problems problems;
		config_problems_init(&problems);
		buf_init(&text, 1000);
		buf_add_str(&text, "{k: [");
		yaml_quote(slice_str(texts[i]), &text);
		buf_add_str(&text, "]}");
		assert_true(is_ok(yaml_doc_init(&doc, buf_slice(&text), "x", &problems)));
		const struct yaml_node *item = doc.root->first->first;
		assert_int_equal(item->kind, YAML_SCALAR);
		assert_true(slice_eq_str(item->value, texts[i]));
		yaml_doc_done(&doc);
		buf_done(&text);
		config_problems_done(&problems);
	}
}

static void localserve_configuration_is_valid_and_written_once(void **state)
{
	(void)state;
	struct fixture f = {.directory = "/tmp/mailkeep-edit-XXXXXX"};
	struct arena arena;
	struct config *config;
	struct config_lookup lookup;
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&f.problems);
	assert_non_null(mkdtemp(f.directory));
	assert_int_equal(config_default_localserve(f.directory, "localhost", 1000, 0).code,
	                 ERR_INVALID);
	assert_int_equal(config_default_localserve(f.directory, "127.0.0.1", 65000, 0).code,
	                 ERR_INVALID);
	assert_true(is_ok(config_default_localserve(f.directory, "127.0.0.1", 1000, 3)));
	assert_int_equal(config_default_localserve(f.directory, "127.0.0.1", 1000, 3).code,
	                 ERR_EXISTS);
	assert_true(is_ok(config_load(f.directory, &arena, &config, &f.problems)));
	assert_int_equal(f.problems.n, 0);
	const struct config_listener *l = &config->listeners.v[0];
	static const unsigned ports[] = {1025, 1587, 1465, 1143, 1993, 1080, 1443};
	for (unsigned i = 0; i < CONFIG_SERVICE_COUNT; i++) {
		assert_true(l->services[i].enabled);
		assert_int_equal(l->services[i].port, ports[i]);
	}
	assert_int_equal(l->plain_login, CONFIG_PLAIN_LOGIN_LOOPBACK);
	assert_false(config->limits.rate_limits_on_loopback);
	config_lookup_address(config, SLICE("user3"), SLICE("localhost"), &lookup);
	assert_string_equal(lookup.account->name.s, "user3");
	config_lookup_address(config, SLICE("any"), SLICE("localhost"), &lookup);
	assert_string_equal(lookup.account->name.s, "me");
	assert_int_equal(lookup.match, CONFIG_MATCH_CATCHALL);
	arena_done(&arena);
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(changes_keep_the_rest),
	        cmocka_unit_test(an_invalid_configuration_is_not_edited),
	        cmocka_unit_test(a_missing_directory_is_said),
	        cmocka_unit_test(mode_is_kept_and_links_are_followed),
	        cmocka_unit_test(only_one_editor_at_a_time),
	        cmocka_unit_test(many_changes_in_one_go),
	        cmocka_unit_test(quoting_reads_back),
	        cmocka_unit_test(localserve_configuration_is_valid_and_written_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
