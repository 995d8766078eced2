package framework

import (
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestRangesAreReadAsNPMDoes(t *testing.T) {
	for _, c := range []struct {
		in   string
		yes  []version
		no   []version
		fail bool
	}{
		{in: "20", yes: []version{{20, 0, 0}, {20, 20, 2}}, no: []version{{19, 9, 9}, {21, 0, 0}}},
		{in: "v20.1", yes: []version{{20, 1, 9}}, no: []version{{20, 2, 0}}},
		{in: "20.1.2", yes: []version{{20, 1, 2}}, no: []version{{20, 1, 3}}},
		{in: "20.x", yes: []version{{20, 5, 0}}, no: []version{{21, 0, 0}}},
		{in: "20.*.*", yes: []version{{20, 5, 0}}, no: []version{{21, 0, 0}}},
		{in: "*", yes: []version{{1, 0, 0}}},
		{in: "", yes: []version{{1, 0, 0}}},
		{in: ">=18", yes: []version{{18, 0, 0}, {24, 0, 0}}, no: []version{{17, 9, 9}}},
		{in: ">= 18.12.0", yes: []version{{18, 12, 0}}, no: []version{{18, 11, 9}}},
		{in: ">18", yes: []version{{19, 0, 0}}, no: []version{{18, 5, 0}}},
		{in: "<=20", yes: []version{{20, 9, 9}}, no: []version{{21, 0, 0}}},
		{in: "<20.1", yes: []version{{20, 0, 9}}, no: []version{{20, 1, 0}}},
		{in: ">=16 <21", yes: []version{{20, 1, 0}}, no: []version{{21, 0, 0}, {15, 0, 0}}},
		{in: ">=16.0.0, <21", fail: true},
		{in: "^20.9.0 || >=21.1", yes: []version{{20, 9, 0}, {22, 0, 0}}, no: []version{{20, 8, 0}, {21, 0, 0}}},
		{in: "^18.17.1 || ^20.3.0 || >=21.0.0", yes: []version{{20, 20, 2}}, no: []version{{19, 0, 0}}},
		{in: "~20.3", yes: []version{{20, 3, 9}}, no: []version{{20, 4, 0}}},
		{in: "~20", yes: []version{{20, 9, 0}}, no: []version{{21, 0, 0}}},
		{in: "^0.2.3", yes: []version{{0, 2, 9}}, no: []version{{0, 3, 0}}},
		{in: "16 - 20", yes: []version{{16, 0, 0}, {20, 9, 9}}, no: []version{{21, 0, 0}}},
		{in: "=20.1.2", yes: []version{{20, 1, 2}}, no: []version{{20, 1, 1}}},
		{in: "node", fail: true}, {in: ">=x y", fail: true}, {in: "20.1.2.3", fail: true}, {in: ">>1", fail: true},
	} {
		for _, v := range append(append([]version{{}}, c.yes...), c.no...) {
			if _, ok := satisfies(v, c.in); ok == c.fail {
				t.Errorf("%q can be read: %v", c.in, ok)
			}
		}
		for _, v := range c.yes {
			if in, _ := satisfies(v, c.in); !in {
				t.Errorf("%v is not in %q", v, c.in)
			}
		}
		for _, v := range c.no {
			if in, _ := satisfies(v, c.in); in {
				t.Errorf("%v is in %q", v, c.in)
			}
		}
	}
}

func TestTheNodeVersionThatIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    files
		setting  string
		from     string
		has20    bool   // 20.20.2 will do
		lineElse string // what is fetched otherwise
	}{
		{"nothing", files{}, "", "", true, ""},
		{".nvmrc", files{".nvmrc": "v20.11.0\n"}, "", ".nvmrc", true, ""},
		{".nvmrc, newer than what is there", files{".nvmrc": "20.99.0"}, "", ".nvmrc", false, "20.99.0"},
		{".nvmrc, another line", files{".nvmrc": "# why\n22 # here\n"}, "", ".nvmrc", false, "22"},
		{"an LTS by name", files{".nvmrc": "lts/jod"}, "", ".nvmrc", false, "22"},
		{"the LTS", files{".nvmrc": "lts/*"}, "", ".nvmrc", false, "24"},
		{"the newest", files{".nvmrc": "node"}, "", ".nvmrc", false, "24"},
		{".node-version", files{".node-version": "18.19.0", "package.json": `{"engines":{"node":">=20"},"scripts":{"build":"x"}}`}, "", ".node-version", false, "18.19.0"},
		{"engines", files{"package.json": `{"engines":{"node":">=18"},"scripts":{"build":"x"}}`}, "", "engines in package.json", true, ""},
		{"engines, a newer one", files{"package.json": `{"engines":{"node":">=22.12"},"scripts":{"build":"x"}}`}, "", "engines in package.json", false, "24"},
		{"engines, an older one", files{"package.json": `{"engines":{"node":"^16 || ^18"},"scripts":{"build":"x"}}`}, "", "engines in package.json", false, "18"},
		{"engines that nobody understands", files{"package.json": `{"engines":{"node":"a while ago"},"scripts":{"build":"x"}}`}, "", "", true, ""},
		{"the setting", files{".nvmrc": "18"}, "22.x", "the project's settings", false, "22"},
		{"an odd line", files{".nvmrc": "19"}, "", ".nvmrc", false, "19"},
		{"no such Node", files{"package.json": `{"engines":{"node":">=99"},"scripts":{"build":"x"}}`}, "", "engines in package.json", false, ""},
	} {
		if c.files["package.json"] == "" {
			c.files["package.json"] = pkg("x")
		}
		p, _, err := detect(t, c.files, site.BuildSettings{NodeVersion: c.setting})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.Node.From != c.from || p.Node.Satisfied("v20.20.2") != c.has20 || !c.has20 && p.Node.Line() != c.lineElse {
			t.Errorf("%s: %+v, %q", c.name, p.Node, p.Node.Line())
		}
	}
	for line, want := range map[string]string{"24": "", "20": "", "18.19.0": "10", "16": "8", "14": "8", "9": ""} {
		if got := NPMFor(line); got != want {
			t.Errorf("npm for %s: %q", line, got)
		}
	}
	if _, _, err := detect(t, files{"package.json": pkg("x"), ".nvmrc": "../../etc"}, site.BuildSettings{}); err == nil {
		t.Error("a strange .nvmrc is taken")
	}
}
