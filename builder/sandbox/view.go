package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// view is the file system that a command sees: an empty one, into which only
// what is named here is put. It becomes bubblewrap's arguments.
type view struct {
	args  []string
	shown []Mount // the folders of the machine, to hide things in them
	files *descriptors
}

// systemFolders hold programs and libraries. On most systems all but /usr are
// links into it. Everything else at the top, /root, /home, /var, /run, /srv,
// /opt, is absent.
var systemFolders = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"}

// systemFiles are the files of /etc that programs need; none holds a secret.
var systemFiles = []string{
	"/etc/alternatives", "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/crypto-policies",
	"/etc/fonts", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime",
	"/etc/locale.alias", "/etc/magic", "/etc/mime.types", "/etc/os-release", "/etc/debian_version",
	"/etc/alpine-release", "/etc/pki/ca-trust", "/etc/pki/tls/cert.pem", "/etc/pki/tls/certs", "/etc/protocols",
	"/etc/services", "/etc/ssl/cert.pem", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ssl/ca-bundle.pem",
	"/etc/timezone",
}

// nameserver is slirp4netns's own, which asks the machine's.
const nameserver = "10.0.2.3"

// shmBytes is the size of /dev/shm, as containers have it.
const shmBytes = 64 << 20

func (s *Sandbox) view(c Command, ownNetwork bool, files *descriptors) (*view, error) {
	v := &view{files: files}
	for _, folder := range systemFolders {
		v.system(folder)
	}
	for _, folder := range []string{"/etc", "/home", "/var", "/run"} {
		v.folder(folder)
	}
	for _, file := range systemFiles {
		v.parents(file)
		v.add("--ro-bind-try", file, file)
	}
	id := insideID
	if s.user.id != 0 {
		id = s.user.id
	}
	resolver := "nameserver " + nameserver + "\n"
	if !ownNetwork {
		text, _ := os.ReadFile("/etc/resolv.conf")
		resolver = string(text)
	}
	for _, f := range []struct{ path, text string }{
		{"/etc/passwd", fmt.Sprintf("root:x:0:0:root:/:/bin/false\nbuild:x:%d:%d:build:%s:/bin/sh\n", id, id, insideHome)},
		{"/etc/group", fmt.Sprintf("root:x:0:\nbuild:x:%d:\n", id)},
		{"/etc/hosts", "127.0.0.1 localhost build\n::1 localhost\n"},
		{"/etc/hostname", "build\n"},
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
		{"/etc/resolv.conf", resolver},
	} {
		if err := v.file(f.path, f.text); err != nil {
			return nil, err
		}
	}
	v.add("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev")
	v.add("--perms", "1777", "--size", fmt.Sprint(shmBytes), "--tmpfs", "/dev/shm")
	v.add("--bind", s.tmp(), insideTmp, "--bind", s.home(), insideHome, "--bind", s.workspace, insideWorkspace)
	v.add("--symlink", "../tmp", "/var/tmp")
	for _, m := range append(toolchain(), c.ReadOnly...) {
		for _, folder := range []string{insideWorkspace, insideTmp, insideHome, "/proc", "/dev", "/etc"} {
			// Where commands write, they could leave links for the next mount.
			if within(m.target(), folder) || within(folder, m.target()) {
				return nil, fmt.Errorf("show %s: it can't be shown as %s; choose another path", m.Source, m.target())
			}
		}
		for _, hidden := range s.config.Hidden {
			if within(m.target(), hidden) {
				return nil, fmt.Errorf("show %s: it lies in a hidden folder and needs another path", m.Source)
			}
		}
		v.show(m)
	}
	if err := v.hide(s.config.Hidden); err != nil {
		return nil, err
	}
	v.add("--remount-ro", "/")
	return v, nil
}

func (v *view) add(args ...string) { v.args = append(v.args, args...) }

func (v *view) show(m Mount) {
	v.parents(m.target())
	v.add("--ro-bind", m.Source, m.target())
	v.shown = append(v.shown, m)
}

// parents makes the folders above a path, which bubblewrap would close to all
// but their owner.
func (v *view) parents(path string) {
	parent := filepath.Dir(path)
	if parent == "/" || slices.ContainsFunc(v.shown, func(m Mount) bool { return within(parent, m.target()) }) {
		return
	}
	v.parents(parent)
	v.folder(parent)
}

func (v *view) folder(path string) { v.add("--perms", "0755", "--dir", path) }

// system shows a folder, or the link that the system has in its place.
func (v *view) system(folder string) {
	if target, err := os.Readlink(folder); err == nil {
		v.add("--symlink", target, folder)
	} else if isDir(folder) {
		v.show(Mount{Source: folder})
	}
}

// file makes a file that only its text and everybody's right to read it has.
func (v *view) file(path, text string) error {
	number, err := v.files.data(filepath.Base(path), text)
	if err != nil {
		return err
	}
	v.add("--perms", "0644", "--file", fmt.Sprint(number), path)
	return nil
}

// hide covers those hidden paths that lie in something shown.
func (v *view) hide(hidden []string) error {
	for _, path := range hidden {
		for _, name := range names(path) {
			for _, m := range v.shown {
				relative, err := filepath.Rel(m.Source, name)
				if err != nil || !filepath.IsLocal(relative) || relative == "." {
					continue
				}
				if err := v.cover(name, filepath.Join(m.target(), relative)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (v *view) cover(source, target string) error {
	if isDir(source) {
		v.add("--perms", "0000", "--tmpfs", target, "--remount-ro", target)
	} else if _, err := os.Lstat(source); err == nil {
		number, err := v.files.data("hidden", "")
		if err != nil {
			return err
		}
		v.add("--perms", "0000", "--ro-bind-data", fmt.Sprint(number), target)
	}
	return nil
}

// names are a path and, if it leads through links, where it really is.
func names(path string) []string {
	path = filepath.Clean(path)
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		return []string{path, real}
	}
	return []string{path}
}

// within is whether path is folder or lies in it.
func within(path, folder string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(relative)
}

// toolchain is where the builder's own Node lives, if that is not a system
// folder. Of its prefix, which may be somebody's home, only the parts that
// belong to Node are shown.
func toolchain() []Mount {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil
	}
	if node, err = filepath.EvalSymlinks(node); err != nil || filepath.Base(filepath.Dir(node)) != "bin" {
		return nil
	}
	for _, folder := range systemFolders {
		if within(node, folder) {
			return nil
		}
	}
	prefix := filepath.Dir(filepath.Dir(node))
	var mounts []Mount
	for _, part := range []string{"bin", "lib/node_modules", "include/node"} {
		if source := filepath.Join(prefix, part); isDir(source) {
			mounts = append(mounts, Mount{Source: source})
		}
	}
	return mounts
}
