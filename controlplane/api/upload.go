package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// CreatedDeployment is a deployment that waits for its files.
type CreatedDeployment struct {
	Deployment *controlplane.Deployment `json:"deployment"`
	Upload     *site.URL                `json:"upload,omitempty" doc:"Where an archive is sent to."`
}

type uploadInput struct {
	Body struct {
		ProjectID     string              `json:"projectId" minLength:"1" maxLength:"100"`
		Kind          controlplane.Kind   `json:"kind" enum:"files,archive" doc:"files: the client sends what is served. archive: it sends sources, which a builder builds."`
		Message       string              `json:"message,omitempty" maxLength:"2000"`
		Environment   optionalEnvironment `json:"environment,omitempty" doc:"Left out: production for the project's first deployment, else preview."`
		ArchiveSize   int64               `json:"archiveSize,omitempty" minimum:"0" doc:"Bytes of the .tar.gz or .zip."`
		ArchiveSHA256 string              `json:"archiveSHA256,omitempty" pattern:"^[0-9a-f]{64}$" patternDescription:"the 64 lower-case hexadecimal digits of a sha256"`
		Source        *site.Source        `json:"source,omitempty" doc:"What the client knows of the files' origin."`
	}
}

// ManifestTaken is the answer to a manifest, in the shape of
// [site.ManifestResponse].
type ManifestTaken struct {
	Warnings []controlplane.Warning `json:"warnings" doc:"Lines of _redirects and _headers that were left out."`
}

const (
	maxManifest  = 64 << 20
	manifestTime = 5 * time.Minute
)

func (a *API) registerUploads() {
	register(a, endpoint{
		id: "knownBlobs", method: http.MethodPost, path: "/projects/{id}/blobs/known", tag: "Uploads",
		summary: "Which of these files does the project know already?",
		about:   "Up to 10,000 sha256, answered from the kept manifests with type and compressed variants, so that nothing is compressed twice.",
		scope:   controlplane.ScopeDeploy, attempt: true, rate: rateGeneral,
		raw: &rawBody{"application/json", reflect.TypeFor[site.KnownRequest]()},
	}, a.knownBlobs)
	register(a, endpoint{
		id: "createDeployment", method: http.MethodPost, path: "/deployments", tag: "Uploads", summary: "Begin a deployment of files or sources",
		scope: controlplane.ScopeDeploy, rate: rateDeploy, status: http.StatusCreated,
	}, a.createDeployment)
	register(a, endpoint{
		id: "putManifest", method: http.MethodPut, path: "/deployments/{id}/manifest", tag: "Uploads", summary: "Hand in the manifest, in its own encoding",
		about: "Its rules are compiled from their sources. With strictRules a wrong line fails the deployment.",
		scope: controlplane.ScopeDeploy, attempt: true, rate: rateGeneral,
		maxBody: maxManifest, raw: &rawBody{"application/octet-stream", nil},
	}, a.putManifest)
	register(a, endpoint{
		id: "nextUploads", method: http.MethodPost, path: "/deployments/{id}/uploads", tag: "Uploads",
		summary: "The next up to 1,000 blobs that are missing, each with the URL that takes it",
		scope:   controlplane.ScopeDeploy, attempt: true, rate: rateGeneral,
	}, func(ctx context.Context, in *idInput) (*bodyOutput[*site.UploadsResponse], error) {
		c := callerOf(ctx)
		if err := c.owns(in.ID); err != nil {
			return nil, err
		}
		out, err := a.Service.Uploads(ctx, c.Actor, in.ID)
		if err == nil {
			out.Uploads = listed(out.Uploads)
		}
		return answer(out, err)
	})
	register(a, endpoint{
		id: "publishDeployment", method: http.MethodPost, path: "/deployments/{id}/publish", tag: "Uploads",
		summary: "Publish a deployment whose blobs are all there", about: "Calling it again changes nothing. Of an archive, it queues the build.",
		scope: controlplane.ScopeDeploy, attempt: true, rate: rateGeneral,
	}, func(ctx context.Context, in *idInput) (*deploymentOutput, error) {
		c := callerOf(ctx)
		if err := c.owns(in.ID); err != nil {
			return nil, err
		}
		return answer(a.Service.Publish(ctx, c.Actor, in.ID))
	})
}

// owns keeps a builder to its own deployment. The service checks it, too: this
// is the token's promise, kept in two places.
func (c *caller) owns(deployment string) error {
	if c.Attempt != nil && c.Attempt.Deployment != deployment {
		return controlplane.Errorf(controlplane.CodeNotFound, "There is no such deployment.")
	}
	return nil
}

func (a *API) knownBlobs(ctx context.Context, in *idInput) (*bodyOutput[site.KnownResponse], error) {
	c := callerOf(ctx)
	if c.Attempt != nil && (c.Attempt.Project == "" || c.Attempt.Project != in.ID) {
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "There is no such project.")
	}
	if err := c.checkJSON(); err != nil {
		return nil, err
	}
	body, err := c.body(defaultBodyTime)
	if err != nil {
		return nil, err
	}
	var asked site.KnownRequest
	if err := json.Unmarshal(body, &asked); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, problem(http.StatusBadRequest, "The body is not valid JSON.")
		}
		return nil, controlplane.Invalid("hashes", "Send a list of sha256 in lower-case hexadecimal digits.")
	}
	if len(asked.Hashes) > site.MaxKnownHashes {
		return nil, controlplane.Invalid("hashes", "Ask for at most %d at once.", site.MaxKnownHashes)
	}
	known, err := a.Service.KnownBlobs(ctx, c.Actor, in.ID, asked.Hashes)
	return answer(site.KnownResponse{Blobs: listed(known)}, err)
}

func (a *API) createDeployment(ctx context.Context, in *uploadInput) (*bodyOutput[CreatedDeployment], error) {
	b := in.Body
	upload := controlplane.UploadInput{
		ProjectID: b.ProjectID, Message: b.Message, Environment: site.Environment(b.Environment), Kind: b.Kind, ArchiveSize: b.ArchiveSize,
	}
	if b.ArchiveSHA256 != "" {
		hash, err := site.ParseHash(b.ArchiveSHA256)
		if err != nil {
			return nil, controlplane.Invalid("archiveSHA256", "Use the 64 lower-case hexadecimal digits of a sha256.")
		}
		upload.ArchiveSHA256 = hash
	}
	if b.Source != nil {
		upload.Source = *b.Source
	}
	d, url, err := a.Service.CreateDeployment(ctx, principal(ctx), upload)
	return answer(CreatedDeployment{Deployment: d, Upload: url}, err)
}

func (a *API) putManifest(ctx context.Context, in *idInput) (*bodyOutput[ManifestTaken], error) {
	c := callerOf(ctx)
	if err := c.owns(in.ID); err != nil {
		return nil, err
	}
	body, err := c.body(manifestTime)
	if err != nil {
		return nil, err
	}
	warnings, err := a.Service.PutManifest(ctx, c.Actor, in.ID, body)
	return answer(ManifestTaken{listed(warnings)}, err)
}
