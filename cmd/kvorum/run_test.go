package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/wire"
)

// A session at the command line: each step is a command, what it prints, and its exit code.
func TestDataCommands(t *testing.T) {
	_, url := newFakeStore(t)
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		args   string // separated by |
		stdin  string
		stdout string
		stderr string // contained
		code   int
	}{
		{"get|user:a", "", "", `get "user:a": 404 not-found: there is no such key`, exitNotMatched},
		{"update|user:a|Ada", "", "", `update "user:a": 412 precondition-failed: the key is absent: 'kvorum put' creates it`, exitNotMatched},
		{"put|user:a|Ada", "", "created user:a at revision 1 (shard 1, node s1n0)\n", "", exitOK},
		{"get|user:a", "", "Ada", "", exitOK},
		{"put|user:a|--if-absent|Eve", "", "", "412", exitNotMatched},
		{"update|user:a|-", "Eve", "replaced user:a at revision 2 (shard 1, node s1n0)\n", "", exitOK},
		{"put|user:a|--if-revision=1|x", "", "", "412", exitNotMatched},
		{"put|user:a|--if-revision=2|@" + file, "", "replaced user:a at revision 3 (shard 1, node s1n0)\n", "", exitOK},
		{"get|user:a|--json", "", `{"key":"user:a","value":"from a file","revision":3}` + "\n", "", exitOK},
		{"get|user:a|--receipt", "", "from a file", "revision 3, shard 1, node s1n0", exitOK},
		{"put|a b/\n", "line\n", "created \"a b/\\n\" at revision 1 (shard 1, node s1n0)\n", "", exitOK},
		{"list", "", "\"a b/\\n\"\t\"line\\n\"\nuser:a\tfrom a file\n", "", exitOK},
		{"list|--keys-only|--limit=1", "", "\"a b/\\n\"\n", "", exitOK},
		{"list|--json|--limit=1", "", `{"key":"a b/\n","value":"line\n","revision":1}` + "\n", "", exitOK},
		{"delete|user:a", "", "deleted user:a (shard 1, node s1n0)\n", "", exitOK},
		{"delete|user:a", "", "", "404", exitNotMatched},
		{"put|user:a|@/no/such/file", "", "", "no such file", exitFailed},
		{"put|" + strings.Repeat("k", 1025) + "|v", "", "", "at most 1024", exitFailed},
	}
	for _, step := range steps {
		args := append([]string{"--endpoint", url}, strings.Split(step.args, "|")...)
		args = append(args[2:], args[:2]...) // flags of a command stand behind it
		stdout, stderr, code := kvorum(t, step.stdin, args...)
		if stdout != step.stdout || !strings.Contains(stderr, step.stderr) || code != step.code || (step.stderr == "" && stderr != "") {
			t.Errorf("%q: code %d, want %d\nstdout %q\n  want %q\nstderr %q\n  want %q", step.args, code, step.code, stdout, step.stdout, stderr, step.stderr)
		}
	}
}

