package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSettingsNameTheVariableThatIsWrong(t *testing.T) {
	for name, env := range map[string][]string{
		"PORT":                          {"PORT=abc"},
		"EDGE_PORT":                     {"EDGE_PORT=65536"},
		"BUILD_COUNT":                   {"BUILD_COUNT=-1"},
		"BUILD_MEMORY_MIB":              {"BUILD_MEMORY_MIB=0"},
		"BUILD_TIMEOUT":                 {"BUILD_TIMEOUT=5"},
		"ALLOW_LOCAL_GIT":               {"ALLOW_LOCAL_GIT=maybe"},
		"LOG_FORMAT":                    {"LOG_FORMAT=xml"},
		"SIGNUP":                        {"SIGNUP=closed"},
		"BASE_DOMAIN":                   {"BASE_DOMAIN=https://example.com"},
		"LISTEN":                        {"LISTEN=example.com"},
		"METRICS_ADDR":                  {"METRICS_ADDR=9464"},
		"TRUSTED_PROXIES":               {"TRUSTED_PROXIES=10.0.0.0/33"},
		"PUBLIC_URL":                    {"PUBLIC_URL=deploy.example.com"},
		"MAX_FILE_MIB":                  {"MAX_FILE_MIB=4096"},
		"LOG_RETENTION_DAYS":            {"LOG_RETENTION_DAYS=36501"},
		"DATABASE_URL":                  {"DATABASE_URL=postgres://localhost/x?sslmode=perhaps"},
		"DATABASE_CONNECTIONS":          {"DATABASE_CONNECTIONS=5"},
		"DATABASE_STATEMENT_TIMEOUT":    {"DATABASE_STATEMENT_TIMEOUT=999ms"},
		"BUILD_SANDBOX":                 {"BUILD_SANDBOX=yes"},
		"PORT and EDGE_PORT":            {"PORT=8001"},
		"EDGE_TLS":                      {"EDGE_TLS=on"},
		"EDGE_HTTPS_PORT":               {"EDGE_HTTPS_PORT=65536"},
		"EDGE_HSTS":                     {"EDGE_HSTS=999ms"},
		"ACME_CA":                       {"ACME_CA=http://ca.example.com/dir"},
		"SITE_SCHEME":                   {"SITE_SCHEME=ftp"},
		"EDGE_PORT and EDGE_HTTPS_PORT": {"EDGE_TLS=internal", "EDGE_PORT=8443"},
		"PORT and EDGE_HTTPS_PORT":      {"EDGE_TLS=internal", "PORT=8443"},
		"BASE_DOMAIN=localhost":         {"EDGE_TLS=acme"},
		"DNS_RESOLVER":                  {"DNS_RESOLVER=dns.example.com"},
		"EDGE_CNAME":                    {"EDGE_CNAME=Edge.example.com"},
		"EDGE_ADDRESSES":                {"EDGE_ADDRESSES=192.0.2.1, example.com"},
		"EDGE_ACCESS_LOG":               {"EDGE_ACCESS_LOG=yes"},
		"MAX_DOMAINS":                   {"MAX_DOMAINS=0"},
		"CLICKHOUSE_PORT":               {"CLICKHOUSE_HOST=ch", "CLICKHOUSE_PORT=65536"},
		"CLICKHOUSE_PASSWORD is":        {"CLICKHOUSE_PASSWORD=x"},
		"CLICKHOUSE_SSL is":             {"CLICKHOUSE_SSL=true"},
		"CLICKHOUSE_SSL_CA is":          {"CLICKHOUSE_HOST=ch", "CLICKHOUSE_SSL_CA=ca.pem"},
		"CLICKHOUSE_DATABASE":           {"CLICKHOUSE_HOST=ch", "CLICKHOUSE_DATABASE=a-b"},
		"CLICKHOUSE_HOST":               {"CLICKHOUSE_HOST=ch:9000"},
		"R2_UPLOADS":                    {"R2_UPLOADS=no"},
		"EDGE_URL":                      {"EDGE_URL=10.0.0.7:8001"},
		"KAFKA_BROKERS":                 {"KAFKA_BROKERS=k1:9092,k2"},
		"KAFKA_SSL is":                  {"KAFKA_SSL=1"},
		"KAFKA_PASSWORD is":             {"KAFKA_PASSWORD=x"},
		"KAFKA_USERNAME and":            {"KAFKA_BROKERS=k:9092", "KAFKA_USERNAME=x"},
		"KAFKA_SASL_MECHANISM":          {"KAFKA_BROKERS=k:9092", "KAFKA_SASL_MECHANISM=gssapi"},
		"KAFKA_SSL_CA is":               {"KAFKA_BROKERS=k:9092", "KAFKA_SSL_CA=ca.pem"},
		"KAFKA_TOPIC":                   {"KAFKA_BROKERS=k:9092", "KAFKA_TOPIC=a/b"},
		"KAFKA_PARTITIONS":              {"KAFKA_BROKERS=k:9092", "KAFKA_PARTITIONS=0"},
		"LOG_LINE_MAX_KIB":              {"KAFKA_BROKERS=k:9092", "LOG_LINE_MAX_KIB=129"},
		"SUPABASE_ANON_KEY is":          {"SUPABASE_URL=https://abc.supabase.co"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(env)
			if err == nil {
				t.Fatalf("%v was taken", env)
			}
			if !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("the error does not name %s in one line: %v", name, err)
			}
		})
	}
}

