/* sendmail(8) for programs: a message on standard input goes to the configured submission server,
 * or to the mailkeep of this host.
 *
 * Once the message has been read it is never lost: what cannot be sent, to all or to some, is kept
 * in the user's dead-letters with an account of what happened and the command to send it again.
 * Exit status is that of sysexits.h.
 */
#include "cli/cli.h"

#include "cli/sendmail_keep.h"
#include "cli/sendmail_options.h"
#include "cli/sendmail_submit.h"
#include "os/clock.h"

#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>

#define HOST_NAME_SIZE 256
#define SHOWN_MAX      20 /* recipients that are named one by one */
#define TEXT_MAX       ((size_t)4 * 1024 * 1024)
#define OUTCOMES_MAX   ((size_t)64 * 1024 * 1024) /* bytes of what a server said, all in all */

struct sending {
	struct sendmail_options options;
	struct sendmail_config config;
	struct sendmail_input input;
	struct sendmail_message message;
	struct arena arena;
	char host_name[HOST_NAME_SIZE];
	const char *home;
	const char *user_name;
	const char *full_name; /* of the password file */
	const char *domain;
	const char *sender; /* envelope; "" for the null path */
	struct smtp_recipient *recipients;
	size_t n_recipients;
	struct smtp_outcome *outcomes; /* NULL: nothing was tried */
	struct buf complaint;          /* what went wrong, a line each */
	bool completed;
};

PRINTF(2, 3) static void complain(struct sending *s, const char *format, ...)
{
	char text[2000];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_add_str(&s->complaint, text);
	buf_add_byte(&s->complaint, '\n');
}

/* --- who and where --- */

static void find_user(struct sending *s)
{
	const struct passwd *user = getpwuid(geteuid());
	const char *home = getenv("HOME");
	s->user_name = user ? arena_printf(&s->arena, "%s", user->pw_name)
	                    : arena_printf(&s->arena, "%u", (unsigned)geteuid());
	s->home = home && home[0] == '/' ? home
	          : user                 ? arena_printf(&s->arena, "%s", user->pw_dir)
	                                 : NULL;
	if (!user || !user->pw_gecos)
		return;
	struct slice name, rest;
	(void)slice_cut(slice_str(user->pw_gecos), ',', &name, &rest);
	if (!slice_has_control(name))
		s->full_name = arena_cstr(&s->arena, name);
}

/* A name that may stand in EHLO and behind an @. */
static void find_host_name(struct sending *s)
{
	struct smtp_host host;
	if (gethostname(s->host_name, sizeof(s->host_name) - 1) < 0 ||
	    !is_ok(smtp_helo_parse(slice_str(s->host_name), &host)))
		snprintf(s->host_name, sizeof(s->host_name), "localhost");
}

static void find_domain(struct sending *s)
{
	const char *at = s->config.sender ? strrchr(s->config.sender, '@') : NULL;
	s->domain = s->config.domain ? s->config.domain : at ? at + 1 : s->host_name;
}

/* --- addresses --- */

/* The address as the envelope has it, in the arena; NULL when it is none. */
static const char *print_address(struct sending *s, const struct message_address *address)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 1000);
	if (address->domain.n == 0 && s->config.default_recipient)
		buf_add_str(&text, s->config.default_recipient);
	else if (!sendmail_address_print(address, s->domain, &text))
		return NULL;
	return buf_failed(&text) ? NULL : arena_cstr(&s->arena, buf_slice(&text));
}

static bool have_recipient(const struct sending *s, const char *address)
{
	for (size_t i = 0; i < s->n_recipients; i++)
		if (slice_eq_str(s->recipients[i].address, address))
			return true;
	return false;
}

