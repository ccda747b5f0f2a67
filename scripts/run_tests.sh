#!/usr/bin/env bash
# Runs pytest with its output in sight. Arguments go to pytest.
# A run in which nothing ran has proved nothing: it fails (pytest's exit 5 stays a failure, in words).
set -uo pipefail
cd "$(dirname "$0")/.."

# Most tests wait for other processes: one more at once than there are cores. A file's tests stay
# together, since they share servers.
.venv/bin/python -m pytest -n "$(($(nproc) + 1))" --dist loadfile "$@"
status=$?
if [ "$status" -eq 5 ]; then
  echo "no test was collected: nothing was tested" >&2
fi
exit "$status"
