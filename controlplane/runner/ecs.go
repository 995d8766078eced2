package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// ECSOptions are the settings of [NewECS]. Region and credentials are what the
// SDK finds: environment, shared file, role of the machine.
type ECSOptions struct {
	// Cluster is the name or the ARN of the cluster.
	Cluster string
	// TaskDefinition is a family, whose latest revision is taken, a
	// family:revision, or an ARN.
	TaskDefinition string
	// Container is the name, in that definition, of the container that builds.
	// Default: "builder". Its image is the definition's: a task's overrides
	// can't name another.
	Container string
	// LaunchType is FARGATE (the default), FARGATE_SPOT or EC2.
	LaunchType string
	// Subnets, SecurityGroups and PublicIP are the network of a task.
	Subnets, SecurityGroups []string
	PublicIP                bool
	// Installation names the control planes that share a database, among others
	// that start tasks in this cluster: letters, digits, - and _.
	Installation string
	// Env is a task's environment besides what names its control plane and its
	// claim. Whoever may call DescribeTasks reads it.
	Env []string
	// MemoryBytes and WorkspaceBytes are the limits of one build, which a task
	// is expected to have.
	MemoryBytes, WorkspaceBytes int64

	// PollEvery is how often ECS is asked what has become of tasks. Default: 5 s.
	PollEvery time.Duration
	// StartWithin is how long a task may take until it runs. Default: 10 minutes.
	StartWithin time.Duration
	// FirstPause is about how long to wait after a call that failed; each
	// further one is twice as long. Default: 500 ms.
	FirstPause time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// The launch types of [ECSOptions].
const (
	LaunchFargate     = "FARGATE"
	LaunchFargateSpot = "FARGATE_SPOT"
	LaunchEC2         = "EC2"
)

// ECS runs builders as tasks of Amazon ECS, each a machine or a container of its
// own. They outlive the control plane that started them. A builder's handle is
// its task's ARN.
//
// Every task is marked: startedBy names the installation, the tag
// mini-vercel:attempt the attempt. By these [ECS.Sweep] finds tasks that no
// database knows of.
type ECS struct {
	options ECSOptions
	client  *ecs.Client
	metrics *ecsMetrics
	exits   chan controlplane.BuilderExit
	calling chan struct{} // holds one element for each start under way

	mu    sync.Mutex
	tasks map[string]*followed // by handle

	end     context.CancelFunc
	running sync.WaitGroup
}

var _ controlplane.Runner = (*ECS)(nil)

// followed is a task whose end is to be told.
type followed struct {
	attempt string // none: another control plane started it
	since   time.Time
	runs    bool      // it has left the states before RUNNING
	missing time.Time // since when ECS does not know it; zero: it does
	stopped bool      // by Stop: nobody is told
}

// startsAtOnce bounds the calls of RunTask under way, which AWS counts.
const startsAtOnce = 10

var installationPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// NewECS makes a runner, which follows its tasks until it is closed. It makes no
// request, see [ECS.Check].
func NewECS(ctx context.Context, options ECSOptions) (*ECS, error) {
	set(&options.Container, "builder")
	set(&options.LaunchType, LaunchFargate)
	set(&options.PollEvery, 5*time.Second)
	set(&options.StartWithin, 10*time.Minute)
	set(&options.FirstPause, 500*time.Millisecond)
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case options.Cluster == "" || options.TaskDefinition == "":
		return nil, errors.New("runner: ECS needs a cluster and a task definition")
	case !installationPattern.MatchString(options.Installation):
		return nil, fmt.Errorf("runner: %q is no name of an installation", options.Installation)
	}
	e := &ECS{
		options: options, metrics: newECSMetrics(),
		exits: make(chan controlplane.BuilderExit, maxExits), calling: make(chan struct{}, startsAtOnce), tasks: map[string]*followed{},
	}
	var err error
	if e.client, err = e.newClient(ctx); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	e.metrics.tasks = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: ecsMetricsPrefix + "tasks", Help: "Tasks of builders that this control plane follows.",
	}, func() float64 {
		e.mu.Lock()
		defer e.mu.Unlock()
		return float64(len(e.tasks))
	})
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.end = cancel
	e.running.Go(func() { e.poll(work) })
	return e, nil
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Close ends the look at tasks, which go on.
func (e *ECS) Close() {
	e.end()
	e.running.Wait()
}

// Collectors returns what to register with a Prometheus registry.
func (e *ECS) Collectors() []prometheus.Collector { return e.metrics.collectors() }

// Exits implements [controlplane.Runner].
func (e *ECS) Exits() <-chan controlplane.BuilderExit { return e.exits }

// Survives implements [controlplane.Runner].
func (e *ECS) Survives() bool { return true }

// startedBy marks the tasks of this installation.
func (e *ECS) startedBy() string { return "mini-vercel/" + e.options.Installation }

// attemptTag is the key of the tag that names a task's attempt.
const attemptTag = "mini-vercel:attempt"
