// Package publish takes a folder to the control plane: it walks and hashes the
// folder, asks which of its files are known, compresses the rest, hands in the
// manifest, uploads what is missing and publishes the deployment. The builder
// and the CLI share it.
//
//	client := publish.NewClient(publish.ClientOptions{URL: …, Token: …, UserAgent: …})
//	result, err := publish.Run(ctx, client, publish.Options{Dir: …, Project: …, Deployment: …})
package publish
