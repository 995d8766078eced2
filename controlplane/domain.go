package controlplane

import "time"

// Domain is a custom hostname of a project. It is verified before it routes,
// and stops to route when its DNS records have been gone for a week.
type Domain struct {
	Host       string      `json:"host"`    // in ASCII, as DNS has it
	Unicode    string      `json:"unicode"` // as people write it
	URL        string      `json:"url"`
	RedirectTo string      `json:"redirectTo,omitempty"` // another domain of the project that answers instead
	State      DomainState `json:"state"`
	Detail     string      `json:"detail"`  // the state in words, and what to do
	Primary    bool        `json:"primary"` // the address that the project is shown with
	Records    []DNSRecord `json:"records"` // to set in DNS, and what is there

	Certificate *Certificate `json:"certificate,omitempty"` // where it was asked for

	CreatedAt    time.Time  `json:"createdAt"`
	VerifiedAt   *time.Time `json:"verifiedAt,omitempty"`
	CheckedAt    *time.Time `json:"checkedAt,omitempty"`    // when DNS was asked last
	NextCheckAt  *time.Time `json:"nextCheckAt,omitempty"`  // when it is asked again by itself
	MissingSince *time.Time `json:"missingSince,omitempty"` // since when the records are gone
	StopsAt      *time.Time `json:"stopsAt,omitempty"`      // when it stops to route, if they stay gone
	StoppedAt    *time.Time `json:"stoppedAt,omitempty"`
}

// DomainState says whether a domain routes.
type DomainState string

// The states of a domain.
const (
	DomainPending DomainState = "pending" // not verified: it does not route
	DomainActive  DomainState = "active"  // verified: it routes
	DomainMissing DomainState = "missing" // it routes, but its records are gone
	DomainStopped DomainState = "stopped" // they were gone for too long: it does not route
)

// DomainStates are all of them.
var DomainStates = []DomainState{DomainPending, DomainActive, DomainMissing, DomainStopped}

// missingTime is how long a domain routes whose records are gone.
const missingTime = 7 * 24 * time.Hour

// DNSRecord is a record that a domain needs, and what DNS says.
type DNSRecord struct {
	Type   string      `json:"type"` // TXT, CNAME, A, AAAA, or ALIAS: whatever a provider calls an alias at an apex
	Name   string      `json:"name"` // without final dot
	Value  string      `json:"value"`
	Seen   []string    `json:"seen"` // what is there now
	State  RecordState `json:"state"`
	Detail string      `json:"detail,omitempty"` // the state in words
}

// RecordState compares a record with what DNS says.
type RecordState string

// The states of a record. A failed look-up says nothing about the record.
const (
	RecordUnchecked RecordState = "unchecked"
	RecordFound     RecordState = "found"
	RecordMissing   RecordState = "missing"
	RecordWrong     RecordState = "wrong"
	RecordFailed    RecordState = "failed"
)

// RecordStates are all of them.
var RecordStates = []RecordState{RecordUnchecked, RecordFound, RecordMissing, RecordWrong, RecordFailed}

// DomainInput adds a domain to a project.
type DomainInput struct {
	Host string // as people write it
	// RedirectOther adds the other one of example.com and www.example.com too,
	// which then redirects to this one. With a domain that is there already it
	// adds or turns the redirect alone.
	RedirectOther bool
}

// routed reports whether a domain's host leads to its project.
func (d *DomainRow) routed() bool { return !d.VerifiedAt.IsZero() && d.StoppedAt.IsZero() }

func (d *DomainRow) state() DomainState {
	switch {
	case d.VerifiedAt.IsZero():
		return DomainPending
	case !d.StoppedAt.IsZero():
		return DomainStopped
	case !d.MissingSince.IsZero():
		return DomainMissing
	}
	return DomainActive
}
