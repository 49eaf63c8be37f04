"""Service: a named Manager with a life. WsgiService: web applications on listening sockets, with the same life.

    create -> prepare -> start -> (reload ...) -> stop or kill
              |          |                       |
              |          |                       +- stop: take no more work, let what goes on end, cleanup_host
              |          +- in the process that serves, after the fork: compose, init_host, then the first request
              +- in the launching process, before any fork: bind the sockets

Laws:

- No request is accepted before every Manager's ``init_host`` has returned.
- A reload that fails changes nothing. One that succeeds loses no request: what began on the old application ends
  there, and only then do its Managers get ``cleanup_host``.
- ``stop`` returns within its time; True when everything ended by itself.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

from oslo_config import cfg

from nova_wsgi import compose, green, sockets
from nova_wsgi.calling import entry_of
from nova_wsgi.errors import ConfigError
from nova_wsgi.loopingcall import FixedInterval, LoopingCall
from nova_wsgi.manager import Calls, Environ, Manager, StartResponse, composing, load_manager_class
from nova_wsgi.middleware.finish import FinishHook, observing
from nova_wsgi.middleware.metrics import shared_counters
from nova_wsgi.periodic import Leases, PeriodicTasks, host_leases
from nova_wsgi.server import HttpServer
from nova_wsgi.service_options import http_limits, proxy_networks, tls_files

log = logging.getLogger(__name__)

State = Literal["new", "starting", "up", "draining", "down"]
FINISH_HOOKS = "nova.finish_hooks"
UNWIND_S = 1.0  # for killed requests to end: native threads may still have to remove what they wrote


class Service:
    """A Manager's life. Subclasses add where its work comes from: the web, a queue."""

    def __init__(
        self, *, conf: cfg.ConfigOpts, host: str, binary: str, topic: str, manager_class: type[Manager] | None
    ) -> None:
        self.conf = conf
        self.host = host
        self.binary = binary
        self.topic = topic
        self.state: State = "new"
        self.started_at: float | None = None  # time.time() seconds
        self.reporters: list[Callable[[Service], None]] = []  # heartbeats: called at each change of state, and between
        self.leases: Leases | None = None
        self._manager_class = manager_class
        self._own = Generation([])
        self._heart: LoopingCall | None = None
        self._ended = threading.Event()
        self._failure: BaseException | None = None

    @classmethod
    def create(
        cls,
        *,
        conf: cfg.ConfigOpts,
        host: str | None = None,
        binary: str | None = None,
        topic: str | None = None,
        manager: str | type[Manager] | None = None,
        **more: Any,
    ) -> Self:
        """Make a service from its names.

        ``host``: what it is called among others, by default the option ``host``, or the machine's name. ``binary``:
        the program, by default as it was called. ``topic``: by default what follows ``nova-`` in ``binary``.
        ``manager``: a Manager class or its ``package.module:Class``, by default the option ``<topic>_manager``.
        Raises ConfigError when that names no Manager class.
        """
        binary = binary or os.path.basename(sys.argv[0])
        topic = topic or binary.rpartition("nova-")[2]
        host = host or _option(conf, "host") or socket.gethostname()
        option = f"{topic.replace('-', '_')}_manager"
        manager = manager or _option(conf, option)
        if isinstance(manager, str):
            manager = load_manager_class(manager, option=option)
        return cls(conf=conf, host=host, binary=binary, topic=topic, manager_class=manager, **more)

    # -- the life ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """In the launching process, before any fork: make what the service's processes share. Raises ConfigError."""
        if self.leases is None:
            self.leases = host_leases(self.conf, self.topic)

    def release(self) -> None:
        """Let go of what :meth:`prepare` made: in a process that serves something else, or when all is over."""

    def start(self) -> None:
        """Bring the Managers up, then take work. Raises what ``init_host`` raises; the service is then down."""
        self._enter("starting")
        try:
            self._open()
        except BaseException:  # an interrupt too: whoever asks must not be told that it still starts
            self._enter("down")
            raise
        self.started_at = time.time()
        self._enter("up")
        self._start_tasks()
        interval_s = _option(self.conf, "report_interval_s") or 10.0
        self._heart = LoopingCall(self.report, FixedInterval(interval_s), name="heartbeat", initial_delay_s=interval_s)
        self._heart.start()

    def stop(self, graceful_timeout_s: float) -> bool:
        """Take no more work, let what goes on end within ``graceful_timeout_s`` seconds, then clean up.

        True when everything ended by itself; otherwise what was left has been killed.
        """
        deadline = time.monotonic() + graceful_timeout_s
        self._enter("draining")
        for manager in self._own.managers:
            manager.stopping = True
        clean = self._close(deadline)
        self._end()
        return clean

    def kill(self) -> None:
        """End now: nothing is waited for, nothing cleaned up; the next ``init_host`` makes good."""
        self._kill_work()
        self._end()

    def reload(self) -> None:
        """The options were read again: take what may change. Raises ConfigError, with nothing changed."""
        for manager in self._own.managers:
            manager.reload()

    def wait(self) -> None:
        """Wait until the service has stopped. Raises the error that :meth:`fail` was told."""
        self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def fail(self, error: BaseException) -> None:
        """The main loop cannot go on: whoever waits for the service gets ``error``."""
        self._failure = error
        self._ended.set()

    def report(self) -> None:
        """Tell the reporters how the service is; the heartbeat calls it."""
        for reporter in self.reporters:
            try:
                reporter(self)
            except Exception:  # a reporter is a bystander: the service goes on, and the other reporters too
                log.exception("%s: a heartbeat failed", self.topic)

    def in_flight(self) -> list[tuple[str, float]]:
        """(name, since) of every call that goes on; since in ``time.monotonic()`` seconds."""
        return self._own.in_flight()

    def requests_total(self) -> int:
        """How many calls this process has taken so far; recycling counts them."""
        return 0

    # -- for subclasses ---------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Bring up the Managers; subclasses then begin to take work."""
        if self._manager_class is not None:
            self._own = Generation([self._manager_class(conf=self.conf, host=self.host)])
        self._own.open()

    def _start_tasks(self) -> None:
        assert self.leases is not None, "prepare() comes before start()"
        self._own.start_tasks(self.leases)

    def _close(self, deadline: float) -> bool:
        """Subclasses first take no more work; then the Managers go down."""
        return self._own.close(deadline)

    def _kill_work(self) -> None:
        self._own.kill()

    def _enter(self, state: State) -> None:
        self.state = state
        self.report()

    def _end(self) -> None:
        if self._heart is not None:
            self._heart.stop()
        if self.state != "down":
            self._enter("down")
        self.release()
        self._ended.set()


