/* Names of files and subjects of reports, both ways. */
#include "report/report_name.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define OUT_MAX 10000u

/* --- file names --- */

static const struct {
	const char *text;
	const char *parsed; /* NULL: no file name */
	bool printed;       /* it is what is printed of that */
} filenames[] = {
        /* RFC 9990 section 3.5.2, RFC 7489 section 7.2.1.1, RFC 8460 section 5.1 */
        {"mail.receiver.example!example.com!1013662812!1013749130.xml.gz",
         "mail.receiver.example example.com 1013662812-1013749130  .xml.gz", true},
        {"mail.receiver.example!example.com!1013662812!1013749130.gz",
         "mail.receiver.example example.com 1013662812-1013749130  .gz", false},
        {"mail.sndr.example.com!example.net!1470013207!1470186007!001.json.gz",
         "mail.sndr.example.com example.net 1470013207-1470186007 001 .json.gz", true},
        /* as others name theirs */
        {"google.com!example.com!1546300800!1546387199.zip",
         "google.com example.com 1546300800-1546387199  .zip", false},
        {"a.example!B.example!1!2!xyZ9.XML", "a.example B.example 1-2 xyZ9 .xml", false},
        {"a!xn--bcher-kva.example!0!0.json", "a xn--bcher-kva.example 0-0  .json", true},
        {"a!_x.b!1!9223372036854775807.xml", "a _x.b 1-9223372036854775807  .xml", true},
        {"a!b!1!2.xml.xml", NULL, false},
        {"", NULL, false},
        {".xml", NULL, false},
        {"a!b!1!2", NULL, false},
        {"a!b!1!2.txt", NULL, false},
        {"a!b!1!2xml", NULL, false},
        {"a!b!1.xml", NULL, false},
        {"a!1!2.xml", NULL, false},
        {"!b!1!2.xml", NULL, false},
        {"a!!1!2.xml", NULL, false},
        {"a!b!!2.xml", NULL, false},
        {"a!b!1!.xml", NULL, false},
        {"a!b!1!2!.xml", NULL, false},
        {"a!b!1!2!x!y.xml", NULL, false},
        {"a!b!1!2!x-y.xml", NULL, false},
        {"a!b!1!2!../x.xml", NULL, false},
        {"a!b!2!1.xml", NULL, false},
        {"a!b!-1!1.xml", NULL, false},
        {"a!b!1!9223372036854775808.xml", NULL, false},
        {"a/../b!b!1!2.xml", NULL, false},
        {"a..c!b!1!2.xml", NULL, false},
        {"a.!b!1!2.xml", NULL, false},
        {".a!b!1!2.xml", NULL, false},
        {"a b!b!1!2.xml", NULL, false},
        {"a\xc3\xa9!b!1!2.xml", NULL, false},
        {"a!b!1!2.xml\r\n", NULL, false},
        {"a\r\n!b!1!2.xml", NULL, false},
};

static void file_names_are_read(void **state)
{
	static const char *const extensions[] = {".xml",     ".xml.gz", ".json",
	                                         ".json.gz", ".zip",    ".gz"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(filenames); i++) {
		struct report_filename name;
		bool good = report_filename_parse(slice_str(filenames[i].text), &name);
		struct buf got;
		buf_init(&got, OUT_MAX);
		if (good)
			buf_printf(&got, "%.*s %.*s %lld-%lld %.*s %s", SLICE_FMT(name.submitter),
			           SLICE_FMT(name.domain), (long long)name.begin_s,
			           (long long)name.end_s, SLICE_FMT(name.unique),
			           extensions[name.extension]);
		const char *expected = filenames[i].parsed;
		assert_string_equal(good ? buf_cstr(&got) : "-", expected ? expected : "-");
		buf_reset(&got);
		if (filenames[i].printed) {
			assert_int_equal(report_filename_print(&name, &got).code, ERR_OK);
			assert_string_equal(buf_cstr(&got), filenames[i].text);
		}
		buf_done(&got);
	}
}

static const struct report_filename good_name = {
        .submitter = {(const uint8_t *)"a.example", 9},
        .domain = {(const uint8_t *)"b.example", 9},
        .begin_s = 1,
        .end_s = 2,
        .unique = {(const uint8_t *)"x1", 2},
};

