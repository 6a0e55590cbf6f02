/* The fields stand in one table, from which reading and help derive. All are optional. */
#include "cli/sendmail_config.h"

#include "config/suggest.h"
#include "config/yaml_tree.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define SYSTEM_FILE    "/etc/mailkeep/sendmail.yaml"
#define DEFAULT_SOCKET "/var/lib/mailkeep/submit.sock"
#define TIMEOUT_S      60
#define ARENA_BUDGET   ((size_t)2 * 1024 * 1024)

enum field_type {
	FIELD_TEXT,
	FIELD_NUMBER,
	FIELD_TLS,
	FIELD_MECHANISMS,
};

struct field {
	const char *name;
	enum field_type type;
	size_t at;
	uint32_t max;
	const char *doc;
};

#define AT(member) offsetof(struct sendmail_config, member)

static const struct field fields[] = {
        {"host", FIELD_TEXT, AT(host), 0,
         "name of the submission server; without it mail goes to the mailkeep of this host, by its "
         "socket, where the account's unix_users allow it"},
        {"port", FIELD_NUMBER, AT(port), 65535, "its port: 465 or 587 (the default, by tls)"},
        {"tls", FIELD_TLS, AT(tls), 0,
         "implicit (the default at port 465), starttls (else), or none (on loopback only); the "
         "certificate is always verified"},
        {"ca", FIELD_TEXT, AT(ca), 0, "file of certificates to trust besides the system's"},
        {"certificate", FIELD_TEXT, AT(certificate), 0,
         "file with a client certificate to show to the server, whose key logs in (EXTERNAL)"},
        {"certificate_key", FIELD_TEXT, AT(certificate_key), 0,
         "file with its private key; default: the file of the certificate"},
        {"user", FIELD_TEXT, AT(user), 0, "name to log in with"},
        {"password_file", FIELD_TEXT, AT(password_file), 0,
         "file whose first line is the password"},
        {"password", FIELD_TEXT, AT(password), 0,
         "the password itself; only in a file that nobody else can read"},
        {"mechanisms", FIELD_MECHANISMS, AT(mechanisms), 0,
         "SASL mechanisms to use, best first; default: the strongest that the server offers"},
        {"socket", FIELD_TEXT, AT(socket), 0, "the local server's socket (" DEFAULT_SOCKET ")"},
        {"sender", FIELD_TEXT, AT(sender), 0,
         "address of the sender where -f gives none; default: the user at domain"},
        {"full_name", FIELD_TEXT, AT(full_name), 0,
         "name for a From that is missing, where -F gives none; default: the user's"},
        {"domain", FIELD_TEXT, AT(domain), 0,
         "domain for addresses without one; default: that of sender, else the host's name"},
        {"default_recipient", FIELD_TEXT, AT(default_recipient), 0,
         "address that gets what is sent to names without a domain (root, cron)"},
        {"keep", FIELD_TEXT, AT(keep), 0,
         "directory for mail that could not be sent ($HOME/dead-letters)"},
        {"ehlo_name", FIELD_TEXT, AT(ehlo_name), 0, "our name for EHLO; default: the host's"},
        {"timeout", FIELD_NUMBER, AT(timeout_s), 3600, "seconds to wait for the server (60)"},
};

static const char *const tls_names[] = {"auto", "implicit", "starttls", "none"};

/* --- values --- */

struct reading {
	struct sendmail_config *config;
	const char *file;
};

/* value: what is wrong, quoted; empty: the sentence says it all. */
static void problem(struct reading *r, const struct yaml_node *node, struct slice value,
                    const char *why)
{
	struct config_problems *problems = &r->config->problems;
	if (value.n == 0)
		config_problem_add(problems, CONFIG_ERROR, yaml_place(r->file, node), "%s\n", why);
	else
		config_problem_add(problems, CONFIG_ERROR, yaml_place(r->file, node), "%s %s\n",
		                   config_quote(problems, value), why);
}

