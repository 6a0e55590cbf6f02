/* DATA and BDAT of a reception session: octets from the stream to the backend.
 *
 * Content goes from the stream's buffer to data_write without a copy. A message that has to be
 * refused (too large, faulty, looping, no space) is still read to its end, so that the next command
 * is found; what is read then is dropped, at most limits.discard_size octets.
 *
 * Slow senders: timeouts.data_block_ms between reads (refused_block_ms once the message is
 * refused), data_total_ms for all of a message (or chunk), and on average data_rate octets a second
 * once data_grace_ms have passed.
 */
#include "smtp/server_private.h"

/* How fast one DATA or one chunk comes in. */
struct pace {
	int64_t started_ms;
	uint64_t n_read;
};

static struct pace pace_start(const struct smtp_session *s)
{
	return (struct pace){.started_ms = clock_monotonic_ms(s->options->clock)};
}

static bool is_too_slow(const struct smtp_session *s, const struct pace *pace, int64_t elapsed_ms)
{
	const struct smtp_server_timeouts *timeouts = &s->options->timeouts;
	if (elapsed_ms >= timeouts->data_total_ms)
		return true;
	return elapsed_ms > timeouts->data_grace_ms &&
	       pace->n_read / (uint64_t)(elapsed_ms / 1000 + 1) < timeouts->data_rate;
}

/* Why the content cannot be accepted. Follows from the octets alone, not from their splits. */
static enum smtp_reply_id judge(const struct smtp_session *s)
{
	const struct smtp_server_limits *limits = &s->options->limits;
	const struct smtp_content *content = &s->content;
	if (!s->envelope.chunked && smtp_data_faulty(&content->data))
		return SMTP_REPLY_SMUGGLING;
	if (content->scan.n_received > limits->received) /* RFC 5321 section 6.3 */
		return SMTP_REPLY_LOOP;
	if (content->scan.size > limits->header_size)
		return SMTP_REPLY_HEADER_TOO_LARGE;
	if (s->envelope.size > limits->message_size) /* RFC 1870 section 6.3 */
		return SMTP_REPLY_TOO_LARGE;
	return SMTP_REPLY_NONE;
}

/* The answer to content that was read to its end: code 0 when nothing speaks against it. */
static struct smtp_reply refusal(const struct smtp_session *s)
{
	enum smtp_reply_id id = judge(s);
	return id == SMTP_REPLY_NONE ? s->content.refusal : smtp_reply(id);
}

/* A message that cannot be accepted does not end: its sender waits for an answer to something that
 * is no end to us (LF.LF), or floods us. It gets its answer, and the session ends with it. */
static void hang_up(struct smtp_session *s)
{
	smtp_session_say(s, refusal(s));
	smtp_session_stop(s, "refused message did not end");
}

/* Blocks until some content is buffered. False: the session has ended, with a reply if it helps. */
static bool wait_for_content(struct smtp_session *s, const struct pace *pace)
{
	const struct smtp_server_timeouts *timeouts = &s->options->timeouts;
	if (stream_buffered(s->stream).n > 0)
		return true;
	int64_t elapsed_ms = clock_monotonic_ms(s->options->clock) - pace->started_ms;
	bool refused = refusal(s).code != 0;
	int block_ms = refused ? timeouts->refused_block_ms : timeouts->data_block_ms;
	s->line = slice_empty(); /* its buffer is about to be reused */
	if (is_too_slow(s, pace, elapsed_ms)) {
		smtp_session_say(s, smtp_reply(SMTP_REPLY_TOO_SLOW));
		return false;
	}
	s->stream->timeout_ms = (int)MIN((int64_t)block_ms, timeouts->data_total_ms - elapsed_ms);
	struct status status = stream_fill(s->stream);
	if (refused && status.code == ERR_TIMEOUT)
		hang_up(s);
	else if (!is_ok(status))
		smtp_session_lost(s, status);
	return is_ok(status);
}

void smtp_content_abort(struct smtp_session *s)
{
	if (s->content.open)
		s->options->ops->data_abort(s->options->context);
	s->content.open = false;
}

/* The first reason stays. */
static void refuse(struct smtp_session *s, struct smtp_reply reply)
{
	if (s->content.refusal.code == 0)
		s->content.refusal = reply;
	smtp_content_abort(s);
}

