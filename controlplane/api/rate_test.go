package api_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

// calls makes n calls and returns the last answer.
func calls(c *client, n int, method, path string, body any) *response {
	var r *response
	for range n {
		r = c.do(method, path, body)
	}
	return r
}

func TestEachLimitAtBelowAndAbove(t *testing.T) {
	p := newPlane(t, rates(api.Rates{General: 7, SignIn: 4, Deploy: 3, Logs: 5, Sensitive: 2}))
	owner := p.owner() // one of the sign-ins of this address
	for _, row := range []struct {
		name, method, path string
		body               any
		limit              int
		status             int
	}{
		{"general", "GET", "/projects", nil, 7, 200},
		{"deploy", "POST", "/deploy", map[string]string{"projectId": "none"}, 3, 404},
		{"logs", "GET", "/deployments/none/logs", nil, 5, 404},
		{"sensitive", "DELETE", "/tokens/none", nil, 2, 404},
	} {
		t.Run(row.name, func(t *testing.T) {
			for i := range row.limit {
				r := owner.do(row.method, row.path, row.body).is(row.status)
				if got := r.Header.Get("RateLimit-Limit") + " " + r.Header.Get("RateLimit-Remaining"); got != strconv.Itoa(row.limit)+" "+strconv.Itoa(row.limit-i-1) {
					t.Errorf("call %d: limit and remaining %s", i+1, got)
				}
			}
			r := owner.do(row.method, row.path, row.body).is(http.StatusTooManyRequests)
			if r.Header.Get("Retry-After") != "60" || r.Header.Get("RateLimit-Remaining") != "0" {
				t.Errorf("%v", r.Header)
			}
			p.clock.Advance(58 * time.Second)
			if r := owner.do(row.method, row.path, row.body).is(http.StatusTooManyRequests); r.Header.Get("Retry-After") != "2" {
				t.Errorf("Retry-After %s", r.Header.Get("Retry-After"))
			}
			p.clock.Advance(2 * time.Second)
			calls(owner, row.limit, row.method, row.path, row.body).is(row.status)
			owner.do(row.method, row.path, row.body).is(http.StatusTooManyRequests)
			p.clock.Advance(2 * time.Minute)
		})
	}
}

func TestSignInsAreCountedByAddress(t *testing.T) {
	p := newPlane(t, rates(api.Rates{SignIn: 2}), proxies("127.0.0.0/8"))
	body := map[string]string{"email": "a@example.com", "password": "wrong password"}
	from := func(address string) *client { return &client{p: p, from: address} }
	calls(from("192.0.2.1"), 2, "POST", "/auth/login", body).is(http.StatusUnauthorized)
	from("192.0.2.1").do("POST", "/auth/login", body).is(http.StatusTooManyRequests)
	from("192.0.2.2").do("POST", "/auth/login", body).is(http.StatusUnauthorized)
	// What the client itself puts in front changes nothing.
	from("192.0.2.9, 192.0.2.1").do("POST", "/auth/login", body).is(http.StatusTooManyRequests)
	// One person has a /64.
	calls(from("2001:db8::1"), 2, "POST", "/auth/login", body).is(http.StatusUnauthorized)
	from("2001:db8::2").do("POST", "/auth/login", body).is(http.StatusTooManyRequests)
	from("2001:db8:0:1::1").do("POST", "/auth/login", body).is(http.StatusUnauthorized)
}

func TestForwardedAddressesCountOnlyFromTrustedProxies(t *testing.T) {
	p := newPlane(t, rates(api.Rates{SignIn: 2}))
	body := map[string]string{"email": "a@example.com", "password": "wrong password"}
	for i := range 2 {
		(&client{p: p, from: "192.0.2." + strconv.Itoa(i)}).do("POST", "/auth/login", body).is(http.StatusUnauthorized)
	}
	(&client{p: p, from: "192.0.2.99"}).do("POST", "/auth/login", body).is(http.StatusTooManyRequests)
}

func TestUsersAreCountedApart(t *testing.T) {
	p := newPlane(t, rates(api.Rates{General: 5}))
	owner := p.owner()
	second := p.second(owner)
	calls(owner, 5, "GET", "/projects", nil).is(http.StatusOK)
	owner.do("GET", "/projects", nil).is(http.StatusTooManyRequests)
	second.do("GET", "/projects", nil).is(http.StatusOK)
	// Those who are not signed in share their address's.
	calls(p.anonymous(), 5, "GET", "/projects", nil).is(http.StatusUnauthorized)
	p.anonymous().do("GET", "/projects", nil).is(http.StatusTooManyRequests)
	p.bearer("mv_wrong").do("GET", "/projects", nil).is(http.StatusTooManyRequests)
	second.do("GET", "/projects", nil).is(http.StatusOK)
}

func TestUpsOwnTokenIsExemptOnThisMachineAlone(t *testing.T) {
	p := newPlane(t, rates(api.Rates{General: 3}))
	token, err := p.accounts.LocalToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	c := p.bearer(token)
	if r := calls(c, 20, "GET", "/projects", nil).is(http.StatusOK); r.Header.Get("RateLimit-Limit") != "" {
		t.Errorf("%v", r.Header)
	}
	c.from = "192.0.2.1" // through a proxy
	calls(c, 3, "GET", "/projects", nil).is(http.StatusOK)
	c.do("GET", "/projects", nil).is(http.StatusTooManyRequests)
}

func TestBuildersHaveALimitOfTheirOwn(t *testing.T) {
	p := newPlane(t, rates(api.Rates{General: 30, Attempt: 4}))
	owner := p.owner()
	_, builder, job := owner.build(owner.project("builder").ID)
	path := "/attempts/" + job.AttemptID + "/events"
	calls(builder, 4, "POST", path, `[]`).is(http.StatusOK)
	builder.do("POST", path, `[]`).is(http.StatusTooManyRequests)
	owner.do("GET", "/projects", nil).is(http.StatusOK)
}

func TestMetricsCountByOperation(t *testing.T) {
	metrics := api.NewMetrics()
	p := newPlane(t, rates(api.Rates{General: 2}), func(p *plane) { p.options.Metrics = metrics })
	owner := p.owner()
	calls(owner, 3, "GET", "/projects/none", nil).is(http.StatusTooManyRequests)
	p.anonymous().do("GET", "/no/such/path", nil).is(http.StatusNotFound)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.Metric {
			name := family.GetName()
			for _, label := range m.Label {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"mini_vercel_api_requests_total getProject 404":       2,
		"mini_vercel_api_requests_total getProject 429":       1,
		"mini_vercel_api_requests_total none 404":             1,
		"mini_vercel_api_rate_limited_total general":          1,
		"mini_vercel_api_request_duration_seconds getProject": 3,
	} {
		if got[name] != want {
			t.Errorf("%s is %v instead of %v: %v", name, got[name], want, got)
		}
	}
}
