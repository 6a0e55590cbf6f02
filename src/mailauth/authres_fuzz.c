/* Any payload: what was read is printed as one field whose lines fit, which reads back without
 * defects and prints as the same text; a field in our name is recognised whatever else it says. */
#include "mailauth/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_lines(struct slice text)
{
	struct slice line, rest = text;
	ASSERT(slice_ends(text, SLICE("\r\n")) && slice_index(text, 0) == SIZE_MAX);
	for (bool first = true; rest.n > 0; first = false) {
		ASSERT(slice_cut(rest, '\n', &line, &rest));
		ASSERT(line.n > 1 && line.n <= 999 && line.p[line.n - 1] == '\r');
		ASSERT(slice_index(line, '\r') == line.n - 1);
		ASSERT(first || line.p[0] == ' ');
	}
}

static void print(struct authres *authres, struct buf *out)
{
	authres->utf8 = true;
	ASSERT(is_ok(authres_print(authres, "X", 0, out)));
	check_lines(buf_slice(out));
}

static void check(struct authres *authres, struct arena *arena)
{
	struct buf text, again;
	struct authres second;
	buf_init(&text, 8 * MIB);
	buf_init(&again, 8 * MIB);
	print(authres, &text);
	struct slice payload = slice_from(buf_slice(&text), sizeof("X:") - 1);
	payload.n -= 2;
	struct status status = authres_parse(payload, arena, &second);
	ASSERT(is_ok(status) || status.code == ERR_LIMIT);
	if (is_ok(status)) {
		ASSERT(second.n_bad == 0 && second.n_results == authres->n_results);
		print(&second, &again);
		ASSERT(slice_eq(buf_slice(&text), buf_slice(&again)));
	}
	buf_done(&again);
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena arena;
	struct authres authres;
	struct slice in = slice_of(p, n), name = SLICE("Authentication-Results");
	unsigned instance;
	arena_init(&arena, 4 * MIB);
	struct status status = authres_parse(in, &arena, &authres);
	if (is_ok(status) && authres.id.n <= AUTHRES_VALUE_MAX)
		check(&authres, &arena);
	if (is_ok(status)) {
		ASSERT(authres.n_results <= AUTHRES_RESULTS_MAX);
		ASSERT(authres_must_remove(name, in, &authres.id, 1));
		struct slice other = SLICE("no.such.id.example");
		bool remove = authres_must_remove(name, in, &other, 1);
		ASSERT(!remove || slice_iends(authres.id, other) ||
		       slice_iends(authres.id, SLICE(".")) || !slice_is_ascii(authres.id));
	} else {
		(void)authres_must_remove(name, in, NULL, 0);
	}
	if (is_ok(authres_parse_arc(in, &arena, &instance, &authres)))
		ASSERT(instance > 0 && instance <= AUTHRES_INSTANCE_MAX);
	arena_done(&arena);
	return 0;
}
