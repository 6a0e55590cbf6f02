/* Every mechanism's exchanges: published vectors, good ones, and the many bad ones. */
#include "sasl/testing.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>

struct exchange {
	struct sasl_test_backend backend;
	struct sasl_server_options options;
	struct sasl_server server;
	enum sasl_step step;
	struct slice challenge;
};

static const struct sasl_binding bindings[] = {
        {.type = "tls-exporter", .value = "exporter value", .n = 14},
        {.type = "tls-server-end-point", .value = {0, 1, 0xff, 'x'}, .n = 4},
};

static void begin(struct exchange *e, enum sasl_mechanism mechanism)
{
	sasl_test_backend_init(&e->backend);
	e->options = (struct sasl_server_options){
	        .mechanism = mechanism,
	        .backend = &e->backend.backend,
	        .host_name = "mail.example.org",
	        .now_s = 1234567890,
	};
	sasl_server_init(&e->server, &e->options);
}

static void begin_bound(struct exchange *e, enum sasl_mechanism mechanism)
{
	begin(e, mechanism);
	sasl_server_done(&e->server);
	e->options.bindings = bindings;
	e->options.n_bindings = N_ELEMENTS(bindings);
	e->options.plus_announced = true;
	sasl_server_init(&e->server, &e->options);
}

static struct status say(struct exchange *e, struct slice response)
{
	return sasl_server_step(&e->server, &response, &e->step, &e->challenge);
}

static struct status say_nothing(struct exchange *e)
{
	return sasl_server_step(&e->server, NULL, &e->step, &e->challenge);
}

static void end(struct exchange *e)
{
	sasl_server_done(&e->server);
	sasl_server_done(&e->server);
}

/* --- simple mechanisms --- */

static void names_are_found_in_any_case(void **state)
{
	enum sasl_mechanism mechanism;
	(void)state;
	for (int i = 0; i < SASL_MECHANISM_COUNT; i++) {
		const char *name = sasl_mechanism_name((enum sasl_mechanism)i);
		assert_true(sasl_mechanism_of(slice_str(name), &mechanism));
		assert_int_equal(mechanism, i);
	}
	assert_true(sasl_mechanism_of(SLICE("scram-sha-256-plus"), &mechanism));
	assert_int_equal(mechanism, SASL_SCRAM_SHA_256_PLUS);
	assert_false(sasl_mechanism_of(SLICE("SCRAM-SHA-256-PLU"), &mechanism));
	assert_false(sasl_mechanism_of(SLICE(""), &mechanism));
}

static void plain_messages(void **state)
{
	static const struct {
		struct slice message;
		enum err code;
	} cases[] = {
	        {SLICE("\0user\0pencil"), ERR_OK},
	        {SLICE("user\0user\0pencil"), ERR_OK},
	        {SLICE("other\0user\0pencil"), ERR_AUTH},
	        {SLICE("\0user\0Pencil"), ERR_AUTH},
	        {SLICE("\0User\0pencil"), ERR_AUTH},
	        {SLICE("\0nobody\0pencil"), ERR_AUTH},
	        {SLICE("\0user\0pen\tcil"), ERR_AUTH},
	        {SLICE("\0us\x01er\0pencil"), ERR_AUTH},
	        {SLICE("\0user\0\xff\xfe"), ERR_AUTH},
	        {SLICE("\0user\0"), ERR_SYNTAX},
	        {SLICE("\0\0pencil"), ERR_SYNTAX},
	        {SLICE("\0user\0pencil\0"), ERR_SYNTAX},
	        {SLICE("\0user\0pen\0cil"), ERR_SYNTAX},
	        {SLICE("\0user"), ERR_SYNTAX},
	        {SLICE("user"), ERR_SYNTAX},
	        {SLICE("\0"), ERR_SYNTAX},
	        {SLICE("\0\0"), ERR_SYNTAX},
	        {SLICE(""), ERR_SYNTAX},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		for (int asked = 0; asked < 2; asked++) {
			struct exchange e;
			begin(&e, SASL_PLAIN);
			if (asked) {
				assert_true(is_ok(say_nothing(&e)));
				assert_int_equal(e.step, SASL_CHALLENGE);
				assert_int_equal(e.challenge.n, 0);
			}
			struct status status = say(&e, cases[i].message);
			assert_int_equal(status.code, cases[i].code);
			if (status.code == ERR_AUTH)
				assert_string_equal(status.why, "credentials are wrong");
			if (is_ok(status)) {
				assert_int_equal(e.step, SASL_DONE);
				assert_true(slice_eq_str(sasl_server_user(&e.server), "user"));
			}
			/* An exchange that is over stays over. */
			assert_int_equal(say(&e, SLICE("\0user\0pencil")).code, ERR_INVALID);
			end(&e);
		}
	}
}

