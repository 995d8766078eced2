package controlplane

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ExplainInput is a request that is to be explained.
type ExplainInput struct {
	URL            string // with or without a scheme
	Method         string // none: GET
	Accept         string // none: what browsers send for a page
	AcceptEncoding string // none: what browsers send
}

// Explanation says what an edge answers to a request, and why, as a chain of
// steps from the host to the file.
type Explanation struct {
	URL            string            `json:"url"`
	Method         string            `json:"method"`
	AcceptEncoding string            `json:"acceptEncoding"`
	Status         int               `json:"status"` // for who has no password, where one is asked for
	Answer         string            `json:"answer"` // in one line
	Location       string            `json:"location,omitempty"`
	ProjectID      string            `json:"projectId"`
	Project        string            `json:"project"` // its subdomain
	Deployment     string            `json:"deployment,omitempty"`
	Steps          []ExplanationStep `json:"steps"`
	File           *ExplainedFile    `json:"file,omitempty"`
	Headers        []ExplainedHeader `json:"headers"` // for who has the password, where one is asked for
	Cache          ExplainedCache    `json:"cache"`
}

// ExplanationStep is one thing that an edge looks at.
type ExplanationStep struct {
	Step    string     `json:"step"` // host, route, project, access, deployment, rule or file
	Text    string     `json:"text"`
	Lines   []RuleLine `json:"lines"`             // of the rules that counted
	Warning string     `json:"warning,omitempty"` // where what is published is not what it will be
	Decides bool       `json:"decides,omitempty"` // nothing after it counts
}

// RuleLine is a line of a rules file, as it was written.
type RuleLine struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// ExplainedFile is what is sent.
type ExplainedFile struct {
	Path        string    `json:"path"`
	Deployment  string    `json:"deployment"` // an earlier one than the route's, where that still counts
	ContentType string    `json:"contentType"`
	Encoding    string    `json:"encoding"`
	Size        int64     `json:"size"` // in that encoding
	SHA256      site.Hash `json:"sha256"`
	Immutable   bool      `json:"immutable"`
	Encodings   []string  `json:"encodings"`  // that it is stored in
	EarlyHints  []string  `json:"earlyHints"` // links that go before it, over HTTP/2 and later
}

// ExplainedHeader is a header of the answer.
type ExplainedHeader struct {
	Name   string     `json:"name"`
	Values []string   `json:"values"` // none: a rule took it away
	Lines  []RuleLine `json:"lines"`  // none: the platform sets it
}

// What is explained where the request says nothing: a browser that opens a page.
const (
	explainAccept         = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	explainAcceptEncoding = "gzip, deflate, br, zstd"
)

// MaxExplainURL is the longest address that is explained, in bytes.
const MaxExplainURL = 8 << 10

// Explain says what edges answer at an address of the principal's, from what is
// published, as they do.
func (s *Service) Explain(ctx context.Context, p Principal, in ExplainInput) (*Explanation, error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	x := &explainer{s: s, lines: map[string][]string{}, Explanation: &Explanation{
		Method: cmp.Or(in.Method, http.MethodGet), AcceptEncoding: cmp.Or(in.AcceptEncoding, explainAcceptEncoding),
		Steps: []ExplanationStep{}, Headers: []ExplainedHeader{},
	}}
	x.accept = cmp.Or(in.Accept, explainAccept)
	if err := x.parse(in.URL); err != nil {
		return nil, err
	}
	if err := x.look(ctx, p); err != nil {
		return nil, err
	}
	if err := x.explain(ctx); err != nil {
		return nil, err
	}
	x.conclude()
	x.Cache = s.cacheState(ctx, x)
	return x.Explanation, nil
}

// explainer works an explanation out.
type explainer struct {
	*Explanation
	s *Service

	address *url.URL
	host    string // in normal form
	accept  string

	row     *HostRow
	project *ProjectRow
	leads   *DeploymentRow // what the database leads the host to; nil: nothing

	route     site.Route
	published bool
	protected bool
	noindex   bool
	manifest  *site.Manifest
	lines     map[string][]string // of its rules files, once they were needed
}

