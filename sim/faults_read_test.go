package sim

import (
	"bytes"
	"testing"

	"github.com/kvorum/kvorum/sim/disk"
)

// TestOldSectors: a stale read gives the old bytes of one sector, the first that has changed, cut to what was read of it.
func TestOldSectors(t *testing.T) {
	old := bytes.Repeat([]byte{'o'}, 2000)
	image := disk.New()
	f, errno := image.Open("log", disk.Open{Create: true})
	if errno != 0 {
		t.Fatal(errno)
	}
	if _, errno := f.WriteAt(old, 0); errno != 0 {
		t.Fatal(errno)
	}
	now := bytes.Clone(old)
	copy(now[600:], "new")  // in the second sector
	copy(now[1500:], "new") // in the third
	now = append(now, 'n')  // in the fourth, which was shorter
	stale := func(offset int64, length, at int) string {
		p := bytes.Clone(now[offset : offset+int64(length)])
		if age(image, disk.Call{Path: "log", Offset: offset}, p, at, disk.SectorBytes) == "" {
			return "nothing"
		}
		return string(bytes.Trim(p, "o"))
	}
	all := string(bytes.Trim(now, "o"))
	for _, c := range []struct {
		offset     int64
		length, at int
		want       string
	}{
		{0, 2001, 0, string(now[1500:])}, {0, 2001, 1100, string(now[600:1500]) + string(old[1500:2000]) + "n"}, {0, 2001, 1600, all[:len(all)-1] + "\x00"},
		{0, 512, 0, "nothing"}, {600, 3, 0, ""}, {1000, 20, 0, "nothing"},
	} {
		if got := stale(c.offset, c.length, c.at); got != c.want {
			t.Errorf("%d bytes at %d, from %d on: %q, want %q", c.length, c.offset, c.at, got, c.want)
		}
	}
	if age(image, disk.Call{Path: "other"}, bytes.Clone(now), 0, disk.SectorBytes) != "" {
		t.Error("a file that was not there has old bytes")
	}
}
