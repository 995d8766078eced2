package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Check asks ECS whether tasks can be started as the options say. Its error is
// one line that names the setting, and wraps [ErrAWSAway] where nobody knows.
// What would work, but less well, is a warning.
func (e *ECS) Check(ctx context.Context) (warnings []string, err error) {
	if _, err := e.client.Options().Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("ECS: the AWS SDK finds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or give this machine a role")
	}
	if err := e.checkCluster(ctx); err != nil {
		return nil, err
	}
	o := &e.options
	out, err := call(ctx, e, "DescribeTaskDefinition", e.client.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &o.TaskDefinition})
	if err != nil {
		return nil, e.explain("ECS_TASK_DEFINITION="+o.TaskDefinition, err)
	}
	if err := e.checkDefinition(out.TaskDefinition); err != nil {
		return nil, fmt.Errorf("ECS_TASK_DEFINITION=%s: %w", o.TaskDefinition, err)
	}
	return e.warnings(out.TaskDefinition), nil
}

// explain turns a failed question into a line about a setting.
func (e *ECS) explain(setting string, err error) error {
	region := e.client.Options().Region
	switch code := codeOf(err); {
	case code == "ClusterNotFoundException":
		return fmt.Errorf("%s: there is no such cluster in %s (AWS_REGION)", setting, region)
	case kindOf(err) != callRefused:
		return fmt.Errorf("%s: %w: %w", setting, ErrAWSAway, err)
	case code == "ClientException":
		return fmt.Errorf("%s: there is no such task definition in %s (AWS_REGION): %s", setting, region, messageOf(err))
	case code == "AccessDeniedException":
		return fmt.Errorf("%s: the AWS credentials don't allow it: %s", setting, messageOf(err))
	case strings.Contains(code, "Token") || strings.Contains(code, "Signature") || code == "InvalidClientTokenId":
		return fmt.Errorf("%s: AWS does not take the credentials: %w", setting, err)
	}
	return fmt.Errorf("%s: %w", setting, err)
}

func (e *ECS) checkCluster(ctx context.Context) error {
	setting := "ECS_CLUSTER_NAME=" + e.options.Cluster
	out, err := call(ctx, e, "DescribeClusters", e.client.DescribeClusters, &ecs.DescribeClustersInput{Clusters: []string{e.options.Cluster}})
	if err != nil {
		return e.explain(setting, err)
	}
	if len(out.Clusters) == 0 {
		return e.explain(setting, &types.ClusterNotFoundException{})
	}
	cluster := out.Clusters[0]
	if status := text(cluster.Status); status != "ACTIVE" {
		return fmt.Errorf("%s: the cluster is %s", setting, status)
	}
	if e.options.LaunchType == LaunchFargateSpot && !slices.Contains(cluster.CapacityProviders, LaunchFargateSpot) {
		return fmt.Errorf("ECS_LAUNCH_TYPE=%s: the cluster %s has no capacity provider of that name: add it", LaunchFargateSpot, e.options.Cluster)
	}
	return nil
}

func (e *ECS) checkDefinition(d *types.TaskDefinition) error {
	if d == nil || d.Status == types.TaskDefinitionStatusInactive {
		return errors.New("the task definition is not active: register a new revision")
	}
	fargate := e.options.LaunchType != LaunchEC2
	own := definitionOf(d, e.options.Container)
	switch {
	case own == nil:
		return fmt.Errorf("it has no container %q: set ECS_IMAGE_NAME to the name of the container that builds", e.options.Container)
	case text(d.TaskRoleArn) != "":
		return fmt.Errorf("it gives the task the role %s, whose credentials builds could get at: remove taskRoleArn", text(d.TaskRoleArn))
	case fargate && d.NetworkMode != types.NetworkModeAwsvpc:
		return fmt.Errorf("its network mode is %q, and %s needs awsvpc", d.NetworkMode, e.options.LaunchType)
	case d.NetworkMode == types.NetworkModeAwsvpc && len(e.options.Subnets) == 0:
		return errors.New("its network mode is awsvpc, and that needs ECS_SUBNETS")
	case d.NetworkMode != types.NetworkModeAwsvpc && len(e.options.Subnets) > 0:
		return fmt.Errorf("ECS_SUBNETS is set, and that needs the network mode awsvpc instead of %q", d.NetworkMode)
	case fargate && len(d.RequiresCompatibilities) > 0 && !slices.Contains(d.RequiresCompatibilities, types.CompatibilityFargate):
		return fmt.Errorf("it is not made for Fargate: add FARGATE to requiresCompatibilities, or set ECS_LAUNCH_TYPE=%s", LaunchEC2)
	case own.Privileged != nil && *own.Privileged, d.PidMode == types.PidModeHost, d.NetworkMode == types.NetworkModeHost:
		return errors.New("it lets builds at the machine that they run on (privileged, or the host's network or processes): remove that")
	case !slices.Contains([]string{"", "0", "root", "0:0", "root:root"}, text(own.User)):
		return fmt.Errorf("it starts the builder as %q, which can't run commands as another user: remove user", text(own.User))
	}
	return nil
}

func (e *ECS) warnings(d *types.TaskDefinition) (warnings []string) {
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	own := definitionOf(d, e.options.Container)
	if own.LinuxParameters == nil || own.LinuxParameters.InitProcessEnabled == nil || !*own.LinuxParameters.InitProcessEnabled {
		warn("The task definition %s lacks linuxParameters.initProcessEnabled: processes that lose their parent stay, and count against a build's limit.", e.options.TaskDefinition)
	}
	const forBuilder = 512 // MiB
	if have, err := strconv.ParseInt(text(d.Memory), 10, 64); err == nil && have-forBuilder < e.options.MemoryBytes>>20 {
		warn("Tasks have %d MiB of memory: builds get %d MiB of the %d MiB that BUILD_MEMORY_MIB says.", have, have-min(forBuilder, have/4), e.options.MemoryBytes>>20)
	}
	disk := int64(20) // GiB, which Fargate gives
	if d.EphemeralStorage != nil {
		disk = int64(d.EphemeralStorage.SizeInGiB)
	}
	if need := e.options.WorkspaceBytes; e.options.LaunchType != LaunchEC2 && disk<<30 < need+need/4 {
		warn("Tasks have %d GiB of disk for the image and the build, of which BUILD_WORKSPACE_MIB lets builds use %d MiB: raise ephemeralStorage.", disk, need>>20)
	}
	return warnings
}

func definitionOf(d *types.TaskDefinition, name string) *types.ContainerDefinition {
	for i := range d.ContainerDefinitions {
		if text(d.ContainerDefinitions[i].Name) == name {
			return &d.ContainerDefinitions[i]
		}
	}
	return nil
}
