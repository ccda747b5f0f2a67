#!/usr/bin/env bash
# Installs the other makers' DICOM programs that the tests talk to. `make test` calls it; a second run costs nothing.
# Where it cannot (no apt, no rights, no network) the tests of that peer are skipped and say why;
# with CI set it fails instead, since a peer that is not there has not been tested.
set -euo pipefail
cd "$(dirname "$0")/.."

DCMJS_DIMSE=0.3.3

# command that proves it : Debian package that brings it
wanted=(
  storescu:dcmtk
  Orthanc:orthanc
  send_image:ctn
  tshark:tshark
  openssl:openssl
  node:nodejs
  npm:npm
)

failed() {
  echo "$1" >&2
  if [ "${CI:-}" = true ]; then exit 1; fi
}

missing=()
for pair in "${wanted[@]}"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
  scripts/apt_install.sh "${missing[@]}" || failed "peers not installed: ${missing[*]}"
fi

folder=.peers/dcmjs-dimse
if [ "$(cat "$folder/.version" 2>/dev/null)" != "$DCMJS_DIMSE" ] && command -v npm >/dev/null; then
  echo "installing dcmjs-dimse $DCMJS_DIMSE into $folder"
  mkdir -p "$folder"
  if npm install --prefix "$folder" --no-save --no-package-lock --no-audit --no-fund --silent \
    "dcmjs-dimse@$DCMJS_DIMSE"; then
    echo "$DCMJS_DIMSE" >"$folder/.version"
  else
    failed "dcmjs-dimse was not installed"
  fi
fi
