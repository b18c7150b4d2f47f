package disk

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func write(t *testing.T, d *Disk, name, text string) *File {
	t.Helper()
	f, errno := d.Open(name, Open{Create: true})
	if errno != 0 {
		t.Fatalf("open %s: %d", name, errno)
	}
	if n, errno := f.WriteAt([]byte(text), 0); n != len(text) || errno != 0 {
		t.Fatalf("write %s: %d, %d", name, n, errno)
	}
	return f
}

func syncAll(t *testing.T, list ...*File) {
	t.Helper()
	for _, f := range list {
		if errno := f.Sync(); errno != 0 {
			t.Fatalf("sync %s: %d", f.Path(), errno)
		}
	}
}

func folder(d *Disk, name string) *File {
	f, _ := d.Open(name, Open{FolderOnly: true})
	return f
}

func powerCut(d *Disk) Loss {
	return d.Crash(Plan{KeepNone: 1, Names: true}, rand.New(rand.NewPCG(1, 1)))
}

// loseNames crashes a disk again and again, made anew each time, until names were lost.
func loseNames(t *testing.T, make func(d *Disk)) *Disk {
	t.Helper()
	for seed := range uint64(100) {
		d := New()
		make(d)
		if d.Crash(Plan{KeepNone: 1, Names: true}, rand.New(rand.NewPCG(seed, 1))).Names > 0 {
			return d
		}
	}
	t.Fatal("100 crashes lost no name")
	return nil
}

func content(d *Disk, name string) string { return string(d.Durable()[name]) }

func TestRenameNeedsTheFoldersSync(t *testing.T) {
	with := func(syncs bool) func(d *Disk) {
		return func(d *Disk) {
			syncAll(t, write(t, d, "old", "1"), write(t, d, "new", "2"), folder(d, "/"))
			if errno := d.Rename("new", "old"); errno != 0 {
				t.Fatal(errno)
			}
			if syncs {
				syncAll(t, folder(d, "/"))
				_ = d.Mkdir("other")
			}
		}
	}
	d := loseNames(t, with(false))
	if content(d, "old") != "1" || content(d, "new") != "2" {
		t.Errorf("without a sync: %q", d.Durable())
	}
	d = loseNames(t, with(true))
	if _, there := d.Durable()["new"]; content(d, "old") != "2" || there {
		t.Errorf("with a sync: %q", d.Durable())
	}
}

func TestFileWithoutItsNameIsLost(t *testing.T) {
	d := loseNames(t, func(d *Disk) { syncAll(t, write(t, d, "a", "1")) })
	if len(d.Durable()) != 0 {
		t.Errorf("%q", d.Durable())
	}
}

// TestSyncTakesTime: a sync makes durable what was there when it began, not what came meanwhile.
func TestSyncTakesTime(t *testing.T) {
	d := New()
	f := write(t, d, "a", "1")
	syncAll(t, f, folder(d, "/"))
	f.BeginSync() // with nothing to do
	_, _ = f.WriteAt([]byte("2"), 0)
	syncAll(t, f)
	if got := content(d, "a"); got != "1" {
		t.Errorf("a sync that began before the write kept it: %q", got)
	}
	g, _ := d.Open("a", Open{})
	f.BeginSync()
	_, _ = f.WriteAt([]byte("3"), 0)
	g.BeginSync()
	syncAll(t, g)
	if got := content(d, "a"); got != "3" {
		t.Errorf("%q, want what was written before the sync began", got)
	}
	_, _ = f.WriteAt([]byte("4"), 0)
	syncAll(t, f)
	if got := content(d, "a"); got != "3" {
		t.Errorf("an earlier sync that ends later kept what came after it: %q", got)
	}
	if loss := powerCut(d); loss.Writes != 1 {
		t.Errorf("%+v, want one write lost", loss)
	}
}

func TestFailedSync(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		d := New()
		f := write(t, d, "a", "1")
		syncAll(t, folder(d, "/"))
		d.Watch = func(c Call) Verdict { return Verdict{Errno: EIO, Dropped: forgets} }
		if errno := f.Sync(); errno != EIO {
			t.Fatalf("sync: %d", errno)
		}
		d.Watch = nil
		syncAll(t, f)
		if got := content(d, "a"); (got == "1") == forgets {
			t.Errorf("forgets %t: a later sync left %q", forgets, got)
		}
		b := make([]byte, 1)
		if _, errno := f.ReadAt(b, 0); errno != 0 || b[0] != '1' {
			t.Errorf("forgets %t: a program reads %q, %d", forgets, b, errno)
		}
	}
}

func TestCapacity(t *testing.T) {
	d := New()
	d.Capacity = 10
	f := write(t, d, "a", "12345678")
	if n, errno := f.WriteAt([]byte("abc"), 8); n != 0 || errno != ENOSPC || d.Refused != 1 {
		t.Errorf("%d, %d, refused %d", n, errno, d.Refused)
	}
	if _, errno := f.WriteAt([]byte("ab"), 8); errno != 0 {
		t.Errorf("the last two bytes: %d", errno)
	}
	if _, errno := f.WriteAt([]byte("xyz"), 0); errno != 0 {
		t.Errorf("overwriting a full disk: %d", errno)
	}
	if errno := f.Truncate(11); errno != ENOSPC {
		t.Errorf("growing by truncation: %d", errno)
	}
	if errno := d.Remove("a", false); errno != 0 || d.Used() != 0 {
		t.Errorf("%d, %d used", errno, d.Used())
	}
	_ = f.Truncate(0) // of a file without a name
	if d.Used() != 0 {
		t.Errorf("%d used", d.Used())
	}
}

