package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// part is one thing that a server of these settings depends on.
type part struct {
	name  string
	where string // without a secret
	// ask uses it as the server would and returns what it says of itself, such
	// as its version. The error names the variable to change.
	ask func(context.Context) (string, error)
}

// partTime is how long a part has to answer.
const partTime = 20 * time.Second

// partState is what became of a part, in words for people and machines.
type partState struct {
	Name      string  `json:"name"`
	Where     string  `json:"where"`
	OK        bool    `json:"ok"`
	Detail    string  `json:"detail,omitempty"`
	Error     string  `json:"error,omitempty"`
	LatencyMS float64 `json:"latencyMs"`
}

// newConfigCheckCommand connects to everything that is set.
func newConfigCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [edge|controlplane]",
		Short: "Connect to everything that is set, and say of each in one line whether it works",
		Long: `Connects to every part that the settings name, uses it as the server would, and
prints one line for each: what and where it is, and its version and how long it
took, or what is wrong and which variable to change. With edge or controlplane it
asks only for what that server needs. The exit code is 1 if any part fails.

What it writes to a bucket is a small object, which it deletes again; tables and
topics that are missing at ClickHouse and Kafka it makes, as a start does.`,
		ValidArgs: []string{"edge", "controlplane"},
		Args:      usageArgs(cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := Load(environ())
			if err != nil {
				return err
			}
			role := ""
			if len(args) > 0 {
				role = args[0]
			}
			states := askParts(cmd.Context(), s.parts(role))
			if err := writeParts(cmd.OutOrStdout(), states, asJSON); err != nil {
				return err
			}
			for _, state := range states {
				if !state.OK {
					return saidError{errors.New("a part does not work")}
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return c
}

// parts are what a server needs: an edge, a control plane, or both.
func (s *Settings) parts(role string) []part {
	edge, controlPlane := role != "controlplane", role != "edge"
	parts := []part{s.dataDirPart(), s.bucketPart(controlPlane)}
	if controlPlane {
		parts = append(parts, s.masterKeyPart(), s.databasePart())
		if s.KafkaBrokers != "" {
			parts = append(parts, s.streamPart())
		}
		if s.ClickHouseHost != "" {
			parts = append(parts, s.logsPart())
		}
		if s.SupabaseURL != "" {
			parts = append(parts, s.signInPart())
		}
		if s.localBuilds() {
			parts = append(parts, s.sandboxPart())
		} else {
			parts = append(parts, s.tasksPart())
		}
		parts = append(parts, s.resolverPart())
	}
	if edge {
		if _, shared := s.certsBucket(); shared {
			parts = append(parts, s.certsBucketPart())
		}
		if s.EdgeTLS == "acme" {
			parts = append(parts, s.acmePart())
		}
	}
	return parts
}

// localBuilds is whether builders run on the control plane's own machine.
func (s *Settings) localBuilds() bool { return s.ECSCluster == "" }

// askParts asks all at once, each with a deadline of its own.
func askParts(ctx context.Context, parts []part) []partState {
	states := make([]partState, len(parts))
	var asking sync.WaitGroup
	for i, p := range parts {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, partTime)
			defer cancel()
			began := time.Now()
			detail, err := p.ask(ctx)
			states[i] = partState{Name: p.name, Where: inOneLine(p.where), OK: err == nil, Detail: inOneLine(detail), LatencyMS: float64(time.Since(began).Microseconds()) / 1000}
			if err != nil {
				states[i].Error = inOneLine(err.Error())
			}
		})
	}
	asking.Wait()
	return states
}

// inOneLine is a text that others may have written, as a person may see it.
func inOneLine(text string) string {
	return strings.Join(strings.Fields(harmless(text, false)), " ")
}

func writeParts(w io.Writer, states []partState, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(states)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, state := range states {
		if !state.OK {
			fmt.Fprintf(t, "FAILED\t%s\t%s\t%s\n", state.Name, state.Where, state.Error)
			continue
		}
		detail := fmt.Sprintf("%.0f ms", state.LatencyMS)
		if state.Detail != "" {
			detail = state.Detail + ", " + detail
		}
		fmt.Fprintf(t, "ok\t%s\t%s\t%s\n", state.Name, state.Where, detail)
	}
	return t.Flush()
}
