// Package edge answers the requests of all sites from one bucket.
//
// Its heart is [Edge.Answer], a function from the facts of a [Request] to an
// [Answer]: a status, a head that is prepared once for each file and encoding,
// and a body in chunks. [Answer.Write] brings it to a net/http ResponseWriter.
// The package knows no Caddy, no database and no control plane: everything
// that it serves and learns comes from the bucket.
//
// What is kept in memory, each bounded: routes with their project records (by
// number), hosts that have no route (by number), manifests, prepared pages and
// chunks of files (by bytes). What was asked for once makes room first. Routes,
// project records, manifests and chunks are also kept in a directory, so that
// an edge that starts while the bucket is away still serves what it knew.
//
// A chunk is looked for in memory, on disk, and in the bucket, and no byte of it
// leaves before it has matched its sha256. Clients that want the same chunk
// share one read, and one who reads on has the chunks that follow brought by the
// same read.
package edge