static void passwords_are_compared_prepared(void **state)
{
	static const struct {
		const char *stored;
		struct slice message;
	} cases[] = {
	        /* e with acute as one code point and as two; an ideographic space. */
	        {"caf\xc3\xa9", SLICE("\0user\0caf\xc3\xa9")},
	        {"caf\xc3\xa9", SLICE("\0user\0cafe\xcc\x81")},
	        {"a b", SLICE("\0user\0a\xe3\x80\x80"
	                      "b")},
	        {" x ", SLICE("\0user\0 x ")},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct exchange e;
		begin(&e, SASL_PLAIN);
		e.backend.password = cases[i].stored;
		assert_true(is_ok(say(&e, cases[i].message)));
		end(&e);
	}
}

static void a_backend_that_is_away_is_no_wrong_password(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct exchange e;
		begin(&e, i == 0 ? SASL_PLAIN : SASL_SCRAM_SHA_256);
		e.backend.broken = ERR_BUSY;
		assert_int_equal(
		        say(&e, i == 0 ? SLICE("\0user\0pencil") : SLICE("n,,n=user,r=abc")).code,
		        ERR_BUSY);
		end(&e);
	}
}

static void responses_are_bounded(void **state)
{
	static uint8_t large[SASL_RESPONSE_MAX + 1];
	(void)state;
	for (int i = 0; i < SASL_MECHANISM_COUNT; i++) {
		struct exchange e;
		begin(&e, (enum sasl_mechanism)i);
		assert_int_equal(say(&e, slice_of(large, sizeof(large))).code, ERR_LIMIT);
		assert_int_equal(e.backend.n_calls, 0);
		end(&e);
	}
	struct exchange e;
	begin(&e, SASL_PLAIN);
	memset(large, 'a', sizeof(large));
	large[0] = 0;
	large[2000] = 0;
	assert_int_equal(say(&e, slice_of(large, SASL_RESPONSE_MAX)).code, ERR_AUTH);
	assert_int_equal(e.backend.n_calls, 0); /* a name longer than any */
	end(&e);
}

static void login_asks_twice(void **state)
{
	struct exchange e;
	(void)state;
	begin(&e, SASL_LOGIN);
	assert_true(is_ok(say_nothing(&e)));
	assert_true(slice_eq_str(e.challenge, "Username:"));
	assert_true(is_ok(say(&e, SLICE("user"))));
	assert_true(slice_eq_str(e.challenge, "Password:"));
	assert_true(is_ok(say(&e, SLICE("pencil"))));
	assert_int_equal(e.step, SASL_DONE);
	end(&e);
	begin(&e, SASL_LOGIN); /* the name as an initial response */
	assert_true(is_ok(say(&e, SLICE("user"))));
	assert_true(slice_eq_str(e.challenge, "Password:"));
	assert_int_equal(say(&e, SLICE("wrong")).code, ERR_AUTH);
	end(&e);
	begin(&e, SASL_LOGIN);
	assert_int_equal(say(&e, SLICE("")).code, ERR_AUTH);
	end(&e);
}

static void cram_answer(const struct exchange *e, const char *user, const char *password,
                        char *text, size_t size)
{
	uint8_t digest[16];
	size_t n = 0;
	struct buf hex;
	EVP_Q_mac(NULL, "HMAC", NULL, "MD5", NULL, password, strlen(password), e->challenge.p,
	          e->challenge.n, digest, sizeof(digest), &n);
	buf_init(&hex, 64);
	hex_encode(slice_of(digest, 16), &hex);
	snprintf(text, size, "%s %s", user, buf_cstr(&hex));
	buf_done(&hex);
}

