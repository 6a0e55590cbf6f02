/* Aggregate reports of DMARC: written in both forms, read in whatever form they come, bombs
 * refused. */
#include "report/dmarc_report.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define OUT_MAX ((size_t)256 * 1024 * 1024)

static struct dmarc_report_reason reasons[] = {
        {DMARC_OVERRIDE_MAILING_LIST, {(const uint8_t *)"a <list> & more", 15}},
        {DMARC_OVERRIDE_SAMPLED_OUT, {(const uint8_t *)"", 0}},
        {DMARC_OVERRIDE_POLICY_TEST_MODE, {(const uint8_t *)"", 0}},
};

static struct dmarc_report sample(struct dmarc_report_row *row, struct dmarc_report_auth auth[3])
{
	auth[0] = (struct dmarc_report_auth){
	        .domain = SLICE("example.com"), .selector = SLICE("s1"), .result = MAILAUTH_PASS};
	auth[1] = (struct dmarc_report_auth){.domain = SLICE("list.example"),
	                                     .selector = SLICE("x"),
	                                     .result = MAILAUTH_TEMPERROR,
	                                     .human_result = SLICE("no key")};
	auth[2] = (struct dmarc_report_auth){.domain = SLICE("bounce.example.com"),
	                                     .result = MAILAUTH_SOFTFAIL,
	                                     .helo = true,
	                                     .human_result = SLICE("why")};
	*row = (struct dmarc_report_row){
	        .source_ip = SLICE("2001:db8::1"),
	        .count = 123,
	        .disposition = DMARC_DISPOSITION_PASS,
	        .dkim_aligned = true,
	        .reasons = reasons,
	        .n_reasons = 3,
	        .header_from = SLICE("example.com"),
	        .has_envelope_from = true,
	        .envelope_from = SLICE("bounce.example.com"),
	        .has_envelope_to = true,
	        .envelope_to = SLICE("example.net"),
	        .dkim = auth,
	        .n_dkim = 2,
	        .spf = auth + 2,
	        .n_spf = 1,
	};
	return (struct dmarc_report){
	        .org_name = SLICE("Sample & Co"),
	        .email = SLICE("dmarc@example.net"),
	        .extra_contact_info = SLICE(""),
	        .generator = SLICE("mailkeep 1"),
	        .report_id = SLICE("2002.02.15.1"),
	        .begin_s = 1013662812,
	        .end_s = 1013749130,
	        .domain = SLICE("example.com"),
	        .discovery = SLICE("treewalk"),
	        .has_np = true,
	        .has_testing = true,
	        .p = DMARC_REJECT,
	        .np = DMARC_QUARANTINE,
	        .adkim = DMARC_STRICT,
	        .testing = true,
	        .rows = row,
	        .n_rows = 1,
	};
}

static void print(const struct dmarc_report *report, enum dmarc_report_form form, struct buf *out)
{
	assert_int_equal(dmarc_report_print(report, form, out).code, ERR_OK);
}

