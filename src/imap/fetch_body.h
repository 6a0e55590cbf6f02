/* Body sections of one message, written straight from where the store has the bytes. */
#pragma once

#include "imap/fetch_items.h"
#include "imap/session_private.h"

/* Makes `entry`'s message the session's parsed one (its structure is read when it is needed).
 * NOT_FOUND when it was expunged meanwhile. */
struct status imap_open_message(struct imap_session *s, const struct store_entry *entry);
bool imap_is_open(const struct imap_session *s, const struct store_entry *entry);
/* The same with a blob that is open already; takes it. */
void imap_set_message(struct imap_session *s, const struct store_entry *entry,
                      struct store_blob *blob);
/* None is open then, but memory for the next structure is kept. */
void imap_close_message(struct imap_session *s);

/* Writes " NAME value" for a section of the open message. UNSUPPORTED, with nothing written: a
 * transfer encoding that nobody knows. Other failures: the message cannot be read. */
struct status imap_write_section(struct imap_session *s, const struct imap_section *section,
                                 const char *separator);

/* After a command: keeps what makes the next partial fetch of a large message cheap, no more. */
void imap_shrink_parsed(struct imap_session *s);

/* Size of the header that a message starts with, its blank line included: what message_parse gives
 * as the root's header_size, without looking at the rest. False when the blank line is not in
 * `block`. */
bool imap_header_size(struct slice block, uint64_t *ret_size);

struct status imap_message_root(struct imap_session *s, const struct message_part **ret_root);

/* Bytes of the open message, appended. */
struct status imap_read_bytes(struct imap_session *s, uint64_t offset, uint64_t size,
                              struct buf *out);
/* The open message's start with all of its header, at most MESSAGE_HEADER_SIZE_MAX bytes: in the
 * store's memory, or read into `bytes`. What follows the blank line may be there too. */
struct status imap_header_block(struct imap_session *s, struct buf *bytes, struct slice *ret_block);

/* ---- what fetch_body.c and fetch_binary.c share --------------------------------------------- */

/* BINARY[section]<partial>, BINARY.SIZE[section]; as imap_write_section. */
struct status imap_write_binary(struct imap_session *s, const struct imap_section *section,
                                const char *separator);
/* " NAME[section]<origin> " */
void imap_write_section_name(struct imap_session *s, const struct imap_section *section,
                             const char *separator);
void imap_write_literal_head(struct imap_session *s, uint64_t size);
