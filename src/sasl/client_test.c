/* The client's side: published vectors, choosing, our client against our server with and without
 * somebody in between, and servers that break the mechanisms. */
#include "sasl/client.h"
#include "sasl/testing.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct sasl_binding bindings[] = {
        {.type = "tls-exporter", .value = "exporter value", .n = 14},
        {.type = "tls-server-end-point", .value = {0, 1, 0xff, 'x'}, .n = 4},
};
static const struct sasl_binding other_bindings[] = {
        {.type = "tls-exporter", .value = "another value!", .n = 14},
        {.type = "tls-server-end-point", .value = {0, 1, 0xff, 'y'}, .n = 4},
};

static struct sasl_client_options usual(void)
{
	return (struct sasl_client_options){
	        .user = SLICE("user"),
	        .password = SLICE("pencil"),
	};
}

static struct sasl_mechanisms only(enum sasl_mechanism mechanism)
{
	struct sasl_mechanisms set = {0};
	sasl_mechanisms_add(&set, mechanism);
	return set;
}

/* --- published vectors --- */

static struct status step_str(struct sasl_client *c, const char *challenge, struct slice *response)
{
	struct slice text = slice_str(challenge);
	return sasl_client_step(c, &text, response);
}

static void scram_vector(enum sasl_mechanism mechanism, const char *nonce, const char *const *text)
{
	struct sasl_client_options options = usual();
	struct sasl_client c;
	struct slice response;
	options.test_nonce = slice_str(nonce);
	sasl_client_init(&c, &options, mechanism, only(mechanism));
	assert_true(is_ok(sasl_client_step(&c, NULL, &response)));
	assert_true(slice_eq_str(response, text[0]));
	assert_true(is_ok(step_str(&c, text[1], &response)));
	assert_true(slice_eq_str(response, text[2]));
	assert_false(is_ok(sasl_client_finish(&c)));
	assert_true(is_ok(step_str(&c, text[3], &response)));
	assert_int_equal(response.n, 0);
	assert_true(is_ok(sasl_client_finish(&c)));
	sasl_client_done(&c);
}