static void reports_are_written(void **state)
{
	static const char old[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	                          "<feedback>\n"
	                          "  <version>1.0</version>\n"
	                          "  <report_metadata>\n"
	                          "    <org_name>Sample &amp; Co</org_name>\n"
	                          "    <email>dmarc@example.net</email>\n"
	                          "    <report_id>2002.02.15.1</report_id>\n"
	                          "    <date_range>\n"
	                          "      <begin>1013662812</begin>\n"
	                          "      <end>1013749130</end>\n"
	                          "    </date_range>\n"
	                          "  </report_metadata>\n"
	                          "  <policy_published>\n"
	                          "    <domain>example.com</domain>\n"
	                          "    <adkim>s</adkim>\n"
	                          "    <aspf>r</aspf>\n"
	                          "    <p>reject</p>\n"
	                          "    <sp>reject</sp>\n"
	                          "    <pct>100</pct>\n"
	                          "    <fo>0</fo>\n"
	                          "  </policy_published>\n"
	                          "  <record>\n"
	                          "    <row>\n"
	                          "      <source_ip>2001:db8::1</source_ip>\n"
	                          "      <count>123</count>\n"
	                          "      <policy_evaluated>\n"
	                          "        <disposition>none</disposition>\n"
	                          "        <dkim>pass</dkim>\n"
	                          "        <spf>fail</spf>\n"
	                          "        <reason>\n"
	                          "          <type>mailing_list</type>\n"
	                          "          <comment>a &lt;list&gt; &amp; more</comment>\n"
	                          "        </reason>\n"
	                          "        <reason>\n"
	                          "          <type>sampled_out</type>\n"
	                          "        </reason>\n"
	                          "        <reason>\n"
	                          "          <type>other</type>\n"
	                          "          <comment>policy_test_mode</comment>\n"
	                          "        </reason>\n"
	                          "      </policy_evaluated>\n"
	                          "    </row>\n"
	                          "    <identifiers>\n"
	                          "      <envelope_to>example.net</envelope_to>\n"
	                          "      <envelope_from>bounce.example.com</envelope_from>\n"
	                          "      <header_from>example.com</header_from>\n"
	                          "    </identifiers>\n"
	                          "    <auth_results>\n"
	                          "      <dkim>\n"
	                          "        <domain>example.com</domain>\n"
	                          "        <selector>s1</selector>\n"
	                          "        <result>pass</result>\n"
	                          "      </dkim>\n"
	                          "      <dkim>\n"
	                          "        <domain>list.example</domain>\n"
	                          "        <selector>x</selector>\n"
	                          "        <result>temperror</result>\n"
	                          "        <human_result>no key</human_result>\n"
	                          "      </dkim>\n"
	                          "      <spf>\n"
	                          "        <domain>bounce.example.com</domain>\n"
	                          "        <scope>helo</scope>\n"
	                          "        <result>softfail</result>\n"
	                          "      </spf>\n"
	                          "    </auth_results>\n"
	                          "  </record>\n"
	                          "</feedback>\n";
	struct dmarc_report_row row;
	struct dmarc_report_auth auth[3];
	struct dmarc_report report = sample(&row, auth);
	struct buf out;
	(void)state;
	buf_init(&out, OUT_MAX);
	print(&report, DMARC_REPORT_RFC7489, &out);
	assert_string_equal(buf_cstr(&out), old);
	buf_reset(&out);
	print(&report, DMARC_REPORT_RFC9990, &out);
	static const char *const parts[] = {
	        "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n  <version>1.0</version>\n",
	        "    <generator>mailkeep 1</generator>\n  </report_metadata>\n",
	        ("    <domain>example.com</domain>\n    "
	         "<discovery_method>treewalk</discovery_method>\n"
	         "    <p>reject</p>\n    <np>quarantine</np>\n    <adkim>s</adkim>\n"
	         "    <aspf>r</aspf>\n    <testing>y</testing>\n"),
	        "<disposition>pass</disposition>",
	        "<type>other</type>\n          <comment>sampled_out</comment>",
	        "<type>policy_test_mode</type>\n        </reason>",
	        ("<scope>mfrom</scope>\n        <result>softfail</result>\n"
	         "        <human_result>why</human_result>"),
	};
	for (size_t i = 0; i < N_ELEMENTS(parts); i++)
		assert_non_null(strstr(buf_cstr(&out), parts[i]));
	buf_done(&out);
}

static void what_makes_no_report_is_refused(void **state)
{
	struct dmarc_report_row row;
	struct dmarc_report_auth auth[3];
	struct buf out;
	(void)state;
	buf_init(&out, OUT_MAX);
	for (unsigned i = 0; i < 7; i++) {
		struct dmarc_report report = sample(&row, auth);
		if (i == 0)
			report.n_rows = 0;
		else if (i == 1)
			report.org_name = SLICE("");
		else if (i == 2)
			report.report_id = SLICE("");
		else if (i == 3)
			report.domain = SLICE("");
		else if (i == 4)
			report.end_s = report.begin_s - 1;
		else if (i == 5)
			report.begin_s = -1;
		else
			row.source_ip = SLICE("192.0.2.1<");
		assert_int_equal(dmarc_report_print(&report, DMARC_REPORT_RFC7489, &out).code,
		                 ERR_INVALID);
	}
	struct dmarc_report report = sample(&row, auth);
	report.org_name = SLICE("\x01\x7f\xff\xef\xbf\xbe\xc3\xa9\r]]>");
	buf_reset(&out);
	print(&report, DMARC_REPORT_RFC7489, &out);
	assert_non_null(strstr(buf_cstr(&out), "<org_name>????\xc3\xa9?]]&gt;</org_name>"));
	buf_done(&out);
	buf_init(&out, 300);
	assert_int_equal(dmarc_report_print(&report, DMARC_REPORT_RFC7489, &out).code, ERR_LIMIT);
	buf_done(&out);
}

/* --- reading --- */

/* What is printed reads back and prints again as the same text. */
static void reports_go_round(void **state)
{
	(void)state;
	for (unsigned form = DMARC_REPORT_RFC7489; form <= DMARC_REPORT_RFC9990; form++) {
		struct dmarc_report_row row;
		struct dmarc_report_auth auth[3];
		struct dmarc_report report = sample(&row, auth), again;
		struct arena arena;
		struct buf first, second;
		arena_init(&arena, MIB);
		buf_init(&first, OUT_MAX);
		buf_init(&second, OUT_MAX);
		print(&report, (enum dmarc_report_form)form, &first);
		assert_int_equal(dmarc_report_parse(buf_slice(&first), &arena, &again).code,
		                 ERR_OK);
		assert_int_equal(again.form, form);
		print(&again, again.form, &second);
		assert_string_equal(buf_cstr(&first), buf_cstr(&second));
		buf_done(&second);
		buf_done(&first);
		arena_done(&arena);
	}
}

#define METADATA                                                                                   \
	"<report_metadata><org_name>O</org_name><email>e</email><report_id>1</report_id>"          \
	"<date_range><begin>1</begin><end>2</end></date_range></report_metadata>"
#define POLICY "<policy_published><domain>d.example</domain><p>reject</p></policy_published>"
#define ROW                                                                                        \
	"<record><row><source_ip>192.0.2.1</source_ip><count>2</count><policy_evaluated>"          \
	"<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>" \
	"<identifiers><header_from>h.example</header_from></identifiers></record>"

/* "form org id begin-end domain p sp; ip*count disposition dkim spf from dkim=.. spf=.. ; bad" */
static void describe(const struct dmarc_report *report, struct buf *out)
{
	buf_printf(out, "%.*s %.*s %" PRId64 "-%" PRId64 " %.*s p=%s", SLICE_FMT(report->org_name),
	           SLICE_FMT(report->report_id), report->begin_s, report->end_s,
	           SLICE_FMT(report->domain), dmarc_policy_name(report->p));
	if (report->has_sp)
		buf_printf(out, " sp=%s", dmarc_policy_name(report->sp));
	for (size_t i = 0; i < report->n_errors; i++)
		buf_printf(out, " {%.*s}", SLICE_FMT(report->errors[i]));
	for (const struct dmarc_report_row *row = report->rows; row; row = row->next) {
		buf_printf(out, "; %.*s*%" PRIu64 " %s %d%d %.*s", SLICE_FMT(row->source_ip),
		           row->count, dmarc_disposition_name(row->disposition), row->dkim_aligned,
		           row->spf_aligned, SLICE_FMT(row->header_from));
		for (size_t i = 0; i < row->n_reasons; i++)
			buf_printf(out, " (%s %.*s)", dmarc_override_name(row->reasons[i].type),
			           SLICE_FMT(row->reasons[i].comment));
		for (size_t i = 0; i < row->n_dkim; i++)
			buf_printf(out, " dkim=%s:%.*s", mailauth_result_name(row->dkim[i].result),
			           SLICE_FMT(row->dkim[i].domain));
		for (size_t i = 0; i < row->n_spf; i++)
			buf_printf(out, " spf=%s:%.*s", mailauth_result_name(row->spf[i].result),
			           SLICE_FMT(row->spf[i].domain));
	}
	for (size_t i = 0; i < report->n_bad_rows; i++)
		buf_add_str(out, "; bad");
}

static void check_slice(struct slice xml, const char *expected)
{
	struct dmarc_report report;
	struct arena arena;
	struct buf got;
	arena_init(&arena, 4 * MIB);
	buf_init(&got, OUT_MAX);
	struct status status = dmarc_report_parse(xml, &arena, &report);
	if (is_ok(status))
		describe(&report, &got);
	else
		buf_printf(&got, "(%s)", status.why);
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&got);
	arena_done(&arena);
}

