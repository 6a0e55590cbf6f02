/* Mail that could not be sent, kept where its user finds it. */
#pragma once

#include "cli/sendmail_message.h"

#include "os/fault.h"

struct sendmail_kept {
	const char *directory; /* NULL: dead-letters below home */
	const char *home;      /* may be NULL */
	struct slice header;   /* with CRLF, without the blank line */
	int body_fd;
	uint64_t body_size;
	struct slice explanation; /* what happened, for the file beside it */
	int64_t now_s;
};

/* Writes the message as NAME.eml and the explanation as NAME.txt, both on stable storage when it
 * returns OK; the directory is created, for the user alone. Where that cannot be, in a directory of
 * the user's own below /var/tmp. path receives the message's file. */
struct status sendmail_keep(const struct sendmail_kept *kept, struct buf *path,
                            struct os_fault *ret_fault);
