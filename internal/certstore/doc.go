// Package certstore keeps an edge fleet's certificates, their private keys and
// its ACME accounts in a bucket that all edges share. It is a certmagic.Storage.
//
//	values/<key>~   one value, encrypted
//	locks/<name>    one lock that some edge holds
//	check           tells a wrong secret at the start
//
// Values are encrypted with a key that the bucket never sees, and are bound to
// their names: the bucket's keeper can neither read them nor swap them. Edges
// agree on who orders a certificate by conditional writes alone, without
// comparing clocks. A copy of what an edge has read stays on its disk, as
// encrypted as in the bucket, so that HTTPS goes on while the bucket is away.
package certstore
