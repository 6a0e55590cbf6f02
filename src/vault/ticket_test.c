/* A ticket is worth something only for whom, what and when it was made. */
#include "vault/ticket.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t key[TICKET_KEY_SIZE] = {1, 2, 3};
static const uint8_t other_key[TICKET_KEY_SIZE] = {1, 2, 4};
static const struct ticket_claims claims = {
        .account = "me", .protocol = TICKET_IMAP, .cid = 0x1f3a, .expires_s = 1000};

static void a_good_ticket_is_believed(void **state)
{
	struct buf ticket;
	struct ticket_claims seen;
	(void)state;
	buf_init(&ticket, TICKET_MAX);
	assert_true(is_ok(ticket_make(key, &claims, &ticket)));
	assert_true(is_ok(ticket_verify(key, buf_slice(&ticket), TICKET_IMAP, 0x1f3a, 999, &seen)));
	assert_string_equal(seen.account, "me");
	assert_int_equal(seen.protocol, TICKET_IMAP);
	assert_int_equal(seen.cid, 0x1f3a);
	assert_int_equal(seen.expires_s, 1000);
	buf_done(&ticket);
}

static void every_other_use_is_refused(void **state)
{
	static const struct {
		const uint8_t *key;
		enum ticket_protocol protocol;
		uint64_t cid;
		int64_t now_s;
	} cases[] = {
	        {other_key, TICKET_IMAP, 0x1f3a, 999}, {key, TICKET_SUBMISSION, 0x1f3a, 999},
	        {key, TICKET_IMAP, 0x1f3b, 999},       {key, TICKET_IMAP, 0x1f3a, 1000},
	        {key, TICKET_IMAP, 0x1f3a, INT64_MAX},
	};
	struct buf ticket;
	struct ticket_claims seen;
	(void)state;
	buf_init(&ticket, TICKET_MAX);
	assert_true(is_ok(ticket_make(key, &claims, &ticket)));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(ticket_verify(cases[i].key, buf_slice(&ticket), cases[i].protocol,
		                               cases[i].cid, cases[i].now_s, &seen)
		                         .code,
		                 ERR_AUTH);
	buf_done(&ticket);
}

static void every_changed_byte_and_size_is_refused(void **state)
{
	struct buf ticket;
	struct ticket_claims seen;
	(void)state;
	buf_init(&ticket, TICKET_MAX + 1);
	assert_true(is_ok(ticket_make(key, &claims, &ticket)));
	for (size_t i = 0; i < ticket.n; i++) {
		ticket.p[i] ^= 1;
		assert_int_equal(
		        ticket_verify(key, buf_slice(&ticket), TICKET_IMAP, 0x1f3a, 999, &seen)
		                .code,
		        ERR_AUTH);
		ticket.p[i] ^= 1;
		assert_int_equal(ticket_verify(key, slice_sub(buf_slice(&ticket), 0, i),
		                               TICKET_IMAP, 0x1f3a, 999, &seen)
		                         .code,
		                 ERR_AUTH);
	}
	buf_add_byte(&ticket, 0);
	assert_int_equal(
	        ticket_verify(key, buf_slice(&ticket), TICKET_IMAP, 0x1f3a, 999, &seen).code,
	        ERR_AUTH);
	buf_done(&ticket);
}

static void names_out_of_range_make_no_ticket(void **state)
{
	struct ticket_claims bad = claims;
	struct buf ticket;
	(void)state;
	buf_init(&ticket, TICKET_MAX);
	bad.account[0] = 0;
	assert_int_equal(ticket_make(key, &bad, &ticket).code, ERR_LIMIT);
	memset(bad.account, 'a', sizeof(bad.account));
	assert_int_equal(ticket_make(key, &bad, &ticket).code, ERR_LIMIT);
	bad.account[TICKET_ACCOUNT_MAX] = 0;
	assert_true(is_ok(ticket_make(key, &bad, &ticket)));
	assert_true(ticket.n <= TICKET_MAX);
	buf_done(&ticket);
}

static void a_unix_user_may_only_send(void **state)
{
	static const struct {
		uint32_t protocol;
		bool by_credentials, by_unix_user;
	} cases[] = {
	        {TICKET_IMAP, true, false}, {TICKET_SUBMISSION, true, true},
	        {TICKET_WEB, false, false}, {0, false, false},
	        {4, false, false},          {UINT32_MAX, false, false},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(ticket_may_be_made(cases[i].protocol, TICKET_BY_CREDENTIALS),
		                 cases[i].by_credentials);
		assert_int_equal(ticket_may_be_made(cases[i].protocol, TICKET_BY_UNIX_USER),
		                 cases[i].by_unix_user);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_good_ticket_is_believed),
	        cmocka_unit_test(every_other_use_is_refused),
	        cmocka_unit_test(every_changed_byte_and_size_is_refused),
	        cmocka_unit_test(names_out_of_range_make_no_ticket),
	        cmocka_unit_test(a_unix_user_may_only_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
