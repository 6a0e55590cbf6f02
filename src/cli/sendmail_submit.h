/* Handing a message to the submission server, or to the mailkeep of this host by its socket. */
#pragma once

#include "cli/sendmail_config.h"
#include "os/fault.h"
#include "smtp/client.h"

struct sendmail_submission {
	const struct sendmail_config *config;
	const char *ehlo_name;
	bool verbose;
	const struct smtp_message *message;
	const struct smtp_recipient *recipients;
	size_t n;
	struct smtp_outcome *outcomes; /* one for each recipient, set on return */
	struct arena *arena;           /* outcomes and reasons live in it */
	const char *why;               /* when nothing could be tried: what happened */
};

/* OK when the server was asked; the outcomes say what it said. Else nothing was sent: TEMPORARY and
 * the network's codes may be better another time, the others need a person. */
struct status sendmail_submit(struct sendmail_submission *s);

/* --- sendmail_connect.c --- */

/* A TCP connection to the first address of the host that answers; *ret_loopback: it is of this
 * host. */
struct status sendmail_connect(const char *host, uint32_t port, uint32_t timeout_s, int *ret_fd,
                               bool *ret_loopback, struct os_fault *ret_fault);
struct status sendmail_connect_socket(const char *path, int *ret_fd, struct os_fault *ret_fault);
