// Command wasmbuild builds a program of this module for wasip1, with the log modules patched as package wasm says.
//
//	go run ./internal/wasmbuild -o kvorum.wasm
//	go run ./internal/wasmbuild -vet
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/kvorum/kvorum/internal/wasmbuild/wasm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("wasmbuild", flag.ContinueOnError)
	flags.SetOutput(log)
	output := flags.String("o", "", "write the program to `FILE`")
	vet := flags.Bool("vet", false, "vet the program for wasip1")
	work := flags.String("work", "", "`FOLDER` for patched copies of modules (default: in the user's cache folder)")
	root := flags.String("root", ".", "`FOLDER` of go.mod")
	pkg := flags.String("package", "./cmd/kvorum", "main package to build")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output == "" && !*vet || flags.NArg() > 0 {
		flags.Usage()
		return fmt.Errorf("wasmbuild: give -o FILE, -vet or both, and nothing else")
	}
	config := wasm.Config{Root: *root, Work: *work}
	start := time.Now()
	if *vet {
		if err := wasm.Vet(ctx, config, *pkg); err != nil {
			return err
		}
		fmt.Fprintf(log, "vetted %s for wasip1 in %.1f s\n", *pkg, time.Since(start).Seconds())
	}
	if *output == "" {
		return nil
	}
	start = time.Now()
	if err := wasm.Build(ctx, config, *pkg, *output); err != nil {
		return err
	}
	info, err := os.Stat(*output)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: %.1f MB in %.1f s\n", filepath.Clean(*output), float64(info.Size())/1e6, time.Since(start).Seconds())
	return nil
}
