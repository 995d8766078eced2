package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// outputGrace is how long the rest of the output may take once every process
// is gone: it is in the pipes, so only a slow writer needs any.
const outputGrace = 5 * time.Second

// output carries what a command prints to its writers.
type output struct {
	stdout, stderr *os.File // the command's ends
	readers        []*os.File
	grace          time.Duration
	done           sync.WaitGroup
	mu             sync.Mutex
	err            error
	complaint      []byte // the beginning of stderr
}

// complaintBytes is how much of stderr is kept for an error message.
const complaintBytes = 500

func newOutput(stdout, stderr io.Writer) (*output, error) {
	o := &output{grace: outputGrace}
	var err error
	if same(stdout, stderr) {
		o.stdout, err = o.carry(complaints{o, stdout})
		o.stderr = o.stdout
		return o, err
	}
	if o.stdout, err = o.carry(stdout); err != nil {
		return nil, err
	}
	if stderr == nil {
		stderr = io.Discard
	}
	if o.stderr, err = o.carry(complaints{o, stderr}); err != nil {
		return nil, errors.Join(err, o.finish())
	}
	return o, nil
}

// same also answers for writers of a type that can't be compared.
func same(a, b io.Writer) (equal bool) {
	defer func() {
		if recover() != nil {
			equal = false
		}
	}()
	return a != nil && a == b
}

func (o *output) carry(w io.Writer) (*os.File, error) {
	if w == nil {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	r, inner, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o.readers = append(o.readers, r)
	o.done.Go(func() {
		if _, err := io.Copy(w, r); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
			o.mu.Lock()
			o.err = errors.Join(o.err, err)
			o.mu.Unlock()
			// A full pipe would block the command.
			_, _ = io.Copy(io.Discard, r)
		}
	})
	return inner, nil
}

// complaints passes on what it keeps the beginning of.
type complaints struct {
	o *output
	w io.Writer
}

func (c complaints) Write(p []byte) (int, error) {
	c.o.mu.Lock()
	c.o.complaint = append(c.o.complaint, p[:min(len(p), complaintBytes-len(c.o.complaint))]...)
	c.o.mu.Unlock()
	return c.w.Write(p)
}

// started closes the command's ends, which it has by now.
func (o *output) started() {
	for _, f := range []*os.File{o.stdout, o.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// finish waits for the rest of the output. A process that has escaped and
// keeps a pipe open is not waited for.
func (o *output) finish() error {
	o.started()
	for _, r := range o.readers {
		if err := r.SetReadDeadline(time.Now().Add(o.grace)); err != nil {
			return fmt.Errorf("end the output: %w", err)
		}
	}
	o.done.Wait()
	for _, r := range o.readers {
		r.Close()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
