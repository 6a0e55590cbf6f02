/* One smtp_client_send under way: what client_send.c and client_prepare.c share. */
#pragma once

#include "smtp/client_private.h"

enum smtp_send_state {
	SMTP_SEND_WAITING,  /* for a transaction */
	SMTP_SEND_ACCEPTED, /* RCPT was answered with 250 or 251 */
	SMTP_SEND_NEXT,     /* too many: goes with the next transaction */
	SMTP_SEND_SETTLED,  /* has its outcome */
};

struct smtp_send_rcpt {
	enum smtp_send_state state;
	struct smtp_path path;
};

struct smtp_send {
	struct smtp_client *c;
	const struct smtp_message *message;
	const struct smtp_recipient *recipients;
	struct smtp_outcome *outcomes;
	size_t n;
	struct arena *arena; /* the caller's, for what outcomes hold */
	struct arena own;    /* paths */
	struct smtp_path sender;
	struct smtp_send_rcpt *rcpts;
	size_t *members; /* of the transaction: indexes into rcpts */
	size_t n_members;
	bool use_utf8, use_bdat, pipelining; /* for all transactions */
	/* of the transaction under way */
	unsigned n_transaction;
	size_t n_accepted;
	bool mail_refused;
	uint16_t data_code; /* the reply to DATA; 0: none yet */
};

void smtp_send_init(struct smtp_send *t, struct smtp_client *c, const struct smtp_message *message,
                    const struct smtp_recipient *recipients, size_t n,
                    struct smtp_outcome *outcomes, struct arena *arena);
void smtp_send_done(struct smtp_send *t);

/* Parses the addresses and compares the message with what the server announced: who cannot be
 * served here is settled. */
void smtp_send_prepare(struct smtp_send *t);

/* The commands, without CRLF. */
void smtp_send_print_mail(const struct smtp_send *t, struct buf *line);
void smtp_send_print_rcpt(const struct smtp_send *t, size_t i, struct buf *line);