static void check(const char *xml, const char *expected)
{
	check_slice(slice_str(xml), expected);
}

#define PLAIN "O 1 1-2 d.example p=reject; 192.0.2.1*2 none 10 h.example"

static void all_kinds_of_reports_are_read(void **state)
{
	(void)state;
	check("<feedback>" METADATA POLICY ROW "</feedback>", PLAIN);
	check("<?xml version=\"1.0\"?>\n<feedback>\n" METADATA "\n" POLICY "\n" ROW
	      "\n</feedback>\n",
	      PLAIN);
	check("\xef\xbb\xbf<feedback>" METADATA POLICY ROW "</feedback>", PLAIN);
	check("<feedback>" ROW POLICY METADATA "</feedback>", PLAIN);
	check("<feedback xmlns=\"http://dmarc.org/dmarc-xml/0.1\">" METADATA POLICY ROW
	      "</feedback>",
	      PLAIN);
	check("<ns1:feedback>" METADATA POLICY ROW "</ns1:feedback>", PLAIN);
	check("<feedback>" METADATA POLICY "</feedback>", "O 1 1-2 d.example p=reject");
	check("<feedback>" METADATA POLICY ROW "<record/>" ROW "</feedback>",
	      PLAIN "; 192.0.2.1*2 none 10 h.example; bad");
	/* unknown elements, known ones elsewhere */
	check("<feedback><x><record><row><count>9</count></row></record></x>" METADATA POLICY
	      "<extension><e:arc xmlns:e=\"u\">x</e:arc></extension>" ROW
	      "<domain>x</domain></feedback>",
	      PLAIN);
	/* texts */
	check("<feedback><report_metadata><org_name> a\n b &lt;&#233;&amp; <![CDATA[<c>]]> "
	      "</org_name><report_id>\t1\n</report_id><date_range><begin> 1 </begin><end>2</end>"
	      "</date_range><error>e1</error><error/><error>e2</error></report_metadata>" POLICY
	      "</feedback>",
	      "a  b <\xc3\xa9& <c> 1 1-2 d.example p=reject {e1} {} {e2}");
	check("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><feedback>" METADATA
	      "<policy_published><domain>d\xe9</domain></policy_published></feedback>",
	      "O 1 1-2 d\xc3\xa9 p=none");
	/* all of a row */
	check("<feedback>" METADATA
	      "<policy_published><domain>d</domain><p>none</p><sp>quarantine</sp><np>x</np>"
	      "<pct>101</pct></policy_published><record><row><source_ip>2001:db8::1</source_ip>"
	      "<count>1000000000000000</count><policy_evaluated><disposition>Reject</disposition>"
	      "<dkim>fail</dkim><spf>PASS</spf><reason><type>forwarded</type><comment>c</comment>"
	      "</reason><reason><type>odd</type></reason><reason/></policy_evaluated></row>"
	      "<identifiers><header_from>h</header_from><envelope_from/></identifiers>"
	      "<auth_results><dkim><domain>a</domain><result>pass</result></dkim><dkim>"
	      "<domain>b</domain><result>unknown</result></dkim><spf><domain>c</domain>"
	      "<scope>helo</scope><result>hardfail</result></spf><spf/></auth_results></record>"
	      "</feedback>",
	      "O 1 1-2 d p=none sp=quarantine; 2001:db8::1*1000000000000000 reject 01 h "
	      "(forwarded c) (other ) (other ) dkim=pass:a dkim=temperror:b spf=fail:c spf=none:");
}

