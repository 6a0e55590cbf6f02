/* "Did you mean …?": the nearest of some names by Damerau-Levenshtein distance. Bounded: names of
 * at most SUGGEST_NAME_MAX bytes are compared. */
#pragma once

#include "base/slice.h"

#define SUGGEST_NAME_MAX 64

struct suggest {
	struct slice wanted;
	unsigned best_distance;
	struct slice best; /* n == 0: nothing near */
};

/* What counts as near depends on the length of `wanted`: one slip in three letters. */
void suggest_init(struct suggest *suggest, struct slice wanted);
void suggest_offer(struct suggest *suggest, struct slice name);

/* Insertions, deletions, changed and swapped neighbours, ASCII case ignored; UINT32_MAX when either
 * is too long. */
unsigned suggest_distance(struct slice a, struct slice b);
