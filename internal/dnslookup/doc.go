// Package dnslookup asks a DNS resolver about names, and tells what does not
// exist from what could not be found out. The system's own look-up functions
// blur the two, read /etc/hosts, and hide the aliases on the way.
package dnslookup
