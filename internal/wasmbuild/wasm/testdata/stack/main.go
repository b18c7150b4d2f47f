// Command stack imports what the production program is made of, so that a test can say whether all of it compiles for
// wasip1 even while the program itself does not.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/alecthomas/kong"
	"github.com/gorilla/mux"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kvorum/kvorum/network"
)

func main() {
	var cli struct{ File string }
	kong.Parse(&cli)
	log, err := raftboltdb.New(raftboltdb.Options{Path: cli.File})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var _ raft.LogStore = log
	router := mux.NewRouter()
	router.Handle("/metrics", promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{}))
	_, _ = network.Dial, http.Serve
	fmt.Println(log.LastIndex())
}
