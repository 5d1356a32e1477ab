#!/bin/sh
# Makes the virtual environment that foolbox, torchattacks and ART share with Robustify's library part.
# Usage: benchmarks/make_peers.sh [directory, .venv-peers by default]
set -eu
cd "$(dirname "$0")/.."
place=${1:-.venv-peers}
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
"$python" -m venv "$place"
# git and ruff leave the environment alone
echo "*" >"$place/.gitignore"
"$place/bin/pip" install --no-deps -r benchmarks/requirements-peers.lock
"$place/bin/pip" install --no-deps --no-build-isolation -e .
