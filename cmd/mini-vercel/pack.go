package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// sources is a folder packed as a .tar.gz.
type sources struct {
	path  string
	size  int64
	hash  site.Hash
	files int
}

func (s *sources) remove() { os.Remove(s.path) }

func (s *sources) open() (io.ReadCloser, error) { return os.Open(s.path) }

// packSources packs a folder of sources: without .git, node_modules and .env
// files, and, where it is a git work tree, without what git ignores in it. Links
// are packed as links.
func packSources(ctx context.Context, dir string) (*sources, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	out, err := os.CreateTemp("", "mini-vercel-sources-*.tar.gz")
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	s := &sources{path: out.Name()}
	sum := sha256.New()
	zip := gzip.NewWriter(io.MultiWriter(out, sum))
	p := &packer{ctx: ctx, root: root, tar: tar.NewWriter(zip), sources: s}
	if p.ignored, err = gitIgnored(ctx, root); err == nil {
		err = filepath.WalkDir(root, p.add)
	}
	for _, closer := range []io.Closer{p.tar, zip, out} {
		if e := closer.Close(); err == nil {
			err = e
		}
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(s.path); err == nil {
			s.size, s.hash = info.Size(), site.Hash(sum.Sum(nil))
		}
	}
	if most := site.DefaultLimits().ArchiveBytes; err == nil && s.size > most {
		err = fmt.Errorf("the sources have %s packed, the most is %s: put what the build does not need into .gitignore", publish.Bytes(s.size), publish.Bytes(most))
	}
	if err != nil {
		s.remove()
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	return s, nil
}

// packer adds one file after the other.
type packer struct {
	ctx     context.Context
	root    string
	tar     *tar.Writer
	ignored map[string]bool
	sources *sources
}

func (p *packer) add(path string, e fs.DirEntry, err error) error {
	if err == nil {
		err = p.ctx.Err()
	}
	if err != nil || path == p.root {
		return err
	}
	rel, err := filepath.Rel(p.root, path)
	if err != nil {
		return err
	}
	name := filepath.ToSlash(rel)
	if unwanted(e.Name()) || p.ignored[name] {
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if !e.Type().IsRegular() && !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
		return nil // sockets and pipes are no sources
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	link := ""
	if e.Type()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, filepath.ToSlash(link))
	if err != nil {
		return err
	}
	header.Name = name
	if e.IsDir() {
		header.Name += "/"
	}
	// Whose files they are here is nobody's business there.
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	if err := p.tar.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	p.sources.files++
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.Copy(p.tar, io.LimitReader(in, info.Size()))
	if err == nil && n < info.Size() {
		err = fmt.Errorf("%s changed while it was packed; try again", name)
	}
	return err
}

// unwanted reports whether a name is never sent, wherever it stands.
func unwanted(name string) bool {
	return name == ".git" || name == "node_modules" || strings.HasPrefix(name, ".env")
}

// gitIgnored lists what git ignores below root, relative to it. Outside a work
// tree that is nothing; inside one, a git that can't tell is an error: what is
// ignored may be secret.
func gitIgnored(ctx context.Context, root string) (map[string]bool, error) {
	git := exec.CommandContext(ctx, "git", "-C", root, "-c", "core.fsmonitor=false",
		"ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
	names, err := git.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		if !inWorkTree(root) {
			return nil, nil
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = errors.New(harmless(strings.TrimSpace(string(exit.Stderr)), false))
		}
		return nil, fmt.Errorf("folder %s is in a git work tree, but git can't say what it ignores there, which must not be sent: %w", root, err)
	}
	ignored := map[string]bool{}
	for name := range strings.SplitSeq(string(names), "\x00") {
		if name = strings.TrimSuffix(name, "/"); name != "" {
			ignored[name] = true
		}
	}
	return ignored, nil
}

// inWorkTree reports whether a folder, or one above it, has a .git.
func inWorkTree(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return true // not known: the careful answer
	}
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}
