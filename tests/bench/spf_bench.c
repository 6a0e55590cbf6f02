/* What SPF costs by itself: whole checks on a table of facts in memory, no network.
 *
 *     spf_bench               prints one line a measurement: microseconds of CPU each, and per
 * second
 *
 * - a record of addresses only, one with an include three deep that passes in the last, one that
 *   uses all ten lookups and macros and fails with an explanation
 * - the parser alone on a usual record and on the longest that is taken
 */
#include "dns/table.h"
#include "mailauth/spf.h"
#include "mailauth/spf_record.h"

#include <stdio.h>
#include <time.h>

#define CHECKS 100000u
#define PARSES 200000u

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t zero(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const char facts[] =
        "flat.example TXT \"v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all\"\n"
        "deep.example TXT \"v=spf1 ip4:203.0.113.1 include:a.example ~all\"\n"
        "a.example TXT \"v=spf1 include:b.example include:c.example ~all\"\n"
        "b.example TXT \"v=spf1 ip4:203.0.113.0/26 ip4:203.0.113.64/26 ~all\"\n"
        "c.example TXT \"v=spf1 ip4:203.0.113.128/26 ip4:192.0.2.0/24 ~all\"\n"
        "full.example TXT \"v=spf1 a mx include:b.example include:d.example "
        "exists:%{ir}.%{l1r-}.x.example a:%{d2} -all exp=e.example\"\n"
        "d.example TXT \"v=spf1 a:h.example mx:h.example exists:%{h}.x.example ?all\"\n"
        "full.example A 203.0.113.9\n"
        "full.example MX 1 h.example\n"
        "full.example MX 2 i.example\n"
        "h.example A 203.0.113.10\n"
        "i.example A 203.0.113.11\n"
        "h.example MX 1 i.example\n"
        "e.example TXT \"%{i} is not a host of %{o}: http://%{d}/why?s=%{S}\"\n";

static void report(const char *what, unsigned n, double seconds)
{
	printf("%-44s %8.2f us %10.0f/s\n", what, seconds / n * 1e6, n / seconds);
}

static void bench_check(const struct dns_table *table, const char *domain,
                        enum mailauth_result expected, const char *what)
{
	static const struct clock clock = {zero, zero};
	static const uint8_t ip[] = {192, 0, 2, 1}, far[] = {100, 64, 0, 1};
	struct spf_args args = {
	        .client_ip = slice_of(expected == MAILAUTH_PASS ? ip : far, 4),
	        .helo = SLICE("helo.example"),
	        .localpart = SLICE("strong-bad"),
	        .domain = slice_str(domain),
	        .receiver = SLICE("mx.example"),
	        .explain = true,
	};
	struct arena arena;
	double began = cpu_s();
	arena_init(&arena, MAILAUTH_DNS_ARENA);
	for (unsigned i = 0; i < CHECKS; i++) {
		struct mailauth_dns dns;
		struct spf_result result;
		mailauth_dns_init(&dns, &table->resolver, &clock, 1000, &arena);
		spf_check(&dns, &args, SPF_MAILFROM, &result);
		if (result.result != expected)
			BUG(result.why);
		arena_reset(&arena);
	}
	arena_done(&arena);
	report(what, CHECKS, cpu_s() - began);
}

static void bench_parse(struct slice text, unsigned n, const char *what)
{
	struct arena arena;
	struct spf_record record;
	struct spf_fault fault;
	double began = cpu_s();
	arena_init(&arena, MAILAUTH_DNS_ARENA);
	for (unsigned i = 0; i < n; i++) {
		if (!is_ok(spf_record_parse(text, &arena, &record, &fault)))
			BUG("the record is good");
		arena_reset(&arena);
	}
	arena_done(&arena);
	report(what, n, cpu_s() - began);
}

int main(void)
{
	struct dns_table table;
	CLEANUP(buf_done) struct buf longest;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	bench_check(&table, "flat.example", MAILAUTH_PASS, "check, addresses only");
	bench_check(&table, "deep.example", MAILAUTH_PASS, "check, passes in the third include");
	bench_check(&table, "full.example", MAILAUTH_FAIL,
	            "check, 9 lookups, macros, explained fail");
	dns_table_done(&table);
	bench_parse(SLICE("v=spf1 ip4:192.0.2.0/24 include:_spf.example.com a:mail.%{d} mx -all"),
	            PARSES, "parse, 5 terms");
	buf_init(&longest, SPF_RECORD_MAX);
	buf_add_str(&longest, "v=spf1");
	while (longest.n + 17 <= SPF_RECORD_MAX)
		buf_add_str(&longest, " ip4:192.0.2.0/24");
	bench_parse(buf_slice(&longest), PARSES / 100, "parse, 8 KB of addresses");
	return 0;
}
