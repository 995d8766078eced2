package runner

import "context"

// PollOnce does one round of looks at tasks, as in the background.
func (e *ECS) PollOnce(ctx context.Context) error { return e.pollOnce(ctx) }
