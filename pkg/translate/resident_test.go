package translate_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/testworld"
)

// residentEnv makes the test binary a process that translates so many routes
// and prints its resident set. The benchmark's own process would not do: what
// earlier benchmarks left behind counts there.
const residentEnv = "EGCTL_TEST_RESIDENT_ROUTES"

func TestMain(m *testing.M) {
	routes := os.Getenv(residentEnv)
	if routes == "" {
		os.Exit(m.Run())
	}
	if err := printResident(routes); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// BenchmarkResident reports the resident set of a process that holds the
// objects of a fleet and everything that follows from them, after collection.
func BenchmarkResident(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("the resident set is read from /proc, which only Linux has")
	}
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, routes := range []int{0, 100, 1000, 5000, 10000} {
		b.Run(fmt.Sprintf("routes=%d", routes), func(b *testing.B) {
			var mb float64
			for b.Loop() {
				cmd := exec.Command(exe)
				cmd.Env = append(os.Environ(), residentEnv+"="+strconv.Itoa(routes))
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				kb, err := strconv.ParseFloat(string(bytes.TrimSpace(out)), 64)
				if err != nil {
					b.Fatal(err)
				}
				mb = max(mb, kb/1000)
			}
			b.ReportMetric(mb, "rss-MB")
		})
	}
}

func printResident(count string) error {
	routes, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("%s: %w", residentEnv, err)
	}
	tr := translate.New(settings())
	tr.Store.Apply(testworld.Changes(testworld.Fleet{Gateways: 1, Routes: routes}.Objects()...)...)
	changes := tr.Update() // an ADS server holds it
	debug.FreeOSMemory()
	debug.FreeOSMemory() // what pools held the first time
	kb, err := residentKB()
	if err != nil {
		return err
	}
	fmt.Println(kb)
	runtime.KeepAlive(tr)
	runtime.KeepAlive(changes)
	return nil
}

// residentKB is VmRSS of this process in units of 1,000 bytes.
func residentKB() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		var kib int64
		if n, _ := fmt.Sscanf(string(line), "VmRSS: %d kB", &kib); n == 1 {
			return kib * 1024 / 1000, nil
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmRSS")
}
