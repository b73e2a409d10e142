"""The same requests to the same application under salver, wsgiref and gunicorn: only what `differences` names may differ."""

from __future__ import annotations

from tests.python.differences import NONE, RULES, Request, requests, seen
from tests.python.hosting import Host, OwnHosts, on_every_python

ORACLES = ("wsgiref", "gunicorn")


class Differential(OwnHosts):
    """Each oracle by itself."""

    def test_only_the_named_differences_show(self) -> None:
        ours = self.serve("conformance:app")
        used: set[str] = set()
        wrong: list[str] = []
        count = 0
        for oracle in ORACLES:
            theirs = self.serve("conformance:app", server=oracle)
            for request in requests():
                count += 1
                wrong += self.unexplained(oracle, theirs, ours, request, used)
        print(f"{count} requests, {len(wrong)} differences outside the table", flush=True)
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        unused = {rule.reason for rule in RULES} - used
        self.assertEqual(unused, set(), "rules that no request needed: remove them")

    def unexplained(
        self, oracle: str, theirs: Host, ours: Host, request: Request, used: set[str]
    ) -> list[str]:
        """The differences that no rule allows."""
        before, after = seen(theirs, request), seen(ours, request)
        lines = []
        for field in sorted({*before, *after}):
            was, became = before.get(field, NONE), after.get(field, NONE)
            if was == became:
                continue
            rule = next((rule for rule in RULES if rule.covers(oracle, field, request, was, became)), None)
            if rule is None:
                lines.append(f"{oracle}: {request}: {field}: {was!r} became {became!r}")
            else:
                used.add(rule.reason)
        return lines


load_tests = on_every_python((), (Differential,))
