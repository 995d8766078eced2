package edge

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// serve answers with a page: negotiation, conditions, ranges (RFC 9110 sections
// 12, 13 and 14), then its bytes.
func (e *Edge) serve(ctx context.Context, q *Request, a *Answer, g *page) {
	v := g.variants[site.Identity]
	outcome := rangesIgnored
	var ranges []byteRange
	if q.Range != "" && q.Method == http.MethodGet && site.AcceptsIdentity(q.AcceptEncoding) {
		ranges, outcome = parseRanges(q.Range, v.blob.Size, nil)
	}
	if outcome == rangesIgnored && q.AcceptEncoding != "" {
		encoding, ok := site.Negotiate(q.AcceptEncoding, g.has)
		if !ok {
			a.notice(q, noticeEncoding)
			return
		}
		v = g.variants[encoding]
	}
	if q.IfMatch != "" && !matchesETag(q.IfMatch, v.etag, false) {
		a.notice(q, noticePrecondition)
		return
	}
	if q.IfNoneMatch != "" && matchesETag(q.IfNoneMatch, v.etag, true) {
		a.Status, a.Head, a.ownTiming = http.StatusNotModified, v.notModified, g.ownTiming
		return
	}
	a.Status, a.Head, a.page, a.from, a.ownTiming = http.StatusOK, v.ok, g, v, g.ownTiming
	switch {
	case outcome == rangesIgnored, q.IfRange != "" && strings.Trim(q.IfRange, " \t") != v.etag:
		a.whole = true
	case outcome == rangesUnsatisfiable:
		a.page, a.from, a.ownTiming = nil, nil, false
		a.notice(q, noticeRange)
		a.Extra = []Field{{"Content-Range", one("bytes */" + strconv.FormatInt(v.blob.Size, 10))}}
		return
	default:
		a.cut(ranges)
	}
	if g.hints != nil && a.whole {
		e.hint(q, g)
	}
	e.firstChunk(ctx, q, a)
}

// firstChunk fetches the bytes that the body begins with, so that an answer
// whose bytes can't be had is a 502 and not a torn 200. For HEAD it only tells
// how far away they are.
func (e *Edge) firstChunk(ctx context.Context, q *Request, a *Answer) {
	if a.from.blob.Size == 0 {
		a.whole = false
		return
	}
	if q.Method == http.MethodHead {
		a.whole = false
		a.Result = max(a.Result, e.chunks.where(a.page, a.from, 0))
		return
	}
	n, last := 0, a.from.chunkAt(a.from.blob.Size-1)
	key := a.from.chunk
	if !a.whole {
		first := a.parts[0].bytes
		last = a.from.chunkAt(first.start + first.length - 1)
		if n = a.from.chunkAt(first.start); n > 0 {
			key = a.from.chunkKey(a.page, n)
		}
	}
	var ok bool
	if a.first, ok = e.chunks.held(a.from).get(key); ok {
		return
	}
	if e.chunks.isLarge(a.from) && e.chunks.disk.canOpen(key, a.from.span(a.page, n).length) {
		a.Result = max(a.Result, ResultDisk)
		return
	}
	first, err := e.chunks.fetch(ctx, a.page, a.from, n, last)
	if err != nil {
		*a = Answer{edge: a.edge, view: a.view, began: a.began, Noindex: a.Noindex, Private: a.Private}
		e.failed(q, a, err)
		return
	}
	a.first, a.Result = first.value, max(a.Result, first.from)
}

// cut makes the answer 206: one range as it is, several as a multipart body.
func (a *Answer) cut(ranges []byteRange) {
	total := strconv.FormatInt(a.from.blob.Size, 10)
	a.Status = http.StatusPartialContent
	if len(ranges) == 1 {
		a.parts = []part{{bytes: ranges[0]}}
		a.Extra = []Field{
			{"Content-Range", one(contentRange(ranges[0], total))},
			{"Content-Length", one(strconv.FormatInt(ranges[0].length, 10))},
		}
		return
	}
	// No file can hold half of its own sha256 between two hyphens.
	boundary := a.from.blob.SHA256.String()[:32]
	length := int64(0)
	for _, r := range ranges {
		text := "\r\n--" + boundary + "\r\nContent-Type: " + a.page.contentType + "\r\nContent-Range: " + contentRange(r, total) + "\r\n\r\n"
		a.parts = append(a.parts, part{text, r})
		length += int64(len(text)) + r.length
	}
	end := "\r\n--" + boundary + "--\r\n"
	a.parts = append(a.parts, part{text: end})
	a.Extra = []Field{
		{"Content-Type", one("multipart/byteranges; boundary=" + boundary)},
		{"Content-Length", one(strconv.FormatInt(length+int64(len(end)), 10))},
	}
}

func contentRange(r byteRange, total string) string {
	return "bytes " + strconv.FormatInt(r.start, 10) + "-" + strconv.FormatInt(r.start+r.length-1, 10) + "/" + total
}
