package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// errNoProc says why other systems cannot measure.
var errNoProc = errors.New("the benchmark reads the processor time of other processes from Linux's /proc, which is not there")

// clockTick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every platform that Go runs on.
const clockTick = 10 * time.Millisecond

// processCPU returns the processor time, user and system, that a process has used, to a hundredth of a second.
func processCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoProc, err)
	}
	return parseStat(text)
}

// parseStat reads utime and stime, fields 14 and 15 (proc(5)). The second field is a name in parentheses that may
// hold anything, so fields are counted from the last parenthesis.
func parseStat(text []byte) (time.Duration, error) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errNoProc
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("%w: %w", errNoProc, err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// peakMemory returns the most memory that a process ever held, in bytes (VmHWM).
func peakMemory(pid int) (int64, error) { return memory(pid, "VmHWM:") }

// residentMemory returns the memory that a process holds now, in bytes (VmRSS).
func residentMemory(pid int) (int64, error) { return memory(pid, "VmRSS:") }

func memory(pid int, field string) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoProc, err)
	}
	return parseMemory(text, field)
}

func parseMemory(text []byte, field string) (int64, error) {
	_, rest, _ := bytes.Cut(text, []byte(field))
	fields := bytes.Fields(rest)
	if len(fields) < 2 {
		return 0, errNoProc
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoProc, err)
	}
	return kib << 10, nil
}