static void cram_md5_exchanges(void **state)
{
	static const struct {
		const char *user, *password;
		enum err code;
	} cases[] = {
	        {"user", "pencil", ERR_OK},     {"user", "pencils", ERR_AUTH},
	        {"nobody", "pencil", ERR_AUTH}, {"us er", "pencil", ERR_AUTH},
	        {"", "pencil", ERR_SYNTAX},
	};
	static const char *const bad[] = {"",
	                                  "user",
	                                  "user ",
	                                  "user 0123",
	                                  "user 0123456789abcdef0123456789abcdeg",
	                                  "user 0123456789abcdef0123456789abcdef0"};
	struct exchange e;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char text[128];
		begin(&e, SASL_CRAM_MD5);
		assert_true(is_ok(say_nothing(&e)));
		assert_true(slice_starts(e.challenge, SLICE("<")));
		assert_true(slice_ends(e.challenge, SLICE(".1234567890@mail.example.org>")));
		cram_answer(&e, cases[i].user, cases[i].password, text, sizeof(text));
		assert_int_equal(say(&e, slice_str(text)).code, cases[i].code);
		end(&e);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		begin(&e, SASL_CRAM_MD5);
		assert_true(is_ok(say_nothing(&e)));
		assert_int_equal(say(&e, slice_str(bad[i])).code, ERR_SYNTAX);
		end(&e);
	}
	begin(&e, SASL_CRAM_MD5);
	assert_int_equal(say(&e, SLICE("user")).code, ERR_SYNTAX);
	end(&e);
}

static void external_takes_the_connection_s_identity(void **state)
{
	static const struct {
		struct slice wanted;
		enum err code;
	} cases[] = {
	        {SLICE(""), ERR_OK},
	        {SLICE("user"), ERR_OK},
	        {SLICE("other"), ERR_AUTH},
	        {SLICE("us\0er"), ERR_AUTH},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct exchange e;
		begin(&e, SASL_EXTERNAL);
		assert_true(is_ok(say_nothing(&e)));
		assert_int_equal(say(&e, cases[i].wanted).code, cases[i].code);
		if (cases[i].code == ERR_OK)
			assert_true(slice_eq_str(sasl_server_user(&e.server), "user"));
		end(&e);
	}
}

/* --- SCRAM --- */

