"""Falcon: resources, media, streams, errors."""

# mypy: ignore-errors

import falcon


class Things:
    """Kept in memory."""

    def __init__(self):
        self.things = {}

    def on_get(self, request, response, name):
        """One of them."""
        if name not in self.things:
            raise falcon.HTTPNotFound(title="No such thing", description=name)
        response.media = self.things[name]
        response.etag = name

    def on_put(self, request, response, name):
        """Takes JSON."""
        self.things[name] = request.get_media()
        response.status = falcon.HTTP_201
        response.location = f"/things/{name}"

    def on_delete(self, request, response, name):
        """Gone."""
        self.things.pop(name, None)
        response.status = falcon.HTTP_204


class Stream:
    """A body from a stream, and one to it."""

    def on_get(self, request, response):
        """Pieces with a length."""
        response.set_stream((b"x" * 1000 for _ in range(100)), 100_000)

    def on_post(self, request, response):
        """What was sent, backwards."""
        response.data = request.bounded_stream.read()[::-1]


app = falcon.App()
app.add_route("/things/{name}", Things())
app.add_route("/stream", Stream())
