"""The pages' scripts are those of the source tree: they are built before the tests when they aren't up to date."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.browser import browse

__all__ = ["browse"]

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
