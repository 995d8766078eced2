package controlplane

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Recovery says what came back, and what did not.
type Recovery struct {
	Backup      *BackupInfo        `json:"backup,omitempty"` // none: from the bucket alone
	Projects    int                `json:"projects"`         // taken from the bucket
	Deployments int                `json:"deployments"`
	Hosts       int                `json:"hosts"`
	Tombstones  int                `json:"tombstones"`
	Domains     int                `json:"domains"`
	Accounts    []RecoveredAccount `json:"accounts"` // made for owners whom nothing else is known of
	Removed     int                `json:"removed"`  // deployments of the backup that were removed since
	Canceled    int                `json:"canceled"` // deployments of the backup that had not ended
	Losses      []Loss             `json:"losses"`

	ready map[string][]string // deployments whose files should be there, by project
}

// RecoveredAccount is an account that nobody can sign in to, before somebody
// gives it a password.
type RecoveredAccount struct {
	ID       string `json:"id"`
	Email    string `json:"email,omitempty"` // made up; none: the first owner, whom the setup link is for
	Projects int    `json:"projects"`
}

// recovery brings a database up to what the bucket says: of each record the one
// with the higher generation counts. What the bucket alone knows is made anew.
type recovery struct {
	s        *Service
	tx       Tx
	c        *contents
	oneOwner bool
	highest  int64 // generation that was given out, as far as anybody knows
	older    bool  // the database may hold what was removed since
	now      time.Time
	report   *Recovery

	kept       map[string]bool   // projects that the database has now
	owners     map[string]string // by the id in the bucket: the account here
	production map[string]bool   // deployments that a production host leads to
	renewed    []*site.ProjectRecord
}

