package builder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/builder/framework"
	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/builder/report"
	"github.com/mini-vercel/mini-vercel/builder/sandbox"
	"github.com/mini-vercel/mini-vercel/builder/source"
	"github.com/mini-vercel/mini-vercel/builder/transcript"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// build is the job while it is done. Errors of its steps are sentences for a
// person.
type build struct {
	config    Config
	job       *site.Job
	workspace string
	checkout  string // the sources, below the workspace
	report    *report.Reporter
	log       *transcript.Log
	network   source.Network

	sandbox func() (*sandbox.Sandbox, error) // waits until it is set up
	facts   site.Source
	heads   heads
	plan    *framework.Plan
	beside  []string // folders of programs that were chosen from those side by side
	sources []string // the project's files before the first command ran
}

func newBuild(config Config, job *site.Job, workspace string, reporter *report.Reporter) *build {
	b := &build{config: config, job: job, workspace: workspace, checkout: filepath.Join(workspace, "build"), report: reporter}
	var secrets []string
	for _, v := range job.Env {
		if v.Secret {
			secrets = append(secrets, v.Value)
		}
	}
	secrets = append(secrets, job.Token)
	if job.Git != nil {
		secrets = append(secrets, job.Git.Password)
	}
	b.log = transcript.New(job.Limits, transcript.NewMasker(secrets), time.Now, reporter.Line)
	return b
}

// run takes the job through its phases.
func (b *build) run(ctx context.Context) error {
	if err := os.Mkdir(b.checkout, 0o700); err != nil {
		return fmt.Errorf("the builder can't make the sources' directory: %w", err)
	}
	b.network.Blocked = b.platform(ctx)
	if b.job.Kind == site.JobBuild {
		b.openSandbox(ctx)
	}
	if err := b.phase(ctx, site.PhaseClone, b.job.Limits.CloneTime, b.fetch); err != nil {
		return err
	}
	if err := b.phase(ctx, site.PhaseDetect, b.job.Limits.CloneTime, b.detect); err != nil {
		return err
	}
	if b.job.Kind == site.JobDetect {
		return b.report.Flush(ctx)
	}
	if b.plan.Install != "" || b.plan.Build != "" {
		if err := b.phase(ctx, site.PhaseInstall, b.job.Limits.InstallTime, b.install); err != nil {
			return err
		}
	}
	if b.plan.Build != "" {
		if err := b.phase(ctx, site.PhaseBuild, b.job.Limits.BuildTime, b.build); err != nil {
			return err
		}
	}
	return b.phase(ctx, site.PhaseProcess, b.job.Limits.UploadTime, b.publish)
}

func (b *build) close() {
	if b.sandbox == nil {
		return
	}
	if s, err := b.sandbox(); err == nil {
		if err := s.Close(); err != nil {
			b.config.Log.Warn("the sandbox has left something behind", "error", err)
		}
	}
}

// overtime is the cause of a phase's end at its limit.
type overtime struct {
	phase site.Phase
	limit time.Duration
}

func (e *overtime) Error() string {
	return fmt.Sprintf("%s took longer than its limit of %s", phaseNames[e.phase], e.limit)
}

var phaseNames = map[site.Phase]string{
	site.PhaseClone: "The clone", site.PhaseDetect: "The detection", site.PhaseInstall: "The installation of dependencies",
	site.PhaseBuild: "The build", site.PhaseProcess: "The upload",
}

// phase runs one step within its time and disk space.
func (b *build) phase(ctx context.Context, phase site.Phase, limit time.Duration, step func(context.Context) error) error {
	b.report.Phase(phase)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &overtime{phase, limit})
	defer cancel()
	err := step(ctx)
	var late *overtime
	if err != nil && errors.As(context.Cause(ctx), &late) {
		return late
	}
	return err
}

// openSandbox sets the sandbox up while the sources are fetched.
func (b *build) openSandbox(ctx context.Context) {
	b.sandbox = sync.OnceValues(func() (*sandbox.Sandbox, error) {
		l := b.job.Limits
		s, err := sandbox.New(ctx, sandbox.Config{Mode: b.config.Sandbox, Hidden: append(slices.Clone(b.config.Hidden), b.workspace), Blocked: b.network.Blocked}, b.checkout, sandbox.Limits{
			MemoryBytes: l.MemoryBytes, Processes: l.Processes, FileSizeBytes: l.WorkspaceBytes, WorkspaceBytes: l.WorkspaceBytes,
		})
		if err != nil {
			return nil, fmt.Errorf("the build can't be isolated: %w", err)
		}
		for _, warning := range s.Isolation().Warnings {
			b.log.Say("Warning: %s", warning)
		}
		return s, nil
	})
	go func() { _, _ = b.sandbox() }()
}

// platform are the addresses of the control plane, which no clone and no
// command may reach.
func (b *build) platform(ctx context.Context) (blocked []netip.Prefix) {
	u, err := url.Parse(b.config.URL)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil // a name of this machine alone; loopback is closed anyway
	}
	for _, a := range addresses {
		if a = a.Unmap(); !a.IsLoopback() {
			blocked = append(blocked, netip.PrefixFrom(a.WithZone(""), a.BitLen()))
		}
	}
	return blocked
}

// detect finds out how the sources are built.
func (b *build) detect(ctx context.Context) error {
	root, err := os.OpenRoot(b.checkout)
	if err != nil {
		return fmt.Errorf("the sources can't be opened: %w", err)
	}
	defer root.Close()
	if b.plan, err = framework.Detect(root, b.job.Build); err != nil {
		return err
	}
	b.facts.Framework = b.plan.Row.ID
	if b.job.Kind == site.JobDetect {
		return b.reportDetection(ctx, root)
	}
	b.report.Source(b.facts)
	if b.sources, err = publish.SourceFiles(filepath.Join(b.checkout, filepath.FromSlash(b.plan.Directory))); err != nil {
		return err
	}
	b.sayPlan()
	return nil
}

func (b *build) sayPlan() {
	p := b.plan
	b.log.Say("Framework: %s", p.Row.Name)
	if p.HasPackage && p.Install != "" {
		if p.Manager.From != "" {
			b.log.Say("Package manager: %s (by %s)", p.Manager.Name, p.Manager.From)
		} else {
			b.log.Say("Package manager: %s (there is no lockfile; commit one to get the same dependencies each time)", p.Manager.Name)
		}
	}
}

func (b *build) reportDetection(ctx context.Context, root *os.Root) error {
	found := b.plan.Detection(root)
	found.Commit, found.Message = b.facts.Commit, b.facts.Message
	if b.job.Git != nil {
		if err := b.askHeads(ctx); err != nil {
			return err
		}
		found.Branches, found.DefaultBranch = b.heads.branches, b.heads.standard
	}
	b.report.Detected(found)
	return nil
}
