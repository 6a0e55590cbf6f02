/* What the files of the client share. */
#pragma once

#include "smtp/client.h"

#define SMTP_CLIENT_COMMAND_MAX ((size_t)4096) /* octets of a command line we write */

struct smtp_client_timeouts
smtp_client_timeouts_or_default(const struct smtp_client_timeouts *timeouts);

/* Nothing may have come before a command is sent: a 421 ends the connection in good order, anything
 * else is a reply to nothing (PROTOCOL). */
struct status smtp_client_expect_quiet(struct smtp_client *c, enum smtp_step step);

/* Writes a line with its CRLF. A CR, LF or NUL in it, or one that did not fit, is INVALID, and
 * nothing is written. */
struct status smtp_client_write_line(struct smtp_client *c, const struct buf *line);

/* Reads a reply into c->reply; a failure breaks the connection and is recorded. A 421 breaks it
 * too, but is a reply like others. */
struct status smtp_client_read_reply(struct smtp_client *c, enum smtp_step step, int timeout_ms);

/* expect_quiet, write_line, read_reply; text may hold no CR, LF, NUL. */
struct status smtp_client_command(struct smtp_client *c, enum smtp_step step, struct slice text);

/* Records that c->reply was not what is wanted: TEMPORARY for 4yz, PERMANENT for 5yz; PROTOCOL, and
 * the connection is broken, for other codes. */
struct status smtp_client_refused(struct smtp_client *c, enum smtp_step step);
/* Records a failure of the connection, which is broken from now on; gives back the status. */
struct status smtp_client_lost(struct smtp_client *c, enum smtp_step step, struct status status);

/* An outcome from c->reply, or from a failed connection. Text lives in the arena. */
struct smtp_outcome smtp_outcome_of_reply(const struct smtp_client *c, enum smtp_step step,
                                          struct arena *arena);
struct smtp_outcome smtp_outcome_of_status(enum smtp_step step, struct status status,
                                           struct arena *arena);
/* One whose reason is here and not with a reply. */
struct smtp_outcome smtp_outcome_local(enum smtp_outcome_kind kind, enum smtp_step step,
                                       const char *enhanced, const char *why);

/* --- client_content.c --- */

/* Sends prefix and content behind a 354, ends it, and reads the answer into c->reply. *ret_ended:
 * all of it was handed to the network, so that a failure now leaves it unknown what the server made
 * of it. *ret_fault, when set, is a fault of the message or of reading it (kind not NONE): the
 * connection is broken then, so that the server drops what it has. */
struct status smtp_client_send_data(struct smtp_client *c, const struct smtp_message *message,
                                    bool *ret_ended, struct smtp_outcome *ret_fault);
/* The same with one BDAT LAST (RFC 3030 section 2). */
struct status smtp_client_send_bdat(struct smtp_client *c, const struct smtp_message *message,
                                    bool *ret_ended, struct smtp_outcome *ret_fault);
