#!/usr/bin/env bash
# Writes the secrets that compose.yaml hands to its services: random ones, once; what is there stays.
# The folder is for its owner alone; the files in it must be readable for the services' own users.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

write() { # name, content
  if [ ! -e "secrets/$1" ]; then
    printf '%s\n' "$2" >"secrets/$1"
    chmod 444 "secrets/$1"
    echo "made deploy/compose/secrets/$1"
  fi
}

write postgres_password "$(random)"
write ledger_url "postgresql+psycopg://router:$(cat secrets/postgres_password)@postgres/router"
if [ ! -e secrets/broker_url ]; then
  password=$(random)
  write rabbitmq_conf "default_user = router
default_pass = $password"
  write broker_url "amqp://router:$password@rabbitmq/"
fi
write grafana_password "$(random)"
