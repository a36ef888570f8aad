"""The process tree of `openstage serve`.

    supervisor ─┬─ postgres (unless the database is external)
                ├─ web server (granian) ── its worker process, which holds the application
                └─ worker ── ffmpeg, in process groups of its own

The supervisor owns the data folder, starts all of it, restarts what dies, and takes everything with it: on Ctrl-C and
SIGTERM in order, and when it is killed because the kernel signals each child (PR_SET_PDEATHSIG).
"""

import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

from openstage.database.cluster import Cluster
from openstage.database.embedded import cluster_in
from openstage.database.migrate import migrate
from openstage.database.ownership import DataFolder
from openstage.observability import logs
from openstage.server.bell import Bell
from openstage.server.children import Child
from openstage.server.errors import AddressTaken, ServerNotStarted
from openstage.settings import Settings

END_WITHIN = 8.0
"""Seconds that the children have to end by themselves; longer than the web server takes to cut connections."""
START_WITHIN = 120.0
LET_GO_WITHIN = 2.0
"""Seconds for the processes of a server that has just been killed to let go of the address."""
LARGEST_PORT = 65535
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_logger = logs.get_logger("serve")


class Supervisor:
    """Runs the server of one data folder in the foreground. Use it from the main thread."""

    def __init__(self, settings: Settings, *, target: str = "openstage.app:create_app") -> None:
        """Prepare; nothing is started yet.

        Args:
            settings: what to run.
            target: the application, `module:factory`.

        """
        self._settings = settings
        self._target = target
        self._cluster: Cluster | None = None
        self._children: list[Child] = []
        self._wake = Bell()
        self._endings = 0

    def run(self, while_starting: Callable[[Settings], Callable[[], None]] | None = None) -> None:
        """Start everything, keep it running, and end it when a signal says so.

        Args:
            while_starting: called with the settings that the children get (the database's address and the real port
                among them) once the database is ready; what it returns is called when the server answers.

        Raises:
            DomainError: something can't work (the folder is in use, the address taken, the schema newer, …); what
                was started has been ended.

        """
        before = {number: signal.getsignal(number) for number in (*ENDINGS, signal.SIGCHLD)}
        place = DataFolder(self._settings.folder)
        place.own("serve", embedded=not self._settings.database_url)
        self._warn_of_mixed_owners()
        try:
            self._listen_to_signals()
            listen = self._free_address()
            running = self._settings.model_copy(
                update={"data": self._settings.folder, "listen": listen, "database_url": self._start_database()}
            )
            web, *others = self._children = self._make_children(running)
            web.start()
            announce = while_starting(running) if while_starting else None
            if self._wait_until_ready(web, running):
                # Only now: what they load would slow down what somebody is waiting for.
                for child in others:
                    child.start()
                if announce:
                    announce()
            self._keep_running()
        finally:
            self._end()
            place.disown()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _warn_of_mixed_owners(self) -> None:
        owner = self._settings.folder.stat().st_uid
        if os.geteuid() == 0 != owner:
            _logger.warning(
                "The data folder isn't root's, but root runs the server: its owner won't be able to use what it makes.",
                owner=owner,
            )

    # --- starting ---------------------------------------------------------------------------------------------
    def _free_address(self) -> str:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        deadline = time.monotonic() + LET_GO_WITHIN
        while True:
            try:
                return f"{host}:{free_address(self._settings.host, self._settings.port)}"
            except AddressTaken:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def _start_database(self) -> str:
        address = self._settings.database_url
        if not address:
            self._cluster = cluster_in(self._settings.folder)
            address = self._cluster.start()
        applied = migrate(address, only_safe=True)
        if applied:
            _logger.info("The database's schema is up to date.", applied=applied)
        return address

    def _make_children(self, running: Settings) -> list[Child]:
        environment = os.environ | {
            "OPENSTAGE_DATA": str(running.data),
            "OPENSTAGE_LISTEN": running.listen,
            "OPENSTAGE_DATABASE_URL": running.database_url,
        }
        web = [sys.executable, "-m", "openstage.server.web", running.host, str(running.port), self._target]
        children = [Child("web server", web, environment)]
        if running.worker:
            children.append(Child("worker", [sys.executable, "-m", "openstage.cli", "worker"], environment))
        return children

    def _wait_until_ready(self, web: Child, running: Settings) -> bool:
        deadline = time.monotonic() + START_WITHIN
        while not self._ending():
            if answers(running.host, running.port):
                return True
            if web.ended() is not None:
                raise ServerNotStarted("The web server ended before it was ready; what stands above says why.")
            if time.monotonic() > deadline:
                raise ServerNotStarted(f"The web server did not answer within {START_WITHIN:.0f} s.")
            self._wake.wait(0.03)
        return False

    # --- running ----------------------------------------------------------------------------------------------
    def _listen_to_signals(self) -> None:
        for number in ENDINGS:
            # nohup leaves SIGHUP ignored, and means it; a script's `&` leaves SIGINT ignored, and doesn't.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_ending)
        signal.signal(signal.SIGCHLD, self._on_child)

    def _on_ending(self, _: int, __: FrameType | None) -> None:
        self._endings += 1
        self._wake.ring()

    def _ending(self) -> bool:
        return self._endings > 0

    def _on_child(self, _: int, __: FrameType | None) -> None:
        self._wake.ring()

    def _keep_running(self) -> None:
        while not self._ending():
            self._wake.wait(self._until_next_due())
            if self._ending():
                return
            if self._cluster is not None and not self._cluster.running:
                _logger.error("The database ended; it starts again.")
                self._cluster.start()
            for child in self._children:
                if (news := child.tend()) is not None:
                    _logger.warning(news)

    def _until_next_due(self) -> float:
        due = min((each for child in self._children if (each := child.next_due()) is not None), default=None)
        return 1.0 if due is None else max(due - time.monotonic(), 0.0)

    # --- ending -----------------------------------------------------------------------------------------------
    def _end(self) -> None:
        # The database last: the others still write down where they stopped.
        for child in self._children:
            child.ask_to_end()
        deadline = time.monotonic() + END_WITHIN
        for child in self._children:
            child.wait(deadline)
        if self._cluster is not None:
            self._cluster.stop()


def free_address(host: str, port: int) -> int:
    """Make sure that an address can be listened on.

    Args:
        host: name or number of an interface of this machine.
        port: the port; 0: any.

    Returns:
        The port.

    Raises:
        AddressTaken: why is in the message.

    """
    if port > LARGEST_PORT:
        raise AddressTaken(f"There is no port {port}; choose one up to {LARGEST_PORT} with OPENSTAGE_LISTEN.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: connections of an earlier server that linger don't hold the port. (The web server's own
            # SO_REUSEPORT would let two servers share a port and each get half of the requests.)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise AddressTaken(
            f"Can't listen on {host}:{port}: {error.strerror}. Choose another address with OPENSTAGE_LISTEN."
        ) from error


def answers(host: str, port: int) -> bool:
    """Whether an HTTP server answers; one that listens on all interfaces is asked on this machine's own."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- nothing is bound here
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()
