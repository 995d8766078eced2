// Package controlplane keeps projects and deployments: it decides which state
// follows which, starts builders, takes in what they report, and publishes
// routes, project records and the change log to the bucket.
package controlplane
