"""Finding an application by its name: `pkg.mod:attr`, `path/to/app.py:attr`, `pkg.mod`, `mod:make()`.

Every fault is a `LoadError` whose text is one line with the mend. What the application's own code raised
while it was imported has then been printed, with its traceback and without the frames that are ours.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

from salver._handler import forks

#: What the code of the last application that could not be imported printed.
last_traceback: Optional[str] = None

#: What `preload` loaded, by spec and kind; a spec that is mounted twice is loaded twice.
_preloaded: dict[tuple[str, Optional[str]], list[tuple[str, Any]]] = {}

#: What an application is called where no name is given.
NAMES = ("app", "application")


class LoadError(Exception):
    """An application cannot be loaded; the text is for the person who started the server."""


def surround(app_dir: str, env_file: Optional[str], variables: Iterable[tuple[str, str]]) -> None:
    """Prepare what applications find: their folder first on the path, and their variables."""
    if not Path(app_dir).is_dir():
        raise LoadError(f"--app-dir {app_dir}: no such folder; name one that is there")
    folder = str(Path(app_dir).absolute())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if env_file is not None:
        for name, value in read_env_file(env_file):
            os.environ.setdefault(name, value)
    for name, value in variables:
        os.environ[name] = value


def read_env_file(path: str) -> Iterable[tuple[str, str]]:
    """The NAME=VALUE lines of a file, with `export `, comments and quotes as a shell has them."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise LoadError(f"--env-file {path}: {reason}; name a file of NAME=VALUE lines") from None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.removeprefix("export ").partition("=")
        if not equals or not name.strip():
            raise LoadError(
                f"--env-file {path}, line {number}: no NAME=VALUE; write one, or # before a comment"
            )
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        yield name.strip(), value


def preload(spec: str, said: Optional[str], factory: bool = False) -> None:
    """Load what `load` is to give in copies of this process."""
    kept = _preloaded.pop((spec, said), [])
    _preloaded[spec, said] = [*kept, load(spec, said, factory)]


def load(spec: str, said: Optional[str], factory: bool = False) -> tuple[str, Any]:
    """The kind (wsgi, asgi, handler) and what `spec` names or makes; `said` is the kind where it was said."""
    if kept := _preloaded.get((spec, said)):
        return kept.pop(0)
    global last_traceback  # noqa: PLW0603 - a process loads once, and tells of one fault
    last_traceback = None
    place, _, attribute = spec.partition(":")
    module = import_module(place, spec)
    found = find(module, attribute, spec)
    if factory and not attribute.endswith("()"):
        if not callable(found):
            raise LoadError(f"{spec}: it cannot be called; leave --factory out")
        found = make(found, spec)
    kind = kind_of(found)
    if kind is None:
        what = type(found).__name__
        raise LoadError(f"{spec}: {what} is no application; name a callable or a handler class")
    if kind == "handler" and forks(found):
        raise LoadError(f"{spec}: CGIHTTPRequestHandler gives its socket to a process; run `salver --cgi`")
    if said == "handler" and kind != "handler":
        raise LoadError(f"handler:{spec}: no subclass of BaseHTTPRequestHandler; say wsgi: or asgi:")
    if said in ("wsgi", "asgi") and kind == "handler":
        raise LoadError(f"{said}:{spec}: a handler class of http.server; say handler:")
    if said == "wsgi" and kind == "asgi":
        raise LoadError(f"wsgi:{spec}: a coroutine function, as applications of ASGI are; say asgi:")
    if said == "asgi" and kind == "wsgi" and not takes(found, "scope", "receive", "send"):
        raise LoadError(f"asgi:{spec}: it does not take scope, receive and send; say wsgi:")
    return said or kind, found


