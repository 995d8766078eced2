package controlplane

import (
	"context"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// Garbage is what a look at all projects found to be no longer needed, or what a
// round removed.
type Garbage struct {
	DryRun    bool             `json:"dryRun"` // nothing was removed
	StartedAt time.Time        `json:"startedAt"`
	EndedAt   time.Time        `json:"endedAt"`
	Projects  []ProjectGarbage `json:"projects"` // those that have any
	Unknown   []UnknownProject `json:"unknown"`  // in the bucket; not looked for in the background
	Objects   int              `json:"objects"`  // of all that goes at once
	Bytes     int64            `json:"bytes"`
	Later     int64            `json:"laterBytes"`         // of what goes when its time has come
	Failures  []string         `json:"failures,omitempty"` // projects that could not be looked at, and why
}

// ProjectGarbage is what goes of one project.
type ProjectGarbage struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	SubDomain   string              `json:"subDomain"`
	Deployments []ExpiredDeployment `json:"deployments"` // they leave every list and host; their files go a day later
	Items       []GarbageItem       `json:"items"`
}

// ExpiredDeployment is a deployment that has outlived its retention.
type ExpiredDeployment struct {
	ID        string    `json:"id"`
	HostID    string    `json:"hostId"`
	Status    Status    `json:"status"`
	Branch    string    `json:"branch,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

// GarbageItem is objects of one kind that go for one reason at one time.
type GarbageItem struct {
	What    GarbageKind `json:"what"`
	Why     string      `json:"why"`
	Objects int         `json:"objects"`
	Bytes   int64       `json:"bytes"`
	At      *time.Time  `json:"at,omitempty"` // none: at once
}

// GarbageKind says what kind of objects go.
type GarbageKind string

// The kinds of objects.
const (
	GarbageBlobs     GarbageKind = "blobs"
	GarbageManifests GarbageKind = "manifests"
	GarbageArchives  GarbageKind = "archives"
	GarbageProject   GarbageKind = "project" // everything of a deleted one
)

// UnknownProject is a project that has objects in the bucket and no row in the
// database. Where the database has its tombstones, it was deleted, and what a
// late upload left goes. Else the database may be the wrong one: nothing goes.
type UnknownProject struct {
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

func newGarbage(now time.Time, dry bool) *Garbage {
	return &Garbage{DryRun: dry, StartedAt: now, Projects: []ProjectGarbage{}, Unknown: []UnknownProject{}}
}

// of returns a project's part of the report.
func (g *Garbage) of(p *ProjectRow) *ProjectGarbage {
	for i := range g.Projects {
		if g.Projects[i].ID == p.ID {
			return &g.Projects[i]
		}
	}
	g.Projects = append(g.Projects, ProjectGarbage{ID: p.ID, Name: p.Name, SubDomain: p.SubDomain, Deployments: []ExpiredDeployment{}, Items: []GarbageItem{}})
	return &g.Projects[len(g.Projects)-1]
}

// note counts an object that goes at a time; zero: at once.
func (g *Garbage) note(p *ProjectRow, what GarbageKind, why string, info blob.Info, at time.Time) {
	var when *time.Time
	if at.IsZero() {
		g.Objects++
		g.Bytes += info.Size
	} else {
		g.Later += info.Size
		at = at.UTC().Truncate(time.Hour).Add(time.Hour) // objects of one time are one line
		when = &at
	}
	items := &g.of(p).Items
	for i := range *items {
		item := &(*items)[i]
		if item.What == what && item.Why == why && (item.At == nil) == (when == nil) && (when == nil || item.At.Equal(*when)) {
			item.Objects++
			item.Bytes += info.Size
			return
		}
	}
	*items = append(*items, GarbageItem{What: what, Why: why, Objects: 1, Bytes: info.Size, At: when})
}

// endGarbage keeps the report of a round that removed something.
func (s *Service) endGarbage(ctx context.Context, g *Garbage) error {
	g.EndedAt = s.now()
	if g.DryRun {
		return nil
	}
	expired := 0
	for _, p := range g.Projects {
		expired += len(p.Deployments)
		for _, item := range p.Items {
			if item.At == nil {
				s.metrics.freedObjects.WithLabelValues(string(item.What)).Add(float64(item.Objects))
				s.metrics.freedBytes.WithLabelValues(string(item.What)).Add(float64(item.Bytes))
			}
		}
	}
	if g.Objects == 0 && expired == 0 {
		return nil
	}
	s.log.Info("removed what is no longer needed", "deployments", expired, "objects", g.Objects, "bytes", g.Bytes)
	return s.keepReport(ctx, reportGarbage, g.EndedAt, g)
}
