package site

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrRecordSum: the bytes of a record are not those that were written.
var ErrRecordSum = errors.New("the record does not match its sum")

const (
	sumField = `,"sum":"`
	sumEnd   = `"}`
	sumBytes = 16
)

// EncodeRecord writes a [Route], a [Project] or a [Head] as JSON. Its last field
// is a sum of the bytes before it, so that a damaged record is not taken for a
// route that leads elsewhere or for a project without protection.
func EncodeRecord(record any) ([]byte, error) {
	b, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	b = b[:len(b)-1] // the closing brace
	sum := HashOf(b)
	b = append(b, sumField...)
	b = hex.AppendEncode(b, sum[:sumBytes])
	return append(b, sumEnd...), nil
}

// DecodeRecord reads what EncodeRecord wrote; [ErrRecordSum] where it was
// damaged. JSON without a sum is read as it is.
func DecodeRecord(b []byte, record any) error {
	if at := bytes.LastIndex(b, []byte(sumField)); at >= 0 {
		sum := HashOf(b[:at])
		want := hex.AppendEncode(nil, sum[:sumBytes])
		if !bytes.Equal(b[at+len(sumField):], append(want, sumEnd...)) {
			return ErrRecordSum
		}
	}
	if err := json.Unmarshal(b, record); err != nil {
		return fmt.Errorf("not a record: %w", err)
	}
	return nil
}
