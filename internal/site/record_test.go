package site

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestRecordsAreTheSameAfterEncoding(t *testing.T) {
	at := time.Unix(1_700_000_000, 5000).UTC()
	for _, v := range []any{
		&Route{Host: "a.b", Project: "p", Deployment: "d", Environment: Preview, Generation: 1 << 60, PublishedAt: at},
		&Project{ID: "p", Name: `","sum":"`, State: ProjectSuspended, Generation: 3},
		&Head{Seq: 2, Changes: []Change{{Host: "a", Generation: 1}, {Project: "p", Generation: 2}}},
		&Head{},
	} {
		b, err := EncodeRecord(v)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, encoded := range [][]byte{b, plain} {
			again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := DecodeRecord(encoded, again); err != nil || !reflect.DeepEqual(v, again) {
				t.Errorf("%s\nis %+v, %v", encoded, again, err)
			}
			if !json.Valid(encoded) {
				t.Errorf("not JSON: %s", encoded)
			}
		}
	}
}

// TestDamagedRecordsAreRefused changes every byte of a record, and cuts it
// everywhere: it is refused, or it says the same.
func TestDamagedRecordsAreRefused(t *testing.T) {
	want := Project{ID: "p", Name: "n", State: ProjectActive, Generation: 3, Access: &Access{Scope: AccessAll, PasswordHash: "$argon2id$", CookieKey: []byte{0, 1, 255}}}
	b, err := EncodeRecord(want)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		for bit := range 8 {
			damaged := bytes.Clone(b)
			damaged[i] ^= 1 << bit
			var got Project
			if err := DecodeRecord(damaged, &got); err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("bit %d of byte %d: %s is %+v", bit, i, damaged, got)
			}
		}
		var got Project
		if DecodeRecord(b[:i], &got) == nil {
			t.Errorf("cut at %d: %+v", i, got)
		}
	}
}
