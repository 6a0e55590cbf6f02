/* The public suffix list against the vectors of publicsuffix.org, where they lie beside the
 * checkout (../shared/suites/psl_tests.txt); skipped, with a word, where they do not.
 *
 * A line is checkPublicSuffix('domain', 'registrable') with null for none. A domain that is no
 * domain name (".com") has no registrable domain.
 */
#include "mailauth/public_suffix.h"

#include "base/buf.h"

#include <stdio.h>

#define FILE_MAX ((size_t)1024 * 1024)
#define SKIPPED  77

/* The next 'quoted' word, or null (empty). */
static struct slice next_word(struct slice *rest)
{
	struct slice trimmed = slice_trim(*rest), word;
	if (!slice_starts(trimmed, SLICE("'"))) {
		slice_cut(trimmed, ',', &word, rest);
		return slice_empty();
	}
	slice_cut(slice_from(trimmed, 1), '\'', &word, rest);
	slice_cut(*rest, ',', &trimmed, rest);
	return word;
}

static const char *registrable(struct slice domain, struct arena *arena)
{
	struct dns_name name, found;
	if (!is_ok(dns_name_parse(domain, arena, &name)) ||
	    !public_suffix_organizational(name, PUBLIC_SUFFIX_ALL, &found))
		return "";
	return found.text;
}

static bool check(struct slice line)
{
	CLEANUP(arena_done) struct arena arena = {.budget = FILE_MAX};
	struct slice rest = slice_from(line, sizeof("checkPublicSuffix(") - 1);
	struct slice domain = next_word(&rest), expected = next_word(&rest);
	struct dns_name name = {""};
	if (expected.n > 0 && !is_ok(dns_name_parse(expected, &arena, &name)))
		BUG("a vector's expected domain is none");
	const char *found = registrable(domain, &arena);
	if (strcmp(found, name.text) == 0)
		return true;
	printf("FAILED %.*s: \"%s\", expected \"%s\"\n", SLICE_FMT(domain), found, name.text);
	return false;
}

int main(void)
{
	struct buf text;
	size_t n_passed = 0, n_failed = 0;
	FILE *file = fopen(SOURCE_ROOT "/../shared/suites/psl_tests.txt", "rb");
	if (!file) {
		printf("skipped: no vectors of the public suffix list beside the checkout\n");
		return SKIPPED;
	}
	buf_init(&text, 2 * FILE_MAX);
	uint8_t *p = buf_reserve(&text, FILE_MAX);
	buf_commit(&text, fread(p, 1, FILE_MAX, file));
	fclose(file);
	struct slice line, rest = buf_slice(&text);
	while (slice_cut(rest, '\n', &line, &rest)) {
		if (!slice_starts(line, SLICE("checkPublicSuffix(")))
			continue;
		if (check(line))
			n_passed++;
		else
			n_failed++;
	}
	buf_done(&text);
	printf("%zu vectors as expected, %zu failed\n", n_passed, n_failed);
	return n_failed == 0 && n_passed > 50 ? 0 : 1;
}
