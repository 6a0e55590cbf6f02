/* The session shared by server.c (lines, replies, time), server_commands.c, server_content.c. */
#pragma once

#include "smtp/header_scan.h"
#include "smtp/server.h"

enum smtp_state {
	SMTP_STATE_NEW,           /* no EHLO or HELO yet, or forgotten by STARTTLS */
	SMTP_STATE_READY,         /* no transaction */
	SMTP_STATE_MAIL,          /* MAIL accepted; RCPTs come */
	SMTP_STATE_CHUNKS,        /* at least one BDAT accepted */
	SMTP_STATE_CHUNKS_FAILED, /* a BDAT failed: only RSET helps (RFC 3030 section 2) */
};

/* A message on its way in. */
struct smtp_content {
	bool open; /* the backend has it: data_end or data_abort is due */
	struct smtp_data data;
	struct smtp_header_scan scan;
	struct smtp_reply refusal; /* what it will be answered, once code is not 0 */
	uint64_t n_dropped;        /* octets read after that */
};

struct smtp_session {
	const struct smtp_server_options *options;
	struct stream *stream;
	enum smtp_state state;
	struct smtp_envelope envelope;
	struct arena arena; /* of the transaction */
	size_t rcpts_capacity;
	struct smtp_content content;
	struct buf reply; /* scratch */
	enum smtp_verb verb;
	bool saw_auth;     /* a line that began with AUTH: what follows may be a password */
	struct slice line; /* of the command under way; empty once its buffer is reused */
	char helo_name[SMTP_DOMAIN_MAX + 1];
	int64_t started_ms;
	uint32_t n_idle; /* commands that do nothing, since the last accepted message */
	uint32_t n_refused_rcpts;
	bool stop;
	struct smtp_server_summary *summary;
};

/* The one place where the state changes. */
void smtp_session_enter(struct smtp_session *s, enum smtp_state state);

/* Sends a reply (none for code 0), counts it and tells the backend. 421 ends the session, and so
 * does one error too many. A text that could not be sent is replaced by the row's own. */
void smtp_session_say(struct smtp_session *s, struct smtp_reply reply);
void smtp_session_event(struct smtp_session *s, enum smtp_event_kind kind, struct smtp_reply reply);
/* Ends the session without a reply. */
void smtp_session_stop(struct smtp_session *s, const char *why);
/* The connection failed while reading: 421 for a timeout, silence otherwise. */
void smtp_session_lost(struct smtp_session *s, struct status status);

/* Forgets envelope and content; READY, or NEW when no hello was said. */
void smtp_session_reset(struct smtp_session *s);

/* Looks the command up, checks its order, runs and answers it (server_commands.c). */
void smtp_session_run(struct smtp_session *s, const struct smtp_command *command);

/* DATA and BDAT (server_content.c). They answer by themselves once content was read. */
struct smtp_reply smtp_session_data(struct smtp_session *s);
struct smtp_reply smtp_session_bdat(struct smtp_session *s, struct slice argument);
/* Tells the backend to forget the message under way, if there is one. */
void smtp_content_abort(struct smtp_session *s);
