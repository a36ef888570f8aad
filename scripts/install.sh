#!/usr/bin/env bash
# Builds .venv: `install.sh runtime` for the server, `install.sh dev` for the tests besides.
# Needs python3 (3.11 or later) with its venv module, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-runtime}
python=${PYTHON:-python3}
say() { printf '\033[1m%s\033[0m\n' "$*"; }

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Openstage needs Python 3.11 or later; $python is $("$python" --version 2>&1)." >&2
  exit 1
fi
# Programs in .venv hold the folder's path in their first lines.
if [ -s .venv/.installed ] && [ "$(cat .venv/.installed)" != "$(pwd -P)" ]; then
  say "The folder was moved: making the environment anew."
  rm -rf .venv
fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2
    exit 1
  fi
  say "Making the environment (.venv) …"
  "$python" -m venv .venv
fi
# `python -m pip`, not bin/pip: the latter's first line can't hold a path with spaces.
pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
say "Installing pinned packages ($what) …"
"${pip[@]}" install --require-hashes -r "requirements/$what.txt"
if [ "$what" = runtime ]; then
  say "Building Openstage …"
  # Node.js comes with certificates of its own; behind a company's proxy only the machine's will do.
  export NODE_USE_SYSTEM_CA=1
  "${pip[@]}" install --no-deps --no-build-isolation --editable .
  pwd -P >.venv/.installed
else
  touch .venv/.installed-dev
fi
