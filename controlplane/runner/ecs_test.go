package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/runner"
	"github.com/mini-vercel/mini-vercel/controlplane/runner/runnertest"
	"github.com/mini-vercel/mini-vercel/internal/mototest"
)

// ecsPlace is a cluster, whose tasks the test is.
type ecsPlace struct {
	server  *mototest.Server
	proxy   *mototest.Proxy
	cluster string
	subnets []string
	group   string

	mu    sync.Mutex
	tasks map[string]mototest.Task // by attempt
	now   time.Time
	log   bytes.Buffer
}

var unsafeName = regexp.MustCompile(`[^A-Za-z0-9]+`)

func newPlace(t *testing.T, server *mototest.Server, change ...func(*ecs.RegisterTaskDefinitionInput)) *ecsPlace {
	t.Helper()
	p := &ecsPlace{server: server, proxy: server.NewProxy(t), cluster: unsafeName.ReplaceAllString(t.Name(), "-"), tasks: map[string]mototest.Task{}, now: time.Now()}
	server.NewCluster(t, p.cluster, change...)
	p.subnets, p.group = server.Network(t)
	for _, pair := range mototest.Environ(p.proxy.URL) {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	return p
}

func (p *ecsPlace) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *ecsPlace) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *ecsPlace) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *ecsPlace) advance(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// open makes a runner that looks often and waits little.
func (p *ecsPlace) open(t *testing.T, change ...func(*runner.ECSOptions)) *runner.ECS {
	t.Helper()
	o := runner.ECSOptions{
		Cluster: p.cluster, TaskDefinition: p.cluster, Subnets: p.subnets, SecurityGroups: []string{p.group},
		Installation: "test", Env: []string{"BUILD_SANDBOX=task"}, MemoryBytes: 4096 << 20, WorkspaceBytes: 10 << 30,
		PollEvery: 5 * time.Millisecond, FirstPause: time.Millisecond, Now: p.clock, Log: slog.New(slog.NewTextHandler(p, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	e, err := runner.NewECS(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func (p *ecsPlace) Open(t *testing.T) controlplane.Runner { return p.open(t) }

// task waits for the task of an attempt.
func (p *ecsPlace) task(t *testing.T, attempt string) mototest.Task {
	t.Helper()
	for {
		if task, ok := p.tasks[attempt]; ok {
			return task
		}
		select {
		case task := <-p.proxy.Started:
			p.tasks[task.Tags["mini-vercel:attempt"]] = task
		case <-time.After(20 * time.Second):
			t.Fatalf("no task was started for %s", attempt)
		}
	}
}

func (p *ecsPlace) Env(t *testing.T, attempt string) map[string]string { return p.task(t, attempt).Env }

func (p *ecsPlace) End(t *testing.T, attempt string, code int) {
	p.proxy.Say(p.task(t, attempt).ARN, mototest.Exit(code, ""))
}

func (p *ecsPlace) Runs(t *testing.T, attempt string) bool { return p.running(t)[attempt] > 0 }

// running counts the cluster's tasks by attempt.
func (p *ecsPlace) running(t *testing.T) map[string]int {
	t.Helper()
	client, count := p.server.Client(), map[string]int{}
	list, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: &p.cluster, DesiredStatus: types.DesiredStatusRunning})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.TaskArns) == 0 {
		return count
	}
	out, err := client.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &p.cluster, Tasks: list.TaskArns, Include: []types.TaskField{types.TaskFieldTags}})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range out.Tasks {
		for _, tag := range task.Tags {
			count[aws.ToString(tag.Value)]++
		}
	}
	return count
}

func TestECSIsARunner(t *testing.T) {
	server := mototest.Start(t)
	runnertest.Run(t, func(t *testing.T) runnertest.Place { return newPlace(t, server) })
}

func exit(t *testing.T, e *runner.ECS) controlplane.BuilderExit {
	t.Helper()
	select {
	case got := <-e.Exits():
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("no end was told")
		panic("unreachable")
	}
}

func builder(attempt string) controlplane.Builder {
	return controlplane.Builder{Attempt: attempt, URL: "https://deploy.example.com", Claim: "mvc_" + attempt}
}

// TestECS has everything that is about tasks: on the wire, and when AWS fails.
func TestECS(t *testing.T) {
	server := mototest.Start(t)
	for name, test := range map[string]func(*testing.T, *ecsPlace){
		"the request":                 testRequest,
		"overrides":                   testOverrides,
		"a lost answer":               testLostAnswer,
		"nobody answers":              testNobodyAnswers,
		"failures of placement":       testFailures,
		"throttling":                  testThrottling,
		"reasons":                     testReasons,
		"many tasks":                  testManyTasks,
		"a task that vanishes":        testVanished,
		"a task that never runs":      testNeverRuns,
		"a poll that fails":           testPollFails,
		"a stop that fails":           testStopFails,
		"two installations":           testInstallations,
		"Spot that is interrupted":    testSpot,
		"a task that is on its end":   testDeprovisioning,
		"metrics":                     testMetrics,
		"stopped while it was placed": testInterruptedStart,
	} {
		t.Run(name, func(t *testing.T) { test(t, newPlace(t, server)) })
	}
}

func testRequest(t *testing.T, p *ecsPlace) {
	for _, row := range []struct {
		launch           string
		ip               bool
		subnets          []string
		wantType, wantIP any
		provider         string
	}{
		{"", false, p.subnets[:1], "FARGATE", "DISABLED", ""},
		{runner.LaunchFargateSpot, true, p.subnets[:2], nil, "ENABLED", "FARGATE_SPOT"},
	} {
		t.Run(row.launch, func(t *testing.T) {
			e := p.open(t, func(o *runner.ECSOptions) { o.LaunchType, o.PublicIP, o.Subnets = row.launch, row.ip, row.subnets })
			attempt := "4f0c6e0a-6b3e-4a5a-9a57-6f2f4e0d0001.1" + row.launch
			if _, err := e.Start(t.Context(), builder(attempt)); err != nil {
				t.Fatal(err)
			}
			calls := p.proxy.Calls("RunTask")
			in := calls[len(calls)-1].Input
			network := in["networkConfiguration"].(map[string]any)["awsvpcConfiguration"].(map[string]any)
			token, _ := in["clientToken"].(string)
			if in["launchType"] != row.wantType || network["assignPublicIp"] != row.wantIP || len(network["subnets"].([]any)) != len(row.subnets) ||
				in["startedBy"] != "mini-vercel/test" || in["group"] != "mini-vercel" || in["count"] != 1.0 || len(token) < 32 || len(token) > 64 {
				t.Errorf("%v", in)
			}
			if row.provider != "" && in["capacityProviderStrategy"].([]any)[0].(map[string]any)["capacityProvider"] != row.provider {
				t.Errorf("%v", in["capacityProviderStrategy"])
			}
			overrides := in["overrides"].(map[string]any)
			override := overrides["containerOverrides"].([]any)[0].(map[string]any)
			if len(overrides) != 1 || override["name"] != "builder" || len(override) != 2 {
				t.Errorf("%v", overrides)
			}
			task := p.task(t, attempt)
			want := map[string]string{"MINI_VERCEL_URL": "https://deploy.example.com", "MINI_VERCEL_CLAIM": "mvc_" + attempt, "BUILD_SANDBOX": "task"}
			if fmt.Sprint(task.Env) != fmt.Sprint(want) {
				t.Errorf("the environment is %v", task.Env)
			}
		})
	}
}

func testOverrides(t *testing.T, p *ecsPlace) {
	e := p.open(t)
	// What ECS counts are the characters of the overrides' JSON.
	length := func(b controlplane.Builder) int {
		return len(`{"containerOverrides":[{"name":"builder","environment":[{"name":"MINI_VERCEL_URL","value":""},{"name":"MINI_VERCEL_CLAIM","value":""},{"name":"BUILD_SANDBOX","value":"task"}]}]}`) + len([]rune(b.URL)) + len(b.Claim)
	}
	b := builder("long.1")
	b.URL += "/" + strings.Repeat("ü", 8192-length(b)-1)
	if _, err := e.Start(t.Context(), b); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	b.URL += "x"
	if _, err := e.Start(t.Context(), b); err == nil || !strings.Contains(err.Error(), "8193 characters") {
		t.Errorf("above the limit: %v", err)
	}
}

// testLostAnswer: ECS does it, the connection breaks, the call is repeated.
func testLostAnswer(t *testing.T, p *ecsPlace) {
	e := p.open(t)
	p.proxy.Fail("RunTask", mototest.Fault{Lost: true}, mototest.Fault{Lost: true}, mototest.Fault{Status: 500, Code: "ServerException", Says: "try again"})
	handle, err := e.Start(t.Context(), builder("lost.1"))
	if err != nil {
		t.Fatal(err)
	}
	if n := p.running(t)["lost.1"]; n != 1 || handle != p.task(t, "lost.1").ARN || len(p.proxy.Calls("RunTask")) != 4 {
		t.Errorf("%d tasks after %d calls", n, len(p.proxy.Calls("RunTask")))
	}
	// Another attempt is another task.
	if _, err := e.Start(t.Context(), builder("lost.2")); err != nil || p.running(t)["lost.2"] != 1 {
		t.Errorf("%v, %v", p.running(t), err)
	}
}

// testNobodyAnswers: every answer is lost. What was started all the same is found
// and stopped, for its attempt is lost.
func testNobodyAnswers(t *testing.T, p *ecsPlace) {
	e := p.open(t)
	p.proxy.Fail("RunTask", slices.Repeat([]mototest.Fault{{Lost: true}}, 5)...)
	_, err := e.Start(t.Context(), builder("nobody.1"))
	if err == nil || errors.Is(err, controlplane.ErrNoRoom) {
		t.Fatalf("%v", err)
	}
	if n := len(p.running(t)); n != 0 {
		t.Errorf("%d tasks run", n)
	}
	// Not even that comes through: the task is the sweep's.
	p.proxy.Fail("RunTask", slices.Repeat([]mototest.Fault{{Lost: true}}, 5)...)
	p.proxy.Fail("ListTasks", slices.Repeat([]mototest.Fault{{Status: 500, Code: "ServerException"}}, 5)...)
	if _, err := e.Start(t.Context(), builder("nobody.2")); err == nil {
		t.Fatal("started")
	}
	if p.running(t)["nobody.2"] != 1 {
		t.Fatal("the test needs a task that is left")
	}
	ended, err := p.open(t).Sweep(t.Context(), func(_ context.Context, attempt string) (bool, error) { return attempt == "nobody.2", nil })
	if err != nil || ended != 1 || len(p.running(t)) != 0 {
		t.Errorf("ended %d, %v", ended, err)
	}
}

func testFailures(t *testing.T, p *ecsPlace) {
	failed := func(reason, detail string) mototest.Fault {
		return mototest.Fault{Body: map[string]any{"tasks": []any{}, "failures": []any{map[string]any{"arn": "arn:x", "reason": reason, "detail": detail}}}}
	}
	refused := func(code, says string) mototest.Fault { return mototest.Fault{Status: 400, Code: code, Says: says} }
	for _, row := range []struct {
		name  string
		fault mototest.Fault
		room  bool // another time may do: it is tried again, and then waits
		says  string
	}{
		{"memory", failed("RESOURCE:MEMORY", ""), true, "that much memory"},
		{"CPU", failed("RESOURCE:CPU", ""), true, "that much CPU"},
		{"network interfaces", failed("RESOURCE:ENI", ""), true, "network interface"},
		{"anything else that lacks", failed("RESOURCE:GPU", ""), true, "RESOURCE:GPU"},
		{"the agent", failed("AGENT", ""), true, "not connected"},
		{"Fargate's capacity", failed("Capacity is unavailable at this time. Please try again later or in a different availability zone", ""), true, "Capacity is unavailable"},
		{"capacity", failed("CAPACITY", "no more"), true, "CAPACITY: no more"},
		{"the account's tasks", refused("ClientException", "You've reached the limit on the number of tasks you can run concurrently"), true, "limit on the number of tasks"},
		{"the account's CPUs", refused("LimitExceededException", "You've reached the limit on the number of vCPUs"), true, "vCPUs"},
		{"no machine yet", refused("InvalidParameterException", "No Container Instances were found in your cluster."), true, "No Container Instances"},
		{"addresses", refused("ClientException", "InsufficientFreeAddressesInSubnet"), true, "InsufficientFree"},
		{"a missing thing", failed("MISSING", ""), false, "ECS_TASK_DEFINITION"},
		{"an inactive thing", failed("INACTIVE", ""), false, "not active"},
		{"an attribute", failed("ATTRIBUTE", "ecs.os-type"), false, "ecs.os-type"},
		{"the zone", failed("LOCATION", ""), false, "zone"},
		{"something new", failed("SOMETHING NEW", "really"), false, "SOMETHING NEW: really"},
		{"rights", refused("AccessDeniedException", "User x is not authorized to perform: ecs:RunTask"), false, "not authorized to perform: ecs:RunTask"},
		{"an answer of nothing", mototest.Fault{Body: map[string]any{"tasks": []any{}, "failures": []any{}}}, false, "neither a task nor a failure"},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := p.open(t)
			before := len(p.proxy.Calls("RunTask"))
			p.proxy.Fail("RunTask", slices.Repeat([]mototest.Fault{row.fault}, 20)...)
			_, err := e.Start(t.Context(), builder("failed.1"))
			if err == nil || errors.Is(err, controlplane.ErrNoRoom) != row.room || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			if calls := len(p.proxy.Calls("RunTask")) - before; row.room && calls < 3 || !row.room && calls != 1 {
				t.Errorf("%d calls", calls)
			}
			p.proxy.NoFaults()
			if len(p.running(t)) != 0 {
				t.Error("a task runs")
			}
		})
	}
	t.Run("then there is room", func(t *testing.T) {
		p.proxy.Fail("RunTask", failed("RESOURCE:MEMORY", ""), failed("AGENT", ""))
		if _, err := p.open(t).Start(t.Context(), builder("room.1")); err != nil {
			t.Error(err)
		}
	})
}

