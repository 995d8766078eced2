package source

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// maxMessage bounds what is kept of a commit's message, in bytes.
const maxMessage = 1000

// maxAuthor bounds an author's name, in bytes.
const maxAuthor = 200

var fullCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

var anyCommit = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

// Clone puts one commit of a repository into dir, which it makes, without
// history, with its submodules, and tells the commit's facts. Errors are
// sentences for a person.
func (g *Git) Clone(ctx context.Context, from site.GitSource, dir string) (site.Source, error) {
	if from.Branch != "" {
		if err := checkBranch(from.Branch); err != nil {
			return site.Source{}, err
		}
	}
	if from.Commit = strings.ToLower(from.Commit); from.Commit != "" && !anyCommit.MatchString(from.Commit) {
		return site.Source{}, fmt.Errorf("%q is no commit: use its hexadecimal id", from.Commit)
	}
	c := &clone{git: g, from: from}
	s, err := c.fetch(ctx, from.URL, from.AllowLocal, dir)
	if err != nil {
		return site.Source{}, err
	}
	defer s.close()
	facts, err := s.facts(ctx)
	if err != nil {
		return site.Source{}, err
	}
	facts.Repository, facts.Branch = from.URL, from.Branch
	if err := c.submodules(ctx, s, 1); err != nil {
		return site.Source{}, err
	}
	return facts, nil
}

// clone is one clone with all its submodules.
type clone struct {
	git     *Git
	from    site.GitSource
	origin  *Repository
	modules int
}

// fetch checks the address and puts the wanted commit into dir.
func (c *clone) fetch(ctx context.Context, url string, local bool, dir string) (*session, error) {
	r, err := ParseURL(url, local)
	if err != nil {
		return nil, fmt.Errorf("the git URL can't be used: %w", err)
	}
	username, password := "", ""
	if c.origin == nil {
		c.origin = r
	}
	if r.Scheme == c.origin.Scheme && r.Host == c.origin.Host && r.Port == c.origin.Port {
		username, password = c.from.Username, c.from.Password
	}
	s, err := c.git.open(ctx, r, local, username, password)
	if err != nil {
		return nil, err
	}
	if err := s.checkout(ctx, c.from.Branch, c.from.Commit, dir); err != nil {
		s.close()
		return nil, s.explain(err, c.from)
	}
	return s, nil
}

// checkout fetches as little as it can: one commit, without history.
func (s *session) checkout(ctx context.Context, branch, commit, dir string) error {
	if _, err := s.run(ctx, "init", "-q", "--template=", "-b", "main", "--", dir); err != nil {
		return err
	}
	s.dir = dir
	if commit != "" {
		return s.checkoutCommit(ctx, branch, commit)
	}
	ref := "HEAD"
	if branch != "" {
		ref = "refs/heads/" + branch
	}
	if _, err := s.fetch(ctx, "--depth=1", ref); err != nil {
		return err
	}
	return s.switchTo(ctx, branch, "FETCH_HEAD")
}

// checkoutCommit asks for the commit itself, which most servers allow, and else
// for the history that it is in.
func (s *session) checkoutCommit(ctx context.Context, branch, commit string) error {
	if fullCommit.MatchString(commit) {
		_, err := s.fetch(ctx, "--depth=1", commit)
		var said *gitError
		switch {
		case err == nil:
			return s.switchTo(ctx, branch, "FETCH_HEAD")
		case !errors.As(err, &said) || !strings.Contains(said.said, "not our ref") && !strings.Contains(said.said, "unadvertised"):
			return err
		}
	}
	refs := "+refs/heads/*:refs/remotes/origin/*"
	if branch != "" {
		refs = "+refs/heads/" + branch + ":refs/remotes/origin/" + branch
	}
	if _, err := s.fetch(ctx, refs); err != nil {
		return err
	}
	found, err := s.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", commit+"^{commit}")
	if err != nil {
		return &missingCommit{commit}
	}
	return s.switchTo(ctx, branch, strings.TrimSpace(string(found)))
}

type missingCommit struct{ commit string }

func (e *missingCommit) Error() string { return "there is no commit " + e.commit }

func (s *session) fetch(ctx context.Context, args ...string) ([]byte, error) {
	command := []string{"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--update-head-ok"}
	ref := args[len(args)-1]
	command = append(command, args[:len(args)-1]...)
	return s.run(ctx, append(command, "--", s.repository.URL, ref)...)
}

func (s *session) switchTo(ctx context.Context, branch, commit string) error {
	args := []string{"checkout", "--quiet", "--force", "--no-recurse-submodules", "--detach", commit, "--"}
	if branch != "" {
		args = []string{"checkout", "--quiet", "--force", "--no-recurse-submodules", "-B", branch, commit, "--"}
	}
	_, err := s.run(ctx, args...)
	return err
}

