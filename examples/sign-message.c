/* Signs a message: puts a DKIM-Signature before it.
 *
 *	cc -o sign-message sign-message.c $(pkg-config --cflags --libs mailkeep)
 *	openssl genpkey -algorithm ed25519 -out key.pem
 *	./sign-message --record example.com sel key.pem               what belongs into the DNS
 *	./sign-message example.com sel key.pem message.eml > signed.eml
 *
 * DOMAIN     that signs
 * SELECTOR   which of its keys
 * KEY        the private key, RSA or Ed25519, in PEM
 * MESSAGE    a file; without it standard input
 *
 *	--field    prints the field alone
 *	--record   prints the key's record, as a line of a zone file, and signs nothing
 *
 * What is printed has the line ends of mail, CRLF: those are what is signed.
 */
#include <mailkeep/mailauth/dkim_sign.h>
#include <mailkeep/message/header.h>
#include <mailkeep/os/clock.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_MAX   ((size_t)64 * 1024 * 1024)
#define FIELD_MAX     ((size_t)64 * 1024)
#define RECORD_ARENA  ((size_t)64 * 1024)
#define ZONE_TEXT_MAX 255 /* octets of a string in a record (RFC 1035 section 3.3.14) */

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "sign-message: %s: %s\n", what, why);
	exit(1);
}

static void must(struct status status, const char *what)
{
	if (!status_is_ok(status))
		give_up(what, status.why);
}

/* ---- what is given ---- */

struct options {
	const char *domain, *selector, *key, *message;
	bool field, record;
};

static struct options read_options(int argc, char **argv)
{
	static const struct option known[] = {{"field", no_argument, NULL, 'f'},
	                                      {"record", no_argument, NULL, 'r'},
	                                      {NULL, 0, NULL, 0}};
	struct options o = {.message = NULL};
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option == '?')
			exit(1);
		*(option == 'f' ? &o.field : &o.record) = true;
	}
	if (argc - optind < 3 || argc - optind > 4) {
		fprintf(stderr, "usage: sign-message [--field | --record] DOMAIN SELECTOR KEY "
		                "[MESSAGE]\n");
		exit(1);
	}
	o.domain = argv[optind];
	o.selector = argv[optind + 1];
	o.key = argv[optind + 2];
	o.message = argv[optind + 3]; /* NULL where there is none */
	return o;
}

static void read_file(FILE *file, const char *name, struct buf *text)
{
	char piece[4096];
	size_t n;
	while (file && (n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(text, slice_of(piece, n));
	if (!file || ferror(file))
		give_up(name, "cannot be read");
	if (buf_failed(text))
		give_up(name, "is too large");
}

/* Where the first line does not end in CRLF, the file is one of this system: all lines shall. */
static void read_message(const char *path, struct buf *message)
{
	FILE *file = path ? fopen(path, "rb") : stdin;
	struct slice line, rest;
	struct buf text;
	buf_init(&text, MESSAGE_MAX);
	read_file(file, path ? path : "the message", &text);
	bool more = slice_cut(buf_slice(&text), '\n', &line, &rest);
	bool is_local = more && !slice_ends(line, SLICE("\r"));
	for (; more; more = slice_cut(rest, '\n', &line, &rest)) {
		buf_add(message, line);
		buf_add_str(message, is_local && !slice_ends(line, SLICE("\r")) ? "\r\n" : "\n");
	}
	buf_add(message, line); /* what stands behind the last line end */
	if (buf_failed(message))
		give_up("the message", "is too large");
	buf_done(&text);
	if (path)
		fclose(file);
}

/* ---- keys ---- */

/* A secret stays in no buffer: neither in ours nor in that of stdio. */
static struct dkim_private_key *read_key(const char *path)
{
	struct dkim_private_key *key;
	char pem[DKIM_PEM_MAX];
	FILE *file = fopen(path, "r");
	if (!file)
		give_up(path, "cannot be opened");
	setvbuf(file, NULL, _IONBF, 0);
	size_t n = fread(pem, 1, sizeof(pem), file);
	fclose(file);
	struct status status = dkim_private_key_from_pem(slice_of(pem, n), &key);
	explicit_bzero(pem, sizeof(pem));
	must(status, path);
	return key;
}

/* What others verify with. */
static void print_record(const struct dkim_private_key *key, const struct options *o)
{
	struct dkim_key public_half;
	struct arena arena;
	struct buf record;
	arena_init(&arena, RECORD_ARENA);
	buf_init(&record, DKIM_KEY_RECORD_MAX);
	const char *name = dkim_key_name(o->selector, o->domain, &arena);
	if (!name)
		give_up(o->selector, "too long for the DNS");
	must(dkim_private_key_public(key, &arena, &public_half), o->key);
	must(dkim_key_print(&public_half, &record), o->key);
	printf("%s. TXT", name);
	for (struct slice rest = buf_slice(&record); rest.n > 0;
	     rest = slice_from(rest, ZONE_TEXT_MAX))
		printf(" \"%.*s\"", SLICE_FMT(slice_sub(rest, 0, ZONE_TEXT_MAX)));
	printf("\n");
	buf_done(&record);
	arena_done(&arena);
}

/* ---- signing ---- */

static void sign(const struct dkim_private_key *key, const struct options *o, struct slice message)
{
	struct message_header_end end = {.found = false};
	struct slice header = slice_sub(message, 0, message_header_end_feed(&end, message));
	struct dkim_signer_key signer = dkim_private_key_signer(key);
	const struct dkim_sign_options options = {.domain = slice_str(o->domain),
	                                          .selector = slice_str(o->selector),
	                                          .key = &signer,
	                                          .now_s = clock_now_s(clock_real())};
	struct dkim_body *body = dkim_body_new(dkim_sign_wants(&options, 1));
	struct buf field;
	buf_init(&field, FIELD_MAX);
	dkim_body_feed(body, slice_from(message, header.n)); /* or piece by piece, as it comes */
	dkim_body_finish(body);
	must(dkim_sign(header, body, &options, 1, &field), "the message");
	fwrite(field.p, 1, field.n, stdout);
	if (!o->field)
		fwrite(message.p, 1, message.n, stdout);
	dkim_body_free(body);
	buf_done(&field);
}

int main(int argc, char **argv)
{
	const struct options options = read_options(argc, argv);
	struct dkim_private_key *key = read_key(options.key);
	struct buf message;
	buf_init(&message, 2 * MESSAGE_MAX);
	if (options.record) {
		print_record(key, &options);
	} else {
		read_message(options.message, &message);
		sign(key, &options, buf_slice(&message));
	}
	buf_done(&message);
	dkim_private_key_free(key);
	return fflush(stdout) == 0 ? 0 : 1;
}