func testThrottling(t *testing.T, p *ecsPlace) {
	e := p.open(t)
	throttled := mototest.Fault{Status: 400, Code: "ThrottlingException", Says: "Rate exceeded"}
	p.proxy.Fail("RunTask", throttled, throttled, mototest.Fault{Status: http.StatusServiceUnavailable, Code: "ServerException"})
	if _, err := e.Start(t.Context(), builder("throttled.1")); err != nil || p.running(t)["throttled.1"] != 1 {
		t.Errorf("%v, %v", p.running(t), err)
	}
	p.proxy.Fail("RunTask", slices.Repeat([]mototest.Fault{throttled}, 100)...)
	if _, err := e.Start(t.Context(), builder("throttled.2")); !errors.Is(err, controlplane.ErrNoRoom) {
		t.Errorf("throttled for long: %v", err)
	}
	if n := len(p.proxy.Calls("RunTask")); n > 4+15 {
		t.Errorf("%d calls", n)
	}
}

func stopped(code, reason string, container map[string]any) map[string]any {
	container["name"] = "builder"
	container["lastStatus"] = "STOPPED"
	return map[string]any{"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": code, "stoppedReason": reason, "containers": []any{
		map[string]any{"name": "sidecar", "lastStatus": "STOPPED", "exitCode": 0}, container,
	}}
}

