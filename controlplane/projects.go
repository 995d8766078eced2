package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const projectDeleted = site.ProjectDeleted

// CreateProject makes a project for the principal.
func (s *Service) CreateProject(ctx context.Context, p Principal, in ProjectInput) (*Project, error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, err
	}
	now := s.now()
	row := &ProjectRow{Project: Project{
		ID: uuid.NewString(), Name: strings.TrimSpace(in.Name), UserID: p.UserID, GitURL: in.GitURL,
		ProductionBranch: in.ProductionBranch, BuildSettings: in.Build, State: site.ProjectActive, CreatedAt: now, UpdatedAt: now,
	}}
	if err := s.checkProject(p, row); err != nil {
		return nil, err
	}
	if err := s.sealCredentials(row, in.Credentials); err != nil {
		return nil, err
	}
	err := s.update(ctx, func(tx Tx, n *notes) (err error) {
		if row.SubDomain, err = s.freeSubDomain(tx, p.UserID, in.SubDomain, row.Name); err != nil {
			return err
		}
		if row.Seq, err = tx.Next(CounterSeq, 1); err != nil {
			return err
		}
		if err := dirtyProject(tx, row, now); err != nil {
			return err
		}
		if err := tx.InsertProject(row); err != nil {
			return err
		}
		n.projects, n.publish = append(n.projects, row), true
		return s.saveHost(tx, row, s.productionHost(row.SubDomain), RoleProduction, func(*HostRow) bool { return true })
	})
	if err != nil {
		return nil, err
	}
	return s.showProject(row), nil
}

// Projects lists the principal's projects, newest first, with the latest and
// the production deployment of each.
func (s *Service) Projects(ctx context.Context, p Principal, page Page) (items []*Project, next string, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, "", err
	}
	limit, before, err := page.read()
	if err != nil {
		return nil, "", err
	}
	items = []*Project{}
	err = s.store.View(ctx, func(tx Tx) error {
		rows, err := tx.Projects(p.UserID, before, limit+1)
		if err != nil {
			return err
		}
		if len(rows) > limit {
			rows = rows[:limit]
			next = pageCursor(rows[limit-1].Seq)
		}
		items, err = s.showProjects(tx, rows)
		return err
	})
	return items, next, err
}

// Project returns a project by its id or its subdomain.
func (s *Service) Project(ctx context.Context, p Principal, idOrSubDomain string) (project *Project, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		row, err := ownProject(tx, p, idOrSubDomain)
		if err != nil {
			return err
		}
		shown, err := s.showProjects(tx, []*ProjectRow{row})
		if err == nil {
			project = shown[0]
		}
		return err
	})
	return project, err
}

// UpdateProject changes what the patch names.
func (s *Service) UpdateProject(ctx context.Context, p Principal, id string, patch ProjectPatch) (*Project, error) {
	return s.changeProject(ctx, p, id, ScopeAdmin, func(tx Tx, row *ProjectRow, n *notes) error {
		apply(&row.Name, patch.Name)
		before := row.GitURL
		apply(&row.GitURL, patch.GitURL)
		apply(&row.ProductionBranch, patch.ProductionBranch)
		apply(&row.RootDirectory, patch.RootDirectory)
		apply(&row.Framework, patch.Framework)
		apply(&row.InstallCommand, patch.InstallCommand)
		apply(&row.BuildCommand, patch.BuildCommand)
		apply(&row.OutputDirectory, patch.OutputDirectory)
		apply(&row.NodeVersion, patch.NodeVersion)
		apply(&row.HTMLHandling, patch.HTMLHandling)
		apply(&row.NotFound, patch.NotFound)
		apply(&row.StrictRules, patch.StrictRules)
		apply(&row.EarlyHints, patch.EarlyHints)
		row.Name = strings.TrimSpace(row.Name)
		if err := s.checkProject(p, row); err != nil {
			return err
		}
		if !sameServer(before, row.GitURL) {
			row.Credentials = nil // they were for the other server's eyes
		}
		if err := s.sealCredentials(row, patch.Credentials); err != nil {
			return err
		}
		if patch.CustomDomain != nil {
			if err := makePrimary(tx, row, *patch.CustomDomain); err != nil {
				return err
			}
		}
		if patch.SubDomain != nil && *patch.SubDomain != row.SubDomain {
			if err := s.renameHosts(tx, row, *patch.SubDomain); err != nil {
				return err
			}
		}
		n.publish = true
		return dirtyProject(tx, row, s.now())
	})
}