static void rfc5802_section_5(void **state)
{
	static const char *const text[] = {
	        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	        ("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	         "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
	        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
	};
	(void)state;
	scram_vector(SASL_SCRAM_SHA_1, "fyko+d2lbbFgONRv9qkxdawL", text);
}

static void rfc7677_section_3(void **state)
{
	static const char *const text[] = {
	        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	        ("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	         "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
	        ("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	         "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
	        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	};
	(void)state;
	scram_vector(SASL_SCRAM_SHA_256, "rOprNGfwEbeRWgbNEkqO", text);
}

static void rfc2195_section_2(void **state)
{
	struct sasl_client_options options = usual();
	struct sasl_client c;
	struct slice response;
	(void)state;
	options.user = SLICE("tim");
	options.password = SLICE("tanstaaftanstaaf");
	sasl_client_init(&c, &options, SASL_CRAM_MD5, only(SASL_CRAM_MD5));
	assert_true(is_ok(step_str(&c, "<1896.697170952@postoffice.reston.mci.net>", &response)));
	assert_true(slice_eq_str(response, "tim b913a602c7eda7a495b4e6e7334d3890"));
	assert_true(is_ok(sasl_client_finish(&c)));
	sasl_client_done(&c);
}

/* --- choosing --- */

struct choice {
	const char *announced;
	const char *wanted; /* mechanisms; "" any */
	bool verified, bound, certificate, no_password;
	enum err code;
	enum sasl_mechanism mechanism;
};

static size_t parse_wanted(const char *text, enum sasl_mechanism *wanted)
{
	struct slice rest = slice_str(text), name;
	size_t n = 0;
	while (rest.n > 0) {
		(void)slice_cut(rest, ' ', &name, &rest);
		assert_true(sasl_mechanism_of(name, &wanted[n++]));
	}
	return n;
}

#define EVERYTHING                                                                                 \
	"LOGIN PLAIN CRAM-MD5 XOAUTH2 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS "                 \
	"SCRAM-SHA-256-PLUS EXTERNAL"

static void choosing(void **state)
{
	static const struct choice cases[] = {
	        {EVERYTHING, "", true, true, true, false, ERR_OK, SASL_EXTERNAL},
	        {EVERYTHING, "", true, true, false, false, ERR_OK, SASL_SCRAM_SHA_256_PLUS},
	        {EVERYTHING, "", false, true, false, false, ERR_OK, SASL_SCRAM_SHA_256_PLUS},
	        {EVERYTHING, "", true, false, false, false, ERR_OK, SASL_SCRAM_SHA_256},
	        {"SCRAM-SHA-1-PLUS SCRAM-SHA-256", "", true, true, false, false, ERR_OK,
	         SASL_SCRAM_SHA_1_PLUS},
	        {"SCRAM-SHA-1 CRAM-MD5 PLAIN", "", true, true, false, false, ERR_OK,
	         SASL_SCRAM_SHA_1},
	        {"CRAM-MD5 PLAIN", "", true, true, false, false, ERR_OK, SASL_CRAM_MD5},
	        {"login plain", "", true, true, false, false, ERR_OK, SASL_PLAIN},
	        {"LOGIN", "", true, false, false, false, ERR_OK, SASL_LOGIN},
	        {"PLAIN LOGIN", "", false, false, false, false, ERR_DENIED, 0},
	        {"PLAIN LOGIN", "LOGIN PLAIN", true, false, false, false, ERR_OK, SASL_LOGIN},
	        {"PLAIN LOGIN", "LOGIN PLAIN", false, false, false, false, ERR_DENIED, 0},
	        {"PLAIN CRAM-MD5", "PLAIN CRAM-MD5", false, false, false, false, ERR_OK,
	         SASL_CRAM_MD5},
	        {EVERYTHING, "PLAIN", true, true, true, false, ERR_OK, SASL_PLAIN},
	        {EVERYTHING, "SCRAM-SHA-1 SCRAM-SHA-256", true, true, true, false, ERR_OK,
	         SASL_SCRAM_SHA_1},
	        {"PLAIN", "SCRAM-SHA-256", true, true, false, false, ERR_UNSUPPORTED, 0},
	        {"SCRAM-SHA-256-PLUS", "", true, false, false, false, ERR_UNSUPPORTED, 0},
	        {"EXTERNAL", "", true, true, false, false, ERR_UNSUPPORTED, 0},
	        {"EXTERNAL PLAIN", "", true, true, true, true, ERR_OK, SASL_EXTERNAL},
	        {EVERYTHING, "", true, true, false, true, ERR_UNSUPPORTED, 0},
	        {"", "", true, true, true, false, ERR_UNSUPPORTED, 0},
	        {"XOAUTH2 GSSAPI PLAINER", "", true, true, true, false, ERR_UNSUPPORTED, 0},
	        {"   PLAIN   ", "", true, false, false, false, ERR_OK, SASL_PLAIN},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct choice *k = &cases[i];
		enum sasl_mechanism wanted[SASL_MECHANISM_COUNT], chosen = SASL_PLAIN;
		struct sasl_client_options options = usual();
		options.channel_verified = k->verified;
		options.has_certificate = k->certificate;
		options.bindings = bindings;
		options.n_bindings = k->bound ? 2 : 0;
		options.wanted = wanted;
		options.n_wanted = parse_wanted(k->wanted, wanted);
		if (k->no_password)
			options.password = slice_empty();
		struct status status = sasl_client_choose(
		        &options, sasl_mechanisms_parse(slice_str(k->announced)), &chosen);
		if (status.code != k->code || (is_ok(status) && chosen != k->mechanism))
			print_error("case %zu: %s\n", i, err_name(status.code));
		assert_int_equal(status.code, k->code);
		if (is_ok(status))
			assert_int_equal(chosen, k->mechanism);
	}
}

/* --- against our server --- */

/* What somebody in between, or a fault, does. */
enum tamper {
	HONEST,
	WRONG_PASSWORD,
	WRONG_USER,
	OTHER_TLS,      /* the server sees other channel bindings */
	PLUS_STRIPPED,  /* the server announced -PLUS, the client saw none */
	BAD_SIGNATURE,  /* the server does not know the password */
	YES_TOO_EARLY,  /* success without the server's last message */
	FLIPPED_NONCE,  /* a bit of the server's nonce */
	NONCE_NOT_OURS, /* another nonce altogether */
	FEW_ITERATIONS,
	VAULT_AWAY,
};

struct meeting {
	struct sasl_test_backend backend;
	struct sasl_server server;
	struct sasl_client client;
	enum sasl_step step;
	struct status server_status, client_status;
	struct buf message;
};

static void tamper(struct meeting *m, enum tamper how, unsigned n_message)
{
	struct buf *text = &m->message;
	if (how == FLIPPED_NONCE && n_message == 1)
		text->p[40] ^= 1;
	if (how == NONCE_NOT_OURS && n_message == 1)
		text->p[4] ^= 1;
	if (how == BAD_SIGNATURE && n_message == 2)
		text->p[4] = text->p[4] == 'A' ? 'B' : 'A';
}

/* One message to the client; false when the exchange has ended. */
static bool client_turn(struct meeting *m, const struct slice *challenge)
{
	struct slice response;
	m->client_status = sasl_client_step(&m->client, challenge, &response);
	if (!is_ok(m->client_status))
		return false;
	buf_reset(&m->message);
	buf_add(&m->message, response);
	return true;
}

static bool server_turn(struct meeting *m, const struct slice *response)
{
	struct slice challenge;
	m->server_status = sasl_server_step(&m->server, response, &m->step, &challenge);
	if (!is_ok(m->server_status))
		return false;
	buf_reset(&m->message);
	buf_add(&m->message, challenge);
	return m->step == SASL_CHALLENGE;
}

static void converse(struct meeting *m, enum sasl_mechanism mechanism, enum tamper how)
{
	struct slice bytes;
	if (sasl_client_speaks_first(mechanism) && !client_turn(m, NULL))
		return;
	bytes = buf_slice(&m->message);
	bool more = server_turn(m, sasl_client_speaks_first(mechanism) ? &bytes : NULL);
	for (unsigned n = 1; more; n++) {
		tamper(m, how, n);
		if (how == YES_TOO_EARLY && n == 2)
			break;
		bytes = buf_slice(&m->message);
		if (!client_turn(m, &bytes))
			return;
		bytes = buf_slice(&m->message);
		more = server_turn(m, &bytes);
	}
	if (is_ok(m->server_status))
		m->client_status = sasl_client_finish(&m->client);
}

static void meet(struct meeting *m, enum sasl_mechanism mechanism, enum tamper how, size_t binding)
{
	struct sasl_client_options options = usual();
	struct sasl_mechanisms announced = only(mechanism);
	bool plus = sasl_mechanism_binds_channel(mechanism);
	*m = (struct meeting){.server_status = ok(), .client_status = ok()};
	sasl_test_backend_init(&m->backend);
	m->backend.broken = how == VAULT_AWAY ? ERR_TEMPORARY : ERR_OK;
	if (how == FEW_ITERATIONS)
		m->backend.iterations = 1000;
	buf_init(&m->message, 65536);
	options.password = how == WRONG_PASSWORD ? SLICE("pencils") : options.password;
	options.user = how == WRONG_USER ? SLICE("nobody") : options.user;
	if (plus || how == PLUS_STRIPPED) {
		options.bindings = bindings + binding;
		options.n_bindings = 1;
	}
	sasl_client_init(&m->client, &options, mechanism, announced);
	const struct sasl_server_options server_options = {
	        .mechanism = mechanism,
	        .backend = &m->backend.backend,
	        .bindings = how == OTHER_TLS ? other_bindings : bindings,
	        .n_bindings = plus ? 2 : 0,
	        .plus_announced = plus || how == PLUS_STRIPPED,
	        .host_name = "mail.example.org",
	};
	sasl_server_init(&m->server, &server_options);
	converse(m, mechanism, how);
	buf_done(&m->message);
	sasl_server_done(&m->server);
	sasl_client_done(&m->client);
	sasl_client_done(&m->client);
}

static void everybody_gets_in_with_the_password(void **state)
{
	(void)state;
	for (int i = 0; i < SASL_MECHANISM_COUNT; i++) {
		for (size_t binding = 0; binding < 2; binding++) {
			struct meeting m;
			meet(&m, (enum sasl_mechanism)i, HONEST, binding);
			if (!is_ok(m.server_status) || !is_ok(m.client_status))
				print_error("%s: %s, %s\n",
				            sasl_mechanism_name((enum sasl_mechanism)i),
				            m.server_status.why, m.client_status.why);
			assert_true(is_ok(m.server_status));
			assert_true(is_ok(m.client_status));
			assert_int_equal(m.step, SASL_DONE);
		}
	}
}

struct tampering {
	enum tamper how;
	bool scram_only, plus_only;
	bool client_notices; /* else the server does */
	enum err code;
};

static void everything_else_is_noticed(void **state)
{
	static const struct tampering cases[] = {
	        {WRONG_PASSWORD, .code = ERR_AUTH},
	        {WRONG_USER, .code = ERR_AUTH},
	        {VAULT_AWAY, .code = ERR_TEMPORARY},
	        {OTHER_TLS, .plus_only = true, .code = ERR_AUTH},
	        {BAD_SIGNATURE, .scram_only = true, .client_notices = true, .code = ERR_AUTH},
	        {YES_TOO_EARLY, .scram_only = true, .client_notices = true, .code = ERR_AUTH},
	        {FLIPPED_NONCE, .scram_only = true, .code = ERR_AUTH},
	        {NONCE_NOT_OURS, .scram_only = true, .client_notices = true, .code = ERR_PROTOCOL},
	        {FEW_ITERATIONS, .scram_only = true, .client_notices = true, .code = ERR_LIMIT},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		for (int j = 0; j < SASL_MECHANISM_COUNT; j++) {
			const struct tampering *t = &cases[i];
			struct meeting m;
			bool scram = j >= SASL_SCRAM_SHA_1 && j <= SASL_SCRAM_SHA_256_PLUS;
			bool plus = sasl_mechanism_binds_channel((enum sasl_mechanism)j);
			if ((t->scram_only && !scram) || (t->plus_only && !plus))
				continue;
			if (j == SASL_EXTERNAL && t->how != VAULT_AWAY)
				continue;
			meet(&m, (enum sasl_mechanism)j, t->how, 0);
			enum err code =
			        t->client_notices ? m.client_status.code : m.server_status.code;
			if (code != t->code)
				print_error("case %zu, %s: %s\n", i,
				            sasl_mechanism_name((enum sasl_mechanism)j),
				            err_name(code));
			assert_int_equal(code, t->code);
		}
	}
}

/* The server announced -PLUS, the list that came to the client had none: its "y" tells. */
static void removal_of_plus_is_noticed(void **state)
{
	struct meeting m;
	(void)state;
	meet(&m, SASL_SCRAM_SHA_256, PLUS_STRIPPED, 0);
	assert_int_equal(m.server_status.code, ERR_AUTH);
	meet(&m, SASL_SCRAM_SHA_1, PLUS_STRIPPED, 1);
	assert_int_equal(m.server_status.code, ERR_AUTH);
}

static void flag_says_what_was_possible(void **state)
{
	static const struct {
		const char *announced;
		size_t n_bindings;
		enum sasl_mechanism mechanism;
		const char *start;
	} cases[] = {
	        {"SCRAM-SHA-256", 0, SASL_SCRAM_SHA_256, "n,,n=user,"},
	        {"SCRAM-SHA-256 SCRAM-SHA-256-PLUS", 0, SASL_SCRAM_SHA_256, "n,,n=user,"},
	        {"SCRAM-SHA-256", 1, SASL_SCRAM_SHA_256, "y,,n=user,"},
	        {"SCRAM-SHA-1 SCRAM-SHA-256-PLUS", 1, SASL_SCRAM_SHA_1, "y,,n=user,"},
	        /* chosen by hand though the bound form is there */
	        {"SCRAM-SHA-256 SCRAM-SHA-256-PLUS", 1, SASL_SCRAM_SHA_256, "n,,n=user,"},
	        {"SCRAM-SHA-256-PLUS", 2, SASL_SCRAM_SHA_256_PLUS, "p=tls-exporter,,n=user,"},
	        {"SCRAM-SHA-1-PLUS", 2, SASL_SCRAM_SHA_1_PLUS, "p=tls-exporter,,n=user,"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct sasl_client_options options = usual();
		struct sasl_client c;
		struct slice response;
		options.bindings = bindings;
		options.n_bindings = cases[i].n_bindings;
		sasl_client_init(&c, &options, cases[i].mechanism,
		                 sasl_mechanisms_parse(slice_str(cases[i].announced)));
		assert_true(is_ok(sasl_client_step(&c, NULL, &response)));
		assert_true(slice_starts(response, slice_str(cases[i].start)));
		sasl_client_done(&c);
	}
}

/* --- servers that break the mechanisms --- */

struct bad_server {
	enum sasl_mechanism mechanism;
	const char *challenges[4]; /* '~' stands for our nonce */
	enum err code;
};

static void fill(const char *text, struct slice nonce, struct buf *out)
{
	buf_reset(out);
	for (; *text; text++) {
		if (*text == '~')
			buf_add(out, nonce);
		else
			buf_add_byte(out, (uint8_t)*text);
	}
}

static struct status run_bad(const struct bad_server *b)
{
	struct sasl_client_options options = usual();
	struct sasl_client c;
	struct slice response;
	struct status status = ok();
	struct buf challenge;
	options.test_nonce = SLICE("NONCE");
	buf_init(&challenge, 100000);
	sasl_client_init(&c, &options, b->mechanism, only(b->mechanism));
	if (sasl_client_speaks_first(b->mechanism))
		status = sasl_client_step(&c, NULL, &response);
	for (size_t i = 0; i < 4 && b->challenges[i] && is_ok(status); i++) {
		fill(b->challenges[i], options.test_nonce, &challenge);
		struct slice bytes = buf_slice(&challenge);
		status = sasl_client_step(&c, &bytes, &response);
	}
	if (is_ok(status))
		status = sasl_client_finish(&c);
	else
		assert_int_equal(sasl_client_step(&c, NULL, &response).code, ERR_INVALID);
	buf_done(&challenge);
	sasl_client_done(&c);
	return status;
}

#define GOOD_FIRST "r=~x,s=QSXCR+Q6sek8bf92,i=4096"

static void broken_servers(void **state)
{
	static const struct bad_server cases[] = {
	        {SASL_SCRAM_SHA_1, {""}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"r=~x"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSXCR+Q6sek8bf92"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"s=QSXCR+Q6sek8bf92,r=~x,i=4096"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"m=new,r=~x,s=QSXCR+Q6sek8bf92,i=4096"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"r=~,s=QSXCR+Q6sek8bf92,i=4096"}, ERR_PROTOCOL},
	        {SASL_SCRAM_SHA_1, {"r=x~,s=QSXCR+Q6sek8bf92,i=4096"}, ERR_PROTOCOL},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=,i=4096"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSX,i=4096"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSXCR+Q6sek8bf92,i="}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSXCR+Q6sek8bf92,i=0"}, ERR_LIMIT},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSXCR+Q6sek8bf92,i=4095"}, ERR_LIMIT},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSXCR+Q6sek8bf92,i=1000001"}, ERR_LIMIT},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSXCR+Q6sek8bf92,i=99999999999"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {"r=~x,s=QSXCR+Q6sek8bf92,i=-1"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST "x"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST ",x"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST ",x="}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST}, ERR_AUTH}, /* success too early */
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST ",x=y", "e=invalid-proof"}, ERR_AUTH},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST, "e=other-error,x=y"}, ERR_AUTH},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST, ""}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST, "v"}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST, "v="}, ERR_AUTH},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="}, ERR_AUTH},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST, "v=!"}, ERR_AUTH},
	        {SASL_SCRAM_SHA_1, {GOOD_FIRST, GOOD_FIRST}, ERR_SYNTAX},
	        {SASL_SCRAM_SHA_256, {GOOD_FIRST, "e=channel-bindings-dont-match"}, ERR_AUTH},
	        {SASL_PLAIN, {""}, ERR_PROTOCOL},
	        {SASL_PLAIN, {"go on"}, ERR_PROTOCOL},
	        {SASL_EXTERNAL, {""}, ERR_PROTOCOL},
	        {SASL_LOGIN, {"Username:"}, ERR_AUTH},
	        {SASL_LOGIN, {NULL}, ERR_AUTH},
	        {SASL_LOGIN, {"Username:", "Password:", "And now?"}, ERR_PROTOCOL},
	        {SASL_CRAM_MD5, {""}, ERR_PROTOCOL},
	        {SASL_CRAM_MD5, {NULL}, ERR_AUTH},
	        {SASL_CRAM_MD5, {"<1@a>", "<2@a>"}, ERR_PROTOCOL},
	        /* and good ones, so that the table can be trusted */
	        {SASL_LOGIN, {"anything", "at all"}, ERR_OK},
	        {SASL_CRAM_MD5, {"<1@a>"}, ERR_OK},
	        {SASL_PLAIN, {NULL}, ERR_OK},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct status status = run_bad(&cases[i]);
		if (status.code != cases[i].code)
			print_error("case %zu: %s (%s)\n", i, err_name(status.code), status.why);
		assert_int_equal(status.code, cases[i].code);
	}
}

