package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Settings are what the environment variables say. One field is one variable,
// the same for every command; its tags are the reference: the name, the
// default, and what it does. Flags of a command win over variables.
type Settings struct {
	DataDir       string `env:"DATA_DIR" default:"./data" help:"Where the embedded parts keep everything: database, logs, bucket, keys."`
	Listen        string `env:"LISTEN" address:"true" default:"127.0.0.1" help:"Address that the control plane and the edge listen on."`
	Port          int    `env:"PORT" default:"9000" help:"Port of the control plane: API and dashboard. 0 takes a free one."`
	EdgePort      int    `env:"EDGE_PORT" default:"8001" help:"Port of the edge. 0 takes a free one."`
	BaseDomain    string `env:"BASE_DOMAIN" address:"true" default:"localhost" help:"Domain below which every project gets its host. For tenants alone: use a domain of its own."`
	PublicURL     string `env:"PUBLIC_URL" address:"true" help:"Address of the dashboard and the API as browsers see it. Default: http://localhost:PORT."`
	SitePort      int    `env:"SITE_PORT" help:"Port in the addresses of sites, where it is not the edge's (behind a proxy)."`
	SiteScheme    string `env:"SITE_SCHEME" help:"Scheme in the addresses of sites: http or https. Default: https where EDGE_TLS=acme, else http."`
	MetricsAddr   string `env:"METRICS_ADDR" address:"true" default:"127.0.0.1:9464" help:"Address of the Prometheus metrics; off turns them off."`
	LogFormat     string `env:"LOG_FORMAT" default:"text" help:"Form of the log: text or json."`
	LogLevel      string `env:"LOG_LEVEL" default:"info" help:"Least level that is logged: debug, info, warn or error."`
	MasterKey     string `env:"MASTER_KEY" secret:"true" help:"32 bytes in base64 that encrypt secrets at rest. Default: made on first start and kept in DATA_DIR/master.key."`
	Signup        string `env:"SIGNUP" default:"invite" help:"Who may make an account after the first: invite or open."`
	TrustedProxy  string `env:"TRUSTED_PROXIES" address:"true" help:"Networks, with commas, whose X-Forwarded-For and X-Forwarded-Proto are believed."`
	AllowLocalGit bool   `env:"ALLOW_LOCAL_GIT" help:"Allow git repositories by file: and on loopback. up sets it."`

	R2BucketName      string `env:"R2_BUCKET_NAME" help:"Bucket at R2 or any other S3 service, instead of the directory DATA_DIR/bucket."`
	R2AccountID       string `env:"R2_ACCOUNT_ID" help:"Cloudflare account that has the bucket."`
	R2Endpoint        string `env:"R2_ENDPOINT" address:"true" help:"Address of another S3 service, such as https://s3.example.com. Without it and R2_ACCOUNT_ID: AWS, in AWS_REGION."`
	R2AccessKeyID     string `env:"R2_ACCESS_KEY_ID" secret:"true" help:"Id of the bucket's access key; an edge's may be read-only. Default: what the AWS SDK finds."`
	R2SecretAccessKey string `env:"R2_SECRET_ACCESS_KEY" secret:"true" help:"Secret of that key."`
	R2Uploads         string `env:"R2_UPLOADS" default:"direct" help:"How files are uploaded: direct, to the bucket itself where it checks what it gets, or relayed, through the control plane, for a bucket that only servers reach."`

	DNSResolver          string `env:"DNS_RESOLVER" address:"true" help:"DNS resolver, as address:port, that is asked about custom domains. Default: the system's."`
	EdgeCNAME            string `env:"EDGE_CNAME" address:"true" help:"Name of the edges that custom domains are aliases (CNAME) of. Default: the project's host below BASE_DOMAIN."`
	EdgeAddresses        string `env:"EDGE_ADDRESSES" address:"true" help:"IP addresses of the edges, with commas, for custom domains without www. Default: those are made aliases too."`
	MaxDomains           int    `env:"MAX_DOMAINS" default:"50" help:"Custom domains of one project."`
	CertsBucketName      string `env:"CERTS_BUCKET_NAME" help:"Bucket of its own in which all edges keep certificates together, at the service of R2_ACCOUNT_ID or R2_ENDPOINT. Default: each edge keeps its own in DATA_DIR."`
	CertsAccessKeyID     string `env:"CERTS_ACCESS_KEY_ID" secret:"true" help:"Id of the key that reads and writes it. Default: R2_ACCESS_KEY_ID."`
	CertsSecretAccessKey string `env:"CERTS_SECRET_ACCESS_KEY" secret:"true" help:"Secret of that key."`
	CertsDir             string `env:"CERTS_DIR" help:"Directory instead of that bucket, for edges that share a disk."`
	EdgeSecret           string `env:"EDGE_SECRET" secret:"true" help:"32 random bytes in base64 or hex, the same for all edges, that encrypt what they keep together."`
	EdgeSecretPrevious   string `env:"EDGE_SECRET_PREVIOUS" secret:"true" help:"The other secret while a fleet changes from one to another."`

	BuildSandbox    string `env:"BUILD_SANDBOX" default:"auto" help:"How builds are isolated: auto takes the best there is, strict starts only where they have namespaces and a network of their own, none does without."`
	BuildCount      int    `env:"BUILD_COUNT" help:"Builds at once. Default: the number of cores; with ECS_CLUSTER_NAME: ECS_COUNT."`
	BuildPerProject int    `env:"BUILD_COUNT_PER_PROJECT" default:"1" help:"Builds at once for one project."`

	DrainNotice time.Duration `env:"DRAIN_NOTICE" default:"5s" help:"How long a control plane that is told to stop still answers, while GET /ready is 503: longer than load balancers take to see that. up takes none."`
	DrainTime   time.Duration `env:"DRAIN_TIME" default:"15s" help:"How long builds on its machine may then go on, before they go back into the queue. up gives none."`

	BuildMemory    int           `env:"BUILD_MEMORY_MIB" default:"4096" help:"Memory of one build, in MiB."`
	BuildProcesses int           `env:"BUILD_PROCESSES" default:"1024" help:"Processes of one build."`
	BuildWorkspace int           `env:"BUILD_WORKSPACE_MIB" default:"10240" help:"Disk space of one build, in MiB."`
	CloneTimeout   time.Duration `env:"CLONE_TIMEOUT" default:"5m" help:"Longest time for the clone."`
	InstallTimeout time.Duration `env:"INSTALL_TIMEOUT" default:"15m" help:"Longest time for the install command."`
	BuildTimeout   time.Duration `env:"BUILD_TIMEOUT" default:"30m" help:"Longest time for the build command."`
	UploadTimeout  time.Duration `env:"UPLOAD_TIMEOUT" default:"15m" help:"Longest time for the upload."`
	LogMax         int           `env:"LOG_MAX_KIB" default:"16384" help:"Longest log of one deployment, in KiB."`
	LogLineMax     int           `env:"LOG_LINE_MAX_KIB" default:"16" help:"Longest line of a log, in KiB."`
	MaxFiles       int           `env:"MAX_FILES" default:"100000" help:"Files of one deployment."`
	MaxFile        int           `env:"MAX_FILE_MIB" default:"512" help:"Size of one file, in MiB."`
	MaxDeployment  int           `env:"MAX_DEPLOYMENT_MIB" default:"5120" help:"Size of one deployment, in MiB."`
	MaxArchive     int           `env:"MAX_ARCHIVE_MIB" default:"512" help:"Size of an uploaded archive of sources, in MiB."`

	Retention        time.Duration `env:"DEPLOYMENT_RETENTION" default:"720h" help:"How long a ready deployment is kept that is neither in production nor the newest of its branch, nor among the last of its project. 0: for ever."`
	KeepDeployments  int           `env:"KEEP_DEPLOYMENTS" default:"20" help:"Ready deployments that each project keeps, whatever their age."`
	FailedRetention  time.Duration `env:"FAILED_RETENTION" default:"720h" help:"How long failed and canceled deployments and their logs are kept. 0: for ever."`
	LogRetentionDays int           `env:"LOG_RETENTION_DAYS" default:"30" help:"Days that a log is kept, counted from the one on which its deployment was created. 0: for ever."`

	RateGeneral   int `env:"RATE_GENERAL" default:"100" help:"Requests a minute for one user or address."`
	RateSignIn    int `env:"RATE_SIGN_IN" default:"10" help:"Sign-ins a minute for one address."`
	RateDeploy    int `env:"RATE_DEPLOY" default:"10" help:"Deploys a minute for one user."`
	RateLogs      int `env:"RATE_LOGS" default:"60" help:"Requests for logs a minute for one user."`
	RateSensitive int `env:"RATE_SENSITIVE" default:"5" help:"Sensitive operations a minute for one user: tokens, delete, promote, domains."`
	RateDetect    int `env:"RATE_DETECT" default:"30" help:"Looks at a repository a minute for one user."`
	RateAttempt   int `env:"RATE_ATTEMPT" default:"1200" help:"Requests a minute for the token of one build."`
	RateClaim     int `env:"RATE_CLAIM" default:"300" help:"Builds that begin a minute from one address."`
	MaxStreams    int `env:"MAX_STREAMS" default:"100" help:"Streams of logs and changes that one user has open at once."`

	EdgeTLS       string        `env:"EDGE_TLS" default:"off" help:"HTTPS of the edge: off, internal (by a CA of its own; up sets it) or acme (HTTP then redirects)."`
	EdgeHTTPSPort int           `env:"EDGE_HTTPS_PORT" default:"8443" help:"Port of the edge for HTTPS, TCP and UDP. 0 takes a free one."`
	EdgeHSTS      time.Duration `env:"EDGE_HSTS" default:"0s" help:"How long browsers are told to use nothing but HTTPS for a host. 0: they are not told."`
	ACMEEmail     string        `env:"ACME_EMAIL" help:"Address that the CA may write to."`
	ACMECA        string        `env:"ACME_CA" address:"true" help:"Directory of the CA. Default: Let's Encrypt's."`
	ACMECARoot    string        `env:"ACME_CA_ROOT" help:"File in PEM with the roots that the CA's own address is trusted by. Default: the system's."`

	EdgeURL    string `env:"EDGE_URL" address:"true" help:"Address of an edge that explain asks what it has cached, such as http://10.0.0.7. Default: up's own edge; with controlplane none."`
	EdgeMemory int    `env:"EDGE_CACHE_MEMORY_MIB" default:"256" help:"Memory of the edge's cache of file contents, in MiB."`
	EdgeDisk   int    `env:"EDGE_CACHE_DISK_MIB" default:"1024" help:"Disk space of the edge's cache of file contents, in MiB, in DATA_DIR/edge/chunks. 0: none is used."`
	EdgeRoutes int    `env:"EDGE_CACHE_ROUTES" default:"100000" help:"Hosts whose routes the edge keeps in memory."`

	EdgeAccessLog       string `env:"EDGE_ACCESS_LOG" default:"off" help:"Where the edge logs requests, as JSON: off, stdout, stderr or file."`
	EdgeAccessLogFile   string `env:"EDGE_ACCESS_LOG_FILE" help:"That file. Default: DATA_DIR/access.log."`
	EdgeMetricsProjects int    `env:"EDGE_METRICS_PROJECTS" help:"Projects that have metrics of their own, the first that are asked for; the others share the label _other. 0: requests are not counted by project."`

	PostgresSettings   `heading:"Database in PostgreSQL"`
	KafkaSettings      `heading:"Build events through Kafka"`
	ClickHouseSettings `heading:"Logs in ClickHouse"`
	SupabaseSettings   `heading:"Sign-in by Supabase Auth"`
	ECSSettings        `heading:"Builds on Amazon ECS"`
}

