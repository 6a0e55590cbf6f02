/* The DATA machine.
 *
 * Two speeds with one meaning: `step` takes an octet; a block of BLOCK octets that needs no
 * attention (every LF behind a CR, every CR before an LF, no NUL, no dot at the start of a line) is
 * recognised with vector compares and skipped whole. What is not recognised goes through `step`.
 *
 * Does not: limit the size of a message or of its lines (the session counts), know replies.
 */
#include "smtp/data.h"

#define BLOCK ((size_t)64)

typedef uint8_t vector __attribute__((vector_size(16)));

void smtp_data_init(struct smtp_data *data)
{
	*data = (struct smtp_data){.state = SMTP_DATA_LINE_START};
}

/* One octet of content, in the states LINE_START, IN_LINE and CR. A bare LF starts no line. */
static void step(struct smtp_data *data, uint8_t c)
{
	bool after_cr = data->state == SMTP_DATA_CR;
	if (c == '\n' && after_cr) {
		data->state = SMTP_DATA_LINE_START;
		return;
	}
	data->bare_cr |= after_cr;
	data->bare_lf |= c == '\n';
	data->nul |= c == 0;
	data->has_8bit |= c >= 0x80;
	data->state = c == '\r' ? SMTP_DATA_CR : SMTP_DATA_IN_LINE;
}

static vector load(const uint8_t *p)
{
	vector v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static bool any(vector v)
{
	uint64_t halves[2];
	memcpy(halves, &v, sizeof(v));
	return (halves[0] | halves[1]) != 0;
}

/* p[-1] must be readable and be the octet that `step` saw last. */
static bool block_is_clean(const uint8_t *p, bool *ret_8bit)
{
	vector bad = {0};
	vector seen = {0};
	for (size_t i = 0; i < BLOCK; i += sizeof(vector)) {
		vector now = load(p + i);
		vector before = load(p + i - 1);
		vector lf_odd = (vector)(now == '\n') ^ (vector)(before == '\r');
		vector dot = (vector)(now == '.') & (vector)(before == '\n');
		bad |= lf_odd | dot | (vector)(now == 0);
		seen |= now;
	}
	*ret_8bit = any(seen & 0x80);
	return !any(bad);
}

static enum smtp_data_state state_after(uint8_t last)
{
	if (last == '\n')
		return SMTP_DATA_LINE_START;
	return last == '\r' ? SMTP_DATA_CR : SMTP_DATA_IN_LINE;
}

/* Takes content up to a dot at the start of a line (when that stops) or the end of s; its size. The
 * first octet goes by `step`, so that every block has its predecessor in s. */
static size_t take_content(struct smtp_data *data, struct slice s, bool dot_stops)
{
	size_t i = 0;
	while (i < s.n) {
		size_t stop = MIN(s.n, i == 0 ? 1 : i + BLOCK);
		bool high;
		if (stop - i == BLOCK && block_is_clean(s.p + i, &high)) {
			data->has_8bit |= high;
			data->state = state_after(s.p[stop - 1]);
			i = stop;
		}
		for (; i < stop; i++) {
			if (dot_stops && s.p[i] == '.' && data->state == SMTP_DATA_LINE_START)
				return i;
			step(data, s.p[i]);
		}
	}
	return i;
}

/* Takes what is never content: a dot at the start of a line, and the CRLF of the terminator. */
static size_t take_dot(struct smtp_data *data, struct slice s)
{
	size_t i = 0;
	if (data->state == SMTP_DATA_LINE_START && s.n > 0 && s.p[0] == '.') {
		data->state = SMTP_DATA_DOT;
		i++;
	}
	if (data->state == SMTP_DATA_DOT && i < s.n) {
		bool cr = s.p[i] == '\r';
		data->state = cr ? SMTP_DATA_DOT_CR : SMTP_DATA_IN_LINE;
		i += cr;
	}
	if (data->state == SMTP_DATA_DOT_CR && i < s.n) {
		bool lf = s.p[i] == '\n';
		data->bare_cr |= !lf;
		data->state = lf ? SMTP_DATA_ENDED : SMTP_DATA_IN_LINE;
		i += lf;
	}
	return i;
}

static bool takes_content(const struct smtp_data *data)
{
	return data->state == SMTP_DATA_LINE_START || data->state == SMTP_DATA_IN_LINE ||
	       data->state == SMTP_DATA_CR;
}

struct slice smtp_data_next(struct smtp_data *data, struct slice *in)
{
	size_t n_dot = take_dot(data, *in);
	struct slice run = slice_from(*in, n_dot);
	size_t n = takes_content(data) ? take_content(data, run, true) : 0;
	data->n_taken += n_dot + n;
	*in = slice_from(run, n);
	return slice_sub(run, 0, smtp_data_faulty(data) ? 0 : n);
}

void smtp_data_note_chunk(struct smtp_data *data, struct slice chunk)
{
	data->n_taken += take_content(data, chunk, false);
}

void smtp_data_note_end(struct smtp_data *data)
{
	data->bare_cr |= data->state == SMTP_DATA_CR;
	data->state = SMTP_DATA_ENDED;
}
