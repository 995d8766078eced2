package edge

import "net/http"

// hint names what a page preloads before the page is fetched, RFC 8297. Browsers
// heed that where they open a page, and clients of HTTP/1.1 may take the 103 for
// the answer.
func (e *Edge) hint(q *Request, g *page) {
	if q.Early == nil || q.ProtoMajor < 2 || q.Method != http.MethodGet || q.SecFetchDest != "document" || field(q.Header, "Sec-Fetch-Mode") != "navigate" {
		return
	}
	h := q.Early.Header()
	before, had := h["Link"]
	h["Link"] = g.hints
	q.Early.WriteHeader(http.StatusEarlyHints)
	if delete(h, "Link"); had {
		h["Link"] = before
	}
	e.metrics.hints.Inc()
}
