"""What is undocumented doesn't exist: settings, commands and endpoints are compared with the documents."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from openstage.app import assemble, routes
from openstage.cli import COMMANDS
from openstage.cli.reference import reference
from openstage.cli.settings import as_markdown
from openstage.console.routes import Console
from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.observability.middleware import surface_of
from openstage.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
MEND = "run `make docs`"


def all_docs() -> str:
    return "\n".join(path.read_text() for path in sorted(DOCS.rglob("*.md")))


def test_the_table_of_settings_is_up_to_date() -> None:
    assert (DOCS / "settings.md").read_text() == as_markdown(), MEND


def test_the_list_of_commands_is_up_to_date() -> None:
    text = (DOCS / "commands.md").read_text()
    assert text == reference(), MEND
    for name in COMMANDS:
        assert f"openstage {name}" in text


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_has_a_help_text(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith(".")


@pytest.fixture
def endpoints(settings: Settings, database: Database) -> list[str]:
    services = assemble(settings, database, Keys.load(settings.folder))
    console = Console(services.works, services.addresses, services.standings, settings)
    paths = [route.path for route in routes(services, console) if isinstance(route, Route)]
    services.uploads.close()
    assert len(paths) > 60
    return paths


async def test_every_endpoint_is_documented(endpoints: list[str]) -> None:
    text = all_docs()
    assert not [path for path in endpoints if re.sub(r":\w+}", "}", path) not in text]


async def test_every_endpoint_is_counted_under_a_surface_that_is_documented(endpoints: list[str]) -> None:
    text = (DOCS / "operating" / "monitoring.md").read_text()
    assert not [path for path in endpoints if f"`{surface_of(path)}`" not in text or surface_of(path) == "other"]


def test_links_between_documents_lead_somewhere() -> None:
    root = DOCS.parent
    broken = []
    for page in [*DOCS.rglob("*.md"), *root.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not target.startswith(("mailto:", "/")) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(root)}: {target}")
    assert not broken
