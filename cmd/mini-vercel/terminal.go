package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// isTerminal reports whether v, a reader or a writer, is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask puts a question and returns the answer's line.
func ask(cmd *cobra.Command, question string) (string, error) {
	fmt.Fprint(cmd.ErrOrStderr(), question)
	line, err := readLine(cmd.InOrStdin())
	if errors.Is(err, io.EOF) && line == "" {
		return "", errors.New("no answer: standard input has ended")
	}
	return strings.TrimSpace(line), nil
}

// confirm asks yes or no, yes being the default.
func confirm(cmd *cobra.Command, question string) (bool, error) {
	answer, err := ask(cmd, question+" [Y/n] ")
	if err != nil {
		return false, err
	}
	switch strings.ToLower(answer) {
	case "", "y", "yes":
		return true, nil
	}
	return false, nil
}

// askSecret is ask without echo. Where the input is no terminal, it reads a line
// and asks nobody. Spaces belong to the secret.
func askSecret(cmd *cobra.Command, question string) (string, error) {
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !isTerminal(f) {
		line, err := readLine(cmd.InOrStdin())
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			return "", errors.New("no answer: standard input has ended")
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	fmt.Fprint(cmd.ErrOrStderr(), question)
	secret, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	return string(secret), err
}

// readLine reads byte by byte, so that the next question finds the next line.
func readLine(r io.Reader) (string, error) {
	if b, ok := r.(*bufio.Reader); ok {
		return b.ReadString('\n')
	}
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 {
			if one[0] == '\n' {
				return string(line), nil
			}
			line = append(line, one[0])
		}
		if err != nil {
			return string(line), err
		}
	}
}

// harmless makes text safe to print: what could move the cursor, change the
// terminal's state, or reorder what stands there is dropped. Colours are kept
// where the text goes to a terminal, and end with it.
func harmless(text string, colours bool) string {
	var b strings.Builder
	coloured := false
	for i := 0; i < len(text); {
		if text[i] == 0x1b {
			length, colour := escape(text[i:])
			if colour && colours {
				b.WriteString(text[i : i+length])
				coloured = true
			}
			i += length
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\t', r == '\n':
			b.WriteRune(r)
		case r < 0x20, r >= 0x7f && r < 0xa0: // C0, delete, C1
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f: // order of writing
		case r == utf8.RuneError && n == 1:
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteString(text[i : i+n])
		}
		i += n
	}
	if coloured {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// escape measures the control sequence that s begins with, ECMA-48, and says
// whether it only sets colours (SGR).
func escape(s string) (length int, colour bool) {
	if len(s) < 2 {
		return len(s), false
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			switch c := s[i]; {
			case c >= 0x40 && c <= 0x7e:
				return i + 1, c == 'm' && strings.Trim(s[2:i], "0123456789;:") == ""
			case c < 0x20 || c > 0x3f:
				return i, false
			}
		}
		return len(s), false
	case ']', 'P', 'X', '^', '_': // strings, up to BEL or ST
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1, false
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2, false
			}
		}
		return len(s), false
	}
	if s[1] < 0x80 {
		return 2, false
	}
	return 1, false
}
