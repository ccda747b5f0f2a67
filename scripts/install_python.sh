#!/usr/bin/env bash
# Makes .venv and installs the project into it: `run` for what it needs to run, `dev` for tests too.
# On Debian and Ubuntu it fetches a missing venv module or a missing Python with apt.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-dev}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

if [ ! -x .venv/bin/python ] || [ ! -x .venv/bin/pip ]; then
  if ! python=$(find_python); then
    scripts/apt_install.sh python3 python3-venv
    python=$(find_python) || { echo "dicom-router needs Python 3.11 or newer; found none" >&2; exit 1; }
  fi
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')
    scripts/apt_install.sh "$version-venv" || scripts/apt_install.sh python3-venv
  fi
  echo "making .venv with $("$python" --version)"
  "$python" -m venv .venv
fi

what=.
if [ "$kind" = dev ]; then what='.[dev]'; fi
echo "installing $what into .venv"
.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e "$what"
touch ".venv/.$kind"
# The development set holds all that running needs.
if [ "$kind" = dev ]; then touch .venv/.run; fi
