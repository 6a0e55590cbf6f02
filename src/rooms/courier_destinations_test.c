/* Who wants reports, by records that strangers wrote. */
#include "rooms/courier_destinations.h"

#include "dns/table.h"
#include "os/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail

static const char facts[] =
        "_smtp._tls.a.example TXT \"v=TLSRPTv1; "
        "rua=mailto:t@a.example,https://r.a.example/x,ftp://a.example,mailto:t@a.example\"\n"
        "_smtp._tls.quoted.example TXT \"v=TLSRPTv1; rua=mailto:%22a%20b%22@a.example\"\n"
        "_smtp._tls.two.example TXT \"v=TLSRPTv1; rua=mailto:a@a.example\"\n"
        "_smtp._tls.two.example TXT \"v=TLSRPTv1; rua=mailto:b@b.example\"\n"
        "_smtp._tls.broken.example TXT servfail\n"
        "_dmarc.a.example TXT \"v=DMARC1; p=none; "
        "rua=mailto:d@a.example!10m,mailto:d@yes.example,mailto:d@no.example,"
        "mailto:d@other.example,https://a.example/\"\n"
        "a.example._report._dmarc.yes.example TXT \"v=DMARC1\"\n"
        "a.example._report._dmarc.other.example TXT \"v=DMARC1; rua=mailto:else@other.example\"\n"
        "_dmarc.unsure.example TXT \"v=DMARC1; p=none; rua=mailto:d@broken.example\"\n"
        "unsure.example._report._dmarc.broken.example TXT servfail\n"
        "_dmarc.broken.example TXT servfail\n"
        "_dmarc.nobody.example TXT \"v=DMARC1; p=none\"\n";

struct fixture {
	struct dns_table table;
	struct arena arena;
	Door__CourierReply reply;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	arena_init(&f->arena, COURIER_DESTINATIONS_ARENA);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	dns_table_done(&f->table);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

static enum err find(struct fixture *f, enum report_kind kind, const char *domain)
{
	door__courier_reply__init(&f->reply);
	return courier_destinations_find(&f->table.resolver, clock_real(), kind, domain,
	                                 DMARC_TREE_WALK, &f->arena, &f->reply)
	        .code;
}

/* "address or uri", size and whether it is refused. */
static void expect(const struct fixture *f, size_t i, const char *to, uint64_t size_max,
                   bool is_refused)
{
	assert_true(i < f->reply.n_destinations);
	const Door__Destination *d = f->reply.destinations[i];
	assert_string_equal(*d->address ? d->address : d->uri, to);
	assert_int_equal(d->size_max, size_max);
	assert_int_equal(*d->refused != 0, is_refused);
}

static void tls_reports_go_where_the_record_says(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(find(f, REPORT_TLS, "a.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 3); /* the address once */
	expect(f, 0, "t@a.example", 0, false);
	expect(f, 1, "https://r.a.example/x", 0, false);
	expect(f, 2, "ftp://a.example", 0, true);
	assert_int_equal(find(f, REPORT_TLS, "quoted.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 1);
	assert_true(*f->reply.destinations[0]->refused);
}

static void no_record_is_nobody(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(find(f, REPORT_TLS, "none.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 0);
	assert_true(*f->reply.why);
	assert_int_equal(find(f, REPORT_TLS, "two.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 0);
	assert_int_equal(find(f, REPORT_DMARC, "none.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 0);
	assert_int_equal(find(f, REPORT_DMARC, "nobody.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 0);
	assert_true(*f->reply.why);
	/* A record above it is the record of another domain. */
	assert_int_equal(find(f, REPORT_DMARC, "sub.a.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 0);
}

static void dmarc_reports_go_to_whom_the_destination_allows(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(find(f, REPORT_DMARC, "a.example"), ERR_OK);
	assert_int_equal(f->reply.n_destinations, 5);
	expect(f, 0, "d@a.example", (uint64_t)10 * 1024 * 1024, false);
	expect(f, 1, "d@yes.example", 0, false);
	expect(f, 2, "mailto:d@no.example", 0, true);
	expect(f, 3, "else@other.example", 0, false);
	expect(f, 4, "https://a.example/", 0, true);
}

static void what_the_dns_does_not_tell_is_asked_later(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(find(f, REPORT_TLS, "broken.example"), ERR_TEMPORARY);
	assert_int_equal(find(f, REPORT_DMARC, "broken.example"), ERR_TEMPORARY);
	assert_int_equal(find(f, REPORT_DMARC, "unsure.example"), ERR_TEMPORARY);
	assert_int_equal(find(f, REPORT_TLS, "a..example"), ERR_INVALID);
}

static void a_small_arena_is_a_temporary_failure(void **state)
{
	struct fixture *f = *state;
	for (unsigned kind = 0; kind < REPORT_KINDS; kind++) {
		for (size_t budget = 0; budget < 30000; budget += 512) {
			struct arena small;
			arena_init(&small, budget);
			door__courier_reply__init(&f->reply);
			struct status status = courier_destinations_find(
			        &f->table.resolver, clock_real(), (enum report_kind)kind,
			        "a.example", DMARC_TREE_WALK, &small, &f->reply);
			assert_true(is_ok(status) || status.code == ERR_TEMPORARY ||
			            status.code == ERR_INVALID);
			arena_done(&small);
		}
	}
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(tls_reports_go_where_the_record_says),
	        WITH_FIXTURE(no_record_is_nobody),
	        WITH_FIXTURE(dmarc_reports_go_to_whom_the_destination_allows),
	        WITH_FIXTURE(what_the_dns_does_not_tell_is_asked_later),
	        WITH_FIXTURE(a_small_arena_is_a_temporary_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
