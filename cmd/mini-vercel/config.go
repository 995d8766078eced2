package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// newConfigCommand prints what is in force.
func newConfigCommand() *cobra.Command {
	var asJSON, table bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the settings that are in force, secrets masked",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if table {
				return writeSettingsTable(cmd.OutOrStdout())
			}
			s, err := Load(environ())
			if err != nil {
				return err
			}
			return writeConfig(cmd.OutOrStdout(), s, asJSON)
		},
	}
	c.AddCommand(newConfigCheckCommand())
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().BoolVar(&table, "table", false, "print the reference of all settings as a Markdown table")
	return c
}

func writeConfig(w io.Writer, s *Settings, asJSON bool) error {
	if asJSON {
		values := map[string]any{}
		for field, setting := range s.fields() {
			values[setting.Name] = field.Interface()
			if setting.Secret {
				values[setting.Name] = setting.show(field.String())
			}
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(values)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for field, setting := range s.fields() {
		fmt.Fprintf(t, "%s\t%s\n", setting.Name, setting.show(fmt.Sprint(field.Interface())))
	}
	return t.Flush()
}

// writeSettingsTable prints the reference that stands in the README.
func writeSettingsTable(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| variable | default | what |\n|---|---|---|\n")
	for _, setting := range (&Settings{}).fields() {
		if setting.Heading != "" {
			fmt.Fprintf(&b, "| **%s** |  |  |\n", setting.Heading)
		}
		value := ""
		if setting.Default != "" {
			value = "`" + setting.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", setting.Name, value, setting.Help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
