/* A stream on memory, for session scripts and fuzzers: input is given beforehand or fed between
 * steps, in pieces of any size; output is collected. No blocking: where a real stream would wait, a
 * callback may feed more, and without it the read ends the connection. */
#pragma once

#include "base/stream.h"

struct stream_mem {
	struct stream stream; /* first member: &m->stream is what a session gets */
	struct buf input;     /* not yet read by the session */
	size_t input_at;
	struct buf output; /* all that the session has sent */
	size_t chunk;      /* bytes given per read; 0 gives all there is */
	bool allow_tls;    /* start_tls succeeds and sets stream.tls.on */
	/* Called when input is empty: feeds more with stream_mem_feed and returns true, or returns
	 * false: the peer has closed. May be NULL. */
	bool (*more)(struct stream_mem *m, void *context);
	void *context;
};

void stream_mem_init(struct stream_mem *m, struct slice input, size_t chunk);
void stream_mem_done(struct stream_mem *m);
void stream_mem_feed(struct stream_mem *m, struct slice bytes);
static inline struct slice stream_mem_output(const struct stream_mem *m)
{
	return buf_slice(&m->output);
}
