/* Runs session scripts on the in-memory stream. */
#include "smtp/script.h"

#include <stdio.h>

#define UNESCAPED_MAX ((size_t)1024 * 1024)

static struct smtp_script *script_of(struct stream *s)
{
	return (struct smtp_script *)s;
}

static void wrong(struct smtp_script *script, const char *why, struct slice where)
{
	if (!script->wrong) {
		script->wrong = why;
		script->where = where;
	}
}

static struct slice next_line(struct smtp_script *script)
{
	struct slice line;
	slice_cut(script->rest, '\n', &line, &script->rest);
	return line;
}

static bool next_is(const struct smtp_script *script, const char *start)
{
	return slice_starts(script->rest, slice_str(start));
}

/* \r \n \\ \xHH */
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

/* "S: text": the next line of output. */
static void hear(struct smtp_script *script, struct slice expected)
{
	struct slice output = slice_from(stream_mem_output(&script->mem), script->n_heard);
	struct slice line = slice_sub(output, 0, slice_find(output, SLICE("\r\n")));
	if (line.n + 2 > output.n) {
		wrong(script, "the server has not sent", expected);
		return;
	}
	script->n_heard += line.n + 2;
	bool prefix = slice_ends(expected, SLICE("*"));
	if (prefix)
		expected.n--;
	if (!(prefix ? slice_starts(line, expected) : slice_eq(line, expected)))
		wrong(script, "the server has sent something else than", expected);
}

static void hear_all(struct smtp_script *script)
{
	while (next_is(script, "S: "))
		hear(script, slice_from(next_line(script), 3));
	if (script->n_heard < script->mem.output.n)
		wrong(script, "the server has sent more than expected before", script->rest);
	for (uint64_t ms; next_is(script, "T: ");)
		if (slice_to_u64(slice_from(next_line(script), 3), INT32_MAX, &ms))
			script->fake.now_ms += (int64_t)ms;
}

static void speak(struct smtp_script *script)
{
	CLEANUP(buf_done) struct buf bytes;
	buf_init(&bytes, UNESCAPED_MAX);
	while (next_is(script, "C: ") || next_is(script, "D: ")) {
		bool line = next_is(script, "C: ");
		add_unescaped(slice_from(next_line(script), 3), &bytes);
		if (line)
			buf_add_str(&bytes, "\r\n");
	}
	stream_mem_feed(&script->mem, buf_slice(&bytes));
}

static bool has_input(const struct smtp_script *script)
{
	return script->mem.input_at < script->mem.input.n;
}

static struct status script_read(struct stream *s, uint8_t *p, size_t n, int timeout_ms,
                                 size_t *ret_n)
{
	struct smtp_script *script = script_of(s);
	int64_t before_ms = script->fake.now_ms;
	if (!has_input(script))
		hear_all(script);
	if (script->fake.now_ms - before_ms > timeout_ms)
		return fail(ERR_TIMEOUT, "nothing came in time");
	if (!has_input(script) && !script->wrong)
		speak(script);
	if (!has_input(script) && next_is(script, "E: timeout")) {
		next_line(script);
		script->fake.now_ms += timeout_ms;
		return fail(ERR_TIMEOUT, "nothing came in time");
	}
	if (!has_input(script)) {
		if (next_is(script, "E: close"))
			next_line(script);
		*ret_n = 0;
		return ok();
	}
	n = MIN(n, script->mem.input.n - script->mem.input_at);
	if (script->mem.chunk > 0)
		n = MIN(n, script->mem.chunk);
	memcpy(p, script->mem.input.p + script->mem.input_at, n);
	script->mem.input_at += n;
	*ret_n = n;
	return ok();
}

static struct status script_wait(struct stream *s, int wake_fd, int timeout_ms,
                                 enum stream_event *ret_event)
{
	struct smtp_script *script = script_of(s);
	*ret_event = STREAM_INPUT;
	if (has_input(script))
		return ok();
	hear_all(script);
	if (wake_fd >= 0 && next_is(script, "E: wake")) {
		next_line(script);
		*ret_event = STREAM_WOKEN;
	} else if (next_is(script, "E: timeout")) {
		next_line(script);
		script->fake.now_ms += timeout_ms;
		*ret_event = STREAM_TIMEOUT;
	}
	return ok();
}

void smtp_script_init(struct smtp_script *script, const char *text, size_t chunk)
{
	*script = (struct smtp_script){.text = text, .rest = slice_str(text)};
	stream_mem_init(&script->mem, slice_empty(), chunk);
	script->mem.allow_tls = true;
	script->ops = *script->mem.stream.ops;
	script->ops.read = script_read;
	script->ops.wait = script_wait;
	script->mem.stream.ops = &script->ops;
	smtp_fake_init(&script->fake);
	smtp_fake_options(&script->fake, &script->mem.stream, &script->options);
}

void smtp_script_done(struct smtp_script *script)
{
	stream_mem_done(&script->mem);
	smtp_fake_done(&script->fake);
}

bool smtp_script_run(struct smtp_script *script)
{
	smtp_server_run(&script->options, &script->summary);
	hear_all(script);
	if (script->rest.n > 0)
		wrong(script, "the session ended before", script->rest);
	if (script->wrong)
		fprintf(stderr, "%s: %.*s\n--- output:\n%.*s--- backend:\n%.*s", script->wrong,
		        SLICE_FMT(slice_sub(script->where, 0, 200)),
		        SLICE_FMT(stream_mem_output(&script->mem)),
		        SLICE_FMT(buf_slice(&script->fake.log)));
	return !script->wrong;
}
