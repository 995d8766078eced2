#!/bin/sh
# Lays out what an image without a system needs besides the program: the roots
# that certificates are trusted by, a user, and folders for data.
#
#   rootfs.sh DIRECTORY
set -eu
root=$1
mkdir -p "$root/data" "$root/etc/ssl/certs" "$root/tmp"
chmod 1777 "$root/tmp"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'mini-vercel:x:10001:10001::/data:/nonexistent' >"$root/etc/passwd"
echo 'mini-vercel:x:10001:' >"$root/etc/group"