static void rows_that_cannot_be_read_are_left_out(void **state)
{
	static const char *const rows[] = {
	        "<record/>",
	        "<record><row><source_ip>192.0.2.1</source_ip></row></record>",
	        "<record><row><count>1</count></row></record>",
	        "<record><row><source_ip>x</source_ip><count>1</count></row></record>",
	        "<record><row><source_ip>192.0.2.1.1</source_ip><count>1</count></row></record>",
	        "<record><row><source_ip>192.0.2.1</source_ip><count>-1</count></row></record>",
	        "<record><row><source_ip>192.0.2.1</source_ip><count>x</count></row></record>",
	        "<record><row><source_ip>192.0.2.1</source_ip><count/></row></record>",
	        "<record><row><source_ip>192.0.2.1</source_ip><count>1000000000000001</count>"
	        "</row></record>",
	        "<record><row><source_ip>192.0.2.1</source_ip><count>1</count><count>x</count>"
	        "</row></record>",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char xml[2000];
		snprintf(xml, sizeof(xml), "<feedback>" METADATA POLICY "%s" ROW "</feedback>",
		         rows[i]);
		check(xml, PLAIN "; bad");
	}
}

static void other_documents_are_refused(void **state)
{
	static const struct {
		const char *xml, *expected;
	} cases[] = {
	        {"", "(not well-formed XML)"},
	        {"x", "(not well-formed XML)"},
	        {"<feedback>", "(not well-formed XML)"},
	        {"<feedback></x>", "(not well-formed XML)"},
	        {"<feedback>&undefined;</feedback>", "(not well-formed XML)"},
	        {"<feedback>\x01</feedback>", "(not well-formed XML)"},
	        {"<feedback>\xff</feedback>", "(not well-formed XML)"},
	        {"<feedback>" METADATA POLICY ROW "</feedback>x", "(not well-formed XML)"},
	        {"<feedback>" METADATA POLICY ROW "</feedback><feedback/>",
	         "(not well-formed XML)"},
	        {"<?xml version=\"1.0\" encoding=\"x-none\"?><feedback/>", "(not well-formed XML)"},
	        {"<html/>", "(not an aggregate report)"},
	        {"<html><feedback>" METADATA POLICY "</feedback></html>",
	         "(not an aggregate report)"},
	        {"<record/>", "(not an aggregate report)"},
	        {"<feedback/>", "(the report has no name, id or domain)"},
	        {"<feedback>" METADATA "</feedback>", "(the report has no name, id or domain)"},
	        {"<feedback>" POLICY "</feedback>", "(the report has no name, id or domain)"},
	        {"<feedback><report_metadata><org_name>O</org_name><report_id>1</report_id>"
	         "</report_metadata>" POLICY "</feedback>",
	         "(the report has no period)"},
	        {"<feedback><report_metadata><org_name>O</org_name><report_id>1</report_id>"
	         "<date_range><begin>2</begin><end>1</end></date_range></report_metadata>" POLICY
	         "</feedback>",
	         "(the report has no period)"},
	        {"<feedback><report_metadata><org_name>O</org_name><report_id>1</report_id>"
	         "<date_range><begin>x</begin><end>1</end></date_range></report_metadata>" POLICY
	         "</feedback>",
	         "(the report has no period)"},
	        {"<feedback><report_metadata><org_name>O</org_name><report_id>1</report_id>"
	         "<date_range><begin>1</begin><end>9223372036854775808</end></date_range>"
	         "</report_metadata>" POLICY "</feedback>",
	         "(the report has no period)"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].xml, cases[i].expected);
	check_slice(SLICE("<feedback>\0</feedback>"), "(not well-formed XML)");
}

