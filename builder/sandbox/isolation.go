package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Isolation is what a machine can do to keep commands apart from it.
type Isolation struct {
	Mode Mode
	// Network is whether commands have a network of their own, that reaches
	// the internet but neither the machine nor private addresses.
	Network bool
	// MemoryGroup and ProcessGroup are whether the limits on memory and
	// processes count all of a command's processes together.
	MemoryGroup, ProcessGroup bool
	// Warnings are sentences for the person who runs the platform, one for
	// each protection that is missing.
	Warnings []string

	bwrap string // the program
	err   error  // why the mode that was asked for is not possible
}

// Isolated is whether commands are kept apart from the machine at all.
func (i Isolation) Isolated() bool { return i.err == nil && i.Mode != ModeNone }

// Err says why the mode that [Config] asks for is unknown or not possible here.
func (i Isolation) Err() error { return i.err }

// Probe finds out by trying it what the machine can do. It takes some tens of
// milliseconds and leaves nothing behind.
func Probe(ctx context.Context, config Config) Isolation {
	i := Isolation{}
	parents := groupParents()
	i.MemoryGroup, i.ProcessGroup = parents.memory != "", parents.pids != ""
	var bwrapErr, userErr error
	switch Mode(config.Mode) {
	case "", "auto":
		if i, bwrapErr = tryBubblewrap(ctx, config, i); bwrapErr == nil {
			break
		}
		if userErr = tryUser(ctx); userErr == nil {
			// Not ModeTask, in a task either: whether that is there for one build
			// alone, only who started it knows.
			i.Mode, i.err = ModeUser, taskRole()
			i.warn("Builds run as a user of their own but see this machine's files and processes, because bubblewrap does not work here: %v.", bwrapErr)
			break
		}
		i.Mode = ModeNone
		i.warn("Builds are not isolated and can read whatever the platform can: bubblewrap does not work here (%v) and neither does another user (%v).", bwrapErr, userErr)
	case ModeBubblewrap:
		if i, bwrapErr = tryBubblewrap(ctx, config, i); bwrapErr != nil {
			i.err = fmt.Errorf("sandbox: bubblewrap does not work here: %w", bwrapErr)
		}
	case strict:
		if i, bwrapErr = tryBubblewrap(ctx, config, i); bwrapErr != nil {
			i.err = fmt.Errorf("sandbox: strict isolation needs bubblewrap, which does not work here: %w", bwrapErr)
		} else if !i.Network {
			i.err = fmt.Errorf("sandbox: strict isolation needs a network of the build's own: %s", strings.Join(i.Warnings, " "))
		}
	case ModeTask:
		i.Mode = ModeTask
		if i.err = taskRole(); i.err == nil {
			i.err = machineRole(ctx, metadataAddresses)
		}
		if i.err != nil {
			break
		}
		if userErr = tryUser(ctx); userErr != nil {
			i.err = fmt.Errorf("sandbox: commands can't run as another user in this container: %w", userErr)
		}
	case ModeUser:
		i.Mode = ModeUser
		if userErr = tryUser(ctx); userErr != nil {
			i.err = fmt.Errorf("sandbox: commands can't run as another user here: %w", userErr)
		}
		i.warn("Builds run as a user of their own but see this machine's files and processes, as configured.")
	case ModeNone:
		i.Mode = ModeNone
		i.warn("Builds are not isolated and can read whatever the platform can, as configured.")
	default:
		i.err = fmt.Errorf("sandbox: %q is no mode; there are auto, %s, %s, %s, %s and %s", config.Mode, strict, ModeBubblewrap, ModeTask, ModeUser, ModeNone)
		return i
	}
	if i.Mode == ModeTask {
		return i // what it lacks, it lacks by design, see its description
	}
	if i.Mode != ModeBubblewrap {
		i.warn("Builds share this machine's network and can reach its private services.")
	}
	if !i.MemoryGroup {
		i.warn("The memory limit holds for each process of a build, not for all together: no memory control group can be made here.")
	}
	return i
}

func (i *Isolation) warn(format string, args ...any) {
	i.Warnings = append(i.Warnings, fmt.Sprintf(format, args...))
}

const probeTimeout = 15 * time.Second

// tryBubblewrap runs a command as builds do, first with a network, then without.
func tryBubblewrap(ctx context.Context, config Config, i Isolation) (Isolation, error) {
	i.Mode = ModeBubblewrap
	var err error
	if i.bwrap, err = exec.LookPath("bwrap"); err != nil {
		return i, errors.New("bwrap is not installed")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	i.Network = true
	networkErr := tryCommand(ctx, config, i)
	if networkErr == nil {
		return i, nil
	}
	i.Network = false
	if err := tryCommand(ctx, config, i); err != nil {
		return i, err
	}
	i.warn("Builds share this machine's network and can reach its private services, because a network of their own does not work here: %v.", networkErr)
	return i, nil
}

func tryCommand(ctx context.Context, config Config, i Isolation) error {
	parent, err := os.MkdirTemp("", "mini-vercel-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(parent)
	s, err := open(config, i, parent, Limits{})
	if err != nil {
		return err
	}
	defer s.Close()
	var stderr strings.Builder
	result, err := s.Run(ctx, Command{Args: []string{"true"}, Network: true, Stderr: &stderr})
	if err != nil {
		return err
	}
	if result.ExitCode != 0 {
		return fmt.Errorf("exit code %d: %s", result.ExitCode, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// tryUser changes to a user id as builds do.
func tryUser(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		return errors.New("setpriv is not installed")
	}
	user, err := pickUser(ModeUser)
	if err != nil {
		return err
	}
	drop := user.dropRights()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, drop[0], append(drop[1:], "true")...)
	cmd.Env = []string{}
	if message, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(message)))
	}
	return nil
}
