#!/bin/sh
# Makes the two buckets at versitygw and their keys: the control plane's writes
# sites, the edge's reads sites and writes certificates. What is there already
# stays; a key gets the secret that .env has now.
set -eu
PATH=$PATH:/app:/usr/local/bin
url=$ADMIN_ENDPOINT_URL
admin() { versitygw admin --endpoint-url "$url" "$@"; }

user() {
  if ! said=$(admin create-user --access "$1" --secret "$2" --role user 2>&1); then
    case $said in
      *XAdminUserExists*) admin update-user --access "$1" --secret "$2" ;;
      *) echo "$said" >&2; exit 1 ;;
    esac
  fi
}
bucket() {
  if ! said=$(admin create-bucket "$@" 2>&1); then
    case $said in
      *BucketAlreadyOwnedByYou* | *BucketAlreadyExists*) ;;
      *) echo "$said" >&2; exit 1 ;;
    esac
  fi
}
user controlplane "$S3_CONTROLPLANE_SECRET"
user edge "$S3_EDGE_SECRET"
bucket --bucket sites --owner controlplane --object-ownership BucketOwnerPreferred --grant-read edge
bucket --bucket certificates --owner edge
echo "the buckets sites and certificates are there"
