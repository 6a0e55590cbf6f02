/* Runs client scripts on the in-memory stream. */
#include "smtp/client_script.h"

#include <stdio.h>

#define BYTES_MAX ((size_t)4 * 1024 * 1024)

static struct smtp_client_script *script_of(struct stream *stream)
{
	return (struct smtp_client_script *)stream;
}

static void wrong(struct smtp_client_script *s, const char *why, struct slice where)
{
	if (!s->wrong) {
		s->wrong = why;
		s->where = where;
	}
}

static bool next_is(const struct smtp_client_script *s, const char *start)
{
	return slice_starts(s->rest, slice_str(start));
}

static struct slice next_line(struct smtp_client_script *s)
{
	struct slice line;
	(void)slice_cut(s->rest, '\n', &line, &s->rest);
	return line;
}

static void add_unescaped(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '\\' || i + 1 == text.n) {
			buf_add_byte(out, text.p[i]);
			continue;
		}
		uint8_t c = text.p[++i];
		if (c == 'x' && text.n - i > 2) {
			int high = ascii_hex_value(text.p[i + 1]),
			    low = ascii_hex_value(text.p[i + 2]);
			c = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (c == 'r' || c == 'n') {
			c = c == 'r' ? '\r' : '\n';
		}
		buf_add_byte(out, c);
	}
}

/* --- what the client says --- */

static void hear(struct smtp_client_script *s, struct slice line)
{
	struct slice output = slice_from(stream_mem_output(&s->mem), s->n_heard);
	CLEANUP(buf_done) struct buf expected;
	buf_init(&expected, BYTES_MAX);
	add_unescaped(slice_from(line, 3), &expected);
	if (line.p[0] == 'C')
		buf_add_str(&expected, "\r\n");
	if (!slice_starts(output, buf_slice(&expected)))
		wrong(s, "the client has not sent", line);
	s->n_heard += MIN(expected.n, output.n);
}

static void hear_all(struct smtp_client_script *s)
{
	while (next_is(s, "C: ") || next_is(s, "D: "))
		hear(s, next_line(s));
	if (s->n_heard < s->mem.output.n && s->n_cut == SIZE_MAX)
		wrong(s, "the client has sent more than expected before", s->rest);
	for (uint64_t ms; next_is(s, "T: ");)
		if (slice_to_u64(slice_from(next_line(s), 3), INT32_MAX, &ms))
			s->now_ms += (int64_t)ms;
}

/* --- what the server says --- */

static void speak(struct smtp_client_script *s)
{
	CLEANUP(buf_done) struct buf bytes;
	buf_init(&bytes, BYTES_MAX);
	while (next_is(s, "S: ") || next_is(s, "R: ")) {
		struct slice line = next_line(s);
		add_unescaped(slice_from(line, 3), &bytes);
		if (line.p[0] == 'S')
			buf_add_str(&bytes, "\r\n");
	}
	size_t n = MIN(bytes.n, s->n_cut - s->n_fed);
	s->n_fed += n;
	stream_mem_feed(&s->mem, slice_of(bytes.p, n));
}

static bool has_input(const struct smtp_client_script *s)
{
	return s->mem.input_at < s->mem.input.n;
}

static struct status script_read(struct stream *stream, uint8_t *p, size_t n, int timeout_ms,
                                 size_t *ret_n)
{
	struct smtp_client_script *s = script_of(stream);
	int64_t before_ms = s->now_ms;
	if (!has_input(s))
		hear_all(s);
	if (s->now_ms - before_ms > timeout_ms)
		return fail(ERR_TIMEOUT, "nothing came in time");
	if (!has_input(s) && !s->wrong)
		speak(s);
	if (!has_input(s) && next_is(s, "E: timeout")) {
		(void)next_line(s);
		s->now_ms += timeout_ms;
		return fail(ERR_TIMEOUT, "nothing came in time");
	}
	if (!has_input(s)) {
		if (next_is(s, "E: close"))
			(void)next_line(s);
		*ret_n = 0;
		return ok();
	}
	n = MIN(n, s->mem.input.n - s->mem.input_at);
	if (s->mem.chunk > 0)
		n = MIN(n, s->mem.chunk);
	memcpy(p, s->mem.input.p + s->mem.input_at, n);
	s->mem.input_at += n;
	*ret_n = n;
	return ok();
}

static struct status script_write(struct stream *stream, struct slice bytes, int timeout_ms)
{
	struct smtp_client_script *s = script_of(stream);
	(void)timeout_ms;
	if (next_is(s, "E: refuse")) {
		(void)next_line(s);
		s->refusing = true;
		if (!has_input(s))
			speak(s);
	}
	if (s->refusing)
		return fail(ERR_CLOSED, "the server has closed the connection");
	buf_add(&s->mem.output, bytes);
	return ok();
}

static struct status script_wait(struct stream *stream, int wake_fd, int timeout_ms,
                                 enum stream_event *ret_event)
{
	(void)stream;
	(void)wake_fd;
	(void)timeout_ms;
	*ret_event = STREAM_INPUT;
	return ok();
}

static struct status start_tls(void *context, struct stream *stream, int timeout_ms)
{
	struct smtp_client_script *s = context;
	(void)timeout_ms;
	hear_all(s);
	struct slice line = next_line(s);
	if (slice_eq_str(line, "X: tls fails"))
		return fail(ERR_TLS, "the certificate is bad");
	if (!slice_eq_str(line, "X: tls"))
		wrong(s, "the client shakes hands instead of", line);
	stream->tls = (struct stream_tls){.on = true, .version = "TLSv1.3"};
	return ok();
}

