"""Flask: an upload that is hashed as it comes, a download that streams, sessions, errors, a file."""

# mypy: ignore-errors
# Flask is there where it is hosted, not where this is linted.

import hashlib
import io
import threading

from flask import Flask, Response, abort, redirect, request, send_file, session, stream_with_context, url_for

app = Flask(__name__)
app.secret_key = "of a test"
gate = threading.Semaphore(0)


@app.post("/upload")
def upload():
    """The names, sizes and hashes of the files of a form."""
    return {
        name: [file.filename, hashlib.sha256(file.stream.read()).hexdigest()]
        for name, file in request.files.items()
    } | {name: value for name, value in request.form.items()}


@app.put("/stream")
def take():
    """The hash of a body that is read in pieces."""
    digest = hashlib.sha256()
    while piece := request.stream.read(65536):
        digest.update(piece)
    return digest.hexdigest()


@app.get("/stream")
def give():
    """Server-sent events, the next once `/next` is asked."""

    def events():
        for number in range(3):
            yield f"data: {number} {request.args['name']}\n\n"
            gate.acquire(timeout=15)

    return Response(stream_with_context(events()), mimetype="text/event-stream")


@app.get("/next")
def go_on():
    """Lets the stream go on."""
    gate.release()
    return "", 204


@app.get("/count")
def count():
    """A counter in a signed cookie."""
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.get("/file")
def file():
    """A file with ranges and validators."""
    return send_file(io.BytesIO(bytes(range(256))), download_name="bytes.bin", etag="fixed", conditional=True)


@app.get("/old")
def old():
    """Elsewhere."""
    return redirect(url_for("count", _external=True))


@app.get("/missing")
def missing():
    """A page of an error."""
    abort(404, "not here")


@app.get("/fails")
def fails():
    """An exception that Flask turns into a page."""
    raise RuntimeError("boom of the view")
