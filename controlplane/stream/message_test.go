package stream

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

var ref = controlplane.LogRef{Deployment: "d", Created: time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)}

// logEvent has one line for each size of text.
func logEvent(sizes ...int) site.Event {
	e := site.Event{Version: 1, Deployment: "d", Attempt: 1, Seq: 7, Time: ref.Created, Type: site.EventLog, Phase: site.PhaseBuild}
	for _, size := range sizes {
		e.Lines = append(e.Lines, site.LogLine{Time: ref.Created, Stream: site.Stderr, Text: strings.Repeat("x", size)})
	}
	return e
}

// decoded reads records back as one event each.
func decoded(t *testing.T, records []record) (events []site.Event) {
	t.Helper()
	for _, r := range records {
		m := &message{key: r.key, value: r.value, headers: r.headers}
		log, e, err := m.decode()
		if err != nil || log != ref {
			t.Fatalf("%+v %v", log, err)
		}
		events = append(events, *e)
	}
	return events
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	want := []site.Event{
		logEvent(0, 3),
		{Version: 1, Deployment: "d", Attempt: 2, Seq: 1, Time: ref.Created, Type: site.EventStarted},
		{Version: 1, Deployment: "d", Attempt: 2, Seq: 2, Time: ref.Created, Type: site.EventSource, Source: &site.Source{Commit: "c", BuiltAt: ref.Created}},
		{Version: 1, Deployment: "d", Attempt: 2, Seq: 3, Time: ref.Created, Type: site.EventFailed, Phase: site.PhaseBuild, Reason: "<broken> & \u2028"},
	}
	records, err := encode(ref, want, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := decoded(t, records); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(string(records[3].value), "u003c") {
		t.Errorf("angle brackets are escaped: %s", records[3].value)
	}
}

func TestLargeEventsBecomeSeveral(t *testing.T) {
	whole := func(e site.Event) int {
		b, _ := json.Marshal(&e)
		r := record{key: []byte("d"), value: b, headers: mustEncode(t, e)[0].headers}
		return r.size()
	}
	for _, sizes := range [][]int{{10, 20, 30}, {1000, 0, 0, 0, 0, 0, 0, 1000}, make([]int, 1001)} {
		e := logEvent(sizes...)
		for name, row := range map[string]struct{ most, least, records int }{
			"below": {whole(e) + 1, 1, 1}, "at": {whole(e), 1, 1}, "above": {whole(e) - 1, 2, 2}, "far above": {whole(logEvent(1000)) + 10, 1, len(sizes)},
		} {
			records, err := encode(ref, []site.Event{e}, row.most)
			if err != nil || len(records) < row.least || len(records) > row.records {
				t.Fatalf("%s: %d records, %v", name, len(records), err)
			}
			var lines []site.LogLine
			for i, part := range decoded(t, records) {
				if part.Seq != e.Seq+int64(len(lines)) || records[i].size() > row.most {
					t.Errorf("%s: part %d begins with %d and has %d bytes", name, i, part.Seq, records[i].size())
				}
				lines = append(lines, part.Lines...)
			}
			if !reflect.DeepEqual(lines, e.Lines) {
				t.Errorf("%s: %d lines of %d", name, len(lines), len(e.Lines))
			}
		}
	}
	if _, err := encode(ref, []site.Event{logEvent(1000)}, 1000); err == nil || !strings.Contains(err.Error(), "make the lines of logs shorter") {
		t.Errorf("a line that is too long: %v", err)
	}
}

func mustEncode(t *testing.T, e site.Event) []record {
	t.Helper()
	records, err := encode(ref, []site.Event{e}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// TestTheLongestLineFits checks the bound that the settings have for a line: in
// JSON a control character takes six bytes.
func TestTheLongestLineFits(t *testing.T) {
	e := logEvent(0)
	e.Lines[0].Text = strings.Repeat("\x1b", 128<<10)
	if _, err := encode(ref, []site.Event{e}, maxMessageBytes-writeSlack); err != nil {
		t.Error(err)
	}
}

// TestPartitionsAreJavas compares with what Kafka's own tests expect of murmur2.
func TestPartitionsAreJavas(t *testing.T) {
	k := &Kafka{partitions: 1 << 20}
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got, want := k.partition(key), int(hash&0x7fffffff)%k.partitions; got != want {
			t.Errorf("%q is in %d, not %d", key, got, want)
		}
	}
}

func TestOneMessageWaitsForTheDeadTopicsReturn(t *testing.T) {
	var d deadTopic
	now := ref.Created
	for _, row := range []struct {
		name            string
		after           time.Duration
		once, patiently bool
		works           bool
	}{
		{"it works", 0, true, true, true},
		{"it fails", 0, true, true, false},
		{"it rests", deadRest - 1, false, false, false},
		{"it is tried once", 1, true, false, false},
		{"it rests again", deadRest - 1, false, false, false},
		{"it is back", 1, true, false, true},
		{"it works again", 0, true, true, true},
	} {
		now = now.Add(row.after)
		once, patiently := d.begin(now)
		if once != row.once || patiently != row.patiently {
			t.Fatalf("%s: tried %v, patiently %v", row.name, once, patiently)
		}
		if !once {
			continue
		}
		if other, _ := d.begin(now); !patiently && other {
			t.Errorf("%s: two try", row.name)
		}
		d.ended(now, row.works)
	}
}
