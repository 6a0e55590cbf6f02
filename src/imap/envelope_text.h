/* Texts as SEARCH compares them: fields decoded and made comparable (RFC 9051 section 6.4.4,
 * i;unicode-casemap), read from a header or from the ENVELOPE that the store keeps. */
#pragma once

#include "base/buf.h"

/* Buffers for one text after the other. */
struct imap_fold {
	struct buf folded; /* the result */
	struct buf decoded, unescaped;
};
void imap_fold_init(struct imap_fold *fold);
void imap_fold_done(struct imap_fold *fold);

/* Appends a header's value with its encoded words (RFC 2047) decoded. */
void imap_fold_words(struct imap_fold *fold, struct slice value);

enum imap_envelope_field {
	IMAP_ENVELOPE_SUBJECT,
	IMAP_ENVELOPE_FROM,
	IMAP_ENVELOPE_TO,
	IMAP_ENVELOPE_CC,
	IMAP_ENVELOPE_BCC,
};

/* fold->folded becomes the field's text: of addresses "name <local@domain>, ...". False when the
 * envelope does not tell all of it (the message was too complicated for one, or has more addresses
 * than one has room for): then the header must be asked. */
bool imap_envelope_text(struct slice envelope, enum imap_envelope_field field,
                        struct imap_fold *fold);
