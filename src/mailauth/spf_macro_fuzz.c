/* Any text with any values: "place and family, text \0 localpart \0 helo \0 domain". What passes
 * the check expands; a name that keeps its right end only is the same as one cut from all of it. */
#include "mailauth/spf_macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_name(const struct spf_target *target)
{
	uint8_t wire[DNS_NAME_WIRE_MAX];
	size_t n;
	dns_name_to_wire(target->name, wire, &n);
	ASSERT(n == target->text.n + 2 && target->text.n <= SPF_NAME_MAX);
	for (size_t i = 0; i < target->text.n; i++)
		if (target->text.p[i] != '.')
			ASSERT(ascii_lower(wire[i + 1]) == ascii_lower(target->text.p[i]));
}

static void check_expansion(struct slice text, const struct spf_macro_values *values)
{
	struct arena arena;
	struct buf whole;
	struct spf_target target, cut;
	arena_init(&arena, 64 * KIB);
	buf_init(&whole, 4 * MIB);
	spf_macro_expand(text, values, &whole);
	struct status status = spf_target_expand(text, values, &arena, &target);
	bool is_forbidden = !slice_is_ascii(values->localpart) && spf_macro_uses(text, "sl");
	if (!buf_failed(&whole) && whole.n <= SPF_EXPANSION_MAX && !is_forbidden) {
		struct status all = spf_target_parse(buf_slice(&whole), &arena, &cut);
		ASSERT(all.code == status.code);
		ASSERT(!is_ok(all) ||
		       (dns_name_eq(target.name, cut.name) && slice_eq(target.text, cut.text)));
	}
	if (is_ok(status))
		check_name(&target);
	ASSERT(!is_ok(status) || !is_forbidden);
	buf_done(&whole);
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct slice rest = slice_of(p, n), text;
	struct spf_macro_values values = {.validated = SLICE("p.example"), .now_s = 1};
	struct spf_fault fault;
	if (n == 0)
		return 0;
	enum spf_macro_place place = (enum spf_macro_place)(p[0] % 3);
	values.client_ip = slice_of(ip, p[0] & 0x80 ? 16 : 4);
	rest = slice_from(rest, 1);
	(void)slice_cut(rest, 0, &text, &rest);
	(void)slice_cut(rest, 0, &values.localpart, &rest);
	(void)slice_cut(rest, 0, &values.helo, &rest);
	values.domain = values.sender_domain = values.receiver = rest;
	bool good = spf_macro_check(text, place, &fault);
	if (spf_domain_spec_check(text, &fault))
		ASSERT(spf_macro_check(text, SPF_MACRO_IN_DOMAIN, &fault));
	if (good)
		ASSERT(spf_macro_check(text, SPF_MACRO_IN_EXPLANATION, &fault));
	else
		ASSERT(fault.at.p >= text.p && fault.at.p + fault.at.n <= text.p + text.n);
	if (good)
		check_expansion(text, &values);
	return 0;
}
