/* Reports that came in: kept once, the proven one before the other, room made among one's own. */
#include "rooms/report_received.h"
#include "rooms/report_testing.h"

#define T0 INT64_C(1800000000)

static int set_up(void **state)
{
	struct report_fixture *f = base_alloc(sizeof(*f));
	report_fixture_init(f, NULL);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	report_fixture_done(*state);
	base_free(*state);
	return 0;
}

static struct report_received sample(void)
{
	return (struct report_received){
	        .kind = REPORT_DMARC,
	        .domain = SLICE("example.org"),
	        .organization = SLICE("Them"),
	        .contact = SLICE("a@them.example"),
	        .report_id = SLICE("r1"),
	        .account = SLICE("me"),
	        .begin_s = T0 - 86400,
	        .end_s = T0 - 1,
	        .received_s = T0,
	        .n_good = 7,
	        .n_bad = 2,
	        .form = SLICE("rows"),
	};
}

static bool add(struct report_fixture *f, const struct report_received *report)
{
	bool is_new = false;
	assert_ok(report_received_add(f->db, report, &is_new));
	return is_new;
}

static size_t list(struct report_fixture *f, enum report_kind kind, const char *domain,
                   int64_t below, size_t n_max, struct report_received **ret)
{
	size_t n;
	assert_ok(report_received_list(f->db, kind, slice_str(domain), below, n_max, &f->arena, ret,
	                               &n));
	return n;
}

static void what_was_added_is_there_after_a_restart(void **state)
{
	struct report_fixture *f = *state;
	struct report_received report = sample(), *found, one;
	assert_true(add(f, &report));
	report_fixture_reopen(f);
	assert_int_equal(list(f, REPORT_DMARC, "", INT64_MAX, 10, &found), 1);
	assert_true(slice_eq_str(found->organization, "Them"));
	assert_int_equal(found->n_bad, 2);
	assert_int_equal(found->form.n, 0);
	assert_ok(report_received_find(f->db, REPORT_DMARC, found->id, &f->arena, &one));
	assert_true(slice_eq_str(one.form, "rows"));
	assert_true(slice_eq_str(one.account, "me"));
	assert_err(report_received_find(f->db, REPORT_TLS, found->id, &f->arena, &one),
	           ERR_NOT_FOUND);
	assert_err(report_received_find(f->db, REPORT_DMARC, found->id + 1, &f->arena, &one),
	           ERR_NOT_FOUND);
}

static void each_is_kept_once_and_the_proven_one_counts(void **state)
{
	struct report_fixture *f = *state;
	struct report_received report = sample(), *found;
	report.n_bad = 100;
	assert_true(add(f, &report)); /* somebody was faster */
	report.n_bad = 3;
	assert_false(add(f, &report)); /* no better */
	report.authentic = true;
	assert_true(add(f, &report)); /* the true one */
	report.n_bad = 50;
	assert_false(add(f, &report));
	report.authentic = false;
	assert_false(add(f, &report));
	assert_int_equal(list(f, REPORT_DMARC, "", INT64_MAX, 10, &found), 1);
	assert_int_equal(found->n_bad, 3);
	assert_true(found->authentic);
	/* Of another kind, domain, organization or id: another. */
	report.kind = REPORT_TLS;
	assert_true(add(f, &report));
	report.domain = SLICE("example.net");
	assert_true(add(f, &report));
	report.organization = SLICE("Others");
	assert_true(add(f, &report));
	report.report_id = SLICE("r2");
	assert_true(add(f, &report));
	assert_int_equal(list(f, REPORT_TLS, "", INT64_MAX, 10, &found), 4);
}

