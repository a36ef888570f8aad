"""What was measured on, and with what."""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import openstage
from bench.plan import MIB

PACKAGES = ("granian", "starlette", "uvloop", "psycopg", "obstore")


def md5_rate(size: int) -> float:
    """Return hashlib's MD5 rate in bytes per second: one thread, buffers of 1 MiB, `size` bytes."""
    buffer = os.urandom(MIB)
    digest = hashlib.md5(usedforsecurity=False)
    began = time.perf_counter()
    for _ in range(max(size // MIB, 1)):
        digest.update(buffer)
    return max(size // MIB, 1) * MIB / (time.perf_counter() - began)


def describe() -> dict[str, Any]:
    """Machine and versions, for the results file."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1),
        "kernel": platform.release(),
        "system": _system(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            "openstage": openstage.__version__,
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            "commit": _output(["git", "rev-parse", "--short", "HEAD"]),
        },
    }


def cpu_model() -> str:
    """Name of the processor."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def slug(description: dict[str, Any]) -> str:
    """Return a machine's name for a file: processor and cores, never the host's name."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{description['cpu']} {description['cores']} cores".lower())
    return words.strip("-")


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="(.+)"$', Path("/etc/os-release").read_text(), re.MULTILINE)
    return found[1] if found else platform.system()


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
