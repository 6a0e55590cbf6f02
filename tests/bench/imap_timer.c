/* Times IMAP commands without a client's own cost: reads what comes and looks for the tagged line
 * only.
 *
 *   imap_timer HOST PORT < commands
 *
 * Each input line is one command without its tag; "APPEND-MANY MAILBOX COUNT SIZE FIRST" appends
 * COUNT messages, each after the OK of the one before; "APPEND-FAST ..." does the same with
 * non-synchronizing literals, 50 in flight. For each line prints "milliseconds bytes-received
 * OK|NO|BAD".
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER ((size_t)4 * 1024 * 1024)
#define FLIGHT 50

static int fd;
static char *buffer;
static unsigned long serial;

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what)
{
	fprintf(stderr, "imap_timer: %s\n", what);
	exit(1);
}

static void send_all(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent <= 0)
			die("send failed");
		p += sent;
		n -= (size_t)sent;
	}
}

/* Reads to the line that begins with `start` (at the start of the input or after CRLF) and ends; it
 * is the last that comes. The last 256 bytes are kept over reads, so the line is seen whole. */
static size_t read_to(const char *start, char *ret_word)
{
	size_t total = 0, kept = 0, start_size = strlen(start);
	for (;;) {
		ssize_t got = recv(fd, buffer + kept, BUFFER - kept, 0);
		if (got <= 0)
			die("the server closed the connection");
		total += (size_t)got;
		size_t n = kept + (size_t)got;
		if (n >= 2 && buffer[n - 1] == '\n') {
			char *line = memrchr(buffer, '\n', n - 1);
			line = line ? line + 1 : buffer;
			if (strncmp(line, start, start_size) == 0) {
				sscanf(line + start_size, " %7s", ret_word);
				return total;
			}
		}
		kept = n < 256 ? n : 256;
		memmove(buffer, buffer + n - kept, kept);
	}
}

static size_t run(const char *text, char *ret_word)
{
	char tag[32], line[65536];
	snprintf(tag, sizeof(tag), "q%lux%lx", serial++, (unsigned long)getpid());
	int n = snprintf(line, sizeof(line), "%s %s\r\n", tag, text);
	send_all(line, (size_t)n);
	return read_to(tag, ret_word);
}

static size_t make_message(char *text, size_t size, unsigned long number)
{
	size_t n = (size_t)sprintf(text,
				   "From: Sender %lu <s%lu@client.example>\r\nTo: <user@localhost>\r\n"
				   "Subject: message %lu about topic%lu\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n"
				   "Message-ID: <%lu@client.example>\r\n\r\n",
				   number % 97, number % 97, number, number % 1000, number);
	while (n + 72 < size) {
		memset(text + n, 'a' + (int)((n + number) % 26), 70);
		memcpy(text + n + 70, "\r\n", 2);
		n += 72;
	}
	memcpy(text + n, "end\r\n", 5);
	return n + 5;
}

static size_t append_many(const char *mailbox, unsigned long count, size_t size, unsigned long first, bool fast,
			  char *ret_word)
{
	char *text = malloc(size + 512), head[256], tag[40];
	size_t total = 0;
	for (unsigned long i = 0; i < count; i++) {
		size_t n = make_message(text, size, first + i);
		snprintf(tag, sizeof(tag), "p%lux%lx", serial++, (unsigned long)getpid());
		int m = snprintf(head, sizeof(head), "%s APPEND %s {%zu%s}\r\n", tag, mailbox, n, fast ? "+" : "");
		send_all(head, (size_t)m);
		if (!fast)
			total += read_to("+", ret_word);
		send_all(text, n);
		send_all("\r\n", 2);
		if (!fast || i % FLIGHT == FLIGHT - 1 || i + 1 == count)
			total += read_to(tag, ret_word);
	}
	free(text);
	return total;
}

int main(int argc, char **argv)
{
	struct sockaddr_in server = {.sin_family = AF_INET};
	int one = 1;
	if (argc != 3)
		die("HOST PORT < commands");
	buffer = malloc(BUFFER);
	server.sin_port = htons((uint16_t)atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &server.sin_addr);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		die("cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	char line[65536], word[8] = "";
	read_to("*", word);
	while (fgets(line, sizeof(line), stdin)) {
		char mailbox[200];
		unsigned long count, first;
		size_t size;
		line[strcspn(line, "\r\n")] = 0;
		double began = now_ms();
		size_t bytes;
		if (sscanf(line, "APPEND-MANY %199s %lu %zu %lu", mailbox, &count, &size, &first) == 4)
			bytes = append_many(mailbox, count, size, first, false, word);
		else if (sscanf(line, "APPEND-FAST %199s %lu %zu %lu", mailbox, &count, &size, &first) == 4)
			bytes = append_many(mailbox, count, size, first, true, word);
		else
			bytes = run(line, word);
		printf("%.3f %zu %s\n", now_ms() - began, bytes, word);
		fflush(stdout);
	}
	return 0;
}
