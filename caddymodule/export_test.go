package caddymodule

// Closed waits until everything that is ending has ended.
var Closed = closed
