"""Bottle: routes, forms, uploads, static files, errors."""

# mypy: ignore-errors

import os

import bottle

app = application = bottle.Bottle()


@app.get("/hello/<name>")
def hello(name):
    """A route with a parameter that is not ASCII."""
    bottle.response.set_cookie("seen", name.encode("unicode_escape").decode(), path="/")
    return f"Hello, {name}!"


@app.post("/form")
def form():
    """Fields and a file."""
    upload = bottle.request.files.get("file")
    return {
        "fields": dict(bottle.request.forms.decode()),
        "file": [upload.raw_filename, len(upload.file.read())] if upload else None,
    }


@app.get("/static/<path:path>")
def static(path):
    """A file, by wsgi.file_wrapper."""
    return bottle.static_file(path, root=os.environ["FOLDER"])


@app.get("/stream")
def stream():
    """A generator."""
    for number in range(1000):
        yield f"{number}\n"


@app.get("/abort")
def fault():
    """An error page."""
    bottle.abort(418, "short and stout")
