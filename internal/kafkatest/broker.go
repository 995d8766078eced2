package kafkatest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	listenPlain = iota
	listenSASL
	listenTLS
	listenSASLTLS
	listenController
	listeners // how many there are
)

// startTime bounds the start of a broker.
const startTime = 90 * time.Second

// Broker is one broker of a cluster.
type Broker struct {
	cluster *Cluster
	id      int
	dir     string
	ports   []int

	mu      sync.Mutex
	process *process
}

func (b *Broker) address(listener int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.ports[listener]))
}

// Start starts a broker that was stopped or killed, with what it has on disk.
func (b *Broker) Start() error {
	if err := b.launch(); err != nil {
		return err
	}
	return b.await()
}

// Stop ends a broker in an orderly way.
func (b *Broker) Stop() { b.end(syscall.SIGTERM) }

// Kill ends a broker as kill -9 does.
func (b *Broker) Kill() { b.end(syscall.SIGKILL) }

func (b *Broker) end(signal syscall.Signal) {
	b.mu.Lock()
	p := b.process
	b.mu.Unlock()
	if p != nil {
		p.end(signal)
	}
}

// Log returns the end of what the broker has said since it was started.
func (b *Broker) Log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process == nil {
		return ""
	}
	return b.process.out.tail(4000)
}

// format writes the broker's configuration and makes its directory.
func (b *Broker) format(voters string, k *keys) error {
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(b.config(), []byte(b.properties(voters, k)), 0o600); err != nil {
		return err
	}
	args := b.arguments("kafka.tools.StorageTool", "format", "-t", b.cluster.id, "-c", b.config())
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for user, password := range users() {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, password))
		}
	}
	if out, err := exec.Command(b.cluster.java, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("format the storage of broker %d: %w\n%s", b.id, err, out)
	}
	return nil
}

func users() map[string]string {
	return map[string]string{Username: Password, LimitedUsername: LimitedPassword}
}

func (b *Broker) config() string { return filepath.Join(b.dir, "server.properties") }

func (b *Broker) arguments(class string, args ...string) []string {
	return append([]string{"-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-cp", filepath.Join(b.cluster.jars, "*"), class}, args...)
}

func (b *Broker) properties(voters string, k *keys) string {
	names := []string{"PLAIN", "SASL", "TLS", "SASLTLS", "CONTROLLER"}
	var all []string
	for i, name := range names {
		all = append(all, name+"://"+b.address(i))
	}
	replicas := min(3, len(b.cluster.Brokers))
	p := &properties{}
	p.set("process.roles", "broker,controller")
	p.set("node.id", b.id)
	p.set("controller.quorum.voters", voters)
	p.set("controller.listener.names", "CONTROLLER")
	p.set("listeners", strings.Join(all, ","))
	p.set("advertised.listeners", strings.Join(all[:listenController], ","))
	p.set("listener.security.protocol.map", "PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL,CONTROLLER:PLAINTEXT")
	p.set("inter.broker.listener.name", "PLAIN")
	p.set("log.dirs", filepath.Join(b.dir, "data"))
	p.set("auto.create.topics.enable", false)
	p.set("offsets.topic.num.partitions", 1)
	p.set("offsets.topic.replication.factor", replicas)
	p.set("transaction.state.log.num.partitions", 1)
	p.set("transaction.state.log.replication.factor", replicas)
	p.set("transaction.state.log.min.isr", 1)
	p.set("group.initial.rebalance.delay.ms", 0)
	p.set("controlled.shutdown.enable", len(b.cluster.Brokers) > 1)
	// A broker that was killed is let in again once its former self is given up.
	p.set("broker.session.timeout.ms", 2000)
	p.set("broker.heartbeat.interval.ms", 500)
	p.set("num.network.threads", 2)
	p.set("num.io.threads", 2)

	// Without a name, as on the listeners without SASL, all is allowed.
	p.set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
	p.set("super.users", "User:ANONYMOUS;User:"+Username)
	p.set("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512")
	plain := ""
	for user, password := range users() {
		plain += fmt.Sprintf(" user_%s=%q", user, password)
	}
	for _, listener := range []string{"sasl", "sasltls"} {
		prefix := "listener.name." + listener + "."
		p.set(prefix+"plain.sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required"+plain+";")
		p.set(prefix+"scram-sha-256.sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required;")
		p.set(prefix+"scram-sha-512.sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required;")
	}
	p.set("ssl.keystore.type", "PEM")
	p.set("ssl.keystore.certificate.chain", k.certificate)
	p.set("ssl.keystore.key", k.key)
	return p.String()
}

// properties is a file as Java reads it.
type properties struct{ strings.Builder }

func (p *properties) set(name string, value any) {
	fmt.Fprintf(p, "%s=%s\n", name, strings.NewReplacer(`\`, `\\`, "\n", `\n\`+"\n").Replace(strings.TrimSpace(fmt.Sprint(value))))
}

// launch starts the broker and does not wait for it.
func (b *Broker) launch() error {
	p := &process{cmd: exec.Command(b.cluster.java, b.arguments("kafka.Kafka", b.config())...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.start(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.process = p
	return nil
}

// await returns when the broker answers.
func (b *Broker) await() error {
	b.mu.Lock()
	p := b.process
	b.mu.Unlock()
	for deadline := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		if p.out.contains("Kafka Server started") {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("broker %d ended: %s", b.id, p.out.tail(2000))
		default:
		}
		if time.Now().After(deadline) {
			p.end(syscall.SIGKILL)
			return fmt.Errorf("broker %d is not there within %s: %s", b.id, startTime, p.out.tail(2000))
		}
	}
}

// process is a program that ends with this one.
type process struct {
	cmd   *exec.Cmd
	out   output
	ended chan struct{}
}

func (p *process) start() error {
	// It ends even where this process is killed: with the thread that started it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // however it ended
		}
	}()
	return <-started
}

func (p *process) end(signal syscall.Signal) {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return
	}
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// output keeps the end of what a program says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() > 1<<20 {
		o.text.Next(o.text.Len() / 2)
	}
	return o.text.Write(b)
}

func (o *output) contains(s string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(o.text.Bytes(), []byte(s))
}

func (o *output) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text.Bytes()[max(o.text.Len()-n, 0):])
}
