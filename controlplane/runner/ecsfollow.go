package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	// describeAtOnce is how many tasks one call of DescribeTasks takes.
	describeAtOnce = 100
	// missingTime is for ECS to know everywhere of a task that it has just
	// started, or to remember one.
	missingTime = time.Minute
)

func (e *ECS) follow(handle string, f *followed) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tasks[handle] == nil {
		e.tasks[handle] = f
	}
}

// poll asks again and again what has become of the tasks, until ctx ends.
func (e *ECS) poll(ctx context.Context) {
	failing := false
	for sleep(ctx, e.options.PollEvery) == nil {
		err := e.pollOnce(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			e.options.Log.Error("can't see what has become of tasks; it is tried again", "error", err)
		case err == nil && failing:
			e.options.Log.Info("ECS tells of tasks again")
		}
		failing = err != nil
	}
}

// pollOnce looks at every task that is followed.
func (e *ECS) pollOnce(ctx context.Context) error {
	e.mu.Lock()
	handles := slices.Sorted(maps.Keys(e.tasks))
	e.mu.Unlock()
	var errs []error
	for some := range slices.Chunk(handles, describeAtOnce) {
		tasks, err := e.describe(ctx, some, false)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, handle := range some {
			e.looked(ctx, handle, tasks[handle])
		}
	}
	return errors.Join(errs...)
}

// describe returns those of the tasks that ECS knows, by their ARN.
func (e *ECS) describe(ctx context.Context, handles []string, tags bool) (map[string]*types.Task, error) {
	in := &ecs.DescribeTasksInput{Cluster: &e.options.Cluster, Tasks: handles}
	if tags {
		in.Include = []types.TaskField{types.TaskFieldTags}
	}
	out, err := call(ctx, e, "DescribeTasks", e.client.DescribeTasks, in)
	if err != nil {
		return nil, err
	}
	tasks := map[string]*types.Task{}
	for i := range out.Tasks {
		tasks[text(out.Tasks[i].TaskArn)] = &out.Tasks[i]
	}
	return tasks, nil
}

// looked takes in what ECS says of a task; nil: it does not know it.
func (e *ECS) looked(ctx context.Context, handle string, t *types.Task) {
	now := e.options.Now()
	e.mu.Lock()
	f := e.tasks[handle]
	if f == nil {
		e.mu.Unlock()
		return
	}
	var exit controlplane.BuilderExit
	end, late := ending(""), false
	switch {
	case t == nil && f.missing.IsZero():
		f.missing = now
	case t == nil:
		if now.Sub(f.missing) >= missingTime {
			exit, end = gone(handle), endLost
		}
	case hasEnded(t):
		exit, end = e.exitOf(handle, t)
	default:
		f.missing = time.Time{}
		if f.runs = f.runs || !isStarting(t); !f.runs && !f.stopped && now.Sub(f.since) > e.options.StartWithin {
			late = true
			exit, end = controlplane.BuilderExit{
				Handle: handle, Code: -1, Lost: true, Reason: fmt.Sprintf("its task did not start within %s", e.options.StartWithin),
			}, endNotStarted
		}
	}
	if end == "" {
		e.mu.Unlock()
		return
	}
	stopped := f.stopped
	delete(e.tasks, handle)
	e.mu.Unlock()
	if late {
		if err := e.stopTask(ctx, handle, "it did not start in time"); err != nil {
			e.options.Log.Error("can't stop a task; the sweeper will", "task", handle, "error", err)
		}
	}
	if stopped {
		e.metrics.ended.WithLabelValues(string(endStopped)).Inc()
		return
	}
	e.metrics.ended.WithLabelValues(string(end)).Inc()
	if t != nil && end != endExited {
		e.options.Log.Warn("a task ended", "task", handle, "attempt", f.attempt, "stop_code", string(t.StopCode), "stopped_reason", text(t.StoppedReason),
			"container_reason", containerReason(t, e.options.Container), "code", exit.Code)
	}
	select {
	case e.exits <- exit:
	default:
		e.options.Log.Error("nobody asks for builders that have ended", "builder", handle)
	}
}

// Look implements [controlplane.Runner].
func (e *ECS) Look(ctx context.Context, handle string) (controlplane.BuilderState, error) {
	if !isTask(handle) {
		return controlplane.BuilderState{Exit: gone(handle)}, nil // of another runner
	}
	e.mu.Lock()
	f := e.tasks[handle]
	e.mu.Unlock()
	tasks, err := e.describe(ctx, []string{handle}, false)
	if err != nil {
		if codeOf(err) == "InvalidParameterException" { // of another region or account
			return controlplane.BuilderState{Exit: gone(handle)}, nil
		}
		return controlplane.BuilderState{}, fmt.Errorf("look at builder %s: %w", handle, err)
	}
	t := tasks[handle]
	switch {
	case t == nil && f != nil && e.options.Now().Sub(f.since) < missingTime:
		return controlplane.BuilderState{Running: true}, nil
	case t == nil:
		e.forget(handle)
		return controlplane.BuilderState{Exit: gone(handle)}, nil
	case hasEnded(t):
		e.forget(handle)
		exit, _ := e.exitOf(handle, t)
		return controlplane.BuilderState{Exit: exit}, nil
	case text(t.DesiredStatus) == "STOPPED" && (f == nil || f.stopped):
		return controlplane.BuilderState{Exit: gone(handle)}, nil // its end is certain
	case f != nil: // or was: then its end has been told meanwhile
		return controlplane.BuilderState{Running: true}, nil
	}
	since := e.options.Now()
	if t.CreatedAt != nil {
		since = *t.CreatedAt
	}
	e.follow(handle, &followed{since: since})
	return controlplane.BuilderState{Running: true}, nil
}

func (e *ECS) forget(handle string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.tasks, handle)
}

// Stop implements [controlplane.Runner]. The builder gets SIGTERM, and SIGKILL
// after the stopTimeout of its container.
func (e *ECS) Stop(ctx context.Context, handle string) error {
	if !isTask(handle) {
		return nil
	}
	e.mu.Lock()
	f := e.tasks[handle]
	was := f != nil && f.stopped
	if f != nil {
		f.stopped = true
	}
	e.mu.Unlock()
	if err := e.stopTask(ctx, handle, "its build is over, or was canceled"); err != nil {
		e.mu.Lock()
		if f != nil && !was {
			f.stopped = false
		}
		e.mu.Unlock()
		return fmt.Errorf("stop builder %s: %w", handle, err)
	}
	return nil
}

// stopTask is no error where the task is not known any more.
func (e *ECS) stopTask(ctx context.Context, handle, why string) error {
	_, err := call(ctx, e, "StopTask", e.client.StopTask, &ecs.StopTaskInput{Cluster: &e.options.Cluster, Task: &handle, Reason: aws.String("mini-vercel: " + why)})
	if err != nil && codeOf(err) == "InvalidParameterException" && strings.Contains(messageOf(err), "not found") {
		return nil
	}
	return err
}

func isTask(handle string) bool {
	return strings.HasPrefix(handle, "arn:") && strings.Contains(handle, ":task/")
}

// isStarting is whether a task has not come as far as to run.
func isStarting(t *types.Task) bool {
	switch text(t.LastStatus) {
	case "PROVISIONING", "PENDING", "ACTIVATING":
		return true
	}
	return false
}

// hasEnded is whether nothing of a task runs any more. Its network interface may
// still be given back, for half a minute.
func hasEnded(t *types.Task) bool {
	switch text(t.LastStatus) {
	case "STOPPED", "DELETED":
		return true
	case "DEPROVISIONING":
		return t.StopCode != ""
	}
	return false
}
