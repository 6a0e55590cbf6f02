/* Addresses, listening, accepting, timed I/O, and the stream on a descriptor. */
#include "os/socket.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

static struct os_address address_of(const char *text, uint16_t port)
{
	struct os_address a;
	assert_ok(os_address_parse(slice_str(text), port, &a));
	return a;
}

static void addresses_print_in_their_canonical_form(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"192.0.2.1", "192.0.2.1"},
	        {"0.0.0.0", "0.0.0.0"},
	        {"255.255.255.255", "255.255.255.255"},
	        {"::", "::"},
	        {"::1", "::1"},
	        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
	        {"2001:db8::0001", "2001:db8::1"},
	        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
	        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
	        {"::ffff:192.0.2.1", "192.0.2.1"},
	        {"::ffff:c000:201", "192.0.2.1"},
	        {"fe80::1%2", "fe80::1%2"},
	        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char text[OS_ADDRESS_TEXT_MAX];
		struct os_address a = address_of(cases[i][0], 25);
		os_address_print(&a, text);
		assert_string_equal(text, cases[i][1]);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "",
	        " ",
	        "1",
	        "1.2.3",
	        "1.2.3.4.5",
	        "1.2.3.256",
	        "01.2.3.4",
	        "1.2.3.4 ",
	        " 1.2.3.4",
	        "1.2.3.-4",
	        "0x1.2.3.4",
	        "1..3.4",
	        ":",
	        ":::",
	        "1::2::3",
	        "12345::",
	        "g::",
	        "[::1]",
	        "::1%",
	        "::1%eth0",
	        "::1%0",
	        "::1%4294967296",
	        "1.2.3.4%1",
	        "::1/64",
	        "localhost",
	        "2001:db8:1:2:3:4:5:6:7",
	        "2001:db8:1:2:3:4:5",
	        "::1.2.3",
	        "::1\n",
	        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};
	struct os_address a = {.port = 7};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_err(os_address_parse(slice_str(bad[i]), 25, &a), ERR_SYNTAX);
	assert_err(os_address_parse(slice_of("1.2.3.4\0", 8), 25, &a), ERR_SYNTAX);
	assert_int_equal(a.port, 7);
}

static void ports_follow_addresses(void **state)
{
	(void)state;
	static const char *const good[] = {"192.0.2.1:25", "[2001:db8::1]:65535", "[fe80::1%3]:0"};
	static const char *const bad[] = {
	        "192.0.2.1",
	        "192.0.2.1:",
	        "192.0.2.1:x",
	        "192.0.2.1:65536",
	        "[192.0.2.1]:25",
	        "2001:db8::1:25",
	        "[2001:db8::1]",
	        "[2001:db8::1]25",
	        "[]:25",
	        ":25",
	        "",
	        "[::1:25",
	        "::1]:25",
	        "192.0.2.1:-1",
	        "192.0.2.1:25 ",
	};
	struct os_address a;
	char text[OS_ADDRESS_TEXT_MAX];
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_ok(os_address_parse_port(slice_str(good[i]), &a));
		os_address_print_port(&a, text);
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_err(os_address_parse_port(slice_str(bad[i]), &a), ERR_SYNTAX);
	a = (struct os_address){.family = OS_FAMILY_NONE};
	os_address_print_port(&a, text);
	assert_string_equal(text, "-");
}

static void an_address_lies_in_its_network(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		unsigned bits;
		const char *network;
	} cases[] = {
	        {"192.0.2.201", 24, "192.0.2.0"},
	        {"192.0.2.201", 32, "192.0.2.201"},
	        {"192.0.2.201", 0, "0.0.0.0"},
	        {"192.0.2.201", 25, "192.0.2.128"},
	        {"192.0.2.201", 31, "192.0.2.200"},
	        {"192.0.2.201", 99, "192.0.2.201"},
	        {"2001:db8:1:2:3::4", 64, "2001:db8:1:2::"},
	        {"2001:db8::ff", 121, "2001:db8::80"},
	        {"fe80::1%3", 64, "fe80::"},
	        {"2001:db8::1", 128, "2001:db8::1"},
	        {"2001:db8::1", 200, "2001:db8::1"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char text[OS_ADDRESS_TEXT_MAX];
		struct os_address a = address_of(cases[i].address, 25);
		struct os_address net = os_address_network(&a, cases[i].bits);
		os_address_print(&net, text);
		assert_string_equal(text, cases[i].network);
		assert_int_equal(net.port, 0);
		assert_true(os_network_contains(&net, cases[i].bits, &a));
	}
	struct os_address v4 = address_of("10.0.0.0", 0), v6 = address_of("::", 0);
	struct os_address other = address_of("11.0.0.1", 0);
	assert_false(os_network_contains(&v4, 8, &other));
	assert_false(os_network_contains(&v6, 0, &other)); /* families never mix */
}

