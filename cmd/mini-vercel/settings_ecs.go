package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/runner"
)

// ECSSettings say in which cluster of Amazon ECS builders run as tasks, if they do.
type ECSSettings struct {
	ECSCluster        string `env:"ECS_CLUSTER_NAME" help:"Cluster of Amazon ECS whose tasks are the builders, instead of processes of this machine. Credentials and AWS_REGION are what the AWS SDK finds."`
	ECSTaskDefinition string `env:"ECS_TASK_DEFINITION" help:"Task definition of a builder: a family, whose latest revision is taken, or family:revision."`
	ECSImageName      string `env:"ECS_IMAGE_NAME" default:"builder" help:"Name of the container in that definition which builds. Its image is what the definition says: starting a task can't choose another."`
	ECSLaunchType     string `env:"ECS_LAUNCH_TYPE" default:"FARGATE" help:"What tasks run on: FARGATE, FARGATE_SPOT or EC2."`
	ECSSubnets        string `env:"ECS_SUBNETS" help:"Subnets that tasks start in, with commas."`
	ECSSecurityGroups string `env:"ECS_SECURITY_GROUPS" help:"Their security groups, with commas. They decide what builds can reach."`
	ECSAssignPublicIP string `env:"ECS_ASSIGN_PUBLIC_IP" default:"DISABLED" help:"Whether a task gets a public address: ENABLED, as public subnets need, or DISABLED, behind a NAT gateway."`
	ECSCount          int    `env:"ECS_COUNT" default:"10" help:"Builds at once, of all control planes together. BUILD_COUNT, where it is set, and less, counts too."`
	BuilderURL        string `env:"BUILDER_URL" address:"true" help:"Address of the control plane as tasks reach it. Default: PUBLIC_URL."`
}

const (
	// ecsClaimTime is how long a task may take until its builder works: longer
	// than the runner gives it to start.
	ecsClaimTime = 12 * time.Minute
	// ecsDetectTime is for a look at a repository, which takes a task.
	ecsDetectTime = 3 * time.Minute
	// longestName is what a host's name may have. So what a task is given stays far
	// below the 8,192 characters that ECS takes.
	longestName = 253
	// ecsCheckTime bounds the questions at a start.
	ecsCheckTime = 30 * time.Second
)

func (s *Settings) checkECS() error {
	if s.ECSCluster == "" {
		for name, value := range map[string]string{
			"ECS_TASK_DEFINITION": s.ECSTaskDefinition, "ECS_SUBNETS": s.ECSSubnets, "ECS_SECURITY_GROUPS": s.ECSSecurityGroups, "BUILDER_URL": s.BuilderURL,
		} {
			if value != "" {
				return fmt.Errorf("%s is set, but ECS_CLUSTER_NAME is not: set both to build in tasks of ECS, or neither", name)
			}
		}
		return nil
	}
	launchTypes := []string{runner.LaunchFargate, runner.LaunchFargateSpot, runner.LaunchEC2}
	switch {
	case s.ECSTaskDefinition == "":
		return errors.New("ECS_CLUSTER_NAME is set, but ECS_TASK_DEFINITION is not: name the task definition of a builder")
	case !slices.Contains(launchTypes, s.ECSLaunchType):
		return fmt.Errorf("ECS_LAUNCH_TYPE=%s: use %s", s.ECSLaunchType, strings.Join(launchTypes, " or "))
	case s.ECSLaunchType != runner.LaunchEC2 && len(split(s.ECSSubnets)) == 0:
		return fmt.Errorf("ECS_SUBNETS is not set: name the subnets that tasks start in, with %s at least one", s.ECSLaunchType)
	case len(split(s.ECSSubnets)) == 0 && len(split(s.ECSSecurityGroups)) > 0:
		return errors.New("ECS_SECURITY_GROUPS is set, but ECS_SUBNETS is not: set both or neither")
	case len(split(s.ECSSubnets)) > 0 && len(split(s.ECSSecurityGroups)) == 0:
		return errors.New("ECS_SECURITY_GROUPS is not set: tasks would be in the default group of their network, and builds would reach whatever is in it; name a group that lets nothing in, and nothing out but to public addresses (deploy/ecs)")
	case s.ECSCount == 0:
		return errors.New("ECS_COUNT=0: use at least 1")
	}
	if _, err := s.ecsPublicIP(); err != nil {
		return err
	}
	_, err := s.builderURL()
	return err
}

