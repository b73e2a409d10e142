"""The clock is set a day forward and back: no timer fires."""

from __future__ import annotations

from tests.clock import moved_clock
from tests.support import Case, Wire, until

DAY = 86_400


class Clock(Case):
    """libfaketime moves the wall clock of the server alone; monotonic time goes on."""

    def test_clock_set_by_a_day(self) -> None:
        self.folder.write("file.txt", "x")
        setting = self.folder.write("clock", "+0d\n")
        server = self.serve(environment=moved_clock(setting))
        wires = [server.connect() for _ in range(3)]
        idle, half_head, half_body = wires
        for wire in wires:
            self.addCleanup(wire.close)
        first = self.date(idle)
        half_head.send(b"GET /file.txt HTTP/1.1\r\nHost: x\r\n")
        half_body.send(b"POST /file.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        seen = {first}
        for days in ("+1d", "-1d"):
            setting.write_text(f"{days}\n")
            until("the server sees the new date", lambda: self.date(idle) not in seen)
            seen.add(self.date(idle))
        half_head.send(b"\r\n")
        self.assertEqual(half_head.answer().body, b"x")
        half_body.send(b"cde")
        self.assertEqual(half_body.answer().status, 405)
        half_body.send(b"GET /file.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(half_body.answer().body, b"x")

    def date(self, wire: Wire) -> str:
        """The day in the Date header, on a kept connection."""
        answer = wire.ask("GET", "/file.txt")
        self.assertEqual(answer.status, 200)
        return (answer.header("Date") or "")[:16]
