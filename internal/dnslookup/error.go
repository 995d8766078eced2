package dnslookup

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"
)

// Outcome is what a look-up came to. It is bounded, so it may label a metric.
type Outcome string

// The outcomes.
const (
	Found       Outcome = "found"
	Missing     Outcome = "missing"     // no such name: NXDOMAIN
	Empty       Outcome = "empty"       // the name has no record of that type
	Failed      Outcome = "failed"      // the resolver could not find out: SERVFAIL
	Refused     Outcome = "refused"     // the resolver does not want to say
	TimedOut    Outcome = "timeout"     // no answer in time
	Unreachable Outcome = "unreachable" // no resolver, or an answer that is none
)

// Error says why a look-up has no result.
type Error struct {
	Name    string
	Type    string // of the record
	Outcome Outcome
	Err     error // of the network; none where the resolver answered
}

// Absent reports whether it is certain that there is no such record. Of every
// other error the opposite may be true.
func (e *Error) Absent() bool { return e.Outcome == Missing || e.Outcome == Empty }

func (e *Error) Error() string {
	text := fmt.Sprintf("look up %s of %s: %s", e.Type, e.Name, e.Outcome)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Sentence says it to a person.
func (e *Error) Sentence() string {
	switch e.Outcome {
	case Missing, Empty:
		return "There is no such record."
	case Failed:
		return "The name's DNS servers gave no valid answer (SERVFAIL). They may be down or misconfigured."
	case Refused:
		return "The DNS resolver refused to answer."
	case TimedOut:
		return "DNS did not answer in time."
	}
	return "The DNS resolver of this server can't be reached."
}

func outcomeOf(answer *dns.Msg, err error) Outcome {
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return TimedOut
	case err != nil:
		return Unreachable
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
		if len(answer.Answer) == 0 {
			return Empty
		}
		return Found
	case dns.RcodeNameError:
		return Missing
	case dns.RcodeRefused:
		return Refused
	}
	return Failed
}