// former lists variables of earlier versions: to go without them unnoticed would
// do something else than the operator wants.
var former = map[string]string{
	"PREVIEW_RETENTION":    "DEPLOYMENT_RETENTION and KEEP_DEPLOYMENTS",
	"PRODUCTION_RETENTION": "DEPLOYMENT_RETENTION and KEEP_DEPLOYMENTS",
}

// Load reads the settings from an environment of NAME=value strings, and names
// the variable in every error.
func Load(environ []string) (*Settings, error) {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	s := &Settings{}
	var known []string
	for field, setting := range s.fields() {
		known = append(known, setting.Name)
		text, set := env[setting.Name]
		if !set || text == "" {
			text = setting.Default
		}
		if text == "" {
			continue
		}
		if err := assign(field, text); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", setting.Name, setting.show(text), err)
		}
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if now, ok := former[name]; ok && value != "" {
			return nil, fmt.Errorf("%s is no longer a setting: set %s", name, now)
		}
		if near := misspelt(name, known); near != "" {
			return nil, fmt.Errorf("%s is not a setting; did you mean %s?", name, near)
		}
	}
	if s.EdgePort == 0 && env["EDGE_HTTPS_PORT"] == "" {
		s.EdgeHTTPSPort = 0 // who wants any port wants no fixed one beside it
	}
	s.complete()
	return s, s.Check()
}

