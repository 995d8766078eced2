package logs

import (
	"context"
	"fmt"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// copyLines is how many lines are copied at once.
const copyLines = 5000

// Copy copies a log from one store to another and compares what is there then.
// It may be repeated: a line that is there is kept once.
func Copy(ctx context.Context, from, to controlplane.LogStore, log controlplane.LogRef) (lines int, err error) {
	var after controlplane.Cursor
	for {
		page, err := from.Lines(ctx, log, after, copyLines, "")
		if err != nil {
			return lines, fmt.Errorf("copy the log of deployment %s: %w", log.Deployment, err)
		}
		if len(page) == 0 {
			break
		}
		if err := to.Append(ctx, controlplane.LogBatch{LogRef: log, Lines: page}); err != nil {
			return lines, fmt.Errorf("copy the log of deployment %s: %w", log.Deployment, err)
		}
		lines += len(page)
		end := page[len(page)-1]
		after = controlplane.Cursor{Attempt: end.Attempt, Seq: end.Seq}
	}
	if lines == 0 {
		return 0, nil
	}
	had, last, err := from.Extent(ctx, log)
	if err != nil {
		return lines, fmt.Errorf("compare the log of deployment %s: %w", log.Deployment, err)
	}
	have, haveLast, err := to.Extent(ctx, log)
	if err == nil && (have != had || haveLast != last) {
		err = fmt.Errorf("%d of %d bytes arrived", have, had)
	}
	if err != nil {
		return lines, fmt.Errorf("compare the log of deployment %s: %w", log.Deployment, err)
	}
	return lines, nil
}
