"""What all demonstrations share: steps with their times on the screen, and a server to demonstrate on."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from openstage.demo.server import (
    DemoServer,
    NoServerError,
    answers,
    listen_url,
    running_server,
    temporary_server,
)
from openstage.settings import Settings


@dataclass(slots=True)
class Step:
    """Something that is being done."""

    name: str
    spinner: Status
    seconds: float = 0.0
    note: str = ""

    def show(self, fraction: float) -> None:
        """Show how much of it is done."""
        self.spinner.update(f"{escape(self.name)} {fraction:.0%}")


class Steps:
    """Prints each step with its time when it is done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.done: list[dict[str, object]] = []

    def say(self, text: str) -> None:
        """Print a line (rich's markup)."""
        self.console.print(text, soft_wrap=True)

    @contextlib.contextmanager
    def step(self, name: str, *, spinner: bool = True) -> Iterator[Step]:
        """Time a step; its `note` is printed behind the time."""
        step = Step(name, self.console.status(escape(name)))
        started = time.monotonic()
        with step.spinner if spinner else contextlib.nullcontext():
            yield step
        step.seconds = round(time.monotonic() - started, 3)
        self.done.append({"name": name, "seconds": step.seconds, "note": step.note})
        self.say(f"[green]✓[/green] {name:<28} {step.seconds:>7.2f} s   [dim]{escape(step.note)}[/dim]")


@contextlib.contextmanager
def found_server(
    settings: Settings, url: str, client_id: str, client_secret: str, steps: Steps, **own: str
) -> Iterator[DemoServer]:
    """Find a server, or start one.

    Args:
        settings: this machine's.
        url: address of a running server; empty: the listen address, or an own server if nothing answers there.
        client_id: id of an app on it; empty: one is found or made.
        client_secret: the app's secret.
        steps: where this is shown.
        own: settings of an own server; by default it listens where this machine's settings say, if that is free.

    Raises:
        NoServerError: there is none.

    """
    wanted = (url or listen_url(settings)).rstrip("/")
    if answers(wanted):
        with steps.step("Find the server") as step:
            found = running_server(wanted, settings, client_id, client_secret)
            step.note = f"runs at {found.url}"
        yield found
        return
    if url:
        raise NoServerError(f"no Openstage answers at {url}")
    with contextlib.ExitStack() as stack:
        with steps.step("Start a server of its own") as step:
            listen = own.pop("listen", "") or (settings.listen if _free(settings) else "127.0.0.1:0")
            found = stack.enter_context(temporary_server(listen, **own))
            step.note = f"{found.url}, with a temporary data folder"
        yield found


def _free(settings: Settings) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError:
            return False
    return True


def end_politely() -> None:
    """Let SIGTERM end this program as Ctrl-C does: an own server and its folder too."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def stay_up(steps: Steps, text: str, server: DemoServer, *, once: bool) -> None:
    """Say where to look at the outcome; an own server stays up until Ctrl-C, unless it shall end at once."""
    if server.own and not once:
        steps.say(f"\n{text}\nThe server stays up until Ctrl-C.")
        signal.pause()
    else:
        steps.say(f"\n{text}{' (its server has ended)' if server.own else ''}")
