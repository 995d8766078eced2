package sandbox

import (
	"bytes"
	"encoding/binary"
	"runtime"

	"golang.org/x/sys/unix"
)

// callFilter is a seccomp program, for bubblewrap, that refuses the system
// calls which a build needs least and which most often had holes: those that
// make user namespaces, and with them any other, and a few whole subsystems.
// They fail as on a kernel without them. Nil on other processors than listed.
func callFilter() []byte {
	const (
		callOffset, archOffset, flagsOffset = 0, 4, 16 // in struct seccomp_data, little endian

		load      = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		ifEqual   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ifAtLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ifAny     = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		answer    = unix.BPF_RET | unix.BPF_K

		allow      = 0x7fff0000
		notThere   = 0x00050000 | uint32(unix.ENOSYS)
		notAllowed = 0x00050000 | uint32(unix.EPERM)

		otherABI = 0x40000000 // x32's calls on amd64
	)
	arch := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if arch == 0 {
		return nil
	}
	program := []unix.SockFilter{
		{Code: load, K: archOffset},
		{Code: ifEqual, K: arch, Jt: 1},
		{Code: answer, K: notThere}, // 32-bit programs
		{Code: load, K: callOffset},
		{Code: ifAtLeast, K: otherABI, Jf: 1},
		{Code: answer, K: notThere},
	}
	for _, call := range []uint32{
		unix.SYS_CLONE3,                                         // its flags are out of a filter's sight; libraries fall back to clone
		unix.SYS_ADD_KEY, unix.SYS_KEYCTL, unix.SYS_REQUEST_KEY, // keyrings know no namespaces
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP,
	} {
		program = append(program,
			unix.SockFilter{Code: ifEqual, K: call, Jf: 1},
			unix.SockFilter{Code: answer, K: notThere})
	}
	for _, call := range []uint32{unix.SYS_CLONE, unix.SYS_UNSHARE} {
		program = append(program,
			unix.SockFilter{Code: ifEqual, K: call, Jf: 3},
			unix.SockFilter{Code: load, K: flagsOffset},
			unix.SockFilter{Code: ifAny, K: unix.CLONE_NEWUSER, Jf: 1},
			unix.SockFilter{Code: answer, K: notAllowed},
			unix.SockFilter{Code: load, K: callOffset})
	}
	program = append(program, unix.SockFilter{Code: answer, K: allow})
	var code bytes.Buffer
	_ = binary.Write(&code, binary.LittleEndian, program) // to memory: no error
	return code.Bytes()
}
