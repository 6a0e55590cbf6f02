/* Delivers messages as fast as a server takes them, over SMTP or LMTP, from several connections.
 *
 *   smtp_load HOST PORT smtp|lmtp|submit|relay CONNECTIONS SECONDS MESSAGE-SIZE ACCOUNTS MOST
 *
 * Each thread holds one connection and waits for every reply (no pipelining: what a careful sender
 * does), to user1..userN@localhost in turn. Prints "messages seconds p50_ms p99_ms refused".
 * "submit" logs in as userN@localhost (password mailkeep) and writes to near.test; "relay" does the
 * same without a login. A 421 before a message (so many in one session are enough) is followed by a
 * new connection. Stops after SECONDS or MOST messages. Part of the benchmark, not of the program.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LATENCIES_MAX 200000

static struct sockaddr_in server;
static bool lmtp, logs_in, outward;
static double until;
static size_t message_size;
static unsigned n_accounts;
static long most;
static atomic_long n_started, n_delivered, n_refused, n_latencies;
static float latencies_ms[LATENCIES_MAX];

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent <= 0)
			die("send");
		p += sent;
		n -= (size_t)sent;
	}
}

/* The code of one whole reply. Nothing is pipelined, so nothing follows it. */
static int reply(int fd)
{
	char text[8192];
	size_t n = 0, line = 0;
	for (;;) {
		ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
		if (got <= 0)
			die("recv");
		n += (size_t)got;
		text[n] = 0;
		for (char *end; (end = strstr(text + line, "\r\n")); line = (size_t)(end - text) + 2)
			if (text[line + 3] != '-')
				return atoi(text + line);
	}
}

static int command(int fd, const char *line)
{
	send_all(fd, line, strlen(line));
	return reply(fd);
}

/* AUTH PLAIN (RFC 4616), in base64. */
static void log_in(int fd, unsigned user)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char plain[128] = {0};
	char line[256] = "AUTH PLAIN ", *at = line + strlen(line);
	size_t n = 1 + (size_t)sprintf((char *)plain + 1, "user%u@localhost", user) + 1;
	n += (size_t)sprintf((char *)plain + n, "mailkeep");
	for (size_t i = 0; i < n; i += 3) {
		unsigned group = (unsigned)plain[i] << 16 | (unsigned)plain[i + 1] << 8 | plain[i + 2];
		for (size_t j = 0; j < 4; j++)
			*at++ = i + j > n ? '=' : digits[group >> (18 - 6 * j) & 63];
	}
	memcpy(at, "\r\n", 3);
	if (command(fd, line) != 235) {
		fprintf(stderr, "login refused\n");
		exit(1);
	}
}

static int greeted(unsigned user)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (reply(fd) != 220 || command(fd, lmtp ? "LHLO bench.example\r\n" : "EHLO bench.example\r\n") != 250) {
		fprintf(stderr, "greeting refused\n");
		exit(1);
	}
	if (logs_in)
		log_in(fd, user);
	return fd;
}

/* Short lines, no dots at their start, then the end of the message. */
static char *make_message(long number, const char *sender, size_t *ret_n)
{
	char *text = malloc(message_size + 512);
	int head = sprintf(text,
			   "From: Bench <%s>\r\nTo: <user@localhost>\r\nSubject: message %ld of the load\r\n"
			   "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%ld.%d@client.example>\r\n\r\n",
			   sender, number, number, (int)getpid());
	size_t n = (size_t)head;
	while (n + 72 < message_size) {
		memset(text + n, 'a' + (int)((n + (size_t)number) % 26), 70);
		memcpy(text + n + 70, "\r\n", 2);
		n += 72;
	}
	memcpy(text + n, "end\r\n.\r\n", 8);
	*ret_n = n + 8;
	return text;
}

/* False when the server wants a new connection. */
static bool deliver(int fd, long number, unsigned user)
{
	char line[256], sender[64] = "a@client.example";
	size_t n;
	if (logs_in)
		sprintf(sender, "user%u@localhost", user);
	char *text = make_message(number, sender, &n);
	double began = now();
	sprintf(line, "MAIL FROM:<%s>\r\n", sender);
	int code = command(fd, line);
	sprintf(line, outward ? "RCPT TO:<user%ld@near.test>\r\n" : "RCPT TO:<user%ld@localhost>\r\n",
		number % n_accounts + 1);
	if (code == 250)
		code = command(fd, line);
	if (code == 250)
		code = command(fd, "DATA\r\n");
	if (code == 354) {
		send_all(fd, text, n);
		code = reply(fd);
	}
	free(text);
	if (code == 421)
		return false;
	if (code != 250) {
		if (n_refused++ == 0)
			fprintf(stderr, "refused: %d\n", code);
		command(fd, "RSET\r\n");
		return true;
	}
	n_delivered++;
	long at = n_latencies++;
	if (at < LATENCIES_MAX)
		latencies_ms[at] = (float)((now() - began) * 1000);
	return true;
}

static void *run(void *context)
{
	unsigned user = (unsigned)(size_t)context % n_accounts + 1;
	int fd = greeted(user);
	while (now() < until) {
		long number = n_started++;
		if (number >= most)
			break;
		if (!deliver(fd, number, user)) {
			close(fd);
			fd = greeted(user);
		}
	}
	command(fd, "QUIT\r\n");
	close(fd);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	if (argc != 9) {
		fprintf(stderr, "smtp_load HOST PORT smtp|lmtp|submit|relay CONNECTIONS SECONDS SIZE ACCOUNTS MOST\n");
		return 1;
	}
	server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
	inet_pton(AF_INET, argv[1], &server.sin_addr);
	lmtp = strcmp(argv[3], "lmtp") == 0;
	logs_in = strcmp(argv[3], "submit") == 0;
	outward = logs_in || strcmp(argv[3], "relay") == 0;
	int n_connections = atoi(argv[4]);
	message_size = (size_t)atol(argv[6]);
	n_accounts = (unsigned)atoi(argv[7]);
	most = atol(argv[8]);
	pthread_t *threads = calloc((size_t)n_connections, sizeof(*threads));
	double began = now();
	until = began + atof(argv[5]);
	for (int i = 0; i < n_connections; i++)
		pthread_create(&threads[i], NULL, run, (void *)(size_t)i);
	for (int i = 0; i < n_connections; i++)
		pthread_join(threads[i], NULL);
	double seconds = now() - began;
	long n = n_latencies < LATENCIES_MAX ? n_latencies : LATENCIES_MAX;
	qsort(latencies_ms, (size_t)n, sizeof(*latencies_ms), by_value);
	printf("%ld %.3f %.2f %.2f %ld\n", (long)n_delivered, seconds, n ? (double)latencies_ms[n / 2] : 0.0,
	       n ? (double)latencies_ms[n * 99 / 100] : 0.0, (long)n_refused);
	return 0;
}
