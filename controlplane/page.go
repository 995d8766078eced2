package controlplane

import "strconv"

// read returns the page's limit, and the seq that its items are older than.
func (p Page) read() (limit int, before int64, err error) {
	if limit = p.Limit; limit <= 0 {
		limit = 50
	}
	limit = min(limit, 100)
	if p.Cursor == "" {
		return limit, 0, nil
	}
	before, err = strconv.ParseInt(p.Cursor, 36, 64)
	if err != nil || before <= 0 {
		return 0, 0, Invalid("cursor", "This is not a cursor of this list.")
	}
	return limit, before, nil
}

// pageCursor names the place in a list behind the item with that seq.
func pageCursor(seq int64) string { return strconv.FormatInt(seq, 36) }
