package site

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestEventsAreTheSameAfterJSON(t *testing.T) {
	at := time.Unix(1_700_000_000, 5000).UTC()
	events := []Event{
		{Version: EventVersion, Deployment: "d", Attempt: 2, Seq: 1, Time: at, Type: EventStarted},
		{Version: EventVersion, Deployment: "d", Attempt: 2, Seq: 2, Time: at, Type: EventPhase, Phase: PhaseBuild},
		{Version: EventVersion, Deployment: "d", Attempt: 2, Seq: 3, Time: at, Type: EventLog, Phase: PhaseBuild, Lines: []LogLine{{Time: at, Stream: Stderr, Text: "a \x1b[31m \u2028 </script>"}, {Time: at}}},
		{Version: EventVersion, Deployment: "d", Attempt: 2, Seq: 5, Time: at, Type: EventSource, Source: &Source{Commit: "c", BuiltAt: at}},
		{Version: EventVersion, Deployment: "d", Attempt: 2, Seq: 6, Time: at, Type: EventDetected, Detected: &Detection{Framework: "vite"}},
		{Version: EventVersion, Deployment: "d", Attempt: 2, Seq: 7, Time: at, Type: EventFailed, Reason: "out of memory"},
	}
	b, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeEvents(b)
	if err != nil || !reflect.DeepEqual(events, again) {
		t.Errorf("%s\nis %+v, %v", b, again, err)
	}
	next := int64(1)
	for _, e := range events {
		if e.Seq != next {
			t.Errorf("%s has number %d, want %d", e.Type, e.Seq, next)
		}
		next += e.Numbers()
	}
}

func TestDecodeEventsRefuses(t *testing.T) {
	for _, body := range []string{"", "{}", "1", `"x"`, "[", "[1]", `[{"seq":"1"}]`, `[{"seq":1.5}]`, "[] []", `[{"attempt":99999999999999999999}]`, "\xff"} {
		if events, err := DecodeEvents([]byte(body)); err == nil {
			t.Errorf("%q: %+v", body, events)
		}
	}
	for _, body := range []string{"[]", "null"} {
		if events, err := DecodeEvents([]byte(body)); err != nil || len(events) != 0 {
			t.Errorf("%q: %+v, %v", body, events, err)
		}
	}
}

func FuzzDecodeEvents(f *testing.F) {
	for _, s := range []string{
		`[]`, `[null]`, `[{"v":1,"deployment":"d","attempt":1,"seq":1,"type":"started"}]`,
		`[{"type":"log","seq":2,"lines":[{"time":"2026-01-01T00:00:00Z","stream":"stdout","text":"a\u0000b"}]}]`,
		`[{"type":"failed","reason":"x","phase":"build"},{"type":"detected","detected":{"branches":["a"]}}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := DecodeEvents(body)
		if err != nil {
			return
		}
		for i := range events {
			if n := events[i].Numbers(); n < 0 {
				t.Fatalf("an event takes %d numbers", n)
			}
		}
		b, err := json.Marshal(events)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeEvents(b)
		if err != nil {
			t.Fatalf("what was decoded can't be decoded again: %v", err)
		}
		b2, err := json.Marshal(again)
		if err != nil || string(b) != string(b2) {
			t.Fatalf("other events after a round trip, %v:\n%s\n%s", err, b, b2)
		}
	})
}