static void published_examples(void **state)
{
	static const struct {
		enum sasl_mechanism mechanism;
		const char *nonce, *first, *challenge, *final, *verifier;
	} cases[] = {
	        /* RFC 5802 section 5 */
	        {SASL_SCRAM_SHA_1, "3rfcNHYJY1ZVvWVs7j", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	         "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	         "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	         "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	         "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
	        /* RFC 7677 section 3 */
	        {SASL_SCRAM_SHA_256, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
	         "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	         "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	         "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	         "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	         "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	         "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct exchange e;
		begin(&e, cases[i].mechanism);
		e.server.options.test_nonce = slice_str(cases[i].nonce);
		assert_true(is_ok(say(&e, slice_str(cases[i].first))));
		assert_true(slice_eq_str(e.challenge, cases[i].challenge));
		assert_true(is_ok(say(&e, slice_str(cases[i].final))));
		assert_int_equal(e.step, SASL_CHALLENGE);
		assert_true(slice_eq_str(e.challenge, cases[i].verifier));
		assert_true(is_ok(say(&e, SLICE(""))));
		assert_int_equal(e.step, SASL_DONE);
		end(&e);
	}
}

/* A client's last message for the exchange so far. `gs2` and `data` make the channel binding;
 * `extra` follows the nonce. */
static void answer(struct exchange *e, const char *first_bare, const char *gs2, struct slice data,
                   const char *extra, struct buf *out)
{
	struct buf text, auth;
	uint8_t salt[SASL_SALT_MAX], proof[SASL_HASH_MAX], signature[SASL_HASH_MAX];
	size_t n_salt;
	uint32_t iterations;
	bool sha1 = e->options.mechanism == SASL_SCRAM_SHA_1 ||
	            e->options.mechanism == SASL_SCRAM_SHA_1_PLUS;
	enum sasl_hash hash = sha1 ? SASL_SHA1 : SASL_SHA256;
	buf_init(&text, 4096);
	buf_init(&auth, 8192);
	buf_add_str(&text, gs2);
	buf_add(&text, data);
	buf_add_str(out, "c=");
	base64_encode(buf_slice(&text), out);
	struct slice nonce, rest;
	slice_cut(e->challenge, ',', &nonce, &rest);
	buf_printf(out, ",%.*s%s", SLICE_FMT(nonce), extra);
	buf_printf(&auth, "%s,%.*s,%.*s", first_bare, SLICE_FMT(e->challenge),
	           SLICE_FMT(buf_slice(out)));
	e->backend.backend.scram_parameters(e->backend.backend.context, SLICE("user"), hash, salt,
	                                    &n_salt, &iterations);
	assert_true(
	        is_ok(sasl_scram_prove(hash, slice_str(e->backend.password), slice_of(salt, n_salt),
	                               iterations, buf_slice(&auth), proof, signature)));
	buf_add_str(out, ",p=");
	base64_encode(slice_of(proof, sasl_hash_size(hash)), out);
	buf_done(&text);
	buf_done(&auth);
}

static void channel_bindings_must_fit(void **state)
{
	static const struct {
		enum sasl_mechanism mechanism;
		bool bound; /* the server has bindings and announced -PLUS */
		const char *gs2, *said_gs2;
		struct slice data;
		enum err first, final;
	} cases[] = {
	        {SASL_SCRAM_SHA_256, false, "n,,", "n,,", SLICE(""), ERR_OK, ERR_OK},
	        {SASL_SCRAM_SHA_256, false, "y,,", "y,,", SLICE(""), ERR_OK, ERR_OK},
	        {SASL_SCRAM_SHA_256, true, "n,,", "n,,", SLICE(""), ERR_OK, ERR_OK},
	        {SASL_SCRAM_SHA_256, false, "n,a=user,", "n,a=user,", SLICE(""), ERR_OK, ERR_OK},
	        {SASL_SCRAM_SHA_256_PLUS, true, "p=tls-exporter,,", "p=tls-exporter,,",
	         SLICE("exporter value"), ERR_OK, ERR_OK},
	        {SASL_SCRAM_SHA_1_PLUS, true, "p=tls-server-end-point,,",
	         "p=tls-server-end-point,,",
	         SLICE("\x00\x01\xff"
	               "x"),
	         ERR_OK, ERR_OK},
	        /* somebody removed -PLUS from our list */
	        {SASL_SCRAM_SHA_256, true, "y,,", "y,,", SLICE(""), ERR_AUTH, ERR_OK},
	        /* flag and mechanism contradict each other */
	        {SASL_SCRAM_SHA_256, true, "p=tls-exporter,,", "", SLICE(""), ERR_AUTH, ERR_OK},
	        {SASL_SCRAM_SHA_256_PLUS, true, "n,,", "", SLICE(""), ERR_AUTH, ERR_OK},
	        {SASL_SCRAM_SHA_256_PLUS, true, "y,,", "", SLICE(""), ERR_AUTH, ERR_OK},
	        /* a binding that this connection does not have */
	        {SASL_SCRAM_SHA_256_PLUS, true, "p=tls-unique,,", "", SLICE(""), ERR_AUTH, ERR_OK},
	        {SASL_SCRAM_SHA_256_PLUS, false, "p=tls-exporter,,", "", SLICE(""), ERR_AUTH,
	         ERR_OK},
	        /* another identity */
	        {SASL_SCRAM_SHA_256, false, "n,a=other,", "", SLICE(""), ERR_AUTH, ERR_OK},
	        /* the second message contradicts the first, or the connection is another one */
	        {SASL_SCRAM_SHA_256, false, "n,,", "y,,", SLICE(""), ERR_OK, ERR_AUTH},
	        {SASL_SCRAM_SHA_256, false, "n,,", "n,a=user,", SLICE(""), ERR_OK, ERR_AUTH},
	        {SASL_SCRAM_SHA_256_PLUS, true, "p=tls-exporter,,", "p=tls-exporter,,",
	         SLICE("another value!"), ERR_OK, ERR_AUTH},
	        {SASL_SCRAM_SHA_256_PLUS, true, "p=tls-exporter,,", "p=tls-exporter,,", SLICE(""),
	         ERR_OK, ERR_AUTH},
	        {SASL_SCRAM_SHA_256_PLUS, true, "p=tls-exporter,,", "p=tls-server-end-point,,",
	         SLICE("\x00\x01\xff"
	               "x"),
	         ERR_OK, ERR_AUTH},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct exchange e;
		char first[128];
		struct buf final;
		if (cases[i].bound)
			begin_bound(&e, cases[i].mechanism);
		else
			begin(&e, cases[i].mechanism);
		snprintf(first, sizeof(first), "%sn=user,r=clientnonce", cases[i].gs2);
		assert_int_equal(say(&e, slice_str(first)).code, cases[i].first);
		if (cases[i].first == ERR_OK) {
			buf_init(&final, 4096);
			answer(&e, "n=user,r=clientnonce", cases[i].said_gs2, cases[i].data, "",
			       &final);
			assert_int_equal(say(&e, buf_slice(&final)).code, cases[i].final);
			buf_done(&final);
		}
		end(&e);
	}
}

static void first_messages(void **state)
{
	static const struct {
		const char *message;
		enum err code;
	} cases[] = {
	        {"n,,n=user,r=abc", ERR_OK},
	        {"n,,n=user,r=abc,x=ext", ERR_OK},
	        {"n,a=us=2Cer,n=us=2Cer,r=abc", ERR_OK},
	        {"n,,n=us=3Der,r=!#$%&'()*+-./", ERR_OK},
	        {"n,,n=caf\xc3\xa9,r=abc", ERR_OK},
	        {"", ERR_SYNTAX},
	        {"n", ERR_SYNTAX},
	        {"n,", ERR_SYNTAX},
	        {"n,,", ERR_SYNTAX},
	        {"n,,n=user", ERR_SYNTAX},
	        {"n,,n=user,", ERR_SYNTAX},
	        {"n,,n=user,r=", ERR_SYNTAX},
	        {"n,,n=user,r=a b", ERR_SYNTAX},
	        {"n,,n=user,r=abc,", ERR_SYNTAX},
	        {"n,,n=user,r=abc,x", ERR_SYNTAX},
	        {"n,,n=user,r=abc,x=", ERR_SYNTAX},
	        {"n,,n=user,r=abc,1=x", ERR_SYNTAX},
	        {"n,,n=,r=abc", ERR_SYNTAX},
	        {"n,,n=us=er,r=abc", ERR_SYNTAX},
	        {"n,,n=us=2,r=abc", ERR_SYNTAX},
	        {"n,,n=us=2c,r=abc", ERR_SYNTAX},
	        {"n,,n=user=,r=abc", ERR_SYNTAX},
	        {"n,,r=abc,n=user", ERR_SYNTAX},
	        {"n,,m=must,n=user,r=abc", ERR_SYNTAX},
	        {"n,a=,n=user,r=abc", ERR_SYNTAX},
	        {"n,b=user,n=user,r=abc", ERR_SYNTAX},
	        {"N,,n=user,r=abc", ERR_SYNTAX},
	        {"z,,n=user,r=abc", ERR_SYNTAX},
	        {"p,,n=user,r=abc", ERR_SYNTAX},
	        {"p=,,n=user,r=abc", ERR_SYNTAX},
	        {"p=tls_exporter,,n=user,r=abc", ERR_SYNTAX},
	        {"n,,n=us\x01"
	         "er,r=abc",
	         ERR_AUTH},
	        {"n,,n=\xff\xff,r=abc", ERR_AUTH},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct exchange e;
		begin(&e, SASL_SCRAM_SHA_256);
		assert_int_equal(say(&e, slice_str(cases[i].message)).code, cases[i].code);
		end(&e);
	}
}

static void a_long_nonce_is_refused(void **state)
{
	(void)state;
	for (size_t n = SASL_NONCE_MAX; n <= SASL_NONCE_MAX + 1; n++) {
		struct exchange e;
		struct buf first;
		buf_init(&first, 1024);
		buf_add_str(&first, "n,,n=user,r=");
		for (size_t i = 0; i < n; i++)
			buf_add_byte(&first, 'x');
		begin(&e, SASL_SCRAM_SHA_1);
		assert_int_equal(say(&e, buf_slice(&first)).code,
		                 n == SASL_NONCE_MAX ? ERR_OK : ERR_SYNTAX);
		buf_done(&first);
		end(&e);
	}
}

static void final_messages(void **state)
{
	enum change {
		GOOD,
		EXTENSION,
		WRONG_PROOF,
		SHORT_PROOF,
		NO_PROOF,
		PROOF_NOT_LAST,
		WRONG_NONCE,
		TRAILING,
		OTHER_USER,
		CHANGES,
	};
	static const enum err codes[CHANGES] = {
	        ERR_OK,     ERR_OK,   ERR_AUTH,   ERR_SYNTAX, ERR_SYNTAX,
	        ERR_SYNTAX, ERR_AUTH, ERR_SYNTAX, ERR_AUTH,
	};
	(void)state;
	for (int change = 0; change < CHANGES; change++) {
		struct exchange e;
		struct buf final;
		buf_init(&final, 4096);
		begin(&e, SASL_SCRAM_SHA_256);
		const char *bare = change == OTHER_USER ? "n=other,r=abc" : "n=user,r=abc";
		char first[64];
		snprintf(first, sizeof(first), "n,,%s", bare);
		assert_true(is_ok(say(&e, slice_str(first))));
		answer(&e, bare, "n,,", slice_empty(), change == EXTENSION ? ",x=y" : "", &final);
		if (change == WRONG_PROOF)
			final.p[final.n - 3] = final.p[final.n - 3] == 'A' ? 'B' : 'A';
		if (change == SHORT_PROOF)
			final.n -= 4;
		if (change == NO_PROOF)
			final.n = slice_rindex(buf_slice(&final), ',');
		if (change == PROOF_NOT_LAST)
			buf_add_str(&final, ",x=y");
		if (change == WRONG_NONCE)
			final.p[slice_find(buf_slice(&final), SLICE("r=abc")) + 2] = 'z';
		if (change == TRAILING)
			buf_add_byte(&final, ' ');
		assert_int_equal(say(&e, buf_slice(&final)).code, codes[change]);
		if (codes[change] == ERR_OK) {
			/* An authenticated client that says more than nothing is not believed. */
			assert_int_equal(say(&e, change == GOOD ? SLICE("") : SLICE("x")).code,
			                 change == GOOD ? ERR_OK : ERR_SYNTAX);
		}
		buf_done(&final);
		end(&e);
	}
}

static void the_client_may_be_asked_to_begin(void **state)
{
	struct exchange e;
	(void)state;
	begin(&e, SASL_SCRAM_SHA_256);
	assert_true(is_ok(say_nothing(&e)));
	assert_int_equal(e.challenge.n, 0);
	assert_true(is_ok(say(&e, SLICE("n,,n=user,r=abc"))));
	assert_int_equal(say_nothing(&e).code, ERR_SYNTAX);
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names_are_found_in_any_case),
	        cmocka_unit_test(plain_messages),
	        cmocka_unit_test(passwords_are_compared_prepared),
	        cmocka_unit_test(a_backend_that_is_away_is_no_wrong_password),
	        cmocka_unit_test(responses_are_bounded),
	        cmocka_unit_test(login_asks_twice),
	        cmocka_unit_test(cram_md5_exchanges),
	        cmocka_unit_test(external_takes_the_connection_s_identity),
	        cmocka_unit_test(published_examples),
	        cmocka_unit_test(channel_bindings_must_fit),
	        cmocka_unit_test(first_messages),
	        cmocka_unit_test(a_long_nonce_is_refused),
	        cmocka_unit_test(final_messages),
	        cmocka_unit_test(the_client_may_be_asked_to_begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
