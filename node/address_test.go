package node

import (
	"strings"
	"testing"

	"github.com/kvorum/kvorum/network"
)

// TestAddresses: a wrong address is told by what is wrong with it; "is the port in use?" is said only of one that is.
func TestAddresses(t *testing.T) {
	l, err := network.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no port":       {func(c *Config) { c.Listen = "foo" }, `--listen: "foo" is not host:port`},
		"only a port":   {func(c *Config) { c.Listen = "8080" }, `--listen: "8080" is not host:port`},
		"no number":     {func(c *Config) { c.Listen = "127.0.0.1:80x" }, `--listen: "127.0.0.1:80x" is not host:port`},
		"no such port":  {func(c *Config) { c.PeerListen = "127.0.0.1:65536" }, `--peer-listen: "127.0.0.1:65536" is not host:port`},
		"seed":          {func(c *Config) { c.Seeds = []string{"a:1", "b"} }, `--seeds: "b" is not host:port`},
		"advertised":    {func(c *Config) { c.AdvertiseAPI = "me" }, `--advertise-api: "me" is not host:port`},
		"in use":        {func(c *Config) { c.Listen = l.Addr().String() }, "another program uses the port: stop it, or give another address with --listen"},
		"somebody else": {func(c *Config) { c.PeerListen = "192.0.2.1:7080" }, "this machine does not have the address: give another address with --peer-listen"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Listen: "127.0.0.1:0", PeerListen: "127.0.0.1:0", DataDir: t.TempDir()}
			test.change(&cfg)
			_, err := Open(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) || (name != "in use" && strings.Contains(err.Error(), "another program")) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	for _, router := range []RouterConfig{{Listen: "foo", Seeds: []string{"a:1"}}, {Listen: "127.0.0.1:0", Seeds: []string{"foo"}}} {
		if _, err := OpenRouter(t.Context(), router); err == nil || !strings.Contains(err.Error(), `"foo" is not host:port`) {
			t.Errorf("%+v: %v", router, err)
		}
	}
	if _, err := OpenDev(t.Context(), DevConfig{Listen: "foo", Shards: 1, Replicas: 1, DataDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), `"foo" is not host:port`) {
		t.Error(err)
	}
}
