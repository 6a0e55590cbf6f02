/* Restricted Damerau-Levenshtein distance (optimal string alignment), three rows of the table. */
#include "config/suggest.h"

void suggest_init(struct suggest *suggest, struct slice wanted)
{
	*suggest = (struct suggest){
	        .wanted = wanted,
	        .best_distance = (unsigned)MIN(wanted.n, (size_t)SUGGEST_NAME_MAX) / 3 + 1,
	        .best = slice_empty(),
	};
	if (wanted.n < 2)
		suggest->best_distance = 0;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = MIN(a, b);
	return MIN(ab, c);
}

unsigned suggest_distance(struct slice a, struct slice b)
{
	if (a.n > SUGGEST_NAME_MAX || b.n > SUGGEST_NAME_MAX)
		return UINT32_MAX;
	unsigned rows[3][SUGGEST_NAME_MAX + 1];
	for (unsigned j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3],
		         *above2 = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			uint8_t ca = ascii_lower(a.p[i - 1]), cb = ascii_lower(b.p[j - 1]);
			row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == ascii_lower(b.p[j - 2]) &&
			    cb == ascii_lower(a.p[i - 2]))
				row[j] = MIN(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

void suggest_offer(struct suggest *suggest, struct slice name)
{
	size_t shorter = MIN(name.n, suggest->wanted.n);
	size_t longer = MAX(name.n, suggest->wanted.n);
	if (longer - shorter >= suggest->best_distance)
		return;
	unsigned distance = suggest_distance(suggest->wanted, name);
	if (distance < suggest->best_distance) {
		suggest->best_distance = distance;
		suggest->best = name;
	}
}