// SuspendProject takes a project's sites off the edges, or lets them back. Only
// an administrator may.
func (s *Service) SuspendProject(ctx context.Context, p Principal, id string, suspended bool) (*Project, error) {
	if err := p.Allows(ScopeAdmin); err != nil {
		return nil, err
	}
	if !p.Admin {
		return nil, Errorf(CodeForbidden, "Only an administrator may suspend projects.")
	}
	return s.editProject(ctx, func(tx Tx) (*ProjectRow, error) { return anyProject(tx, id) }, func(tx Tx, row *ProjectRow, n *notes) error {
		row.State = site.ProjectActive
		if suspended {
			row.State = site.ProjectSuspended
		}
		n.publish, n.queued = true, true
		return dirtyProject(tx, row, s.now())
	})
}

// changeProject edits one project of the principal's in a transaction.
func (s *Service) changeProject(ctx context.Context, p Principal, id string, scope Scope, edit func(Tx, *ProjectRow, *notes) error) (*Project, error) {
	if err := p.Allows(scope); err != nil {
		return nil, err
	}
	return s.editProject(ctx, func(tx Tx) (*ProjectRow, error) { return ownProject(tx, p, id) }, edit)
}

func (s *Service) editProject(ctx context.Context, find func(Tx) (*ProjectRow, error), edit func(Tx, *ProjectRow, *notes) error) (project *Project, err error) {
	err = s.update(ctx, func(tx Tx, n *notes) error {
		row, err := find(tx)
		if err != nil {
			return err
		}
		if err := edit(tx, row, n); err != nil {
			return err
		}
		row.UpdatedAt = s.now()
		if err := tx.SaveProject(row); err != nil {
			return err
		}
		n.projects = append(n.projects, row)
		shown, err := s.showProjects(tx, []*ProjectRow{row})
		if err == nil {
			project = shown[0]
		}
		return err
	})
	return project, err
}

// ownProject returns a project of the principal by its id or its subdomain;
// another owner's does not exist.
func ownProject(tx Tx, p Principal, idOrSubDomain string) (*ProjectRow, error) {
	row, err := anyProject(tx, idOrSubDomain)
	if err == nil && row.UserID != p.UserID {
		return nil, Errorf(CodeNotFound, "There is no project %s.", idOrSubDomain)
	}
	return row, err
}

// anyProject returns a project, whoever owns it, by its id or its subdomain.
func anyProject(tx Tx, idOrSubDomain string) (*ProjectRow, error) {
	row, err := tx.Project(idOrSubDomain)
	if CodeOf(err) == CodeNotFound {
		row, err = tx.ProjectBySubDomain(idOrSubDomain)
	}
	if err == nil && row.State == projectDeleted {
		return nil, Errorf(CodeNotFound, "There is no project %s.", idOrSubDomain)
	}
	return row, err
}

// dirtyProject gives a project's record a new generation, to be published.
func dirtyProject(tx Tx, row *ProjectRow, now time.Time) (err error) {
	row.ChangedAt = changedAt(row.ChangedAt, row.Generation > row.Published, now)
	row.Generation, err = tx.Next(CounterGeneration, 1)
	return err
}

func apply[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// mayCloneLocal reports whether a person may name repositories of the machine
// itself: its owner may, invited people may not read their neighbours' disks.
func (s *Service) mayCloneLocal(p Principal) bool {
	return s.config.AllowLocalGit && (p.Local || p.Admin)
}

// isLocalGit reports whether a repository's address is one that only
// mayCloneLocal lets pass. A public name that leads to loopback is none.
func (s *Service) isLocalGit(address string) bool {
	return s.config.AllowLocalGit && CheckGitURL(address, false) != nil
}

// checkProject says what is wrong with a project's settings, as somebody wants
// them.
func (s *Service) checkProject(by Principal, p *ProjectRow) error {
	if p.Name == "" || utf8.RuneCountInString(p.Name) > 100 || !printable(p.Name) {
		return Invalid("name", "Give the project a name of 1 to 100 characters.")
	}
	if p.GitURL != "" {
		if err := CheckGitURL(p.GitURL, s.mayCloneLocal(by)); err != nil {
			return err
		}
	}
	if err := checkBranch("productionBranch", p.ProductionBranch); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"rootDirectory", p.RootDirectory}, {"outputDirectory", p.OutputDirectory}} {
		if err := checkDirectory(f.name, f.value); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, value string }{
		{"framework", p.Framework}, {"installCommand", p.InstallCommand}, {"buildCommand", p.BuildCommand}, {"nodeVersion", p.NodeVersion},
	} {
		if len(f.value) > 4096 || !utf8.ValidString(f.value) || strings.ContainsRune(f.value, 0) {
			return Invalid(f.name, "Use at most 4096 characters of text.")
		}
	}
	return checkServing(p.HTMLHandling, p.NotFound)
}

