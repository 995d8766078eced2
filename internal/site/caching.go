package site

// The values of Cache-Control that an edge sends by itself.
const (
	CacheRevalidate = "public, max-age=0, must-revalidate"
	CacheImmutable  = "public, max-age=31536000, immutable" // where the bytes at a path never change
	CacheNever      = "no-store"                            // errors, and what is not found
	CachePrivate    = "private, no-cache"                   // behind a password
)
