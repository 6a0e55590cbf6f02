/* SOCKS5: what is sent to the byte, and every answer of a proxy, cut at every byte. */
#include "delivery/socks.h"

#include "base/stream_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int64_t fake_now_ms;
static int64_t fake_ms(const struct clock *clock)
{
	(void)clock;
	return fake_now_ms;
}
static int64_t fake_us(const struct clock *clock)
{
	(void)clock;
	return 0;
}
static const struct clock clock_fake = {.now_us = fake_us, .monotonic_ms = fake_ms};

#define IP4                                                                                        \
	{                                                                                          \
		.ip = (const uint8_t *)"\xc0\x00\x02\x01", .n_ip = 4, .port = 25                   \
	}
#define OFFER "\5\1\0"
#define BOTH  "\5\2\0\2"
#define ASK4  "\5\1\0\1\xc0\0\2\1\0\x19"
#define YES4  "\5\0\0\1\1\2\3\4\5\6"

static const struct socks_case {
	const char *name;
	struct socks_target target;
	struct socks_login login;
	struct slice answer; /* all that the proxy says, then the greeting of the target */
	struct slice sent;
	enum err code;
	int reply;
} cases[] = {
        {"IPv4", IP4, {0}, SLICE("\5\0" YES4), SLICE(OFFER ASK4), ERR_OK, 0},
        {"IPv6",
         {.ip = (const uint8_t *)"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7", .n_ip = 16, .port = 2525},
         {0},
         SLICE("\5\0\5\0\0\4"
               "0123456789abcdefPP"),
         SLICE(OFFER "\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x09\xdd"),
         ERR_OK,
         0},
        {"name",
         {.name = SLICE("mx.example"), .port = 25},
         {0},
         SLICE("\5\0\5\0\0\3\4host\0\1"),
         SLICE(OFFER "\5\1\0\3\12mx.example\0\x19"),
         ERR_OK,
         0},
        {"login",
         IP4,
         {SLICE("ada"), SLICE("pw")},
         SLICE("\5\2\1\0" YES4),
         SLICE(BOTH "\1\3ada\2pw" ASK4),
         ERR_OK,
         0},
        {"login of a proxy that says version 5",
         IP4,
         {SLICE("ada"), SLICE("pw")},
         SLICE("\5\2\5\0" YES4),
         SLICE(BOTH "\1\3ada\2pw" ASK4),
         ERR_OK,
         0},
        {"login offered, none wanted",
         IP4,
         {SLICE("ada"), SLICE("pw")},
         SLICE("\5\0" YES4),
         SLICE(BOTH ASK4),
         ERR_OK,
         0},
        {"bound to an empty name",
         IP4,
         {0},
         SLICE("\5\0\5\0\0\3\0\0\1"),
         SLICE(OFFER ASK4),
         ERR_OK,
         0},
        /* refusals */
        {"login wanted", IP4, {0}, SLICE("\5\xff"), SLICE(OFFER), ERR_AUTH, -1},
        {"no method", IP4, {SLICE("ada"), SLICE("pw")}, SLICE("\5\xff"), SLICE(BOTH), ERR_AUTH, -1},
        {"wrong password",
         IP4,
         {SLICE("ada"), SLICE("pw")},
         SLICE("\5\2\1\1"),
         SLICE(BOTH "\1\3ada\2pw"),
         ERR_AUTH,
         -1},
        {"general failure",
         IP4,
         {0},
         SLICE("\5\0\5\1\0\1\0\0\0\0\0\0"),
         SLICE(OFFER ASK4),
         ERR_TEMPORARY,
         1},
        {"ruleset", IP4, {0}, SLICE("\5\0\5\2\0\1\0\0\0\0\0\0"), SLICE(OFFER ASK4), ERR_DENIED, 2},
        {"refused, cut short",
         IP4,
         {0},
         SLICE("\5\0\5\5\0\1"),
         SLICE(OFFER ASK4),
         ERR_TEMPORARY,
         5},
        {"unknown reply",
         IP4,
         {0},
         SLICE("\5\0\5\x63\0\1\0\0\0\0\0\0"),
         SLICE(OFFER ASK4),
         ERR_TEMPORARY,
         99},
        /* nonsense */
        {"nothing", IP4, {0}, SLICE(""), SLICE(OFFER), ERR_CLOSED, -1},
        {"SOCKS4", IP4, {0}, SLICE("\0\x5a\0\0\0\0\0\0"), SLICE(OFFER), ERR_PROTOCOL, -1},
        {"SMTP", IP4, {0}, SLICE("220 hello\r\n"), SLICE(OFFER), ERR_PROTOCOL, -1},
        {"method that was not offered", IP4, {0}, SLICE("\5\2"), SLICE(OFFER), ERR_PROTOCOL, -1},
        {"GSSAPI", IP4, {SLICE("ada"), SLICE("pw")}, SLICE("\5\1"), SLICE(BOTH), ERR_PROTOCOL, -1},
        {"login answer of nonsense",
         IP4,
         {SLICE("ada"), SLICE("pw")},
         SLICE("\5\2\2\0"),
         SLICE(BOTH "\1\3ada\2pw"),
         ERR_PROTOCOL,
         -1},
        {"another version",
         IP4,
         {0},
         SLICE("\5\0\4\0\0\1\0\0\0\0\0\0"),
         SLICE(OFFER ASK4),
         ERR_PROTOCOL,
         -1},
        {"reserved byte",
         IP4,
         {0},
         SLICE("\5\0\5\0\1\1\0\0\0\0\0\0"),
         SLICE(OFFER ASK4),
         ERR_PROTOCOL,
         -1},
        {"unknown address type",
         IP4,
         {0},
         SLICE("\5\0\5\0\0\2\0\0\0\0\0\0"),
         SLICE(OFFER ASK4),
         ERR_PROTOCOL,
         0},
        {"cut short", IP4, {0}, SLICE("\5\0\5\0\0\1\0\0\0\0\0"), SLICE(OFFER ASK4), ERR_CLOSED, 0},
        {"name cut short", IP4, {0}, SLICE("\5\0\5\0\0\3\xff"), SLICE(OFFER ASK4), ERR_CLOSED, 0},
};

