package mototest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Proxy stands in front of a server and takes note of every call.
type Proxy struct {
	URL     string
	Started chan Task // of each task that RunTask has made

	server *Server
	mu     sync.Mutex
	calls  []Call
	faults map[string][]Fault        // by operation, each for one call
	said   map[string]map[string]any // what DescribeTasks is to say of tasks
	gone   map[string]bool           // tasks that it is to know nothing of
	tokens map[string]tokenUse       // of RunTask
}

// Call is one call of the API.
type Call struct {
	Operation string
	Input     map[string]any
}

// Task is a task, and what its container finds: its environment.
type Task struct {
	ARN  string
	Tags map[string]string
	Env  map[string]string
}

// Fault is what happens to one call instead of its answer.
type Fault struct {
	Status int    // of an answer that does not reach the server
	Code   string // of its error
	Says   string // and its message
	Body   any    // or its whole body
	Lost   bool   // the server does it, and the answer is lost on the way
}

type tokenUse struct {
	input  map[string]any
	answer []byte
}

// NewProxy starts a proxy, which ends with the test.
func (s *Server) NewProxy(t testing.TB) *Proxy {
	p := &Proxy{
		server: s, Started: make(chan Task, 1000),
		faults: map[string][]Fault{}, said: map[string]map[string]any{}, gone: map[string]bool{}, tokens: map[string]tokenUse{},
	}
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	p.URL = front.URL
	return p
}

// Fail makes the next calls of an operation fail, one fault each.
func (p *Proxy) Fail(operation string, faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[operation] = append(p.faults[operation], faults...)
}

// NoFaults forgets the faults that have not happened.
func (p *Proxy) NoFaults() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.faults)
}

// Say sets what DescribeTasks says of a task besides what the server does.
func (p *Proxy) Say(arn string, fields map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said[arn] == nil {
		p.said[arn] = map[string]any{}
	}
	for name, value := range fields {
		p.said[arn][name] = value
	}
}

// Exit is what is said of a task whose container "builder" has ended.
func Exit(code int, reason string) map[string]any {
	return map[string]any{
		"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
		"containers": []any{map[string]any{"name": "builder", "lastStatus": "STOPPED", "exitCode": code, "reason": reason}},
	}
}

// Forget makes DescribeTasks know nothing of a task.
func (p *Proxy) Forget(arn string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone[arn] = true
}

// Calls are those of an operation so far.
func (p *Proxy) Calls(operation string) (calls []Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if c.Operation == operation {
			calls = append(calls, c)
		}
	}
	return calls
}

// ServeHTTP answers one call.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // the client is this process
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	call := Call{Operation: operation}
	_ = json.Unmarshal(body, &call.Input)
	p.mu.Lock()
	p.calls = append(p.calls, call)
	var fault *Fault
	if waiting := p.faults[operation]; len(waiting) > 0 {
		fault = &waiting[0]
		p.faults[operation] = waiting[1:]
	}
	p.mu.Unlock()
	if fault != nil && !fault.Lost {
		answer(w, fault)
		return
	}
	status, out := p.forward(r, call, body)
	if fault != nil {
		panic(http.ErrAbortHandler) // the answer is lost
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, _ = w.Write(out)
}

func answer(w http.ResponseWriter, f *Fault) {
	body := f.Body
	if body == nil {
		body = map[string]string{"__type": f.Code, "message": f.Says}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(max(f.Status, http.StatusOK))
	_ = json.NewEncoder(w).Encode(body)
}

// forward has the server do what is asked, once for each client token.
func (p *Proxy) forward(r *http.Request, call Call, body []byte) (status int, out []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	token, _ := call.Input["clientToken"].(string)
	if call.Operation == "RunTask" && token != "" {
		if used, ok := p.tokens[token]; ok {
			if !reflect.DeepEqual(used.input, call.Input) {
				return http.StatusBadRequest, []byte(`{"__type":"ConflictException","message":"the client token was used for another request"}`)
			}
			return http.StatusOK, used.answer
		}
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, p.server.Endpoint+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway, []byte(err.Error())
	}
	request.Header = r.Header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return http.StatusBadGateway, []byte(err.Error())
	}
	defer response.Body.Close()
	out, err = io.ReadAll(response.Body)
	if err != nil {
		return http.StatusBadGateway, []byte(err.Error())
	}
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, out
	}
	switch call.Operation {
	case "RunTask":
		p.tokens[token] = tokenUse{call.Input, out}
		p.tell(call, out)
	case "DescribeTasks":
		out = p.rewrite(out)
	}
	return response.StatusCode, out
}

// tell passes on what the container of a new task finds.
func (p *Proxy) tell(call Call, out []byte) {
	var made struct{ Tasks []struct{ TaskArn string } }
	var asked struct {
		Tags      []struct{ Key, Value string }
		Overrides struct {
			ContainerOverrides []struct {
				Environment []struct{ Name, Value string }
			}
		}
	}
	input, _ := json.Marshal(call.Input)
	if json.Unmarshal(out, &made) != nil || json.Unmarshal(input, &asked) != nil {
		return
	}
	for _, t := range made.Tasks {
		task := Task{ARN: t.TaskArn, Tags: map[string]string{}, Env: map[string]string{}}
		for _, tag := range asked.Tags {
			task.Tags[tag.Key] = tag.Value
		}
		for _, c := range asked.Overrides.ContainerOverrides {
			for _, pair := range c.Environment {
				task.Env[pair.Name] = pair.Value
			}
		}
		p.Started <- task
	}
}

func (p *Proxy) rewrite(out []byte) []byte {
	var answer struct {
		Tasks    []map[string]any `json:"tasks"`
		Failures []map[string]any `json:"failures"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return out
	}
	answer.Tasks = slices.DeleteFunc(answer.Tasks, func(t map[string]any) bool {
		arn := fmt.Sprint(t["taskArn"])
		if p.gone[arn] {
			answer.Failures = append(answer.Failures, map[string]any{"arn": arn, "reason": "MISSING"})
			return true
		}
		for name, value := range p.said[arn] {
			t[name] = value
		}
		return false
	})
	out, _ = json.Marshal(answer)
	return out
}
