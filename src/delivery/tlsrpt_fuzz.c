/* Any bytes as a TLSRPT record: URIs lie within it and are fit to be written, addresses are plain,
 * and what is printed is understood again as the same. */
#include "delivery/tlsrpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_uri(const struct tlsrpt_uri *uri, struct slice in)
{
	ASSERT(uri->text.p >= in.p && uri->text.p + uri->text.n <= in.p + in.n);
	ASSERT(uri->text.n > 0 && uri->text.n <= TLSRPT_URI_MAX);
	for (size_t i = 0; i < uri->text.n; i++)
		ASSERT(ascii_is_print(uri->text.p[i]) && uri->text.p[i] != ' ' &&
		       uri->text.p[i] != ',' && uri->text.p[i] != ';' && uri->text.p[i] != '!');
	ASSERT((uri->kind == TLSRPT_URI_MAILTO) == (uri->address != NULL));
	struct slice address = slice_str(uri->address), local, domain;
	for (size_t i = 0; i < address.n; i++)
		ASSERT(ascii_is_print(address.p[i]) && !memchr(" ,;<>\"\\()", address.p[i], 9));
	if (uri->address)
		ASSERT(slice_cut(address, '@', &local, &domain) && local.n > 0 && domain.n > 0 &&
		       slice_index(domain, '@') == SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct tlsrpt_record record, again;
	struct buf text;
	struct slice in = slice_of(data, size);
	arena_init(&arena, 256 * KIB);
	buf_init(&text, 64 * KIB);
	if (is_ok(tlsrpt_record_parse(in, &arena, &record))) {
		ASSERT(record.n > 0 && record.n <= TLSRPT_RUA_MAX);
		for (size_t i = 0; i < record.n; i++)
			check_uri(&record.rua[i], in);
		tlsrpt_record_print(&record, &text);
		ASSERT(!buf_failed(&text));
		ASSERT(is_ok(tlsrpt_record_parse(buf_slice(&text), &arena, &again)));
		ASSERT(again.n == record.n);
		for (size_t i = 0; i < record.n; i++)
			ASSERT(slice_eq(record.rua[i].text, again.rua[i].text) &&
			       record.rua[i].kind == again.rua[i].kind);
	}
	arena_done(&arena);
	buf_done(&text);
	return 0;
}
