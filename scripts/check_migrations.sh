#!/usr/bin/env bash
# The migrations must lead to exactly the tables that the models declare.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.venv/bin/alembic -x "url=sqlite:///$folder/ledger.db" upgrade head
.venv/bin/alembic -x "url=sqlite:///$folder/ledger.db" check
