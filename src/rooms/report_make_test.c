/* Reports made of what was counted, read back by our own readers; and the messages that carry them.
 */
#include "rooms/report_make.h"

#include "base/encode.h"
#include "ipc/door.h"
#include "message/header.h"
#include "report/dmarc_report.h"
#include "report/report_name.h"
#include "report/tlsrpt_report.h"
#include "report/unpack.h"
#include "steward.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail

#define DAY_BEGIN (INT64_C(20000) * 86400)

struct fixture {
	struct arena arena;
	struct buf packed, text;
};

static const struct report_author author = {
        .organization = {(const uint8_t *)"Us & Co", 7},
        .address = {(const uint8_t *)"reports@us.example", 18},
        .contact = {(const uint8_t *)"ask@us.example", 14},
        .generator = {(const uint8_t *)"mailkeep", 8},
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	arena_init(&f->arena, (size_t)512 * 1024 * 1024);
	buf_init(&f->packed, REPORT_PACKED_MAX);
	buf_init(&f->text, REPORT_DOCUMENT_MAX);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	arena_done(&f->arena);
	buf_done(&f->packed);
	buf_done(&f->text);
	base_free(f);
	return 0;
}

static struct report_topic topic_of(enum report_kind kind)
{
	return (struct report_topic){.id = 5,
	                             .kind = kind,
	                             .domain = SLICE("a.example"),
	                             .begin_s = DAY_BEGIN,
	                             .end_s = DAY_BEGIN + 86400};
}

static struct slice pack(struct fixture *f, const ProtobufCMessage *message)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = arena_alloc(&f->arena, n + 1);
	return slice_of(bytes, protobuf_c_message_pack(message, bytes));
}

static struct slice tls_policy(struct fixture *f, const char *type, const char *domain)
{
	Door__TlsPolicy policy = DOOR__TLS_POLICY__INIT;
	char *strings[] = {door_string("version: STSv1"), door_string("mode: enforce")};
	policy.type = door_string(type);
	policy.domain = door_string(domain);
	policy.strings = strings;
	policy.n_strings = 2;
	return pack(f, &policy.base);
}

static struct slice tls_failure(struct fixture *f, const char *result)
{
	Door__TlsFailure failure = DOOR__TLS_FAILURE__INIT;
	failure.result = door_string(result);
	failure.host = door_string("mx.a.example");
	failure.address = door_string("192.0.2.1");
	failure.reason = door_string("because");
	return pack(f, &failure.base);
}

static void tls_sessions_are_summed_by_policy(void **state)
{
	struct fixture *f = *state;
	struct report_topic topic = topic_of(REPORT_TLS);
	struct tlsrpt_report report;
	struct slice sts = tls_policy(f, "sts", "a.example"),
	             tlsa = tls_policy(f, "tlsa", "mx.a.example");
	const struct report_counted counted[] = {
	        {1, sts, slice_empty(), 7},
	        {1, sts, tls_failure(f, "certificate-expired"), 2},
	        {1, sts, tls_failure(f, "starttls-not-supported"), 3},
	        {2, tlsa, slice_empty(), 4},
	        {3, SLICE("\xff no policy"), slice_empty(), 9}, /* left out */
	};
	assert_true(is_ok(report_make_document(&topic, SLICE("1.0.ab@us.example"), &author, counted,
	                                       N_ELEMENTS(counted), &f->arena, &f->packed)));
	assert_true(is_ok(unpack(buf_slice(&f->packed), UNPACK_SIZE_MAX, &f->text)));
	assert_true(is_ok(tlsrpt_report_parse(buf_slice(&f->text), &f->arena, &report)));
	assert_int_equal(report.n_policies, 2);
	assert_int_equal(report.policies[0].n_successful, 7);
	assert_int_equal(report.policies[0].n_failed, 5);
	assert_int_equal(report.policies[0].n_failures, 2);
	assert_int_equal(report.policies[0].n_strings, 2);
	assert_true(slice_eq_str(report.policies[0].failures[0].result, "certificate-expired"));
	assert_int_equal(report.policies[1].n_successful, 4);
	assert_int_equal(report.policies[1].n_failures, 0);
	assert_int_equal(report.start_s, DAY_BEGIN);
	assert_int_equal(report.end_s, DAY_BEGIN + 86399);
	assert_true(slice_eq_str(report.contact, "ask@us.example"));
}