def kind_of(found: Any) -> Optional[str]:
    """What kind of application an object is; `None` for what cannot be called."""
    while isinstance(found, functools.partial):
        found = found.func  # SimpleHTTPRequestHandler with its directory, say
    if isinstance(found, type) and issubclass(found, BaseHTTPRequestHandler):
        return "handler"
    if not callable(found):
        return None
    if isinstance(found, type) and hasattr(found, "__await__"):
        return "asgi"
    # What is decorated is judged by what it wraps; an object by its `__call__`.
    call = inspect.unwrap(found) if inspect.isroutine(found) else type(found).__call__
    return "asgi" if inspect.iscoroutinefunction(call) else "wsgi"


def takes(call: Callable[..., Any], *arguments: str) -> bool:
    """Whether `call` can be called with so many arguments; as far as it shows."""
    try:
        inspect.signature(call).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # something in C that does not show it
        return True
    return True


def import_module(place: str, spec: str) -> ModuleType:
    """The module at `place`: a dotted name, or the path of a file."""
    if place.endswith(".py"):
        return import_file(Path(place), spec)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            where = os.path.relpath(sys.path[0])
            raise LoadError(
                f"{spec}: no module {error.name!r} in {where}; see --app-dir and --chdir"
            ) from None
        raise own_fault(spec, error) from None
    except BaseException as error:
        raise own_fault(spec, error) from None


def import_file(path: Path, spec: str) -> ModuleType:
    """The module in a file, which finds its neighbours as a script does."""
    if not path.is_file():
        raise LoadError(f"{spec}: no file {path}; name one that is there")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path.resolve()):
        return known
    module_spec = importlib.util.spec_from_file_location(name, path.resolve())
    if module_spec is None or module_spec.loader is None:
        raise LoadError(f"{spec}: {path} is no Python file; name one that is")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        raise own_fault(spec, error) from None
    return module


def find(module: ModuleType, attribute: str, spec: str) -> Any:
    """The attribute of `module`, called if it ends in `()`."""
    if not attribute:
        for name in NAMES:
            if hasattr(module, name):
                return getattr(module, name)
        raise LoadError(f"{spec}: neither `app` nor `application` in it; name one as {spec.rstrip(':')}:NAME")
    path, called = (attribute[:-2], True) if attribute.endswith("()") else (attribute, False)
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise LoadError(f"{spec}: {no_attribute(found, name)}") from None
    if not called:
        return found
    if not callable(found):
        raise LoadError(f"{spec}: {path} cannot be called; leave the () out")
    return make(found, spec)


def make(factory: Callable[[], Any], spec: str) -> Any:
    """What a factory gives."""
    try:
        return factory()
    except BaseException as error:
        raise own_fault(spec, error, "called") from None


def no_attribute(owner: Any, name: str) -> str:
    """That there is none of that name, and which one may be meant."""
    import difflib

    where = getattr(owner, "__name__", type(owner).__name__)
    close = difflib.get_close_matches(name, [known for known in dir(owner) if not known.startswith("_")], 1)
    if not close:
        close = [known for known in NAMES if hasattr(owner, known)]
    return f"no {name!r} in {where}; " + (f"did you mean {close[0]}?" if close else "name one that is there")


def own_fault(spec: str, error: BaseException, done: str = "imported") -> LoadError:
    """Print what the application's own code raised while that was done to it; the error that says so."""
    shown = error.__traceback__
    ours = (__file__, importlib.__file__)
    while shown is not None and (
        shown.tb_frame.f_code.co_filename in ours or shown.tb_frame.f_code.co_filename.startswith("<frozen")
    ):
        shown = shown.tb_next
    global last_traceback  # noqa: PLW0603 - a process loads once, and tells of one fault
    last_traceback = "".join(traceback.format_exception(type(error), error, shown))
    # By its number: the application may have put anything in the place of `sys.stderr`.
    with contextlib.suppress(OSError), open(2, "w", errors="backslashreplace", closefd=False) as stderr:
        stderr.write(last_traceback)
    return LoadError(f"{spec}: {type(error).__name__} while it was {done}; mend what the traceback shows")
