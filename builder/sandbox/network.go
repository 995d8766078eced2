package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// network connects a command's network namespace to the internet through
// slirp4netns, a TCP/IP stack in an ordinary process.
type network struct {
	slirp *exec.Cmd
	alive *os.File // slirp4netns ends when this end of a pipe is closed
	done  chan struct{}
}

// blockedAlways are ranges that lead to the machine, to its neighbours or to a
// cloud's metadata. Documentation ranges (RFC 5737) are not among them: private
// resolvers hand them out for package registries.
var blockedAlways = []string{
	"0.0.0.0/8",
	"10.0.0.0/8",         // RFC 1918
	"100.64.0.0/10",      // RFC 6598, carriers; metadata on some clouds
	"127.0.0.0/8",        // slirp4netns would pass it on, from a socket bound to the device
	"168.63.129.16/32",   // Azure's metadata
	"169.254.0.0/16",     // link-local, most clouds' metadata
	"172.16.0.0/12",      // RFC 1918
	"192.0.0.0/24",       // RFC 6890; metadata on Oracle's cloud
	"192.168.0.0/16",     // RFC 1918
	"224.0.0.0/4",        // multicast
	"240.0.0.0/4",        // reserved
	"255.255.255.255/32", // broadcast
}

const (
	tap         = "tap0"
	gateway     = "10.0.2.2"          // the machine, seen from inside
	gatewayLink = "52:55:0a:00:02:02" // its fixed link address in slirp4netns
)

// startNetwork connects the namespace of the process pid. It is IPv4 only,
// which leaves nothing of IPv6 to block. userNamespace is whether the network
// namespace belongs to a user namespace other than the builder's.
func startNetwork(ctx context.Context, pid int, userNamespace bool, blocked []netip.Prefix) (n *network, err error) {
	slirp, err := exec.LookPath("slirp4netns")
	if err != nil {
		return nil, errors.New("slirp4netns is not installed")
	}
	if err := unix.Access("/dev/net/tun", unix.R_OK|unix.W_OK); err != nil {
		return nil, fmt.Errorf("/dev/net/tun can't be opened: %w", err)
	}
	namespaces, err := namespacesOf(pid, userNamespace)
	if err != nil {
		return nil, err
	}
	defer closeAll(namespaces)
	aliveOut, aliveIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer aliveOut.Close()
	readyOut, readyIn, err := os.Pipe()
	if err != nil {
		aliveIn.Close()
		return nil, err
	}
	defer readyOut.Close()
	defer readyIn.Close()

	args := []string{
		"--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp",
		"--exit-fd=3", "--ready-fd=4", "--netns-type=path",
	}
	if userNamespace {
		args = append(args, "--userns-path=/proc/self/fd/6")
	} else {
		// It gives up root's rights and files; with a user's it can't.
		args = append(args, "--enable-sandbox")
	}
	var message bytes.Buffer
	n = &network{slirp: exec.Command(slirp, append(args, "/proc/self/fd/5", tap)...), alive: aliveIn, done: make(chan struct{})}
	n.slirp.Env = []string{}
	n.slirp.Dir = "/"
	n.slirp.Stderr = &message
	n.slirp.WaitDelay = time.Second
	n.slirp.ExtraFiles = append([]*os.File{aliveOut, readyIn}, namespaces...)
	n.slirp.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := n.slirp.Start(); err != nil {
		aliveIn.Close()
		return nil, err
	}
	go func() {
		_ = n.slirp.Wait()
		close(n.done)
	}()
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	readyIn.Close()
	aliveOut.Close()
	// The pipe closes when slirp4netns ends; ctx ends the wait otherwise.
	stop := context.AfterFunc(ctx, func() { _ = readyOut.SetReadDeadline(time.Now()) })
	defer stop()
	if _, readErr := readyOut.Read(make([]byte, 1)); readErr != nil {
		_ = n.close()
		return n, fmt.Errorf("slirp4netns: %s", lastLine(message.String()))
	}
	return n, closeOff(ctx, namespaces, blocked)
}

// closeOff sets the routes by which the command reaches the internet alone.
//
// Routes do not bind a socket that is bound to the device (any user may do
// that): when they refuse, the kernel takes the destination to be on the link.
// So the link has one neighbour, the gateway, and no other can be found, the
// name server neither. That is reached through the gateway, and on its port
// only, because slirp4netns passes its every port to the machine's resolver,
// which may well be the machine itself.
func closeOff(ctx context.Context, namespaces []*os.File, blocked []netip.Prefix) error {
	var batch strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&batch, format+"\n", args...) }
	line("ntable change name arp_cache dev %s ucast_probes 0 mcast_probes 0 app_probes 0", tap)
	line("neigh replace %s lladdr %s dev %s nud permanent", gateway, gatewayLink, tap)
	line("route replace %s via %s dev %s", nameserver, gateway, tap)
	for _, prefix := range blockedAlways {
		line("route replace unreachable %s", prefix)
	}
	for _, prefix := range blocked {
		if prefix.Addr().Unmap().Is4() && prefix.Addr().Is4() {
			line("route replace unreachable %s", prefix.Masked())
		}
	}
	line("rule add pref 100 to %s ipproto 17 dport 53 lookup main", nameserver)
	line("rule add pref 101 to %s ipproto 6 dport 53 lookup main", nameserver)
	line("rule add pref 102 to 10.0.2.0/24 unreachable")

	args := []string{"--net=/proc/self/fd/3"}
	if len(namespaces) > 1 {
		args = append(args, "--user=/proc/self/fd/4", "--preserve-credentials")
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, "ip", "-batch", "-")...)
	cmd.Env = []string{"PATH=" + systemPath}
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(batch.String())
	cmd.ExtraFiles = namespaces
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if message, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set the routes: %w: %s", err, lastLine(string(message)))
	}
	return nil
}

// close ends slirp4netns and waits for it.
func (n *network) close() error {
	if n == nil {
		return nil
	}
	n.alive.Close()
	select {
	case <-n.done:
		return nil
	case <-time.After(2 * time.Second):
	}
	_ = n.slirp.Process.Kill()
	<-n.done
	return nil
}

// namespacesOf opens a process's network namespace and the user namespace
// that this belongs to, which need not be the process's own.
func namespacesOf(pid int, userNamespace bool) ([]*os.File, error) {
	net, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	if !userNamespace {
		return []*os.File{net}, nil
	}
	user, err := unix.IoctlRetInt(int(net.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		net.Close()
		return nil, fmt.Errorf("find the user namespace: %w", err)
	}
	return []*os.File{net, os.NewFile(uintptr(user), "user namespace")}, nil
}

// machineAddresses are the addresses at which this machine itself answers.
func machineAddresses() []netip.Prefix {
	var prefixes []netip.Prefix
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			addr := prefix.Addr()
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return prefixes
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
