package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// trusting is TLS that trusts the roots in a file in PEM, which a variable
// names; without a file, the system's.
func trusting(variable, file string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "" {
		return config, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s=%s: there is no certificate in PEM in it", variable, file)
	}
	return config, nil
}
