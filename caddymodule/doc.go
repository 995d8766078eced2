// Package caddymodule makes an edge of Caddy: the app that follows a bucket,
// the handler that answers requests from it, and their Caddyfile syntax. It is
// a thin adapter on package edge.
//
// [Start] runs an edge in this process, [Config] is the configuration that it
// runs.
package caddymodule
