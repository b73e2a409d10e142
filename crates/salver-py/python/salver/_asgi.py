"""asyncio's side of ASGI: the loop whose selector is the server's turn, the task of a request, lifespans.

The loop is asyncio's own `SelectorEventLoop`. What is ours is its selector: while asyncio has nothing to do,
`select()` drives the server, and returns when requests have come, a descriptor of asyncio's is ready, or a
timer is due. So a request takes no way between threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import selectors
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Optional, Protocol

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
EventList = list[tuple[selectors.SelectorKey, int]]

#: What `Hub.turn` says.
DESCRIPTORS, EVENTS, OVER = 1, 2, 4
#: How long tasks that were cancelled are waited for, in seconds.
CANCELLED = 2.0


class Fault(Exception):
    """An application cannot start; the text is for the person who started the server."""


class Answer(Protocol):
    """The `send` of one request."""

    def __call__(self, message: Message, /) -> Awaitable[None]:
        """Take a message of the application's."""

    def end(self, error: Optional[BaseException], /) -> None:
        """The application has returned, or raised."""


class Hub(Protocol):
    """The server, as asyncio sees it."""

    def turn(self, descriptor: int, timeout: Optional[float], /) -> Optional[int]:
        """Drive the server until there is something to do for asyncio; `None` when no server runs."""

    def take(self) -> list[tuple[Application, Message, Receive, Answer]]:
        """Wake who waits for what has come; the requests that have come."""

    def bridge(self) -> int:
        """A descriptor that is readable when there is something to take: from now on."""

    def is_over(self) -> bool:
        """Whether the server has stopped."""


class TurnSelector(selectors.EpollSelector):
    """Waits for descriptors as its base does, and drives the server meanwhile."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub
        self._events: EventList = []
        self._stop: Callable[[], None] = lambda: None
        #: Whether the loop serves, and is to stop when the server has.
        self.serves = False

    def serve(self, dispatch: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Have `dispatch` called when requests have come."""
        handle = asyncio.Handle(dispatch, (), loop)
        self._events = [
            (selectors.SelectorKey(-1, -1, selectors.EVENT_READ, (handle, None)), selectors.EVENT_READ)
        ]
        self._stop = loop.stop

    def select(self, timeout: Optional[float] = None) -> EventList:
        """What is ready: descriptors, and requests."""
        ready = self._hub.turn(self.fileno(), timeout)
        if ready is None:
            if not (self.serves and self._hub.is_over()):
                return super().select(timeout)
            # It stopped while a coroutine held the loop up: another thread has driven it to its end.
            ready = DESCRIPTORS | EVENTS | OVER
        if ready & OVER:
            self.serves = False
            self._stop()
        events = super().select(0) if ready & DESCRIPTORS else []
        return events + self._events if ready & EVENTS else events


class Runner:
    """The loop, and the applications that live in it."""

    def __init__(self, hub: Hub, kind: str) -> None:
        self._hub = hub
        self._lifespans: list[Lifespan] = []
        self._running: set[asyncio.Task[None]] = set()
        self._selector: Optional[TurnSelector] = None
        self.loop = self._open_loop(kind)
        self._make_task: Callable[..., asyncio.Task[None]] = self.loop.create_task
        if sys.version_info >= (3, 12):
            self._make_task = partial(asyncio.Task, loop=self.loop, eager_start=True)
        asyncio.set_event_loop(self.loop)

    def _open_loop(self, kind: str) -> asyncio.AbstractEventLoop:
        if kind != "uvloop":
            self._selector = selector = TurnSelector(self._hub)
            loop = asyncio.SelectorEventLoop(selector)
            selector.serve(self._dispatch, loop)
            return loop
        try:
            uvloop: Any = importlib.import_module("uvloop")
        except ImportError:
            raise Fault("--loop uvloop: no package uvloop here; install it, or leave --loop out") from None
        bridged: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        bridged.add_reader(self._hub.bridge(), self._dispatch)
        return bridged

    def _dispatch(self) -> None:
        """Start the tasks of requests that have come, and wake those that wait for what has come."""
        taken = self._hub.take()
        running = self._running
        make_task = self._make_task if self.loop.get_task_factory() is None else self.loop.create_task
        for app, scope, receive, send in taken:
            task = make_task(serve(app, scope, receive, send, running))
            if not task.done():
                running.add(task)
        if not taken and self._hub.is_over():
            self.loop.stop()

    def add(self, name: str, app: Application, mode: str) -> Message:
        """Take an application in; the state that its requests begin with."""
        lifespan = Lifespan(name, app, mode)
        if mode != "off":
            self._lifespans.append(lifespan)
        return lifespan.state

    def startup(self) -> None:
        """Start the applications up, in order."""
        for lifespan in self._lifespans:
            self.loop.run_until_complete(lifespan.startup())

    def run(self) -> None:
        """Serve until the server has stopped."""
        while not self._hub.is_over():
            if self._selector is not None:
                self._selector.serves = True
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt, TimeoutError) as error:
                # An application's own, or the one that --timeout raised in a callback that held up the loop.
                traceback.print_exception(type(error), error, error.__traceback__)
        if self._selector is not None:
            self._selector.serves = False

    def shutdown(self, grace: float) -> None:
        """End what still runs after `grace` seconds, shut the applications down, and close the loop."""
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            self.loop.run_until_complete(self._shutdown(grace))
        asyncio.set_event_loop(None)
        self.loop.close()

    async def _shutdown(self, grace: float) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        await cancel(self._running)
        for lifespan in reversed(self._lifespans):
            await lifespan.shutdown(max(grace, CANCELLED))
        await cancel(asyncio.all_tasks() - {asyncio.current_task()})
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.loop.shutdown_asyncgens(), CANCELLED)