static void read_text(struct reading *r, const struct field *field, const struct yaml_node *node)
{
	char *text = arena_cstr(&r->config->arena, node->value);
	if (!text || node->value.n == 0 || slice_has_control(node->value))
		problem(r, node, slice_str(field->name), "must be a text in one line");
	else
		*(const char **)(void *)((char *)r->config + field->at) = text;
}

static void read_number(struct reading *r, const struct field *field, const struct yaml_node *node)
{
	uint32_t value;
	if (!slice_to_u32(node->value, field->max, &value) || value == 0)
		problem(r, node, node->value, "is no number in range");
	else
		*(uint32_t *)(void *)((char *)r->config + field->at) = value;
}

static void read_tls(struct reading *r, const struct yaml_node *node)
{
	for (size_t i = 0; i < N_ELEMENTS(tls_names); i++) {
		if (slice_eq_str(node->value, tls_names[i])) {
			r->config->tls = (enum sendmail_tls)i;
			return;
		}
	}
	problem(r, node, node->value, "is not implicit, starttls or none");
}

static void add_mechanism(struct reading *r, const struct yaml_node *node)
{
	struct sendmail_config *c = r->config;
	enum sasl_mechanism mechanism;
	if (node->kind != YAML_SCALAR || !sasl_mechanism_of(node->value, &mechanism))
		problem(r, node, node->value, "is no mechanism that is known");
	else if (c->n_mechanisms == N_ELEMENTS(c->mechanisms))
		problem(r, node, slice_empty(), "there are too many mechanisms");
	else
		c->mechanisms[c->n_mechanisms++] = mechanism;
}

static void read_mechanisms(struct reading *r, const struct yaml_node *node)
{
	if (node->kind == YAML_SCALAR)
		add_mechanism(r, node);
	for (const struct yaml_node *item = node->kind == YAML_LIST ? node->first : NULL; item;
	     item = item->next)
		add_mechanism(r, item);
}

/* --- fields --- */

static void unknown_field(struct reading *r, const struct yaml_node *key)
{
	struct suggest near;
	suggest_init(&near, key->value);
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		suggest_offer(&near, slice_str(fields[i].name));
	config_problem_add(&r->config->problems, CONFIG_ERROR, yaml_place(r->file, key),
	                   "there is no field %s\n%s%.*s%s",
	                   config_quote(&r->config->problems, key->value),
	                   near.best.n > 0 ? "did you mean " : "", SLICE_FMT(near.best),
	                   near.best.n > 0 ? "?" : "");
}

static void read_field(struct reading *r, const struct yaml_node *node)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
		const struct field *field = &fields[i];
		if (!slice_eq_str(node->key->value, field->name))
			continue;
		if (node->kind == YAML_NULL)
			return;
		if (field->type == FIELD_MECHANISMS)
			read_mechanisms(r, node);
		else if (node->kind != YAML_SCALAR)
			problem(r, node, slice_str(field->name), "takes one value");
		else if (field->type == FIELD_TEXT)
			read_text(r, field, node);
		else if (field->type == FIELD_NUMBER)
			read_number(r, field, node);
		else
			read_tls(r, node);
		return;
	}
	unknown_field(r, node->key);
}

static void check_together(struct reading *r, const struct yaml_node *root, bool is_private)
{
	const struct sendmail_config *c = r->config;
	if (c->password && c->password_file)
		problem(r, root, slice_empty(), "password and password_file are both given");
	if (c->password && !is_private)
		problem(r, root, slice_empty(),
		        "others can read this file, which holds a password");
	if (c->host && !c->user && (c->password || c->password_file))
		problem(r, root, slice_empty(), "there is a password and no user");
	if (c->user && !c->password && !c->password_file && !c->certificate)
		problem(r, root, slice_empty(), "there is a user and no password");
	if (c->certificate_key && !c->certificate)
		problem(r, root, slice_empty(), "there is a certificate_key and no certificate");
	if (!c->host && (c->user || c->port > 0 || c->ca || c->certificate))
		problem(r, root, slice_empty(), "host is missing");
}

/* --- files --- */

