// Package source fetches what is to be built: a commit of a git repository, or
// an archive. It runs before any isolation and with the builder's rights, so
// nothing of what it fetches is ever run or followed: no hooks, no filters, no
// links, no redirects.
package source