func TestUsage(t *testing.T) {
	tests := map[string]struct {
		args, stderr string
		code         int
	}{
		"no command":        {"", "expected one of", exitUsage},
		"no such command":   {"fly", "unexpected argument fly", exitUsage},
		"no such flag":      {"get k --fast", "unknown flag --fast", exitUsage},
		"missing argument":  {"get", "Try 'kvorum get --help'", exitUsage},
		"bad enumeration":   {"get k --consistency=strong", "--consistency must be one of", exitUsage},
		"bad duration":      {"get k --timeout=soon", "--timeout: \"soon\" is no duration", exitUsage},
		"no unit":           {"get k --timeout=5", "--timeout: 5 has no unit: write 5s for seconds", exitUsage},
		"negative":          {"get k --timeout=-5s", "-5s is negative", exitUsage},
		"help, no such":     {"help fly", "unexpected argument fly", exitUsage},
		"bound, no bounded": {"get k --max-stale=1s", "--max-stale needs", exitUsage},
		"bounded, no bound": {"get k --consistency=bounded", "needs --max-stale", exitUsage},
		"two conditions":    {"put k v --if-absent --if-present", "can't be used together", exitUsage},
		"bad endpoint":      {"get k --endpoint=ftp://x", "want http://host:port", exitUsage},
		"serve needs names": {"serve", "missing flags", exitUsage},
		"bad members":       {"serve --cluster=c --shard=0 --node=n --shard-count=1 --data=d --members=n", "--members", exitUsage},
		"bad tuning":        {"serve --cluster=c --shard=0 --node=n --shard-count=1 --data=d --members=n=h:1/h:2 --heartbeat-timeout=1ms", "heartbeat-timeout", exitUsage},
		"bad timing":        {"serve --cluster=c --shard=0 --node=n --shard-count=1 --data=d --members=n=h:1/h:2 --leader-wait=0s", "leader-wait", exitUsage},
		"bad time, router":  {"router --cluster=c --seeds=h:1 --read-attempt=0s", "read-attempt", exitUsage},
		"bad time, dev":     {"dev --http-idle-timeout=0s", "http-idle-timeout", exitUsage},
		"bad size":          {"dev --memory-quota=lots", "want a number of bytes", exitUsage},
		"bad batch":         {"import f --batch=0", "--batch", exitUsage},
		"no such config":    {"get k --config=/no/such.yaml", "no such file", exitUsage},
		"health, bad URL":   {"health nowhere", "want host:port or http://host:port/path", exitUsage},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := kvorum(t, "", strings.Fields(test.args)...)
			if code != test.code || !strings.Contains(stderr, test.stderr) {
				t.Errorf("code %d, want %d; %q does not contain %q", code, test.code, stderr, test.stderr)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for args, want := range map[string][]string{
		"help":                  {"Try it:", "kvorum dev"},
		"help serve":            {"--heartbeat-timeout", "--members"},
		"help cluster snapshot": {"--shard", "Make replicas"},
		"--version":             {"kvorum ", "go1."},
		"put --version":         {"kvorum ", "go1."},
		"--help":                {"Try it:", "kvorum dev", "Servers:", "Data:", "Exit codes", "import"},
		"put --help":            {"--if-absent", "KVORUM_ENDPOINT", "Connection:"},
		"serve --help":          {"--heartbeat-timeout", "Raft:", "--memory-quota", "KVORUM_SHARD_COUNT"},
		"import --help":         {"--progress", "--[no-]idempotency-keys", "words.progress"},
	} {
		stdout, stderr, code := kvorum(t, "", strings.Fields(args)...)
		if code != exitOK || stderr != "" {
			t.Errorf("%s: code %d, %s", args, code, stderr)
		}
		for _, text := range want {
			if !strings.Contains(stdout, text) {
				t.Errorf("%s does not mention %q:\n%s", args, text, stdout)
			}
		}
	}
}

// Outcomes that only a server in trouble gives.
func TestExitCodes(t *testing.T) {
	s, url := newFakeStore(t)
	answer := func(code wire.Code) { // to all requests from now on
		s.mu.Lock()
		defer s.mu.Unlock()
		s.before = func(_ *fakeStore, w http.ResponseWriter, _ *http.Request) bool {
			wire.NewProblem(code, "so it is").Write(w)
			return true
		}
	}
	for code, want := range map[wire.Code]int{
		wire.CodeUnknownOutcome:      exitUnknown,
		wire.CodeDiskFull:            exitFailed,
		wire.CodeOverloaded:          exitFailed,
		wire.CodePreconditionFailed:  exitNotMatched,
		wire.CodeIdempotencyMismatch: exitFailed,
	} {
		answer(code)
		_, stderr, got := kvorum(t, "", "put", "k", "v", "--attempts=1", "--endpoint", url)
		if got != want || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "so it is") {
			t.Errorf("%s: exit code %d, want %d: %q", code, got, want, stderr)
		}
	}
	_, stderr, code := kvorum(t, "", "get", "k", "--attempts=2", "--endpoint=127.0.0.1:1")
	if code != exitFailed || !strings.Contains(stderr, "is a node running there?") {
		t.Errorf("nobody there: %d %q", code, stderr)
	}
}

// The command line wins over the environment, that over the file, that over the default.
func TestPrecedence(t *testing.T) {
	_, fromFlag := newFakeStore(t)
	_, fromEnvironment := newFakeStore(t)
	_, fromFile := newFakeStore(t)
	for i, url := range []string{fromFlag, fromEnvironment, fromFile} {
		if _, stderr, code := kvorum(t, "", "put", "who", []string{"flag", "environment", "file"}[i], "--endpoint", url); code != exitOK {
			t.Fatal(stderr)
		}
	}
	config := filepath.Join(t.TempDir(), "kvorum.yaml")
	if err := os.WriteFile(config, []byte("endpoint: "+fromFile+"\ntimeout: 3s\nmax_requests: 77\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(want string, args ...string) {
		t.Helper()
		if stdout, stderr, _ := kvorum(t, "", append([]string{"get", "who"}, args...)...); stdout != want {
			t.Errorf("%q: %q, want %q: %s", args, stdout, want, stderr)
		}
	}
	check("file", "--config", config)
	t.Setenv("KVORUM_CONFIG", config)
	check("file")
	t.Setenv("KVORUM_ENDPOINT", fromEnvironment)
	check("environment")
	check("flag", "--endpoint", fromFlag)

	for text, want := range map[string]string{"endpont: x": `"endpont" is no flag`, "timeout: [": "yaml", "timeout: soon": `"soon" is no duration`, "timeout: 5": "5 has no unit: write 5s", "timeout: -5s": "negative", "if-absent: true": "give --if-absent on the command line", "config: x": "config", "version: true": "version", "timeout: 1s\ntimeout: 2s": "timeout", "help: true": "help"} {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := kvorum(t, "", "get", "who"); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%q: code %d, %q does not contain %q", text, code, stderr, want)
		}
	}
}

func TestHealth(t *testing.T) {
	s, url := newFakeStore(t)
	s.before = func(_ *fakeStore, w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/ready") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return true
	}
	if stdout, stderr, code := kvorum(t, "", "health", url+"/v1/health/live"); code != exitOK || stdout != "200 OK\n" {
		t.Error(stdout, stderr, code)
	}
	address := strings.TrimPrefix(url, "http://")
	if _, stderr, code := kvorum(t, "", "health", address+"/v1/health/live"); code != exitOK {
		t.Error(stderr, code)
	}
	for _, whether := range []string{address, address + "/", url, url + "/"} { // ready, that is
		if _, stderr, code := kvorum(t, "", "health", whether); code != exitFailed || !strings.Contains(stderr, address+"/v1/health/ready answers 503") {
			t.Error(whether, stderr, code)
		}
	}
	if _, stderr, code := kvorum(t, "", "health", url+"/v1/health/ready"); code != exitFailed || !strings.Contains(stderr, "503") {
		t.Error(stderr, code)
	}
	if _, _, code := kvorum(t, "", "health", "http://127.0.0.1:1/"); code != exitFailed {
		t.Error(code)
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "4096": 4096, "512MiB": 512 << 20, "2GB": 2e9, "1 KiB": 1024, "7B": 7, "3kB": 3000} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || uint64(b) != want {
			t.Errorf("%q: %d, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "lots", "99999999TiB"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %d", text, b)
		}
	}
	for size, want := range map[byteSize]string{0: "0B", 1023: "1023B", 1536: "1.5KiB", 200 << 20: "200MiB", 3 << 40: "3.0TiB"} {
		if got := size.String(); got != want {
			t.Errorf("%d: %q, want %q", uint64(size), got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	for want, got := range map[string]string{
		"1 shard": counted(1, "shard"), "3 shards": counted(3, "shard"), "0 lines": counted(uint64(0), "line"), "1 line was": counted(1, "line was", "lines were"), "2 lines were": counted(2, "line was", "lines were"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What the program says of a reply is a sentence, not the reply.
func TestSentences(t *testing.T) {
	s, url := newFakeStore(t)
	s.before = func(_ *fakeStore, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/ready"):
			wire.NewProblem(wire.CodeNotReady, "not ready: draining").Write(w)
		case strings.HasSuffix(r.URL.Path, "/transfer-leader"):
			w.Header().Set(wire.HeaderOutcome, string(wire.Applied))
			_, _ = w.Write([]byte(`{"shard":1,"from":"s1n0","leader":"s1n0"}`))
		}
		return true
	}
	if _, stderr, code := kvorum(t, "", "health", url); code != exitFailed || stderr != "kvorum: "+url+"/v1/health/ready answers 503 Service Unavailable: not ready: draining\n" {
		t.Error(stderr, code)
	}
	if stdout, stderr, code := kvorum(t, "", "cluster", "transfer-leader", "--shard=1", "--to=s1n0", "--endpoint", url); code != exitOK || stdout != "shard 1: s1n0 leads already\n" {
		t.Error(stdout, stderr, code)
	}
}