func checkServing(h site.HTMLHandling, n site.NotFound) error {
	switch h {
	case "", site.HTMLAuto, site.HTMLForce, site.HTMLDrop, site.HTMLNone:
	default:
		return Invalid("htmlHandling", "%q is not one of auto-trailing-slash, force-trailing-slash, drop-trailing-slash and none.", h)
	}
	switch n {
	case "", site.NotFoundAuto, site.NotFoundPage, site.NotFoundSPA, site.NotFoundNone:
	default:
		return Invalid("notFound", "%q is not one of auto, 404-page, single-page-application and none.", n)
	}
	return nil
}

// checkBranch applies the rules of git-check-ref-format that keep a branch name
// from being taken for something else.
func checkBranch(field, branch string) error {
	bad := strings.HasPrefix(branch, "-") || strings.HasPrefix(branch, "/") || strings.HasSuffix(branch, "/") || strings.HasSuffix(branch, ".") ||
		strings.HasSuffix(branch, ".lock") || strings.Contains(branch, "..") || strings.Contains(branch, "@{") || strings.Contains(branch, "//") ||
		strings.ContainsAny(branch, " ~^:?*[\\") || !printable(branch)
	if bad || len(branch) > 255 {
		return Invalid(field, "%q is not the name of a branch.", branch)
	}
	return nil
}

func checkCommit(commit string) error {
	if commit == "" {
		return nil
	}
	if len(commit) < 7 || len(commit) > 64 || strings.Trim(commit, "0123456789abcdef") != "" {
		return Invalid("commit", "Give the commit by 7 to 64 hexadecimal digits.")
	}
	return nil
}

func checkDirectory(field, dir string) error {
	if dir == "" {
		return nil
	}
	bad := len(dir) > 1024 || strings.HasPrefix(dir, "/") || strings.ContainsRune(dir, '\\') || !printable(dir)
	for segment := range strings.SplitSeq(dir, "/") {
		bad = bad || segment == ".."
	}
	if bad {
		return Invalid(field, "Give a folder within the repository, such as packages/site.")
	}
	return nil
}

// printable reports whether s is text without control characters.
func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// sealCredentials replaces a project's clone credentials; empty ones remove
// them, nil leaves them.
func (s *Service) sealCredentials(row *ProjectRow, c *Credentials) error {
	if c == nil {
		return nil
	}
	if *c == (Credentials{}) {
		row.Credentials, row.HasCredentials = nil, false
		return nil
	}
	if len(c.Username) > 256 || len(c.Password) > 4096 || !printable(c.Username+c.Password) {
		return Invalid("credentials", "Use at most 256 characters of user name and 4096 of password or token.")
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if row.Credentials, err = s.seal(credentialsPurpose+row.ID, plain); err != nil {
		return fmt.Errorf("seal credentials of project %s: %w", row.ID, err)
	}
	row.HasCredentials = true
	return nil
}

const credentialsPurpose = "credentials|"

// credentials opens a project's clone credentials, or returns nil.
func (s *Service) credentials(row *ProjectRow) (*Credentials, error) {
	if len(row.Credentials) == 0 {
		return nil, nil
	}
	plain, err := s.unseal(credentialsPurpose+row.ID, row.Credentials)
	if err != nil {
		return nil, fmt.Errorf("open credentials of project %s: %w", row.ID, err)
	}
	c := &Credentials{}
	return c, json.Unmarshal(plain, c)
}

// sameServer reports whether two addresses lead to one server in one way.
func sameServer(a, b string) bool {
	from, errA := url.Parse(a)
	to, errB := url.Parse(b)
	return errA == nil && errB == nil && from.Scheme == to.Scheme && from.Host == to.Host
}
