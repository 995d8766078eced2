#!/bin/sh
# Makes .env with a random secret for every part of compose.yaml, for its owner's
# eyes alone. An .env that is there is left as it is: engines keep the passwords
# that they were first started with.
#
#   sh deploy/compose/secrets.sh [FILE]
set -eu
file=${1:-$(dirname "$0")/../../.env}
if [ -e "$file" ]; then
  echo "$file is there already: remove it only together with the volumes (docker compose down --volumes)" >&2
  exit 1
fi
hex() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
{
  echo "# Secrets of compose.yaml, made by deploy/compose/secrets.sh. MASTER_KEY and"
  echo "# EDGE_SECRET belong in a backup: nobody can make them again."
  for name in POSTGRES_PASSWORD KAFKA_PASSWORD CLICKHOUSE_PASSWORD S3_ROOT_SECRET S3_CONTROLPLANE_SECRET S3_EDGE_SECRET EDGE_SECRET GRAFANA_PASSWORD; do
    echo "$name=$(hex)"
  done
  echo "MASTER_KEY=$(head -c 32 /dev/urandom | base64)"
} >"$file.new"
mv "$file.new" "$file"
echo "made $file" >&2
