package source

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxModules     = 100
	maxModuleDepth = 8
)

// module is a submodule as .gitmodules has it.
type module struct{ name, path, url, update string }

// submodules fetches what s's commit refers to, each like a repository of its
// own: git's own machinery for submodules follows what a repository configures,
// and has run code more than once. One on this machine is never fetched: only
// the project itself may be local.
func (c *clone) submodules(ctx context.Context, s *session, depth int) error {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return fmt.Errorf("open the source directory: %w", err)
	}
	defer root.Close()
	if info, err := root.Lstat(".gitmodules"); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	modules, err := s.modules(ctx)
	if err != nil {
		return err
	}
	for _, m := range modules {
		commit, err := s.linkedCommit(ctx, m.path)
		if err != nil {
			return fmt.Errorf("submodule %q: %w", m.path, err)
		}
		if commit == "" || m.update == "none" {
			continue // named, but not in this commit
		}
		if c.modules++; c.modules > maxModules || depth > maxModuleDepth {
			return fmt.Errorf("submodule %q: there are more than %d submodules, or they nest deeper than %d", m.path, maxModules, maxModuleDepth)
		}
		if err := c.submodule(ctx, s, root, m, commit, depth); err != nil {
			return fmt.Errorf("submodule %q: %w", m.path, err)
		}
	}
	return nil
}

func (c *clone) submodule(ctx context.Context, parent *session, root *os.Root, m module, commit string, depth int) error {
	if err := checkModulePath(m.path); err != nil {
		return err
	}
	url, err := absolute(parent.repository, m.url)
	if err != nil {
		return err
	}
	const folder = ".git/mini-vercel"
	if err := root.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	place := path.Join(folder, fmt.Sprint(c.modules))
	sub := &clone{git: c.git, from: c.from, origin: c.origin, modules: c.modules}
	sub.from.Branch, sub.from.Commit, sub.from.URL = "", commit, url
	s, err := sub.fetch(ctx, url, false, filepath.Join(root.Name(), place))
	if err != nil {
		return err
	}
	defer s.close()
	if err := sub.submodules(ctx, s, depth+1); err != nil {
		return err
	}
	c.modules = sub.modules
	if err := root.Remove(m.path); err != nil && !os.IsNotExist(err) { // git has left an empty folder
		return fmt.Errorf("its place is taken: %w", err)
	}
	if err := root.MkdirAll(path.Dir(m.path), 0o755); err != nil {
		return err
	}
	if err := root.Rename(place, m.path); err != nil {
		return err
	}
	if c.git.Say != nil {
		c.git.Say("Submodule %s at %.10s", m.path, commit)
	}
	return nil
}

// modules reads .gitmodules from the commit.
func (s *session) modules(ctx context.Context) ([]module, error) {
	out, err := s.run(ctx, "config", "--blob", "HEAD:.gitmodules", "--null", "--list")
	if err != nil {
		return nil, fmt.Errorf("the file .gitmodules can't be read: %w", err)
	}
	var modules []module
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, _ := strings.Cut(entry, "\n")
		key, isModule := strings.CutPrefix(key, "submodule.")
		dot := strings.LastIndexByte(key, '.')
		if !isModule || dot < 0 {
			continue
		}
		name := key[:dot]
		at := slices.IndexFunc(modules, func(m module) bool { return m.name == name })
		if at < 0 {
			at = len(modules)
			modules = append(modules, module{name: name})
		}
		switch key[dot+1:] {
		case "path":
			modules[at].path = value
		case "url":
			modules[at].url = value
		case "update":
			modules[at].update = value
		}
	}
	return slices.DeleteFunc(modules, func(m module) bool { return m.path == "" }), nil
}

// linkedCommit is the commit at which the tree has the submodule; none where it
// has no submodule there.
func (s *session) linkedCommit(ctx context.Context, name string) (string, error) {
	out, err := s.run(ctx, "--literal-pathspecs", "ls-tree", "-z", "--full-tree", "HEAD", "--", name)
	if err != nil {
		return "", err
	}
	facts, _, _ := strings.Cut(strings.TrimSuffix(string(out), "\x00"), "\t")
	fields := strings.Fields(facts)
	if len(fields) != 3 || fields[0] != "160000" {
		return "", nil
	}
	return fields[2], nil
}

func checkModulePath(name string) error {
	bad := !filepath.IsLocal(name) || path.Clean(name) != name || name == "." || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || strings.EqualFold(strings.TrimRight(part, ". "), ".git")
	}
	if bad {
		return fmt.Errorf("its path %q is not allowed", name)
	}
	return nil
}

// absolute resolves a submodule's URL, which may be relative to its parent's.
func absolute(parent *Repository, url string) (string, error) {
	if !strings.HasPrefix(url, "./") && !strings.HasPrefix(url, "../") {
		return url, nil
	}
	if parent.Scheme == "file" {
		return "", fmt.Errorf("its URL %q leads to this machine, which is not allowed for submodules; use https://", url)
	}
	scheme, rest, _ := strings.Cut(parent.URL, "://")
	host, name, _ := strings.Cut(rest, "/")
	up := strings.Split(strings.Trim(name, "/"), "/")
	for {
		if after, ok := strings.CutPrefix(url, "../"); ok {
			if len(up) == 0 {
				return "", fmt.Errorf("its URL leaves the host %s", host)
			}
			url, up = after, up[:len(up)-1]
		} else if after, ok := strings.CutPrefix(url, "./"); ok {
			url = after
		} else {
			return scheme + "://" + host + "/" + path.Join(append(up, url)...), nil
		}
	}
}