static void sizes_are_bounded(void **state)
{
	struct sasl_client_options options = usual();
	struct sasl_client c;
	struct slice response;
	struct buf text;
	(void)state;
	buf_init(&text, 100000);
	for (size_t i = 0; i <= SASL_CLIENT_CHALLENGE_MAX; i++)
		buf_add_byte(&text, 'x');
	struct slice bytes = buf_slice(&text);
	sasl_client_init(&c, &options, SASL_CRAM_MD5, only(SASL_CRAM_MD5));
	assert_int_equal(sasl_client_step(&c, &bytes, &response).code, ERR_LIMIT);
	sasl_client_done(&c);
	bytes.n--;
	sasl_client_init(&c, &options, SASL_CRAM_MD5, only(SASL_CRAM_MD5));
	assert_true(is_ok(sasl_client_step(&c, &bytes, &response)));
	sasl_client_done(&c);

	buf_reset(&text);
	buf_add_str(&text, "r=NONCE");
	for (size_t i = 5; i <= SASL_CLIENT_NONCE_MAX; i++)
		buf_add_byte(&text, 'x');
	buf_add_str(&text, ",s=QSXCR+Q6sek8bf92,i=4096");
	bytes = buf_slice(&text);
	options.test_nonce = SLICE("NONCE");
	sasl_client_init(&c, &options, SASL_SCRAM_SHA_1, only(SASL_SCRAM_SHA_1));
	assert_true(is_ok(sasl_client_step(&c, NULL, &response)));
	assert_int_equal(sasl_client_step(&c, &bytes, &response).code, ERR_LIMIT);
	sasl_client_done(&c);
	buf_done(&text);
}

