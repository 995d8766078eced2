package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func needNetwork(t *testing.T, s *Sandbox) {
	t.Helper()
	if !s.Isolation().Network {
		lack(t, "no network namespace can be connected here: "+strings.Join(s.Isolation().Warnings, " "))
	}
}

// listen listens on all of the machine's addresses and tells of connections.
func listen(t *testing.T) (port string, reached func() bool) {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connections := make(chan struct{}, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections <- struct{}{}
			c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	packets, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close() })
	go func() {
		for {
			if _, _, err := packets.ReadFrom(make([]byte, 10)); err != nil {
				return
			}
			connections <- struct{}{}
		}
	}()
	return port, func() bool { return len(connections) > 0 }
}

func TestBubblewrapNetworkDoesNotReachTheMachine(t *testing.T) {
	s, _ := openMode(t, ModeBubblewrap, Limits{})
	needNetwork(t, s)
	port, reached := listen(t)
	targets := []string{"127.0.0.1", "127.0.0.53", "0.0.0.0", gateway, nameserver, "10.0.2.100", "10.0.2.4", "localhost", "[::1]", "[fe80::2%tap0]", "169.254.169.254",
		"10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "255.255.255.255", "[fd00::2]", "[fd00:ec2::254]"}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		ip, _, _ := net.ParseCIDR(address.String())
		targets = append(targets, strings.TrimSuffix(net.JoinHostPort(ip.String(), ""), ":"))
	}
	var dials []string
	for _, target := range targets {
		dials = append(dials, target+":"+port)
		if !strings.Contains(target, "127.0.0") && target != "localhost" {
			dials = append(dials, target+":80")
		}
	}
	if out := attacker(t, s, "TARGET_DIALS="+strings.Join(dials, " ")); out != "attacked\n" {
		t.Errorf("an attacker reached:\n%s", out)
	}
	if reached() {
		t.Error("the machine was reached")
	}
	out, _ := shell(t, s, "(ip route; ip rule) > before; ip route flush table main; ip route del unreachable 10.0.0.0/8; ip rule flush; ip link set tap0 down; ip neigh flush all; (ip route; ip rule) > after; cmp before after && grep -c unreachable before", func(c *Command) { c.Network = true })
	if strings.HasSuffix(out, "\n0\n") || !strings.Contains(out, "not permitted") || strings.Contains(out, "differ") {
		t.Errorf("a command can change the routes: %s", out)
	}
}

// refusedHere is whether a packet never left the namespace. Bound to the device
// it vanishes for want of a neighbour; else the routes refuse it. From the name
// server any answer, a refusal too, would be the machine's resolver's.
func refusedHere(err error, dial string, bound bool) bool {
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EINVAL) {
		return true // IPv6, of which there is none
	}
	var timeout net.Error
	if bound && errors.As(err, &timeout) && timeout.Timeout() {
		return true
	}
	if bound && strings.HasPrefix(dial, nameserver) {
		return false
	}
	return errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || own(dial) && errors.Is(err, syscall.ECONNREFUSED)
}

// own is whether an address is the command's own, in its own namespace.
func own(dial string) bool {
	host, _, _ := net.SplitHostPort(dial)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified() || host == "10.0.2.100")
}

// attackNetwork dials in each way that gets around routes, too.
func attackNetwork(dials []string) {
	bound := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.BindToDevice(int(fd), tap) })
	}
	type result struct{ what string }
	results := make(chan result)
	count := 0
	for _, dial := range dials {
		for kind, control := range map[string]func(string, string, syscall.RawConn) error{"": nil, " bound to the device": bound} {
			count++
			go func() {
				d := net.Dialer{Timeout: time.Second, Control: control}
				if c, err := d.Dial("udp", dial); err == nil {
					fmt.Fprint(c, "hello")
					c.Close()
				}
				c, err := d.Dial("tcp", dial)
				if refusedHere(err, dial, control != nil) {
					results <- result{}
					return
				}
				if err != nil { // someone outside has answered
					results <- result{fmt.Sprint(dial, kind, ": ", err)}
					return
				}
				c.Close()
				results <- result{dial + kind}
			}()
		}
	}
	for range count {
		if r := <-results; r.what != "" {
			fmt.Println(r.what)
		}
	}
}

func TestBubblewrapNetworkBlocksWhatItIsTold(t *testing.T) {
	need(t, "bwrap")
	p := newPlace(t, ModeBubblewrap)
	config := Config{Mode: "bubblewrap", Blocked: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}}
	s, err := New(t.Context(), config, p.workspace, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	needNetwork(t, s)
	out, _ := shell(t, s, "ip route get 203.0.113.9; ip route get 198.51.100.1", func(c *Command) { c.Network = true })
	if !strings.Contains(out, "No route to host") || !strings.Contains(out, "198.51.100.1 via "+gateway) {
		t.Errorf("the routes are: %s", out)
	}
}

func TestBubblewrapWithoutNetworkReachesNothing(t *testing.T) {
	s, _ := openMode(t, ModeBubblewrap, Limits{})
	out, _ := shell(t, s, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n'")
	if out != "lo" {
		t.Errorf("the devices are %q", out)
	}
}

func TestBubblewrapNetworkReachesTheRegistry(t *testing.T) {
	need(t, "npm")
	s, _ := openMode(t, ModeBubblewrap, Limits{})
	needNetwork(t, s)
	out, result := shell(t, s, "npm view is-number version && npm install --no-audit --no-fund is-number@7.0.0 && node -p 'require(`is-number`)(7)'", func(c *Command) { c.Network = true })
	if result.ExitCode != 0 || !strings.HasSuffix(out, "true\n") {
		t.Errorf("exit code %d: %s", result.ExitCode, out)
	}
}

func TestNetworkEndsWithItsCommand(t *testing.T) {
	s, _ := openMode(t, ModeBubblewrap, Limits{})
	needNetwork(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	started := &signalWriter{started: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(ctx, Command{Args: []string{"sh", "-c", "echo up; exec sleep 100"}, Stdout: started, Network: true})
		done <- err
	}()
	select {
	case <-started.started:
	case err := <-done:
		t.Fatal(err)
	}
	if len(childrenNamed(t, "slirp4netns")) == 0 {
		t.Error("slirp4netns is not there")
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v", err)
	}
	if left := childrenNamed(t, "slirp4netns"); len(left) > 0 {
		t.Errorf("slirp4netns is left: %v", left)
	}
}

// signalWriter tells that something was written.
type signalWriter struct {
	started chan struct{}
	told    bool
}

func (w *signalWriter) Write(p []byte) (int, error) {
	if !w.told {
		w.told = true
		close(w.started)
	}
	return len(p), nil
}

// childrenNamed are this process's children with a name.
func childrenNamed(t *testing.T, name string) []string {
	t.Helper()
	need(t, "pgrep")
	out, _ := exec.Command("pgrep", "-P", fmt.Sprint(os.Getpid()), "-x", name).Output()
	return strings.Fields(string(out))
}
