/* Session scripts: what a client says and must hear, as text.
 *
 *     S: 220 mx.example.org ESMTP c1        the server sends this line ("*" at the end: any rest)
 *     C: EHLO client.example                the client sends this line and CRLF
 *     D: no CRLF behind this\r\n\x00\.      the client sends this, escapes resolved
 *     T: 5000                               the clock moves (milliseconds)
 *     E: timeout                            the client stays silent until the session gives up
 *     E: close                              the client hangs up
 *     E: wake                               the wake fd becomes readable
 *
 * Lines of the client that follow each other arrive together (pipelined). The server's lines must
 * have been sent, and flushed, before it reads on. A script's end hangs up.
 */
#pragma once

#include "base/stream_mem.h"
#include "smtp/server_fake.h"

struct smtp_script {
	struct stream_mem mem; /* first member */
	struct stream_ops ops;
	struct smtp_fake fake;
	struct smtp_server_options options; /* set up; a test may change them before running */
	struct smtp_server_summary summary;
	const char *text;
	struct slice rest;  /* of the script */
	size_t n_heard;     /* octets of output matched so far */
	const char *wrong;  /* NULL while all is as written */
	struct slice where; /* the script line that was not met */
};

/* chunk: octets the client's network delivers at once; 0 for all there are. */
void smtp_script_init(struct smtp_script *script, const char *text, size_t chunk);
void smtp_script_done(struct smtp_script *script);
/* Runs the session; false (and wrong, where) when it went otherwise than written. */
bool smtp_script_run(struct smtp_script *script);
