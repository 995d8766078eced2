#!/bin/sh
# Lays out what an image without a system needs besides the program: in system
# the roots that certificates are trusted by, a user, and a folder for temporary
# files; in user the folder for data. They are apart because a copy gives an owner
# to what is in a folder, and leaves a folder that is there already as it is.
#
#   rootfs.sh DIRECTORY
set -eu
mkdir -p "$1/user/data"
root=$1/system
mkdir -p "$root/etc/ssl/certs" "$root/tmp"
chmod 1777 "$root/tmp"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'mini-vercel:x:10001:10001::/data:/nonexistent' >"$root/etc/passwd"
echo 'mini-vercel:x:10001:' >"$root/etc/group"