class Generation:
    """Managers, and the apps composed with them, that come up, work and go down together."""

    def __init__(self, managers: list[Manager], apps: Mapping[str, _Composed] | None = None) -> None:
        self.managers = managers
        self.calls = Calls()
        self.apps = {name: _Gate(composed, self.calls) for name, composed in (apps or {}).items()}
        self.tasks: PeriodicTasks | None = None
        self._opened: list[Manager] = []

    def open(self) -> None:
        """``init_host`` each Manager; when one fails, those before it are cleaned up and the error is raised."""
        try:
            for manager in self.managers:
                manager.init_host()
                self._opened.append(manager)
        except BaseException:  # a hard stop too: the managers that came up hold files and locks
            self._clean_up()
            raise

    def start_tasks(self, leases: Leases) -> None:
        """Start the Managers' periodic tasks."""
        self.tasks = PeriodicTasks(self.managers, leases)
        self.tasks.start()

    def stop_tasks(self, deadline: float | None = None) -> bool:
        """Begin no further periodic task and wait for those that run."""
        if self.tasks is None:
            return True
        self.tasks.stop()
        return self.tasks.wait(_left_s(deadline))

    def close(self, deadline: float | None = None) -> bool:
        """Wait until nothing goes on, then ``cleanup_host``; at the deadline (monotonic seconds) without waiting on."""
        clean = self.stop_tasks(deadline)
        if not clean and self.tasks is not None:
            self.tasks.kill()
        for calls in [self.calls, *(manager.calls for manager in self.managers)]:
            clean = calls.wait_idle(_left_s(deadline)) and clean
        self._clean_up()
        return clean

    def kill(self) -> None:
        """End the periodic tasks now."""
        if self.tasks is not None:
            self.tasks.kill()

    def in_flight(self) -> list[tuple[str, float]]:
        """Every call that goes on: requests and what the Managers track."""
        return [*self.calls.list(), *(call for manager in self.managers for call in manager.in_flight())]

    def _clean_up(self) -> None:
        while self._opened:
            manager = self._opened.pop()
            try:
                manager.cleanup_host()
            except Exception:  # the other managers must be cleaned up too
                log.exception("%s.cleanup_host failed", type(manager).__name__)


