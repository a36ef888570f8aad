"""The command line `openstage`: one module per command or group, loaded when it is called.

Loading late keeps `openstage upload` working where only the client is installed, and each command quick to start.
"""

import importlib
import os
import sys
from typing import Any

from openstage import __version__

try:
    import typer
    from typer.core import TyperGroup
except ModuleNotFoundError as missing:
    sys.exit(f"openstage at the command line needs {missing.name}: pip install 'openstage[cli]'")

# name: (module, attribute that is a typer.Typer, help)
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("openstage.cli.serve", "Start the server, its worker and the embedded database."),
    "worker": ("openstage.cli.worker", "Run a worker by itself."),
    "migrate": ("openstage.cli.migrate", "Bring the database's schema up to date."),
    "doctor": ("openstage.cli.doctor", "Check what usually goes wrong, and say what to do."),
    "settings": ("openstage.cli.settings", "Print each setting with its default, value and help."),
    "app": ("openstage.cli.app", "Apps: create, list, show, approve, freeze, quotas, secrets, OAuth."),
    "user": ("openstage.cli.user", "People with an account: create, list, passwords, sign-out."),
    "end-user": ("openstage.cli.end_user", "Users as apps name them."),
    "token": ("openstage.cli.token", "Tokens: list, revoke, explain."),
    "ticket": ("openstage.cli.ticket", "QR sign-ins of devices: show, confirm, refuse."),
    "work": ("openstage.cli.work", "Works: list, show, watch, delete, restore, run again."),
    "review": ("openstage.cli.review", "Review works: list, approve, refuse."),
    "catalogue": ("openstage.cli.catalogue", "The music catalogue: import, export, tracks, categories, offers."),
    "purchase": ("openstage.cli.purchase", "Purchases: list, show, refund."),
    "ledger": ("openstage.cli.ledger", "The ledger: balances, transactions, payments, a check of all sums."),
    "buyer": ("openstage.cli.buyer", "Who buys through an app: list, rename."),
    "certificate": ("openstage.cli.certificate", "Certificates of purchased licences: verify, show; keys."),
    "callback": ("openstage.cli.callback", "Callbacks: list, show, deliver again, the secret they are signed with."),
    "backup": ("openstage.cli.backup:backup_app", "Copy database and objects to a folder while the server works."),
    "restore": ("openstage.cli.backup:restore_app", "Bring a backup back into an empty data folder."),
    "upload": ("openstage.cli.upload", "Upload a file, with progress, going on where a killed run stopped."),
    "demo": ("openstage.cli.demo", "See it work: synthesise media and drive a dialect from end to end."),
}


class LazyGroup(TyperGroup):
    """A command group whose commands are imported when they are called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        target, help_text = COMMANDS[cmd_name]
        module_name, _, attribute = target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] == "openstage":
                raise
            sys.exit(
                f"openstage {cmd_name} needs the server's packages ({error.name} is missing): "
                "pip install 'openstage[server]'"
            )
        command = typer.main.get_command(getattr(module, attribute or "app"))
        command.name = cmd_name
        command.help = command.help or help_text
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openstage {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Openstage: the open media platform that anyone can run."""


def main() -> None:
    """Run the command line; domain errors become one line on standard error and exit code 1."""
    from openstage.cli.output import fail  # noqa: PLC0415 - after the interpreter's own checks, to start fast

    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # `openstage app list | head`: nothing to say, and nothing more to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if not fail(error):
            raise
        sys.exit(1)
