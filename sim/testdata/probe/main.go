// Command probe stands in for kvorum in a machine of the simulator and tells what it sees from inside: of its clocks, its
// disk, its peers, its scheduler. It prints one line per observation; the tests of the fault classes read them.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kvorum/kvorum/network"
)

const (
	pause    = 50 * time.Millisecond
	patience = 700 * time.Millisecond
	message  = 1024
)

func main() {
	flags := map[string]string{}
	for i, a := range os.Args {
		name, value, found := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if !found && i+1 < len(os.Args) {
			value = os.Args[i+1]
		}
		flags[name] = value
	}
	switch {
	case flags["errand"] != "":
		fmt.Println(`{"event":"reply","reply":{}}`)
	case flags["endpoints"] != "":
		for _, e := range strings.Split(flags["endpoints"], ",") {
			go talk(os.Stderr, strings.TrimPrefix(e, "http://"))
		}
		select {}
	default:
		node(flags["node"], flags["members"])
	}
}

func node(name, members string) {
	if why := look(); why != "" {
		fmt.Println("probe:", why)
		os.Exit(1)
	}
	for _, port := range []string{":8080", ":7080"} {
		go serve("0.0.0.0" + port)
	}
	for _, m := range strings.Split(members, ",") {
		if peer, rest, _ := strings.Cut(m, "="); peer != name {
			address, _, _ := strings.Cut(rest, "/")
			go talk(os.Stdout, address)
		}
	}
	go beat()
	go work()
	go order()
	go logs(strings.HasSuffix(name, "n0"))
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	<-term
	fmt.Println("stopping")
}

// look tells what an earlier life left, and refuses what cannot be.
func look() string {
	if err := os.MkdirAll("/data", 0o700); err != nil {
		return err.Error()
	}
	if err := syncFolder("/"); err != nil {
		return err.Error()
	}
	synced, err := os.ReadFile("/data/raft.db")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	who, err := os.ReadFile("/data/identity.json")
	switch {
	case err != nil && (len(synced) > 0 || !errors.Is(err, os.ErrNotExist)):
		return "no identity: " + err.Error()
	case err == nil && string(who) != os.Args[4]:
		return fmt.Sprintf("identity %q", who)
	case err != nil:
		if err := write("/data/identity.json", []byte(os.Args[4])); err != nil {
			return err.Error()
		}
	}
	if want := bytes.Repeat([]byte{'x'}, len(synced)); !bytes.Equal(synced, want) || len(synced)%100 != 0 || err == nil && len(synced) == 0 {
		return fmt.Sprintf("raft.db is damaged: %d bytes", len(synced))
	}
	if err := errors.Join(os.MkdirAll("/tree/a/b", 0o700), os.WriteFile("/tree/a/f", nil, 0o600), os.RemoveAll("/tree")); err != nil {
		return err.Error()
	}
	unsynced, _ := os.ReadFile("/data/unsynced")
	_, named := os.Stat("/data/named")
	fmt.Println("found", len(synced)/100, len(unsynced)/100, named == nil)
	return ""
}

func write(name string, b []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close(), syncFolder("/data"))
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// took tells how long a call on the disk took, in milliseconds.
func took(what string, call func() error) {
	began := time.Now()
	err := call()
	fmt.Println("took", what, time.Since(began).Milliseconds(), err)
}

// plain writes to a file and reads it where the last call ended, as a program does that copies files.
func plain(f *os.File, block []byte) {
	if f == nil {
		return
	}
	_, _ = f.Seek(0, io.SeekStart)
	took("write", func() error { _, err := f.Write(block); return err })
	_, _ = f.Seek(0, io.SeekStart)
	took("read", func() error { _, err := f.Read(make([]byte, len(block))); return err })
}

// work writes 100 bytes again and again, with and without a sync, and makes and removes a name.
func work() {
	block := bytes.Repeat([]byte{'x'}, 100)
	f, err := os.OpenFile("/data/raft.db", os.O_CREATE|os.O_RDWR, 0o600)
	for err != nil {
		fmt.Println("open", err)
		time.Sleep(pause)
		f, err = os.OpenFile("/data/raft.db", os.O_CREATE|os.O_RDWR, 0o600)
	}
	info, _ := f.Stat()
	end := info.Size()
	_ = write("/data/unsynced", nil)
	u, _ := os.OpenFile("/data/unsynced", os.O_RDWR, 0o600)
	_ = write("/data/written", nil)
	p, _ := os.OpenFile("/data/written", os.O_RDWR, 0o600)
	for n := 1; ; n++ {
		began := time.Now()
		_, err := f.WriteAt(block, end)
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			end += 100
		}
		fmt.Println("disk", end/100, time.Since(began).Milliseconds(), err)
		if u != nil {
			if _, err := u.WriteAt(block, int64(n)*100-100); err == nil {
				fmt.Println("unsynced", n)
			}
		}
		var got int
		took("pread", func() error { got, err = syscall.Pread(int(f.Fd()), make([]byte, 100), 0); return err })
		fmt.Println("read", got, err)
		plain(p, block)
		_, err = os.Create("/data/named")
		fmt.Println("name", err, os.Rename("/data/named", "/data/named2"))
		time.Sleep(pause)
	}
}

func beat() {
	began := time.Now()
	for {
		asked := time.Now()
		time.Sleep(2 * pause)
		fmt.Println("beat", time.Since(began).Microseconds(), time.Now().UnixMicro(), time.Since(asked).Microseconds())
	}
}

// order prints in which order eight goroutines run that become ready at one time.
func order() {
	for {
		var list []byte
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { list = append(list, '0'+byte(i)) })
		}
		wg.Wait()
		fmt.Println("order", string(list))
		time.Sleep(4 * pause)
	}
}

// logs prints what the world listens for in kvorum's log.
func logs(leader bool) {
	if leader {
		fmt.Println(`{"msg":"leads the shard"}`)
	}
	for {
		fmt.Println(`{"msg":"compacting logs"}`)
		fmt.Println(`{"msg":"installing snapshot on"}`)
		time.Sleep(10 * pause)
	}
}

func serve(address string) {
	l, err := network.Listen(context.Background(), address)
	for err != nil {
		fmt.Println("listen", err)
		time.Sleep(pause)
		l, err = network.Listen(context.Background(), address)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		go func() {
			_, _ = io.Copy(c, c)
			c.Close()
		}()
	}
}

// talk sends numbered messages and wants them back.
func talk(w io.Writer, address string) {
	peer, _, _ := strings.Cut(address, ":")
	var c net.Conn
	for n := 0; ; n++ {
		time.Sleep(pause)
		began := time.Now()
		if c == nil {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			var err error
			c, err = network.Dial(ctx, address)
			cancel()
			if err != nil {
				c = nil
				fmt.Fprintln(w, "ping", peer, 0, "dial", err)
				continue
			}
		}
		out := bytes.Repeat([]byte{byte(n)}, message)
		in := make([]byte, message)
		_ = c.SetDeadline(began.Add(patience))
		_, err := c.Write(out)
		if err == nil {
			_, err = io.ReadFull(c, in)
		}
		if err == nil && !bytes.Equal(in, out) {
			err = errors.New("other bytes came back")
		}
		fmt.Fprintln(w, "ping", peer, time.Since(began).Milliseconds(), err)
		if err != nil {
			c.Close()
			c = nil
		}
	}
}
