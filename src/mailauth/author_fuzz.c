/* Any header: a domain is found only where nothing is odd, and the same one again when the header
 * is written as one line with the domain alone. */
#include "mailauth/author.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Lower case, no blanks, controls, brackets: fit for a header and for a question to the DNS. */
static void check_name(struct dns_name name)
{
	struct slice text = dns_name_slice(name);
	ASSERT(text.n > 0 && text.n <= DNS_NAME_TEXT_MAX && !dns_name_is_root(name));
	for (size_t i = 0; i < text.n; i++)
		ASSERT(ascii_is_alnum(text.p[i]) || text.p[i] == '-' || text.p[i] == '_' ||
		       text.p[i] == '.');
}

static void check_again(struct dns_name name, struct arena *arena)
{
	struct mailauth_author again;
	const char *header = arena_printf(arena, "From: x@%s\r\n\r\n", name.text);
	if (!header)
		return;
	mailauth_author_find(slice_str(header), arena, &again);
	ASSERT(arena_failed(arena) || again.kind == MAILAUTH_AUTHOR_FOUND);
	ASSERT(arena_failed(arena) || dns_name_eq(again.domain, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena arena;
	struct mailauth_author author;
	arena_init(&arena, MIB);
	mailauth_author_find(slice_of(p, n), &arena, &author);
	ASSERT(author.n_domains <= MAILAUTH_AUTHOR_DOMAINS_MAX && author.name_domain);
	for (size_t i = 0; i < author.n_domains; i++) {
		check_name(author.domains[i]);
		for (size_t j = 0; j < i; j++)
			ASSERT(!dns_name_eq(author.domains[i], author.domains[j]));
	}
	if (author.kind == MAILAUTH_AUTHOR_FOUND) {
		ASSERT(author.n_fields == 1 && author.n_mailboxes > 0 && author.n_domains == 1);
		ASSERT(dns_name_eq(author.domain, author.domains[0]));
		check_again(author.domain, &arena);
	} else {
		ASSERT(dns_name_is_root(author.domain));
	}
	arena_done(&arena);
	return 0;
}
