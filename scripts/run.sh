#!/usr/bin/env bash
# What `make run` does once all is installed: says what to type next, then becomes the router.
set -euo pipefail
cd "$(dirname "$0")/.."
site=${1:-examples/default/site.yaml}

mkdir -p var
if [ "$site" = examples/default/site.yaml ]; then
  [ -d var/samples ] || .venv/bin/python scripts/make_samples.py var/samples
  cat <<'NEXT'

When it says `ready`, see objects go through. In another terminal, in this folder:

  export DICOM_ROUTER_CONFIG=examples/default/site.yaml PATH="$PWD/.venv/bin:$PATH"
  dicom-router send var/samples --to 127.0.0.1:11112 --as CT01 --called ROUTER
  dicom-router queue             # what is owed to whom
  dicom-router trace A0001       # what became of them, and why (here by accession number)
  find var/received -name '*.dcm'

Ctrl-C stops the router.

NEXT
fi
exec .venv/bin/dicom-router run --config "$site"
