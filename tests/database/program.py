"""A command that uses the embedded database: `python -m tests.database.program FOLDER [ROLE]`.

Prints the address once it has one, and holds it until its standard input ends.
"""

import sys
from pathlib import Path

from openstage.database.embedded import running_database
from openstage.database.ownership import DataFolder
from openstage.errors import DomainError
from openstage.settings import Settings


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(folder: str, role: str = "command") -> None:
    settings = Settings(data=Path(folder), database_url="")
    try:
        if role == "serve-lock":
            DataFolder(settings.folder).own("serve", embedded=True, patience=1.0)
            say("owned")
            sys.stdin.read()
            return
        with running_database(settings) as address:
            say(address)
            sys.stdin.read()
    except DomainError as error:
        say(f"refused: {error.message}")


if __name__ == "__main__":
    main(*sys.argv[1:])
