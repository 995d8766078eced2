package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	// maxOverrides is how many characters ECS takes as overrides of a task.
	maxOverrides = 8192
	// roomTries is how often a task is tried to be placed before it goes back
	// into the queue, which waits for longer.
	roomTries = 3
)

// Start implements [controlplane.Runner].
//
// A call that is repeated, since its answer was lost, starts one task: ECS knows
// it by its client token, which names this very start. Where the control plane
// dies before it has kept the handle, its heir knows nothing of the task and
// starts another attempt; the task finds its own over when it claims it, and the
// sweep ends it.
func (e *ECS) Start(ctx context.Context, b controlplane.Builder) (string, error) {
	if !handlePattern.MatchString(b.Attempt) {
		return "", fmt.Errorf("start builder %q: not a name of an attempt", b.Attempt)
	}
	input, err := e.runTask(b)
	if err != nil {
		return "", fmt.Errorf("start builder %s: %w", b.Attempt, err)
	}
	select {
	case e.calling <- struct{}{}:
		defer func() { <-e.calling }()
	case <-ctx.Done():
		return "", fmt.Errorf("start builder %s: %w", b.Attempt, ctx.Err())
	}
	for try := 1; ; try++ {
		input.ClientToken = aws.String(e.clientToken(b, try))
		handle, err := e.place(ctx, input)
		if err == nil {
			e.follow(handle, &followed{attempt: b.Attempt, since: e.options.Now()})
			return handle, nil
		}
		if !errors.Is(err, controlplane.ErrNoRoom) || try == roomTries {
			var refused *refusal
			if !errors.As(err, &refused) && kindOf(err) == callFailed {
				e.endAttempt(ctx, b.Attempt) // nobody knows whether it runs
			}
			return "", fmt.Errorf("start builder %s: %w", b.Attempt, err)
		}
		if err := sleep(ctx, e.pause(try+1)); err != nil {
			return "", fmt.Errorf("start builder %s: %w", b.Attempt, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clientToken names one try to start one builder. A claim is used once.
func (e *ECS) clientToken(b controlplane.Builder, try int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d", e.options.Installation, b.Attempt, b.Claim, try))
	return hex.EncodeToString(sum[:])
}

// place asks ECS once for a task. Its error wraps ErrNoRoom where there is none.
func (e *ECS) place(ctx context.Context, input *ecs.RunTaskInput) (handle string, err error) {
	out, err := call(ctx, e, "RunTask", e.client.RunTask, input)
	if err != nil {
		if kindOf(err) == callThrottled || saysNoRoom(messageOf(err)) {
			return "", fmt.Errorf("%w: %w", controlplane.ErrNoRoom, err)
		}
		return "", err
	}
	if len(out.Failures) > 0 {
		return "", failure(out.Failures[0])
	}
	if len(out.Tasks) == 0 || text(out.Tasks[0].TaskArn) == "" {
		return "", errors.New("RunTask: the answer names neither a task nor a failure")
	}
	return text(out.Tasks[0].TaskArn), nil
}

// runTask is the request for one builder. Of what it holds, the claim alone is
// secret, and worth nothing once it was used.
func (e *ECS) runTask(b controlplane.Builder) (*ecs.RunTaskInput, error) {
	o := &e.options
	container := types.ContainerOverride{Name: &o.Container}
	for _, pair := range append([]string{"MINI_VERCEL_URL=" + b.URL, "MINI_VERCEL_CLAIM=" + b.Claim}, o.Env...) {
		name, value, _ := strings.Cut(pair, "=")
		container.Environment = append(container.Environment, types.KeyValuePair{Name: &name, Value: &value})
	}
	if n := overridesLength(container); n > maxOverrides {
		return nil, fmt.Errorf("the task's overrides have %d characters, ECS takes %d: shorten the control plane's address", n, maxOverrides)
	}
	in := &ecs.RunTaskInput{
		Cluster: &o.Cluster, TaskDefinition: &o.TaskDefinition, Count: aws.Int32(1),
		StartedBy: aws.String(e.startedBy()), Group: aws.String("mini-vercel"),
		Tags:      []types.Tag{{Key: aws.String(attemptTag), Value: &b.Attempt}},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{container}},
	}
	switch o.LaunchType {
	case LaunchFargateSpot:
		in.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String(LaunchFargateSpot), Weight: 1}}
	case LaunchEC2:
		in.LaunchType = types.LaunchTypeEc2
	default:
		in.LaunchType = types.LaunchTypeFargate
	}
	if len(o.Subnets) > 0 {
		network := &types.AwsVpcConfiguration{Subnets: o.Subnets, SecurityGroups: o.SecurityGroups, AssignPublicIp: types.AssignPublicIpDisabled}
		if o.PublicIP {
			network.AssignPublicIp = types.AssignPublicIpEnabled
		}
		in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: network}
	}
	return in, nil
}