static struct smtp_reply content_open(struct smtp_session *s)
{
	s->content = (struct smtp_content){.open = false};
	smtp_data_init(&s->content.data);
	smtp_header_scan_init(&s->content.scan);
	struct status status = s->options->ops->data_open(s->options->context, &s->envelope);
	if (!is_ok(status))
		return smtp_reply_of_status(status);
	s->content.open = true;
	return smtp_reply(SMTP_REPLY_NONE);
}

static void content_write(struct smtp_session *s, struct slice octets)
{
	if (octets.n == 0)
		return;
	s->envelope.size += octets.n;
	smtp_header_scan_feed(&s->content.scan, octets);
	enum smtp_reply_id id = judge(s);
	if (id != SMTP_REPLY_NONE)
		refuse(s, smtp_reply(id));
	if (s->content.refusal.code != 0)
		return;
	struct status status = s->options->ops->data_write(s->options->context, octets);
	if (!is_ok(status))
		refuse(s, smtp_reply_of_status(status));
}

/* Counts octets that are read only to be dropped; false when that has gone on for too long. */
static bool may_drop(struct smtp_session *s, size_t n)
{
	if (s->content.refusal.code == 0)
		return true;
	s->content.n_dropped += n;
	if (s->content.n_dropped <= s->options->limits.discard_size)
		return true;
	hang_up(s);
	return false;
}

static void content_facts(struct smtp_session *s)
{
	const struct smtp_content *content = &s->content;
	s->envelope.has_8bit = content->data.has_8bit;
	s->envelope.has_bare = smtp_data_faulty(&content->data);
	s->envelope.header_8bit = content->scan.has_8bit;
	s->envelope.n_received = content->scan.n_received;
}

/* The message is all here: the backend decides, and the transaction is over either way. */
static void content_end(struct smtp_session *s)
{
	struct smtp_reply reply = refusal(s);
	content_facts(s);
	if (!s->envelope.chunked && smtp_data_faulty(&s->content.data))
		smtp_session_event(s, SMTP_EVENT_SMUGGLING, reply);
	if (reply.code == 0) {
		s->content.open = false;
		reply = s->options->ops->data_end(s->options->context, &s->envelope);
		if (reply.code == 0)
			reply = smtp_reply(SMTP_REPLY_ACCEPTED);
	}
	if (smtp_reply_is_positive(reply)) {
		s->summary->n_accepted++;
		s->n_idle = 0;
	}
	smtp_session_event(s, SMTP_EVENT_MESSAGE, reply);
	smtp_session_say(s, reply);
	smtp_session_reset(s);
}

/* What of the buffered input belongs to the message. */
static void take_data(struct smtp_session *s)
{
	struct slice before = stream_buffered(s->stream);
	struct slice rest = before;
	struct smtp_data *data = &s->content.data;
	while (rest.n > 0 && !smtp_data_ended(data))
		content_write(s, smtp_data_next(data, &rest));
	if (smtp_data_faulty(data))
		refuse(s, smtp_reply(SMTP_REPLY_SMUGGLING));
	stream_take(s->stream, before.n - rest.n);
	if (!smtp_data_ended(data))
		may_drop(s, before.n - rest.n);
}

/* RFC 5321 section 4.1.1.4. */
struct smtp_reply smtp_session_data(struct smtp_session *s)
{
	if (s->envelope.n_rcpts == 0)
		return smtp_reply(SMTP_REPLY_NO_VALID_RCPTS);
	if (s->envelope.mail.params.body == SMTP_BODY_BINARYMIME)
		return smtp_reply(SMTP_REPLY_DATA_BINARY);
	struct smtp_reply reply = content_open(s);
	if (reply.code != 0)
		return reply;
	smtp_session_say(s, smtp_reply(SMTP_REPLY_DATA_GO));
	s->line = slice_empty();
	struct pace pace = pace_start(s);
	while (!s->stop && !smtp_data_ended(&s->content.data)) {
		uint64_t n_before = s->content.data.n_taken;
		if (wait_for_content(s, &pace))
			take_data(s);
		pace.n_read += s->content.data.n_taken - n_before;
	}
	if (!s->stop)
		content_end(s);
	return smtp_reply(SMTP_REPLY_NONE);
}

