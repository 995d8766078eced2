#!/bin/sh
# Builds bin/caddy: Caddy with this repository's module inside, for edges that
# run Caddy itself instead of `mini-vercel edge`. The Caddyfile beside this
# script is its configuration. More plug-ins can be named as xcaddy does:
#
#   ./xcaddy.sh --with github.com/caddy-dns/cloudflare
set -eu
cd "$(dirname "$0")"

caddy_version=$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
# The module is taken from this directory and must not be looked for elsewhere:
# whatever proxies are set, what they don't have is not fetched from its host.
proxy=$(go env GOPROXY)
case $proxy in
  *off) ;;
  *direct) proxy=${proxy%direct}off ;;
  *) proxy="$proxy|off" ;;
esac
GOPROXY=$(printf %s "$proxy" | sed 's/,off$/|off/') ; export GOPROXY

mkdir -p bin
go tool xcaddy build "$caddy_version" --output bin/caddy \
  --with github.com/mini-vercel/mini-vercel/caddymodule@v0.0.0 \
  --replace "github.com/mini-vercel/mini-vercel=$PWD" "$@"
bin/caddy list-modules | grep -q '^http.handlers.mini_vercel$'
echo "bin/caddy $(bin/caddy version)"