static size_t tls_bindings(void *context, struct sasl_binding bindings[SASL_BINDINGS_MAX])
{
	(void)context;
	bindings[0] =
	        (struct sasl_binding){.type = "tls-exporter", .value = "exporter value", .n = 14};
	return 1;
}

static int64_t now_us(const struct clock *clock)
{
	const struct smtp_client_script *s =
	        (const void *)((const char *)clock - offsetof(struct smtp_client_script, clock));
	return s->now_ms * 1000;
}

static int64_t monotonic_ms(const struct clock *clock)
{
	return now_us(clock) / 1000;
}

static struct status read_body(void *context, uint64_t offset, uint8_t *p, size_t n, size_t *ret_n)
{
	const struct smtp_client_script *s = context;
	struct slice part = slice_sub(s->body, (size_t)offset, n);
	memcpy(p, part.p, part.n);
	*ret_n = part.n;
	return ok();
}

/* --- life --- */

void smtp_client_script_init(struct smtp_client_script *s, const char *script,
                             const char *recipients, size_t chunk)
{
	struct slice address, rest = slice_str(recipients);
	*s = (struct smtp_client_script){.rest = slice_str(script), .n_cut = SIZE_MAX};
	stream_mem_init(&s->mem, slice_empty(), chunk);
	s->ops = (struct stream_ops){
	        .read = script_read, .write = script_write, .wait = script_wait};
	s->mem.stream.ops = &s->ops;
	s->clock = (struct clock){now_us, monotonic_ms};
	s->tls = (struct smtp_client_tls){start_tls, tls_bindings, s};
	s->options = (struct smtp_client_options){
	        .stream = &s->mem.stream,
	        .clock = &s->clock,
	        .ehlo_name = "client.example",
	        .tls = &s->tls,
	};
	s->credentials = (struct sasl_client_options){
	        .user = SLICE("user"), .password = SLICE("pencil"), .test_nonce = SLICE("NONCE")};
	s->body = SLICE("Hi\r\n");
	s->content = (struct smtp_content){.read = read_body, .context = s};
	s->message = (struct smtp_message){
	        .sender = SLICE("a@client.example"),
	        .prefix = SLICE("P: 1\r\n\r\n"),
	        .content = &s->content,
	        .envid = slice_empty(),
	};
	while (rest.n > 0) {
		(void)slice_cut(rest, ' ', &address, &rest);
		s->recipients[s->n_recipients++] =
		        (struct smtp_recipient){.address = address, .orcpt = slice_empty()};
	}
	arena_init(&s->arena, 1024 * 1024);
	buf_init(&s->log, 1024 * 1024);
}

void smtp_client_script_done(struct smtp_client_script *s)
{
	smtp_client_done(&s->client);
	stream_mem_done(&s->mem);
	arena_done(&s->arena);
	buf_done(&s->log);
}

/* --- running --- */

static const char *const kinds[] = {"none", "delivered", "deferred", "failed"};

static void log_outcome(struct smtp_client_script *s, const struct smtp_outcome *o)
{
	buf_printf(&s->log, "%s %u %s %s", kinds[o->kind], o->code, o->enhanced,
	           smtp_step_name(o->step));
	if (o->relayed)
		buf_add_str(&s->log, " relayed");
	if (o->by_relayed)
		buf_add_str(&s->log, " by-relayed");
	if (o->uncertain)
		buf_add_str(&s->log, " uncertain");
	if (o->message_fault)
		buf_add_str(&s->log, " message");
	if (o->again)
		buf_add_str(&s->log, " again");
	if (o->n_transaction > 1)
		buf_printf(&s->log, " t%u", o->n_transaction);
	buf_add_str(&s->log, "\n");
}

static void log_step(struct smtp_client_script *s, const char *name, struct status status)
{
	if (is_ok(status)) {
		buf_printf(&s->log, "%s ok\n", name);
		return;
	}
	buf_printf(&s->log, "%s %s: ", name, err_name(status.code));
	log_outcome(s, smtp_client_failure(&s->client));
}

static void send_message(struct smtp_client_script *s)
{
	struct smtp_outcome outcomes[SMTP_CLIENT_SCRIPT_RCPTS];
	s->content.size = s->body.n;
	smtp_client_send(&s->client, &s->message, s->recipients, s->n_recipients, outcomes,
	                 &s->arena);
	for (size_t i = 0; i < s->n_recipients; i++)
		log_outcome(s, &outcomes[i]);
}

static void run_step(struct smtp_client_script *s, char step)
{
	enum sasl_mechanism mechanism = SASL_MECHANISM_COUNT;
	struct status status;
	if (step == 'g')
		log_step(s, "greet", smtp_client_greet(&s->client));
	else if (step == 't' || step == 'T')
		log_step(s, "tls", smtp_client_start_tls(&s->client, step == 'T'));
	else if (step == 'r')
		log_step(s, "reset", smtp_client_reset(&s->client));
	else if (step == 's')
		send_message(s);
	else if (step == 'q')
		smtp_client_quit(&s->client);
	else if (step == 'a') {
		status = smtp_client_auth(&s->client, &s->credentials, &mechanism);
		log_step(s, is_ok(status) ? sasl_mechanism_name(mechanism) : "auth", status);
	}
}

bool smtp_client_script_run(struct smtp_client_script *s, const char *plan)
{
	smtp_client_init(&s->client, &s->options);
	for (; *plan; plan++)
		run_step(s, *plan);
	hear_all(s);
	if (s->rest.n > 0)
		wrong(s, "the client ended before", s->rest);
	return !s->wrong;
}