static void each_answer_is_understood_at_any_split(void **state)
{
	(void)state;
	static const char greeting[] = "220 mx.example ESMTP\r\n";
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct socks_case *c = &cases[i];
		for (size_t chunk = 0; chunk <= c->answer.n; chunk++) {
			struct stream_mem m;
			int reply = 1000;
			stream_mem_init(&m, c->answer, chunk);
			if (c->code == ERR_OK)
				stream_mem_feed(&m, slice_str(greeting));
			m.stream.timeout_ms = 77;
			struct status status = socks_connect(&m.stream, &c->target, &c->login,
			                                     &clock_fake, 1000, &reply);
			if (status.code != c->code || reply != c->reply)
				print_message("%s: %s %s %d\n", c->name, err_name(status.code),
				              status.why, reply);
			assert_int_equal(status.code, c->code);
			assert_int_equal(reply, c->reply);
			assert_int_equal(m.stream.timeout_ms, 77);
			assert_true(is_ok(stream_flush(&m.stream)));
			assert_true(slice_eq(stream_mem_output(&m), c->sent));
			if (c->code == ERR_OK) {
				struct slice line;
				bool crlf;
				assert_true(is_ok(stream_read_line(&m.stream, 100, &line, &crlf)));
				assert_true(slice_eq_str(line, "220 mx.example ESMTP"));
			}
			stream_mem_done(&m);
		}
	}
}

static void what_does_not_fit_is_not_sent(void **state)
{
	(void)state;
	static uint8_t big[300];
	memset(big, 'a', sizeof(big));
	const struct {
		struct socks_target target;
		struct socks_login login;
		enum err code;
	} sizes[] = {
	        {{.name = {big, 255}}, {{big, 255}, {big, 255}}, ERR_CLOSED},
	        {{.name = {big, 256}}, {{big, 1}, {big, 1}}, ERR_INVALID},
	        {{.name = {big, 0}}, {{big, 1}, {big, 1}}, ERR_INVALID},
	        {{.ip = big, .n_ip = 5}, {{big, 1}, {big, 1}}, ERR_INVALID},
	        {{.ip = big, .n_ip = 0}, {{big, 1}, {big, 1}}, ERR_INVALID},
	        {{.name = {big, 1}}, {{big, 256}, {big, 1}}, ERR_INVALID},
	        {{.name = {big, 1}}, {{big, 1}, {big, 256}}, ERR_INVALID},
	        {{.name = {big, 1}}, {{big, 1}, {big, 0}}, ERR_INVALID},
	};
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		struct stream_mem m;
		stream_mem_init(&m, SLICE("\5\2\1\0"), 0);
		assert_int_equal(socks_connect(&m.stream, &sizes[i].target, &sizes[i].login,
		                               &clock_fake, 1000, NULL)
		                         .code,
		                 sizes[i].code);
		if (sizes[i].code == ERR_INVALID)
			assert_int_equal(stream_mem_output(&m).n + m.stream.out.n, 0);
		else
			assert_int_equal(stream_mem_output(&m).n, 4 + 3 + 255 + 255 + 5 + 255 + 2);
		stream_mem_done(&m);
	}
}

/* A byte each 300 ms. */
static bool drip(struct stream_mem *m, void *context)
{
	(void)context;
	fake_now_ms += 300;
	stream_mem_feed(m, SLICE("\5"));
	return true;
}

static void a_slow_proxy_has_one_deadline(void **state)
{
	(void)state;
	struct stream_mem m;
	const struct socks_target target = IP4;
	stream_mem_init(&m, SLICE("\5\0\5\0\0\3\xff"), 1);
	m.more = drip;
	fake_now_ms = 0;
	assert_int_equal(socks_connect(&m.stream, &target, NULL, &clock_fake, 10000, NULL).code,
	                 ERR_TIMEOUT);
	assert_true(fake_now_ms >= 10000 && fake_now_ms < 11000);
	stream_mem_done(&m);
}

static void a_password_does_not_stay_in_the_buffer(void **state)
{
	(void)state;
	struct stream_mem m;
	const struct socks_target target = IP4;
	const struct socks_login login = {SLICE("ada"), SLICE("a very secret one")};
	stream_mem_init(&m, SLICE("\5\2\1\1"), 0);
	assert_int_equal(socks_connect(&m.stream, &target, &login, &clock_fake, 1000, NULL).code,
	                 ERR_AUTH);
	assert_int_equal(
	        slice_find(slice_of(m.stream.out.p, m.stream.out.capacity), login.password),
	        SIZE_MAX);
	stream_mem_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_answer_is_understood_at_any_split),
	        cmocka_unit_test(what_does_not_fit_is_not_sent),
	        cmocka_unit_test(a_slow_proxy_has_one_deadline),
	        cmocka_unit_test(a_password_does_not_stay_in_the_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
