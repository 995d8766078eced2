// Package runnertest is what every runner does alike, whatever its builders are.
package runnertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Place is where a runner's builders run. A builder there takes down what it was
// started with and then waits to be told how to end.
type Place interface {
	// Open makes a runner, as a control plane does that starts here.
	Open(t *testing.T) controlplane.Runner
	// Env is the environment of an attempt's builder, which has started.
	Env(t *testing.T, attempt string) map[string]string
	// End makes the builder end by itself.
	End(t *testing.T, attempt string, code int)
	// Runs reports whether something of the builder is there, and not on its end.
	Runs(t *testing.T, attempt string) bool
}

const (
	url   = "http://203.0.113.7:9000"
	claim = "mvc_once"
)

// Run runs the suite, each test in a place of its own.
func Run(t *testing.T, place func(t *testing.T) Place) {
	for name, test := range map[string]func(*testing.T, Place){
		"a builder is told where and who it is":   testEnvironment,
		"the end of a builder is told once":       testExits,
		"a builder that is stopped is not told":   testStop,
		"what is not known is gone":               testUnknown,
		"a name that is none is refused":          testNames,
		"who is not wanted any more is not begun": testCanceled,
		"the sweep spares who works":              testSweep,
		"who survives is taken over":              testSurvivors,
	} {
		t.Run(name, func(t *testing.T) { test(t, place(t)) })
	}
}

func start(t *testing.T, r controlplane.Runner, attempt string) (handle string) {
	t.Helper()
	handle, err := r.Start(t.Context(), controlplane.Builder{Attempt: attempt, URL: url, Claim: claim})
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

func runs(t *testing.T, r controlplane.Runner, handle string) bool {
	t.Helper()
	state, err := r.Look(t.Context(), handle)
	if err != nil {
		t.Fatal(err)
	}
	return state.Running
}

func exit(t *testing.T, r controlplane.Runner) controlplane.BuilderExit {
	t.Helper()
	select {
	case e := <-r.Exits():
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no end was told")
		panic("unreachable")
	}
}

func testEnvironment(t *testing.T, p Place) {
	t.Setenv("PLATFORM_SECRET", "s3cret")
	r := p.Open(t)
	handle := start(t, r, "env.1")
	if handle == "" || !runs(t, r, handle) {
		t.Fatalf("the handle is %q, and the builder does not run", handle)
	}
	env := p.Env(t, "env.1")
	if env["MINI_VERCEL_URL"] != url || env["MINI_VERCEL_CLAIM"] != claim {
		t.Errorf("the environment is %v", env)
	}
	for name, value := range env {
		if value == "s3cret" {
			t.Errorf("the platform's own %s is in it", name)
		}
	}
	if err := r.Stop(t.Context(), handle); err != nil {
		t.Fatal(err)
	}
}

func testExits(t *testing.T, p Place) {
	r := p.Open(t)
	want := map[string]int{}
	for i, code := range []int{0, 1, 2} {
		attempt := fmt.Sprintf("exit-%d.1", i)
		handle := start(t, r, attempt)
		p.Env(t, attempt)
		want[handle] = code
		p.End(t, attempt, code)
	}
	for range len(want) {
		e := exit(t, r)
		code, ok := want[e.Handle]
		if !ok || e.Code != code || e.Lost || e.NoRoom {
			t.Errorf("told: %+v", e)
		}
		delete(want, e.Handle)
		if runs(t, r, e.Handle) {
			t.Error("it is said to run on")
		}
	}
	none(t, r)
}

func none(t *testing.T, r controlplane.Runner) {
	t.Helper()
	select {
	case e := <-r.Exits():
		t.Errorf("told as ended by itself: %+v", e)
	case <-time.After(50 * time.Millisecond):
	}
}

func testStop(t *testing.T, p Place) {
	r := p.Open(t)
	one, other := start(t, r, "stop.1"), start(t, r, "other.1")
	p.Env(t, "stop.1")
	p.Env(t, "other.1")
	for range 2 { // the second time nothing is left to do
		if err := r.Stop(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if p.Runs(t, "stop.1") || runs(t, r, one) {
		t.Error("it runs on")
	}
	if !p.Runs(t, "other.1") || !runs(t, r, other) {
		t.Error("the other one was stopped, too")
	}
	none(t, r)
	if err := r.Stop(t.Context(), other); err != nil {
		t.Fatal(err)
	}
}

func testUnknown(t *testing.T, p Place) {
	r := p.Open(t)
	for _, handle := range []string{"nobody.1", "arn:aws:ecs:eu-central-1:123456789012:task/nowhere/0123456789abcdef0123456789abcdef"} {
		state, err := r.Look(t.Context(), handle)
		if err != nil || state.Running || !state.Exit.Lost || state.Exit.Handle != handle {
			t.Errorf("%s: %+v, %v", handle, state, err)
		}
		if err := r.Stop(t.Context(), "nobody.1"); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
}

func testNames(t *testing.T, p Place) {
	r := p.Open(t)
	for _, name := range []string{"", "../x", "a/b", ".hidden", "a b", fmt.Sprintf("%0101d", 0)} {
		if _, err := r.Start(t.Context(), controlplane.Builder{Attempt: name, URL: url, Claim: claim}); err == nil {
			t.Errorf("started %q", name)
		}
	}
	name := fmt.Sprintf("%0100d", 0)
	if err := r.Stop(t.Context(), start(t, r, name)); err != nil {
		t.Fatal(err)
	}
}

func testCanceled(t *testing.T, p Place) {
	r := p.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if handle, err := r.Start(ctx, controlplane.Builder{Attempt: "late.1", URL: url, Claim: claim}); err == nil {
		t.Errorf("started %s", handle)
	}
	if p.Runs(t, "late.1") {
		t.Error("it runs")
	}
}

func testSweep(t *testing.T, p Place) {
	r := p.Open(t)
	handle := start(t, r, "works.1")
	p.Env(t, "works.1")
	over := func(_ context.Context, attempt string) (bool, error) { return attempt != "works.1", nil }
	if ended, err := r.Sweep(t.Context(), over); err != nil || ended != 0 || !p.Runs(t, "works.1") {
		t.Fatalf("ended %d, %v", ended, err)
	}
	p.End(t, "works.1", 1)
	if e := exit(t, r); e.Handle != handle || e.Code != 1 {
		t.Errorf("told: %+v", e)
	}
}

// testSurvivors is for runners whose builders outlive the control plane: another
// one, which has only the handle, looks after them as if they were its own.
func testSurvivors(t *testing.T, p Place) {
	first := p.Open(t)
	if !first.Survives() {
		t.Skip("its builders die with it")
	}
	ends, stops := start(t, first, "ends.1"), start(t, first, "stops.1")
	p.Env(t, "ends.1")
	p.Env(t, "stops.1")
	second := p.Open(t)
	if !runs(t, second, ends) || !runs(t, second, stops) {
		t.Fatal("they are not known")
	}
	p.End(t, "ends.1", 1)
	if e := exit(t, second); e.Handle != ends || e.Code != 1 {
		t.Errorf("told: %+v", e)
	}
	// The first is dead, or another that knows nothing of the attempt's end: its
	// builder is left over.
	ended, err := second.Sweep(t.Context(), func(_ context.Context, attempt string) (bool, error) { return attempt == "stops.1", nil })
	if err != nil || ended != 1 || p.Runs(t, "stops.1") {
		t.Errorf("ended %d, %v", ended, err)
	}
	none(t, second)
}
