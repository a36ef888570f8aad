"""The pages' scripts are those of the source tree: built before the tests that need them when they aren't up to date.

`build_hook` and `frontend` are fixtures for everybody; a folder whose tests need the built pages imports `assets`.
"""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.browser import Browser
from tests.support.node import HOME, NODE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def build_hook() -> ModuleType:
    """`hatch_build.py`, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def assets(build_hook: ModuleType) -> None:
    """The built assets, up to date."""
    build_hook.build_assets(ROOT)


def npm(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run npm there."""
    command = [str(NODE), str(HOME / "lib/node_modules/npm/bin/npm-cli.js"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def frontend(build_hook: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages' scripts with the tools that check them; skips where npm can't get these."""
    folder = tmp_path_factory.mktemp("frontend") / "frontend"
    shutil.copytree(ROOT / build_hook.FRONTEND, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = npm(folder, "ci", "--loglevel=error")
    if installed.returncode:
        pytest.skip(f"left out, npm can't get its tools: {installed.stderr.strip().splitlines()[:1]}")
    return folder


def barriers(browser: Browser, frontend: Path) -> object:
    """What axe-core finds wrong with the page that is open: names, roles, landmarks, contrast."""
    browser.driver.execute_script((frontend / "node_modules/axe-core/axe.min.js").read_text())
    run = "axe.run().then((found) => arguments[0](found.violations.map((v) => [v.id, v.nodes.map((n) => n.html)])))"
    return browser.driver.execute_async_script(run)
