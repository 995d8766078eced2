package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Sweep implements [controlplane.Runner]. It looks at the tasks of this
// installation alone, whichever of its control planes started them.
func (e *ECS) Sweep(ctx context.Context, over func(ctx context.Context, attempt string) (bool, error)) (ended int, err error) {
	pages := ecs.NewListTasksPaginator(e.client, &ecs.ListTasksInput{
		Cluster: &e.options.Cluster, StartedBy: aws.String(e.startedBy()), DesiredStatus: types.DesiredStatusRunning,
	})
	for pages.HasMorePages() {
		page, err := call(ctx, e, "ListTasks", func(ctx context.Context, _ struct{}, o ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
			return pages.NextPage(ctx, o...)
		}, struct{}{})
		if err != nil {
			return ended, fmt.Errorf("sweep tasks: %w", err)
		}
		for some := range slices.Chunk(page.TaskArns, describeAtOnce) {
			tasks, err := e.describe(ctx, some, true)
			if err != nil {
				return ended, fmt.Errorf("sweep tasks: %w", err)
			}
			for handle, t := range tasks {
				attempt := attemptOf(t)
				if attempt == "" || text(t.StartedBy) != e.startedBy() || text(t.DesiredStatus) == "STOPPED" {
					continue
				}
				isOver, err := over(ctx, attempt)
				if err != nil {
					return ended, fmt.Errorf("sweep task of attempt %s: %w", attempt, err)
				}
				if !isOver {
					continue
				}
				if err := e.Stop(ctx, handle); err != nil {
					return ended, fmt.Errorf("sweep task of attempt %s: %w", attempt, err)
				}
				ended++
			}
		}
	}
	return ended, nil
}

func attemptOf(t *types.Task) string {
	for _, tag := range t.Tags {
		if text(tag.Key) == attemptTag {
			return text(tag.Value)
		}
	}
	return ""
}

// endAttemptTime bounds the search for a task that may have been started.
const endAttemptTime = 10 * time.Second

// endAttempt ends the task of an attempt, if ECS knows of one. What it misses,
// the sweep finds later.
func (e *ECS) endAttempt(ctx context.Context, attempt string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endAttemptTime)
	defer cancel()
	_, err := e.Sweep(ctx, func(_ context.Context, found string) (bool, error) { return found == attempt, nil })
	if err != nil {
		e.options.Log.Warn("a task may have been started all the same; it will find its attempt over", "attempt", attempt, "error", err)
	}
}
