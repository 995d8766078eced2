#!/bin/sh
# Builds bin/caddy: Caddy with this repository's module inside, for edges that
# run Caddy itself instead of `mini-vercel edge`. The Caddyfile beside this
# script is its configuration. Arguments are more plug-ins, each with a version
# behind an @ where it is not to be the newest:
#
#   ./xcaddy.sh github.com/caddy-dns/cloudflare
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

for plugin; do # each moves from the front of the arguments to their end
  case $plugin in
    -*) echo "xcaddy.sh: $plugin is not a plug-in: name Go packages, such as github.com/caddy-dns/cloudflare" >&2; exit 2 ;;
  esac
  shift
  set -- "$@" --with "$plugin"
done

mkdir -p bin
go tool xcaddy build "$caddy_version" --output bin/caddy \
  --with github.com/mini-vercel/mini-vercel/caddymodule@v0.0.0 \
  --replace "github.com/mini-vercel/mini-vercel=$PWD" "$@"
for module in http.handlers.mini_vercel tls.permission.mini_vercel; do
  bin/caddy list-modules | grep -q "^$module\$"
done
echo "bin/caddy $(bin/caddy version)"
