package controlplane

import "context"

// Runner starts builders and ends them: as processes of this machine, or as
// tasks of a cluster.
type Runner interface {
	// Start starts a builder and returns a handle that names it, after a
	// restart too. An error means that nothing runs.
	Start(ctx context.Context, b Builder) (handle string, err error)

	// Look says what has become of a builder. One that is not known is gone.
	Look(ctx context.Context, handle string) (BuilderState, error)

	// Stop ends a builder and everything that it started, and returns when
	// nothing of it is left. One that is not known is no error.
	Stop(ctx context.Context, handle string) error

	// Exits tells of builders that have ended by themselves.
	Exits() <-chan BuilderExit

	// Sweep ends and removes whatever earlier starts have left behind, but for
	// the handles named, and reports how many builders it ended.
	Sweep(ctx context.Context, keep []string) (ended int, err error)

	// Survives reports whether builders outlive this process.
	Survives() bool
}

// Builder is what a runner needs to start one.
type Builder struct {
	Attempt string // the attempt's id, for names of directories and tasks
	URL     string // of the control plane
	Claim   string // the one-use token
}

// BuilderState is what a runner knows of a builder.
type BuilderState struct {
	Running bool
	Exit    BuilderExit // where it has ended
}

// BuilderExit says how a builder ended.
type BuilderExit struct {
	Handle string
	Code   int    // exit code; -1: by a signal, or not known
	Reason string // what a person can act on, such as the end of its stderr
	Lost   bool   // the machine below it is gone: no fault of the build
}