func (x *explainer) parse(address string) error {
	if len(address) > MaxExplainURL {
		return Invalid("url", "The address has more than %d bytes.", MaxExplainURL)
	}
	if !strings.Contains(address, "://") {
		address = x.s.config.SiteScheme + "://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Host == "" {
		return Invalid("url", "Give the address of a page, such as %s.", x.s.siteURL(x.s.productionHost("my-site"))+"/about")
	}
	if x.host, err = site.NormalHost(u.Host); err != nil {
		return Invalid("url", "%q is not a host name; write names beyond ASCII as punycode.", u.Host)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment, u.RawFragment = "", ""
	x.address, x.URL = u, u.String()
	return nil
}

// look finds the host's rows. A host that is not the principal's does not exist.
func (x *explainer) look(ctx context.Context, p Principal) error {
	return x.s.store.View(ctx, func(tx Tx) (err error) {
		none := Errorf(CodeNotFound, "None of your projects answers at %s. Check the address; a domain answers once it is verified.", x.host)
		if x.row, err = tx.Host(x.host); CodeOf(err) == CodeNotFound {
			return none
		} else if err != nil {
			return err
		}
		if x.project, err = tx.Project(x.row.ProjectID); CodeOf(err) == CodeNotFound {
			return none
		} else if err != nil {
			return err
		}
		if x.project.UserID != p.UserID {
			return none
		}
		x.ProjectID, x.Project = x.project.ID, x.project.SubDomain
		if x.row.Deployment != "" {
			if x.leads, err = tx.Deployment(x.row.Deployment); CodeOf(err) == CodeNotFound {
				return nil
			}
		}
		return err
	})
}

// step adds a step to the chain.
func (x *explainer) step(name, format string, args ...any) *ExplanationStep {
	x.Steps = append(x.Steps, ExplanationStep{Step: name, Text: fmt.Sprintf(format, args...), Lines: []RuleLine{}})
	return &x.Steps[len(x.Steps)-1]
}

// decide ends the chain with a status and one of the edge's own pages.
func (x *explainer) decide(status int, title string) {
	x.Steps[len(x.Steps)-1].Decides = true
	x.Status, x.Answer = status, fmt.Sprintf("%d, the page %q", status, title)
	if x.Method == http.MethodHead {
		x.Answer = fmt.Sprintf("%d %s", status, title)
	}
	x.Headers = x.noticeHeaders(status)
}

// explain goes the way of a request: host, project, access, deployment, rules,
// file.
func (x *explainer) explain(ctx context.Context) error {
	step := x.step("host", "%s is %s", x.host, x.describeHost())
	if x.s.config.SiteScheme == "https" && x.address.Scheme == "http" {
		step.Warning = "Sites are at https:// here, so an edge may lead http:// there first. What follows is for https://."
	}
	goesOn, err := x.explainRoute(ctx)
	if err != nil || !goesOn {
		return err
	}
	if goesOn, err = x.explainProject(ctx); err != nil || !goesOn {
		return err
	}
	if x.route.Deployment == "" {
		x.step("deployment", "Nothing is deployed yet")
		x.decide(http.StatusNotFound, "Nothing deployed yet")
		return nil
	}
	if goesOn, err = x.explainDeployment(ctx); err != nil || !goesOn {
		return err
	}
	x.explainPath(ctx)
	return nil
}

func (x *explainer) describeHost() string {
	name := x.project.SubDomain
	switch {
	case x.row.Gone:
		return "a former host of " + name
	case x.row.Role == RoleDeployment:
		return "the host of one deployment of " + name
	case x.row.Role == RoleBranch:
		return fmt.Sprintf("the host of the branch %s of %s", x.row.Branch, name)
	case x.host == x.s.productionHost(name):
		return "the production host of " + name
	}
	return "a domain of " + name
}

// explainRoute says where the published route leads.
func (x *explainer) explainRoute(ctx context.Context) (goesOn bool, err error) {
	found, _, err := x.s.readRecord(ctx, site.RouteKey(x.host), &x.route)
	if err != nil {
		return false, x.s.unreadable(site.RouteKey(x.host), err)
	}
	// A name that was another's has the former owner's route until the new one
	// stands there.
	if x.published = found && x.route.Project == x.project.ID; !x.published {
		step := x.step("route", "Edges don't know the host yet")
		step.Warning = "The route is not published yet. It should be in a few seconds; if it is not, the log of the control plane says why."
		if strings.HasSuffix(x.host, "."+x.s.config.BaseDomain) {
			x.decide(http.StatusNotFound, "No site is here")
		} else {
			x.decide(http.StatusMisdirectedRequest, "Misdirected request")
		}
		return false, nil
	}
	text := "Leads to no deployment"
	switch {
	case x.route.Gone:
		text = "The host was given up: its route is a tombstone"
	case x.route.RedirectTo != "":
		text = "Sends everything to " + x.route.RedirectTo
	case x.route.Deployment != "":
		text = "Leads to the deployment " + short(x.route.Deployment)
	}
	step := x.step("route", "%s (%s)", text, x.publishedAt())
	step.Warning = x.behind()
	if x.route.Gone {
		x.decide(http.StatusGone, "This site is gone")
		return false, nil
	}
	x.noindex = x.route.Environment != site.Production
	return true, nil
}

func (x *explainer) publishedAt() string {
	return fmt.Sprintf("generation %d, published %s", x.route.Generation, x.route.PublishedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// behind says where the database has another state than the published route.
func (x *explainer) behind() string {
	switch h := x.row; {
	case h.Generation < x.route.Generation:
		return fmt.Sprintf("The bucket is ahead of the database (generation %d): the database may be an older one. It will be published again.", h.Generation)
	case h.Generation == x.route.Generation:
		return ""
	case h.Gone:
		return "Not published yet: the host is given up in the database."
	case h.RedirectTo != x.route.RedirectTo && h.RedirectTo != "":
		return fmt.Sprintf("Not published yet: the database sends everything to %s.", h.RedirectTo)
	case h.Deployment != x.route.Deployment && h.Deployment == "":
		return "Not published yet: the database leads the host to no deployment."
	case h.Deployment != x.route.Deployment:
		return fmt.Sprintf("Not published yet: the database leads the host to the deployment %s.", short(h.Deployment))
	}
	return fmt.Sprintf("Not published yet: the database has a newer route (generation %d).", x.row.Generation)
}

// explainProject says what the published record of the project allows.
func (x *explainer) explainProject(ctx context.Context) (goesOn bool, err error) {
	var record site.Project
	key := site.ProjectKey(x.project.ID)
	found, _, err := x.s.readRecord(ctx, key, &record)
	if err != nil {
		return false, x.s.unreadable(key, err)
	}
	if !found {
		x.step("project", "The record of the project is not in the bucket").Warning = "It should be published in a few seconds; if it is not, the log of the control plane says why."
		x.decide(http.StatusBadGateway, "The file could not be read")
		return false, nil
	}
	step := x.step("project", "%s is %s", x.project.SubDomain, record.State)
	if record.Generation < x.project.Generation {
		step.Warning = "Not published yet: the database has a newer state of the project, " + string(x.project.State)
		if x.project.Protection != nil {
			step.Warning += ", with a password for " + describeScope(x.project.Protection.Scope)
		}
		step.Warning += "."
	}
	switch record.State {
	case site.ProjectActive:
	case site.ProjectDeleted:
		x.decide(http.StatusGone, "This site is gone")
		return false, nil
	default:
		x.decide(http.StatusForbidden, "This site is suspended")
		return false, nil
	}
	if x.route.RedirectTo != "" {
		x.redirectHost()
		return false, nil
	}
	access := record.Access
	if access == nil || access.Scope == site.AccessPreviews && !x.noindex {
		return true, nil
	}
	x.noindex, x.protected = true, true
	step = x.step("access", "The host asks for a password (%s). What follows is what visitors get who have it", describeScope(access.Scope))
	if access.Scope != site.AccessPreviews && access.Scope != site.AccessAll {
		step.Text = "The host is protected in a way that this version does not know: nobody is let in"
		x.decide(http.StatusForbidden, "This site is protected")
		return false, nil
	}
	return true, nil
}

func describeScope(scope site.AccessScope) string {
	if scope == site.AccessPreviews {
		return "previews"
	}
	return "all hosts"
}

// redirectHost sends to the same address at the other host.
func (x *explainer) redirectHost() {
	location := x.address.Scheme + "://" + x.route.RedirectTo
	if port := x.address.Port(); port != "" {
		location += ":" + port
	}
	location += x.address.EscapedPath()
	if x.address.RawQuery != "" {
		location += "?" + x.address.RawQuery
	}
	x.Steps[slices.IndexFunc(x.Steps, func(s ExplanationStep) bool { return s.Step == "route" })].Decides = true
	x.redirect(http.StatusPermanentRedirect, location)
	x.Headers = []ExplainedHeader{header("Cache-Control", site.CacheRevalidate), header("Location", location)}
}

func (x *explainer) redirect(status int, location string) {
	x.Status, x.Location, x.Answer = status, location, fmt.Sprintf("%d to %s", status, location)
}

// conclude adds to the answer what access makes of it.
func (x *explainer) conclude() {
	if x.protected && x.Status != http.StatusForbidden {
		x.Answer = "401, the page that asks for the password; with the password " + x.Answer
		x.Status = http.StatusUnauthorized
	}
}

// short is how people name a deployment.
func short(id string) string { return id[:min(len(id), site.HostIDLength)] }
