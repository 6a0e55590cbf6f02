/* Speed of the message parser: `message_bench` prints one line a case, in CPU time. Not a test:
 * figures are for people and go into commit messages.
 *
 * Cases: a typical mail of 2 KB (microseconds each), and large bodies (megabytes a second): base64
 * and text, alone and inside of a multipart, short lines as the worst case; decoding of base64,
 * quoted-printable and a charset.
 */
#include "message/body.h"
#include "message/part.h"
#include "text/charset.h"

#include <stdio.h>

#define BIG ((size_t)64 * 1024 * 1024)

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill(struct buf *out, const char *line, size_t size)
{
	while (out->n < size)
		buf_add_str(out, line);
}

static void parse_once(struct slice message, struct arena *arena)
{
	struct message_part *root;
	unsigned defects;
	arena_reset(arena);
	if (!is_ok(message_parse(message, arena, &root, &defects)))
		BUG("the message did not parse");
}

static void typical_mail(void)
{
	static const char *const hops[] = {"mx1.example.org", "relay.example.net",
	                                   "out.example.com"};
	struct buf message;
	struct arena arena;
	buf_init(&message, 100000);
	for (size_t i = 0; i < N_ELEMENTS(hops); i++)
		buf_printf(&message,
		           "Received: from %s (%s [192.0.2.1])\r\n\tby mx.example.org with ESMTPS "
		           "id abc\r\n"
		           "\tfor <user@example.org>; Fri, 21 Nov 1997 09:55:06 -0600\r\n",
		           hops[i], hops[i]);
	buf_add_str(&message,
	            "From: \"Jane Q. Doe\" <jane@example.com>\r\nTo: user@example.org, Other "
	            "<o@x.example>\r\n"
	            "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= and more\r\nDate: Fri, 21 Nov 1997 "
	            "09:55:06 -0600\r\n"
	            "Message-ID: <12345@example.com>\r\nMIME-Version: 1.0\r\n"
	            "Content-Type: multipart/alternative; boundary=\"=_boundary_1\"\r\n\r\n"
	            "--=_boundary_1\r\nContent-Type: text/plain; charset=utf-8\r\n"
	            "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	fill(&message, "Some line of text as people write them, sixty characters long.\r\n", 1500);
	buf_add_str(&message, "--=_boundary_1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n");
	fill(&message, "<p>Some line of text as people write them.</p>\r\n", 2000);
	buf_add_str(&message, "--=_boundary_1--\r\n");
	arena_init(&arena, 1024 * 1024);
	size_t rounds = 200000;
	double start = cpu_s();
	for (size_t i = 0; i < rounds; i++)
		parse_once(buf_slice(&message), &arena);
	printf("%-34s %8.2f us (%zu bytes)\n", "typical mail",
	       (cpu_s() - start) / (double)rounds * 1e6, message.n);
	arena_done(&arena);
	buf_done(&message);
}

static void big_body(const char *name, const char *head, const char *line)
{
	struct buf message;
	struct arena arena;
	buf_init(&message, BIG + 1000);
	buf_add_str(&message, head);
	fill(&message, line, BIG);
	arena_init(&arena, 1024 * 1024);
	parse_once(buf_slice(&message), &arena);
	double start = cpu_s();
	for (size_t i = 0; i < 4; i++)
		parse_once(buf_slice(&message), &arena);
	printf("%-34s %8.0f MB/s\n", name, 4 * (double)message.n / (cpu_s() - start) / 1e6);
	arena_done(&arena);
	buf_done(&message);
}

static void big_text(const char *name, const char *head, const char *line)
{
	struct buf message, out;
	struct message_part *root;
	unsigned defects;
	struct arena arena;
	buf_init(&message, BIG + 1000);
	buf_init(&out, 16 * MESSAGE_BODY_PIECE);
	buf_add_str(&message, head);
	fill(&message, line, BIG / 4);
	arena_init(&arena, 1024 * 1024);
	if (!is_ok(message_parse(buf_slice(&message), &arena, &root, &defects)))
		BUG("the message did not parse");
	double start = cpu_s();
	struct message_text *text = message_text_new(root);
	for (size_t at = root->body_offset; at < message.n; at += MESSAGE_BODY_PIECE) {
		buf_reset(&out);
		message_text_feed(text, slice_sub(buf_slice(&message), at, MESSAGE_BODY_PIECE),
		                  &out);
	}
	printf("%-34s %8.0f MB/s\n", name, (double)message.n / (cpu_s() - start) / 1e6);
	message_text_free(text);
	arena_done(&arena);
	buf_done(&out);
	buf_done(&message);
}

#define MIXED  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
#define BASE64 "TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFu\r\n"
#define TEXT   "Some line of text as people write them, sixty characters long.\r\n"
#define ENCODED(e, c)                                                                              \
	"Content-Type: text/plain; charset=" c "\r\nContent-Transfer-Encoding: " e "\r\n\r\n"

int main(void)
{
	typical_mail();
	big_body("base64 body", "A: b\r\n\r\n", BASE64);
	big_body("base64 body in a multipart", MIXED, BASE64);
	big_body("text in a multipart", MIXED, TEXT);
	big_body("short lines in a multipart", MIXED, "ab\r\n");
	big_body("empty lines in a multipart", MIXED, "\n");
	big_body("dashes in a multipart", MIXED, "-- \r\n--\r\n");
	big_body("no line ends", MIXED, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	big_text("text of base64 utf-8", ENCODED("base64", "utf-8"), BASE64);
	big_text("text of quoted-printable latin1", ENCODED("quoted-printable", "iso-8859-1"),
	         "Gr=FC=DFe aus K=F6ln, wie man sie schreibt, mit sechzig Zeichen.\r\n");
	big_text("text of 8bit koi8-r", ENCODED("8bit", "koi8-r"),
	         "\xf0\xd2\xc9\xd7\xc5\xd4 hello\r\n");
	return 0;
}