static void entities_do_not_exist(void **state)
{
	(void)state;
	check("<!DOCTYPE feedback><feedback>" METADATA POLICY "</feedback>",
	      "(the report has a DOCTYPE)");
	check("<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
	      "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><feedback>&c;</feedback>",
	      "(the report has a DOCTYPE)");
	check("<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><feedback>&a;</feedback>",
	      "(the report has a DOCTYPE)");
	check("<!DOCTYPE x SYSTEM \"http://example.com/x.dtd\"><feedback/>",
	      "(the report has a DOCTYPE)");
	check("<!DOCTYPE x [<!ENTITY % p SYSTEM \"http://example.com/\"> %p;]><feedback/>",
	      "(the report has a DOCTYPE)");
}

static void depth_is_bounded(void **state)
{
	struct buf xml;
	(void)state;
	buf_init(&xml, OUT_MAX);
	buf_add_str(&xml, "<feedback>");
	for (unsigned i = 1; i < DMARC_REPORT_DEPTH_MAX; i++)
		buf_add_str(&xml, "<x>");
	size_t n = xml.n;
	buf_add_str(&xml, "<x/>");
	check_slice(buf_slice(&xml), "(the report is nested too deep)");
	xml.n = n;
	for (unsigned i = 1; i < DMARC_REPORT_DEPTH_MAX; i++)
		buf_add_str(&xml, "</x>");
	buf_add_str(&xml, METADATA POLICY "</feedback>");
	check_slice(buf_slice(&xml), "O 1 1-2 d.example p=reject");
	buf_reset(&xml);
	buf_add_str(&xml, "<feedback>");
	for (unsigned i = 0; i < 1000000; i++)
		buf_add_str(&xml, "<x>");
	check_slice(buf_slice(&xml), "(the report is nested too deep)");
	buf_done(&xml);
}

