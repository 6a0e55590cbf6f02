"""Parts of tests/bench/run about mail on its way out.

submit  N messages by so many connections, timed from the first connection until Postfix's smtp-sink has taken the
        last. mailkeep logs its users in; Postfix takes mail of its own network. Both sync what they queue and
        relay to the same sink over loopback.
full    100,000 messages for 10,000 hosts that never answer a connection: what the queue costs then (memory of its
        room, CPU of the house a minute), and how long a fresh message to a healthy domain takes behind it.
"""

import contextlib
import pathlib
import socket
import statistics
import subprocess
import threading
import time

import harness
import servers as peers
import root as private_root
import smtp_sink
import test_queue

SETTINGS = """
queue:
  delay_notice: 0s
limits:
  sent_per_day: unlimited
  first_time_recipients_per_day: unlimited
  recipients: 1000
transports:
"""


class PostfixSink:
    """smtp-sink that ends when it has taken so many messages."""

    def __init__(self, ip, port, messages):
        self.process = subprocess.Popen(
            ["chroot", str(private_root.ensure()), "/usr/sbin/smtp-sink", "-u", "postfix", "-M", str(messages), f"{ip}:{port}", "1000"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection((ip, port), 1) as probe:
                    probe.recv(100)
                    return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def wait(self, seconds):
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.stop()
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()


class Mailkeep:
    name, mode = "mailkeep", "submit"

    def __init__(self, sink):
        self.server = harness.Server(accounts=20)
        self.sink = sink

    def __enter__(self):
        self.server.start()
        self.server.stop()
        test_queue.configure(self.server, {"near": self.sink}, queue=SETTINGS)
        self.server.start()
        self.address = self.server.submission
        return self

    def __exit__(self, *_):
        self.server.stop()
        self.server.remove()

    def pids(self):
        return self.server.pids()


class Postfix:
    name, mode = "postfix", "relay"

    def __init__(self, sink):
        self.postfix = peers.Postfix(harness.own_ip(), f"smtp:[{sink[0]}]:{sink[1]}", tls="none")

    def __enter__(self):
        self.postfix.__enter__()
        self.address = (self.postfix.ip, self.postfix.port)
        return self

    def __exit__(self, *_):
        self.postfix.stop()

    def pids(self):
        return peers.children(self.postfix.pid)


def submit_once(system, sink, tool, cpu_of, connections, size, messages):
    taker = PostfixSink(*sink, messages)
    try:
        cpu, began = cpu_of(system.pids()), time.monotonic()
        done = subprocess.run([tool, *map(str, system.address), system.mode, str(connections), "600", str(size), "20",
                               str(messages)], capture_output=True, text=True)
        if done.returncode != 0:
            return {"error": done.stderr.strip()[:200]}
        accepted = time.monotonic() - began
        if not taker.wait(300):
            return {"error": "not all arrived"}
        spent = time.monotonic() - began
        _, _, p50, p99, refused = map(float, done.stdout.split())
        return {"rate": messages / spent, "accepted": messages / accepted, "p50_ms": p50, "p99_ms": p99,
                "refused": refused, "cpu_ms": (cpu_of(system.pids()) - cpu) * 1000 / messages}
    finally:
        taker.stop()


def bench_submit(tool, cpu_of, with_peers, quick, rounds):
    cells = [(size, label, c, n) for size, label, n in ((10 << 10, "10 KB", 3000), (100 << 10, "100 KB", 1500))
             for c in (1, 10, 50)]
    if quick:
        cells = [(10 << 10, "10 KB", 10, 1000)]
    ip = harness.own_ip()
    sink = (ip, smtp_sink.free_port(ip))
    results = {}
    with contextlib.ExitStack() as stack:
        systems = [stack.enter_context(kind(sink)) for kind in ((Mailkeep, Postfix) if with_peers else (Mailkeep,))]
        for system in systems:
            submit_once(system, sink, tool, cpu_of, 10, 1024, 200)  # warm
        for size, label, connections, messages in cells:
            taken = {system.name: [] for system in systems}
            for _ in range(rounds):
                for system in systems:
                    taken[system.name].append(submit_once(
                        system, sink, tool, cpu_of, connections, size,
                        messages if connections > 1 else messages // 3))
            results[f"{label}, {connections} conn"] = {
                name: sorted(runs, key=lambda run: run.get("rate", 0))[len(runs) // 2] for name, runs in taken.items()}
    print("\nSubmitted and relayed, messages a second until the sink has them (accepted a second; server CPU ms; p50/p99 ms)")
    for key, row in results.items():
        ours, theirs = row.get("mailkeep", {}), row.get("postfix", {})
        ratio = f"{ours['rate'] / theirs['rate']:.2f}x" if "rate" in ours and "rate" in theirs else "-"
        print(f"{key:20}" + "".join(f"{_cell(cell):>46}" for cell in row.values()) + f"{ratio:>8}")
    return results


def _cell(cell):
    if "error" in cell:
        return cell["error"][:44]
    return f"{cell['rate']:.0f} ({cell['accepted']:.0f}; {cell['cpu_ms']:.2f}; {cell['p50_ms']:.1f}/{cell['p99_ms']:.1f})"


class Silence:
    """A port at which no connection is ever answered: its backlog is full."""

    def __enter__(self):
        self.listener = socket.socket()
        self.listener.bind(("0.0.0.0", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", self.port))
            self.fillers.append(filler)
        return self

    def __exit__(self, *_):
        for one in [self.listener, *self.fillers]:
            one.close()


def fill(server, domains, per_domain):
    """10 recipients a message; each domain is an address literal of its own."""
    import smtplib
    jobs = list(range(domains * per_domain // 10))
    lock = threading.Lock()

    def work(user):
        n, client = 0, None
        while True:
            with lock:
                if not jobs:
                    break
                job = jobs.pop()
            if n % 500 == 0:  # a session takes so many
                client = smtplib.SMTP(*server.submission, timeout=60)
                client.login(f"user{user}@localhost", harness.PASSWORD)
            n += 1
            rcpts = [f"r{job}@[127.{100 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}]"
                     for n in ((job * 10 + i) % domains for i in range(10))]
            client.sendmail(f"user{user}@localhost", rcpts,
                            f"From: user{user}@localhost\r\nSubject: {job}\r\n\r\n{'x' * 60}\r\n".encode())

    threads = [threading.Thread(target=work, args=(n + 1,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def memory_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0


def fresh_delays(server, sink, n=20):
    import smtplib
    delays = []
    client = smtplib.SMTP(*server.submission, timeout=60)
    client.login("user1@localhost", harness.PASSWORD)
    for i in range(n):
        before = len(sink.messages)
        client.sendmail("user1@localhost", ["you@near.test"], b"From: user1@localhost\r\nSubject: fresh\r\n\r\nx\r\n")
        began = time.monotonic()
        harness.wait_for(lambda: len(sink.messages) > before, 60, every=0.002)
        delays.append((time.monotonic() - began) * 1000)
        time.sleep(0.2)
    client.quit()
    return delays


def bench_full(own_cpu, cpu_since, quick):
    domains, per_domain = (1000, 10) if quick else (10000, 10)
    sink = smtp_sink.Sink(harness.own_ip(), extensions=["PIPELINING"]).start()
    server = harness.Server(accounts=8)
    cell = {}
    with Silence() as silence, contextlib.ExitStack() as stack:
        stack.callback(sink.stop)
        stack.callback(server.remove)
        stack.callback(server.stop)
        server.start()
        server.stop()
        test_queue.configure(server, {"near": (sink.ip, sink.port)},
                             queue=SETTINGS + f"  silent: {{kind: direct, port: {silence.port}}}\n",
                             extra="  rest: {transport: silent}\n")
        server.start()
        queue, = server.rooms("queue")
        cell["queue room empty, MB"] = empty = memory_of(queue)
        cell["fresh behind nothing, p50 ms"] = statistics.median(fresh_delays(server, sink))
        began = time.monotonic()
        fill(server, domains, per_domain)
        cell["seconds to fill"] = time.monotonic() - began
        time.sleep(5)
        cell["queue room, MB"] = full = memory_of(queue)
        cell["bytes an entry"] = (full - empty) * (1 << 20) / (domains * per_domain)
        cpu, began = own_cpu(server.pids()), time.monotonic()
        time.sleep(10 if quick else 60)
        minutes = (time.monotonic() - began) / 60
        cell["CPU s a minute, house"] = cpu_since(cpu, server.pids()) / minutes
        cell["CPU s a minute, queue"] = cpu_since(cpu, [queue]) / minutes
        delays = fresh_delays(server, sink)
        cell["fresh behind all, p50 ms"], cell["fresh behind all, max ms"] = statistics.median(delays), max(delays)
        server.stop()
        began = time.monotonic()
        server.start()
        cell["seconds to start with it"] = time.monotonic() - began
        time.sleep(3)
        delays = fresh_delays(server, sink)
        cell["fresh after a start, p50 ms"], cell["fresh after a start, max ms"] = statistics.median(delays), max(delays)
    print(f"\nA queue of {domains * per_domain} messages for {domains} hosts that never answer")
    for label, value in cell.items():
        print(f"{label:34}{value:12.2f}")
    return cell
