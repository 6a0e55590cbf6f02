/* The in-memory stream. */
#include "base/stream_mem.h"

#define MEM_MAX ((size_t)1 << 30)

static struct stream_mem *mem_of(struct stream *s)
{
	return (struct stream_mem *)s;
}

static bool has_input(struct stream_mem *m)
{
	if (m->input_at < m->input.n)
		return true;
	return m->more && m->more(m, m->context) && m->input_at < m->input.n;
}

static struct status mem_read(struct stream *s, uint8_t *p, size_t n, int timeout_ms, size_t *ret_n)
{
	struct stream_mem *m = mem_of(s);
	(void)timeout_ms;
	if (!has_input(m)) {
		*ret_n = 0;
		return ok();
	}
	n = MIN(n, m->input.n - m->input_at);
	if (m->chunk > 0)
		n = MIN(n, m->chunk);
	memcpy(p, m->input.p + m->input_at, n);
	m->input_at += n;
	*ret_n = n;
	return ok();
}

static struct status mem_write(struct stream *s, struct slice bytes, int timeout_ms)
{
	(void)timeout_ms;
	buf_add(&mem_of(s)->output, bytes);
	return ok();
}

static struct status mem_wait(struct stream *s, int wake_fd, int timeout_ms,
                              enum stream_event *ret_event)
{
	(void)wake_fd;
	(void)timeout_ms;
	(void)has_input(mem_of(s));
	*ret_event = STREAM_INPUT;
	return ok();
}

static struct status mem_start_tls(struct stream *s, int timeout_ms)
{
	(void)timeout_ms;
	if (!mem_of(s)->allow_tls)
		return fail(ERR_UNSUPPORTED, "no TLS on this stream");
	s->tls = (struct stream_tls){.on = true, .version = "TLSv1.3", .cipher = "TLS_TEST"};
	return ok();
}

static const struct stream_ops mem_ops = {
        .read = mem_read,
        .write = mem_write,
        .wait = mem_wait,
        .start_tls = mem_start_tls,
};

void stream_mem_init(struct stream_mem *m, struct slice input, size_t chunk)
{
	*m = (struct stream_mem){.chunk = chunk};
	stream_init(&m->stream, &mem_ops);
	buf_init(&m->input, MEM_MAX);
	buf_init(&m->output, MEM_MAX);
	buf_add(&m->input, input);
}

void stream_mem_done(struct stream_mem *m)
{
	stream_done(&m->stream);
	buf_done(&m->input);
	buf_done(&m->output);
}

void stream_mem_feed(struct stream_mem *m, struct slice bytes)
{
	if (m->input_at == m->input.n) {
		buf_reset(&m->input);
		m->input_at = 0;
	}
	buf_add(&m->input, bytes);
}