static void check_refused_name(struct report_filename name)
{
	struct buf out;
	buf_init(&out, OUT_MAX);
	assert_int_equal(report_filename_print(&name, &out).code, ERR_INVALID);
	assert_int_equal(out.n, 0);
	buf_done(&out);
}

static void bad_file_names_are_not_written(void **state)
{
	static const char *const domains[] = {"",      ".",      "a..b", "a.",   "-\n",     "a!b",
	                                      "a/b.c", "a\r\nb", "a b",  "a\"b", "\xc3\xa9"};
	static const char *const uniques[] = {"!", ".", "-", " ", "a\n", "../x"};
	struct report_filename name = good_name;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(domains); i++) {
		name = good_name;
		name.submitter = slice_str(domains[i]);
		check_refused_name(name);
		name = good_name;
		name.domain = slice_str(domains[i]);
		check_refused_name(name);
	}
	for (size_t i = 0; i < N_ELEMENTS(uniques); i++) {
		name = good_name;
		name.unique = slice_str(uniques[i]);
		check_refused_name(name);
	}
	name = good_name;
	name.begin_s = 3;
	check_refused_name(name);
	name.begin_s = -1;
	check_refused_name(name);
	name = good_name;
	name.extension = REPORT_ZIP;
	check_refused_name(name);
	name.extension = REPORT_GZ;
	check_refused_name(name);
}

/* --- subjects --- */

static const struct {
	const char *text;
	const char *parsed; /* NULL: another subject */
	bool printed;
} subjects[] = {
        /* RFC 8460 section 5.3, RFC 7489 section 7.2.1.1, RFC 9990 section 3.5.2 */
        {"Report Domain: example.net\r\n    Submitter: mail.sender.example.com\r\n"
         "    Report-ID: <735ff.e317+bf22029@mailexample.net>",
         "example.net mail.sender.example.com 735ff.e317+bf22029@mailexample.net", false},
        {"Report Domain: example.com Submitter: mail.receiver.example Report-ID: "
         "<2002.02.15.1>",
         "example.com mail.receiver.example 2002.02.15.1", true},
        {"Report Domain: example.com Submitter: mail.receiver.example Report-ID: "
         "<sample-ridtxt@example.com>",
         "example.com mail.receiver.example sample-ridtxt@example.com", true},
        {"Report Domain: a Submitter: b Report-ID:<x>", "a b x", false},
        {"Report Domain: a Submitter: b Report-ID: x", "a b x", false},
        {"Report domain: a submitter: b report-id: 5", "a b 5", false},
        {"  Report\tDomain:  a\r\n\tSubmitter: b  ", "a b ", false},
        {"Report Domain: a Submitter: b Report-ID: <x> (daily)", "a b x", false},
        {"", NULL, false},
        {"Report", NULL, false},
        {"Report Domain:", NULL, false},
        {"Report Domain: a", NULL, false},
        {"Report Domain: a Submitter:", NULL, false},
        {"Report Domain: Submitter: b Report-ID: <x>", NULL, false},
        {"Report Domain: a b Submitter: b Report-ID: <x>", NULL, false},
        {"ReportDomain: a Submitter: b Report-ID: <x>", NULL, false},
        {"Report Domain:a Submitter: b Report-ID: <x>", NULL, false},
        {"Re: Report Domain: a Submitter: b Report-ID: <x>", NULL, false},
        {"Report Domain: a Submitter: b Report-ID:", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: <>", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: <x", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: x>", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: x@", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: @x", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: x@y@z", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: x..y", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: .x", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: \"x\"", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: <x> y", NULL, false},
        {"Report Domain: a Submitter: b Report-ID: <x> (", NULL, false},
        {"Report Domain: a Submitter: b y", NULL, false},
        {"Report Domain: a..b Submitter: b Report-ID: <x>", NULL, false},
        {"Report Domain: a Submitter: b/ Report-ID: <x>", NULL, false},
        {"Report Domain: a Submitter: \xc3\xa9 Report-ID: <x>", NULL, false},
};

static void subjects_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(subjects); i++) {
		struct report_subject subject;
		bool good = report_subject_parse(slice_str(subjects[i].text), &subject);
		struct buf got;
		buf_init(&got, OUT_MAX);
		if (good)
			buf_printf(&got, "%.*s %.*s %.*s", SLICE_FMT(subject.domain),
			           SLICE_FMT(subject.submitter), SLICE_FMT(subject.report_id));
		const char *expected = subjects[i].parsed;
		assert_string_equal(good ? buf_cstr(&got) : "-", expected ? expected : "-");
		buf_reset(&got);
		if (subjects[i].printed) {
			assert_int_equal(report_subject_print(&subject, &got).code, ERR_OK);
			assert_string_equal(buf_cstr(&got), subjects[i].text);
		}
		buf_done(&got);
	}
}

