package builder

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/mini-vercel/mini-vercel/builder/sandbox"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// toolsFolder is below the commands' home: there, programs are installed that
// the machine does not have.
const toolsFolder = ".mini-vercel"

// command runs a shell command in a folder of the sources, prints it to the log
// as a terminal would, and its output behind it.
func (b *build) command(ctx context.Context, what, command, dir string) error {
	s, err := b.sandbox()
	if err != nil {
		return err
	}
	b.log.Say("$ %s", command)
	stdout, stderr := b.log.Writer(site.Stdout), b.log.Writer(site.Stderr)
	result, err := s.Run(ctx, b.shell(s, command, dir, sandbox.Command{Stdout: stdout, Stderr: stderr, Network: true}))
	_ = stdout.Close() // a log's writer never fails
	_ = stderr.Close()
	if err != nil {
		return b.runError(ctx, what, command, err)
	}
	if result.ExitCode == 0 && result.Exceeded == "" {
		return nil
	}
	if b.log.Cut() {
		b.sayRest(stdout.Rest(restLines), stderr.Rest(restLines))
	}
	return b.explain(what, command, result, s.Explain(result))
}

// restLines is how many of the last lines are shown where the log was cut.
const restLines = 20

func (b *build) sayRest(streams ...[]string) {
	for _, lines := range streams {
		if len(lines) > 0 {
			b.log.Say("The command's last lines, after the log's limit:\n%s", strings.Join(lines, "\n"))
		}
	}
}

// shell completes a command that sh runs.
func (b *build) shell(s *sandbox.Sandbox, command, dir string, c sandbox.Command) sandbox.Command {
	inside := path.Join(s.Path(), dir)
	search := []string{path.Join(inside, "node_modules/.bin")}
	if b.plan.InstallDirectory != dir {
		search = append(search, path.Join(s.Path(), b.plan.InstallDirectory, "node_modules/.bin"))
	}
	for i, folder := range search {
		search[i] = quote(folder)
	}
	search = append(search, "$HOME/"+toolsFolder+"/bin")
	for _, folder := range b.beside {
		search = append(search, quote(folder))
	}
	search = append(search, "$PATH")
	// A shell of its own, so that what it says is about the command alone.
	c.Args = []string{"/bin/sh", "-c", `PATH=` + strings.Join(search, ":") + ` && export PATH && exec /bin/sh -c "$1"`, "sh", command}
	c.Dir = dir
	c.Env = b.environment()
	return c
}

// quote keeps a shell from reading anything into a text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// environment is what commands find besides what the sandbox sets.
func (b *build) environment() []string {
	var env []string
	given := map[string]bool{}
	add := func(name, value string) {
		if !given[name] {
			given[name] = true
			env = append(env, name+"="+value)
		}
	}
	for _, v := range b.job.Env {
		add(v.Name, v.Value)
	}
	add("CI", "1")
	add("MINI_VERCEL", "1")
	if b.facts.Commit != "" {
		add("MINI_VERCEL_GIT_COMMIT_SHA", b.facts.Commit)
		add("MINI_VERCEL_GIT_COMMIT_MESSAGE", b.facts.Message)
		add("MINI_VERCEL_GIT_COMMIT_AUTHOR", b.facts.Author)
	}
	if b.facts.Branch != "" {
		add("MINI_VERCEL_GIT_BRANCH", b.facts.Branch)
	}
	// npm's questions to the registry that no build needs.
	add("npm_config_audit", "false")
	add("npm_config_fund", "false")
	add("npm_config_update_notifier", "false")
	add("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0")
	return env
}

// runError is for a command that could not be run to its end.
func (b *build) runError(ctx context.Context, what, command string, err error) error {
	var late *overtime
	switch {
	case errors.As(context.Cause(ctx), &late):
		b.log.Say("Stopped: %s.", late)
		return late
	case ctx.Err() != nil:
		return err
	}
	return fmt.Errorf("%s `%s` could not be run: %w", what, short(command), err)
}

// explain says why a command has failed.
func (b *build) explain(what, command string, result sandbox.Result, reason string) error {
	if reason != "" {
		b.log.Say("Stopped: %s.", reason)
		return fmt.Errorf("%s (in %s `%s`)", reason, lower(what), short(command))
	}
	failed := fmt.Sprintf("%s `%s` ended with exit code %d", what, short(command), result.ExitCode)
	switch {
	case result.ExitCode == 127 && b.plan.Row.Tool != "":
		return fmt.Errorf("%s: a program was not found. %s is needed: %s", failed, b.plan.Row.Name, b.plan.Row.Tool)
	case result.ExitCode == 127 && packageManager(command) != "":
		name := packageManager(command)
		return fmt.Errorf("%s: %s is not installed on the machine that builds. Name it in package.json, such as \"packageManager\": %q, and the build gets it", failed, name, name+"@"+examples[name])
	case result.ExitCode == 127:
		return fmt.Errorf("%s: a program was not found, see the log; add it to the project's dependencies", failed)
	case result.ExitCode == 126:
		return fmt.Errorf("%s: a file may not be executed, see the log; commit it with its executable bit", failed)
	case result.ExitCode == 134:
		return fmt.Errorf("%s: it aborted, as Node does when its heap is full, see the log; NODE_OPTIONS=--max-old-space-size=N, in MiB, gives it more of the %d MiB that a build may use", failed, b.job.Limits.MemoryBytes>>20)
	case result.ExitCode == 137:
		return fmt.Errorf("%s: it was killed", failed)
	}
	return fmt.Errorf("%s; the end of the log says why", failed)
}

// examples are versions of package managers, for a message.
var examples = map[string]string{"pnpm": "9.15.9", "yarn": "4.9.4", "bun": "1.3.0"}

// packageManager is the one that a command calls first, but for npm.
func packageManager(command string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	if _, ok := examples[name]; ok {
		return name
	}
	return ""
}

func lower(what string) string { return strings.ToLower(what[:1]) + what[1:] }

// short keeps a reason readable where a command is a program.
func short(command string) string {
	command = strings.Join(strings.Fields(command), " ")
	if runes := []rune(command); len(runes) > 120 {
		return string(runes[:119]) + "…"
	}
	return command
}