static struct slice checked(struct fixture *f, const char *ip, uint32_t disposition)
{
	Door__DmarcChecked c = DOOR__DMARC_CHECKED__INIT;
	Door__DmarcAuth spf = DOOR__DMARC_AUTH__INIT, dkim = DOOR__DMARC_AUTH__INIT;
	Door__DmarcAuth *spfs[] = {&spf}, *dkims[] = {&dkim};
	Door__DmarcReason reason = DOOR__DMARC_REASON__INIT, *reasons[] = {&reason};
	spf.domain = dkim.domain = door_string("a.example");
	dkim.selector = door_string("s1");
	spf.result = MAILAUTH_SOFTFAIL;
	dkim.result = 4000; /* none that there is */
	reason.type = DMARC_OVERRIDE_MAILING_LIST;
	c.source_ip = door_string(ip);
	c.disposition = disposition;
	c.header_from = door_string("a.example");
	c.envelope_from = door_string("<&>.example");
	c.spf = spfs;
	c.dkim = dkims;
	c.reasons = reasons;
	c.n_spf = c.n_dkim = c.n_reasons = 1;
	return pack(f, &c.base);
}

static struct slice published(struct fixture *f)
{
	Door__DmarcPublished p = DOOR__DMARC_PUBLISHED__INIT;
	p.p = DMARC_REJECT;
	p.has_sp = true;
	p.sp = DMARC_QUARANTINE;
	p.aspf = DMARC_STRICT;
	p.pct = 50;
	p.fo = door_string("1:d");
	return pack(f, &p.base);
}

static void dmarc_rows_are_told_with_their_policy(void **state)
{
	struct fixture *f = *state;
	struct report_topic topic = topic_of(REPORT_DMARC);
	struct dmarc_report report;
	struct slice policy = published(f);
	const struct report_counted counted[] = {
	        {1, policy, checked(f, "192.0.2.1", DMARC_DISPOSITION_REJECT), 3},
	        {1, policy, checked(f, "2001:db8::1", 99), 1},
	        {1, policy, SLICE("\xff"), 5}, /* left out */
	};
	assert_true(is_ok(report_make_document(&topic, SLICE("1.1.ab@us.example"), &author, counted,
	                                       N_ELEMENTS(counted), &f->arena, &f->packed)));
	assert_true(is_ok(unpack(buf_slice(&f->packed), UNPACK_SIZE_MAX, &f->text)));
	assert_true(is_ok(dmarc_report_parse(buf_slice(&f->text), &f->arena, &report)));
	assert_int_equal(report.n_rows, 2);
	assert_int_equal(report.p, DMARC_REJECT);
	assert_true(report.has_sp && report.sp == DMARC_QUARANTINE);
	assert_int_equal(report.aspf, DMARC_STRICT);
	assert_int_equal(report.pct, 50);
	assert_int_equal(report.rows->count, 3);
	assert_int_equal(report.rows->disposition, DMARC_DISPOSITION_REJECT);
	assert_int_equal(report.rows->spf[0].result, MAILAUTH_SOFTFAIL);
	assert_int_equal(report.rows->n_reasons, 1);
	assert_true(slice_eq_str(report.rows->envelope_from, "<&>.example"));
	assert_true(slice_eq_str(report.rows->next->source_ip, "2001:db8::1"));
	assert_int_equal(report.rows->next->disposition, DMARC_DISPOSITION_NONE);
}

static void nothing_to_tell_is_no_report(void **state)
{
	struct fixture *f = *state;
	for (unsigned kind = 0; kind < REPORT_KINDS; kind++) {
		struct report_topic topic = topic_of((enum report_kind)kind);
		const struct report_counted bad = {1, SLICE("\xff"), SLICE("\xff"), 1};
		assert_int_equal(report_make_document(&topic, SLICE("1@us.example"), &author, NULL,
		                                      0, &f->arena, &f->packed)
		                         .code,
		                 ERR_INVALID);
		assert_int_equal(report_make_document(&topic, SLICE("1@us.example"), &author, &bad,
		                                      1, &f->arena, &f->packed)
		                         .code,
		                 ERR_INVALID);
	}
}

/* ---- the message ---- */

