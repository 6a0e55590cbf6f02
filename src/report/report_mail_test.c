/* Reports in messages, as they come from others' programs; and messages that only look like it. */
#include "report/report_mail.h"

#include "report/unpack.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define DMARC                                                                                      \
	"<?xml version=\"1.0\"?><feedback><report_metadata><org_name>Them</org_name>"              \
	"<email>a@them.example</email><report_id>r1</report_id><date_range>"                       \
	"<begin>1700000000</begin><end>1700086399</end></date_range></report_metadata>"            \
	"<policy_published><domain>example.org</domain><p>none</p></policy_published>"             \
	"<record><row><source_ip>192.0.2.1</source_ip><count>2</count><policy_evaluated>"          \
	"<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>" \
	"<identifiers><header_from>example.org</header_from></identifiers><auth_results><spf>"     \
	"<domain>example.org</domain><result>fail</result></spf></auth_results></record>"          \
	"</feedback>"
#define TLS                                                                                        \
	"{\"organization-name\":\"Them\",\"date-range\":{\"start-datetime\":"                      \
	"\"2024-01-01T00:00:00Z\",\"end-datetime\":\"2024-01-01T23:59:59Z\"},"                     \
	"\"contact-info\":\"a@them.example\",\"report-id\":\"t1\",\"policies\":[{\"policy\":"      \
	"{\"policy-type\":\"sts\",\"policy-domain\":\"example.org\"},\"summary\":"                 \
	"{\"total-successful-session-count\":3,\"total-failure-session-count\":0}}]}"

struct fixture {
	struct arena arena;
	struct buf message;
	struct report_mail mail;
};

static void set_up(struct fixture *f)
{
	arena_init(&f->arena, REPORT_MAIL_ARENA);
	buf_init(&f->message, (size_t)64 * 1024 * 1024);
}

static void tear_down(struct fixture *f)
{
	buf_done(&f->message);
	arena_done(&f->arena);
}

/* A part, in base64; gzipped: what it has is packed before. */
static void add_part(struct fixture *f, const char *header, struct slice content, bool gzipped)
{
	struct buf packed;
	buf_init(&packed, (size_t)64 * 1024 * 1024);
	if (gzipped)
		assert_true(is_ok(pack_gzip(content, &packed)));
	buf_printf(&f->message, "%sContent-Transfer-Encoding: base64\r\n\r\n", header);
	message_base64_encode(gzipped ? buf_slice(&packed) : content, &f->message);
	buf_done(&packed);
}

static enum err read_it(struct fixture *f)
{
	struct message_source_mem source;
	struct message_part *root;
	unsigned defects;
	message_source_mem_init(&source, buf_slice(&f->message));
	assert_true(is_ok(message_parse(buf_slice(&f->message), &f->arena, &root, &defects)));
	return report_mail_read(root, &source.source, &f->arena, &f->mail).code;
}