static void networks_are_parsed_strictly(void **state)
{
	(void)state;
	static const char *const good[] = {"10.0.0.0/8",   "0.0.0.0/0",     "192.0.2.1",
	                                   "192.0.2.1/32", "2001:db8::/32", "::/0",
	                                   "::1",          "::1/128"};
	static const char *const bad[] = {
	        "10.0.0.1/8",   "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
	        "10.0.0.0/8/8", "/8",          "10.0.0/8",  "2001:db8::1/32",
	        "::/129",       "fe80::%1/64", "",          "10.0.0.0/8 "};
	struct os_address net;
	unsigned bits;
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		assert_ok(os_network_parse(slice_str(good[i]), &net, &bits));
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_false(is_ok(os_network_parse(slice_str(bad[i]), &net, &bits)));
}

static void loopback_is_known(void **state)
{
	(void)state;
	struct os_address yes[] = {address_of("127.0.0.1", 0), address_of("127.9.9.9", 0),
	                           address_of("::1", 0), address_of("::ffff:127.0.0.1", 0)};
	struct os_address no[] = {address_of("128.0.0.1", 0),
	                          address_of("::2", 0),
	                          address_of("::", 0),
	                          {.family = OS_FAMILY_NONE}};
	for (size_t i = 0; i < N_ELEMENTS(yes); i++)
		assert_true(os_address_is_loopback(&yes[i]));
	for (size_t i = 0; i < N_ELEMENTS(no); i++)
		assert_false(os_address_is_loopback(&no[i]));
}

static int listen_on(const char *ip, uint16_t port, bool reuse_port, struct os_address *ret_at)
{
	struct os_address at = address_of(ip, port);
	int fd = -1;
	assert_ok(socket_listen(&at, &(struct socket_listen_options){.reuse_port = reuse_port}, &fd,
	                        NULL));
	*ret_at = socket_local(fd);
	return fd;
}

