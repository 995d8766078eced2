package site

import (
	"encoding/json"
	"time"
)

// EventVersion is the version of [Event] that this code writes.
const EventVersion = 1

// EventType says what a builder reports.
type EventType string

// The types of events. Only these, and never the text of a log, change the
// state of a deployment.
const (
	EventStarted   EventType = "started"
	EventPhase     EventType = "phase"     // a phase has begun
	EventHeartbeat EventType = "heartbeat" // every ten seconds
	EventLog       EventType = "log"       // lines
	EventSource    EventType = "source"    // facts of the commit, the detected framework
	EventDetected  EventType = "detected"  // the result of a detection
	EventFailed    EventType = "failed"    // the attempt is over
)

// Phase is a step of a deployment's life.
type Phase string

// The phases, in their order. A deployment of files has upload and publish
// only.
const (
	PhaseClone   Phase = "clone" // or the unpacking of an archive
	PhaseDetect  Phase = "detect"
	PhaseInstall Phase = "install"
	PhaseBuild   Phase = "build"
	PhaseProcess Phase = "process" // hash and compress
	PhaseUpload  Phase = "upload"
	PhasePublish Phase = "publish"
)

// Event is one report of a builder, delivered in batches to
// POST /attempts/{id}/events. Events of one attempt are numbered from 1; a log
// event takes as many numbers as it has lines. They are deduplicated by
// (deployment, attempt, number).
type Event struct {
	Version    int        `json:"v"`
	Deployment string     `json:"deployment"`
	Attempt    int        `json:"attempt"`
	Seq        int64      `json:"seq"` // of the event; of its first line for a log event
	Time       time.Time  `json:"time"`
	Type       EventType  `json:"type"`
	Phase      Phase      `json:"phase,omitempty"`    // of phase, log and failed
	Lines      []LogLine  `json:"lines,omitempty"`    // of log
	Reason     string     `json:"reason,omitempty"`   // of failed: a sentence for a person
	Source     *Source    `json:"source,omitempty"`   // of source
	Detected   *Detection `json:"detected,omitempty"` // of detected
}

// Stream says where a log line came from.
type Stream string

// The streams of log lines.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
	System Stream = "system" // written by Mini-Vercel itself
)

// LogLine is one line of a build's output: valid UTF-8 without the final line
// break, at most as long as the job's limit.
type LogLine struct {
	Time   time.Time `json:"time"`
	Stream Stream    `json:"stream"`
	Text   string    `json:"text"`
}

// Numbers returns how many sequence numbers the event takes.
func (e *Event) Numbers() int64 {
	if e.Type == EventLog {
		return int64(len(e.Lines))
	}
	return 1
}

// DecodeEvents reads a batch of events as builders send it: a JSON array.
func DecodeEvents(body []byte) ([]Event, error) {
	var events []Event
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, err
	}
	return events, nil
}