func TestDamage(t *testing.T) {
	d := New()
	syncAll(t, write(t, d, "a", "1234"), folder(d, "/"))
	powerCut(d)
	image := d.Clone()
	if !d.Flip("a", 1, 0) || content(d, "a") != "1334" {
		t.Errorf("flipped: %q", content(d, "a"))
	}
	if !d.Cut("a", 2) || content(d, "a") != "13" || d.Used() != 2 {
		t.Errorf("cut: %q, %d used", content(d, "a"), d.Used())
	}
	if !d.Vanish("a") || d.Used() != 0 || d.Vanish("a") || d.Flip("a", 0, 0) || d.Cut("a", 0) {
		t.Errorf("vanished: %q, %d used", d.Durable(), d.Used())
	}
	d.Restore(image)
	other := New()
	d.Swap(other)
	if content(other, "a") != "1234" || other.Used() != 4 || len(d.Files("/")) != 0 {
		t.Errorf("restored and swapped: %q and %q", d.Durable(), other.Durable())
	}
	other.Wipe()
	if _, errno := other.Stat("a"); errno != ENOENT || other.Used() != 0 {
		t.Error("wiped, and the file is there")
	}
}

func TestShortAndPartial(t *testing.T) {
	d := New()
	f := write(t, d, "a", "12345678")
	d.Watch = func(Call) Verdict { return Verdict{Short: 3} }
	b := make([]byte, 8)
	if n, errno := f.ReadAt(b, 0); n != 3 || errno != 0 {
		t.Errorf("short read: %d, %d", n, errno)
	}
	if n, errno := f.WriteAt([]byte("abcdef"), 0); n != 3 || errno != 0 {
		t.Errorf("short write: %d, %d", n, errno)
	}
	d.Watch = func(Call) Verdict { return Verdict{Errno: EIO, Partial: 2} }
	if n, errno := f.WriteAt([]byte("xyz"), 5); n != 0 || errno != EIO {
		t.Errorf("failing write: %d, %d", n, errno)
	}
	d.Watch = nil
	if n, _ := f.ReadAt(b, 0); string(b[:n]) != "abc45xy8" {
		t.Errorf("%q", b[:n])
	}
}

func TestWritesTearAtSectors(t *testing.T) {
	const offset, length = 100, 3000
	torn := 0
	for seed := range uint64(50) {
		d := New()
		f := write(t, d, "a", string(make([]byte, 4000)))
		syncAll(t, f, folder(d, "/"))
		_, _ = f.WriteAt([]byte(strings.Repeat("x", length)), offset)
		d.Crash(Plan{Torn: 1}, rand.New(rand.NewPCG(seed, 1)))
		n := strings.Count(content(d, "a"), "x")
		if n == 0 || n == length {
			continue
		}
		torn++
		if (offset+n)%SectorBytes != 0 || !strings.HasPrefix(content(d, "a")[offset:], strings.Repeat("x", n)) {
			t.Errorf("%d bytes of a write at %d arrived", n, offset)
		}
	}
	if torn < 10 {
		t.Errorf("%d of 50 writes were torn", torn)
	}
}

// TestSubsetsArrive: in any order, and often with the last write among them, which is what names the others.
func TestSubsetsArrive(t *testing.T) {
	const seeds = 400
	last, first := 0, 0
	for seed := range uint64(seeds) {
		d := New()
		f := write(t, d, "a", "........")
		syncAll(t, f, folder(d, "/"))
		for i := range int64(8) {
			_, _ = f.WriteAt([]byte("x"), i)
		}
		d.Crash(Plan{Subset: 1}, rand.New(rand.NewPCG(seed, 1)))
		switch left := content(d, "a"); {
		case strings.HasSuffix(left, "x"):
			last++
		case strings.HasPrefix(left, "x"):
			first++
		}
	}
	if last < seeds*6/10 || last > seeds*9/10 || first < seeds/20 {
		t.Errorf("of %d crashes the last write survives in %d, and the first without it in %d", seeds, last, first)
	}
}

func TestAWriteGoesAstray(t *testing.T) {
	d := New()
	f := write(t, d, "log", strings.Repeat("a", 1024))
	syncAll(t, f, folder(d, "/"))
	elsewhere := int64(512)
	d.Watch = func(c Call) Verdict {
		if c.Kind == Write {
			return Verdict{Stray: &elsewhere}
		}
		return Verdict{}
	}
	if n, errno := f.WriteAt([]byte("bb"), 0); n != 2 || errno != 0 {
		t.Fatal(n, errno)
	}
	syncAll(t, f)
	var seen [4]byte
	if _, errno := f.ReadAt(seen[:], 0); errno != 0 || string(seen[:]) != "bbaa" {
		t.Errorf("before the power fails the program sees %q, %d", seen, errno)
	}
	powerCut(d)
	if got := content(d, "log"); got != strings.Repeat("a", 512)+"bb"+strings.Repeat("a", 510) {
		t.Errorf("%q", got)
	}
}

func TestAReadIsAltered(t *testing.T) {
	d := New()
	f := write(t, d, "log", "abc")
	var given []string
	d.Watch = func(Call) Verdict {
		return Verdict{Alter: func(p []byte) {
			given = append(given, string(p))
			if len(p) > 0 {
				p[0] = 'x'
			}
		}}
	}
	b := make([]byte, 8)
	if n, errno := f.ReadAt(b, 1); n != 2 || errno != 0 || string(b[:n]) != "xc" {
		t.Errorf("%q, %d", b[:n], errno)
	}
	if n, errno := f.ReadAt(b, 3); n != 0 || errno != 0 {
		t.Error(n, errno)
	}
	d.Watch = nil
	if n, _ := f.ReadAt(b, 0); string(b[:n]) != "abc" || strings.Join(given, "|") != "bc|" {
		t.Errorf("the file has %q; given were %q", b[:n], given)
	}
}
