/* The table of commands. A new one: a row here and a function. Rows of a group stand together. */
#include "cli/checks.h"
#include "cli/cli.h"
#include "cli/dial.h"
#include "cli/dkim.h"
#include "cli/dns.h"
#include "cli/secret.h"

const struct cli_option cli_common_options[CLI_COMMON_OPTIONS] = {
        [CLI_OPTION_CONFIG] =
                {"config", "DIR", CLI_DIRECTORY,
                 "Directory of mailkeep.yaml and domains.yaml; before that the environment "
                 "variable MAILKEEP_CONFIG counts, and then /etc/mailkeep"},
        [CLI_OPTION_JSON] = {"json", NULL, CLI_ANY, "Print one JSON object, also for errors"},
        [CLI_OPTION_HELP] = {"help", NULL, CLI_ANY, "Explain the command"},
};

#define PASSWORD_HELP                                                                              \
	"The password is asked for on a terminal, and otherwise read as one line from standard "   \
	"input. "                                                                                  \
	"It must have at least 8 characters."
#define GENERATE                                                                                   \
	{                                                                                          \
		"generate", NULL, CLI_ANY, "Make a password and print it, once"                    \
	}
#define LIVE_HELP                                                                                  \
	"\n\nA running server takes the change over at once; otherwise it counts from the next "   \
	"start."

#define CLI_DISCOVERY_HELP                                                                         \
	"How organizational domains are found: treewalk (RFC 9989, the default) or psl (public "   \
	"suffix list, RFC 7489)"

#define QUEUE_FILTERS                                                                              \
	{"account", "ACCOUNT", CLI_ACCOUNT, "Of this account only"},                               \
	        {"from", "TEXT", CLI_ANY, "Whose sender has this in it"},                          \
	        {"to", "TEXT", CLI_ANY, "Whose recipient has this in it"},                         \
	        {"hold", "yes|no", CLI_ANY, "That are held, or are not"},                          \
	        {"via", "TRANSPORT", CLI_ANY, "For which this transport was set"},                 \
	        {"older", "TIME", CLI_ANY, "Submitted longer ago than this, such as 2h"},          \
	        {"newer", "TIME", CLI_ANY, "Submitted less long ago than this"},                   \
	{                                                                                          \
		"due", "TIME", CLI_ANY, "Whose next attempt is within this time"                   \
	}
#define QUEUE_ALL                                                                                  \
	{                                                                                          \
		"all", NULL, CLI_ANY, "All of them"                                                \
	}
#define QUEUE_ORDER                                                                                \
	{"sort", "next|submitted", CLI_ANY, "In which order; with - before it the other way"},     \
	{                                                                                          \
		"limit", "N", CLI_ANY, "At most so many"                                           \
	}
#define QUEUE_IDS                                                                                  \
	{                                                                                          \
		"ID", CLI_ANY, true, true                                                          \
	}
#define QUEUE_FILTER_HELP                                                                          \
	"Numbers and filters together name the entries: all that is given must hold."

#define DKIM_FILES                                                                                 \
	{                                                                                          \
		"FILE", CLI_ANY, true, true                                                        \
	}
#define DKIM_AT(what)                                                                              \
	{                                                                                          \
		"at", "SECONDS", CLI_ANY, what " at this time, in seconds since 1970"              \
	}
#define DKIM_SIGNER                                                                                \
	{"domain", "DOMAIN", CLI_ANY, "Domain to sign for"},                                       \
	        {"selector", "SELECTOR", CLI_ANY, "Under which the DNS has the key"},              \
	        {"key", "FILE", CLI_ANY, "Private key in PEM form"},                               \
	        {"headers", "NAMES", CLI_ANY, "Fields to sign, with colons (the usual ones)"},     \
	        {"message", NULL, CLI_ANY, "Print the message behind the new fields"},             \
	{                                                                                          \
		"output", "DIR", CLI_DIRECTORY, "Write each message to a file of its name here"    \
	}
#define DKIM_LINES_HELP                                                                            \
	"\n\nWithout FILE the message is read from standard input. A message whose first line "    \
	"ends "                                                                                    \
	"in LF alone is read as if all its lines ended in CRLF."

