/* Header blocks and MIME parameters. */
#include "message/header.h"
#include "message/param.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void fields_come_with_all_their_bytes(void **state)
{
	(void)state;
	static const char block[] =
	        "From me Mon\r\nA: 1\r\nB :2\r\n folded\r\n\tmore\r\n: x\r\nC\r\nD:\n"
	        "E: \r\n \r\nf\x80: 8\r\nlast: line";
	static const struct {
		const char *name, *value;
		bool bad;
	} expect[] = {
	        {"", "From me Mon", true},
	        {"A", " 1", false},
	        {"B", "2\r\n folded\r\n\tmore", false},
	        {"", ": x", true},
	        {"", "C", true},
	        {"D", "", false},
	        {"E", " \r\n ", false},
	        {"", "f\x80: 8", true},
	        {"last", " line", false},
	};
	struct message_headers headers = message_headers_of(slice_str(block));
	struct message_field field;
	size_t n = 0, size = 0;
	while (message_headers_next(&headers, &field)) {
		assert_true(slice_eq_str(field.name, expect[n].name));
		assert_true(slice_eq_str(field.value, expect[n].value));
		assert_int_equal(field.bad, expect[n].bad);
		size += field.raw.n;
		n++;
	}
	assert_int_equal(n, N_ELEMENTS(expect));
	assert_int_equal(size, sizeof(block) - 1);
	assert_true(headers.ended);
}

static void the_blank_line_ends_a_header(void **state)
{
	(void)state;
	static const char *const blocks[] = {"A: 1\r\n\r\nB: 2\r\n", "A: 1\n\nB: 2\n",
	                                     "A: 1\r\n\nB: 2"};
	struct message_field field;
	for (size_t i = 0; i < N_ELEMENTS(blocks); i++) {
		assert_true(message_headers_find(slice_str(blocks[i]), "a", &field));
		assert_false(message_headers_find(slice_str(blocks[i]), "b", &field));
	}
	assert_false(message_headers_find(SLICE(""), "a", &field));
	assert_false(message_headers_find(SLICE("\r\nA: 1"), "a", &field));
}

static void the_number_of_fields_is_limited(void **state)
{
	(void)state;
	struct buf block;
	buf_init(&block, 1000000);
	for (size_t i = 0; i <= MESSAGE_HEADERS_MAX; i++)
		buf_add_str(&block, "A: b\r\n");
	struct message_headers headers = message_headers_of(buf_slice(&block));
	struct message_field field;
	while (message_headers_next(&headers, &field))
		;
	assert_int_equal(headers.n_fields, MESSAGE_HEADERS_MAX);
	assert_false(headers.ended);
	buf_done(&block);
}

static void unfolding_leaves_one_line(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"a", "a"},           {" a b \r\n", "a b"},   {"a\r\n b", "a b"},
	        {"a\r\n\tb", "a\tb"}, {"a\n  b", "a  b"},     {"a\r\nb", "a b"},
	        {"a\rb", "a b"},      {"a\r\r\n\n b", "a b"}, {"", ""},
	        {"\r\n \r\n", ""},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		CLEANUP(arena_done) struct arena arena = {.budget = 1000};
		assert_true(
		        slice_eq_str(message_unfold(slice_str(cases[i][0]), &arena), cases[i][1]));
	}
	struct arena none = {.budget = 0};
	assert_int_equal(message_unfold(SLICE("a\r\n b"), &none).n, 0);
}