/* Links are followed: people keep their settings elsewhere. */
static struct status read_any(struct sendmail_config *c, const char *path, size_t max,
                              struct slice *ret_text, bool *ret_private, const char **ret_why)
{
	struct stat facts;
	struct os_fault fault = {.text = "cannot be read"};
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		*ret_why = arena_printf(&c->arena, "%s: %s", path, os_errno_text(errno));
		return fail_errno(errno, "a file cannot be opened");
	}
	struct status status = file_read_fd(fd, max, &c->arena, ret_text, &fault);
	if (!is_ok(status))
		*ret_why = arena_printf(&c->arena, "%s: %s", path, fault.text);
	*ret_private = fstat(fd, &facts) == 0 && (facts.st_mode & (S_IRGRP | S_IROTH)) == 0;
	return status;
}

static struct status read_password(struct sendmail_config *c, const char **ret_why)
{
	struct slice text, line, rest;
	bool is_private;
	secret_init(&c->secret, SENDMAIL_PASSWORD_MAX);
	if (c->password)
		return secret_set(&c->secret, slice_str(c->password));
	if (!c->password_file)
		return ok();
	TRY(read_any(c, c->password_file, SENDMAIL_PASSWORD_MAX + 2, &text, &is_private, ret_why));
	(void)slice_cut(text, '\n', &line, &rest);
	line.n -= slice_ends(line, SLICE("\r"));
	if (line.n == 0) {
		*ret_why = arena_printf(&c->arena, "%s holds no password", c->password_file);
		return fail(ERR_INVALID, "no password");
	}
	return secret_set(&c->secret, line);
}

static struct status explain(struct sendmail_config *c, const char **ret_why)
{
	struct buf text;
	buf_init(&text, 100000);
	config_problems_sort(&c->problems);
	for (size_t i = 0; i < c->problems.n; i++)
		config_problem_print(&c->problems.v[i], NULL, &text);
	struct slice all = slice_trim(buf_slice(&text));
	*ret_why = arena_cstr(&c->arena, all);
	buf_done(&text);
	return fail(ERR_INVALID, "the configuration has errors");
}

static struct status bind_fields(struct sendmail_config *c, struct slice text, bool is_private,
                                 const char **ret_why)
{
	struct reading r = {.config = c, .file = c->file};
	struct yaml_node *root = NULL;
	struct status status = yaml_read(text, c->file, &c->arena, &c->problems, &root);
	if (is_ok(status) && root->kind == YAML_MAP) {
		for (const struct yaml_node *node = root->first; node; node = node->next)
			read_field(&r, node);
		check_together(&r, root, is_private);
	} else if (is_ok(status) && root->kind != YAML_NULL) {
		problem(&r, root, slice_empty(), "the file holds no fields");
	}
	return c->problems.n_errors > 0 ? explain(c, ret_why) : ok();
}

static struct status read_file(struct sendmail_config *c, const char **ret_why)
{
	struct slice text;
	bool is_private;
	TRY(read_any(c, c->file, SENDMAIL_CONFIG_MAX, &text, &is_private, ret_why));
	TRY(bind_fields(c, text, is_private, ret_why));
	return read_password(c, ret_why);
}

struct status sendmail_config_read(struct sendmail_config *config, const char *file,
                                   const char *home, const char **ret_why)
{
	struct stat facts;
	*config = (struct sendmail_config){.socket = DEFAULT_SOCKET, .timeout_s = TIMEOUT_S};
	arena_init(&config->arena, ARENA_BUDGET);
	config_problems_init(&config->problems);
	*ret_why = "";
	if (!file && home) {
		const char *own =
		        arena_printf(&config->arena, "%s/.config/mailkeep/sendmail.yaml", home);
		file = own && stat(own, &facts) == 0 ? own : NULL;
	}
	if (!file && stat(SYSTEM_FILE, &facts) == 0)
		file = SYSTEM_FILE;
	config->file = file;
	return file ? read_file(config, ret_why) : ok();
}

void sendmail_config_done(struct sendmail_config *config)
{
	secret_done(&config->secret);
	config_problems_done(&config->problems);
	arena_done(&config->arena);
}

void sendmail_config_print(struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		buf_printf(out, "  %s: %s\n", fields[i].name, fields[i].doc);
}
