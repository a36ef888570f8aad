"""Installing builds the pages' scripts, wherever the source tree stands, and says what is wrong when it can't."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from openstage.console.assets import Assets, AssetsMissing
from tests.console.conftest import ROOT, npm


@pytest.fixture
def tree(tmp_path: Path, build_hook: ModuleType) -> Path:
    """A source tree of the pages' scripts at an awkward place, its packages not installed."""
    tree = tmp_path / "开 放 台"
    shutil.copytree(
        ROOT / build_hook.FRONTEND, tree / build_hook.FRONTEND, ignore=shutil.ignore_patterns("node_modules")
    )
    return tree


def test_it_builds_at_an_awkward_place_and_only_when_something_changed(tree: Path, build_hook: ModuleType) -> None:
    (tree / build_hook.FRONTEND / "node_modules").symlink_to(ROOT / build_hook.FRONTEND / "node_modules")
    assert build_hook.build_assets(tree) is True
    assert build_hook.build_assets(tree) is False
    script = tree / build_hook.FRONTEND / "src" / "main.ts"
    script.write_text(script.read_text() + "console.info('changed');\n")
    before = json.loads((tree / build_hook.BUILT / "manifest.json").read_text())
    assert build_hook.build_assets(tree) is True
    after = json.loads((tree / build_hook.BUILT / "manifest.json").read_text())
    assert before["main.ts"] != after["main.ts"]
    assert before["style.css"] == after["style.css"], "what didn't change stays in the browsers' caches"

    # A mistake is shown, and leaves what was built before.
    script.write_text("const = 1;\n")
    with pytest.raises(SystemExit, match=r'main\.ts:1:6[\s\S]*Expected identifier but found "="'):
        build_hook.build_assets(tree)
    assert (tree / build_hook.BUILT / "manifest.json").is_file()


def test_without_the_registry_one_line_says_what_to_do(
    tree: Path, build_hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(SystemExit) as ended:
        build_hook.build_assets(tree)
    message = str(ended.value)
    assert "npm failed" in message
    assert "ECONNREFUSED" in message
    assert "OPENSTAGE_SKIP_ASSETS=1" in message
    assert "\n" not in message


def test_the_client_alone_needs_no_assets(tree: Path, build_hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSTAGE_SKIP_ASSETS", "1")
    hook = build_hook.AssetsHook(str(tree), {}, None, None, str(tree), "wheel")
    hook.initialize("editable", {})
    assert not (tree / build_hook.BUILT).exists()


def test_a_server_without_its_assets_says_so(tmp_path: Path) -> None:
    with pytest.raises(AssetsMissing, match="make install"):
        Assets(tmp_path)


def test_a_wheel_holds_the_assets_and_the_documents(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "openstage/console/static/built/manifest.json" in names
    assert "openstage/console/static/favicon.svg" in names
    assert "openstage/console/templates/watch.html" in names
    assert "openstage/console/docs/quickstart.md" in names
    assert not [name for name in names if "/frontend/" in name or "node_modules" in name]


def test_the_lock_file_names_no_registry_and_holds_digests(build_hook: ModuleType) -> None:
    lock = json.loads((ROOT / build_hook.FRONTEND / "package-lock.json").read_text())
    packages = [package for name, package in lock["packages"].items() if name]
    assert packages
    for package in packages:
        assert "resolved" not in package
        assert package["integrity"].startswith("sha512-")


def test_the_scripts_are_sound_by_their_types(frontend: Path) -> None:
    checked = npm(frontend, "run", "check")
    assert checked.returncode == 0, checked.stdout
