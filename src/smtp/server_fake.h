/* A backend for tests, fuzzers and benches: decides by the addresses' local parts, keeps what it is
 * told in a log of text lines, and carries a clock set by hand.
 *
 * Recipients at example.org are local but for those named: nobody (550 5.1.1), disabled
 * (550 5.2.1), full (452 4.2.2), shut (421 4.3.2), rude (a text that no reply can hold). Other
 * domains: 550 5.7.1. Senders: bad (refused), nospace (data_open fails). Content that holds
 * DISKFULL fails in data_write, REJECT in data_end, SILENT gets the default reply there.
 */
#pragma once

#include "smtp/server.h"

#define SMTP_FAKE_LOG_MAX ((size_t)8 * 1024 * 1024)

struct smtp_fake {
	struct clock clock; /* first member */
	int64_t now_ms;
	struct buf log;
	struct buf content; /* of the message under way */
	bool quiet;         /* log nothing, keep no content: for benches */
	bool tell_refused;  /* log the text of refused commands */
	bool open;
	uint32_t n_messages;
	uint64_t n_octets; /* of accepted messages */
};

void smtp_fake_init(struct smtp_fake *fake);
void smtp_fake_done(struct smtp_fake *fake);

/* Default options on this backend and clock; the caller sets the stream. */
void smtp_fake_options(struct smtp_fake *fake, struct stream *stream,
                       struct smtp_server_options *ret_options);
