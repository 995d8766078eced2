package controlplane_test

import (
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func TestGitURLs(t *testing.T) {
	const never, local, always = 0, 1, 2
	for _, row := range []struct {
		url  string
		when int
	}{
		{"https://github.com/owner/name", always},
		{"https://github.com/owner/name.git", always},
		{"https://git.example.com:8443/a/b", always},
		{"https://93.184.216.34/a/b", always},
		{"https://[2606:2800:220:1::1]/a", always},

		{"file:///srv/repo", local},
		{"file://localhost/srv/repo", local},
		{"http://localhost:3000/a/b", local},
		{"http://127.0.0.1/a", local},
		{"https://localhost/a", local},
		{"https://[::1]/a", local},
		{"https://app.localhost/a", local},

		{"", never},
		{"github.com/owner/name", never},
		{"http://github.com/owner/name", never},
		{"ssh://git@github.com/owner/name", never},
		{"git@github.com:owner/name", never},
		{"git://github.com/owner/name", never},
		{"ext::sh -c id", never},
		{"ext::sh", never},
		{"fd::17/x", never},
		{"https::https://github.com/a/b", never},
		{"--upload-pack=touch /tmp/x", never},
		{"-oProxyCommand=x", never},
		{"https://user@github.com/a/b", never},
		{"https://user:secret@github.com/a/b", never},
		{"https://github.com/a/b?x=1", never},
		{"https://github.com/a/b#x", never},
		{"https://github.com", never},
		{"https://github.com/", never},
		{"https:///a/b", never},
		{"https://github.com/a b", never},
		{"https://github.com/a%0ahost=evil.example", never},
		{"https://github.com/a%00b", never},
		{"file:///srv/a%0ab", never},
		{"https://github.com/a\nb", never},
		{"https://github.com\\@evil.example/a", never},
		{"https://10.0.0.1/a", never},
		{"https://192.168.1.1/a", never},
		{"https://172.16.0.1/a", never},
		{"https://169.254.169.254/latest/meta-data", never},
		{"https://100.64.0.1/a", never},
		{"https://0.0.0.0/a", never},
		{"https://[::]/a", never},
		{"https://[fd00::1]/a", never},
		{"https://[fe80::1]/a", never},
		{"https://[::ffff:10.0.0.1]/a", never},
		{"https://[64:ff9b::a00:1]/a", never},
		{"https://2130706433/a", never},
		{"https://127.1/a", never},
		{"https://0x7f.1/a", never},
		{"https://intranet/a", never},
		{"https://metadata.google.internal/a", never},
		{"https://printer.local/a", never},
		{"file://host/srv/repo", never},
		{"file:///", never},
		{"file:relative", never},
		{"http://169.254.169.254/a", never},
		{"http://127.0.0.1.nip.io/a", never},
	} {
		for _, allowed := range []bool{false, true} {
			want := row.when == always || allowed && row.when == local
			if err := controlplane.CheckGitURL(row.url, allowed); (err == nil) != want {
				t.Errorf("%q, local allowed %v: %v", row.url, allowed, err)
			} else if err != nil {
				wantCode(t, err, controlplane.CodeInvalid)
			}
		}
	}
}

func TestOnlyTheMachinesOwnerNamesRepositoriesOfTheMachine(t *testing.T) {
	p := newPlane(t).start()
	const local = "file:///srv/repo"
	invited := p.me
	owner := controlplane.Principal{UserID: "owner", Scope: controlplane.ScopeAdmin, Admin: true}
	cli := controlplane.Principal{UserID: "owner", Scope: controlplane.ScopeAdmin, Local: true}
	for _, row := range []struct {
		name string
		who  controlplane.Principal
		ok   bool
	}{{"invited", invited, false}, {"owner", owner, true}, {"cli", cli, true}} {
		_, err := p.CreateProject(t.Context(), row.who, controlplane.ProjectInput{Name: row.name, GitURL: local})
		if (err == nil) != row.ok {
			t.Errorf("%s creates: %v", row.name, err)
		}
	}
	url := local
	_, err := p.UpdateProject(t.Context(), invited, p.project("repo").ID, controlplane.ProjectPatch{GitURL: &url})
	wantCode(t, err, controlplane.CodeInvalid)
	_, err = p.Detect(t.Context(), invited, controlplane.DetectInput{GitURL: local})
	wantCode(t, err, controlplane.CodeInvalid)
}

// A public name may lead to loopback: only an address that says so is local.
func TestAJobIsLocalOnlyWhereItsAddressIs(t *testing.T) {
	p := newPlane(t).start()
	p.deploy(p.project("repo").ID, "main")
	if b := p.claim(p.next()); b.job.Git.AllowLocal {
		t.Error("a repository with a public address may be cloned from this machine")
	}
}

func TestCredentialsStayWithTheirServer(t *testing.T) {
	p := newPlane(t).start()
	project, err := p.CreateProject(t.Context(), p.me, controlplane.ProjectInput{
		Name: "private", GitURL: "https://git.example.com/a/b", Credentials: &controlplane.Credentials{Username: "u", Password: "s3cret"},
	})
	if err != nil || !project.HasCredentials {
		t.Fatalf("%+v %v", project, err)
	}
	for _, row := range []struct {
		url  string
		kept bool
	}{{"https://git.example.com/a/c", true}, {"https://git.example.com:8443/a/c", false}} {
		project, err = p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{GitURL: &row.url})
		if err != nil || project.HasCredentials != row.kept {
			t.Errorf("%s: credentials kept: %v, %v", row.url, project.HasCredentials, err)
		}
	}
}
