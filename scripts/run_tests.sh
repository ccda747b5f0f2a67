#!/usr/bin/env bash
# Runs pytest with its output in sight. Arguments go to pytest.
# A run in which nothing ran has proved nothing: it fails (pytest's exit 5 stays a failure, in words).
set -uo pipefail
cd "$(dirname "$0")/.."

# Hundreds of processes start from these sources: none compiles them anew, whatever the environment
# says.
unset PYTHONDONTWRITEBYTECODE

# Most tests wait for other processes: two more at once than there are cores. A file's tests stay
# together, since they share servers. Files go in their order, not by their count of tests: the
# long ones have few, and whoever began with one at the end would be waited for.
.venv/bin/python -m pytest -n "$(($(nproc) + 2))" --dist loadfile --no-loadscope-reorder "$@"
status=$?
if [ "$status" -eq 5 ]; then
  echo "no test was collected: nothing was tested" >&2
fi
exit "$status"
