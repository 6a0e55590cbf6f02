/* Any TLSA records against one server: each has a finding, and the server is verified when, and
 * only when, a record says so. The input is records: usage, selector, matching, two bytes of
 * length, data; an association of 'L' or 'R' alone stands for that of the server's certificate or
 * its authority's, so that records that fit are found quickly. */
#include "tls/dane.h"

#include "tls/certs_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS_MAX 64u

static struct {
	struct tls_library *library;
	struct buf pem, leaf_der, root_der;
} world;

static void make_world(void)
{
	struct tls_test_cert root =
	        TLS_TEST_CERT(.common_name = "Root", .is_ca = true, .days = 3000);
	struct tls_test_cert leaf = TLS_TEST_CERT(.common_name = "x", .issuer = &root,
	                                          .alt_names = "DNS:mx.example", .days = 3000);
	world.library = tls_library_new();
	buf_init(&world.pem, 100000);
	buf_init(&world.leaf_der, 100000);
	buf_init(&world.root_der, 100000);
	tls_test_cert_print(&leaf, &world.pem);
	tls_test_cert_print(&root, &world.pem);
	tls_test_cert_der(&leaf, &world.leaf_der);
	tls_test_cert_der(&root, &world.root_der);
	tls_test_cert_free(&leaf);
	tls_test_cert_free(&root);
}

static struct slice bytes_of(struct slice in, const struct tls_tlsa *record, struct arena *arena)
{
	const struct buf *der = slice_eq_str(in, "L")   ? &world.leaf_der
	                        : slice_eq_str(in, "R") ? &world.root_der
	                                                : NULL;
	return der ? tls_tlsa_association(buf_slice(der), record->selector, record->matching, arena)
	           : in;
}

static size_t read_records(struct slice in, struct tls_tlsa *records, struct arena *arena)
{
	size_t n = 0;
	while (in.n >= 5 && n < RECORDS_MAX) {
		struct tls_tlsa *record = &records[n++];
		size_t size = (size_t)in.p[3] << 8 | in.p[4];
		*record = (struct tls_tlsa){in.p[0], in.p[1], in.p[2], slice_empty()};
		record->bytes = bytes_of(slice_sub(in, 5, size), record, arena);
		in = slice_from(in, 5 + size);
	}
	return n;
}

/* Whether a record is of one of the server's certificates, in the place that its usage means. */
static bool fits(const struct tls_tlsa *record, struct arena *arena)
{
	const struct buf *der = record->usage == TLS_TLSA_DANE_EE   ? &world.leaf_der
	                        : record->usage == TLS_TLSA_DANE_TA ? &world.root_der
	                                                            : NULL;
	return der && !tls_tlsa_unusable(record) &&
	       slice_eq(record->bytes, tls_tlsa_association(buf_slice(der), record->selector,
	                                                    record->matching, arena));
}

static void check(const struct tls_dane *dane, const struct tls_check *check,
                  const struct tls_tlsa_finding *findings, struct arena *arena)
{
	size_t n_matched = 0, n_fitting = 0;
	for (size_t i = 0; i < dane->n_records; i++) {
		const struct tls_tlsa_finding *finding = &findings[i];
		bool outdone = finding->kind == TLS_TLSA_OUTDONE;
		const char *unusable = tls_tlsa_unusable(&dane->records[i]);
		ASSERT(finding->kind != TLS_TLSA_UNTRIED);
		ASSERT((finding->kind == TLS_TLSA_UNUSABLE) == (unusable != NULL));
		ASSERT((finding->kind == TLS_TLSA_MATCHED) == !*finding->why);
		n_matched += finding->kind == TLS_TLSA_MATCHED;
		n_fitting += !outdone && fits(&dane->records[i], arena);
	}
	ASSERT(check->made && check->good == (n_matched == 1));
	ASSERT(check->good == (n_fitting > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"mx.example"};
	struct tls_tlsa records[RECORDS_MAX];
	struct tls_tlsa_finding findings[RECORDS_MAX];
	struct tls_dane dane = {.records = records, .names = names, .n_names = 1};
	struct tls_check result;
	struct arena arena;
	if (!world.library)
		make_world();
	arena_init(&arena, 4 * MIB);
	dane.n_records = read_records(slice_of(data, size), records, &arena);
	ASSERT(is_ok(tls_dane_verify(world.library, &dane, buf_slice(&world.pem), 0, &result,
	                             findings)));
	check(&dane, &result, findings, &arena);
	arena_done(&arena);
	return 0;
}
