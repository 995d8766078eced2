package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func newManifestCommand() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:   "manifest FILE|DEPLOYMENT|-",
		Short: "Show a manifest as JSON",
		Long: `Manifest prints as JSON what a deployment serves: an encoded manifest from a file
or standard input (-), as it is kept in the bucket, or the files of a deployment,
which the control plane is asked for.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" || exists(args[0]) {
				return printManifest(cmd, args[0])
			}
			if strings.ContainsAny(args[0], "/.") {
				return usagef("there is no file %s", args[0])
			}
			return printFiles(cmd, project, args[0])
		},
	}
	c.Flags().StringVar(&project, "project", "", "look for the deployment in this project")
	return c
}

func printManifest(cmd *cobra.Command, name string) error {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	encoded, err := io.ReadAll(io.LimitReader(in, site.MaxManifestSize+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	m, err := site.DecodeManifest(encoded)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return printJSON(cmd.OutOrStdout(), m)
}

func printFiles(cmd *cobra.Command, project, id string) error {
	conn, err := connect(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	d, err := conn.deployment(cmd.Context(), project, id)
	if err != nil {
		return err
	}
	files := []controlplane.FileInfo{}
	err = each(cmd.Context(), conn, "/deployments/"+d.ID+"/files", map[string][]string{"limit": {"1000"}}, func(f controlplane.FileInfo) bool {
		files = append(files, f)
		return true
	})
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), struct {
		Deployment string                  `json:"deployment"`
		Source     site.Source             `json:"source,omitzero"`
		Files      []controlplane.FileInfo `json:"files"`
	}{d.ID, d.Source, files})
}