static const struct {
	const char *value, *expect;
} types[] = {
        {"text/plain", "text/plain"},
        {" TEXT / HTML ; Charset = UTF-8 ", "text/html;charset=UTF-8"},
        {"text/plain; charset=us-ascii (Plain text)", "text/plain;charset=us-ascii"},
        {"(c) text/(d)plain(e);(f)charset(g)=(h)x(i);(j)y=z", "text/plain;charset=x;y=z"},
        {"text/plain; charset=\"us-ascii\"", "text/plain;charset=us-ascii"},
        {"multipart/mixed; boundary=\"a;b c\\\"d\"; x=y", "multipart/mixed;boundary=a;b c\"d;x=y"},
        {"text/plain;\r\n\tcharset=x;\r\n format=flowed", "text/plain;charset=x;format=flowed"},
        /* RFC 2231 section 3 and 4 */
        {"message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n "
         "URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
         "message/external-body;access-type=URL;url=ftp://cs.utk.edu/pub/moore/bulk-mailer/"
         "bulk-mailer.tar"},
        {"application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
         "application/x-stuff;title*=This is ***fun***"},
        {"application/x-stuff;\r\n title*0*=us-ascii'en'This%20is%20even%20more%20\r\n "
         ";title*1*=%2A%2A%2Afun%2A%2A%2A%20\r\n ;title*2=\"isn't it!\"",
         "application/x-stuff;title*=This is even more ***fun*** isn't it!"},
        {"a/b; x*1=b; x*0=a; x*2=c", "a/b;x=abc"},
        {"a/b; x*0=a; x*2=c", "a/b;x=a"},
        {"a/b; x*1=b", "a/b"},
        {"a/b; x=plain; x*=utf-8''%C3%A4", "a/b;x*=\xc3\xa4"},
        {"a/b; x=plain; x*0=sec; x*1=tion", "a/b;x=section"},
        {"a/b; x=first; x=second", "a/b;x=first"},
        {"a/b; x*=iso-8859-1''%E4", "a/b;x*=\xc3\xa4"},
        {"a/b; x*0*=utf-8''%C3; x*1*=%A4", "a/b;x*=\xc3\xa4"},
        {"a/b; x*=nonsense", "a/b;x*=nonsense"},
        {"a/b; x*=nobody-knows''%C3%A4", "a/b;x*=\xc3\xa4"},
        {"a/b; x*=utf-8''%4", "a/b;x*=%4"},
        {"a/b; x*=utf-8''%GG%", "a/b;x*=%GG%"},
        {"a/b; x*00=a; x*01=b", "a/b;x*00=a;x*01=b"},
        {"a/b; x*100=a", "a/b;x*100=a"},
        {"a/b; *=a; **=b; *0=c", "a/b;**=b"},
        /* broken */
        {"", "text/plain!"},
        {"text", "text/plain!"},
        {"text/", "text/plain!"},
        {"/plain", "text/plain!"},
        {"nonsense here; charset=x", "text/plain!;charset=x"},
        {"text; charset=iso-8859-1", "text/plain!;charset=iso-8859-1"},
        {"text/plain charset=x", "text/plain"},
        {"text/plain; ; charset=x;;", "text/plain;charset=x"},
        {"text/plain; charset", "text/plain"},
        {"text/plain; charset; name=x", "text/plain;name=x"},
        {"text/plain; charset=; name=x", "text/plain;charset=;name=x"},
        {"text/plain; =x; name=y", "text/plain;name=y"},
        {"text/plain; name=a b c; x=y", "text/plain;name=a;x=y"},
        {"text/plain; name=\"open; x=y", "text/plain;name=open;x=y"},
        {"text/plain; name=\"open", "text/plain;name=open"},
        {"text/plain; name==?utf-8?q?x?=; x=y", "text/plain;name==?utf-8?q?x?=;x=y"},
        {"text/plain; name=a/b@c; x=y", "text/plain;name=a/b@c;x=y"},
        {"text/plain; name=\"a\r\n b\"", "text/plain;name=a b"},
        {"text/plain; name=\"a\" garbage; x=y", "text/plain;name=a;x=y"},
        {"text/plain; x=\"a;b\" \";c\"; y=z", "text/plain;x=a;b;y=z"},
        {"text/plain, image/gif; x=y", "text/plain;x=y"},
};

static void content_types_and_their_parameters(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 10000);
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		CLEANUP(arena_done) struct arena arena = {.budget = 100000};
		struct message_content_type type;
		message_content_type_parse(slice_str(types[i].value), &arena, &type);
		buf_reset(&out);
		buf_printf(&out, "%.*s/%.*s%s", SLICE_FMT(type.type), SLICE_FMT(type.subtype),
		           type.valid ? "" : "!");
		for (size_t p = 0; p < type.params.n; p++) {
			const struct message_param *param = &type.params.v[p];
			buf_printf(&out, ";%.*s%s=%.*s", SLICE_FMT(param->name),
			           param->extended ? "*" : "", SLICE_FMT(param->value));
		}
		if (!slice_eq_str(buf_slice(&out), types[i].expect))
			print_error("for: %s\n", types[i].value);
		assert_string_equal(buf_cstr(&out), types[i].expect);
	}
	buf_done(&out);
}

