"""Channels: a room whose members hear each other by way of a channel layer."""
# mypy: ignore-errors

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="k",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)

PAGE = """<!doctype html><title>Room</title><ul id="log"></ul><form><input id="text"></form><script>
var socket = new WebSocket(`ws://${location.host}/ws/room`);
socket.onmessage = (event) => {
  document.querySelector("#log").append(Object.assign(document.createElement("li"), { textContent: event.data }));
};
document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  socket.send(document.querySelector("#text").value);
};
</script>"""


class Room(AsyncWebsocketConsumer):
    """A member."""

    async def connect(self) -> None:
        """Join."""
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave."""
        await self.channel_layer.group_discard("room", self.channel_name)

    async def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        """Say something to everybody."""
        await self.channel_layer.group_send("room", {"type": "say", "text": text_data})

    async def say(self, event: dict[str, str]) -> None:
        """Hear something."""
        await self.send(text_data=event["text"])


async def page(_: HttpRequest) -> HttpResponse:
    """The page of the room."""
    return HttpResponse(PAGE)


urlpatterns = [path("", page)]
app = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("ws/room", Room.as_asgi())])}
)