static int add_recipients(struct sending *s, const struct message_address_list *list,
                          const char *where)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct message_address *a = &list->v[i];
		if (a->kind == MESSAGE_ADDRESS_GROUP_START || a->kind == MESSAGE_ADDRESS_GROUP_END)
			continue;
		const char *address = print_address(s, a);
		if (!address) {
			complain(s, "%s: `%.*s` is no address", where,
			         SLICE_FMT(slice_sub(a->localpart, 0, 200)));
			return EX_DATAERR;
		}
		if (have_recipient(s, address))
			continue;
		if (s->n_recipients == SENDMAIL_RECIPIENTS_MAX) {
			complain(s, "there are more than %zu recipients", SENDMAIL_RECIPIENTS_MAX);
			return EX_DATAERR;
		}
		s->recipients[s->n_recipients++] = (struct smtp_recipient){
		        .address = slice_str(address),
		        .notify = s->options.notify,
		        .orcpt = slice_empty(),
		};
	}
	return 0;
}

static int collect_recipients(struct sending *s)
{
	s->recipients = base_alloc(SENDMAIL_RECIPIENTS_MAX * sizeof(*s->recipients));
	for (size_t i = 0; i < s->options.n_recipients; i++) {
		struct message_address_list list;
		message_addresses_parse(slice_str(s->options.recipients[i]), &s->arena, &list);
		int failed = add_recipients(s, &list, "a recipient");
		if (failed)
			return failed;
	}
	int failed = s->options.header_recipients
	                     ? add_recipients(s, &s->message.recipients, "the header")
	                     : 0;
	if (failed || s->n_recipients > 0)
		return failed;
	complain(s, "%s",
	         s->options.header_recipients ? "no recipients stand in the header"
	                                      : "no recipients are given");
	return EX_USAGE;
}

/* -f, else the configuration, else the user of this host. */
static int find_sender(struct sending *s)
{
	struct message_address_list list;
	const char *given = s->options.from ? s->options.from : s->config.sender;
	if (given && (given[0] == 0 || strcmp(given, "<>") == 0)) {
		s->sender = "";
		return 0;
	}
	message_addresses_parse(slice_str(given ? given : s->user_name), &s->arena, &list);
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 1000);
	if (list.n != 1 || !sendmail_address_print(&list.v[0], s->domain, &text)) {
		complain(s, "the sender `%s` is no address", given ? given : s->user_name);
		return s->options.from ? EX_USAGE : EX_CONFIG;
	}
	s->sender = arena_cstr(&s->arena, buf_slice(&text));
	return 0;
}

/* --- the message --- */

static const char *temporary_directory(void)
{
	const char *from_environment = getenv("TMPDIR");
	return from_environment && from_environment[0] == '/' ? from_environment : "/tmp";
}

static int read_input(struct sending *s)
{
	struct status status = sendmail_input_read(&s->input, STDIN_FILENO, s->options.ignore_dots,
	                                           temporary_directory());
	if (is_ok(status))
		return 0;
	fprintf(stderr, "sendmail: the message was not sent and not kept: %s\n", status.why);
	return status.code == ERR_LIMIT ? EX_DATAERR : EX_IOERR;
}

static int complete(struct sending *s)
{
	const char *name = s->options.full_name  ? s->options.full_name
	                   : s->config.full_name ? s->config.full_name
	                                         : s->full_name;
	struct sendmail_defaults defaults = {
	        .from = s->sender[0] ? s->sender
	                             : arena_printf(&s->arena, "%s@%s", s->user_name, s->domain),
	        .full_name = name,
	        .domain = s->domain,
	        .now_s = clock_now_s(clock_real()),
	};
	if (getentropy(defaults.random, sizeof(defaults.random)) < 0)
		return EX_OSERR;
	struct status status = sendmail_message_complete(&s->input, &defaults, &s->message);
	if (!is_ok(status)) {
		complain(s, "the message cannot be sent: %s", status.why);
		return EX_DATAERR;
	}
	s->completed = true;
	if (!s->input.fault)
		return 0;
	complain(s, "the message cannot be sent: %s", s->input.fault);
	return EX_DATAERR;
}

/* --- sending --- */

static int exit_of_status(enum err code)
{
	if (code == ERR_INVALID)
		return EX_CONFIG;
	if (code == ERR_DENIED || code == ERR_AUTH)
		return EX_NOPERM;
	if (code == ERR_PERMANENT)
		return EX_UNAVAILABLE;
	return code == ERR_NOT_FOUND ? EX_NOHOST : EX_TEMPFAIL;
}

