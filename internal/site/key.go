package site

import (
	"fmt"
	"strings"
)

// HeadKey is the bucket key of the change log's head.
const HeadKey = "changes/head"

// RoutesPrefix is what the keys of all routes begin with.
const RoutesPrefix = "routes/"

// ProjectsPrefix is what the keys of all projects begin with.
const ProjectsPrefix = "projects/"

// RouteKey is the bucket key of a host's route. The host must be normal, as
// [NormalHost] returns it.
func RouteKey(host string) string { return RoutesPrefix + host }

// ProjectPrefix is what all keys of one project begin with: deleting the
// project is deleting this prefix.
func ProjectPrefix(project string) string { return ProjectsPrefix + project + "/" }

// ProjectKey is the bucket key of a project's record.
func ProjectKey(project string) string { return ProjectPrefix(project) + "project" }

// ManifestsPrefix is what the keys of a project's manifests begin with.
func ManifestsPrefix(project string) string { return ProjectPrefix(project) + "deployments/" }

// ManifestKey is the bucket key of one deployment's manifest.
func ManifestKey(project, deployment string) string {
	return ManifestsPrefix(project) + deployment
}

// BlobsPrefix is what the keys of a project's blobs begin with. Blobs are
// shared by the deployments of one project and never between projects.
func BlobsPrefix(project string) string { return ProjectPrefix(project) + "blobs/" }

// BlobKey is the bucket key of one blob of a project.
func BlobKey(project string, hash Hash) string { return BlobsPrefix(project) + hash.String() }

// ParseBlobKey splits a key made by [BlobKey].
func ParseBlobKey(key string) (project string, hash Hash, err error) {
	rest, ok := strings.CutPrefix(key, ProjectsPrefix)
	project, hex, found := strings.Cut(rest, "/blobs/")
	if !ok || !found || project == "" || strings.Contains(project, "/") {
		return "", Hash{}, fmt.Errorf("%q is not the key of a blob", key)
	}
	hash, err = ParseHash(hex)
	if err != nil {
		return "", Hash{}, fmt.Errorf("key %q: %w", key, err)
	}
	return project, hash, nil
}