static void bad_subjects_are_not_written(void **state)
{
	static const char *const v[][3] = {
	        {"", "b", "x"},        {"a", "", "x"},      {"a", "b", ""},
	        {"a\r\nX:", "b", "x"}, {"a", "b\n", "x"},   {"a", "b", "x\r\nX: y"},
	        {"a b", "b", "x"},     {"a", "b b", "x"},   {"a", "b", "x y"},
	        {"a", "b", "x>"},      {"a", "b", "x@y@z"}, {"a", "b", "\xc3\xa9"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(v); i++) {
		struct report_subject subject = {slice_str(v[i][0]), slice_str(v[i][1]),
		                                 slice_str(v[i][2])};
		struct buf out;
		buf_init(&out, OUT_MAX);
		assert_int_equal(report_subject_print(&subject, &out).code, ERR_INVALID);
		assert_int_equal(out.n, 0);
		buf_done(&out);
	}
}

/* --- limits --- */

static void sizes_are_bounded(void **state)
{
	struct report_filename name = good_name;
	struct report_subject subject = {good_name.domain, good_name.domain, good_name.unique};
	struct buf out, small;
	(void)state;
	buf_init(&out, OUT_MAX);
	buf_init(&small, 10);
	assert_int_equal(report_filename_print(&name, &small).code, ERR_LIMIT);
	buf_reset(&small);
	assert_int_equal(report_subject_print(&subject, &small).code, ERR_LIMIT);
	/* a label of 63, a domain of 253, an id of 255 and what is one longer */
	for (unsigned i = 0; i < 300; i++)
		buf_add_byte(&out, 'a');
	name.domain = slice_of(out.p, 63);
	buf_reset(&small);
	small.max = OUT_MAX;
	assert_int_equal(report_filename_print(&name, &small).code, ERR_OK);
	name.domain = slice_of(out.p, 64);
	check_refused_name(name);
	name = good_name;
	name.unique = slice_of(out.p, 256);
	check_refused_name(name);
	subject.report_id = slice_of(out.p, 255);
	assert_int_equal(report_subject_print(&subject, &small).code, ERR_OK);
	subject.report_id = slice_of(out.p, 256);
	assert_int_equal(report_subject_print(&subject, &small).code, ERR_INVALID);
	for (unsigned i = 1; i < 300; i += 2)
		out.p[i] = '.';
	name = good_name;
	name.domain = slice_of(out.p, 253);
	assert_int_equal(report_filename_print(&name, &small).code, ERR_OK);
	name.domain = slice_of(out.p, 255);
	check_refused_name(name);
	/* what is read */
	buf_reset(&out);
	buf_add_str(&out, "Report Domain: a Submitter: b Report-ID: <x>");
	while (out.n < REPORT_NAME_MAX - 2)
		buf_add_byte(&out, ' ');
	buf_add_str(&out, "()");
	assert_true(report_subject_parse(buf_slice(&out), &subject));
	buf_add_byte(&out, ' ');
	assert_false(report_subject_parse(buf_slice(&out), &subject));
	for (unsigned more = 0; more < 2; more++) {
		buf_reset(&out);
		buf_add_str(&out, "a!b!1!");
		while (out.n < REPORT_NAME_MAX + more - 5)
			buf_add_byte(&out, '0');
		buf_add_str(&out, "2.xml");
		assert_int_equal(report_filename_parse(buf_slice(&out), &name), more == 0);
	}
	buf_done(&small);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(file_names_are_read),
	        cmocka_unit_test(bad_file_names_are_not_written),
	        cmocka_unit_test(subjects_are_read),
	        cmocka_unit_test(bad_subjects_are_not_written),
	        cmocka_unit_test(sizes_are_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
