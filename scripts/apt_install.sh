#!/usr/bin/env bash
# Installs Debian or Ubuntu packages, as root or with sudo, and says plainly when it cannot.
set -euo pipefail

if ! command -v apt-get >/dev/null; then
  echo "no apt-get here; install by hand: $*" >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "neither root nor sudo; install by hand: $*" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# RUNLEVEL=1: a package that brings a service (Orthanc) must not start it here.
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 "$@"; }

echo "installing $* with apt-get"
# A package list that is there already saves the update; a stale or missing one fails the first try.
if ! apt install -qq -y --no-install-recommends "$@" >/dev/null 2>&1; then
  apt update -qq >/dev/null
  apt install -qq -y --no-install-recommends "$@" >/dev/null
fi
