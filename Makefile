# A short front for Meson; README.md names the two commands that most people need.
#
#   make              build in build/, the program is build/mailkeep
#   make run          build, then a mail server for this machine's own tests: localserve, in the foreground
#   make test         everything that tests; the last line is "N passed, N failed"
#   make check        static checks: format, layers, banned calls, size marks, linters
#   make format       clang-format over src/ and examples/
#   make bench        mailkeep beside Debian's Postfix and Dovecot
#   make fuzz         every fuzz target for FUZZ_SECONDS
#   make kill-rounds  KILL_ROUNDS rounds of kill -9 under load (durability)
#   make queue-kill-rounds  the same for mail on its way out
#   make exchange     EXCHANGE_MESSAGES between two mailkeeps and Postfix, by every transport
#   make dkim-cross   DKIM_MESSAGES random messages between mailkeep, dkimpy, OpenDKIM and Mail::DKIM
#   make lab          a shell in a small internet: DNS with DNSSEC, two mailkeeps, Postfix (tests/lab)
#   make deps         install the Debian packages that are missing (root or sudo)
#   make install      DESTDIR= PREFIX=; the server and libmailkeep

BUILD = build
PREFIX = /usr/local
DESTDIR =
FUZZ_SECONDS = 60
KILL_ROUNDS = 200
EXCHANGE_MESSAGES = 10000
DKIM_MESSAGES = 4000
RUN_ARGS =

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run 'make deps' first" >&2; exit 1; }
	meson setup $(BUILD) -Dtests=false --prefix=$(PREFIX)

deps:
	@tools/deps

run: deps
	@$(MAKE) --no-print-directory all
	@exec $(BUILD)/mailkeep localserve $(RUN_ARGS)

test: deps
	@tests/run

check: deps
	@tools/check

format: deps
	@git ls-files 'src/*.c' 'src/*.h' 'examples/*.c' | xargs clang-format -i --style=file

bench: deps
	@$(MAKE) --no-print-directory all
	@tests/bench/run

fuzz: deps
	@tests/fuzz/run --seconds $(FUZZ_SECONDS)

kill-rounds: deps
	@$(MAKE) --no-print-directory all
	@KILL_ROUNDS=$(KILL_ROUNDS) tests/run --only e2e.durability

queue-kill-rounds: deps
	@$(MAKE) --no-print-directory all
	@KILL_ROUNDS=$(KILL_ROUNDS) tests/run --only e2e.queue_crash

exchange: deps
	@$(MAKE) --no-print-directory all
	@EXCHANGE_MESSAGES=$(EXCHANGE_MESSAGES) tests/run --only e2e.test_exchange

dkim-cross: deps
	@$(MAKE) --no-print-directory all
	@DKIM_MESSAGES=$(DKIM_MESSAGES) tests/run --only e2e.dkim

lab: deps
	@$(MAKE) --no-print-directory all
	@python3 tests/lab/shell.py

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) build-asan build-fuzz build-tsan build-check

.PHONY: all deps run test check format bench fuzz kill-rounds exchange dkim-cross lab install clean
