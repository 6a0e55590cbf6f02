/* Session scripts for the client: what it says and what a server answers, as text.
 *
 *     C: EHLO client.example          the client must have sent this line with its CRLF
 *     D: Hi\r\n.\r\n                  the client must have sent this, escapes resolved (\r \n
 * \\ \xHH) S: 220 mx ESMTP                 the server sends this line and CRLF R: 250 no CRLF
 * behind\x00       the server sends this, escapes resolved X: tls                          the
 * client shakes hands; it succeeds X: tls fails                    it fails T: 5000 the clock moves
 * (milliseconds) E: timeout                      the server stays silent until the client gives up
 *     E: close                        the server hangs up; so does the end of the script
 *     E: refuse                       writing fails from here on: the server has closed
 *
 * A plan says what is asked of the client, one letter a step: g greet, t start_tls, T the same
 * required, a auth, s send, r reset, q quit. What came of it is written to a log, a line a step and
 * a line a recipient, and compared.
 */
#pragma once

#include "base/stream_mem.h"
#include "smtp/client.h"

#define SMTP_CLIENT_SCRIPT_RCPTS 300

struct smtp_client_script {
	struct stream_mem mem; /* first member */
	struct stream_ops ops;
	struct clock clock;
	int64_t now_ms;
	struct slice rest; /* of the script */
	size_t n_heard;    /* octets of output matched so far */
	bool refusing;     /* E: refuse has been met */
	bool closed;
	const char *wrong;
	struct slice where;
	struct smtp_client_tls tls;
	struct smtp_client_options options; /* may be changed before running */
	struct sasl_client_options credentials;
	struct smtp_message message;
	struct smtp_content content;
	struct slice body;
	struct smtp_recipient recipients[SMTP_CLIENT_SCRIPT_RCPTS];
	size_t n_recipients;
	struct smtp_client client;
	struct arena arena;
	struct buf log;
	size_t n_fed; /* octets the server sent */
	size_t n_cut; /* the server hangs up after so many; SIZE_MAX: never */
};

/* recipients: parted by blanks. chunk: octets the network delivers at once; 0: all. */
void smtp_client_script_init(struct smtp_client_script *s, const char *script,
                             const char *recipients, size_t chunk);
void smtp_client_script_done(struct smtp_client_script *s);
/* Runs the plan; false when the conversation went otherwise than written. */
bool smtp_client_script_run(struct smtp_client_script *s, const char *plan);