static void credentials_that_cannot_be_sent(void **state)
{
	static const struct {
		enum sasl_mechanism mechanism;
		struct slice user, password;
	} cases[] = {
	        {SASL_PLAIN, SLICE("us\0er"), SLICE("x")},
	        {SASL_PLAIN, SLICE("user"), SLICE("x\0")},
	        {SASL_SCRAM_SHA_256, SLICE("us\ner"), SLICE("x")},
	        {SASL_SCRAM_SHA_256, SLICE("\xff"), SLICE("x")},
	};
	struct slice response;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct sasl_client_options options = {.user = cases[i].user,
		                                      .password = cases[i].password};
		struct sasl_client c;
		sasl_client_init(&c, &options, cases[i].mechanism, only(cases[i].mechanism));
		assert_int_equal(sasl_client_step(&c, NULL, &response).code, ERR_INVALID);
		sasl_client_done(&c);
	}
}

static void names_are_escaped(void **state)
{
	struct sasl_client_options options = {.user = SLICE("a=b,c"), .password = SLICE("x")};
	struct sasl_client c;
	struct slice response;
	(void)state;
	sasl_client_init(&c, &options, SASL_SCRAM_SHA_1, only(SASL_SCRAM_SHA_1));
	assert_true(is_ok(sasl_client_step(&c, NULL, &response)));
	assert_true(slice_starts(response, SLICE("n,,n=a=3Db=2Cc,r=")));
	sasl_client_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rfc5802_section_5),
	        cmocka_unit_test(rfc7677_section_3),
	        cmocka_unit_test(rfc2195_section_2),
	        cmocka_unit_test(choosing),
	        cmocka_unit_test(everybody_gets_in_with_the_password),
	        cmocka_unit_test(everything_else_is_noticed),
	        cmocka_unit_test(removal_of_plus_is_noticed),
	        cmocka_unit_test(flag_says_what_was_possible),
	        cmocka_unit_test(broken_servers),
	        cmocka_unit_test(sizes_are_bounded),
	        cmocka_unit_test(credentials_that_cannot_be_sent),
	        cmocka_unit_test(names_are_escaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