func testReasons(t *testing.T, p *ecsPlace) {
	none := map[string]any{}
	ended := func(code int, reason string) map[string]any {
		return map[string]any{"exitCode": code, "reason": reason}
	}
	for _, row := range []struct {
		name string
		said map[string]any
		code int
		lost bool
		room bool // it found none
		says string
	}{
		{"published", mototest.Exit(0, ""), 0, false, false, ""},
		{"failed", mototest.Exit(1, ""), 1, false, false, ""},
		{"a signal", mototest.Exit(139, ""), 139, false, false, "signal 11"},
		{"memory", stopped("EssentialContainerExited", "Essential container in task exited", ended(137, "OutOfMemoryError: Container killed due to memory usage")), 137, false, false, "out of memory: the build used more than 8192 MiB"},
		{"memory of the task", stopped("EssentialContainerExited", "OutOfMemoryError: container killed", ended(137, "")), 137, false, false, "out of memory"},
		{"the image", stopped("TaskFailedToStart", "CannotPullContainerError: pull image manifest has been retried 5 time(s): 123456789012.dkr.ecr.eu-central-1.amazonaws.com/builder:1: not found", none), -1, true, false, "the builder's image could not be pulled (CannotPullContainerError)"},
		{"the container says so of the image", stopped("TaskFailedToStart", "Task failed to start", map[string]any{"reason": "CannotPullContainerError: i/o timeout"}), -1, true, false, "image could not be pulled"},
		{"the set-up", stopped("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets or registry auth", none), -1, true, false, "ResourceInitializationError"},
		{"the start", stopped("TaskFailedToStart", "CannotStartContainerError: exec format error", none), -1, true, false, "could not be started"},
		{"another start", stopped("TaskFailedToStart", "something new", none), -1, true, false, "did not start"},
		{"Spot", stopped("SpotInterruption", "Your Spot Task was interrupted.", ended(3, "")), 3, true, false, "Spot capacity"},
		{"a retired machine", stopped("TerminationNotice", "ECS is performing maintenance", ended(143, "")), 143, true, false, "machine away"},
		{"an unhealthy machine", stopped("InfrastructureHealth", "x", none), -1, true, false, "machine away"},
		{"a machine of EC2", stopped("", "Host EC2 (instance i-0abc) terminated.", none), -1, true, false, "machine away"},
		{"no capacity", stopped("TaskFailedToStart", "Capacity is unavailable at this time. Please try again later or in a different availability zone", none), -1, true, true, "no capacity"},
		{"no address", stopped("TaskFailedToStart", "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-1': InsufficientFreeAddressesInSubnet", none), -1, true, true, "no capacity"},
		{"a person", stopped("UserInitiated", "Task stopped by user", ended(3, "")), 3, true, false, "somebody stopped"},
		{"a sidecar", stopped("EssentialContainerExited", "Essential container in task exited", none), -1, true, false, "its task ended"},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := p.open(t)
			attempt := unsafeName.ReplaceAllString(row.name, "-") + ".1"
			handle, err := e.Start(t.Context(), builder(attempt))
			if err != nil {
				t.Fatal(err)
			}
			row.said["memory"] = "8192"
			p.proxy.Say(handle, row.said)
			got := exit(t, e)
			want := controlplane.BuilderExit{Handle: handle, Code: row.code, Reason: got.Reason, Lost: row.lost, NoRoom: row.room}
			if got != want || !strings.Contains(got.Reason, row.says) || row.says == "" && got.Reason != "" || strings.Contains(got.Reason, "amazonaws") {
				t.Errorf("%+v", got)
			}
			// One that comes later learns the same.
			if state, err := p.open(t).Look(t.Context(), handle); err != nil || state.Running || state.Exit != got {
				t.Errorf("a look says %+v, %v", state, err)
			}
		})
	}
	if !strings.Contains(p.logged(), "pull image manifest has been retried") {
		t.Errorf("what AWS says of the image is not in the log:\n%s", p.logged())
	}
}