// complete fills in the defaults that depend on other settings or the machine.
func (s *Settings) complete() {
	if s.BuildCount == 0 {
		s.BuildCount = runtime.NumCPU()
		if s.ECSCluster != "" {
			s.BuildCount = max(s.ECSCount, 1)
		}
	}
	if s.SiteScheme == "" {
		s.SiteScheme = "http"
		if s.EdgeTLS == "acme" {
			s.SiteScheme = "https"
		}
	}
}

// limits are the bounds of one build.
func (s *Settings) limits() site.Limits {
	const kib, mib = 1 << 10, 1 << 20
	return site.Limits{
		MemoryBytes:     int64(s.BuildMemory) * mib,
		Processes:       s.BuildProcesses,
		WorkspaceBytes:  int64(s.BuildWorkspace) * mib,
		CloneTime:       s.CloneTimeout,
		InstallTime:     s.InstallTimeout,
		BuildTime:       s.BuildTimeout,
		UploadTime:      s.UploadTimeout,
		LogBytes:        int64(s.LogMax) * kib,
		LogLineBytes:    s.LogLineMax * kib,
		Files:           s.MaxFiles,
		FileBytes:       int64(s.MaxFile) * mib,
		DeploymentBytes: int64(s.MaxDeployment) * mib,
		ArchiveBytes:    int64(s.MaxArchive) * mib,
	}
}

// environ is the process's environment; a variable for tests.
func environ() []string { return os.Environ() }
