/* Two speeds with one meaning, as in data.c: `step` takes an octet; a block that needs no attention
 * (every LF behind a CR, every CR before an LF, no NUL, no dot at the start of a line) is
 * recognised with vector compares and passed whole. */
#include "smtp/stuff.h"

#define BLOCK ((size_t)64)

typedef uint8_t vector __attribute__((vector_size(16)));

void smtp_stuff_init(struct smtp_stuff *stuff)
{
	*stuff = (struct smtp_stuff){.last = '\n'};
}

static void step(struct smtp_stuff *stuff, uint8_t c)
{
	bool after_cr = stuff->last == '\r';
	stuff->bare_lf |= c == '\n' && !after_cr;
	stuff->bare_cr |= c != '\n' && after_cr;
	stuff->nul |= c == 0;
	stuff->has_8bit |= c >= 0x80;
	stuff->last = c;
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

/* p[-1] must be readable and be the octet before. */
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

/* Takes content up to a dot at the start of a line (when that stops) or the end; its size. The
 * first octet goes by `step`, so that every block has its predecessor in s. */
static size_t take(struct smtp_stuff *stuff, struct slice s, bool dot_stops)
{
	size_t i = 0;
	while (i < s.n) {
		size_t stop = MIN(s.n, i == 0 ? 1 : i + BLOCK);
		bool high;
		if (stop - i == BLOCK && block_is_clean(s.p + i, &high)) {
			stuff->has_8bit |= high;
			stuff->last = s.p[stop - 1];
			i = stop;
		}
		for (; i < stop; i++) {
			if (dot_stops && s.p[i] == '.' && stuff->last == '\n' && !stuff->dotted)
				return i;
			stuff->dotted = false;
			step(stuff, s.p[i]);
		}
	}
	return i;
}

bool smtp_stuff_next(struct smtp_stuff *stuff, struct slice *in, struct slice *ret_run)
{
	size_t n = take(stuff, *in, true);
	*ret_run = slice_sub(*in, 0, n);
	*in = slice_from(*in, n);
	stuff->dotted = in->n > 0;
	return stuff->dotted;
}

void smtp_stuff_note(struct smtp_stuff *stuff, struct slice content)
{
	(void)take(stuff, content, false);
}

void smtp_stuff_end(struct smtp_stuff *stuff)
{
	stuff->bare_cr |= stuff->last == '\r';
}
