package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const drawNumbers = `
	INSERT INTO counters (name, value) VALUES ($1, $2)
	ON CONFLICT (name) DO UPDATE SET value = counters.value + $2
	RETURNING value`

// Next implements [controlplane.WorkRows].
func (t *tx) Next(counter string, n int) (last int64, err error) {
	if t.postgres != nil {
		err = t.postgres.draw(t, drawNumbers, counter, int64(n)).Scan(&last)
	} else {
		err = t.change(drawNumbers, counter, n).Scan(&last)
	}
	if err != nil {
		return 0, fmt.Errorf("draw from counter %s: %w", counter, err)
	}
	return last, nil
}

// Counter implements [controlplane.WorkRows].
func (t *tx) Counter(counter string) (value int64, err error) {
	err = t.row("SELECT value FROM counters WHERE name = $1", counter).Scan(&value)
	if err != nil && !isNoRows(err) {
		return 0, fmt.Errorf("read counter %s: %w", counter, err)
	}
	return value, nil
}

const raiseCounter = "UPDATE counters SET value = $2 WHERE name = $1 AND value < $2 RETURNING value"

// Raise implements [controlplane.WorkRows].
func (t *tx) Raise(counter string, least int64) (int64, error) {
	was, err := t.Next(counter, 0)
	if err != nil || was >= least {
		return was, err
	}
	var now int64
	if t.postgres != nil {
		err = t.postgres.draw(t, raiseCounter, counter, least).Scan(&now)
	} else {
		err = t.change(raiseCounter, counter, least).Scan(&now)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) { // no row: somebody else was faster
		return 0, fmt.Errorf("raise counter %s: %w", counter, err)
	}
	return was, nil
}

// Lease implements [controlplane.WorkRows].
func (t *tx) Lease(name string) (l controlplane.LeaseRow, err error) {
	err = t.row("SELECT holder, until FROM leases WHERE name = $1", name).Scan(&l.Holder, instant{&l.Until})
	if err != nil && !isNoRows(err) {
		return l, fmt.Errorf("read lease %s: %w", name, err)
	}
	return l, nil
}

// TakeLease implements [controlplane.WorkRows].
func (t *tx) TakeLease(name string, take, over controlplane.LeaseRow) (bool, error) {
	n, err := t.exec(`
		INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = $2, until = $3
		WHERE leases.holder = $2 OR leases.holder = $4 AND leases.until = $5`, name, take.Holder, micros(take.Until), over.Holder, micros(over.Until))
	if err != nil {
		return false, fmt.Errorf("take lease %s: %w", name, err)
	}
	return n == 1, nil
}

// DropLease implements [controlplane.WorkRows].
func (t *tx) DropLease(name, holder string) error {
	_, err := t.exec("DELETE FROM leases WHERE name = $1 AND (holder = $2 OR $2 = '')", name, holder)
	return err
}

// PutClaim implements [controlplane.WorkRows].
func (t *tx) PutClaim(hash string, a controlplane.Attempt, expires time.Time) error {
	_, err := t.exec("INSERT INTO claims (hash, deployment, attempt, project_id, detection, expires) VALUES ($1, $2, $3, $4, $5, $6)",
		hash, a.Deployment, a.Number, a.Project, flag{&a.Detection}, micros(expires))
	if err != nil {
		return fmt.Errorf("keep claim of attempt %s: %w", a.ID(), err)
	}
	return nil
}

// TakeClaim implements [controlplane.WorkRows].
func (t *tx) TakeClaim(hash string, now time.Time) (a controlplane.Attempt, err error) {
	err = t.change("DELETE FROM claims WHERE hash = $1 AND expires >= $2 RETURNING deployment, attempt, project_id, detection", hash, micros(now)).
		Scan(&a.Deployment, &a.Number, &a.Project, flag{&a.Detection})
	if errors.Is(err, sql.ErrNoRows) {
		return a, controlplane.Errorf(controlplane.CodeNotFound, "There is no such claim.")
	}
	return a, err
}

// DeleteClaims implements [controlplane.WorkRows].
func (t *tx) DeleteClaims(before time.Time) error {
	_, err := t.exec("DELETE FROM claims WHERE expires < $1", micros(before))
	return err
}

func detectionColumns(d *controlplane.DetectionRow) []column {
	return []column{
		{"id", &d.ID},
		{"user_id", &d.UserID},
		{"input", document{&d.Input}},
		{"created_at", instant{&d.CreatedAt}},
		{"deadline", instant{&d.Deadline}},
		// What follows can change.
		{"ended", flag{&d.Ended}},
		{"result", &d.Result},
		{"reason", &d.Reason},
		{"handle", &d.Handle},
	}
}

const detectionFixed = 5 // columns that never change

// InsertDetection implements [controlplane.WorkRows].
func (t *tx) InsertDetection(d *controlplane.DetectionRow) error {
	columns := detectionColumns(d)
	if _, err := t.exec(insert("detections", columns), values(columns)...); err != nil {
		return fmt.Errorf("insert detection %s: %w", d.ID, err)
	}
	return nil
}

// Detection implements [controlplane.WorkRows].
func (t *tx) Detection(id string) (*controlplane.DetectionRow, error) {
	d := &controlplane.DetectionRow{}
	columns := detectionColumns(d)
	err := t.row("SELECT "+names(columns, "")+" FROM detections WHERE id = $1", id).Scan(values(columns)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "There is no detection %s.", id)
	}
	if err != nil {
		return nil, fmt.Errorf("read detection %s: %w", id, err)
	}
	return d, nil
}

// SaveDetection implements [controlplane.WorkRows].
func (t *tx) SaveDetection(d *controlplane.DetectionRow) (bool, error) {
	columns := detectionColumns(d)[detectionFixed:]
	n, err := t.exec(fmt.Sprintf("UPDATE detections SET %s WHERE id = $%d AND ended = 0", assignments(columns), len(columns)+1),
		append(values(columns), d.ID)...)
	if err != nil {
		return false, fmt.Errorf("save detection %s: %w", d.ID, err)
	}
	return n == 1, nil
}

// RunningDetections implements [controlplane.WorkRows].
func (t *tx) RunningDetections(now time.Time) (n int, err error) {
	err = t.row("SELECT COUNT(*) FROM detections WHERE ended = 0 AND deadline > $1", micros(now)).Scan(&n)
	return n, err
}

// DeleteDetections implements [controlplane.WorkRows].
func (t *tx) DeleteDetections(before time.Time) error {
	_, err := t.exec("DELETE FROM detections WHERE created_at < $1", micros(before))
	return err
}
