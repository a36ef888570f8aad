"""The client is installable alone: the wheel asks for httpx, and the client imports nothing else."""

import os
import subprocess
import sys
import textwrap
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ALONE = {"httpx", "httpcore", "anyio", "certifi", "idna", "h11", "sniffio", "typing_extensions"}
"""httpx and what it needs itself."""


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
        assert "openstage/py.typed" in archive.namelist()


def test_the_client_works_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = f"""
        import sys
        site = {str(metadata.distribution("httpx").locate_file(""))!r}
        allowed = {ALONE!r} | {{"openstage"}} | set(sys.stdlib_module_names)

        class Nothing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] not in allowed:
                    raise ModuleNotFoundError(name, name=name)

        sys.meta_path.insert(0, Nothing())
        sys.path[:0] = [{str(tmp_path)!r}]
        sys.path.append(site)
        from openstage.client import AsyncVideoCloud, VideoCloud
        VideoCloud("id", "secret").close()
        print(sys.modules["openstage"].__file__)
        print(*sorted(name for name in sys.modules if name.startswith("openstage.")))
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, names = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert all(name.startswith("openstage.client") for name in names.split())