async def serve(
    app: Application, scope: Message, receive: Receive, send: Answer, running: set[asyncio.Task[None]]
) -> None:
    """The task of one request."""
    try:
        await app(scope, receive, send)
    except BaseException as error:
        send.end(error)
    else:
        send.end(None)
    if running:
        task = asyncio.current_task()
        assert task is not None
        running.discard(task)


async def cancel(tasks: Iterable[Any]) -> None:
    """Cancel tasks and wait a moment for them; what they raise has been told, or is nobody's any more."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=CANCELLED)


class Lifespan:
    """The lifespan of one application (ASGI, "Lifespan Protocol")."""

    def __init__(self, name: str, app: Application, mode: str) -> None:
        self._name = name
        self._app = app
        self._is_wanted = mode == "on"
        self.state: Message = {}
        self._task: Optional[asyncio.Task[None]] = None
        self._error: Optional[BaseException] = None
        self._has_started = False

    async def startup(self) -> None:
        """Tell the application to start, and wait until it has."""
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())
        said = await self._ask("lifespan.startup")
        if said is not None and said["type"] == "lifespan.startup.failed":
            self._print(said.get("message", ""))
            raise Fault(f"{self._name}: its startup failed{self._last_words(said)}; mend what it says")
        if said is None:
            self._task = None
            if self._error is not None and self._asked.empty() and not self._is_wanted:
                # It took the message: it is no application that knows nothing of lifespans.
                self._print("")
                self._warn("its startup raised, and it is served all the same; --lifespan on would end it")
            if self._is_wanted:
                self._print("")
                what = type(self._error).__name__ if self._error is not None else "it returned"
                raise Fault(
                    f"{self._name}: no startup (--lifespan on): {what}; mend it, or say --lifespan auto"
                )
        self._has_started = said is not None
        self._tell_early_end()

    async def shutdown(self, grace: float) -> None:
        """Tell the application to shut down, and wait until it has."""
        if self._task is None or self._task.done():
            return
        self._has_started = False
        try:
            said = await asyncio.wait_for(self._ask("lifespan.shutdown"), grace)
        except asyncio.TimeoutError:
            self._warn("its shutdown took too long")
            return
        if said is None and self._error is not None:
            self._print("")
        if said is not None and said["type"] == "lifespan.shutdown.failed":
            self._warn(f"its shutdown failed{self._last_words(said)}")

    async def _ask(self, what: str) -> Optional[Message]:
        """What the application says to a message; `None` if it ended without a word."""
        assert self._task is not None
        self._said: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait({"type": what})
        either: list[asyncio.Future[Any]] = [self._said, self._task]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._said.result() if self._said.done() else None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._asked.get, self._send)
        except BaseException as error:
            self._error = error
            self._tell_early_end()

    def _tell_early_end(self) -> None:
        """Tell that it raised while it was to wait for the shutdown: what it holds then may have gone."""
        if self._has_started and self._error is not None:
            self._print("")
            self._warn("its lifespan raised behind its startup; it will not be told of the shutdown")

    def _warn(self, what: str) -> None:
        print(f"salver: warning: {self._name}: {what}", file=sys.stderr)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if not kind.startswith(("lifespan.startup.", "lifespan.shutdown.")):
            raise RuntimeError(f"{kind!r} is no message of a lifespan")
        if not self._said.done():
            self._said.set_result(message)

    def _last_words(self, said: Message) -> str:
        lines = str(said.get("message", "")).strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _print(self, message: str) -> None:
        """What the application's own code raised, or said, as it would be seen without us."""
        if message:
            print(message.rstrip(), file=sys.stderr)
        elif self._error is not None:
            traceback.print_exception(type(self._error), self._error, self._error.__traceback__)
