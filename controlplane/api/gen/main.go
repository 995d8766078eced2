// Command gen writes the API's OpenAPI document to a file.
package main

import (
	"fmt"
	"os"

	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("use gen FILE")
	}
	document, err := api.OpenAPI()
	if err != nil {
		return err
	}
	return os.WriteFile(os.Args[1], document, 0o644)
}