const struct cli_command cli_commands[] = {
        {"serve", "Run the mail server", .takes_config = true,
         .help = "Starts all rooms and stays in the foreground until it gets SIGTERM. When "
                 "everything "
                 "listens it prints `mailkeep: ready`.",
         .examples = "mailkeep serve --config /etc/mailkeep", .run = cli_serve},
        {"localserve", "Run a mail server for trying and testing, on this machine only",
         .options = {{"dir", "DIR", CLI_DIRECTORY,
                      "Where its config and data are kept (mailkeep-localserve)"},
                     {"ip", "IP", CLI_ANY, "Address to listen at (127.0.0.1)"},
                     {"port-base", "N", CLI_ANY, "Added to the usual port numbers (1000)"},
                     {"accounts", "N", CLI_ANY, "Also make the accounts user1 to userN"}},
         .help = "The first start makes the domain localhost and the account me@localhost, which "
                 "also "
                 "gets mail to every other address of the domain. Every password is `mailkeep`. "
                 "SMTP "
                 "listens at port 1025, submission at 1587 and 1465, IMAP at 1143 and 1993, HTTP "
                 "at "
                 "1080 and 1443. No DNS is needed. Mail that its users send to other domains does "
                 "leave: "
                 "a route to a transport of kind fail in its config keeps it in.\n\n"
                 "Later starts use what is there; the options --ip, --port-base and --accounts "
                 "count "
                 "for the first start only.",
         .examples = "mailkeep localserve\nmailkeep localserve --dir /tmp/mail --port-base 2000 "
                     "--accounts 20",
         .run = cli_localserve},
        {"rooms", "Show the processes, their walls and who may talk to whom", .has_json = true,
         .help = "Prints the table that the server itself goes by.", .examples = "mailkeep rooms",
         .run = cli_rooms},

        {"config test", "Check the configuration and show every error", .takes_config = true,
         .has_json = true,
         .help = "Each error comes with its file, line and column, what is wrong and how to mend "
                 "it. The "
                 "exit status is 0 when there is no error; warnings do not count.",
         .examples = "mailkeep config test\nmailkeep config test --config ./new --json",
         .run = cli_config_test},
        {"config reload", "Have the running server read its configuration again",
         .takes_config = true, .has_json = true,
         .help = "For files that were edited by hand; the commands that edit them do it "
                 "themselves. What is wrong is shown, and then the server goes on with what it "
                 "had. Connections stay.",
         .examples = "mailkeep config test && mailkeep config reload", .run = cli_config_reload},
        {"config describe", "Explain the fields of the configuration",
         .args = {{"FIELD", CLI_FIELD, true}}, .has_json = true,
         .options = {{"markdown", NULL, CLI_ANY, "Print the page docs/config.md"}},
         .help = "Without FIELD, all of them; with it, that field or section and what is in it.",
         .examples = "mailkeep config describe\nmailkeep config describe limits.message_size\n"
                     "mailkeep config describe listeners.*.tls",
         .run = cli_config_describe},

        {"account add", "Add a user",
         .args = {{"NAME", CLI_ANY}, {"ADDRESS", CLI_ADDRESS, true, true}},
         .options = {{"full-name", "TEXT", CLI_ANY, "Name for people"},
                     {"quota", "SIZE", CLI_ANY, "Storage, such as 10GiB, or unlimited"},
                     GENERATE,
                     {"no-password", NULL, CLI_ANY, "Set none: the account cannot log in yet"}},
         .takes_config = true, .has_json = true,
         .help = "NAME is for logins, logs and the directory of the account's mail: 1 to 64 of "
                 "a-z, 0-9, "
                 "'.', '_' and '-'. The domains of the addresses must be there "
                 "already.\n\n" PASSWORD_HELP LIVE_HELP,
         .examples = "mailkeep account add ada ada@example.org --full-name \"Ada Lovelace\"\n"
                     "mailkeep account add ada ada@example.org @example.net --generate",
         .run = cli_account_add},
        {"account rm", "Remove a user; the mail stays on disk", .args = {{"NAME", CLI_ACCOUNT}},
         .takes_config = true, .has_json = true,
         .help = "The account, its addresses and its password are removed. Its mail stays in the "
                 "data "
                 "directory until somebody deletes it there." LIVE_HELP,
         .examples = "mailkeep account rm ada", .run = cli_account_rm},
        {"account list", "List users with their addresses", .takes_config = true, .has_json = true,
         .examples = "mailkeep account list", .run = cli_account_list},
        {"account password", "Set a user's password", .args = {{"NAME", CLI_ACCOUNT}},
         .options = {GENERATE}, .takes_config = true, .has_json = true, .help = PASSWORD_HELP,
         .examples = "mailkeep account password ada\nmailkeep account password ada < file\n"
                     "mailkeep account password ada --generate",
         .run = cli_account_password},
        {"account enable", "Let a disabled user in again", .args = {{"NAME", CLI_ACCOUNT}},
         .takes_config = true, .has_json = true, .help = "Undoes `account disable`." LIVE_HELP,
         .examples = "mailkeep account enable ada", .run = cli_account_enable},
        {"account disable", "Refuse a user's logins and mail", .args = {{"NAME", CLI_ACCOUNT}},
         .takes_config = true, .has_json = true,
         .help = "Nothing is deleted. Senders are told to try later." LIVE_HELP,
         .examples = "mailkeep account disable ada", .run = cli_account_disable},
        {"account quota", "Set how much mail a user may keep",
         .args = {{"NAME", CLI_ACCOUNT}, {"SIZE", CLI_ANY}}, .takes_config = true, .has_json = true,
         .help = "SIZE is like 10GiB or \"500 MB\", or `unlimited`, or `default` for the "
                 "`limits.quota` of "
                 "mailkeep.yaml." LIVE_HELP,
         .examples = "mailkeep account quota ada 10GiB\nmailkeep account quota ada default",
         .run = cli_account_quota},
        {"account clientkey add", "Let a TLS client certificate log a user in",
         .args = {{"NAME", CLI_ACCOUNT}, {"KEY", CLI_ANY}}, .takes_config = true, .has_json = true,
         .help = "KEY is a file with the certificate or its public key in PEM form, or the SHA-256 "
                 "of "
                 "the public key. Whoever proves in TLS to have the private key may log in by SASL "
                 "EXTERNAL without a password, for mail and for submission. The certificate's "
                 "names "
                 "and dates do not count; a self-signed one will do." LIVE_HELP,
         .examples = "mailkeep account clientkey add ada laptop.pem", .run = cli_client_key_add},
        {"account clientkey rm", "Take a client certificate's key from a user",
         .args = {{"NAME", CLI_ACCOUNT}, {"KEY", CLI_ANY}}, .takes_config = true, .has_json = true,
         .help = "KEY as for `account clientkey add`." LIVE_HELP,
         .examples = "mailkeep account clientkey rm ada laptop.pem", .run = cli_client_key_rm},
        {"account clientkey list", "List users' client keys", .takes_config = true,
         .has_json = true, .examples = "mailkeep account clientkey list --json",
         .run = cli_client_key_list},

        {"domain add", "Receive mail for a domain", .args = {{"DOMAIN", CLI_ANY}},
         .options = {{"catchall", "ACCOUNT", CLI_ACCOUNT,
                      "Account or address that gets mail to addresses that do not exist"}},
         .takes_config = true, .has_json = true,
         .help = "DOMAIN may be written in any script. Its addresses come with `address add` or "
                 "`account "
                 "add`." LIVE_HELP,
         .examples =
                 "mailkeep domain add example.org\nmailkeep domain add example.net --catchall ada",
         .run = cli_domain_add},
        {"domain rm", "Stop receiving mail for a domain", .args = {{"DOMAIN", CLI_DOMAIN}},
         .takes_config = true, .has_json = true,
         .help = "Refused while accounts or aliases have addresses in it." LIVE_HELP,
         .examples = "mailkeep domain rm example.net", .run = cli_domain_rm},
        {"domain list", "List domains", .takes_config = true, .has_json = true,
         .examples = "mailkeep domain list", .run = cli_domain_list},
        {"domain enable", "Receive a disabled domain's mail again",
         .args = {{"DOMAIN", CLI_DOMAIN}}, .takes_config = true, .has_json = true,
         .help = "Undoes `domain disable`." LIVE_HELP,
         .examples = "mailkeep domain enable example.net", .run = cli_domain_enable},
        {"domain disable", "Refuse a domain's mail for now", .args = {{"DOMAIN", CLI_DOMAIN}},
         .takes_config = true, .has_json = true, .help = "Senders are told to try later." LIVE_HELP,
         .examples = "mailkeep domain disable example.net", .run = cli_domain_disable},

        {"address add", "Give an account one more address",
         .args = {{"ACCOUNT", CLI_ACCOUNT}, {"ADDRESS", CLI_ADDRESS, false, true}},
         .takes_config = true, .has_json = true,
         .help = "@DOMAIN stands for every address of the domain that does not exist "
                 "otherwise." LIVE_HELP,
         .examples =
                 "mailkeep address add ada info@example.org\nmailkeep address add ada @example.net",
         .run = cli_address_add},
        {"address rm", "Take an address from its account",
         .args = {{"ADDRESS", CLI_ADDRESS, false, true}}, .takes_config = true, .has_json = true,
         .help = "Refused while an alias or catchall leads to it." LIVE_HELP,
         .examples = "mailkeep address rm info@example.org", .run = cli_address_rm},
        {"address list", "List addresses and where their mail goes",
         .args = {{"ACCOUNT", CLI_ACCOUNT, true}}, .takes_config = true, .has_json = true,
         .help = "With ACCOUNT, only those whose mail it gets by itself.",
         .examples = "mailkeep address list\nmailkeep address list ada", .run = cli_address_list},
        {"address find", "Explain where mail to an address goes",
         .args = {{"ADDRESS", CLI_ADDRESS}}, .takes_config = true, .has_json = true,
         .help = "Says which account or alias gets the mail, and by which rule: the address "
                 "itself, the "
                 "address without its tag, the domain's catchall, or postmaster. The exit status "
                 "is 0 "
                 "when the mail would be accepted.",
         .examples = "mailkeep address find ada+shop@example.org", .run = cli_address_find},

        {"alias add", "Make an alias, or add members to it",
         .args = {{"ALIAS", CLI_ALIAS}, {"MEMBER", CLI_ADDRESS, false, true}}, .takes_config = true,
         .has_json = true,
         .help = "Mail to ALIAS goes to all its members: addresses of accounts or of other aliases "
                 "of this "
                 "server." LIVE_HELP,
         .examples = "mailkeep alias add team@example.org ada@example.org charles@example.org",
         .run = cli_alias_add},
        {"alias rm", "Remove an alias, or members of it",
         .args = {{"ALIAS", CLI_ALIAS}, {"MEMBER", CLI_ADDRESS, true, true}}, .takes_config = true,
         .has_json = true, .help = "Without MEMBER the whole alias." LIVE_HELP,
         .examples = "mailkeep alias rm team@example.org charles@example.org\n"
                     "mailkeep alias rm team@example.org",
         .run = cli_alias_rm},
        {"alias list", "List aliases with their members", .takes_config = true, .has_json = true,
         .examples = "mailkeep alias list", .run = cli_alias_list},

        {"message explain", "Show why a message was accepted, or put with the junk",
         .args = {{"ACCOUNT", CLI_ACCOUNT}, {"UID", CLI_ANY, true}},
         .options = {{"mailbox", "NAME", CLI_ANY, "In this mailbox (Inbox)"},
                     {"message-id", "ID", CLI_ANY, "The newest message with this Message-ID"}},
         .takes_config = true, .has_json = true,
         .help = "Without UID and --message-id the newest message of the mailbox. Shows who "
                 "brought "
                 "it, the decision with its reasons, and each check (iprev, SPF, DKIM, ARC, DMARC, "
                 "block lists) with its lookups, their DNSSEC status and extended DNS errors.",
         .examples = "mailkeep message explain ada\n"
                     "mailkeep message explain ada 42 --mailbox Junk\n"
                     "mailkeep message explain ada --message-id 20261130.1@example.org --json",
         .run = cli_message_explain},

        {"queue list", "List mail on its way out", .args = {QUEUE_IDS},
         .options = {QUEUE_FILTERS, QUEUE_ORDER}, .takes_config = true, .has_json = true,
         .help = "One line for each recipient that is still to be served: when it is tried next, "
                 "how often it was and what came of it. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue list\n"
                     "mailkeep queue list --to @example.org --older 2h --sort -submitted\n"
                     "mailkeep queue list --json",
         .run = cli_queue_list},
        {"queue show", "Show one entry of the queue with all its attempts",
         .args = {{"ID", CLI_ANY}}, .takes_config = true, .has_json = true,
         .help = "Each attempt with the way it took and why, the host, what that answered, and "
                 "what it means; what protected the message there (verified by DANE or by the "
                 "domain's MTA-STS policy, TLS with anybody, nothing), what demanded it, and how "
                 "TLS went by each policy that applies, as TLS reports tell it. In JSON these are "
                 "protection, demands and tls_results.",
         .examples = "mailkeep queue show 42", .run = cli_queue_show},
        {"queue dump", "Print a queued message", .args = {{"ID", CLI_ANY}}, .takes_config = true,
         .has_json = true,
         .help = "As it would be sent, generated header lines first. With --json in pieces of "
                 "base64.",
         .examples = "mailkeep queue dump 42 > message", .run = cli_queue_dump},
        {"queue hold", "Keep entries from being tried", .args = {QUEUE_IDS},
         .options = {QUEUE_FILTERS, QUEUE_ALL}, .takes_config = true, .has_json = true,
         .help = "They stay in the queue until `queue unhold`. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue hold 42 43\nmailkeep queue hold --to @example.org",
         .run = cli_queue_hold},
        {"queue unhold", "Let held entries go on", .args = {QUEUE_IDS},
         .options = {QUEUE_FILTERS, QUEUE_ALL}, .takes_config = true, .has_json = true,
         .help = "They are tried when they are due, which may be at once. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue unhold --hold yes", .run = cli_queue_unhold},
        {"queue schedule", "Change when entries are tried next",
         .args = {{"WHEN", CLI_ANY}, QUEUE_IDS}, .options = {QUEUE_FILTERS, QUEUE_ALL},
         .takes_config = true, .has_json = true,
         .help = "WHEN is `now`, a time from now such as 30m, or with + before it a time to add to "
                 "what each entry has. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue schedule now --to @example.org\n"
                     "mailkeep queue schedule +2h 42",
         .run = cli_queue_schedule},
        {"queue transport", "Choose the way that entries take",
         .args = {{"TRANSPORT", CLI_ANY}, QUEUE_IDS}, .options = {QUEUE_FILTERS, QUEUE_ALL},
         .takes_config = true, .has_json = true,
         .help = "TRANSPORT is a name from `transports`, `direct`, or `routes`: what the routes "
                 "say at each attempt. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue transport smarthost --to @example.org\n"
                     "mailkeep queue transport routes 42",
         .run = cli_queue_transport},
        {"queue requiretls", "Choose whether entries need verified TLS",
         .args = {{"yes|no|default", CLI_ANY}, QUEUE_IDS}, .options = {QUEUE_FILTERS, QUEUE_ALL},
         .takes_config = true, .has_json = true,
         .help = "yes: only to servers that are verified and promise the same (RFC 8689). no: in "
                 "clear, too, where nothing else works. default: as its sender "
                 "said. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue requiretls no 42", .run = cli_queue_requiretls},
        {"queue fail", "Give entries up and tell their senders", .args = {QUEUE_IDS},
         .options = {QUEUE_FILTERS, QUEUE_ALL}, .takes_config = true, .has_json = true,
         .help = "The senders get a report of the failure, as after the last "
                 "attempt. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue fail --to @example.org --older 3d", .run = cli_queue_fail},
        {"queue drop", "Remove entries without telling anybody", .args = {QUEUE_IDS},
         .options = {QUEUE_FILTERS, QUEUE_ALL}, .takes_config = true, .has_json = true,
         .help = QUEUE_FILTER_HELP, .examples = "mailkeep queue drop 42", .run = cli_queue_drop},
        {"queue holdrules list", "List the rules that hold mail", .takes_config = true,
         .has_json = true, .examples = "mailkeep queue holdrules list",
         .run = cli_queue_holdrules_list},
        {"queue holdrules add", "Hold all mail that matches",
         .options = {{"account", "ACCOUNT", CLI_ACCOUNT, "Sent by this account"},
                     {"sender-domain", "DOMAIN", CLI_DOMAIN, "Whose sender is of this domain"},
                     {"recipient-domain", "DOMAIN", CLI_ANY, "To this domain"},
                     {"all", NULL, CLI_ANY, "Hold everything"}},
         .takes_config = true, .has_json = true,
         .help = "Counts for what is queued and for what comes. All that is given must hold.",
         .examples = "mailkeep queue holdrules add --account ada --recipient-domain example.org",
         .run = cli_queue_holdrules_add},
        {"queue holdrules rm", "Remove a rule that holds mail", .args = {{"ID", CLI_ANY}},
         .takes_config = true, .has_json = true,
         .help = "What it held stays held until `queue unhold`.",
         .examples = "mailkeep queue holdrules rm 7", .run = cli_queue_holdrules_rm},
        {"queue suppress list", "List addresses that are not written to any more",
         .options = {{"account", "ACCOUNT", CLI_ACCOUNT, "Of this account only"}},
         .takes_config = true, .has_json = true,
         .help = "An address comes on the list of an account when a server says that it does not "
                 "exist, or when three messages in a row failed. Later messages to it fail at "
                 "once. Tags and dots do not count: the list has base addresses.",
         .examples = "mailkeep queue suppress list --account ada", .run = cli_queue_suppress_list},
        {"queue suppress add", "Let an account's mail to an address fail at once",
         .args = {{"ACCOUNT", CLI_ACCOUNT}, {"ADDRESS", CLI_ANY}},
         .options = {{"reason", "TEXT", CLI_ANY, "Why, for people"}}, .takes_config = true,
         .has_json = true,
         .examples = "mailkeep queue suppress add ada gone@example.org --reason \"asked for it\"",
         .run = cli_queue_suppress_add},
        {"queue suppress rm", "Let an account write to an address again",
         .args = {{"ACCOUNT", CLI_ACCOUNT}, {"ADDRESS", CLI_ANY}}, .takes_config = true,
         .has_json = true, .examples = "mailkeep queue suppress rm ada gone@example.org",
         .run = cli_queue_suppress_rm},
        {"queue retired list", "List mail that was delivered or has failed", .args = {QUEUE_IDS},
         .options = {QUEUE_FILTERS, QUEUE_ORDER}, .takes_config = true, .has_json = true,
         .help = "Kept for `queue.keep_retired`, without the text. The newest come "
                 "first. " QUEUE_FILTER_HELP,
         .examples = "mailkeep queue retired list --to @example.org",
         .run = cli_queue_retired_list},
        {"queue retired show", "Show one that was delivered or has failed",
         .args = {{"ID", CLI_ANY}}, .takes_config = true, .has_json = true,
         .help = "With all its attempts, and reports about it that came in.",
         .examples = "mailkeep queue retired show 42", .run = cli_queue_retired_show},

        {"secret set", "Keep a secret that a transport logs in with", .args = {{"NAME", CLI_ANY}},
         .takes_config = true, .has_json = true,
         .help = "The secret, usually a password at another server, is asked for on a terminal and "
                 "otherwise read as one line from standard input. The vault keeps it; the "
                 "configuration only names it (`secret: NAME` of a transport). It is never shown "
                 "again. A running server uses it from the next delivery on.",
         .examples = "mailkeep secret set smarthost < file", .run = cli_secret_set},
        {"secret rm", "Forget a secret", .args = {{"NAME", CLI_ANY}}, .takes_config = true,
         .has_json = true,
         .help = "Mail of a transport that still names it waits until it is set again.",
         .examples = "mailkeep secret rm smarthost", .run = cli_secret_rm},
        {"secret list", "List the names of secrets and the transports that use them",
         .takes_config = true, .has_json = true,
         .help = "Names that a transport has but the vault does not are shown as missing.",
         .examples = "mailkeep secret list", .run = cli_secret_list},

        {"dns lookup", "Look a name up in the DNS, and tell whether the answer is secure",
         .args = {{"TYPE", CLI_ANY}, {"NAME", CLI_ANY}}, .options = {CLI_RESOLVER_OPTIONS},
         .takes_config = true, .has_json = true,
         .help = "TYPE is A, AAAA, CAA, CNAME, MX, NS, PTR, SRV, TLSA or TXT; NAME is absolute, in "
                 "any script. The first line begins with secure (validated up to the trust "
                 "anchor), insecure (not signed) or bogus (validation failed; nothing is "
                 "shown then). Aliases (CNAME) that were followed come with the status of each. "
                 "The exit status is 0 when there was an answer, also that there is nothing.\n\n"
                 "The lookup is made by this command, from the root servers on or through the "
                 "--resolver, and validated; no server needs to run. With --running the resolver "
                 "of the running server is asked, which answers as it answers its own rooms: by "
                 "its configuration, from its cache.",
         .examples = "mailkeep dns lookup MX example.org\n"
                     "mailkeep dns lookup TLSA _25._tcp.mail.example.org --json\n"
                     "mailkeep dns lookup A example.org --resolver 192.0.2.53\n"
                     "mailkeep dns lookup MX example.org --running  # as the server sees it",
         .run = cli_dns_lookup},

        {"spf check", "Check whether a client may send mail under a name",
         .args = {{"IP", CLI_ANY}, {"HELO", CLI_ANY}, {"MAILFROM", CLI_ANY}},
         .options = {CLI_RESOLVER_OPTIONS,
                     {"receiver", "NAME", CLI_ANY, "Name of the host that receives the mail"}},
         .takes_config = true, .has_json = true,
         .help = "Does what the server does when a message comes in (RFC 7208). IP is the client's "
                 "address, HELO what it calls itself, MAILFROM the address in MAIL FROM; \"\" or "
                 "<> is that of notifications, for which the HELO name is checked. The first line "
                 "begins with the result: none, neutral, pass, fail, softfail, temperror or "
                 "permerror; below it stand the reason, the lookups with the DNSSEC status of "
                 "each, "
                 "the check of the HELO name and the header field that the server would write. The "
                 "exit status is 0 whatever the result.",
         .examples = "mailkeep spf check 192.0.2.1 mail.example.org ada@example.org\n"
                     "mailkeep spf check 2001:db8::1 mail.example.org \"\" --json",
         .run = cli_spf_check},
        {"spf lookup", "Show and explain the SPF record of a domain", .args = {{"DOMAIN", CLI_ANY}},
         .options = {CLI_RESOLVER_OPTIONS}, .takes_config = true, .has_json = true,
         .help = "The first line begins with found, none (no record), permerror (a record that "
                 "cannot be used, or several) or temperror (no answer), and has the DNSSEC status. "
                 "The exit status is 1 for the last two.",
         .examples = "mailkeep spf lookup example.org", .run = cli_spf_lookup},
        {"spf parse", "Explain an SPF record, or what is wrong with it",
         .args = {{"RECORD", CLI_ANY}}, .has_json = true,
         .help = "Nothing is looked up. A record that receivers could not use is shown with the "
                 "place and the way to mend it; the exit status is 1 then.",
         .examples = "mailkeep spf parse \"v=spf1 mx -all\"", .run = cli_spf_parse},
        {"dmarc lookup", "Show what a domain's owner wishes to be done with forged mail",
         .args = {{"DOMAIN", CLI_ANY}},
         .options = {CLI_RESOLVER_OPTIONS, {"discovery", "METHOD", CLI_ANY, CLI_DISCOVERY_HELP}},
         .takes_config = true, .has_json = true,
         .help = "Finds the DMARC record that applies to mail with this domain in From, as "
                 "RFC 9989 says: its own, that of the organizational domain, or that of the public "
                 "suffix. The first line begins with found, none, permerror or temperror. Below "
                 "stand the record in words, the policy, whether reports may go to the addresses "
                 "that it names, and every lookup with its DNSSEC status.",
         .examples = "mailkeep dmarc lookup example.org\n"
                     "mailkeep dmarc lookup mail.example.org --discovery psl --json",
         .run = cli_dmarc_lookup},
        {"dmarc verify", "Check a message by DMARC", .args = {{"FILE", CLI_ANY, true}},
         .options = {CLI_RESOLVER_OPTIONS,
                     {"discovery", "METHOD", CLI_ANY, CLI_DISCOVERY_HELP},
                     {"ip", "ADDRESS", CLI_ANY,
                      "Client that brought the message: iprev is checked"},
                     {"helo", "NAME", CLI_ANY, "What the client called itself"},
                     {"mail-from", "ADDRESS", CLI_ANY, "Sender in MAIL FROM"},
                     {"spf", "DOMAIN=RESULT", CLI_ANY,
                      "Result of SPF (may be given several times)"},
                     {"dkim", "DOMAIN=RESULT", CLI_ANY,
                      "Result of a DKIM signature (may be given several times)"},
                     {"receiver", "NAME", CLI_ANY, "Name in Authentication-Results (localhost)"}},
         .takes_config = true, .has_json = true,
         .help = "Reads the message from FILE or standard input; its From field says whose domain "
                 "is asked about. What SPF and DKIM found is told by --spf and --dkim, with "
                 "results "
                 "such as pass, fail, none or temperror. The first line begins with pass, fail, "
                 "none, temperror or permerror; below stand the reason, the policy, every step "
                 "with the DNSSEC status of each lookup, and the header field that the server "
                 "would write. The exit status is 0 whatever the result.",
         .examples = "mailkeep dmarc verify --dkim example.org=pass < message\n"
                     "mailkeep dmarc verify --ip 192.0.2.1 --spf mail.example.org=pass message.eml",
         .run = cli_dmarc_verify},
        {"dmarc parse", "Explain a DMARC record, or what is wrong with it",
         .args = {{"RECORD", CLI_ANY}}, .has_json = true,
         .help = "Nothing is looked up. The first line begins with valid, defective (something in "
                 "it is passed over, or it has no policy) or none (it is no DMARC record).",
         .examples = "mailkeep dmarc parse \"v=DMARC1; p=reject; rua=mailto:dmarc@example.org\"",
         .run = cli_dmarc_parse},

        {"dmarc received", "Show DMARC reports that others sent about our domains",
         .args = {{"DOMAIN", CLI_DOMAIN, true}},
         .options = {{"id", "N", CLI_ANY, "Show all of one report"}}, .takes_config = true,
         .has_json = true,
         .help = "Reports that came to the addresses of dmarc.reports, the newest first, with the "
                 "share of messages that DMARC did not pass. `not proven` are those whose own mail "
                 "did not pass: anybody may have written them.",
         .examples = "mailkeep dmarc received example.org\nmailkeep dmarc received --id 7",
         .run = cli_dmarc_received},
        {"dmarc record", "Print the TXT record of a domain's DMARC policy",
         .args = {{"DOMAIN", CLI_DOMAIN}}, .takes_config = true, .has_json = true,
         .help = "DOMAIN is one of this server's; its policy is what dmarc says in domains.yaml. "
                 "Where reports go to another domain, a second line is the record by which that "
                 "domain agrees.",
         .examples = "mailkeep dmarc record example.org", .run = cli_dmarc_record},

        {"iprev", "Check whether the name of an address leads back to it",
         .args = {{"ADDRESS", CLI_ANY}}, .options = {CLI_RESOLVER_OPTIONS}, .takes_config = true,
         .has_json = true,
         .help = "The first line begins with pass and the name, fail (no name leads back), "
                 "permerror (no name) or temperror, and has the DNSSEC status of both directions.",
         .examples = "mailkeep iprev 192.0.2.1", .run = cli_iprev},

        {"dnsbl check", "Ask a block list about an address or a domain",
         .args = {{"ZONE", CLI_ANY}, {"ADDRESS|DOMAIN", CLI_ANY}},
         .options = {CLI_RESOLVER_OPTIONS}, .takes_config = true, .has_json = true,
         .help = "The first line begins with listed, not-listed, failed (a lookup failed), refused "
                 "(the list does not answer us), broken (it is no block list) or not-asked. A "
                 "listing counts only when the list's test entries are as they must be.",
         .examples = "mailkeep dnsbl check bl.example.org 192.0.2.1\n"
                     "mailkeep dnsbl check dbl.example.org spam.example",
         .run = cli_dnsbl_check},
        {"dnsbl health", "Check whether a block list is one", .args = {{"ZONE", CLI_ANY}},
         .options = {CLI_RESOLVER_OPTIONS,
                     {"kind", "KIND", CLI_ANY, "ipv4, ipv6 or domain only (all of them)"}},
         .takes_config = true, .has_json = true,
         .help = "By the entries that every list must have and those that none may have (RFC 5782 "
                 "section 5). A line for each kind of entries begins with healthy, silent (the "
                 "list does not answer us), unknown or defective; healthy ones come first.",
         .examples = "mailkeep dnsbl health bl.example.org\n"
                     "mailkeep dnsbl health dbl.example.org --kind domain",
         .run = cli_dnsbl_health},
        {"dkim key add", "Make a DKIM key for a domain of this server",
         .args = {{"DOMAIN", CLI_DOMAIN}, {"SELECTOR", CLI_ANY}},
         .options = {{"type", "TYPE", CLI_ANY,
                      "rsa-2048 (the default), rsa-3072, rsa-4096, ed25519"},
                     {"import", "FILE", CLI_ANY, "Take the private key in this PEM file instead"}},
         .takes_config = true, .has_json = true,
         .help = "The key is kept in the vault and never shown. Nothing is signed with it until "
                 "`mailkeep dkim key sign`, so that its record can be published before. A domain "
                 "may sign with several keys, such as one of RSA and one of Ed25519." LIVE_HELP,
         .examples = "mailkeep dkim key add example.org 2026a --type ed25519",
         .run = cli_dkim_key_add},
        {"dkim key sign", "Sign mail of a domain with a key, or no longer",
         .args = {{"DOMAIN", CLI_DOMAIN}, {"SELECTOR", CLI_ANY}},
         .options = {{"stop", NULL, CLI_ANY, "Sign no longer with it; the key is kept"},
                     {"unchecked", NULL, CLI_ANY, "Do not look whether its record is published"},
                     CLI_RESOLVER_OPTIONS},
         .takes_config = true, .has_json = true,
         .help = "Before that it is looked up whether the key's record is in the DNS: without it, "
                 "receivers could not verify what was signed." LIVE_HELP,
         .examples = "mailkeep dkim key sign example.org 2026a\n"
                     "mailkeep dkim key sign example.org 2025a --stop",
         .run = cli_dkim_key_sign},
        {"dkim key rm", "Remove a DKIM key",
         .args = {{"DOMAIN", CLI_DOMAIN}, {"SELECTOR", CLI_ANY}},
         .options = {{"force", NULL, CLI_ANY, "Even the only one that signs"}},
         .takes_config = true, .has_json = true,
         .help = "From the configuration and the vault, for good. Leave its record in the DNS for "
                 "a "
                 "week: mail that it signed may be under way." LIVE_HELP,
         .examples = "mailkeep dkim key rm example.org 2025a", .run = cli_dkim_key_rm},
        {"dkim key list", "List the DKIM keys of this server's domains",
         .args = {{"DOMAIN", CLI_DOMAIN, true}}, .takes_config = true, .has_json = true,
         .help = "Keys of which the vault or the configuration does not know are shown as such.",
         .examples = "mailkeep dkim key list", .run = cli_dkim_key_list},
        {"dkim key record", "Print the records of DKIM keys, or compare them with the DNS",
         .args = {{"DOMAIN", CLI_DOMAIN}, {"SELECTOR", CLI_ANY, true}},
         .options = {{"check", NULL, CLI_ANY,
                      "Look them up; the exit status is 1 unless all are there"},
                     CLI_RESOLVER_OPTIONS},
         .takes_config = true, .has_json = true, .help = "As lines of a zone file.",
         .examples = "mailkeep dkim key record example.org --check", .run = cli_dkim_key_record},
        {"dkim rotate", "Replace the keys that sign mail of a domain",
         .args = {{"DOMAIN", CLI_DOMAIN}},
         .options = {{"unchecked", NULL, CLI_ANY, "Do not look whether the records are published"},
                     CLI_RESOLVER_OPTIONS},
         .takes_config = true, .has_json = true,
         .help = "In two steps. The first one makes a new key for each that signs, of the same "
                 "type, "
                 "and prints the records to publish. The second one, the same command again, looks "
                 "whether they are published and signs with the new keys from then on. The old "
                 "keys "
                 "stay until `mailkeep dkim key rm`." LIVE_HELP,
         .examples = "mailkeep dkim rotate example.org", .run = cli_dkim_rotate},
        {"dkim verify", "Verify the DKIM signatures of messages", .args = {DKIM_FILES},
         .options = {CLI_RESOLVER_OPTIONS, DKIM_AT("Judge as if it was")}, .takes_config = true,
         .has_json = true,
         .help = "The first line of each message begins with the best result of its signatures: "
                 "none, pass, fail, policy, neutral, temperror or permerror. Below it stand each "
                 "signature with its result, and the lookups of keys with their DNSSEC status. The "
                 "exit status is 0 when each message has a signature that passes." DKIM_LINES_HELP,
         .examples = "mailkeep dkim verify message.eml\n"
                     "mailkeep dkim verify --json < message.eml",
         .run = cli_dkim_verify},
        {"dkim sign", "Sign messages with DKIM", .args = {DKIM_FILES},
         .options = {DKIM_SIGNER,
                     {"identity", "ADDRESS", CLI_ANY, "For i=: of the domain or below it"},
                     {"canon", "HEADER/BODY", CLI_ANY, "simple or relaxed (relaxed/relaxed)"},
                     {"no-oversign", NULL, CLI_ANY, "Let fields be added that are signed"},
                     {"expire", "TIME", CLI_ANY, "How long it shall be valid, such as 7d"},
                     DKIM_AT("Sign as if it was")},
         .has_json = true,
         .help = "Prints the DKIM-Signature fields, which belong before the message. Several "
                 "signatures are made at once when --selector and --key are lists with commas; "
                 "--domain may be one for all." DKIM_LINES_HELP,
         .examples = "mailkeep dkim sign --domain example.org --selector 2024a --key 2024a.pem "
                     "--message < message.eml",
         .run = cli_dkim_sign},
        {"dkim genkey", "Make a DKIM key and print it with its record",
         .options = {{"type", "TYPE", CLI_ANY,
                      "rsa-2048 (the default), rsa-3072, rsa-4096 or ed25519"},
                     {"selector", "SELECTOR", CLI_ANY, "For the record's name"},
                     {"domain", "DOMAIN", CLI_ANY, "For the record's name"}},
         .has_json = true,
         .help = "Prints the private key (PKCS #8 in PEM form) and the line for the zone file. Not "
                 "every receiver understands ed25519: sign with an RSA key, too.",
         .examples = "mailkeep dkim genkey --selector 2024a --domain example.org > 2024a.pem",
         .run = cli_dkim_genkey},
        {"dkim txt", "Print the record for a key", .args = {{"FILE", CLI_ANY, true}},
         .options = {{"selector", "SELECTOR", CLI_ANY, "For the record's name"},
                     {"domain", "DOMAIN", CLI_ANY, "For the record's name"}},
         .has_json = true,
         .help = "FILE is a private or public key in PEM form; without it standard input is read. "
                 "Prints the record, and the line for the zone file.",
         .examples = "mailkeep dkim txt 2024a.pem --selector 2024a --domain example.org",
         .run = cli_dkim_txt},
        {"dkim lookup", "Look a DKIM key up and explain it",
         .args = {{"SELECTOR", CLI_ANY}, {"DOMAIN", CLI_ANY}}, .options = {CLI_RESOLVER_OPTIONS},
         .takes_config = true, .has_json = true,
         .help = "The first word is the best result that a signature with this key can have: pass, "
                 "policy, permerror or temperror; the exit status is 0 for pass.",
         .examples = "mailkeep dkim lookup 2024a example.org", .run = cli_dkim_lookup},

        {"arc verify", "Verify the ARC chains of messages", .args = {DKIM_FILES},
         .options = {CLI_RESOLVER_OPTIONS, DKIM_AT("Judge as if it was")}, .takes_config = true,
         .has_json = true,
         .help = "The first line of each message begins with none, pass or fail. Below it stand "
                 "the sets, the newest first, with what each sealer says to have found, and the "
                 "lookups of keys with their DNSSEC status. The exit status is 0 when all chains "
                 "pass." DKIM_LINES_HELP,
         .examples = "mailkeep arc verify message.eml", .run = cli_arc_verify},
        {"arc seal", "Add an ARC set to messages", .args = {DKIM_FILES},
         .options = {DKIM_SIGNER,
                     {"results", "TEXT", CLI_ANY,
                      "What was found, as in Authentication-Results: host; arc=none; spf=pass"},
                     {"cv", "none|pass|fail", CLI_ANY,
                      "State of the chain as it came, instead of verifying it"},
                     DKIM_AT("Seal as if it was"),
                     CLI_RESOLVER_OPTIONS},
         .takes_config = true, .has_json = true,
         .help = "Prints the three fields, which belong before the message; nothing for a chain "
                 "that was marked as failed before." DKIM_LINES_HELP,
         .examples = "mailkeep arc seal --domain example.org --selector 2024a --key 2024a.pem "
                     "--results \"mx.example.org; arc=none; spf=pass\" < message.eml",
         .run = cli_arc_seal},

        {"dane record", "Print TLSA records: of this server's keys, or of a file",
         .args = {{"FILE", CLI_ANY, true}},
         .options = {{"usage", "N", CLI_ANY, "3: this server, 2: an authority; also 0 and 1 (3)"},
                     {"selector", "N", CLI_ANY, "0: the certificate, 1: its public key (1)"},
                     {"matching", "N", CLI_ANY, "0: all of it, 1: SHA-256, 2: SHA-512 (1)"},
                     {"host", "HOST", CLI_ANY, "Print a line for the zone of this host"},
                     {"port", "N", CLI_ANY, "Port of that line (25)"}},
         .takes_config = true, .has_json = true,
         .help = "Without FILE, lines for the zone: for each host name under which the running "
                 "server takes mail, of the keys it has for it (in use) and those that "
                 "listeners.*.tls.next_keys names (next).\n\n"
                 "FILE has a certificate or a public key in PEM form, never a private key. Usages "
                 "2 and 0 take the last certificate in it, the authority behind a chain; the "
                 "others the first.\n\n"
                 "Publish the record of a new key two times its TTL before the key is used, and "
                 "leave the old one there as long after it.",
         .examples = "mailkeep dane record\nmailkeep dane record fullchain.pem\n"
                     "mailkeep dane record cert.pem --host mx.example.org\n"
                     "mailkeep dane record ca.pem --usage 2 --selector 0",
         .run = cli_dane_record},
        {"dane dial", "Connect to a server and compare its certificate with its TLSA records",
         .args = {{"HOST:PORT", CLI_ANY}},
         .options = {{"starttls", "smtp", CLI_ANY, "Begin in clear, as mail servers do"},
                     {"ehlo", "NAME", CLI_ANY, "Name to say (of this machine)"},
                     CLI_CA_OPTION,
                     CLI_RESOLVER_OPTIONS},
         .has_json = true,
         .help = "The first line begins with verified (the certificate fits), mismatch (it does "
                 "not), unusable (no record can be used), none (there is no DANE) or failed (of "
                 "the DNS or the connection). Below it stand the answers of the DNS with their "
                 "DNSSEC status, each TLSA record with its verdict and the certificates.\n\n"
                 "Usages 2 and 3 count, as between mail servers (RFC 7672).",
         .examples = "mailkeep dane dial mx.example.org:25 --starttls smtp\n"
                     "mailkeep dane dial www.example.org:443 --json",
         .run = cli_dane_dial},
        {"dane dialmx", "Show what would happen to a message for a domain, and why",
         .args = {{"DOMAIN", CLI_ANY}},
         .options = {{"all", NULL, CLI_ANY, "Look at all hosts, not only up to the first good one"},
                     {"requiretls", NULL, CLI_ANY, "As for a message with REQUIRETLS"},
                     {"tls-optional", NULL, CLI_ANY, "As for one with `TLS-Required: No`"},
                     {"port", "N", CLI_ANY, "Port of the mail servers (25)"},
                     {"https-port", "N", CLI_ANY, "Port of the policy host (443)"},
                     {"ehlo", "NAME", CLI_ANY, "Name to say (of this machine)"},
                     CLI_CA_OPTION,
                     CLI_RESOLVER_OPTIONS},
         .has_json = true,
         .help = "Decides as the server would, by MX records, MTA-STS and DANE, and connects to "
                 "each host as far as TLS; no message is sent. The first line begins with "
                 "verified, encrypted or clear (it would be sent so), deferred or failed. Below "
                 "it stands all that this rests on: each answer of the DNS with its DNSSEC "
                 "status, the policy, each TLSA record with its verdict, the certificates, the "
                 "decision.\n\n"
                 "Nothing of the server's config is read: routes and transports do not count. The "
                 "exit status is 0 when the message would be sent.",
         .examples = "mailkeep dane dialmx example.org\n"
                     "mailkeep dane dialmx example.org --all --json",
         .run = cli_dane_dialmx},
        {"mtasts lookup", "Show the MTA-STS policy of a domain", .args = {{"DOMAIN", CLI_ANY}},
         .options = {{"port", "N", CLI_ANY, "Port of the policy host (443)"},
                     CLI_CA_OPTION,
                     CLI_RESOLVER_OPTIONS},
         .has_json = true,
         .help = "The first line begins with enforce, testing or none (the policy's mode), absent "
                 "(none is announced), invalid (one is announced, but cannot be had or read) or "
                 "unknown (the DNS did not tell). Below it stand the record, how the policy was "
                 "fetched, its lines, and which MX hosts it names.",
         .examples =
                 "mailkeep mtasts lookup example.org\nmailkeep mtasts lookup example.org --json",
         .run = cli_mtasts_lookup},
        {"mtasts record", "Print the TXT record that announces a domain's MTA-STS policy",
         .args = {{"DOMAIN", CLI_DOMAIN}}, .takes_config = true, .has_json = true,
         .help = "DOMAIN is one of this server's; its policy is what mta_sts says in domains.yaml. "
                 "The id is made of the policy and changes with it: publish the new policy first, "
                 "then the record.",
         .examples = "mailkeep mtasts record example.org", .run = cli_mtasts_record},
        {"mtasts policy", "Print the MTA-STS policy of a domain of this server",
         .args = {{"DOMAIN", CLI_DOMAIN}}, .takes_config = true, .has_json = true,
         .help = "The text that https://mta-sts.DOMAIN/.well-known/mta-sts.txt must give, as "
                 "text/plain.",
         .examples = "mailkeep mtasts policy example.org > mta-sts.txt", .run = cli_mtasts_policy},
        {"tlsrpt record", "Print the TXT record that asks others for reports of TLS",
         .args = {{"DOMAIN", CLI_DOMAIN}}, .takes_config = true, .has_json = true,
         .help = "DOMAIN is one of this server's; tls_reports in domains.yaml says where reports "
                 "go.",
         .examples = "mailkeep tlsrpt record example.org", .run = cli_tlsrpt_record},
        {"mtasts list", "Show the MTA-STS policies that the server keeps",
         .args = {{"DOMAIN", CLI_ANY, true}}, .takes_config = true, .has_json = true,
         .help = "Of each domain that mail was sent to: the mode of its policy (failed: there is "
                 "none, since it could not be fetched; expired: mail goes without it), when it "
                 "was fetched, until when it holds, when it was last used, and what MX hosts it "
                 "names. Policies survive a restart.",
         .examples = "mailkeep mtasts list\nmailkeep mtasts list example.org --json",
         .run = cli_mtasts_list},
        {"mtasts forget", "Have the server forget the MTA-STS policy of a domain",
         .args = {{"DOMAIN", CLI_ANY}}, .takes_config = true, .has_json = true,
         .help = "For a domain that has published a wrong policy and would otherwise be held to "
                 "it. The next message to the domain looks for its policy anew.",
         .examples = "mailkeep mtasts forget example.org", .run = cli_mtasts_forget},
        {"tlsrpt received", "Show reports of TLS that others sent about our domains",
         .args = {{"DOMAIN", CLI_DOMAIN, true}},
         .options = {{"id", "N", CLI_ANY, "Show all of one report"}}, .takes_config = true,
         .has_json = true,
         .help = "Reports that came to the addresses of tls_reports, the newest first, with the "
                 "share of sessions that were not as the domain's policy wants them. `not proven` "
                 "are those whose mail did not pass DMARC: anybody may have written them.",
         .examples = "mailkeep tlsrpt received\nmailkeep tlsrpt received --id 7",
         .run = cli_tlsrpt_received},
        {"tlsrpt lookup", "Show where a domain wants reports about TLS with its servers",
         .args = {{"DOMAIN", CLI_ANY}}, .options = {CLI_RESOLVER_OPTIONS}, .has_json = true,
         .help = "The first line begins with found, absent or unknown (the DNS did not tell).",
         .examples = "mailkeep tlsrpt lookup example.org", .run = cli_tlsrpt_lookup},
        {"tlsrpt show", "Show what was counted for TLS reports, and what was sent",
         .args = {{"DOMAIN", CLI_ANY, true}},
         .options = {{"day", "DATE", CLI_ANY, "Only this UTC day (2026-03-09, today, yesterday)"}},
         .takes_config = true, .has_json = true,
         .help = "Of each domain that mail was sent to, and each host with TLSA records, a line a "
                 "day: whether it is still counted, waits for its time, is sent or was not, and "
                 "why. With DOMAIN also the sessions: which policy they met, and by what they "
                 "failed. Kept for two weeks.",
         .examples =
                 "mailkeep tlsrpt show --day yesterday\nmailkeep tlsrpt show example.org --json",
         .run = cli_tlsrpt_show},
        {"dmarc show", "Show what was counted for DMARC reports, and what was sent",
         .args = {{"DOMAIN", CLI_ANY, true}},
         .options = {{"day", "DATE", CLI_ANY, "Only this UTC day (2026-03-09, today, yesterday)"}},
         .takes_config = true, .has_json = true,
         .help = "Of each domain whose DMARC record asks for reports, a line a day: whether it is "
                 "still counted, waits for its time, is sent or was not, and why. With DOMAIN also "
                 "the messages: where they came from, what was found and what became of them. Kept "
                 "for two weeks.",
         .examples = "mailkeep dmarc show --day yesterday\nmailkeep dmarc show example.org --json",
         .run = cli_dmarc_show},
        {"reports send", "Send the reports that wait, without waiting for the end of the day",
         .options = {{"day", "DATE", CLI_ANY, "Only those of this UTC day"}}, .takes_config = true,
         .has_json = true,
         .help = "What was counted until now is reported about; what comes later today gets "
                 "reports "
                 "of its own. Nothing is sent twice.",
         .examples = "mailkeep reports send\nmailkeep reports send --day yesterday",
         .run = cli_reports_send},

        {"sendmail", "Submit a message from standard input, as programs do with sendmail(8)",
         .args = {{"RECIPIENT", CLI_ANY, true, true}}, .own_options = true,
         .help = "For cron, scripts and mail programs; also reached through a link named sendmail. "
                 "The message goes to the server that $HOME/.config/mailkeep/sendmail.yaml or "
                 "/etc/mailkeep/sendmail.yaml names, and without either to the mailkeep of this "
                 "host, where the unix_users of an account allow it. Missing From, Date and "
                 "Message-ID are added, Bcc is removed.\n\n"
                 "Mail that cannot be sent is kept in $HOME/dead-letters. The exit status is one "
                 "of sysexits.h. `mailkeep sendmail --help` lists options and fields.",
         .examples = "mailkeep sendmail -t < message\n"
                     "mailkeep sendmail -i -f ada@example.org -- charles@example.org < message",
         .run = cli_sendmail},

        {"help", "Explain a command", .args = {{"COMMAND", CLI_COMMAND, true, true}},
         .examples = "mailkeep help account add", .run = cli_help},
        {"man", "Print a manual page", .args = {{"PAGE", CLI_PAGE, true}},
         .help = "PAGE is mailkeep (the default), mailkeep.yaml or domains.yaml.",
         .examples = "mailkeep man mailkeep.yaml | man -l -", .run = cli_man},
        {"completion", "Print completion for a shell",
         .args = {{"SHELL", CLI_SHELL}, {"WORD", CLI_ANY, true, true}}, .takes_config = true,
         .help = "SHELL is bash, zsh or fish. With `candidates` the WORDs are a command line as "
                 "far as it "
                 "is typed, and what may stand in place of the last is printed.",
         .examples = "source <(mailkeep completion bash)\n"
                     "mailkeep completion fish > ~/.config/fish/completions/mailkeep.fish",
         .run = cli_completion},
        {"version", "Print the version", .has_json = true, .examples = "mailkeep version",
         .run = cli_version},
};

const size_t cli_n_commands = N_ELEMENTS(cli_commands);

bool cli_accepts_common(const struct cli_command *command, size_t option)
{
	if (option == CLI_OPTION_CONFIG)
		return command->takes_config;
	return option == CLI_OPTION_HELP || command->has_json;
}

const char *cli_option(const struct cli *cli, const char *name)
{
	for (size_t i = 0; i < CLI_OPTIONS_MAX && cli->command->options[i].name; i++)
		if (strcmp(cli->command->options[i].name, name) == 0)
			return cli->values[i];
	BUG("a command asks for an option that it did not declare");
}