// ecsPublicIP reads ECS_ASSIGN_PUBLIC_IP in AWS's words, or as a switch.
func (s *Settings) ecsPublicIP() (bool, error) {
	switch strings.ToLower(s.ECSAssignPublicIP) {
	case "enabled", "true", "1":
		return true, nil
	case "disabled", "false", "0", "":
		return false, nil
	}
	return false, fmt.Errorf("ECS_ASSIGN_PUBLIC_IP=%s: use ENABLED or DISABLED", s.ECSAssignPublicIP)
}

// split reads a list with commas.
func split(list string) (parts []string) {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// builderURL is the control plane's address for tasks, which run on machines of
// their own.
func (s *Settings) builderURL() (*url.URL, error) {
	name, address := "BUILDER_URL", s.BuilderURL
	if address == "" {
		name, address = "PUBLIC_URL", s.PublicURL
	}
	if address == "" {
		return nil, errors.New("ECS_CLUSTER_NAME is set, but neither PUBLIC_URL nor BUILDER_URL: set the address at which tasks reach this control plane")
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s=%s: use an address such as https://deploy.example.com", name, address)
	}
	if n := len(u.Hostname()); n > longestName {
		return nil, fmt.Errorf("%s: the name of its host has %d characters, and DNS takes %d", name, n, longestName)
	}
	if isThisMachine(u.Hostname()) {
		return nil, fmt.Errorf("%s=%s: tasks of ECS can't reach this machine by that name: set BUILDER_URL to an address that they can", name, address)
	}
	if s.R2Endpoint != "" && s.R2Uploads != "relayed" {
		if e, err := url.Parse(s.R2Endpoint); err == nil && isThisMachine(e.Hostname()) {
			return nil, fmt.Errorf("R2_ENDPOINT=%s: tasks of ECS upload to the bucket, and can't reach this machine by that name", s.R2Endpoint)
		}
	}
	u.Path = ""
	return u, nil
}

// isThisMachine is whether a host means the machine that says it, everywhere.
func isThisMachine(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && (a.Unmap().IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast())
}

// newECS makes the runner of tasks.
func (s *Settings) newECS(ctx context.Context, masterKey []byte, log *slog.Logger) (*runner.ECS, error) {
	publicIP, err := s.ecsPublicIP()
	if err != nil {
		return nil, err
	}
	limits := s.limits()
	e, err := runner.NewECS(ctx, runner.ECSOptions{
		Cluster: s.ECSCluster, TaskDefinition: s.ECSTaskDefinition, Container: s.ECSImageName, LaunchType: s.ECSLaunchType,
		Subnets: split(s.ECSSubnets), SecurityGroups: split(s.ECSSecurityGroups), PublicIP: publicIP,
		Installation: hex.EncodeToString(controlplane.DeriveKey(masterKey, "installation"))[:16],
		Env:          []string{"BUILD_SANDBOX=" + s.taskSandbox()},
		MemoryBytes:  limits.MemoryBytes, WorkspaceBytes: limits.WorkspaceBytes, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("ECS_CLUSTER_NAME=%s: %w", s.ECSCluster, err)
	}
	return e, nil
}

// openECS makes that runner, and asks AWS whether it will do. Where AWS does not
// answer, it may later: that stops no start.
func (s *Settings) openECS(ctx context.Context, masterKey []byte, log *slog.Logger) (*runner.ECS, error) {
	e, err := s.newECS(ctx, masterKey, log)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, ecsCheckTime)
	defer cancel()
	warnings, err := e.Check(within)
	switch {
	case errors.Is(err, runner.ErrAWSAway):
		log.Warn("can't see whether tasks will start; builds wait in the queue until they do", "error", err)
	case err != nil:
		e.Close()
		return nil, err
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	return e, nil
}

// taskSandbox is how a task isolates the commands of its build.
func (s *Settings) taskSandbox() string {
	if s.BuildSandbox == "none" {
		return "none"
	}
	return "task"
}
