// Package api is the control plane's HTTP interface: typed operations over
// [controlplane.Service] and [controlplane.Accounts], described by the OpenAPI
// document that they make.
//
// Every request passes the same gates in this order: host, sign-in, origin,
// rate, scope. An operation says what it needs of them in its [endpoint].
package api

//go:generate go run ./gen ../../web/openapi.json
