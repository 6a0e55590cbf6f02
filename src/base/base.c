/* Allocation that cannot fail and the report of our own bugs. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void base_bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "mailkeep: bug at %s:%d: %s\n", file, line, what);
	abort();
}

void *base_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	if (!p)
		BUG("out of memory");
	return p;
}

void *base_realloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);
	if (!q)
		BUG("out of memory");
	return q;
}

char *base_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = base_alloc(n);
	memcpy(copy, s, n);
	return copy;
}

void base_free(void *p)
{
	free(p);
}
