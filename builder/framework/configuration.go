package framework

import (
	"encoding/json"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"
)

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

var lineComment = regexp.MustCompile(`(?m)(^|\s)//.*$`)

// setting finds a text that a configuration file, of whatever language, gives
// to a name. A value that is computed is not found; then the framework's own
// default counts, and a person can set the output directory.
func setting(text, name string) string {
	text = lineComment.ReplaceAllString(text, "")
	quoted := regexp.MustCompile(`(?:^|[\s{,("'])` + regexp.QuoteMeta(name) + `["']?\s*[:=]\s*["'` + "`" + `]([^"'` + "`" + `\n]+)["'` + "`" + `]`)
	if m := quoted.FindStringSubmatch(text); m != nil && !strings.Contains(m[1], "${") {
		return strings.TrimSpace(m[1])
	}
	bare := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:\s+([^\s"'{}\[\],#]+)\s*$`) // YAML
	if m := bare.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// configured reads the output folder from the first of the files that is there.
func configured(name string, files ...string) func(*folder) []string {
	return func(f *folder) []string {
		for _, pattern := range files {
			if file := f.find(pattern); file != "" {
				if value := setting(f.text(file), name); value != "" {
					return []string{value}
				}
			}
		}
		return nil
	}
}

// viteOutput knows that Vite's outDir is relative to its root.
func viteOutput(f *folder) []string {
	file := f.find("vite.config.*")
	if file == "" {
		return nil
	}
	text := f.text(file)
	root, out := setting(text, "root"), setting(text, "outDir")
	if out == "" {
		if root == "" {
			return nil
		}
		out = "dist"
	}
	return []string{path.Join(root, out)}
}

// nextOutput is distDir, into which a static export goes where it is set.
func nextOutput(f *folder) []string {
	text := f.text(f.find("next.config.*"))
	if setting(text, "output") != "export" {
		return nil
	}
	if dir := setting(text, "distDir"); dir != "" {
		return []string{dir}
	}
	return nil
}

func svelteKitOutput(f *folder) []string {
	return configured("pages", "svelte.config.*", "vite.config.*")(f)
}

// angularOutput reads angular.json: the application's outputPath, in which
// newer versions make a folder browser.
func angularOutput(f *folder) []string {
	var workspace struct {
		DefaultProject string `json:"defaultProject"`
		Projects       map[string]struct {
			ProjectType string `json:"projectType"`
			Architect   map[string]struct {
				Options struct {
					OutputPath any `json:"outputPath"`
				} `json:"options"`
			} `json:"architect"`
		} `json:"projects"`
	}
	if json.Unmarshal([]byte(f.text("angular.json")), &workspace) != nil {
		return nil
	}
	var names []string
	for name, project := range workspace.Projects {
		if project.ProjectType != "library" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if i := slices.Index(names, workspace.DefaultProject); i > 0 {
		names[0], names[i] = names[i], names[0]
	}
	if len(names) == 0 {
		return nil
	}
	base, browser := "dist/"+names[0], "browser"
	switch out := workspace.Projects[names[0]].Architect["build"].Options.OutputPath.(type) {
	case string:
		base = out
	case map[string]any:
		if text, ok := out["base"].(string); ok {
			base = text
		}
		if text, ok := out["browser"].(string); ok {
			browser = text
		}
	}
	return []string{path.Join(base, browser), base}
}

var outputFlag = regexp.MustCompile(`(?:^|\s)--(?:out-dir|outDir|outdir|output-path|output-dir|dist-dir|dest|destination)[= ]["']?([^\s"'&|;]+)`)

// scriptOutput is the folder that a build script names on its command line.
func scriptOutput(script string) []string {
	if m := outputFlag.FindStringSubmatch(script); m != nil {
		return []string{m[1]}
	}
	return nil
}