// testManyTasks: 205 tasks are looked at in three calls.
func testManyTasks(t *testing.T, p *ecsPlace) {
	e := p.open(t, func(o *runner.ECSOptions) { o.PollEvery = time.Hour })
	var starting sync.WaitGroup
	handles := make([]string, 205)
	for i := range handles {
		starting.Go(func() {
			var err error
			if handles[i], err = e.Start(t.Context(), builder(fmt.Sprintf("many-%d.1", i))); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	p.proxy.Say(handles[0], mototest.Exit(1, ""))
	p.proxy.Say(handles[204], mototest.Exit(2, ""))
	if err := e.PollOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for range 2 {
		end := exit(t, e)
		got[end.Handle] = end.Code
	}
	if got[handles[0]] != 1 || got[handles[204]] != 2 {
		t.Errorf("%v", got)
	}
	var sizes []int
	for _, c := range p.proxy.Calls("DescribeTasks") {
		sizes = append(sizes, len(c.Input["tasks"].([]any)))
	}
	if fmt.Sprint(sizes) != "[100 100 5]" {
		t.Errorf("calls of %v", sizes)
	}
}

func testVanished(t *testing.T, p *ecsPlace) {
	e := p.open(t, func(o *runner.ECSOptions) { o.PollEvery = time.Hour })
	handle, err := e.Start(t.Context(), builder("vanished.1"))
	if err != nil {
		t.Fatal(err)
	}
	poll := func() {
		t.Helper()
		if err := e.PollOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.proxy.Forget(handle) // as right after the start, before all of ECS knows it
	poll()
	if state, err := e.Look(t.Context(), handle); err != nil || !state.Running {
		t.Errorf("a new task is said to be gone: %+v, %v", state, err)
	}
	p.advance(59 * time.Second)
	poll()
	if len(e.Exits()) != 0 {
		t.Fatal("told too early")
	}
	p.advance(time.Second)
	poll()
	if got := exit(t, e); !got.Lost || got.Handle != handle {
		t.Errorf("%+v", got)
	}
	if state, err := e.Look(t.Context(), handle); err != nil || state.Running || !state.Exit.Lost {
		t.Errorf("%+v, %v", state, err)
	}
}

func testNeverRuns(t *testing.T, p *ecsPlace) {
	e := p.open(t, func(o *runner.ECSOptions) { o.PollEvery = time.Hour })
	handles := map[string]string{}
	for _, attempt := range []string{"pending.1", "runs.1"} {
		handle, err := e.Start(t.Context(), builder(attempt))
		if err != nil {
			t.Fatal(err)
		}
		handles[attempt] = handle
	}
	p.proxy.Say(handles["pending.1"], map[string]any{"lastStatus": "PENDING"})
	for _, d := range []time.Duration{0, 10 * time.Minute} {
		p.advance(d)
		if err := e.PollOnce(t.Context()); err != nil || len(e.Exits()) != 0 {
			t.Fatalf("told too early, %v", err)
		}
	}
	p.advance(time.Second)
	if err := e.PollOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := exit(t, e); got.Handle != handles["pending.1"] || !got.Lost || !strings.Contains(got.Reason, "10m0s") {
		t.Errorf("%+v", got)
	}
	if p.Runs(t, "pending.1") || !p.Runs(t, "runs.1") || len(e.Exits()) != 0 {
		t.Errorf("running: %v", p.running(t))
	}
}

func testPollFails(t *testing.T, p *ecsPlace) {
	e := p.open(t)
	handle, err := e.Start(t.Context(), builder("poll.1"))
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.Fail("DescribeTasks", slices.Repeat([]mototest.Fault{{Status: 500, Code: "ServerException"}}, 20)...)
	p.proxy.Say(handle, mototest.Exit(1, ""))
	if got := exit(t, e); got.Handle != handle || got.Code != 1 {
		t.Errorf("%+v", got)
	}
	eventually(t, "both are in the log, once", func() bool {
		log := p.logged()
		return strings.Count(log, "can't see what has become") == 1 && strings.Count(log, "tells of tasks again") == 1
	})
}

func testStopFails(t *testing.T, p *ecsPlace) {
	e := p.open(t)
	handle, err := e.Start(t.Context(), builder("stop.1"))
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.Fail("StopTask", mototest.Fault{Status: 500, Code: "ServerException"}, mototest.Fault{Lost: true})
	if err := e.Stop(t.Context(), handle); err != nil || p.Runs(t, "stop.1") {
		t.Errorf("%v, running: %v", err, p.running(t))
	}
	p.proxy.Fail("StopTask", mototest.Fault{Status: 400, Code: "InvalidParameterException", Says: "The referenced task was not found."})
	if err := e.Stop(t.Context(), handle); err != nil {
		t.Errorf("a task that is not there: %v", err)
	}
	other, err := e.Start(t.Context(), builder("other.1"))
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.Fail("StopTask", mototest.Fault{Status: 400, Code: "AccessDeniedException", Says: "not authorized to perform: ecs:StopTask"})
	if err := e.Stop(t.Context(), other); err == nil || !strings.Contains(err.Error(), "ecs:StopTask") {
		t.Errorf("%v", err)
	}
	p.proxy.Say(other, mototest.Exit(1, "")) // it goes on, so its end is told
	if got := exit(t, e); got.Handle != other {
		t.Errorf("%+v", got)
	}
}

// testInstallations: two share a cluster and a task definition.
func testInstallations(t *testing.T, p *ecsPlace) {
	ours := p.open(t)
	theirs := p.open(t, func(o *runner.ECSOptions) { o.Installation = "staging" })
	for e, attempt := range map[*runner.ECS]string{ours: "ours.1", theirs: "theirs.1"} {
		if _, err := e.Start(t.Context(), builder(attempt)); err != nil {
			t.Fatal(err)
		}
	}
	all := func(context.Context, string) (bool, error) { return true, nil }
	if ended, err := ours.Sweep(t.Context(), all); err != nil || ended != 1 || !p.Runs(t, "theirs.1") || p.Runs(t, "ours.1") {
		t.Errorf("ended %d, %v; running: %v", ended, err, p.running(t))
	}
	// Where the database does not answer, nothing is ended.
	broken := errors.New("no database")
	if ended, err := theirs.Sweep(t.Context(), func(context.Context, string) (bool, error) { return false, broken }); !errors.Is(err, broken) || ended != 0 {
		t.Errorf("ended %d, %v", ended, err)
	}
}

// testSpot: the task is asked to end two minutes before it is gone.
func testSpot(t *testing.T, p *ecsPlace) {
	e := p.open(t, func(o *runner.ECSOptions) { o.PollEvery = time.Hour })
	handle, err := e.Start(t.Context(), builder("spot.1"))
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.Say(handle, map[string]any{"desiredStatus": "STOPPED", "stopCode": "SpotInterruption"})
	if err := e.PollOnce(t.Context()); err != nil || len(e.Exits()) != 0 {
		t.Fatalf("it runs still; %v", err)
	}
	p.proxy.Say(handle, map[string]any{"lastStatus": "DEPROVISIONING"})
	if err := e.PollOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := exit(t, e); !got.Lost || !strings.Contains(got.Reason, "Spot") {
		t.Errorf("%+v", got)
	}
}

func testDeprovisioning(t *testing.T, p *ecsPlace) {
	e := p.open(t, func(o *runner.ECSOptions) { o.PollEvery = time.Hour })
	handle, err := e.Start(t.Context(), builder("end.1"))
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.Say(handle, map[string]any{"lastStatus": "DEPROVISIONING", "desiredStatus": "STOPPED"})
	if err := e.PollOnce(t.Context()); err != nil || len(e.Exits()) != 0 {
		t.Fatalf("nobody has said why; %v", err)
	}
	said := mototest.Exit(1, "")
	said["lastStatus"] = "DEPROVISIONING"
	p.proxy.Say(handle, said)
	if err := e.PollOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := exit(t, e); got.Code != 1 {
		t.Errorf("%+v", got)
	}
}

func testMetrics(t *testing.T, p *ecsPlace) {
	e := p.open(t, func(o *runner.ECSOptions) { o.PollEvery = time.Hour })
	for _, attempt := range []string{"a.1", "b.1", "c.1"} {
		if _, err := e.Start(t.Context(), builder(attempt)); err != nil {
			t.Fatal(err)
		}
	}
	p.proxy.Fail("RunTask", mototest.Fault{Status: 400, Code: "AccessDeniedException"}, mototest.Fault{Body: map[string]any{"failures": []any{map[string]any{"reason": "MISSING"}}}})
	for range 2 {
		_, _ = e.Start(t.Context(), builder("d.1"))
	}
	p.proxy.Fail("RunTask", slices.Repeat([]mototest.Fault{{Status: 400, Code: "ThrottlingException"}}, 15)...)
	_, _ = e.Start(t.Context(), builder("e.1"))
	p.proxy.Say(p.task(t, "a.1").ARN, mototest.Exit(137, "OutOfMemoryError: x"))
	if err := e.Stop(t.Context(), p.task(t, "b.1").ARN); err != nil {
		t.Fatal(err)
	}
	if err := e.PollOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(e.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "mini_vercel_controlplane_ecs_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"calls_total RunTask ok": 4, "calls_total RunTask refused": 1, "calls_total RunTask throttled": 3, "calls_total StopTask ok": 1, "calls_total DescribeTasks ok": 1,
		"tasks": 1, "tasks_ended_total out_of_memory": 1, "tasks_ended_total stopped": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// testInterruptedStart: the control plane stops while ECS has no room.
func testInterruptedStart(t *testing.T, p *ecsPlace) {
	e := p.open(t, func(o *runner.ECSOptions) { o.FirstPause = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	p.proxy.Fail("RunTask", mototest.Fault{Body: map[string]any{"failures": []any{map[string]any{"reason": "AGENT"}}}})
	done := make(chan error, 1)
	go func() {
		_, err := e.Start(ctx, builder("interrupted.1"))
		done <- err
	}()
	eventually(t, "it is asked for", func() bool { return len(p.proxy.Calls("RunTask")) == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestECSCheck(t *testing.T) {
	server := mototest.Start(t)
	for _, row := range []struct {
		name     string
		define   func(*ecs.RegisterTaskDefinitionInput)
		option   func(*runner.ECSOptions)
		fault    map[string]mototest.Fault
		environ  map[string]string
		says     []string // none: all is well
		away     bool
		warnings []string
	}{
		{name: "all is well"},
		{name: "Spot", option: func(o *runner.ECSOptions) { o.LaunchType = runner.LaunchFargateSpot }},
		{name: "no cluster", option: func(o *runner.ECSOptions) { o.Cluster = "nowhere" }, says: []string{"ECS_CLUSTER_NAME=nowhere", "no such cluster in " + mototest.Region}},
		{name: "no definition", option: func(o *runner.ECSOptions) { o.TaskDefinition = "nothing" }, says: []string{"ECS_TASK_DEFINITION=nothing", mototest.Region}},
		{name: "another container", option: func(o *runner.ECSOptions) { o.Container = "image" }, says: []string{`no container "image"`, "ECS_IMAGE_NAME"}},
		{name: "a task role", define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.TaskRoleArn = aws.String("arn:aws:iam::123456789012:role/x")
		}, says: []string{"role/x", "remove taskRoleArn"}},
		{name: "a user", define: func(d *ecs.RegisterTaskDefinitionInput) { d.ContainerDefinitions[0].User = aws.String("1000") }, says: []string{`"1000"`}},
		{name: "the machine's rights", option: func(o *runner.ECSOptions) { o.LaunchType = runner.LaunchEC2 }, define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.ContainerDefinitions[0].Privileged, d.RequiresCompatibilities = aws.Bool(true), []types.Compatibility{types.CompatibilityEc2}
		}, says: []string{"the machine"}},
		{name: "the machine's processes", option: func(o *runner.ECSOptions) { o.LaunchType = runner.LaunchEC2 }, define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.PidMode, d.RequiresCompatibilities = types.PidModeHost, []types.Compatibility{types.CompatibilityEc2}
		}, says: []string{"the machine"}},
		{name: "the machine's network", option: func(o *runner.ECSOptions) {
			o.LaunchType, o.Subnets, o.SecurityGroups = runner.LaunchEC2, nil, nil
		}, define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.NetworkMode, d.RequiresCompatibilities = types.NetworkModeHost, []types.Compatibility{types.CompatibilityEc2}
		}, says: []string{"the machine"}},
		{name: "a network mode", define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.NetworkMode, d.RequiresCompatibilities = types.NetworkModeBridge, []types.Compatibility{types.CompatibilityEc2}
		}, says: []string{"awsvpc"}},
		{name: "subnets of a bridge", option: func(o *runner.ECSOptions) { o.LaunchType = runner.LaunchEC2 }, define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.NetworkMode, d.RequiresCompatibilities = types.NetworkModeBridge, []types.Compatibility{types.CompatibilityEc2}
		}, says: []string{"ECS_SUBNETS is set"}},
		{name: "no subnets", option: func(o *runner.ECSOptions) { o.Subnets = nil }, says: []string{"needs ECS_SUBNETS"}},
		{name: "not for Fargate", define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.RequiresCompatibilities = []types.Compatibility{types.CompatibilityEc2}
		}, says: []string{"ECS_LAUNCH_TYPE=EC2"}},
		{name: "rights", fault: map[string]mototest.Fault{"DescribeClusters": {Status: 400, Code: "AccessDeniedException", Says: "not authorized to perform: ecs:DescribeClusters"}}, says: []string{"ECS_CLUSTER_NAME=", "ecs:DescribeClusters"}},
		{name: "credentials", fault: map[string]mototest.Fault{"DescribeClusters": {Status: 400, Code: "UnrecognizedClientException", Says: "The security token included in the request is invalid."}}, says: []string{"security token"}},
		{name: "no credentials", environ: map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, says: []string{"no credentials", "AWS_ACCESS_KEY_ID"}},
		{name: "AWS is away", fault: map[string]mototest.Fault{"DescribeClusters": {Status: 500, Code: "ServerException"}}, says: []string{"AWS does not answer"}, away: true},
		{name: "small tasks", define: func(d *ecs.RegisterTaskDefinitionInput) {
			d.Memory, d.EphemeralStorage, d.ContainerDefinitions[0].LinuxParameters = aws.String("4096"), nil, nil
		}, option: func(o *runner.ECSOptions) { o.WorkspaceBytes = 17 << 30 }, warnings: []string{"initProcessEnabled", "builds get 3584 MiB of the 4096 MiB", "20 GiB"}},
		{name: "tasks that suffice", define: func(d *ecs.RegisterTaskDefinitionInput) { d.Memory, d.EphemeralStorage = aws.String("4608"), nil }, option: func(o *runner.ECSOptions) { o.WorkspaceBytes = 16 << 30 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			change := []func(*ecs.RegisterTaskDefinitionInput){}
			if row.define != nil {
				change = append(change, row.define)
			}
			p := newPlace(t, server, change...)
			for name, value := range row.environ {
				t.Setenv(name, value)
			}
			for operation, fault := range row.fault {
				p.proxy.Fail(operation, slices.Repeat([]mototest.Fault{fault}, 10)...)
			}
			e := p.open(t, func(o *runner.ECSOptions) {
				if row.option != nil {
					row.option(o)
				}
			})
			warnings, err := e.Check(t.Context())
			if (err == nil) != (row.says == nil) || errors.Is(err, runner.ErrAWSAway) != row.away {
				t.Fatalf("%v", err)
			}
			for _, want := range row.says {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "RequestID") {
					t.Errorf("there is no %q in: %v", want, err)
				}
			}
			if len(warnings) != len(row.warnings) {
				t.Errorf("warnings: %q", warnings)
			}
			for _, want := range row.warnings {
				if !strings.Contains(strings.Join(warnings, "\n"), want) {
					t.Errorf("there is no %q in %q", want, warnings)
				}
			}
		})
	}
}

func TestECSOptionsThatAreRefused(t *testing.T) {
	good := runner.ECSOptions{Cluster: "c", TaskDefinition: "d", Installation: strings.Repeat("a", 64)}
	for _, pair := range mototest.Environ("http://127.0.0.1:9") {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	e, err := runner.NewECS(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	for name, change := range map[string]func(*runner.ECSOptions){
		"no cluster":      func(o *runner.ECSOptions) { o.Cluster = "" },
		"no definition":   func(o *runner.ECSOptions) { o.TaskDefinition = "" },
		"no installation": func(o *runner.ECSOptions) { o.Installation = "" },
		"a long one":      func(o *runner.ECSOptions) { o.Installation += "a" },
		"a strange one":   func(o *runner.ECSOptions) { o.Installation = "a.b" },
	} {
		bad := good
		change(&bad)
		if _, err := runner.NewECS(t.Context(), bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	t.Setenv("AWS_REGION", "")
	if _, err := runner.NewECS(t.Context(), good); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
}