static void take_chunk(struct smtp_session *s, struct slice octets)
{
	smtp_data_note_chunk(&s->content.data, octets);
	content_write(s, octets);
}

static void take_nothing(struct smtp_session *s, struct slice octets)
{
	(void)s;
	(void)octets;
}

/* Reads all of a chunk, wherever its octets go. */
static void read_chunk(struct smtp_session *s, uint64_t size,
                       void (*take)(struct smtp_session *s, struct slice octets))
{
	struct pace pace = pace_start(s);
	while (!s->stop && pace.n_read < size && wait_for_content(s, &pace)) {
		uint64_t left = size - pace.n_read;
		struct slice octets = stream_buffered(s->stream);
		octets = slice_sub(octets, 0, (size_t)MIN(left, (uint64_t)octets.n));
		pace.n_read += octets.n;
		take(s, octets);
		stream_take(s->stream, octets.n);
		may_drop(s, octets.n);
	}
}

/* Why a chunk cannot be taken, before it is read. */
static enum smtp_reply_id chunk_out_of_order(const struct smtp_session *s)
{
	switch (s->state) {
	case SMTP_STATE_NEW:
		return SMTP_REPLY_SAY_HELLO;
	case SMTP_STATE_READY:
		return SMTP_REPLY_NEED_MAIL;
	case SMTP_STATE_MAIL:
		return s->envelope.n_rcpts == 0 ? SMTP_REPLY_NO_VALID_RCPTS : SMTP_REPLY_NONE;
	case SMTP_STATE_CHUNKS:
		return SMTP_REPLY_NONE;
	case SMTP_STATE_CHUNKS_FAILED:
		return SMTP_REPLY_BDAT_FAILED;
	}
	BUG("unknown state of an SMTP session");
}

/* A chunk that is no part of a message: read and dropped, then refused (RFC 3030 section 2). */
static struct smtp_reply drop_chunk(struct smtp_session *s, uint64_t size, enum smtp_reply_id id)
{
	s->content = (struct smtp_content){.refusal = smtp_reply(id)};
	read_chunk(s, size, take_nothing);
	return smtp_reply(s->stop ? SMTP_REPLY_NONE : id);
}

/* The first chunk opens the message. */
static void open_chunks(struct smtp_session *s)
{
	if (s->state != SMTP_STATE_MAIL)
		return;
	s->envelope.chunked = true;
	struct smtp_reply reply = content_open(s);
	if (reply.code != 0)
		refuse(s, reply);
	smtp_session_enter(s, SMTP_STATE_CHUNKS);
}

static void chunk_end(struct smtp_session *s, bool last)
{
	if (last) {
		smtp_data_note_end(&s->content.data);
		content_end(s);
	} else if (refusal(s).code != 0) {
		smtp_session_enter(s, SMTP_STATE_CHUNKS_FAILED);
		smtp_session_say(s, refusal(s));
	} else {
		smtp_session_say(s, smtp_reply(SMTP_REPLY_CHUNK_OK));
	}
}

/* RFC 3030 section 2. */
struct smtp_reply smtp_session_bdat(struct smtp_session *s, struct slice argument)
{
	struct smtp_bdat bdat;
	enum smtp_reply_id id = smtp_bdat_parse(argument, &bdat);
	if (id != SMTP_REPLY_NONE) { /* where the chunk ends is unknown */
		smtp_session_say(s, smtp_reply(id));
		return smtp_reply(s->stop ? SMTP_REPLY_NONE : SMTP_REPLY_OUT_OF_SYNC);
	}
	id = chunk_out_of_order(s);
	if (id != SMTP_REPLY_NONE)
		return drop_chunk(s, bdat.size, id);
	open_chunks(s);
	if (bdat.size > s->options->limits.message_size - s->envelope.size)
		refuse(s, smtp_reply(SMTP_REPLY_TOO_LARGE));
	read_chunk(s, bdat.size, take_chunk);
	if (!s->stop)
		chunk_end(s, bdat.last);
	return smtp_reply(SMTP_REPLY_NONE);
}
