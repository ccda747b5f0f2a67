#!/usr/bin/env bash
# The migrations must lead to exactly the tables that the models declare.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DICOM_ROUTER_LEDGER="sqlite:///$folder/ledger.db"
.venv/bin/alembic upgrade head
.venv/bin/alembic check