func TestSettingsDefaultsAndLimits(t *testing.T) {
	s, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Port != 9000 || s.EdgePort != 8001 || s.BaseDomain != "localhost" || s.BuildCount < 1 || s.BuildTimeout != 30*time.Minute {
		t.Fatalf("defaults: %+v", s)
	}
	for _, env := range []string{
		"EDGE_PORT=65535", "MAX_FILE_MIB=4095", "BUILD_COUNT=1", "TRUSTED_PROXIES=10.0.0.0/8, 127.0.0.1", "PORT=0", "MAX_DOMAINS=1", "EDGE_ADDRESSES=192.0.2.1, 2001:db8::1", "DNS_RESOLVER=[::1]:53", "EDGE_HSTS=1s", "EDGE_HTTPS_PORT=65535", "EDGE_HTTPS_PORT=8001",
		"LOG_RETENTION_DAYS=36500", "LOG_RETENTION_DAYS=0",
		"CLICKHOUSE_HOST=::1", "CLICKHOUSE_HOST=10.0.0.3",
		"DATABASE_CONNECTIONS=6", "DATABASE_CONNECTIONS=1000", "DATABASE_STATEMENT_TIMEOUT=1s", "DATABASE_URL=host=/run/postgresql dbname=x",
		"KAFKA_BROKERS=a:1, [::1]:2", "KAFKA_TOPIC=" + strings.Repeat("x", 240), "KAFKA_PARTITIONS=1", "LOG_LINE_MAX_KIB=129",
	} {
		if _, err := Load([]string{env}); err != nil {
			t.Errorf("%s: %v", env, err)
		}
	}
	if l := s.limits(); l.MemoryBytes != 4096<<20 || l.LogLineBytes != 16<<10 || l.Files != 100_000 || l.DeploymentBytes != 5<<30 {
		t.Errorf("limits: %+v", l)
	}
}

func TestAMisspeltSettingStopsTheStart(t *testing.T) {
	_, err := Load([]string{"BASEDOMAIN=example.com"})
	if err == nil || !strings.Contains(err.Error(), "BASE_DOMAIN") {
		t.Fatalf("got %v", err)
	}
	if _, err := Load([]string{"SOMETHING_ELSE=1", "BUILD_NUMBER=7"}); err != nil {
		t.Fatalf("variables of others are none of our business: %v", err)
	}
}