static int exit_of_outcome(const struct smtp_outcome *o)
{
	if (o->kind == SMTP_OUTCOME_DELIVERED)
		return 0;
	if (o->kind != SMTP_OUTCOME_FAILED)
		return EX_TEMPFAIL;
	return strncmp(o->enhanced, "5.1.", 4) == 0 ? EX_NOUSER : EX_UNAVAILABLE;
}

/* A failure for good counts more than one for now. */
static int judge(struct sending *s)
{
	int result = 0;
	size_t n_shown = 0, n_failed = 0;
	for (size_t i = 0; i < s->n_recipients; i++) {
		const struct smtp_outcome *o = &s->outcomes[i];
		int one = exit_of_outcome(o);
		if (one == 0)
			continue;
		n_failed++;
		if (result == 0 || result == EX_TEMPFAIL)
			result = one;
		if (n_shown++ < SHOWN_MAX)
			complain(s, "%.*s: %s", SLICE_FMT(s->recipients[i].address), o->why);
	}
	if (n_failed > SHOWN_MAX)
		complain(s, "and %zu more recipients", n_failed - SHOWN_MAX);
	return result;
}

static int submit(struct sending *s)
{
	struct smtp_content_file file = {.fd = s->input.body_fd};
	struct smtp_content content = smtp_content_of_file(&file, s->input.body_size);
	const struct smtp_message message = {
	        .sender = slice_str(s->sender),
	        .prefix = buf_slice(&s->message.header),
	        .content = &content,
	        .has_8bit = s->input.has_8bit,
	        .utf8 = s->message.utf8,
	        .ret = s->options.ret,
	        .envid = slice_str(s->options.envid),
	};
	struct smtp_outcome *outcomes = base_alloc(s->n_recipients * sizeof(*outcomes));
	struct sendmail_submission submission = {
	        .config = &s->config,
	        .ehlo_name = s->config.ehlo_name ? s->config.ehlo_name : s->host_name,
	        .verbose = s->options.verbose,
	        .message = &message,
	        .recipients = s->recipients,
	        .n = s->n_recipients,
	        .outcomes = outcomes,
	        .arena = &s->arena,
	};
	struct status status = sendmail_submit(&submission);
	if (!is_ok(status)) {
		base_free(outcomes);
		complain(s, "%s", submission.why);
		return exit_of_status(status.code);
	}
	s->outcomes = outcomes;
	return judge(s);
}

/* --- keeping --- */

static void add_quoted(struct buf *out, struct slice word)
{
	buf_add_str(out, " '");
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '\'')
			buf_add_str(out, "'\\'");
		buf_add_byte(out, word.p[i]);
	}
	buf_add_byte(out, '\'');
}

static bool was_taken(const struct sending *s, size_t i)
{
	return s->outcomes && s->outcomes[i].kind == SMTP_OUTCOME_DELIVERED;
}

/* What stands beside a kept message. */
static void explain(const struct sending *s, struct buf *out)
{
	buf_add_str(out, "This message was not sent:\n\n");
	buf_add(out, buf_slice(&s->complaint));
	buf_add_str(out, "\nTo send it again, in this directory:\n\nmailkeep sendmail -i");
	if (s->sender) {
		buf_add_str(out, " -f");
		add_quoted(out, slice_str(s->sender));
	}
	buf_add_str(out, " --");
	for (size_t i = 0; i < s->n_recipients; i++)
		if (!was_taken(s, i))
			add_quoted(out, s->recipients[i].address);
	if (s->n_recipients == 0)
		buf_add_str(out, " RECIPIENT");
	buf_add_str(out, " < the file of the same name that ends in .eml\n");
}