static void test_forms_in_which_they_come(void **state)
{
	static const struct {
		const char *header, *content;
		bool gzipped;
	} cases[] = {
	        {"Content-Type: application/gzip; name=x\r\n", DMARC, true},
	        {"Content-Type: application/x-gzip\r\n", DMARC, true},
	        {"Content-Type: application/octet-stream\r\n", DMARC, true},
	        {"Content-Type: text/xml; charset=utf-8\r\n", DMARC, false},
	        {"Content-Type: application/xml\r\n", "\xef\xbb\xbf\r\n " DMARC, false},
	        {"Content-Type: image/png; name=\"them.example!example.org!1!2.xml.gz\"\r\n", DMARC,
	         true},
	        {"Content-Type: image/png\r\nContent-Disposition: attachment; "
	         "filename=\"them.example!example.org!1!2.xml\"\r\n",
	         DMARC, false},
	        {"Content-Type: application/tlsrpt+gzip\r\n", TLS, true},
	        {"Content-Type: application/tlsrpt+json\r\n", TLS, false},
	        {"Content-Type: application/json\r\n", TLS, false},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (unsigned wrapped = 0; wrapped < 2; wrapped++) {
			struct fixture f;
			set_up(&f);
			if (wrapped)
				buf_add_str(
				        &f.message,
				        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
				        "\r\nHere it is.\r\n--b\r\n");
			add_part(&f, cases[i].header, slice_str(cases[i].content),
			         cases[i].gzipped);
			buf_add_str(&f.message, wrapped ? "--b--\r\n" : "");
			assert_int_equal(read_it(&f), ERR_OK);
			bool dmarc = strstr(cases[i].content, "feedback") != NULL;
			assert_int_equal(f.mail.kind, dmarc ? REPORT_MAIL_DMARC : REPORT_MAIL_TLS);
			assert_true(
			        slice_eq_str(dmarc ? f.mail.dmarc.report_id : f.mail.tls.report_id,
			                     dmarc ? "r1" : "t1"));
			tear_down(&f);
		}
}

static void test_messages_without_one(void **state)
{
	static const struct {
		const char *message;
		enum err code;
	} cases[] = {
	        {"", ERR_NOT_FOUND},
	        {"Subject: Report domain: example.org\r\n\r\n" DMARC, ERR_NOT_FOUND},
	        {"Content-Type: text/html\r\n\r\n" DMARC, ERR_NOT_FOUND},
	        {"Content-Type: message/rfc822\r\n\r\nContent-Type: text/xml\r\n\r\n" DMARC,
	         ERR_NOT_FOUND},
	        {"Content-Type: text/xml\r\n\r\n<html></html>", ERR_SYNTAX},
	        {"Content-Type: text/xml\r\n\r\n<!DOCTYPE a><feedback></feedback>",
	         ERR_UNSUPPORTED},
	        {"Content-Type: application/json\r\n\r\n{\"a\":1}", ERR_SYNTAX},
	        {"Content-Type: application/json\r\n\r\n[]", ERR_SYNTAX},
	        {"Content-Type: application/gzip\r\n\r\n\x1f\x8bnonsense", ERR_SYNTAX},
	        {"Content-Type: application/gzip\r\n\r\n", ERR_SYNTAX},
	        {"Content-Type: application/zip\r\n\r\nPK\x03\x04", ERR_SYNTAX},
	        {"Content-Type: text/xml\r\nContent-Transfer-Encoding: x-own\r\n\r\n" DMARC,
	         ERR_UNSUPPORTED},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		set_up(&f);
		buf_add_str(&f.message, cases[i].message);
		enum err code = read_it(&f);
		if (code != cases[i].code)
			print_message("case %zu: %s\n", i, err_name(code));
		assert_int_equal(code, cases[i].code);
		tear_down(&f);
	}
}

static void test_one_among_others(void **state)
{
	struct fixture f;
	(void)state;
	set_up(&f);
	buf_add_str(&f.message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	buf_add_str(&f.message, "--b\r\nContent-Type: text/xml\r\n\r\n<no/>\r\n--b\r\n");
	add_part(&f, "Content-Type: application/gzip\r\n", SLICE(DMARC), true);
	buf_add_str(&f.message, "--b--\r\n");
	assert_int_equal(read_it(&f), ERR_OK);
	tear_down(&f);
	/* Too many that are none: the rest is not looked at. */
	set_up(&f);
	buf_add_str(&f.message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (unsigned i = 0; i < REPORT_MAIL_PARTS_MAX; i++)
		buf_add_str(&f.message, "--b\r\nContent-Type: text/xml\r\n\r\n<no/>\r\n");
	buf_add_str(&f.message, "--b\r\n");
	add_part(&f, "Content-Type: application/gzip\r\n", SLICE(DMARC), true);
	buf_add_str(&f.message, "--b--\r\n");
	assert_int_equal(read_it(&f), ERR_SYNTAX);
	tear_down(&f);
}

static void test_bombs(void **state)
{
	struct fixture f;
	struct buf blanks;
	(void)state;
	buf_init(&blanks, 2 * REPORT_MAIL_UNPACKED_MAX);
	for (size_t i = 0; i <= REPORT_MAIL_UNPACKED_MAX / 64; i++)
		buf_add_str(&blanks,
		            "                                                                ");
	set_up(&f); /* small, and large when it is unpacked */
	add_part(&f, "Content-Type: application/gzip\r\n", buf_slice(&blanks), true);
	assert_int_equal(read_it(&f), ERR_LIMIT);
	tear_down(&f);
	set_up(&f); /* large as it comes */
	buf_add_str(&f.message, "Content-Type: text/xml\r\n\r\n");
	buf_add(&f.message, slice_sub(buf_slice(&blanks), 0, REPORT_MAIL_PACKED_MAX + 1));
	assert_int_equal(read_it(&f), ERR_LIMIT);
	tear_down(&f);
	buf_done(&blanks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_forms_in_which_they_come),
	        cmocka_unit_test(test_messages_without_one),
	        cmocka_unit_test(test_one_among_others),
	        cmocka_unit_test(test_bombs),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
