#!/usr/bin/env bash
# Runs pytest with its output in sight. Arguments go to pytest.
# A run in which nothing ran has proved nothing: it fails (pytest's exit 5 stays a failure, in words).
set -uo pipefail
cd "$(dirname "$0")/.."

.venv/bin/python -m pytest "$@"
status=$?
if [ "$status" -eq 5 ]; then
  echo "no test was collected: nothing was tested" >&2
fi
exit "$status"