static void lists_are_of_a_domain_and_come_in_pages(void **state)
{
	struct report_fixture *f = *state;
	struct report_received report = sample(), *found;
	char id[16];
	for (unsigned i = 0; i < 25; i++) {
		snprintf(id, sizeof(id), "r%u", i);
		report.report_id = slice_str(id);
		report.domain = i % 5 == 0 ? SLICE("example.net") : SLICE("example.org");
		assert_true(add(f, &report));
	}
	assert_int_equal(list(f, REPORT_DMARC, "example.net", INT64_MAX, 10, &found), 5);
	assert_true(slice_eq_str(found[0].report_id, "r20"));
	assert_int_equal(list(f, REPORT_DMARC, "nothing.example", INT64_MAX, 10, &found), 0);
	size_t n, n_all = 0;
	int64_t below = INT64_MAX;
	while ((n = list(f, REPORT_DMARC, "", below, 10, &found)) > 0) {
		for (size_t i = 0; i < n; i++) {
			assert_true(found[i].id < below);
			below = found[i].id;
		}
		n_all += n;
	}
	assert_int_equal(n_all, 25);
}

static void what_no_room_hands_over_is_refused(void **state)
{
	static const struct slice no_text = {(const uint8_t *)"\xff", 1};
	struct report_fixture *f = *state;
	struct report_received reports[9];
	bool is_new;
	char long_text[REPORT_RECEIVED_TEXT_MAX + 1];
	memset(long_text, 'x', sizeof(long_text));
	uint8_t *form = base_alloc(REPORT_RECEIVED_FORM_MAX + 1);
	for (size_t i = 0; i < N_ELEMENTS(reports); i++)
		reports[i] = sample();
	reports[0].domain = SLICE("Example.org");
	reports[1].organization = slice_empty();
	reports[2].report_id = slice_empty();
	reports[3].contact = no_text;
	reports[4].organization = slice_of(long_text, sizeof(long_text));
	reports[5].end_s = reports[5].begin_s - 1;
	reports[6].kind = (enum report_kind)7;
	reports[7].n_bad = UINT64_MAX;
	reports[8].form = slice_of(form, REPORT_RECEIVED_FORM_MAX + 1);
	for (size_t i = 0; i < N_ELEMENTS(reports); i++)
		assert_err(report_received_add(f->db, &reports[i], &is_new), ERR_INVALID);
	base_free(form);
}

/* Large ones reach the limit of size before that of number. */
static void room_is_made_among_ones_own(void **state)
{
	struct report_fixture *f = *state;
	struct report_received report = sample(), *found;
	const unsigned n = (unsigned)(REPORT_RECEIVED_SIZE_MAX / (int64_t)REPORT_RECEIVED_FORM_MAX);
	uint8_t *form = base_alloc(REPORT_RECEIVED_FORM_MAX);
	char id[16];
	memset(form, 'x', REPORT_RECEIVED_FORM_MAX);
	report.account = SLICE("other");
	assert_true(add(f, &report));
	report.account = SLICE("me");
	report.form = slice_of(form, REPORT_RECEIVED_FORM_MAX);
	for (unsigned i = 0; i < n + 3; i++) {
		snprintf(id, sizeof(id), "n%u", i);
		report.report_id = slice_str(id);
		report.authentic = i == 0;
		report.received_s = T0 + i;
		assert_true(add(f, &report));
	}
	size_t left = list(f, REPORT_DMARC, "", INT64_MAX, n + 10, &found);
	assert_in_range(left, n - 1, n + 1);
	bool other = false, proven = false, oldest = false;
	for (size_t i = 0; i < left; i++) {
		other |= slice_eq_str(found[i].account, "other");
		proven |= found[i].authentic;
		oldest |= slice_eq_str(found[i].report_id, "n1");
	}
	assert_true(other && proven);
	assert_false(oldest);
	base_free(form);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(what_was_added_is_there_after_a_restart),
	        TEST(each_is_kept_once_and_the_proven_one_counts),
	        TEST(lists_are_of_a_domain_and_come_in_pages),
	        TEST(what_no_room_hands_over_is_refused),
	        TEST(room_is_made_among_ones_own),
	};
#undef TEST
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
