package main

import (
	"fmt"
	"html"
	"strings"
)

// chartedFile is the one whose scenes at full load are drawn.
const chartedFile = "10 KiB"

// chart draws scenes as bars: each server's rate as a share of the
// fastest in its scene. It is readable on light and on dark.
func chart(results []result) string {
	const (
		width, left, bar, gap, head = 760, 250, 16, 4, 34
		right                       = 90
	)
	var body strings.Builder
	y := 0
	for _, r := range results {
		if !r.Charted {
			continue
		}
		y += head
		fmt.Fprintf(&body, "<text x=\"0\" y=\"%d\" class=\"scene\">%s</text>\n", y-10, html.EscapeString(r.Scene))
		most := 0.0
		for _, s := range r.Servers {
			most = max(most, median(s.rates()))
		}
		for i, s := range r.Servers {
			class, rate := "peer", median(s.rates())
			if i == 0 {
				class = "edge"
			}
			length := rate / most * (width - left - right)
			fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\" class=\"name\">%s</text><rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/><text x=\"%.1f\" y=\"%d\">%s/s</text>\n",
				left-8, y+bar-4, html.EscapeString(s.Server), left, y, length, bar, class, left+length+6, y+bar-4, thousands(rate))
			y += bar + gap
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Requests a second on one core, by scene and server">
<style>
text { font: 12px system-ui, sans-serif; fill: #57606a }
.scene { font-weight: 600; font-size: 13px; fill: #24292f }
.name { text-anchor: end }
.edge { fill: #0f766e }
.peer { fill: #afb8c1 }
@media (prefers-color-scheme: dark) { text { fill: #9198a1 } .scene { fill: #e6edf3 } .edge { fill: #2dd4bf } .peer { fill: #484f58 } }
</style>
%s</svg>
`, width, y+6, body.String())
}

// thousands writes a number with commas.
func thousands(n float64) string {
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
