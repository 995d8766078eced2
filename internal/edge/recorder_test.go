package edge

import (
	"net/http"
	"strconv"
	"time"
)

var noTime time.Time

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// recorder is a ResponseWriter that counts and forgets.
type recorder struct {
	header http.Header
	status int
	bytes  int
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }
func (r *recorder) Write(b []byte) (int, error) {
	r.bytes += len(b)
	return len(b), nil
}
