"""A room to talk in, over WebSockets: `salver examples/tour/chat.py:app`. Any other server of ASGI takes it as well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Chat</title>
<h1>Chat</h1><ul id="said" aria-live="polite"></ul>
<form id="form"><label>Your words <input id="words" maxlength="200" autocomplete="off" required></label> <button>Say</button></form>
<script>
const socket = new WebSocket(location.href.replace(/^http/, "ws"));
socket.onmessage = (event) => {
  const item = document.createElement("li");
  item.textContent = event.data;
  document.getElementById("said").append(item);
};
document.getElementById("form").onsubmit = (event) => {
  event.preventDefault();
  socket.send(document.getElementById("words").value);
  event.target.reset();
};
</script>
"""

present: set[Send] = set()


async def page(send: Send) -> None:
    """The page that opens a WebSocket at its own address."""
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(PAGE))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


async def tell(words: str) -> None:
    """Send `words` to everybody; who has just left does not hear them."""
    message = {"type": "websocket.send", "text": words}
    await asyncio.gather(*(send(message) for send in present), return_exceptions=True)


async def talk(receive: Receive, send: Send) -> None:
    """One who is in the room."""
    await receive()
    await send({"type": "websocket.accept"})
    present.add(send)
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            await tell((message.get("text") or "")[:200])
    finally:
        present.discard(send)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """The application."""
    if scope["type"] == "websocket":
        await talk(receive, send)
    elif scope["type"] == "http":
        await page(send)
    else:
        raise RuntimeError(f"{scope['type']}: nothing to do")
