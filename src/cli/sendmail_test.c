/* sendmail's own parts: options, what is read, what a header becomes, the configuration, what is
 * kept. The whole of it runs in tests/e2e/test_sendmail.py. */
#include "cli/sendmail_config.h"
#include "cli/sendmail_keep.h"
#include "cli/sendmail_message.h"
#include "cli/sendmail_options.h"

#include "os/fd.h"
#include "os/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- options --- */

struct option_case {
	const char *words; /* parted by '|' */
	int result;
	enum sendmail_action action;
	const char *from, *full_name, *config, *envid;
	bool t, i, v;
	unsigned notify;
	enum smtp_ret ret;
	const char *recipients;
};

static size_t split(char *text, const char **words)
{
	size_t n = 0;
	for (char *at = text; *text; n++) {
		words[n] = at;
		char *bar = strchr(at, '|');
		if (!bar)
			return n + 1;
		*bar = 0;
		at = bar + 1;
	}
	return n;
}

static void check_text(const char *seen, const char *wanted)
{
	assert_int_equal(seen == NULL, wanted == NULL);
	if (wanted)
		assert_string_equal(seen, wanted);
}

static void check_options(const struct option_case *k)
{
	struct sendmail_options o;
	char text[500];
	const char *words[50], *recipients[50];
	char joined[500] = "";
	snprintf(text, sizeof(text), "%s", k->words);
	size_t n = split(text, words);
	int result = sendmail_options_parse(&o, words, n, recipients);
	if (result != k->result)
		print_error("%s: %d %s\n", k->words, result, o.refusal);
	assert_int_equal(result, k->result);
	assert_int_equal(o.action, k->action);
	assert_int_equal(o.refusal[0] != 0, result != 0);
	if (result != 0)
		return;
	check_text(o.from, k->from);
	check_text(o.full_name, k->full_name);
	check_text(o.config, k->config);
	check_text(o.envid, k->envid);
	assert_int_equal(o.header_recipients, k->t);
	assert_int_equal(o.ignore_dots, k->i);
	assert_int_equal(o.verbose, k->v);
	assert_int_equal(o.notify, k->notify);
	assert_int_equal(o.ret, k->ret);
	for (size_t i = 0; i < o.n_recipients; i++) {
		size_t at = strlen(joined);
		snprintf(joined + at, sizeof(joined) - at, "%s%s", at > 0 ? " " : "",
		         o.recipients[i]);
	}
	assert_string_equal(joined, k->recipients ? k->recipients : "");
}

