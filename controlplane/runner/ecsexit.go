package runner

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// ending is why a task ended, for metrics.
type ending string

const (
	endExited      ending = "exited"
	endStopped     ending = "stopped" // by this control plane
	endMemory      ending = "out_of_memory"
	endLost        ending = "lost" // the machine, or the Spot capacity
	endNotStarted  ending = "not_started"
	endNoRoom      ending = "no_room"
	endSomebodyDid ending = "stopped_by_others"
)

// gone is a task that ECS does not know of any more, or never did.
func gone(handle string) controlplane.BuilderExit {
	return controlplane.BuilderExit{Handle: handle, Code: -1, Lost: true}
}

// startErrors are what ECS says of a task that never ran, and what that is in
// plain words. The exact message is in the log: it may name what is no tenant's
// business.
var startErrors = map[string]string{
	"CannotPullContainerError":     "the builder's image could not be pulled",
	"ResourceInitializationError":  "its task could not be set up",
	"CannotStartContainerError":    "its container could not be started",
	"CannotCreateContainerError":   "its container could not be made",
	"CannotCreateVolumeError":      "its volume could not be made",
	"ContainerRuntimeError":        "its container could not be run",
	"ContainerRuntimeTimeoutError": "its container did not start in time",
	"DockerTimeoutError":           "its container did not start in time",
	"InternalError":                "AWS failed",
}

var errorName = regexp.MustCompile(`\b[A-Z][A-Za-z]+Error\b`)

// exitOf says how a builder ended, from what ECS says of its task.
func (e *ECS) exitOf(handle string, t *types.Task) (controlplane.BuilderExit, ending) {
	exit := controlplane.BuilderExit{Handle: handle, Code: -1}
	own := containerOf(t, e.options.Container)
	if own != nil && own.ExitCode != nil {
		exit.Code = int(*own.ExitCode)
	}
	lost := func(why string, as ending) (controlplane.BuilderExit, ending) {
		exit.Lost, exit.Reason = true, why
		return exit, as
	}
	said := containerReason(t, e.options.Container) + " " + text(t.StoppedReason)
	name := errorName.FindString(said)
	switch {
	case name == "OutOfMemoryError":
		exit.Reason = "out of memory: the build used more than " + e.memoryOf(t, own)
		return exit, endMemory
	case t.StopCode == types.TaskStopCodeSpotInterruption:
		return lost("AWS took its Spot capacity back", endLost)
	case t.StopCode == types.TaskStopCodeTerminationNotice, t.StopCode == types.TaskStopCodeInfrastructureHealth, strings.Contains(said, "Host EC2"):
		return lost("AWS took its machine away", endLost)
	case saysNoRoom(said):
		exit.NoRoom = true
		return lost("there was no capacity for its task", endNoRoom)
	case startErrors[name] != "":
		return lost(fmt.Sprintf("%s (%s)", startErrors[name], name), endNotStarted)
	case t.StopCode == types.TaskStopCodeTaskFailedToStart:
		return lost("its task did not start", endNotStarted)
	case t.StopCode == types.TaskStopCodeUserInitiated, t.StopCode == types.TaskStopCodeServiceSchedulerInitiated:
		return lost("somebody stopped its task", endSomebodyDid)
	case exit.Code < 0:
		// Another container of the task ended it, or nobody says what did.
		return lost("its task ended", endLost)
	case exit.Code > 128:
		exit.Reason = fmt.Sprintf("it was ended by signal %d", exit.Code-128)
	}
	return exit, endExited
}

// memoryOf is how much a task had, as text.
func (e *ECS) memoryOf(t *types.Task, own *types.Container) string {
	for _, mebibytes := range []*string{t.Memory, containerMemory(own)} {
		if n, err := strconv.Atoi(text(mebibytes)); err == nil && n > 0 {
			return fmt.Sprintf("%d MiB", n)
		}
	}
	return fmt.Sprintf("%d MiB", e.options.MemoryBytes>>20)
}

func containerMemory(c *types.Container) *string {
	if c == nil {
		return nil
	}
	return c.Memory
}

func containerOf(t *types.Task, name string) *types.Container {
	for i := range t.Containers {
		if text(t.Containers[i].Name) == name {
			return &t.Containers[i]
		}
	}
	return nil
}

func containerReason(t *types.Task, name string) string {
	if c := containerOf(t, name); c != nil {
		return text(c.Reason)
	}
	return ""
}
