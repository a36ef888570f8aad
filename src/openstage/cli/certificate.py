"""`openstage certificate …`: verifying certificates, showing them, the keys that sign them."""

import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from openstage import certificate_file
from openstage.certificate_file import Verdict
from openstage.cli.output import print_json, print_record, print_table
from openstage.errors import DomainError

if TYPE_CHECKING:
    from openstage.app import Services
    from openstage.licensing.certificate_keys import CertificateKey
    from openstage.licensing.certificates import Certificate

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Certificates of purchased licences: verify, show; the keys that sign them.",
)
keys_app = typer.Typer(no_args_is_help=True, add_completion=False, help="Keys that sign: list, rotate, export.")
app.add_typer(keys_app, name="keys")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


class FileUnreadable(DomainError):
    """A file can't be read or written."""

    code = "cli.file_unreadable"


class VerifierMissing(DomainError):
    """What computes signatures isn't installed."""

    code = "cli.verifier_missing"


class UnknownKey(DomainError):
    """No key has this id."""

    code = "cli.unknown_key"


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate, as it was received.")],
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            help="Public keys of the server it should come from, as that publishes or exports them; no server is asked."
            " Without it: this machine's own server.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a certificate is genuine and unchanged; exit code 1 if it isn't."""
    data = _read(file, certificate_file.LARGEST + 1)
    standing = ""
    if keys is not None:
        verdict = _verdict(data, _key_file(keys))
    else:
        verdict, standing = _with_services(lambda services: _own_verdict(services, data))
    if as_json:
        print_json(_verdict_record(verdict, standing))
    elif verdict.valid:
        print_record(_told(verdict, standing))
        typer.echo(verdict.message if standing else f"{verdict.message} Whether it was refunded, its page tells.")
    else:
        typer.echo(f"{file}: {verdict.message}", err=True)
    raise typer.Exit(0 if verdict.valid else 1)


@app.command()
def show(
    purchase: Annotated[int, typer.Argument(metavar="PURCHASE", help="Number of the purchase (its `id`).")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the PDF to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a purchase's certificate and its public page; make it if nobody has asked for it yet."""

    async def work(services: "Services") -> "tuple[bytes, Certificate]":
        found = await services.licensing.find(purchase)
        return await services.certificates.certificate(found), await services.certificates.find(found)

    pdf, certificate = _with_services(work)
    if out is not None:
        try:
            out.write_bytes(pdf)
        except OSError as error:
            raise FileUnreadable(f"{out} can't be written: {error.strerror}.") from error
    record = {
        "purchase": certificate.purchase_id,
        "number": certificate.facts["number"],
        "licensee": certificate.facts["licensee"]["name"],
        "track": certificate.facts["track"]["title"],
        "standing": "refunded" if certificate.refunded_at else "valid",
        "refunded_at": certificate.refunded_at,
        "page": certificate.facts["page"],
        "key_id": certificate.key_id,
        "sha256": certificate.sha256,
        "size": len(pdf),
        "issued_at": certificate.created_at,
    }
    _print(record, as_json=as_json)


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys, the newest first: that one signs."""
    found = _all_keys()
    if as_json:
        print_json([_key_record(key) for key in found])
        return
    print_table(
        ["key_id", "signs", "made", "retired"],
        ((each.key_id, each.retired_at is None, each.created_at, each.retired_at) for each in found),
    )


@keys_app.command()
def rotate(as_json: AsJson = False) -> None:
    """Make a new key, which signs from now on; what the others signed stays valid."""

    async def work(services: "Services") -> "CertificateKey":
        return await services.certificates.keys.rotate()

    _print(_key_record(_with_services(work)), as_json=as_json)


@keys_app.command()
def export(
    pem: Annotated[
        str, typer.Option("--pem", metavar="KEY_ID", help="Print this one key as PEM, as OpenSSL reads it.")
    ] = "",
) -> None:
    """Print all public keys as a JSON Web Key Set, for `openstage certificate verify --keys`."""
    from openstage.licensing.certificate_keys import key_set  # noqa: PLC0415 - see `_with_services`

    found = _all_keys()
    if not pem:
        typer.echo(key_set(found), nl=False)
        return
    wanted = next((key for key in found if key.key_id == pem), None)
    if wanted is None:
        raise UnknownKey(f"There is no key {pem}; see `openstage certificate keys list`.")
    typer.echo(wanted.pem, nl=False)


async def _own_verdict(services: "Services", data: bytes) -> tuple[Verdict, str]:
    """Verify with the keys of this server; tells also how the licence stands, if it is one of its own."""
    keys = {key.key_id: key.public for key in await services.certificates.keys.list()}
    verdict = _verdict(data, keys)
    if not verdict.valid:
        return verdict, ""
    token = str(verdict.facts["page"]).rpartition("/")[2]
    certificate = await services.certificates.by_token(token)
    return verdict, "refunded" if certificate.refunded_at else "valid"


def _verdict(data: bytes, keys: dict[str, bytes]) -> Verdict:
    try:
        return certificate_file.verify(data, keys)
    except ModuleNotFoundError as error:
        raise VerifierMissing(
            f"Verifying needs {error.name}, which is missing: pip install 'openstage[verify]'"
        ) from error


def _key_file(file: Path) -> dict[str, bytes]:
    try:
        return certificate_file.read_keys(_read(file, certificate_file.LARGEST_KEYS))
    except certificate_file.BadKeys as error:
        raise FileUnreadable(f"{file}: {error}") from error


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise FileUnreadable(f"{file} can't be read: {error.strerror}.") from error


def _verdict_record(verdict: Verdict, standing: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "valid": verdict.valid,
        "reason": verdict.reason,
        "message": verdict.message,
        "key_id": verdict.key_id,
        "facts": verdict.facts or None,
    }
    return record | ({"standing": standing} if standing else {})


def _told(verdict: Verdict, standing: str) -> dict[str, Any]:
    facts = verdict.facts
    return {
        "number": facts["number"],
        "licensor": facts["licensor"],
        "licensee": facts["licensee"]["name"],
        "track": f"{facts['track']['title']} ({facts['track']['artist'] or '–'}, ID {facts['track']['id']})",
        "scope": f"{facts['scope']['name']} ({facts['scope']['type']})",
        "price": f"{facts['price']} {facts['currency']}",
        "bought at": dt.datetime.fromisoformat(facts["bought_at"]),
        "file": f"{facts['file']['format'].upper()}, {facts['file']['size']} bytes",
        "file's SHA-256": facts["file"]["sha256"],
        "page": facts["page"],
        "key": verdict.key_id,
        **({"test": "a test purchase: it licenses nothing"} if facts["test"] else {}),
        **({"standing": standing} if standing else {}),
    }


def _all_keys() -> "list[CertificateKey]":
    async def work(services: "Services") -> "list[CertificateKey]":
        return await services.certificates.keys.list()

    return _with_services(work)


def _key_record(key: "CertificateKey") -> dict[str, object]:
    return {"key_id": key.key_id, "signs": key.retired_at is None, "made": key.created_at, "retired": key.retired_at}


def _print(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        print_record(record)


def _with_services(work: "Callable[[Services], Awaitable[T]]") -> T:
    """Run with the server's parts, imported only here: `verify --keys` works where no server is installed."""
    from openstage.cli.runtime import with_services  # noqa: PLC0415

    return with_services(work)