static struct status make(struct fixture *f, enum report_kind kind, const char *to, struct slice id,
                          struct slice *ret_subject)
{
	struct report_topic topic = topic_of(kind);
	struct slice message_id;
	struct report_mail mail = {.topic = &topic,
	                           .author = &author,
	                           .to = slice_str(to),
	                           .report_id = id,
	                           .n = 2,
	                           .now_s = DAY_BEGIN + 90000,
	                           .packed = SLICE("not really gzip")};
	buf_reset(&f->text);
	struct status status =
	        report_make_message(&mail, &f->arena, &f->text, ret_subject, &message_id);
	if (is_ok(status))
		assert_true(slice_eq_str(message_id, "<1.0.ab.2@us.example>"));
	return status;
}

static void assert_field(struct fixture *f, const char *name, const char *value)
{
	struct message_field field;
	assert_true(message_headers_find(buf_slice(&f->text), name, &field));
	struct slice line = message_unfold(field.value, &f->arena);
	if (!slice_eq_str(line, value))
		print_message("%s: %.*s\n", name, SLICE_FMT(line));
	assert_true(slice_eq_str(line, value));
}

static void a_tls_report_travels_as_its_rfc_wants(void **state)
{
	struct fixture *f = *state;
	struct report_subject subject;
	struct slice text;
	assert_true(is_ok(make(f, REPORT_TLS, "t@a.example", SLICE("1.0.ab@us.example"), &text)));
	assert_true(report_subject_parse(text, &subject));
	assert_true(slice_eq_str(subject.submitter, "us.example"));
	assert_field(f, "TLS-Report-Domain", "a.example");
	assert_field(f, "TLS-Report-Submitter", "us.example");
	assert_field(f, "TLS-Required", "No");
	assert_field(f, "Content-Type",
	             "multipart/report; report-type=\"tlsrpt\"; boundary=\"=_report_5_2\"");
	assert_field(f, "Auto-Submitted", "auto-generated");
	assert_true(slice_is_ascii(buf_slice(&f->text)));
	assert_true(slice_find(buf_slice(&f->text), SLICE("application/tlsrpt+gzip")) != SIZE_MAX);
	assert_true(slice_find(buf_slice(&f->text),
	                       SLICE("us.example!a.example!1728000000!1728086399.json.gz")) !=
	            SIZE_MAX);
}

static void a_dmarc_report_travels_as_its_rfc_wants(void **state)
{
	struct fixture *f = *state;
	struct message_field field;
	struct slice text;
	assert_true(is_ok(make(f, REPORT_DMARC, "t@a.example", SLICE("1.0.ab@us.example"), &text)));
	assert_field(f, "Subject",
	             "Report Domain: a.example Submitter: us.example Report-ID: "
	             "<1.0.ab@us.example>");
	assert_field(f, "To", "<t@a.example>");
	assert_false(message_headers_find(buf_slice(&f->text), "TLS-Required", &field));
	assert_true(slice_find(buf_slice(&f->text),
	                       SLICE("us.example!a.example!1728000000!1728086399.xml.gz")) !=
	            SIZE_MAX);
}

static void what_would_break_the_header_is_refused(void **state)
{
	static const char *const addresses[] = {"a@b.example\r\nBcc: c@d.example", "a@b\n.example",
	                                        "\xc3\xa4@b.example"};
	static const char *const ids[] = {"1 2@us.example", "a\r\nb@us.example", "a@b@c", ""};
	struct fixture *f = *state;
	struct slice text;
	for (size_t i = 0; i < N_ELEMENTS(addresses); i++)
		assert_false(is_ok(
		        make(f, REPORT_TLS, addresses[i], SLICE("1.0.ab@us.example"), &text)));
	for (size_t i = 0; i < N_ELEMENTS(ids); i++)
		assert_false(is_ok(make(f, REPORT_DMARC, "t@a.example", slice_str(ids[i]), &text)));
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(tls_sessions_are_summed_by_policy),
	        WITH_FIXTURE(dmarc_rows_are_told_with_their_policy),
	        WITH_FIXTURE(nothing_to_tell_is_no_report),
	        WITH_FIXTURE(a_tls_report_travels_as_its_rfc_wants),
	        WITH_FIXTURE(a_dmarc_report_travels_as_its_rfc_wants),
	        WITH_FIXTURE(what_would_break_the_header_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