static void connect_and_talk(const char *ip)
{
	struct os_address at, peer, local;
	CLEANUP(fd_close) int listener = listen_on(ip, 0, false, &at);
	CLEANUP(fd_close) int client = -1;
	CLEANUP(fd_close) int server = -1;
	char bytes[8];
	size_t n;
	int nodelay = 0;
	socklen_t size = sizeof(nodelay);
	assert_int_equal(socket_accept(listener, &server, &peer), SOCKET_ACCEPT_AGAIN);
	assert_ok(socket_connect(&at, NULL, 5000, &client, NULL));
	assert_ok(socket_wait_readable(listener, 5000));
	assert_int_equal(socket_accept(listener, &server, &peer), SOCKET_ACCEPTED);
	local = socket_local(client);
	assert_true(os_address_eq(&peer, &local));
	local = socket_peer(client);
	assert_true(os_address_eq(&local, &at));
	assert_int_equal(fcntl(server, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(server, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
	assert_true(nodelay != 0);
	assert_ok(socket_send_all(client, SLICE("hi"), 1000));
	assert_ok(socket_receive(server, bytes, sizeof(bytes), 5000, &n));
	assert_int_equal(n, 2);
	fd_close(&client);
	assert_ok(socket_receive(server, bytes, sizeof(bytes), 5000, &n));
	assert_int_equal(n, 0);
}

static void both_families_listen_and_connect(void **state)
{
	(void)state;
	struct os_address v6 = address_of("::1", 0);
	int fd = -1;
	connect_and_talk("127.0.0.1");
	if (is_ok(socket_listen(&v6, NULL, &fd, NULL))) { /* not in every container */
		fd_close(&fd);
		connect_and_talk("::1");
	}
}

static void a_taken_port_is_told_by_name(void **state)
{
	(void)state;
	struct os_address at;
	struct os_fault fault;
	char expected[OS_FAULT_MAX];
	char text[OS_ADDRESS_TEXT_MAX];
	int fd = -1;
	CLEANUP(fd_close) UNUSED int listener = listen_on("127.0.0.1", 0, false, &at);
	assert_err(socket_listen(&at, NULL, &fd, &fault), ERR_EXISTS);
	os_address_print_port(&at, text);
	snprintf(expected, sizeof(expected), "cannot listen on %s: Address already in use", text);
	assert_string_equal(fault.text, expected);
	assert_int_equal(fd, -1);
	struct os_address none = {.family = OS_FAMILY_NONE};
	assert_err(socket_listen(&none, NULL, &fd, &fault), ERR_INVALID);
	struct os_address foreign = address_of("192.0.2.1", 0);
	assert_err(socket_listen(&foreign, NULL, &fd, &fault), ERR_IO);
	assert_int_equal(fault.errno_value, EADDRNOTAVAIL);
	assert_ok(socket_listen(&foreign, &(struct socket_listen_options){.free_bind = true}, &fd,
	                        NULL));
	fd_close(&fd);
}

static void a_port_is_shared_on_request(void **state)
{
	(void)state;
	struct os_address at, again;
	CLEANUP(fd_close) UNUSED int first = listen_on("127.0.0.1", 0, true, &at);
	CLEANUP(fd_close) UNUSED int second = listen_on("127.0.0.1", at.port, true, &again);
	assert_true(os_address_eq(&at, &again));
}

static void connecting_fails_in_words(void **state)
{
	(void)state;
	struct os_address at;
	struct os_fault fault;
	int fd = -1;
	int listener = listen_on("127.0.0.1", 0, false, &at);
	fd_close(&listener); /* now nobody is there */
	assert_err(socket_connect(&at, NULL, 5000, &fd, &fault), ERR_IO);
	assert_int_equal(fault.errno_value, ECONNREFUSED);
	struct os_address none = {.family = OS_FAMILY_NONE};
	assert_err(socket_connect(&none, NULL, 5000, &fd, &fault), ERR_INVALID);
	struct os_address foreign = address_of("192.0.2.1", 0);
	assert_false(is_ok(socket_connect(&at, &foreign, 5000, &fd, &fault)));
	assert_int_equal(fault.errno_value, EADDRNOTAVAIL);
	assert_int_equal(fd, -1);
}

static void a_full_backlog_times_out(void **state)
{
	(void)state;
	struct os_address at = address_of("127.0.0.1", 0);
	CLEANUP(fd_close) int listener = -1;
	int clients[8];
	enum err last = ERR_OK;
	assert_ok(
	        socket_listen(&at, &(struct socket_listen_options){.backlog = 1}, &listener, NULL));
	at = socket_local(listener);
	for (size_t i = 0; i < N_ELEMENTS(clients); i++) {
		clients[i] = -1;
		if (last == ERR_OK)
			last = socket_connect(&at, NULL, 100, &clients[i], NULL).code;
	}
	assert_int_equal(last, ERR_TIMEOUT);
	for (size_t i = 0; i < N_ELEMENTS(clients); i++)
		fd_close(&clients[i]);
}

/* In a child, because it lowers its own limit of descriptors. */
static int run_out_of_descriptors(const struct os_address *at, int listener)
{
	int reserve = -1, client = -1, other = -1, fd = -1;
	struct os_address peer;
	char bytes[16] = "";
	size_t n;
	struct rlimit limit;
	if (!is_ok(socket_reserve(&reserve)) ||
	    !is_ok(socket_connect(at, NULL, 1000, &client, NULL)) ||
	    !is_ok(socket_connect(at, NULL, 1000, &other, NULL)))
		return 1;
	(void)socket_wait_readable(listener, 1000);
	limit.rlim_cur = limit.rlim_max = (rlim_t)MAX(other, reserve) + 1;
	for (int i = 3; i <= MAX(other, reserve); i++) {
		if (fcntl(i, F_GETFD) < 0 && dup2(0, i) < 0)
			return 2; /* no gap is left */
	}
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 3;
	if (socket_accept(listener, &fd, &peer) != SOCKET_ACCEPT_EXHAUSTED)
		return 4;
	if (!socket_refuse_one(listener, &reserve, SLICE("421 busy\r\n")))
		return 5;
	if (!is_ok(socket_receive(client, bytes, sizeof(bytes), 1000, &n)) || n != 10)
		return 6;
	if (reserve < 0 || socket_accept(listener, &fd, &peer) != SOCKET_ACCEPT_EXHAUSTED)
		return 7;
	return memcmp(bytes, "421 busy\r\n", 10) == 0 ? 0 : 8;
}

static void out_of_descriptors_one_is_refused_politely(void **state)
{
	(void)state;
	struct os_address at;
	CLEANUP(fd_close) int listener = listen_on("127.0.0.1", 0, false, &at);
	pid_t pid = fork();
	if (pid == 0)
		_exit(run_out_of_descriptors(&at, listener));
	assert_int_equal(test_wait(pid), 0);
	int fd = -1;
	struct os_address peer;
	assert_int_equal(socket_accept(-1, &fd, &peer), SOCKET_ACCEPT_BROKEN);
}

static void pairs_are_made_close_on_exec(void **state)
{
	(void)state;
	int fds[2];
	int type = 0;
	socklen_t size = sizeof(type);
	assert_ok(socket_pair_seqpacket(fds));
	assert_int_equal(getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &type, &size), 0);
	assert_int_equal(type, SOCK_SEQPACKET);
	assert_int_equal(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
	assert_ok(socket_set_buffers(fds[0], 100000, 100000));
	assert_int_equal(socket_peer(fds[0]).family, OS_FAMILY_NONE);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	assert_ok(socket_pair_stream(fds));
	assert_int_equal(getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &type, &size), 0);
	assert_int_equal(type, SOCK_STREAM);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	assert_int_equal(socket_local(-1).family, OS_FAMILY_NONE);
}

static void silence_times_out(void **state)
{
	(void)state;
	int fds[2];
	uint8_t byte;
	size_t n;
	static uint8_t megabyte[1 << 20];
	assert_ok(socket_pair_stream(fds));
	struct deadline start = deadline_in(40);
	assert_err(socket_receive(fds[0], &byte, 1, 50, &n), ERR_TIMEOUT);
	assert_true(deadline_passed(start));
	assert_err(socket_receive(fds[0], &byte, 1, 0, &n), ERR_TIMEOUT);
	assert_err(socket_send_all(fds[0], slice_of(megabyte, sizeof(megabyte)), 50), ERR_TIMEOUT);
	fd_close(&fds[1]);
	assert_err(socket_send_all(fds[0], SLICE("x"), 50), ERR_CLOSED); /* and no SIGPIPE */
	fd_close(&fds[0]);
	assert_err(socket_wait_readable(1000, 10), ERR_INVALID);
	assert_false(is_ok(socket_receive(1000, &byte, 1, 10, &n)));
}

struct stream_pair {
	struct fd_stream session;
	int peer;
};

static void make_streams(struct stream_pair *p)
{
	int fds[2];
	assert_ok(socket_pair_stream(fds));
	fd_stream_init(&p->session, fds[0]);
	p->session.stream.timeout_ms = 2000;
	p->peer = fds[1];
}

static void done_streams(struct stream_pair *p)
{
	fd_stream_done(&p->session);
	fd_stream_done(&p->session);
	fd_close(&p->peer);
}

static void a_stream_reads_lines_and_answers(void **state)
{
	(void)state;
	struct stream_pair p;
	struct slice line;
	char bytes[64];
	size_t n;
	bool crlf;
	make_streams(&p);
	assert_ok(fd_write_all(p.peer, SLICE("HELO a\r\nQUIT\r\n"), NULL));
	assert_ok(stream_read_line(&p.session.stream, 100, &line, &crlf));
	assert_true(slice_eq_str(line, "HELO a"));
	assert_ok(stream_printf(&p.session.stream, "250 %s\r\n", "b"));
	assert_ok(stream_read_line(&p.session.stream, 100, &line, &crlf));
	assert_ok(stream_flush(&p.session.stream));
	assert_ok(socket_receive(p.peer, bytes, sizeof(bytes), 1000, &n));
	assert_true(slice_eq_str(slice_of(bytes, n), "250 b\r\n"));
	assert_err(stream_start_tls(&p.session.stream), ERR_UNSUPPORTED);
	stream_shutdown(&p.session.stream);
	assert_ok(socket_receive(p.peer, bytes, sizeof(bytes), 1000, &n));
	assert_int_equal(n, 0);
	fd_close(&p.peer);
	assert_err(stream_read_line(&p.session.stream, 100, &line, &crlf), ERR_CLOSED);
	done_streams(&p);
}

static void a_stream_waits_for_input_wake_or_time(void **state)
{
	(void)state;
	struct stream_pair p;
	struct stream *s;
	enum stream_event event;
	CLEANUP(fd_close) int wake = -1;
	make_streams(&p);
	s = &p.session.stream;
	assert_ok(eventfd_new(&wake));
	assert_ok(stream_wait(s, wake, 20, &event));
	assert_int_equal(event, STREAM_TIMEOUT);
	assert_ok(stream_wait(s, -1, 20, &event));
	assert_int_equal(event, STREAM_TIMEOUT);
	eventfd_signal(wake);
	assert_ok(stream_wait(s, wake, -1, &event));
	assert_int_equal(event, STREAM_WOKEN);
	(void)eventfd_drain(wake);
	assert_ok(fd_write_all(p.peer, SLICE("x"), NULL));
	assert_ok(stream_wait(s, wake, -1, &event));
	assert_int_equal(event, STREAM_INPUT);
	fd_close(&p.peer);
	assert_ok(stream_wait(s, wake, -1, &event)); /* the end is input */
	assert_int_equal(event, STREAM_INPUT);
	done_streams(&p);
	p.session.fd = -1;
	fd_stream_init(&p.session, 1000);
	assert_err(stream_wait(s, -1, 10, &event), ERR_INVALID);
	p.session.fd = -1;
	fd_stream_done(&p.session);
}

static void a_stream_can_be_handed_over(void **state)
{
	(void)state;
	struct stream_pair p;
	struct slice line;
	bool crlf;
	make_streams(&p);
	assert_ok(fd_write_all(p.peer, SLICE("one\r\ntwo\r\n"), NULL));
	assert_ok(stream_read_line(&p.session.stream, 100, &line, &crlf));
	assert_true(slice_eq_str(stream_buffered(&p.session.stream), "two\r\n"));
	CLEANUP(fd_close) int fd = fd_stream_take_fd(&p.session);
	done_streams(&p);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	struct fd_stream zeroed = {.fd = 0};
	fd_stream_done(&zeroed); /* must not close standard input */
	assert_true(fcntl(0, F_GETFD) >= 0);
}

static void udp_hears_its_peer_alone(void **state)
{
	(void)state;
	struct sockaddr_storage sa;
	struct os_address at = address_of("127.0.0.1", 0);
	char text[16];
	size_t n;
	CLEANUP(fd_close) int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CLEANUP(fd_close) int stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CLEANUP(fd_close) int client = -1;
	socklen_t size = os_address_to_sockaddr(&at, &sa);
	assert_int_equal(bind(server, (struct sockaddr *)&sa, size), 0);
	at = socket_local(server);
	assert_ok(socket_connect_udp(&at, &client, NULL));
	struct os_address local = socket_local(client);
	size = os_address_to_sockaddr(&local, &sa);
	assert_int_equal(sendto(stranger, "lie", 3, 0, (struct sockaddr *)&sa, size), 3);
	assert_int_equal(sendto(server, "hello", 5, 0, (struct sockaddr *)&sa, size), 5);
	assert_ok(socket_receive(client, text, sizeof(text), 5000, &n));
	assert_int_equal(n, 5);
	assert_memory_equal(text, "hello", 5);
	assert_err(socket_receive(client, text, sizeof(text), 1, &n), ERR_TIMEOUT);
	struct os_address none = {.family = OS_FAMILY_NONE};
	assert_err(socket_connect_udp(&none, &client, NULL), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(udp_hears_its_peer_alone),
	        cmocka_unit_test(addresses_print_in_their_canonical_form),
	        cmocka_unit_test(what_is_no_address_is_refused),
	        cmocka_unit_test(ports_follow_addresses),
	        cmocka_unit_test(an_address_lies_in_its_network),
	        cmocka_unit_test(networks_are_parsed_strictly),
	        cmocka_unit_test(loopback_is_known),
	        cmocka_unit_test(both_families_listen_and_connect),
	        cmocka_unit_test(a_taken_port_is_told_by_name),
	        cmocka_unit_test(a_port_is_shared_on_request),
	        cmocka_unit_test(connecting_fails_in_words),
	        cmocka_unit_test(a_full_backlog_times_out),
	        cmocka_unit_test(out_of_descriptors_one_is_refused_politely),
	        cmocka_unit_test(pairs_are_made_close_on_exec),
	        cmocka_unit_test(silence_times_out),
	        cmocka_unit_test(a_stream_reads_lines_and_answers),
	        cmocka_unit_test(a_stream_waits_for_input_wake_or_time),
	        cmocka_unit_test(a_stream_can_be_handed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