func TestTheDashboardIsNeverBelowTheTenantsDomain(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://example.com":         false,
		"https://deploy.example.com":  false,
		"https://deploy.example.org":  true,
		"https://notexample.com":      true,
		"https://example.com.evil.io": true,
	} {
		_, err := Load([]string{"BASE_DOMAIN=example.com", "PUBLIC_URL=" + url})
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	s, err := Load([]string{"MASTER_KEY=c2VjcmV0", "DATABASE_URL=postgres://u:c2VjcmV0@localhost/x"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := writeConfig(&out, s, false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "c2VjcmV0") || !strings.Contains(out.String(), "MASTER_KEY") {
		t.Fatal(out.String())
	}
}

// TestNoErrorShowsAPassword gives every address a user and a password.
func TestNoErrorShowsAPassword(t *testing.T) {
	addresses := 0
	for _, setting := range (&Settings{}).fields() {
		for _, value := range []string{"https://someone:hush@host.example.com", "someone:hush@host:9092", "postgres://someone:hush@host:x/y", "https://someone:hu%sh@host"} {
			_, err := Load([]string{setting.Name + "=" + value})
			if err != nil && (setting.Address || setting.Secret) && strings.Contains(err.Error(), "hu") && strings.Contains(err.Error(), "someone") {
				t.Errorf("%v", err)
			}
			if setting.Address && (err == nil || !strings.HasPrefix(err.Error(), setting.Name+" has an @")) {
				t.Errorf("%s=%s: %v", setting.Name, value, err)
			}
		}
		if setting.Address {
			addresses++
		} else if name := setting.Name; !setting.Secret && (strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_HOST") || strings.HasSuffix(name, "_ENDPOINT") || strings.HasSuffix(name, "_BROKERS")) {
			t.Errorf("%s is an address, and its tag does not say so", name)
		}
	}
	if addresses < 8 {
		t.Errorf("%d addresses", addresses)
	}
	if _, err := Load([]string{"KAFKA_BROKERS=k1:9092,hush"}); err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "number 2") {
		t.Errorf("got %v", err)
	}
}

func TestTheREADMEListsEverySetting(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := writeSettingsTable(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table.String()) {
		t.Fatal("the settings table of README.md is not current: put the output of `bin/mini-vercel config --table` there")
	}
}

// TestAddressesOfSites are right for every way of serving them.
func TestAddressesOfSites(t *testing.T) {
	for name, tt := range map[string]struct {
		env  []string
		want string
	}{
		"HTTP":                     {nil, "http://x.localhost:8001"},
		"by its own CA":            {[]string{"EDGE_TLS=internal"}, "http://x.localhost:8001"},
		"by its own CA, on HTTPS":  {[]string{"EDGE_TLS=internal", "SITE_SCHEME=https"}, "https://x.localhost:8443"},
		"ACME":                     {[]string{"EDGE_TLS=acme", "BASE_DOMAIN=sites.test"}, "https://x.sites.test:8443"},
		"ACME on 443":              {[]string{"EDGE_TLS=acme", "BASE_DOMAIN=sites.test", "EDGE_PORT=80", "EDGE_HTTPS_PORT=443"}, "https://x.sites.test"},
		"ACME behind mapped ports": {[]string{"EDGE_TLS=acme", "BASE_DOMAIN=sites.test", "SITE_PORT=443"}, "https://x.sites.test"},
		"a proxy that ends TLS":    {[]string{"SITE_SCHEME=https", "SITE_PORT=443", "BASE_DOMAIN=sites.test"}, "https://x.sites.test"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Load(tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if got := siteURL(s, "x", s.sitePort(s.EdgePort, s.EdgeHTTPSPort)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHTTPSOfTheEdge(t *testing.T) {
	load := func(env ...string) *Settings {
		t.Helper()
		s, err := Load(env)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if h, err := load().https(); err != nil || h.Listen != "" {
		t.Errorf("off by default: %+v %v", h, err)
	}
	// Who takes any port for HTTP gets any for HTTPS too.
	h, err := load("EDGE_TLS=acme", "BASE_DOMAIN=sites.test", "EDGE_PORT=0", "ACME_EMAIL=ops@example.com", "EDGE_HSTS=1h").https()
	if err != nil || h.ACME == nil || h.ACME.Email != "ops@example.com" || h.HSTS != time.Hour || strings.HasSuffix(h.Listen, ":8443") || strings.HasSuffix(h.Listen, ":0") {
		t.Fatalf("%+v %v", h, err)
	}
	if _, port, _ := net.SplitHostPort(h.Listen); strconv.Itoa(h.RedirectPort) != port {
		t.Errorf("redirects to %d, listens at %s", h.RedirectPort, h.Listen)
	}
	if h, err = load("EDGE_TLS=acme", "BASE_DOMAIN=sites.test", "EDGE_PORT=0", "SITE_PORT=443").https(); err != nil || h.RedirectPort != 443 {
		t.Errorf("behind mapped ports: %+v %v", h, err)
	}

	taken, err := net.ListenPacket("udp", "127.0.0.1:0") // HTTP/3's
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	env := fmt.Sprintf("EDGE_HTTPS_PORT=%d", taken.LocalAddr().(*net.UDPAddr).Port)
	if h, err := load("EDGE_TLS=internal", env).https(); err != nil || h.Listen != "" {
		t.Errorf("the port is taken, and nobody asked for it: %+v %v", h, err)
	}
	if _, err := load("EDGE_TLS=acme", "BASE_DOMAIN=sites.test", env).https(); err == nil || !strings.Contains(err.Error(), "EDGE_HTTPS_PORT") {
		t.Errorf("the port is taken: %v", err)
	}
	t.Setenv("EDGE_HTTPS_PORT", strings.TrimPrefix(env, "EDGE_HTTPS_PORT="))
	if _, err := load("EDGE_TLS=internal", env).https(); err == nil || !strings.Contains(err.Error(), "EDGE_HTTPS_PORT") {
		t.Errorf("the port is taken, and was asked for: %v", err)
	}
}
