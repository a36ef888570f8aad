"""The client is installable alone: the wheel asks for httpx, and the client imports nothing else."""

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.licensing.papers import make_certificate, make_signer

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution as it is published, without the pages' assets."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OPENSTAGE_SKIP_ASSETS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("*.whl")
    return wheel


def test_the_wheel_needs_nothing_but_httpx(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        needed = metadata.PathDistribution(zipfile.Path(archive, name.removesuffix("METADATA"))).requires or []
        assert [need.partition(">")[0] for need in needed if "extra ==" not in need] == ["httpx"]
        files = {"openstage/py.typed", "openstage/licensing/certificate.typ", "openstage/demo/pieces.toml"}
        assert files <= set(archive.namelist())


def run_alone(site: Path, packages: set[str], program: str) -> list[str]:
    """Run a program where only the unpacked wheel and some packages (with what they need) can be imported.

    Returns:
        the lines it printed.

    """
    hidden = set(metadata.packages_distributions()) - {"openstage", *modules_of(packages)}
    assert {"pydantic_settings", "starlette", "psycopg", "msgspec"} <= hidden
    prelude = f"""
        import sys

        class Nothing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {hidden!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Nothing())
        sys.path[:0] = [{str(site)!r}]
        sys.path.append({str(metadata.distribution("httpx").locate_file(""))!r})
    """
    text = textwrap.dedent(prelude) + textwrap.dedent(program)
    command = [sys.executable, "-I", "-S", "-c", text]
    done = subprocess.run(command, cwd=site, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def modules_of(packages: set[str]) -> set[str]:
    """Top-level modules of packages and of what they need, extras aside."""
    seen: set[str] = set()
    waiting = set(packages)
    while waiting:
        package = waiting.pop()
        seen.add(package)
        needs = [Requirement(need) for need in metadata.requires(package) or []]
        waiting |= {need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})} - seen
    wanted = set(map(canonical, seen))
    owners = metadata.packages_distributions()
    return {module for module, names in owners.items() if wanted & set(map(canonical, names))}


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def test_the_client_works_where_only_httpx_is_installed(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    where, names = run_alone(
        tmp_path,
        {"httpx"},
        """
        from openstage.client import AsyncVideoCloud, VideoCloud
        VideoCloud("id", "secret").close()
        print(sys.modules["openstage"].__file__)
        print(*sorted(name for name in sys.modules if name.startswith("openstage.")))
        """,
    )
    assert where.startswith(str(tmp_path))
    own = {"openstage.certificate_file"}  # stands alone, too: the form of a certificate's file
    assert all(name.startswith("openstage.client") or name in own for name in names.split())


def test_openstage_upload_works_where_only_the_cli_extra_is_installed(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    lines = run_alone(
        tmp_path,
        {"httpx", "rich", "typer"},
        """
        from openstage.cli import main
        sys.argv = ["openstage", "upload", "--help"]
        main()
        """,
    )
    assert any("--piece-size" in line for line in lines)


def test_a_certificate_is_verified_where_only_the_cli_and_verify_extras_are_installed(
    wheel: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    paper, keys = tmp_path / "certificate.pdf", tmp_path / "keys.json"
    signer = make_signer()
    paper.write_bytes(make_certificate(signer))
    keys.write_text(json.dumps({"keys": [signer.jwk]}))
    program = f"""
        from openstage.cli import main
        sys.argv = ["openstage", "certificate", "verify", {str(paper)!r}, "--keys", {str(keys)!r}, "--json"]
        main()
        """
    [line] = run_alone(tmp_path / "site", {"httpx", "rich", "typer", "cryptography"}, program)
    assert json.loads(line)["valid"] is True
    with pytest.raises(AssertionError, match=r"pip install 'openstage\[verify\]'"):
        run_alone(tmp_path / "site", {"httpx", "rich", "typer"}, program)


def test_without_the_cli_extra_the_command_says_what_to_install(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    said = run_alone(
        tmp_path,
        {"httpx"},
        """
        try:
            import openstage.cli
        except SystemExit as end:
            print(end)
        """,
    )
    assert said == ["openstage at the command line needs typer: pip install 'openstage[cli]'"]
