/* The server's answer to EHLO (RFC 5321 section 4.1.1.1), for reception, and for submission before
 * and behind the login. */
#pragma once

#include "base/buf.h"

struct smtp_extensions {
	const char *hostname; /* ASCII */
	uint64_t message_size;
	uint32_t rcpts;
	uint32_t transactions;         /* 0: not said */
	const char *const *mechanisms; /* of AUTH, ends with NULL; NULL or empty: none */
	bool starttls;
	bool tls;        /* is on */
	bool submission; /* with what reception does not have */
	uint64_t hold_s; /* submission: longest FUTURERELEASE */
	int64_t now_s;   /* unix */
};

/* All lines of the reply with their CRLFs. */
void smtp_extensions_print(const struct smtp_extensions *extensions, struct buf *out);
