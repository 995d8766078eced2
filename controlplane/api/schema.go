package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// newRegistry makes the schemas of the document. The domain's types know
// nothing of schemas: what Go's types don't say, such as the values of an
// enumeration, is said here.
func newRegistry() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	alias[controlplane.Status, statusSchema](r)
	alias[controlplane.Kind, kindSchema](r)
	alias[controlplane.Scope, scopeSchema](r)
	alias[controlplane.Role, roleSchema](r)
	alias[controlplane.DomainState, domainStateSchema](r)
	alias[controlplane.RecordState, recordStateSchema](r)
	alias[controlplane.CertificateState, certificateStateSchema](r)
	alias[site.Environment, environmentSchema](r)
	alias[site.Phase, phaseSchema](r)
	alias[site.Stream, streamSchema](r)
	alias[site.ProjectState, projectStateSchema](r)
	alias[site.AccessScope, accessScopeSchema](r)
	alias[site.HTMLHandling, htmlHandlingSchema](r)
	alias[site.NotFound, notFoundSchema](r)
	alias[site.Hash, hashSchema](r)
	return r
}

// enumerate names the values of fields that are plain texts in Go.
func enumerate(r huma.Registry, schema, property string, values ...any) {
	if s := r.Map()[schema]; s != nil && s.Properties[property] != nil {
		s.Properties[property].Enum = values
	}
}

func alias[T, S any](r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[T](), reflect.TypeFor[S]())
}

// schemaName tells types apart that have one name in two packages.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[site.LogLine]():
		return "BuilderLogLine"
	case reflect.TypeFor[site.EnvVar]():
		return "BuilderEnvVar"
	case reflect.TypeFor[site.URL]():
		return "SignedURL"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

type (
	statusSchema           string
	kindSchema             string
	scopeSchema            string
	roleSchema             string
	domainStateSchema      string
	recordStateSchema      string
	certificateStateSchema string
	environmentSchema      string
	phaseSchema            string
	streamSchema           string
	projectStateSchema     string
	accessScopeSchema      string
	htmlHandlingSchema     string
	notFoundSchema         string
	hashSchema             string
)

func (statusSchema) Schema(huma.Registry) *huma.Schema {
	return enum(controlplane.StatusNotStarted, controlplane.StatusQueued, controlplane.StatusInProgress,
		controlplane.StatusReady, controlplane.StatusFail, controlplane.StatusCanceled)
}

func (kindSchema) Schema(huma.Registry) *huma.Schema {
	return enum(controlplane.KindGit, controlplane.KindArchive, controlplane.KindFiles)
}

func (scopeSchema) Schema(huma.Registry) *huma.Schema {
	return enum(controlplane.ScopeRead.String(), controlplane.ScopeDeploy.String(), controlplane.ScopeAdmin.String())
}

func (roleSchema) Schema(huma.Registry) *huma.Schema {
	return enum(controlplane.RoleProduction, controlplane.RoleDomain, controlplane.RoleBranch, controlplane.RoleDeployment)
}

func (domainStateSchema) Schema(huma.Registry) *huma.Schema {
	return enum(controlplane.DomainStates...)
}

func (recordStateSchema) Schema(huma.Registry) *huma.Schema {
	return enum(controlplane.RecordStates...)
}

func (certificateStateSchema) Schema(huma.Registry) *huma.Schema {
	return enum(controlplane.CertificateStates...)
}

func (environmentSchema) Schema(huma.Registry) *huma.Schema {
	return enum(site.Production, site.Preview)
}

func (phaseSchema) Schema(huma.Registry) *huma.Schema {
	return enum(site.PhaseClone, site.PhaseDetect, site.PhaseInstall, site.PhaseBuild, site.PhaseProcess,
		site.PhaseUpload, site.PhasePublish)
}

func (streamSchema) Schema(huma.Registry) *huma.Schema {
	return enum(site.Stdout, site.Stderr, site.System)
}

func (projectStateSchema) Schema(huma.Registry) *huma.Schema {
	return enum(site.ProjectActive, site.ProjectSuspended, site.ProjectDeleted)
}

func (accessScopeSchema) Schema(huma.Registry) *huma.Schema {
	return enum(site.AccessPreviews, site.AccessAll)
}

func (htmlHandlingSchema) Schema(huma.Registry) *huma.Schema { return enum(site.HTMLHandlings...) }

func (notFoundSchema) Schema(huma.Registry) *huma.Schema { return enum(site.NotFounds...) }

func (hashSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: "^[0-9a-f]{64}$", PatternDescription: "the 64 lower-case hexadecimal digits of a sha256",
	}
}

// Optional texts of an enumeration: in a request, an empty one is the same as
// none.
type (
	optionalEnvironment  string
	optionalHTMLHandling string
	optionalNotFound     string
)

func (optionalEnvironment) Schema(huma.Registry) *huma.Schema {
	return enum("", site.Production, site.Preview)
}

func (optionalHTMLHandling) Schema(huma.Registry) *huma.Schema {
	return enum(append([]site.HTMLHandling{""}, site.HTMLHandlings...)...)
}

func (optionalNotFound) Schema(huma.Registry) *huma.Schema {
	return enum(append([]site.NotFound{""}, site.NotFounds...)...)
}

// enum is the schema of a string with known values.
func enum[T ~string](values ...T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}