static void the_number_of_parameters_is_limited(void **state)
{
	(void)state;
	struct buf value;
	buf_init(&value, 1000000);
	buf_add_str(&value, "a/b");
	for (size_t i = 0; i < 2 * MESSAGE_PARAMS_MAX; i++)
		buf_printf(&value, "; x%zu=y", i);
	CLEANUP(arena_done) struct arena arena = {.budget = 1000000};
	struct message_content_type type;
	message_content_type_parse(buf_slice(&value), &arena, &type);
	assert_int_equal(type.params.n, MESSAGE_PARAMS_MAX);
	assert_true(type.params.truncated);
	buf_done(&value);
}

static void raw_values_keep_what_a_peer_can_decode(void **state)
{
	(void)state;
	CLEANUP(arena_done) struct arena arena = {.budget = 100000};
	struct message_content_type type;
	message_content_type_parse(SLICE("a/b; f*0*=utf-8'de'%C3%A4; f*1=\"50% of\"; g=\"h\""),
	                           &arena, &type);
	assert_int_equal(type.params.n, 2);
	assert_true(slice_eq_str(type.params.v[0].raw, "utf-8'de'%C3%A450%25%20of"));
	assert_true(slice_eq_str(type.params.v[0].value, "\xc3\xa4"
	                                                 "50% of"));
	assert_true(slice_eq_str(type.params.v[1].raw, "h"));
}

static void dispositions_tokens_and_lists(void **state)
{
	(void)state;
	CLEANUP(arena_done) struct arena arena = {.budget = 100000};
	struct message_params params;
	struct slice token;
	message_disposition_parse(SLICE("Attachment; filename=x"), &arena, &token, &params);
	assert_true(slice_eq_str(token, "attachment"));
	assert_int_equal(params.n, 1);
	message_disposition_parse(SLICE("; filename=x"), &arena, &token, &params);
	assert_int_equal(token.n, 0);
	assert_true(slice_eq_str(message_token_parse(SLICE(" (a) base64 (b)"), &arena), "base64"));
	assert_int_equal(message_token_parse(SLICE("(a)"), &arena).n, 0);
	size_t n;
	struct slice *list = message_token_list_parse(SLICE("de, (x) en-US ,,fr"), &arena, &n);
	assert_int_equal(n, 3);
	assert_true(slice_eq_str(list[1], "en-US"));
	assert_null(message_token_list_parse(SLICE(" , (x)"), &arena, &n));
	assert_int_equal(n, 0);
}

static void the_body_starts_behind_the_first_blank_line(void **state)
{
	static const struct {
		const char *text;
		size_t end; /* SIZE_MAX: not there */
	} cases[] = {
	        {"A: b\r\n\r\nbody", 8},
	        {"A: b\n\nbody", 6},
	        {"A: b\r\n\nbody", 7},
	        {"A: b\n\r\nbody", 7},
	        {"\r\nbody", 2},
	        {"\nbody", 1},
	        {"A: b\r\n \r\n\r\nx", 11},
	        {"A: b\r\n\r\n\r\n", 8},
	        {"A: b\r\n", SIZE_MAX},
	        {"A: b\r\n\r", SIZE_MAX},
	        {"A: b\r\n\rx\r\n", SIZE_MAX},
	        {"", SIZE_MAX},
	        {"\r", SIZE_MAX},
	        {"A: b\r\r\n", SIZE_MAX},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice text = slice_str(cases[i].text);
		bool there = cases[i].end != SIZE_MAX;
		size_t n_header = there ? cases[i].end : text.n;
		/* In any two pieces. */
		for (size_t n = 0; n <= text.n; n++) {
			struct message_header_end end = {0};
			size_t first = message_header_end_feed(&end, slice_sub(text, 0, n));
			assert_int_equal(first, MIN(n, n_header));
			assert_true(end.found == (there && n >= n_header));
			if (end.found)
				assert_int_equal(message_header_end_feed(&end, slice_from(text, n)),
				                 0);
			else
				assert_int_equal(message_header_end_feed(&end, slice_from(text, n)),
				                 n_header - n);
			assert_true(end.found == there);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_body_starts_behind_the_first_blank_line),
	        cmocka_unit_test(fields_come_with_all_their_bytes),
	        cmocka_unit_test(the_blank_line_ends_a_header),
	        cmocka_unit_test(the_number_of_fields_is_limited),
	        cmocka_unit_test(unfolding_leaves_one_line),
	        cmocka_unit_test(content_types_and_their_parameters),
	        cmocka_unit_test(the_number_of_parameters_is_limited),
	        cmocka_unit_test(raw_values_keep_what_a_peer_can_decode),
	        cmocka_unit_test(dispositions_tokens_and_lists),
	};
	return cmocka_run_group_tests_name("message_header", tests, NULL, NULL);
}
