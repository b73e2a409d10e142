"""Parsing and statistics: `python -m unittest bench.test_bench`."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import threading
import unittest
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

from bench import client, loads, plot, process, report, run, sockets, stats, tools
from bench.cases import CASES, How, Target
from bench.hosts import CONTESTANTS
from bench.outcome import Outcome
from bench.report import Row, Run
from bench.stats import Sample

WRK = """Running 4s test @ http://127.0.0.1:8000/hello.txt
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   812.42us    1.10ms  24.96ms   98.44%
    Req/Sec    85.61k     4.70k   94.22k    82.50%
  Latency Distribution
     50%  701.00us
     75%  802.00us
     90%    0.99ms
     99%    4.25ms
  341220 requests in 4.01s, 94.37MB read
Requests/sec:  85092.11
Transfer/sec:     23.53MB
"""
H2LOAD = """starting benchmark...
Application protocol: http/1.1
finished in 812.50ms, 49.23 req/s, 4.81GB/s
requests: 40 total, 40 started, 40 done, 40 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 40 2xx, 0 3xx, 0 4xx, 0 5xx
"""


class Loads(unittest.TestCase):
    """What wrk and h2load print."""

    def test_wrk(self) -> None:
        outcome = loads.parse_wrk(WRK)
        self.assertEqual((outcome.requests, outcome.seconds, outcome.socket_errors), (341220, 4.01, 0))
        self.assertAlmostEqual(outcome.p99_ms, 4.25)

    def test_wrk_counts_socket_errors(self) -> None:
        text = WRK.replace(
            "Requests/sec", "  Socket errors: connect 1, read 20, write 300, timeout 4000\nRequests/sec"
        )
        self.assertEqual(loads.parse_wrk(text).socket_errors, 4321)

    def test_wrk_spoiled(self) -> None:
        for text, why in (
            (WRK + "  Non-2xx or 3xx responses: 12\n", "12 answers were errors"),
            (WRK.replace("341220 requests", "0 requests"), "counted no answers"),
            ("unable to connect to 127.0.0.1:8000 Connection refused", "Connection refused"),
            ("", "it printed nothing"),
        ):
            with self.subTest(why), self.assertRaisesRegex(client.Failed, why):
                loads.parse_wrk(text)

    def test_h2load(self) -> None:
        log = "".join(f"1700000000000000\t200\t{1000 * number}\n" for number in range(1, 41))
        self.assertEqual(loads.parse_h2load(H2LOAD, log), Outcome(40, 0.8125, 40.0, 0))

    def test_h2load_spoiled(self) -> None:
        with self.assertRaisesRegex(client.Failed, "3 of 43 requests failed"):
            loads.parse_h2load(H2LOAD.replace("0 failed, 0 errored", "1 failed, 2 errored"), "")

    def test_commands(self) -> None:
        load = loads.Load("/x", connections=2)
        self.assertEqual(
            loads.wrk_command("wrk", load, "http://h/x", {"If-None-Match": '"e"'}, 4),
            [
                "wrk",
                "-t1",
                "-c2",
                "-d4s",
                "--timeout",
                "10s",
                "--latency",
                "-H",
                'If-None-Match: "e"',
                "http://h/x",
            ],
        )
        self.assertIn("-c1", loads.h2load_command("h2load", load, "http://h/x", 1, Path("log")))


class Process(unittest.TestCase):
    """What /proc says."""

    def test_stat_of_a_hostile_name(self) -> None:
        text = "42 (a) S 1 (b) R 7 42 41 0 -1 4194304 9 9 9 9 10 20 3 4 20 0 1 0 5 6 7"
        self.assertEqual(process.parse_stat(text), process.Stat(parent=7, session=41, ticks=37))

    def test_pss(self) -> None:
        text = "00400000-7fff r--p 00 00:00 0 [rollup]\nRss: 9 kB\nPss:      12 kB\nPss_Anon:      3 kB\n"
        self.assertEqual(process.parse_pss(text), 12 * 1024)
        self.assertEqual(process.parse_pss(""), 0)

    def test_busy_leaves_idle_and_iowait_out(self) -> None:
        busy = process.parse_busy("cpu  100 10 200 99999 88888 5 15 70 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
        self.assertAlmostEqual(busy * process.TICKS_PER_SECOND, 400)

    def test_tree_holds_children_and_counts_the_reaped(self) -> None:
        burn = "sum(range(20_000_000))"
        run_it = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{burn}'])"
        code = f"{run_it}; print('x', flush=True); input()"
        command = [sys.executable, "-c", code]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdout.readline()
            tree = process.Tree(child.pid)
            self.assertEqual(tree.pids(), [child.pid])
            self.assertGreater(tree.cpu_seconds(), 0.05)
            self.assertGreater(tree.pss_bytes(), 100_000)
            self.assertGreaterEqual(tree.open_files(), 3)
            self.assertIn(child.pid, process.Tree(os.getpid()).pids())
            child.communicate(b"\n")


class Statistics(unittest.TestCase):
    """Medians, ratios, percentiles."""

    def test_ratio_is_made_round_by_round(self) -> None:
        ours: list[Sample] = [{"cpu": 1.0}, {"cpu": 10.0}, None, {"cpu": 4.0}]
        theirs: list[Sample] = [{"cpu": 2.0}, {"cpu": 20.0}, {"cpu": 1.0}, {"cpu": 4.0}]
        self.assertEqual(stats.by_round(ours, theirs, "cpu", stats.ratio), stats.Figure(0.5, 0.5, 1.0))
        self.assertEqual(
            stats.by_round(ours, theirs, "cpu", stats.difference), stats.Figure(-1.0, -10.0, 0.0)
        )

    def test_nothing_to_compare(self) -> None:
        self.assertIsNone(stats.by_round([], [{"cpu": 1.0}], "cpu", stats.ratio))
        self.assertIsNone(stats.figure_of([None, {"other": 1.0}], "cpu"))
        self.assertEqual(stats.ratio(1.0, 0.0), math.inf)

    def test_percentile(self) -> None:
        hundred = [float(number) for number in range(100, 0, -1)]
        for share, value in ((0.99, 99.0), (0.5, 50.0), (1.0, 100.0), (0.0, 1.0)):
            self.assertEqual(stats.percentile(hundred, share), value)
        self.assertEqual(stats.percentile([7.0], 0.99), 7.0)

    def test_cpu_list(self) -> None:
        self.assertEqual(tools.parse_cpu_list("0,4-6\n"), {0, 4, 5, 6})


class Client(unittest.TestCase):
    """The answer that the floor repeats must be whole, however it arrives."""

    def test_exchange_reads_one_answer(self) -> None:
        for answer in (
            b"HTTP/1.1 200 OK\r\nContent-LENGTH: 2\r\n\r\nab",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        ):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                sender = threading.Thread(
                    target=lambda to, text: [to.sendall(bytes([byte])) for byte in text],
                    args=(theirs, answer),
                )
                sender.start()
                self.assertEqual(client.exchange(ours, client.request_bytes(80, "/", {"A": "b"})), answer)
                sender.join()
                self.assertEqual(theirs.recv(999), b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA: b\r\n\r\n")

    def test_exchange_says_that_a_connection_was_not_kept(self) -> None:
        ours, theirs = socket.socketpair()
        with ours:
            theirs.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nab")
            theirs.shutdown(socket.SHUT_WR)
            with theirs, self.assertRaisesRegex(client.Failed, "closed a connection"):
                client.exchange(ours, b"GET / HTTP/1.1\r\n\r\n")


class Tables(unittest.TestCase):
    """The lists of rows and servers, and what is written of a run."""

    def example(self) -> Run:
        small = next(case for case in CASES if case.name == "small")
        samples: dict[str, list[Sample]] = {
            "salver": [
                {"cpu_us": 5.0, "rps": 1e5, "others_percent": 50.0},
                {"cpu_us": 6.0, "rps": 2e5, "others_percent": 50.0},
            ],
            "nginx": [{"cpu_us": 10.0, "socket_errors": 2.0}, None],
            "http.server": [{"cpu_us": 900.0}],
            "floor": [],
        }
        rows = [Row(small, samples, {"floor": "no compiler", "nginx": "small: nginx failed: <why>"})]
        return Run("example", {"date": "today", "cpu": "A & B"}, {"salver": "salver 0"}, rows)

    def test_names(self) -> None:
        servers = {server.name for server in CONTESTANTS}
        self.assertEqual(len(servers), len(CONTESTANTS))
        self.assertEqual(len({case.name for case in CASES}), len(CASES))
        for case in CASES:
            columns = {column.key for column in case.work.columns} | {""}
            named = {target.of for target in case.targets} | {
                target.to for target in case.targets if target.to
            }
            self.assertLessEqual(set(case.servers), servers, case.name)
            self.assertLessEqual(named, set(case.servers), case.name)
            self.assertLessEqual({target.key for target in case.targets}, columns, case.name)

    def test_programs_are_known(self) -> None:
        programs = {server.program for server in CONTESTANTS if not server.program.startswith("py:")}
        self.assertLessEqual(programs, {*tools.PROGRAMS, "salver", "floor"})

    def test_verdicts(self) -> None:
        row = self.example().rows[0]
        met, missed = Target(0.5, to="nginx"), Target(0.49, to="nginx")
        for target, judged in (
            (met, "met"),
            (missed, "MISSED"),
            (Target(1.2, to="floor"), "absent"),
            (Target(None, to="nginx"), ""),
        ):
            self.assertEqual(report.verdict(report.compare(row, target), target), judged)
        self.assertEqual(
            report.compare(row, Target(9, How.ITSELF, key="rps")), stats.Figure(150000.0, 1e5, 2e5)
        )

    def test_reports(self) -> None:
        text, markdown = report.as_text(self.example()), report.as_markdown(self.example())
        for said in (
            "0.500 (0.500 to 0.500)",
            "5.50 (5.00 to 6.00)",
            "150,000",
            "NOISY",
            "nginx had 2 socket errors",
            "no compiler",
        ):
            self.assertIn(said, text)
            self.assertIn(said, markdown)
        self.assertNotIn("lighttpd", text)
        self.assertIn("example.svg", markdown)

    def test_plot(self) -> None:
        drawn = ElementTree.fromstring(plot.draw(self.example()))
        texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
        for said in (
            "13-byte file, 64 connections",
            "CPU µs/request",
            "900.00",
            "5.50",
            "salver",
            "http.server",
        ):
            self.assertIn(said, texts)
        self.assertNotIn("floor", texts)
        cuts = [line for line in drawn.iter("{http://www.w3.org/2000/svg}line") if line.get("class") == "cut"]
        self.assertEqual(len(cuts), 2, "only http.server's bar is cut")

    def test_axes(self) -> None:
        self.assertEqual(plot.limit([5.0, 10.0, 900.0]), 10.0)
        self.assertEqual(plot.ticks(10.0), [0.0, 2.5, 5.0, 7.5, 10.0])
        for end in (0.013, 0.9, 7.3, 839.0, 36_000.0):
            self.assertTrue(3 <= len(plot.ticks(end)) <= 7 and plot.ticks(end)[-1] <= end * 1.001, end)


class Sockets(unittest.TestCase):
    """The load of WebSockets."""

    def test_echoes_are_counted(self) -> None:
        outcome = self.talk(lambda payload: bytes([0x82, len(payload)]) + payload)
        self.assertGreater(outcome.requests, 10)
        self.assertGreater(outcome.p99_ms, 0)

    def test_what_is_no_echo_is_noticed(self) -> None:
        with self.assertRaises(client.Failed):
            self.talk(lambda payload: bytes([0x82, len(payload)]) + payload[::-1])

    def talk(self, answer: Callable[[bytes], bytes]) -> Outcome:
        """The load on a server that answers a message with that."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=self.serve, args=(listener, answer), daemon=True).start()
            return sockets.talk(listener.getsockname()[1], "/", 1, 100, 0.2)

    def serve(self, listener: socket.socket, answer: Callable[[bytes], bytes]) -> None:
        """One connection, and messages of 100 bytes."""
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as file:
            while file.readline() != b"\r\n":
                pass
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            while len(sent := file.read(106)) == 106:
                mask, masked = sent[2:6], sent[6:]
                connection.sendall(answer(bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))))


class Options(unittest.TestCase):
    """The command line."""

    def test_what_is_unknown_is_refused(self) -> None:
        for arguments in (["--only", "smal"], ["--peers", "apache9"], ["--rounds", "0"], ["--seconds", "x"]):
            done = subprocess.run(
                [sys.executable, "-m", "bench", *arguments],
                cwd=run.REPOSITORY,
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("error:", done.stderr)


if __name__ == "__main__":
    unittest.main()
