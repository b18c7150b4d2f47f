package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/dockernet"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
	"github.com/kvorum/kvorum/jepsen-lite/netns"
)

// counting is an engine whose rules have counted so much.
type counting struct{ dropped, passed int }

func (counting) Container(context.Context, string) (string, error) { return "id", nil }

func (c counting) Pipe(context.Context, string, ...string) (string, error) {
	return fmt.Sprintf(`{"nftables":[{"counter":{"name":"dropped0","packets":%d}},{"counter":{"name":"passed0","packets":%d}}]}`, c.dropped, c.passed), nil
}

// TestCutsOfContainersAreProved by packets that were dropped, and none that passed; a lossy link lets some pass.
func TestCutsOfContainersAreProved(t *testing.T) {
	link := netns.Link{From: "a", To: "b"}
	for _, c := range []struct {
		counting
		perMill int
		want    string // "": it is proved
	}{
		{counting{30, 0}, 1000, ""}, {counting{0, 0}, 1000, "0 packets were dropped"}, {counting{3, 1}, 1000, "1 packets passed from a to b"},
		{counting{30, 9}, 300, ""}, {counting{19, 9}, 300, "19 packets were dropped, at least 20"},
	} {
		f, err := (&dockernet.Network{Name: "net", Engine: c.counting}).Lose(t.Context(), c.perMill, link)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := losing{f}.Proof(t.Context())
		if c.want == "" && (err != nil || proof != "30 packets dropped") || c.want != "" && (!errors.Is(err, nemesis.ErrNoProof) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %q, %v", c, proof, err)
		}
	}
}