static void options(void **state)
{
	static const struct option_case cases[] = {
	        {"", 0},
	        {"a@b", 0, .recipients = "a@b"},
	        {"-t", 0, .t = true},
	        {"-ti", 0, .t = true, .i = true},
	        {"-oi|-t|-v", 0, .t = true, .i = true, .v = true},
	        {"-fa@b|c@d", 0, .from = "a@b", .recipients = "c@d"},
	        {"-f|a@b|c@d|e@f", 0, .from = "a@b", .recipients = "c@d e@f"},
	        {"-f||c@d", 0, .from = "", .recipients = "c@d"},
	        {"-r|a@b", 0, .from = "a@b"},
	        {"-tfa@b", 0, .t = true, .from = "a@b"},
	        {"-F|A B", 0, .full_name = "A B"},
	        {"-FA B|-i", 0, .full_name = "A B", .i = true},
	        {"--config|x", 0, .config = "x"},
	        {"--config=x", 0, .config = "x"},
	        {"-V|id", 0, .envid = "id"},
	        {"-N|never", 0, .notify = SMTP_NOTIFY_NEVER},
	        {"-N|Success, delay", 0, .notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY},
	        {"-R|full", 0, .ret = SMTP_RET_FULL},
	        {"-RHDRS", 0, .ret = SMTP_RET_HDRS},
	        {"-odb|-oem|-om|-bm|-G|-n|-O|x=y|-Am|-d0.1", 0},
	        {"--|-t", 0, .recipients = "-t"},
	        {"-|x", 0, .recipients = "- x"},
	        {"a|-i|b", 0, .i = true, .recipients = "a b"},
	        {"-bi", 0, SENDMAIL_NOTHING},
	        {"-q", 0, SENDMAIL_NOTHING},
	        {"-q30m", 0, SENDMAIL_NOTHING},
	        {"--help", 0, SENDMAIL_HELP},
	        {"-bs", EX_USAGE, SENDMAIL_UNSUPPORTED},
	        {"-bp", EX_USAGE, SENDMAIL_UNSUPPORTED},
	        {"-bd", EX_USAGE, SENDMAIL_UNSUPPORTED},
	        {"-bv|a@b", EX_USAGE, SENDMAIL_UNSUPPORTED},
	        {"-bz", EX_USAGE},
	        {"-z", EX_USAGE},
	        {"-tz", EX_USAGE},
	        {"-f", EX_USAGE},
	        {"-N|", EX_USAGE},
	        {"-N|always", EX_USAGE},
	        {"-N|never,success", EX_USAGE},
	        {"-N|success,,delay", EX_USAGE},
	        {"-R|headers", EX_USAGE},
	        {"--config", EX_USAGE},
	        {"--verbose", EX_USAGE},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_options(&cases[i]);
}

/* --- reading --- */

static void read_text(struct sendmail_input *input, struct slice text, bool ignore_dots)
{
	CLEANUP(fd_close) int fd = -1;
	assert_true(is_ok(file_temporary(AT_FDCWD, "/tmp", 0600, &fd, NULL)));
	assert_true(is_ok(fd_write_all(fd, text, NULL)));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	sendmail_input_init(input);
	assert_true(is_ok(sendmail_input_read(input, fd, ignore_dots, "/tmp")));
}

static void check_read(struct slice text, bool ignore_dots, const char *header, struct slice body,
                       bool fault)
{
	struct sendmail_input input;
	uint8_t seen[1000];
	read_text(&input, text, ignore_dots);
	assert_string_equal(buf_cstr(&input.header), header);
	assert_true(input.body_size <= sizeof(seen));
	assert_true(is_ok(fd_pread_all(input.body_fd, seen, (size_t)input.body_size, 0, NULL)));
	struct slice all = slice_of(seen, (size_t)input.body_size);
	if (!slice_eq(all, body))
		print_error("%.*s gives %.*s\n", SLICE_FMT(text), SLICE_FMT(all));
	assert_true(slice_eq(all, body));
	assert_int_equal(input.fault != NULL, fault);
	sendmail_input_done(&input);
	sendmail_input_done(&input);
}

static void reading(void **state)
{
	static const struct {
		struct slice text;
		bool ignore_dots;
		const char *header;
		struct slice body;
		bool fault;
	} cases[] = {
	        {SLICE("A: b\n\nx\n"), false, "A: b\r\n", SLICE("\r\nx\r\n")},
	        {SLICE("A: b\r\n\r\nx\r\n"), false, "A: b\r\n", SLICE("\r\nx\r\n")},
	        {SLICE("A: b\n c\n\tD: e\nF: g\n\n"), false, "A: b\r\n c\r\n\tD: e\r\nF: g\r\n",
	         SLICE("\r\n")},
	        {SLICE("A: b\n"), false, "A: b\r\n", SLICE("\r\n")},
	        {SLICE("A: b"), false, "A: b\r\n", SLICE("\r\n")},
	        {SLICE(""), false, "", SLICE("\r\n")},
	        {SLICE("\n"), false, "", SLICE("\r\n")},
	        {SLICE("text\n"), false, "", SLICE("\r\ntext\r\n")},
	        {SLICE(" text\nA: b\n"), false, "", SLICE("\r\n text\r\nA: b\r\n")},
	        {SLICE("A: b\ntext\n\nmore\n"), false, "A: b\r\n",
	         SLICE("\r\ntext\r\n\r\nmore\r\n")},
	        {SLICE(": b\n"), false, "", SLICE("\r\n: b\r\n")},
	        {SLICE("From a\nA: b\n\nx"), false, "A: b\r\n", SLICE("\r\nx\r\n")},
	        {SLICE(">From a\nA: b\n\nx"), false, "A: b\r\n", SLICE("\r\nx\r\n")},
	        {SLICE("A: b\n\nx\n.\ny\n"), false, "A: b\r\n", SLICE("\r\nx\r\n")},
	        {SLICE("A: b\n\nx\n.\ny\n"), true, "A: b\r\n", SLICE("\r\nx\r\n.\r\ny\r\n")},
	        {SLICE("A: b\n\nx\n."), false, "A: b\r\n", SLICE("\r\nx\r\n")},
	        {SLICE("A: b\n\n.x\n..\n"), false, "A: b\r\n", SLICE("\r\n.x\r\n..\r\n")},
	        {SLICE("A: b\n\n.\r\ny"), true, "A: b\r\n", SLICE("\r\n.\r\ny\r\n")},
	        {SLICE("A: b\n\nx\ry\n"), false, "A: b\r\n", SLICE("\r\nx\ry\r\n"), true},
	        {SLICE("A: b\n\nx\r"), false, "A: b\r\n", SLICE("\r\nx\r\r\n"), true},
	        {SLICE("A: b\n\nx\r\r\n"), false, "A: b\r\n", SLICE("\r\nx\r\r\n"), true},
	        {SLICE("A: b\n\nx\0y\n"), false, "A: b\r\n", SLICE("\r\nx\0y\r\n"), true},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_read(cases[i].text, cases[i].ignore_dots, cases[i].header, cases[i].body,
		           cases[i].fault);
}

static void header_is_bounded(void **state)
{
	struct sendmail_input input;
	struct buf text;
	(void)state;
	buf_init(&text, 4 * SENDMAIL_HEADER_MAX);
	while (text.n < SENDMAIL_HEADER_MAX + 1000)
		buf_add_str(&text, "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n");
	read_text(&input, buf_slice(&text), false);
	assert_non_null(input.fault);
	assert_true(input.header.n <= SENDMAIL_HEADER_MAX);
	assert_true(input.header.n + input.body_size >= text.n); /* nothing is lost */
	sendmail_input_done(&input);
	buf_done(&text);
}

/* --- completing --- */

static void complete(const char *header, struct sendmail_message *m)
{
	static const struct sendmail_defaults defaults = {
	        .from = "ada@own.example",
	        .full_name = "Ada",
	        .domain = "own.example",
	        .now_s = 1000000000,
	        .random = {1, 2},
	};
	struct sendmail_input input;
	sendmail_input_init(&input);
	buf_add_str(&input.header, header);
	assert_true(is_ok(sendmail_message_complete(&input, &defaults, m)));
	sendmail_input_done(&input);
}

#define FROM "From: Ada <ada@own.example>\r\n"
#define DATE "Date: Sun, 9 Sep 2001 01:46:40 +0000\r\n"
#define ID   "Message-ID: <000000000000000100000002@own.example>\r\n"

static void completing(void **state)
{
	static const struct {
		const char *header, *wanted;
		bool utf8;
	} cases[] = {
	        {"", FROM DATE ID},
	        {"Subject: x\r\n", "Subject: x\r\n" FROM DATE ID},
	        {"from: a@b.example\r\ndate: now\r\nmessage-id: <x>\r\n",
	         "from: a@b.example\r\ndate: now\r\nmessage-id: <x>\r\n"},
	        {"Bcc: a@b.example,\r\n c@d.example\r\nReturn-Path: <x@y>\r\nContent-Length: 3\r\n",
	         FROM DATE ID},
	        {"From: root\r\n" DATE ID, "From: <root@own.example>\r\n" DATE ID},
	        {"To: a@b.example, root\r\n" FROM DATE ID,
	         "To: <a@b.example>, <root@own.example>\r\n" FROM DATE ID},
	        {"Subject: \xc3\xa9\r\n" FROM DATE ID,
	         "Subject: =?utf-8?b?w6k=?=\r\n" FROM DATE ID},
	        {"Subject: \xe9\r\n" FROM DATE ID, "Subject: =?utf-8?b?w6k=?=\r\n" FROM DATE ID},
	        {"Content-Type: x; name=\"\xc3\xa9\"\r\n" FROM DATE ID,
	         "Content-Type: x; name=\"\xc3\xa9\"\r\n" FROM DATE ID, true},
	        {"To: \xc3\xa9@b.example\r\n" FROM DATE ID,
	         "To: \xc3\xa9@b.example\r\n" FROM DATE ID, true},
	        {"To: undisclosed-recipients:;\r\n" FROM DATE ID,
	         "To: undisclosed-recipients:;\r\n" FROM DATE ID},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct sendmail_message m;
		complete(cases[i].header, &m);
		assert_string_equal(buf_cstr(&m.header), cases[i].wanted);
		assert_int_equal(m.utf8, cases[i].utf8);
		sendmail_message_done(&m);
		sendmail_message_done(&m);
	}
}

static void recipients(void **state)
{
	static const struct {
		const char *header, *wanted;
	} cases[] = {
	        {"To: a@b.example\r\n", "a@b.example"},
	        {"To: A B <a@b.example>, g: c@d.example, e@f.example;\r\nCc: x\r\n",
	         "a@b.example c@d.example e@f.example x@own.example"},
	        {"Bcc: a@b.example\r\nTo: \"a b\"@b.example\r\n", "a@b.example \"a b\"@b.example"},
	        {"To: a@b.example\r\nResent-To: c@d.example\r\n", "c@d.example"},
	        {"To: a@b.example\r\nResent-Bcc: c@d.example\r\n", "c@d.example"},
	        {"Subject: a@b.example\r\n", ""},
	        {"To: \"a\\\"b\"@b.example\r\n", "\"a\\\"b\"@b.example"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct sendmail_message m;
		struct buf out;
		buf_init(&out, 1000);
		complete(cases[i].header, &m);
		for (size_t j = 0; j < m.recipients.n; j++) {
			struct buf one;
			buf_init(&one, 1000);
			if (sendmail_address_print(&m.recipients.v[j], "own.example", &one)) {
				buf_add_str(&out, out.n > 0 ? " " : "");
				buf_add(&out, buf_slice(&one));
			}
			buf_done(&one);
		}
		assert_string_equal(buf_cstr(&out), cases[i].wanted);
		buf_done(&out);
		sendmail_message_done(&m);
	}
}

/* --- configuration --- */

static struct status read_config(struct sendmail_config *c, const char *folder, const char *text,
                                 mode_t mode, const char **why)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/config.yaml", folder);
	assert_true(is_ok(file_replace(AT_FDCWD, path, slice_str(text), mode, NULL)));
	return sendmail_config_read(c, path, NULL, why);
}

static void configurations(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		enum err code;
		const char *part; /* of the explanation */
	} cases[] = {
	        {"", 0600, ERR_OK, ""},
	        {"host: h\nport: 25\ntls: none\n", 0644, ERR_OK, ""},
	        {"host: h\nuser: u\npassword: p\nmechanisms: [PLAIN, SCRAM-SHA-256]\n", 0600,
	         ERR_OK, ""},
	        {"host: h\nmechanisms: plain\n", 0600, ERR_OK, ""},
	        {"host: h\nuser: u\npassword: p\n", 0644, ERR_INVALID, "others can read"},
	        {"host: h\nuser: u\npassword: p\npassword_file: f\n", 0600, ERR_INVALID, "both"},
	        {"host: h\nuser: u\n", 0600, ERR_INVALID, "no password"},
	        {"host: h\npassword: p\n", 0600, ERR_INVALID, "no user"},
	        {"user: u\npassword: p\n", 0600, ERR_INVALID, "host is missing"},
	        {"host: h\nport: 0\n", 0600, ERR_INVALID, "range"},
	        {"host: h\nport: 65536\n", 0600, ERR_INVALID, "range"},
	        {"host: h\nport: x\n", 0600, ERR_INVALID, "range"},
	        {"host: h\ntls: yes\n", 0600, ERR_INVALID, "implicit"},
	        {"host: h\nmechanisms: [NTLM]\n", 0600, ERR_INVALID, "mechanism"},
	        {"host: [a]\n", 0600, ERR_INVALID, "one value"},
	        {"hots: h\n", 0600, ERR_INVALID, "host"},
	        {"- host\n", 0600, ERR_INVALID, "fields"},
	        {"host: \"a\\nb\"\n", 0600, ERR_INVALID, "host"},
	        {"host: h\nhost: g\n", 0600, ERR_INVALID, "host"},
	        {"{", 0600, ERR_INVALID, "config.yaml"},
	        {"host: h\nuser: u\npassword_file: /nonexistent\n", 0600, ERR_NOT_FOUND,
	         "/nonexistent"},
	};
	char folder[] = "/tmp/mailkeep-sendmail-XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct sendmail_config c;
		const char *why = NULL;
		struct status status = read_config(&c, folder, cases[i].text, cases[i].mode, &why);
		if (status.code != cases[i].code || !strstr(why, cases[i].part))
			print_error("%s: %s %s\n", cases[i].text, err_name(status.code), why);
		assert_int_equal(status.code, cases[i].code);
		assert_non_null(strstr(why, cases[i].part));
		sendmail_config_done(&c);
		sendmail_config_done(&c);
	}
	char path[300];
	snprintf(path, sizeof(path), "%s/config.yaml", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(options),           cmocka_unit_test(reading),
	        cmocka_unit_test(header_is_bounded), cmocka_unit_test(completing),
	        cmocka_unit_test(recipients),        cmocka_unit_test(configurations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
