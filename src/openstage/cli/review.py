"""`openstage review …`: which works the public may see."""

from collections.abc import Sequence
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.cli.work import brief
from openstage.works.models import Work

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Review works: list, approve, refuse.")

ADDRESS_LIFETIME = 24 * 3600
"""Seconds for which a reviewer's address works."""

Name = Annotated[str, typer.Argument(metavar="ID", help="The work's number, file_id or slug.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_pending(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100, as_json: AsJson = False
) -> None:
    """List the works whose review is pending, the oldest first, with addresses at which reviewers see them."""

    async def work(services: Services) -> Sequence[tuple[Work, dict[str, str]]]:
        return [(each, _addresses(services, each)) for each in await services.works.awaiting_review(limit)]

    found = with_services(work)
    if as_json:
        print_json([brief(each) | {"addresses": addresses} for each, addresses in found])
        return
    print_table(
        ["file_id", "state", "title", "since", "address (one day)"],
        ((each.file_id, each.state, each.title, each.created_at, addresses["m3u8"]) for each, addresses in found),
        empty="Nothing awaits review.",
    )


@app.command()
def approve(name: Name, as_json: AsJson = False) -> None:
    """Publish a work, confirm one that is published already, or bring a refused one back."""

    async def work(services: Services) -> Work:
        return await services.works.approve(name)

    _print(with_services(work), as_json=as_json)


@app.command()
def refuse(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", help="What its owner is told.")] = "",
    as_json: AsJson = False,
) -> None:
    """Refuse a work; one that is published is taken down at once."""

    async def work(services: Services) -> Work:
        return await services.works.refuse(name, reason)

    _print(with_services(work), as_json=as_json)


def _addresses(services: Services, work: Work) -> dict[str, str]:
    token = services.signer.review(work.slug, ADDRESS_LIFETIME)
    base = f"{services.settings.base('media')}/media/{token}/{work.slug}"
    return {"m3u8": f"{base}/master.m3u8", "mp4": f"{base}/1.mp4"}


def _print(work: Work, *, as_json: bool) -> None:
    if as_json:
        print_json(brief(work))
    else:
        print_record(brief(work))
