#!/bin/sh
# Makes the two buckets at versitygw, for the keys that keys.sh has written: the
# control plane's writes sites, the edge's reads sites and writes certificates.
# What is there already stays. The administrator's secret is in the environment.
set -eu
PATH=$PATH:/app:/usr/local/bin
bucket() {
  if ! said=$(versitygw admin create-bucket "$@" 2>&1); then
    case $said in
      *BucketAlreadyOwnedByYou* | *BucketAlreadyExists*) ;;
      *) echo "$said" >&2; exit 1 ;;
    esac
  fi
}
bucket --bucket sites --owner controlplane --object-ownership BucketOwnerPreferred --grant-read edge
bucket --bucket certificates --owner edge
echo "the buckets sites and certificates are there"