func (r *recovery) run() error {
	r.kept, r.owners = map[string]bool{}, map[string]string{}
	for _, step := range []func() error{r.accounts, r.rows, r.domains, r.hosts, r.removed, r.follow} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// accounts makes those that own a project and are not there. Where there is no
// account at all, and one owner, that one is the first owner, as a first start
// makes it.
func (r *recovery) accounts() error {
	count := map[string]int{}
	for _, p := range r.c.projects {
		if p.State != projectDeleted {
			count[p.Owner]++
		}
	}
	var missing []string
	for id := range count {
		r.owners[id] = id
		_, err := r.tx.User(id)
		if CodeOf(err) == CodeNotFound {
			missing = append(missing, id)
		} else if err != nil {
			return err
		}
	}
	slices.Sort(missing)
	users, err := r.tx.CountUsers()
	if err != nil {
		return err
	}
	if users == 0 {
		first := &UserRow{User: User{ID: uuid.NewString(), Admin: true, CreatedAt: r.now}}
		if len(missing) == 1 && missing[0] != "" {
			first.ID, missing = missing[0], nil
		}
		if err := r.tx.InsertUser(first); err != nil {
			return err
		}
		if r.oneOwner {
			for _, id := range missing {
				r.owners[id] = first.ID
			}
			missing = nil
		}
		made := RecoveredAccount{ID: first.ID}
		for id, owner := range r.owners {
			if owner == first.ID {
				made.Projects += count[id]
			}
		}
		r.report.Accounts = append(r.report.Accounts, made)
	}
	for _, id := range missing {
		email := "owner-" + cut(strings.ReplaceAll(id, "@", "-"), 64) + "@recovered.invalid" // a name that RFC 2606 keeps from everyone
		if err := r.tx.InsertUser(&UserRow{User: User{ID: id, Email: email, CreatedAt: r.now.Add(time.Microsecond)}}); err != nil {
			return err
		}
		r.report.Accounts = append(r.report.Accounts, RecoveredAccount{ID: id, Email: email, Projects: count[id]})
	}
	return nil
}

// rows makes or renews projects, and makes deployments, in the order in which
// they were created.
func (r *recovery) rows() error {
	type row struct {
		at   time.Time
		id   string
		make func() error
	}
	var rows []row
	for id, p := range r.c.projects {
		rows = append(rows, row{p.CreatedAt, id, func() error { return r.project(p) }})
	}
	own := map[string]*site.RouteRecord{}
	r.production = map[string]bool{}
	for _, route := range r.c.routes {
		if r.role(route) == RoleProduction {
			r.production[route.Deployment] = true
		}
		if r.role(route) == RoleDeployment && !route.Gone {
			own[route.Deployment] = route
		}
	}
	for id, d := range r.c.deployments {
		at := d.made.At
		if p := r.c.projects[d.project]; p != nil && at.Before(p.CreatedAt) {
			at = p.CreatedAt
		}
		rows = append(rows, row{at, "~" + id, func() error { return r.deployment(d, own[id]) }}) // behind a project of the same moment
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	for _, row := range rows {
		if err := row.make(); err != nil {
			return err
		}
	}
	return nil
}

// project takes a project's record over where it is newer than the row.
func (r *recovery) project(p *site.ProjectRecord) error {
	row, err := r.tx.Project(p.ID)
	isNew := CodeOf(err) == CodeNotFound
	if err != nil && !isNew {
		return err
	}
	r.kept[p.ID] = true
	if !isNew && row.Generation >= p.Generation {
		return nil
	}
	if isNew {
		row = &ProjectRow{Project: Project{ID: p.ID, CreatedAt: p.CreatedAt, UpdatedAt: r.now}}
		if row.CreatedAt.IsZero() {
			row.CreatedAt = r.now
		}
	}
	row.Name, row.State, row.Generation, row.Published = p.Name, p.State, p.Generation, p.Generation
	row.UserID = cmp.Or(r.owners[p.Owner], p.Owner)
	row.Protection = nil
	if p.Access != nil {
		key, err := r.s.seal(accessPurpose+p.ID, p.Access.CookieKey)
		if err != nil {
			return fmt.Errorf("seal the access key of project %s: %w", p.ID, err)
		}
		row.Protection = &AccessRow{Scope: p.Access.Scope, PasswordHash: p.Access.PasswordHash, CookieKey: key}
	}
	if p.SubDomain != "" {
		if row.GitURL != p.GitURL && !sameServer(row.GitURL, p.GitURL) {
			row.Credentials = nil
		}
		row.SubDomain, row.CustomDomain, row.GitURL, row.ProductionBranch, row.BuildSettings = p.SubDomain, p.CustomDomain, p.GitURL, p.ProductionBranch, p.Build
		r.renewed = append(r.renewed, p)
	} else if isNew {
		row.SubDomain = r.subDomainFromRoutes(p.ID)
		r.lose(p.Name, "its settings, repository and pin are not in the bucket: it was last published by an older version")
	}
	if p.State == projectDeleted {
		row.SubDomain, row.CustomDomain, row.CollectAt = "deleted-"+p.ID, "", r.now
	}
	if row.CollectAt.IsZero() {
		row.CollectAt = r.now.Add(blobAge) // uploads that never ended
	}
	r.report.Projects++
	if !isNew {
		return r.tx.SaveProject(row)
	}
	if row.Seq, err = r.tx.Next(CounterSeq, 1); err != nil {
		return err
	}
	return r.tx.InsertProject(row)
}

// subDomainFromRoutes is a project's subdomain by its production host, or one
// that nobody else can have.
func (r *recovery) subDomainFromRoutes(project string) string {
	for _, route := range r.c.routes {
		if route.Project == project && !route.Gone && r.role(route) == RoleProduction {
			return strings.TrimSuffix(route.Host, "."+r.s.config.BaseDomain)
		}
	}
	return "recovered-" + cut(project, site.HostIDLength)
}

// deployment makes the row of a ready deployment that a route leads to, or
// renews one that had not ended when the backup was made.
func (r *recovery) deployment(d *foundDeployment, own *site.RouteRecord) error {
	if !r.kept[d.project] {
		if _, err := r.tx.Project(d.project); CodeOf(err) == CodeNotFound {
			return nil // its route is a loss
		} else if err != nil {
			return err
		}
	}
	row, err := r.tx.Deployment(d.id)
	if err == nil && row.Status == StatusReady {
		return nil
	}
	isNew := CodeOf(err) == CodeNotFound
	if err != nil && !isNew {
		return err
	}
	p, err := r.tx.Project(d.project)
	if err != nil {
		return err
	}
	if isNew {
		row = &DeploymentRow{UserID: p.UserID, Deployment: Deployment{
			ID: d.id, HostID: cut(d.id, site.HostIDLength), ProjectID: d.project, Kind: Kind(d.made.Kind), Message: d.made.Message, CreatedAt: d.made.At,
			Attempt: 1,
		}, Dispatchable: true, WantBranch: d.source.Branch, WantCommit: d.source.Commit}
		if row.Kind == "" {
			row.Kind = KindFiles
			if d.source.Commit != "" {
				row.Kind = KindGit
			}
		}
		row.Environment = site.Preview
		if r.production[d.id] {
			row.Environment = site.Production
		}
	}
	status, attempt := row.Status, row.Attempt
	ended := d.made.At
	if own != nil {
		ended = own.PublishedAt.UTC().Truncate(time.Microsecond)
		row.Environment, row.Promoted = cmp.Or(own.MadeFor, row.Environment), own.Promoted
	}
	started := cmp.Or(d.source.BuiltAt.UTC().Truncate(time.Microsecond), d.made.At)
	row.Status, row.Reason, row.Source, row.Files, row.Bytes, row.HasManifest = StatusReady, "", d.source, d.files, d.bytes, true
	row.StartedAt, row.EndedAt, row.LiveAt, row.UpdatedAt = &started, &ended, &ended, ended
	row.ClaimedBy, row.ClaimUntil, row.Handle = "", time.Time{}, ""
	r.report.Deployments++
	if !isNew {
		_, err := r.tx.SaveDeployment(row, status, attempt)
		return err
	}
	if row.Seq, err = r.tx.Next(CounterSeq, 1); err != nil {
		return err
	}
	return r.tx.InsertDeployment(row)
}

// follow has everything published again, under generations of its own.
func (r *recovery) follow() error {
	r.report.Losses = append(r.report.Losses, r.c.losses...)
	return r.tx.MarkAllDirty(r.highest, r.now)
}

func (r *recovery) lose(what, why string) {
	r.report.Losses = append(r.report.Losses, Loss{what, why})
}
