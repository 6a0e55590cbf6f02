/* A message as a program hands it to sendmail(8), made into one that can be submitted.
 *
 * Line ends become CRLF; a line "." ends the input unless dots are to be ignored; an mbox "From "
 * line at the start is dropped. Of the header: Bcc, Return-Path and Content-Length are removed,
 * missing Date, From and Message-ID are added (RFC 6409 section 8), and what is not ASCII is
 * encoded (RFC 2047) where it can be. The header is kept in memory, the body in a nameless
 * temporary file, so memory is bounded whatever comes.
 */
#pragma once

#include "message/address.h"
#include "message/compose.h"

#define SENDMAIL_HEADER_MAX     ((size_t)1024 * 1024)
#define SENDMAIL_SIZE_MAX       ((uint64_t)4 * GIB)
#define SENDMAIL_RECIPIENTS_MAX ((size_t)10000)

/* What has come, before anything is added. */
struct sendmail_input {
	struct buf header; /* CRLF line ends, no blank line */
	int body_fd;       /* the blank line and what follows it */
	uint64_t body_size;
	bool has_8bit;     /* in the body */
	const char *fault; /* why it cannot be sent; NULL: it can. All of it is kept all the same */
};

void sendmail_input_init(struct sendmail_input *input);
void sendmail_input_done(struct sendmail_input *input); /* safe twice */

/* Reads fd to its end. directory: for the temporary file. Fails when reading or writing does. */
struct status sendmail_input_read(struct sendmail_input *input, int fd, bool ignore_dots,
                                  const char *directory);

/* What the header lacks is taken from here. */
struct sendmail_defaults {
	const char *from;      /* "local@domain" */
	const char *full_name; /* UTF-8; may be "" or NULL */
	const char *domain;    /* for addresses without one, and for the Message-ID */
	int64_t now_s;
	uint64_t random[2]; /* for the Message-ID */
};

struct sendmail_message {
	struct buf header;                      /* completed, with CRLF, without the blank line */
	bool utf8;                              /* the header is not ASCII */
	char message_id[200];                   /* with its brackets; "" when the header had one */
	struct message_address_list recipients; /* of To, Cc, Bcc or, when there are such, of
	                                           Resent-To, Resent-Cc, Resent-Bcc */
	struct arena arena;
};

void sendmail_message_done(struct sendmail_message *message); /* safe on a zeroed one and twice */

/* INVALID, with a sentence, when nothing that can be sent can be made of it. */
struct status sendmail_message_complete(const struct sendmail_input *input,
                                        const struct sendmail_defaults *defaults,
                                        struct sendmail_message *ret_message);

/* "local@domain", the local part quoted where it must be, the default domain added where there is
 * none. False for what is no mailbox. */
bool sendmail_address_print(const struct message_address *address, const char *domain,
                            struct buf *out);