static void rows_and_texts_are_bounded(void **state)
{
	struct dmarc_report report;
	struct arena arena;
	struct buf xml;
	(void)state;
	buf_init(&xml, OUT_MAX);
	arena_init(&arena, DMARC_REPORT_ARENA);
	buf_add_str(&xml, "<feedback>" METADATA POLICY);
	for (unsigned i = 0; i < DMARC_REPORT_ROWS_MAX; i++)
		buf_add_str(&xml,
		            "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row>"
		            "</record>");
	size_t n = xml.n;
	buf_add_str(&xml, "</feedback>");
	assert_int_equal(dmarc_report_parse(buf_slice(&xml), &arena, &report).code, ERR_OK);
	assert_int_equal(report.n_rows, DMARC_REPORT_ROWS_MAX);
	xml.n = n;
	buf_add_str(&xml, ROW "</feedback>");
	arena_reset(&arena);
	assert_int_equal(dmarc_report_parse(buf_slice(&xml), &arena, &report).code, ERR_LIMIT);
	arena_done(&arena);
	/* a small budget ends it, too */
	arena_init(&arena, 100 * KIB);
	assert_int_equal(dmarc_report_parse(buf_slice(&xml), &arena, &report).code, ERR_LIMIT);
	arena_done(&arena);
	/* one text, many parts of a row */
	arena_init(&arena, MIB);
	buf_reset(&xml);
	buf_add_str(&xml, "<feedback><report_metadata>");
	for (unsigned i = 0; i < 2 * DMARC_REPORT_ERRORS_MAX; i++)
		buf_add_str(&xml, "<error>e</error>");
	buf_add_str(&xml, "</report_metadata>" METADATA "<policy_published><domain>");
	for (unsigned i = 0; i < 3 * DMARC_REPORT_TEXT_MAX; i++)
		buf_add_str(&xml, "\xc3\xa9");
	buf_add_str(&xml, "</domain></policy_published><record><row><source_ip>192.0.2.1"
	                  "</source_ip><count>1</count><policy_evaluated>");
	for (unsigned i = 0; i < 1000; i++)
		buf_add_str(&xml, "<reason><type>other</type></reason>");
	buf_add_str(&xml, "</policy_evaluated></row><auth_results>");
	for (unsigned i = 0; i < 1000; i++)
		buf_add_str(&xml, "<dkim><domain>a</domain></dkim><spf><domain>b</domain></spf>");
	buf_add_str(&xml, "</auth_results></record></feedback>");
	assert_int_equal(dmarc_report_parse(buf_slice(&xml), &arena, &report).code, ERR_OK);
	assert_int_equal(report.n_errors, DMARC_REPORT_ERRORS_MAX);
	assert_int_equal(report.domain.n, DMARC_REPORT_TEXT_MAX);
	assert_int_equal(report.rows->n_reasons, DMARC_REPORT_REASONS_MAX);
	assert_int_equal(report.rows->n_dkim, DMARC_REPORT_DKIM_MAX);
	assert_int_equal(report.rows->n_spf, DMARC_REPORT_SPF_MAX);
	arena_done(&arena);
	buf_reset(&xml);
	assert_non_null(buf_reserve(&xml, DMARC_REPORT_SIZE_MAX + 1));
	memset(xml.p, ' ', DMARC_REPORT_SIZE_MAX + 1);
	buf_commit(&xml, DMARC_REPORT_SIZE_MAX + 1);
	check_slice(buf_slice(&xml), "(the report is too large)");
	buf_done(&xml);
}

static void memory_is_bounded(void **state)
{
	size_t n_read = 0;
	(void)state;
	for (size_t budget = 0; budget < 3000; budget += 16) {
		struct dmarc_report report;
		struct arena arena;
		arena_init(&arena, budget);
		struct status status = dmarc_report_parse(
		        SLICE("<feedback>" METADATA POLICY ROW "</feedback>"), &arena, &report);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		n_read += is_ok(status);
		arena_done(&arena);
	}
	assert_true(n_read > 50 && n_read < 180);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reports_are_written),
	        cmocka_unit_test(what_makes_no_report_is_refused),
	        cmocka_unit_test(reports_go_round),
	        cmocka_unit_test(all_kinds_of_reports_are_read),
	        cmocka_unit_test(rows_that_cannot_be_read_are_left_out),
	        cmocka_unit_test(other_documents_are_refused),
	        cmocka_unit_test(entities_do_not_exist),
	        cmocka_unit_test(depth_is_bounded),
	        cmocka_unit_test(rows_and_texts_are_bounded),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
