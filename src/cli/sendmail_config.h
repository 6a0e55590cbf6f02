/* sendmail.yaml: to which server mail from this host goes.
 *
 * The user's own $HOME/.config/mailkeep/sendmail.yaml is read when it is there, else
 * /etc/mailkeep/sendmail.yaml, else there is only the local server's socket. */
#pragma once

#include "config/problem.h"
#include "sasl/client.h"
#include "vault/secret.h"

#define SENDMAIL_CONFIG_MAX   ((size_t)64 * 1024) /* bytes of the file */
#define SENDMAIL_PASSWORD_MAX ((size_t)1024)

enum sendmail_tls {
	SENDMAIL_TLS_AUTO, /* implicit at port 465, else starttls */
	SENDMAIL_TLS_IMPLICIT,
	SENDMAIL_TLS_STARTTLS,
	SENDMAIL_TLS_NONE,
};

struct sendmail_config {
	const char *file; /* NULL: there was none */
	const char *host; /* NULL: the local server, by its socket */
	uint32_t port;
	enum sendmail_tls tls;
	const char *user;
	const char *password_file;
	const char *password;
	const char *ca;
	const char *certificate;
	const char *certificate_key;
	enum sasl_mechanism mechanisms[SASL_MECHANISM_COUNT];
	size_t n_mechanisms;
	const char *socket;
	const char *sender;
	const char *full_name;
	const char *domain;
	const char *default_recipient;
	const char *keep;
	const char *ehlo_name;
	uint32_t timeout_s;
	struct secret secret; /* the password, wherever it came from; empty: none */
	struct arena arena;
	struct config_problems problems;
};

/* Reads the file (NULL: looks for one). NOT_FOUND, DENIED, IO: it cannot be read; INVALID: problems
 * say what is wrong; *ret_why (in the arena) is one sentence. Call done in any case. */
struct status sendmail_config_read(struct sendmail_config *config, const char *file,
                                   const char *home, const char **ret_why);
void sendmail_config_done(struct sendmail_config *config); /* safe on a zeroed one and twice */

/* The fields, explained. */
void sendmail_config_print(struct buf *out);
