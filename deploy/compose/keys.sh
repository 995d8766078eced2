#!/bin/sh
# Writes the keys of the control plane and the edge where versitygw keeps them,
# before it starts, and again with every new secret of .env, which it reads within
# two minutes. Its own command takes secrets as arguments, which everybody on the
# machine sees in the list of processes; here they stay in the shell. Keys that
# somebody else has made at the service are gone: make them here.
set -eu
umask 077
file=${1:-/iam/users.json}
key() {
  case $2 in
    '' | *[!A-Za-z0-9+/=_-]*)
      echo "the secret of the key $1 is empty, or has characters other than letters, digits and +/=_-" >&2
      exit 1
      ;;
  esac
  printf '"%s":{"access":"%s","secret":"%s","role":"user","userID":0,"groupID":0,"projectID":0}' "$1" "$1" "$2"
}
{
  printf '{"accessAccounts":{'
  key controlplane "$S3_CONTROLPLANE_SECRET"
  printf ,
  key edge "$S3_EDGE_SECRET"
  printf '}}\n'
} >"$file.new"
mv "$file.new" "$file"
echo "the keys controlplane and edge are written"