// overridesLength counts them as ECS does: the characters of their JSON.
func overridesLength(c types.ContainerOverride) int {
	type pair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	type override struct {
		Name        string `json:"name"`
		Environment []pair `json:"environment"`
	}
	o := override{Name: text(c.Name)}
	for _, p := range c.Environment {
		o.Environment = append(o.Environment, pair{text(p.Name), text(p.Value)})
	}
	body, _ := json.Marshal(map[string]any{"containerOverrides": []override{o}}) // of strings: no error
	return utf8.RuneCount(body)
}

// failures says what ECS means by the reasons why it did not place a task, and
// which of them pass. See "API failure reasons" in its developer guide.
var failures = []struct {
	reason string // or its beginning
	means  string
	room   bool // another time may do
}{
	{"RESOURCE:MEMORY", "no machine of the cluster has that much memory left", true},
	{"RESOURCE:CPU", "no machine of the cluster has that much CPU left", true},
	{"RESOURCE:ENI", "no machine of the cluster can take one more network interface", true},
	{"RESOURCE:PORTS", "no machine of the cluster has the port free", true},
	{"RESOURCE", "the cluster lacks something that the task needs", true},
	{"CAPACITY", "AWS has no capacity left", true},
	{"AGENT", "the agent of the cluster's machine is not connected", true},
	{"EMPTY CAPACITY PROVIDER", "the capacity provider has no machine", true},
	{"NO ACTIVE INSTANCES", "the capacity provider has no active machine", true},
	{"MISSING", "the cluster, the task definition or the machine was not found: look at ECS_CLUSTER_NAME and ECS_TASK_DEFINITION", false},
	{"INACTIVE", "the task definition or the machine is not active: look at ECS_TASK_DEFINITION", false},
	{"ATTRIBUTE", "no machine of the cluster has an attribute that the task definition asks for", false},
	{"LOCATION", "the machine is in another zone than something that the task needs", false},
	{"InvalidParameterException", "the task definition and the launch type don't go together: look at ECS_LAUNCH_TYPE", false},
}

func failure(f types.Failure) error {
	said := text(f.Reason)
	if detail := text(f.Detail); detail != "" {
		said += ": " + detail
	}
	for _, known := range failures {
		if strings.HasPrefix(strings.ToUpper(said), strings.ToUpper(known.reason)) {
			if known.room {
				return fmt.Errorf("%w: %s (%s)", controlplane.ErrNoRoom, known.means, said)
			}
			return &refusal{fmt.Sprintf("%s (%s)", known.means, said)}
		}
	}
	if saysNoRoom(said) {
		return fmt.Errorf("%w: %s", controlplane.ErrNoRoom, said)
	}
	return &refusal{"ECS did not start the task: " + said}
}

// refusal is a failure of ECS to place a task, which then does not run.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// saysNoRoom is whether a message, for which there is no code, is about limits
// and capacity.
func saysNoRoom(message string) bool {
	message = strings.ToLower(message)
	for _, part := range []string{"capacity is unavailable", "no capacity", "reached the limit on the number of", "no container instances were found", "insufficientfreeaddresses", "not have enough free addresses"} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}