class _Composed(NamedTuple):
    """An application, and the hooks of its filters for requests that the server refuses before it."""

    app: compose.WSGIApplication
    refusal_hooks: Sequence[FinishHook]


class _Gate:
    """Counts the requests inside one generation's app, each until its last byte was handed to the socket."""

    __slots__ = ("_app", "_calls", "refusal_hooks")

    def __init__(self, composed: _Composed, calls: Calls) -> None:
        app, self.refusal_hooks = composed
        self._app = entry_of(app)
        self._calls = calls

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        calls = self._calls
        hooks = environ.get(FINISH_HOOKS)
        if hooks is not None:
            calls.begin_request(environ)
            hooks.append(calls.end_request)
            return self._app(environ, start_response)
        token = calls.begin(environ)
        try:  # a server that has no hooks: what follows the call is its own business
            return self._app(environ, start_response)
        finally:
            calls.end(token)


class WsgiService(Service):
    """Serves the APIs that ``enabled_apis`` names, each with an app of its own on a listener of its own.

    ``apps``: API name -> a callable that builds its application, instead of the ini's; Managers made in it are taken
    up as those that paste makes. ``server_options``: API name -> further keywords for its HttpServer.
    """

    def __init__(
        self,
        *,
        apps: Mapping[str, Callable[[], compose.WSGIApplication]] | None = None,
        server_options: Mapping[str, Mapping[str, Any]] | None = None,
        **names: Any,
    ) -> None:
        super().__init__(**names)
        self._builders = dict(apps or {})
        self._server_options = dict(server_options or {})
        self.apis: list[str] = list(dict.fromkeys([*(_option(self.conf, "enabled_apis") or ()), *self._builders]))
        self.listeners: dict[str, sockets.Listener] = {}
        self._servers: dict[str, HttpServer] = {}
        self._web = Generation([])
        self._retiring: dict[Generation, green.GreenThread] = {}
        for api in self.apis:
            if f"{api}_listen_port" not in self.conf:
                raise ConfigError(f"enabled_apis: there is no API {api!r} in {self.binary}")

    @property
    def addresses(self) -> dict[str, str]:
        """API name -> where it listens (``http://127.0.0.1:3333``); known after :meth:`prepare`."""
        return {api: listener.url for api, listener in self.listeners.items()}

    @property
    def workers(self) -> int:
        """How many processes the options ask for: the most that any of the APIs wants; by default the cores."""
        return max((self.conf[f"{api}_workers"] or len(os.sched_getaffinity(0)) for api in self.apis), default=1)

    def prepare(self) -> None:
        """Bind, or inherit, a socket for each API and check its certificate. Raises ConfigError."""
        super().prepare()
        shared_counters()  # the metrics filter of every worker adds to them
        try:
            inherited = sockets.inherit(self.apis, os.environ)
            for api in self.apis:
                listener = inherited.get(api) or self._bind(api)
                self.listeners[api] = listener
                listener.tls = tls_files(self.conf, api)
                if listener.tls is not None:
                    listener.tls.context()  # a bad certificate is told now, not by each worker
                log.info("%s listens on %s%s", api, listener.url, " (inherited)" if listener.inherited else "")
        except BaseException:  # an interrupt too: half of the listeners are of no use
            self.release()
            raise

    def _bind(self, api: str) -> sockets.Listener:
        return sockets.bind(
            api,
            self.conf[f"{api}_listen"],
            self.conf[f"{api}_listen_port"],
            backlog=self.conf.listen_backlog,
            unix_mode=int(self.conf.unix_socket_mode, 8),
        )

    def release(self) -> None:
        """Close the listening sockets of this process; remove unix sockets' files where they were made."""
        for listener in self.listeners.values():
            listener.release()

    def reload(self) -> None:
        """Compose the apps anew, read the certificates again, and move to both with no request lost."""
        contexts = {api: listener.tls.context() for api, listener in self.listeners.items() if listener.tls}
        fresh = self._compose()
        fresh.open()
        old, self._web = self._web, fresh
        for api, server in self._servers.items():
            server.replace_app(fresh.apps[api])
            if api in contexts:
                server.replace_tls(contexts[api])
        self._retiring[old] = green.spawn(self._retire, old, fresh)
        super().reload()

    def in_flight(self) -> list[tuple[str, float]]:
        """Requests, and what the Managers track; those on an app that a reload has replaced included."""
        generations = [*self._retiring, self._web]
        return [*super().in_flight(), *(call for generation in generations for call in generation.in_flight())]

    def requests_total(self) -> int:
        """Requests answered by this process, on all APIs."""
        return sum(server.requests_total for server in self._servers.values())

    def _open(self) -> None:
        super()._open()
        web = self._compose()
        web.open()
        self._web = web
        limits, networks = http_limits(self.conf), proxy_networks(self.conf)
        for api, listener in self.listeners.items():
            options = {"limits": limits, "name": api, "proxy_networks": networks, **self._server_options.get(api, {})}
            context = listener.tls.context() if listener.tls else None
            self._servers[api] = HttpServer(
                listener.socket, web.apps[api], tls=context, shares=listener.shares, **options
            )
        for server in self._servers.values():
            server.start()

    def _start_tasks(self) -> None:
        super()._start_tasks()
        assert self.leases is not None
        self._web.start_tasks(self.leases)

    def _compose(self) -> Generation:
        with composing(conf=self.conf, host=self.host) as managers:
            apps = {api: self._build(api) for api in self.apis}
        return Generation(managers, apps)

    def _build(self, api: str) -> _Composed:
        with observing() as hooks:
            if api in self._builders:
                return _Composed(self._builders[api](), hooks)
            path = self.conf.api_paste_config
            return _Composed(compose.load_app(self.conf.find_file(path) or path, api), hooks)

    def _retire(self, old: Generation, fresh: Generation) -> None:
        """After a reload: periodic tasks never run in both; the old Managers go down after their last request."""
        try:
            old.stop_tasks()
            if self.state == "up" and fresh is self._web and self.leases is not None:
                fresh.start_tasks(self.leases)
            old.close()
        finally:
            self._retiring.pop(old, None)

    def _close(self, deadline: float) -> bool:
        for server in self._servers.values():
            server.stop_accepting()
        self.release()  # from here on a client that connects is refused, and may try elsewhere
        for server in self._servers.values():
            server.close_idle()
        clean = True
        for server in self._servers.values():
            clean = server.drain(_left_s(deadline) or 0.0) and clean
        for server in self._servers.values():
            server.kill()
        unwound_by = time.monotonic() + UNWIND_S  # what was killed gives back what it holds before its Managers go
        for generation in (*self._retiring, self._web):
            generation.calls.wait_idle(_left_s(unwound_by))
        for old, thread in list(self._retiring.items()):
            thread.kill()
            clean = old.close(deadline) and clean
        clean = self._web.close(deadline) and clean
        return super()._close(deadline) and clean

    def _kill_work(self) -> None:
        for server in self._servers.values():
            server.kill()
        for generation in (*self._retiring, self._web):
            generation.kill()
        super()._kill_work()


def _option(conf: cfg.ConfigOpts, name: str) -> Any:
    """An option that a program may not have declared: None then."""
    return conf[name] if name in conf else None  # noqa: SIM401  get() raises: an unknown option is no KeyError


def _left_s(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
