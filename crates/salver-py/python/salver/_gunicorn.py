"""gunicorn's configuration in Python: its settings (`-c gunicorn.conf.py`), and its hooks (`--hooks FILE`).

The supervisor runs no Python. It has a process of its own run the file, `python -m salver._gunicorn`, which
prints the settings or calls a hook of the supervisor (`when_ready`, `on_exit`). Workers run the file once
more, for theirs (`post_fork`, `worker_exit`).
"""

from __future__ import annotations

import functools
import json
import logging.config
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from salver._load import LoadError
from salver._serve import _toml

#: What is obeyed, and the option that says the same.
OPTIONS = {
    "access_log_format": "access_log_format",
    "accesslog": "access_log",
    "bind": "bind",
    "certfile": "tls_cert",
    "chdir": "chdir",
    "forwarded_allow_ips": "forwarded_allow_ips",
    "graceful_timeout": "graceful_timeout",
    "group": "group",
    "keepalive": "keep_alive",
    "keyfile": "tls_key",
    "limit_request_fields": "limit_request_fields",
    "limit_request_line": "limit_request_line",
    "logconfig": "log_config",
    "logconfig_json": "log_config",
    "loglevel": "log_level",
    "max_requests": "max_requests",
    "max_requests_jitter": "max_requests_jitter",
    "pidfile": "pid",
    "preload_app": "preload",
    "pythonpath": "app_dir",
    "raw_env": "env",
    "reload": "reload",
    "threads": "threads",
    "timeout": "timeout",
    "umask": "umask",
    "user": "user",
    "workers": "workers",
    "wsgi_app": "target",
}

#: Hooks that are called.
HOOKS = ("when_ready", "post_fork", "worker_exit", "on_exit")

#: What else gunicorn knows (gunicorn/config.py, 23.0). A name that it does not know is the file's own.
_OTHERS = """
backlog ca_certs capture_output casefold_http_method cert_reqs check_config child_exit ciphers
config daemon default_proc_name disable_redirect_access_to_syslog do_handshake_on_connect
dogstatsd_tags enable_stdio_inheritance errorlog forwarder_headers header_map initgroups
limit_request_field_size logger_class nworkers_changed on_reload on_starting paste
permit_obsolete_folding permit_unconventional_http_method permit_unconventional_http_version
post_request post_worker_init pre_exec pre_fork pre_request print_config proc_name
proxy_allow_ips proxy_protocol raw_paste_global_conf reload_engine reload_extra_files reuse_port
secure_scheme_headers sendfile spew ssl_context ssl_version statsd_host statsd_prefix
strip_header_spaces suppress_ragged_eofs syslog syslog_addr syslog_facility syslog_prefix
tmp_upload_dir tolerate_dangerous_framing worker_abort worker_class worker_connections
worker_int worker_tmp_dir
"""
OTHERS = frozenset(_OTHERS.split())

#: Settings that say what is so anyway.
GIVEN = {
    "errorlog": ("-",),
    "worker_class": ("sync", "gthread"),
    "daemon": (False,),
    "capture_output": (False,),
}

#: How long the file, or `on_exit`, may take, in seconds.
PATIENCE = 30


@functools.cache
def run(path: str) -> Mapping[str, Any]:
    """What the file at `path` defines; it is run once a process."""
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror}; name a file of Python that can be read") from None
    names: dict[str, Any] = {"__name__": "__config__", "__file__": path}
    try:
        exec(compile(source, path, "exec"), names)
    except BaseException as error:
        raise fault(path, "it ran", error) from None
    return names


def options(path: str) -> tuple[str, list[str]]:
    """The settings of the file, as TOML with salver's options for keys; and what is not obeyed."""
    names = run(path)
    table: dict[str, Any] = {}
    ignored = []
    for name, value in names.items():
        if name in OTHERS or (name in OPTIONS and not is_plain(value)):
            if value is not None and value not in GIVEN.get(name, ()):
                ignored.append(name)
        elif name in OPTIONS:
            try:
                meant = translated(name, value)
            except (TypeError, ValueError):
                raise LoadError(f"{path}: {name}: {value!r} is not what gunicorn takes for it") from None
            if meant is not None:
                table[OPTIONS[name]] = meant
    if names.get("logconfig_dict") or any(callable(names.get(hook)) for hook in HOOKS):
        table["hooks"] = str(Path(path).absolute())
    return "\n".join(f"{name} = {_toml(value)}" for name, value in table.items()), ignored


