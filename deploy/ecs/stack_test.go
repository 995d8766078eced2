// Package ecs has tests alone: of the files beside them, against moto.
package ecs

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/runner"
	"github.com/mini-vercel/mini-vercel/internal/mototest"
)

func TestTheTemplateIsClean(t *testing.T) {
	lint := mototest.Program(t, "cfn-lint")
	if out, err := exec.Command(lint, "stack.yaml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// account has the ids that moto gives, in place of those that people fill in.
func account(text string) string {
	return strings.NewReplacer("ACCOUNT", "123456789012", "REGION", mototest.Region).Replace(text)
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// query calls an API that has the older protocol, and returns its answer.
func query(t *testing.T, server *mototest.Server, service string, parameters url.Values) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Endpoint, strings.NewReader(parameters.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test-key/20260101/"+mototest.Region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=none")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", parameters.Get("Action"), response.Status, err, body)
	}
	return string(body)
}

// makeStack makes the stack and returns its outputs.
func makeStack(t *testing.T, server *mototest.Server) map[string]string {
	t.Helper()
	version := url.Values{"Version": {"2010-05-15"}}
	create := url.Values{"Action": {"CreateStack"}, "StackName": {"mini-vercel"}, "TemplateBody": {read(t, "stack.yaml")}, "Capabilities.member.1": {"CAPABILITY_NAMED_IAM"}, "Version": version["Version"]}
	query(t, server, "cloudformation", create)
	var found struct {
		Status  string `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
		Outputs []struct {
			OutputKey, OutputValue string
		} `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
	}
	body := query(t, server, "cloudformation", url.Values{"Action": {"DescribeStacks"}, "StackName": {"mini-vercel"}, "Version": version["Version"]})
	if err := xml.Unmarshal([]byte(body), &found); err != nil || found.Status != "CREATE_COMPLETE" {
		t.Fatalf("%v\n%s", err, body)
	}
	outputs := map[string]string{}
	for _, o := range found.Outputs {
		outputs[o.OutputKey] = o.OutputValue
	}
	return outputs
}

func TestTheStackRunsBuilders(t *testing.T) {
	server := mototest.Start(t)
	proxy := server.NewProxy(t)
	for _, pair := range mototest.Environ(proxy.URL) {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	outputs := makeStack(t, server)
	settings := map[string]string{}
	for pair := range strings.FieldsSeq(outputs["Settings"]) {
		name, value, _ := strings.Cut(pair, "=")
		settings[name] = value
	}
	if settings["AWS_REGION"] != mototest.Region || settings["ECS_ASSIGN_PUBLIC_IP"] != "ENABLED" || !strings.HasSuffix(outputs["RepositoryUri"], "/mini-vercel-builder") {
		t.Errorf("%v", outputs)
	}
	nameHosts(t, server, settings["ECS_SUBNETS"])
	registerTheFile(t, server, settings["ECS_TASK_DEFINITION"])
	e, err := runner.NewECS(t.Context(), runner.ECSOptions{
		Cluster: settings["ECS_CLUSTER_NAME"], TaskDefinition: settings["ECS_TASK_DEFINITION"], Installation: "test",
		Subnets: strings.Split(settings["ECS_SUBNETS"], ","), SecurityGroups: []string{settings["ECS_SECURITY_GROUPS"]}, PublicIP: true,
		MemoryBytes: 4096 << 20, WorkspaceBytes: 10 << 30, PollEvery: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if warnings, err := e.Check(t.Context()); err != nil || len(warnings) != 0 {
		t.Fatalf("%v, %q", err, warnings)
	}
	handle, err := e.Start(t.Context(), controlplane.Builder{Attempt: "a.1", URL: "https://deploy.example.com", Claim: "mvc_x"})
	if err != nil {
		t.Fatal(err)
	}
	over := func(context.Context, string) (bool, error) { return true, nil }
	if _, err := e.Look(t.Context(), handle); err != nil {
		t.Error(err)
	}
	if ended, err := e.Sweep(t.Context(), over); err != nil || ended != 1 {
		t.Errorf("%d, %v", ended, err)
	}

	t.Run("the policy allows what is called, and no more", func(t *testing.T) {
		var policy struct{ Statement []struct{ Action any } }
		if err := json.Unmarshal([]byte(read(t, "policy-controlplane.json")), &policy); err != nil {
			t.Fatal(err)
		}
		allowed := map[string]bool{}
		for _, s := range policy.Statement {
			switch actions := s.Action.(type) {
			case string:
				allowed[actions] = true
			case []any:
				for _, action := range actions {
					allowed[action.(string)] = true
				}
			}
		}
		// Both are checked by AWS as part of RunTask.
		delete(allowed, "ecs:TagResource")
		delete(allowed, "iam:PassRole")
		for _, operation := range []string{"RunTask", "DescribeTasks", "ListTasks", "StopTask", "DescribeClusters", "DescribeTaskDefinition"} {
			if len(proxy.Calls(operation)) == 0 {
				t.Errorf("%s was not called", operation)
			}
			if !allowed["ecs:"+operation] {
				t.Errorf("%s is not allowed", operation)
			}
			delete(allowed, "ecs:"+operation)
		}
		if len(allowed) > 0 {
			t.Errorf("allowed and never called: %v", allowed)
		}
	})

	t.Run("its policies are the files'", func(t *testing.T) {
		decode := func(body, tag string) any {
			t.Helper()
			found := regexp.MustCompile("(?s)<" + tag + ">(.*?)</" + tag + ">").FindStringSubmatch(body)
			if found == nil {
				t.Fatalf("there is no %s:\n%s", tag, body)
			}
			text, err := url.QueryUnescape(strings.ReplaceAll(strings.NewReplacer("&quot;", `"`, "&#34;", `"`, "&amp;", "&").Replace(found[1]), "+", "%2B"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(text, "{'") {
				text = strings.ReplaceAll(text, "'", `"`) // moto answers with a role's policy as Python writes it
			}
			var document any
			if err := json.Unmarshal([]byte(text), &document); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			return document
		}
		for file, parameters := range map[string]url.Values{
			"policy-controlplane.json": {"Action": {"GetPolicyVersion"}, "PolicyArn": {outputs["ControlPlanePolicyArn"]}, "VersionId": {"v1"}},
			"policy-execution.json":    {"Action": {"GetRolePolicy"}, "RoleName": {"mini-vercel-builder-execution"}, "PolicyName": {"builder-execution"}},
		} {
			parameters.Set("Version", "2010-05-08")
			tag := map[string]string{"GetPolicyVersion": "Document", "GetRolePolicy": "PolicyDocument"}[parameters.Get("Action")]
			got := decode(query(t, server, "iam", parameters), tag)
			var want any
			if err := json.Unmarshal([]byte(account(read(t, file))), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				a, _ := json.MarshalIndent(got, "", " ")
				t.Errorf("%s: the stack has\n%s", file, a)
			}
		}
	})
}

// call calls ECS with what JSON says, as the command line does.
func call(t *testing.T, server *mototest.Server, operation string, input any) (out map[string]any) {
	t.Helper()
	body, _ := json.Marshal(input)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Endpoint, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113."+operation)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test-key/20260101/"+mototest.Region+"/ecs/aws4_request, SignedHeaders=host, Signature=none")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %v", operation, response.Status, err, out)
	}
	return out
}

// nameHosts sets what moto forgets of a template, and needs for a task.
func nameHosts(t *testing.T, server *mototest.Server, subnets string) {
	t.Helper()
	first, _, _ := strings.Cut(subnets, ",")
	body := query(t, server, "ec2", url.Values{"Action": {"DescribeSubnets"}, "SubnetId.1": {first}, "Version": {"2016-11-15"}})
	vpc := regexp.MustCompile(`<vpcId>(vpc-[0-9a-f]+)</vpcId>`).FindStringSubmatch(body)
	if vpc == nil || !strings.Contains(body, "<cidrBlock>10.91.0.0/20</cidrBlock>") {
		t.Fatalf("%s: %s", first, body)
	}
	query(t, server, "ec2", url.Values{"Action": {"ModifyVpcAttribute"}, "VpcId": {vpc[1]}, "EnableDnsHostnames.Value": {"true"}, "Version": {"2016-11-15"}})
}

// registerTheFile compares the stack's task definition with the file's, as far as
// moto takes it from a template, and registers that as its next revision.
func registerTheFile(t *testing.T, server *mototest.Server, family string) {
	t.Helper()
	var input map[string]any
	if err := json.Unmarshal([]byte(account(read(t, "task-definition.json"))), &input); err != nil {
		t.Fatal(err)
	}
	stack := describe(t, server, family)
	call(t, server, "RegisterTaskDefinition", input)
	file := describe(t, server, family)
	for _, part := range []string{"family", "containerDefinitions", "volumes", "memory"} {
		a, _ := json.MarshalIndent(stack[part], "", " ")
		b, _ := json.MarshalIndent(file[part], "", " ")
		if !bytes.Equal(a, b) {
			t.Errorf("the stack has the %s\n%s\nthe file\n%s", part, a, b)
		}
	}
	if file["revision"] != 2.0 || input["taskRoleArn"] != nil || input["networkMode"] != "awsvpc" {
		t.Errorf("%v", file)
	}
	// What moto leaves out of a template, as both write it.
	template := read(t, "stack.yaml")
	for _, line := range []string{
		"RequiresCompatibilities: [FARGATE]", "NetworkMode: awsvpc", "ExecutionRoleArn: !GetAtt ExecutionRole.Arn",
		"RuntimePlatform: { OperatingSystemFamily: LINUX, CpuArchitecture: X86_64 }", "EphemeralStorage: { SizeInGiB: !Ref DiskGiB }",
	} {
		if strings.Count(template, line+"\n") != 1 {
			t.Errorf("the template has no %q", line)
		}
	}
	if strings.Contains(template, "TaskRoleArn") {
		t.Error("the template gives tasks a role")
	}
	known := reflect.TypeFor[ecs.RegisterTaskDefinitionInput]()
	for name := range input {
		if _, ok := known.FieldByName(strings.ToUpper(name[:1]) + name[1:]); !ok {
			t.Errorf("a task definition has no %s", name)
		}
	}
}

func describe(t *testing.T, server *mototest.Server, family string) map[string]any {
	t.Helper()
	out := call(t, server, "DescribeTaskDefinition", map[string]string{"taskDefinition": family})
	return out["taskDefinition"].(map[string]any)
}

// TestTasksReachThePublicInternetAlone takes the security group's pieces together.
func TestTasksReachThePublicInternetAlone(t *testing.T) {
	template := read(t, "stack.yaml")
	var pieces []netip.Prefix
	for _, m := range regexp.MustCompile(`IpProtocol: tcp, FromPort: 1, ToPort: 65535, CidrIp: (\S+) `).FindAllStringSubmatch(template, -1) {
		pieces = append(pieces, netip.MustParsePrefix(m[1]))
	}
	if len(pieces) == 0 || len(pieces) > 59 || strings.Contains(template, "SecurityGroupIngress") || strings.Contains(template, "CidrIpv6") {
		t.Fatalf("%d rules; AWS takes 60", len(pieces))
	}
	reached := func(address string) bool {
		a := netip.MustParseAddr(address)
		return slices.ContainsFunc(pieces, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	for _, private := range []string{
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.91.0.10", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255",
		"169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "224.0.0.0", "255.255.255.255",
	} {
		if reached(private) {
			t.Errorf("%s is reached", private)
		}
	}
	for _, public := range []string{
		"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
		"172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "104.16.0.1", "140.82.112.3", "223.255.255.255",
	} {
		if !reached(public) {
			t.Errorf("%s is not reached", public)
		}
	}
}
