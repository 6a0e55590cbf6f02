/* Connections of commands that look at other servers: TLS with the authorities of this system or of
 * --ca, and one session as far as TLS. */
#pragma once

#include "cli/cli.h"
#include "delivery/tls_facts.h"

#define CLI_CA_OPTION                                                                              \
	{                                                                                          \
		"ca", "FILE", CLI_ANY, "Authorities to believe (PEM) instead of this system's"     \
	}

struct cli_tls {
	struct tls_library *library;
	struct tls_authorities *authorities;
	struct tls_client *client;
};

/* 0, or the failure's exit status when it is explained already. */
int cli_tls_open(struct cli *cli, struct cli_tls *tls);
void cli_tls_done(struct cli_tls *tls);

struct cli_dial {
	const struct cli_tls *tls;
	const struct delivery_ip *ips; /* in the order to be tried */
	size_t n_ips;
	uint16_t port;
	struct tls_target target;
	bool smtp;        /* greeting, EHLO, STARTTLS; else TLS from the first byte */
	bool must;        /* STARTTLS is asked for even when it is not offered */
	const char *ehlo; /* our name */
	int timeout_ms;   /* of each step */
};

struct cli_session {
	enum delivery_tls_progress progress;
	const char *address; /* that was reached; "" */
	const char *helo;    /* what the server calls itself; "" */
	bool requiretls;     /* is offered behind TLS */
	struct stream_tls tls;
	struct tls_verdict verdict; /* its findings are the arena's */
	struct tls_sent sent;
	const char *why; /* why it did not come further; "" */
};

/* Connects, looks and says goodbye. Memory is the arena's. */
void cli_dial(const struct cli_dial *dial, struct arena *arena, struct cli_session *ret_session);

/* --ehlo, else the name of this machine. */
const char *cli_ehlo_name(const struct cli *cli, struct arena *arena);
/* The value of an option that is a port; 0 where it was not given. Explains itself. */
int cli_port_option(const struct cli *cli, const char *name, uint16_t *ret_port);
