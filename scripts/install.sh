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
if [ ! -x .venv/bin/python ]; then
  say "Making the environment (.venv) …"
  if ! "$python" -m venv .venv; then
    rm -rf .venv
    echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2
    exit 1
  fi
fi
# `python -m pip`, not bin/pip: the latter's first line can't hold a path with spaces.
pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
say "Installing pinned packages ($what) …"
"${pip[@]}" install --require-hashes -r "requirements/$what.txt"
if [ "$what" = runtime ]; then
  say "Building Openstage …"
  "${pip[@]}" install --no-deps --no-build-isolation --editable .
  touch .venv/.installed
else
  touch .venv/.installed-dev
fi
