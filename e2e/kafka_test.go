//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
)

// startOnKafka is a platform whose events go through a cluster, by TLS with a
// password.
func startOnKafka(t *testing.T, c *kafkatest.Cluster) *platform {
	return start(t, "KAFKA_BROKERS="+strings.Join(c.SASLTLS(), ","), "KAFKA_SSL=1", "KAFKA_SSL_CA="+c.CAFile,
		"KAFKA_USERNAME="+kafkatest.Username, "KAFKA_PASSWORD="+kafkatest.Password, "KAFKA_SASL_MECHANISM=scram-sha-256")
}

// ticks are files of a site whose build prints numbered lines at even times, each
// with the time at which it was printed, and what it finds in its environment.
func ticks(lines int, every time.Duration) map[string]string {
	files := script("node build.js")
	files["build.js"] = fmt.Sprintf(`
const fs = require('fs')
for (const [name, value] of Object.entries(process.env)) console.log('env', name, value)
let n = 0
const tick = () => {
  if (n === %d) {
    fs.mkdirSync('dist')
    fs.writeFileSync('dist/index.html', 'built')
    return
  }
  console.log('tick', n++, Date.now())
  setTimeout(tick, %d)
}
tick()
`, lines, every.Milliseconds())
	return files
}

// followTicks follows a log to its end and returns the numbers of its ticks, and
// how long after it was printed each came.
func (p *platform) followTicks(id string) (numbers []int, delays []time.Duration) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.api+"/deployments/"+id+"/logs/stream", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.token())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	name := ""
	for in := bufio.NewScanner(response.Body); in.Scan(); {
		field, value, _ := strings.Cut(in.Text(), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data" && name == "end":
			return numbers, delays
		case field == "data" && name == "line":
			var line struct{ Text string }
			if err := json.Unmarshal([]byte(value), &line); err != nil {
				p.t.Fatal(err)
			}
			if words := strings.Fields(line.Text); len(words) == 3 && words[0] == "tick" {
				n, _ := strconv.Atoi(words[1])
				printed, _ := strconv.ParseInt(words[2], 10, 64)
				numbers = append(numbers, n)
				delays = append(delays, time.Since(time.UnixMilli(printed)))
			}
		}
	}
	p.t.Fatalf("the stream broke off after %d lines", len(numbers))
	return nil, nil
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestABuildsLogGoesThroughKafka(t *testing.T) {
	p := startOnKafka(t, kafkatest.Shared(t))
	_, url := repository(t, ticks(400, 15*time.Millisecond))
	id := p.begin(url, "ticking")
	p.eventually("the build runs", func() bool { return p.deployment(id).Phase == "build" })
	numbers, delays := p.followTicks(id)
	if !slices.Equal(numbers, upTo(400)) {
		t.Errorf("%d lines came: %v", len(numbers), numbers)
	}
	slices.Sort(delays)
	t.Logf("from being printed until it is on a live tail: median %s, p99 %s", delays[len(delays)/2], delays[len(delays)*99/100])
	p.eventually("it is ready", func() bool { return p.deployment(id).Status == "READY" })
	p.serves("ticking.localhost", "/", "built")
	stdout, _, code := p.run("logs", id)
	if code != 0 || strings.Count(stdout, "\ntick ") != 400 {
		t.Errorf("logs: %d lines, code %d", strings.Count(stdout, "\ntick "), code)
	}
	if strings.Contains(stdout, "KAFKA") || strings.Contains(stdout, kafkatest.Password) {
		t.Error("a build knows of Kafka")
	}
}

func TestABrokerIsKilledDuringABuild(t *testing.T) {
	c := kafkatest.Start(t, 1)
	p := startOnKafka(t, c)
	_, url := repository(t, ticks(600, 20*time.Millisecond))
	id := p.begin(url, "broken")
	p.eventually("the build runs", func() bool { return p.deployment(id).Phase == "build" })
	followed := make(chan []int, 1)
	go func() {
		numbers, _ := p.followTicks(id)
		followed <- numbers
	}()
	c.Brokers[0].Kill()
	p.eventually("/ready says so", func() bool {
		response, err := http.Get(p.api + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable
	})
	if d := p.deployment(id); d.Status != "IN_PROGRESS" {
		t.Errorf("the build is %s", d.Status)
	}
	if err := c.Brokers[0].Start(); err != nil {
		t.Fatal(err)
	}
	if numbers := <-followed; !slices.Equal(numbers, upTo(600)) {
		t.Errorf("%d lines came: %v", len(numbers), numbers)
	}
	p.eventually("it is ready", func() bool { return p.deployment(id).Status == "READY" })
	stdout, _, code := p.run("logs", id)
	if code != 0 || strings.Count(stdout, "\ntick ") != 600 {
		t.Errorf("logs: %d lines, code %d", strings.Count(stdout, "\ntick "), code)
	}
}

// TestABrokerThatStartsLater has a control plane start during an outage of Kafka:
// builds begin, and their logs come with the broker.
func TestABrokerThatStartsLater(t *testing.T) {
	c := kafkatest.Start(t, 1)
	c.Brokers[0].Stop()
	p := startOnKafka(t, c)
	if text := p.out.String(); !strings.Contains(text, "KAFKA_BROKERS: no broker can be reached") {
		t.Errorf("the start does not name the setting: %s", text)
	}
	_, url := repository(t, ticks(400, 20*time.Millisecond))
	id := p.begin(url, "early")
	p.eventually("the build runs", func() bool { return p.deployment(id).Phase == "build" })
	if err := c.Brokers[0].Start(); err != nil {
		t.Fatal(err)
	}
	p.eventually("it is ready", func() bool { return p.deployment(id).Status == "READY" })
	p.serves("early.localhost", "/", "built")
	var stdout string
	p.eventually("its log is whole", func() bool {
		stdout, _, _ = p.run("logs", id)
		return strings.Count(stdout, "\ntick ") >= 400
	})
	if n := strings.Count(stdout, "\ntick "); n != 400 {
		t.Errorf("%d lines", n)
	}
}
