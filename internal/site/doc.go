// Package site is the contract between the control plane, the builder, the CLI
// and the edges: the objects that are kept in the bucket, the keys they are
// kept under, the messages that travel between builder and control plane, and
// the rules by which a path finds a file.
//
// Everything in the bucket is immutable except three small objects: routes,
// project records, and the head of the change log. A hostname resolves to a
// [Route], the route to a [Project] record and a [Manifest], the manifest to
// blobs, which are named by the sha256 of their bytes.
//
// The package imports the standard library and klauspost's zstd only.
package site