def is_plain(value: Any) -> bool:
    """Whether it can stand in a file of options."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, os.PathLike))


def translated(name: str, value: Any) -> Any:
    """A setting's value as salver spells it; `None` for one that says nothing."""
    if name == "accesslog" and value is None:
        return "off"
    if value is None or value == "" or (name in ("logconfig", "preload_app", "reload") and not value):
        return None
    if name == "bind":
        return [address(part) for part in (value.split(",") if isinstance(value, str) else value)]
    if name == "loglevel":
        return "error" if value.lower() == "critical" else value.lower()
    if name == "umask":
        return format(int(value, 0) if isinstance(value, str) else value, "o")
    if name in ("user", "group"):
        return str(value)
    if name == "forwarded_allow_ips" and not isinstance(value, str):
        return ",".join(value)
    if name == "pythonpath" and "," in value:
        raise ValueError(value)
    return value


def address(text: str) -> str:
    """An address as `--bind` has it."""
    text = text.strip()
    for scheme in ("tcp://", "http://"):
        text = text[len(scheme) :] if text.startswith(scheme) else text
    if text.startswith("unix://"):
        text = "unix:" + text[len("unix://") :]
    return "0.0.0.0" + text if text.startswith(":") and text[1:].isdigit() else text


@functools.cache
def prepare(path: str) -> None:
    """Run the file before an application is imported, once a process; its `logconfig_dict` is obeyed."""
    table = run(path).get("logconfig_dict")
    if table:
        try:
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **table})
        except Exception as error:
            raise fault(path, "logconfig_dict was obeyed", error) from None


@functools.cache
def post_fork(path: str) -> None:
    """Call the hook in a worker, once, before it imports applications."""
    hook = run(path).get("post_fork")
    if callable(hook):
        try:
            hook(server(path), worker(path))
        except BaseException as error:
            raise fault(path, "post_fork ran", error) from None


def worker_exit(path: str) -> None:
    """Call the hook, in a worker that has ended."""
    hook = run(path).get("worker_exit")
    if callable(hook):
        try:
            hook(server(path), worker(path))
        except BaseException:
            traceback.print_exc()


def server(path: str) -> SimpleNamespace:
    """What hooks hear of the supervisor, which is another process."""
    return SimpleNamespace(pid=os.getppid(), cfg=settings(path), log=log(), proc_name="salver")


def worker(path: str) -> SimpleNamespace:
    """What hooks hear of this process."""
    return SimpleNamespace(pid=os.getpid(), ppid=os.getppid(), cfg=settings(path), log=log(), alive=True)


def settings(path: str) -> SimpleNamespace:
    """What the file defines."""
    return SimpleNamespace(**{name: value for name, value in run(path).items() if not name.startswith("_")})


def log() -> logging.Logger:
    """gunicorn's logger, which says something also where nobody has configured it."""
    logger = logging.getLogger("gunicorn.error")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        line = logging.Formatter(
            "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S %z"
        )
        handler.setFormatter(line)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    return logger


def fault(path: str, when: str, error: BaseException) -> LoadError:
    """Print what the file's own code raised; the error that says so."""
    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename == __file__:
        shown = shown.tb_next
    sys.stderr.write("".join(traceback.format_exception(type(error), error, shown)))
    sys.stderr.flush()
    return LoadError(f"{path}: {type(error).__name__} while {when}; mend what the traceback shows")


def main(arguments: list[str]) -> int:
    """`options FILE` prints the settings as JSON; `when_ready FILE` and `on_exit FILE` call the hook."""
    what, path = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's
    if what != "when_ready":
        signal.alarm(PATIENCE)
    if what == "options":
        return _print_options(path)
    try:
        hook: Callable[[Any], object] | None = run(path).get(what)
        if callable(hook):
            try:
                hook(server(path))
            except BaseException as error:
                raise fault(path, f"{what} ran", error) from None
    except LoadError as error:
        sys.stderr.write(f"salver: error: {error}\n")
        return 1
    return 0


def _print_options(path: str) -> int:
    with _own_output() as output:
        try:
            table, ignored = options(path)
        except LoadError as error:
            told: dict[str, Any] = {"error": str(error)}
        else:
            told = {"options": table, "ignored": ignored}
        output.write(json.dumps(told))
    return 0


class _own_output:
    """Standard output for us alone: what the file prints goes to standard error."""

    def __enter__(self) -> Any:
        self._output = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        return self._output

    def __exit__(self, *_: object) -> None:
        self._output.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