func (s *session) facts(ctx context.Context) (site.Source, error) {
	out, err := s.run(ctx, "log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%H%x00%an%x00%B", "HEAD")
	if err != nil {
		return site.Source{}, err
	}
	parts := strings.SplitN(string(out), "\x00", 3)
	if len(parts) != 3 {
		return site.Source{}, errors.New("git log: the commit can't be read")
	}
	facts := site.Source{Commit: parts[0], Author: tidy(parts[1], maxAuthor), Message: tidy(parts[2], maxMessage)}
	if s.git.Say != nil {
		subject, _, _ := strings.Cut(facts.Message, "\n")
		s.git.Say("Commit %.10s by %s: %s", facts.Commit, facts.Author, subject)
		s.noticeLFS(ctx)
	}
	return facts, nil
}

// noticeLFS tells of files whose content is not in the repository.
func (s *session) noticeLFS(ctx context.Context) {
	out, err := s.run(ctx, "ls-files", "-z", "--", ":(attr:filter=lfs)")
	if err != nil || len(out) == 0 {
		return // a hint only
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	s.git.Say("Git LFS is not supported: %d files, such as %q, are pointers to their content. Commit the files themselves if the site needs them.", len(names), names[0])
}

// tidy makes a text valid and short.
func tidy(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(strings.TrimSpace(text), "\ufffd"))
	if len(text) <= most {
		return text
	}
	end := most - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// checkBranch has git's rules for names (git-check-ref-format), as far as they
// matter for safety.
func checkBranch(name string) error {
	bad := name[0] == '-' || name[0] == '/' || len(name) > 250 || !utf8.ValidString(name) || name == "@" ||
		strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") || strings.Contains(name, "@{") ||
		strings.Contains(name, "//") || strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".") ||
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' })
	if bad || slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.HasPrefix(part, ".") }) {
		return fmt.Errorf("%q is no name for a branch", name)
	}
	return nil
}

// explain turns git's words into a sentence that says what to do.
func (s *session) explain(err error, from site.GitSource) error {
	var missing *missingCommit
	var said *gitError
	where := s.repository.URL
	if errors.As(err, &missing) {
		return fmt.Errorf("the repository %s has no commit %s: it was never pushed, or has been removed", where, missing.commit)
	}
	if !errors.As(err, &said) {
		return err
	}
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(said.said, part) })
	}
	switch {
	case has("couldn't find remote ref HEAD"):
		return fmt.Errorf("the repository %s is empty, or its default branch does not exist: name a branch", where)
	case has("couldn't find remote ref"):
		return fmt.Errorf("the repository %s has no branch %q", where, from.Branch)
	case has("could not read Username", "could not read Password", "terminal prompts disabled"):
		return fmt.Errorf("the repository %s does not exist or is private: check the address, or set clone credentials in the project's settings", where)
	case has("Authentication failed", "error: 401", "error: 403", "Access denied", "HTTP Basic"):
		return fmt.Errorf("the repository %s refuses the clone credentials: set others in the project's settings", where)
	case has("not our ref", "unadvertised object"):
		return fmt.Errorf("the repository %s has no commit %s: it was never pushed, or has been removed", where, from.Commit)
	case has("error: 30", "redirect"):
		return fmt.Errorf("the repository %s has moved: redirects are not followed, use the address it leads to", where)
	case has("' not found", "error: 404", "does not appear to be a git repository", "does not exist", "No such file or directory"):
		return fmt.Errorf("there is no git repository at %s: check the address", where)
	case has("Could not resolve host", "Failed to connect", "Connection refused", "timed out", "Operation too slow"):
		return fmt.Errorf("the repository %s can't be reached: %s", where, said.said)
	case has("Out of memory", "out of memory", "Cannot allocate memory"):
		return fmt.Errorf("the repository %s needs more memory than a build may use", where)
	case has("File size limit", "SIGXFSZ", "signal 25"), strings.Contains(said.err.Error(), "file size limit"):
		return fmt.Errorf("the repository %s is too large: it does not fit in the build's disk space", where)
	}
	return fmt.Errorf("the clone of %s failed: %w", where, said)
}

// Branches lists a repository's branches, and which one is its default.
func (g *Git) Branches(ctx context.Context, from site.GitSource) (branches []string, standard string, err error) {
	r, err := ParseURL(from.URL, from.AllowLocal)
	if err != nil {
		return nil, "", fmt.Errorf("the git URL can't be used: %w", err)
	}
	s, err := g.open(ctx, r, from.AllowLocal, from.Username, from.Password)
	if err != nil {
		return nil, "", err
	}
	defer s.close()
	out, err := s.run(ctx, "ls-remote", "--quiet", "--symref", "--", r.URL, "HEAD", "refs/heads/*")
	if err != nil {
		return nil, "", s.explain(err, from)
	}
	for line := range strings.Lines(string(out)) {
		what, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if target, ok := strings.CutPrefix(what, "ref: refs/heads/"); ok && ref == "HEAD" {
			standard = target
		} else if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
			branches = append(branches, name)
		}
	}
	return branches, standard, nil
}