static int keep(struct sending *s, int result)
{
	CLEANUP(buf_done) struct buf path;
	CLEANUP(buf_done) struct buf explanation;
	struct os_fault fault = {.text = "unknown reason"};
	buf_init(&path, 10000);
	buf_init(&explanation, TEXT_MAX);
	explain(s, &explanation);
	const struct sendmail_kept kept = {
	        .directory = s->config.keep,
	        .home = s->home,
	        .header = buf_slice(s->completed ? &s->message.header : &s->input.header),
	        .body_fd = s->input.body_fd,
	        .body_size = s->input.body_size,
	        .explanation = buf_slice(&explanation),
	        .now_s = clock_now_s(clock_real()),
	};
	struct slice line, rest = buf_slice(&s->complaint);
	while (rest.n > 0) {
		(void)slice_cut(rest, '\n', &line, &rest);
		fprintf(stderr, "sendmail: %.*s\n", SLICE_FMT(line));
	}
	if (is_ok(sendmail_keep(&kept, &path, &fault))) {
		fprintf(stderr, "sendmail: the message was not sent%s; it is kept in %s\n",
		        s->outcomes && s->n_recipients > 1 ? " to all its recipients" : "",
		        buf_cstr(&path));
		return result;
	}
	fprintf(stderr, "sendmail: the message was not sent, and it could not be kept: %s\n",
	        fault.text);
	return EX_CANTCREAT;
}

/* --- the command --- */

static int send_it(struct sending *s)
{
	const char *why;
	struct status status = sendmail_config_read(&s->config, s->options.config, s->home, &why);
	if (!is_ok(status)) {
		complain(s, "%s", why && why[0] ? why : status.why);
		return EX_CONFIG;
	}
	find_domain(s);
	int failed = find_sender(s);
	if (!failed)
		failed = complete(s);
	if (!failed)
		failed = collect_recipients(s);
	return failed ? failed : submit(s);
}

static void init(struct sending *s)
{
	arena_init(&s->arena, OUTCOMES_MAX);
	buf_init(&s->complaint, TEXT_MAX);
	sendmail_input_init(&s->input);
	find_user(s);
	find_host_name(s);
	s->domain = s->host_name;
}

static void done(struct sending *s)
{
	base_free(s->outcomes);
	base_free(s->recipients);
	sendmail_message_done(&s->message);
	sendmail_input_done(&s->input);
	sendmail_config_done(&s->config);
	buf_done(&s->complaint);
	arena_done(&s->arena);
}

static void print_help(void)
{
	struct buf text;
	buf_init(&text, 100000);
	buf_add_str(&text, "usage: sendmail [OPTION ...] [--] [RECIPIENT ...] < MESSAGE\n\n");
	sendmail_options_print(&text);
	buf_add_str(&text, "\nFields of $HOME/.config/mailkeep/sendmail.yaml and "
	                   "/etc/mailkeep/sendmail.yaml:\n");
	sendmail_config_print(&text);
	cli_put(&text);
	buf_done(&text);
}

/* What needs no message. -1: go on and send. */
static int without_message(const struct sending *s, int parsed)
{
	if (parsed != 0) {
		fprintf(stderr, "sendmail: %s\n", s->options.refusal);
		return parsed;
	}
	if (s->options.action == SENDMAIL_HELP)
		print_help();
	if (s->options.action != SENDMAIL_SEND)
		return 0;
	if (s->options.n_recipients > 0 || s->options.header_recipients)
		return -1;
	fputs("sendmail: no recipients are given (-t takes those of the header)\n", stderr);
	return EX_USAGE;
}

int cli_sendmail(struct cli *cli)
{
	struct sending *s = base_alloc(sizeof(*s));
	const char **recipients = base_alloc((cli->n_args + 1) * sizeof(*recipients));
	int parsed = sendmail_options_parse(&s->options, cli->args, cli->n_args, recipients);
	int result = without_message(s, parsed);
	if (result < 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		init(s);
		result = read_input(s);
		if (result == 0)
			result = send_it(s);
		if (result != 0 && s->input.body_size > 0)
			result = keep(s, result);
		else if (result == 0 && s->options.verbose)
			fprintf(stderr, "sent to %zu recipients\n", s->n_recipients);
		done(s);
	}
	base_free(recipients);
	base_free(s);
	return result;
}
