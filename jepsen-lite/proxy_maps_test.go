//go:build deploy

package jepsenlite

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// wrongMaps are slot maps that no cluster of three equal shards has.
func wrongMaps() map[string]func(slot int) string {
	return map[string]func(slot int) string{
		"rotated by one": func(slot int) string { return fmt.Sprintf("s%d:1", (slot+1)%3) },
		"stale":          func(slot int) string { return fmt.Sprintf("s%d:1", slot%2) }, // of a time with two shards
		"every other row": func(slot int) string {
			if slot%2 == 0 {
				return ""
			}
			return fmt.Sprintf("s%d:1", slot%3)
		},
		"unknown shard": func(int) string { return "s9:7" },
		"nonsense":      func(slot int) string { return []string{"x", ":", "s:", "1", "s0:1:r"}[slot%5] },
		"empty":         func(int) string { return "" },
	}
}

// rightInSpiteOfTheMap puts wrong maps into HAProxy, without a router that would mend them: every reply is right. Then the
// router comes and mends the last.
func rightInSpiteOfTheMap(ctx context.Context, t *testing.T, p *proxied) {
	_, err := p.r.Terminate(ctx)
	check(t, err)
	var lists [][]routingCheck
	for b := range 256 {
		raw := fmt.Sprintf("m%%%02X", b)
		life := lifeOf(raw, "m"+string([]byte{byte(b)}))
		lists = append(lists, []routingCheck{life[0], life[1], life[4]}) // PUT, GET, DELETE
	}
	for name, row := range wrongMaps() {
		setMap(ctx, t, p.h, row)
		run := p.newRoutingRun(ctx, t, strings.ReplaceAll(name, " ", "-"), row)
		run.all(t, p.h.Front.API, lists)
		run.judge(ctx, t, p.h) // HAProxy did go by this map
		t.Logf("map %s: %d requests, %d wrong answers", name, run.n.Load(), run.wrong.Load())
	}
	onlyReadsReuseConnections(ctx, t, p.h)
	check(t, p.r.Start())
	check(t, cluster.WaitFor(ctx, "the router to mend the map", func(ctx context.Context) error { return hasTrueMap(ctx, p.h) }))
}

// trueRow is a slot's row as a new cluster of three shards has it: shard and epoch.
func trueRow(slot int) string { return fmt.Sprintf("s%d:1", slot%3) }

// mapIsInUse: HAProxy itself lists the map file as one that it looks things up in, with all rows. (That it goes by them is
// in its log: see judge.)
func mapIsInUse(ctx context.Context, t *testing.T, h *cluster.HAProxy) {
	list, err := h.Command(ctx, "show map", "")
	check(t, err)
	if !strings.Contains(list, "("+h.MapFile()+") pattern loaded from file '"+h.MapFile()+"' used by map") {
		t.Errorf("show map does not list %s: %s", h.MapFile(), list)
	}
	check(t, hasTrueMap(ctx, h))
}

func hasTrueMap(ctx context.Context, h *cluster.HAProxy) error {
	text, err := h.Command(ctx, "show map "+h.MapFile(), "")
	if err != nil {
		return err
	}
	for slot := range 256 {
		if !strings.Contains(text, fmt.Sprintf(" %d %s\n", slot, trueRow(slot))) {
			return fmt.Errorf("the row of slot %d is missing in %.100s", slot, text)
		}
	}
	if rows := strings.Count(strings.TrimSpace(text), "\n") + 1; rows != 256 {
		return fmt.Errorf("%d rows, want 256", rows)
	}
	return nil
}

// setMap replaces HAProxy's slot map; an empty row is left out.
func setMap(ctx context.Context, t *testing.T, h *cluster.HAProxy, row func(slot int) string) {
	t.Helper()
	reply, err := h.Command(ctx, "prepare map "+h.MapFile(), "")
	check(t, err)
	version := strings.TrimPrefix(strings.TrimSpace(reply), "New version created: ")
	var rows bytes.Buffer
	for slot := range 256 {
		if text := row(slot); text != "" {
			fmt.Fprintf(&rows, "%d %s\n", slot, text)
		}
	}
	for _, step := range []struct{ line, payload string }{{"add map @" + version + " " + h.MapFile(), rows.String()}, {"commit map @" + version + " " + h.MapFile(), ""}} {
		if strings.HasPrefix(step.line, "add") && step.payload == "" {
			continue
		}
		reply, err := h.Command(ctx, step.line, step.payload)
		check(t, err)
		if strings.TrimSpace(reply) != "" {
			t.Fatalf("%s: %s", step.line, reply)
		}
	}
}

// onlyReadsReuseConnections: no backend that takes writes keeps a connection for the next request, that without a row included.
func onlyReadsReuseConnections(ctx context.Context, t *testing.T, h *cluster.HAProxy) {
	t.Helper()
	text, err := h.Command(ctx, "show servers conn", "")
	check(t, err)
	var column int
	kept := map[string]int{} // by backend
	for line := range strings.Lines(text) {
		fields := strings.Fields(strings.TrimPrefix(line, "#"))
		if strings.HasPrefix(line, "#") {
			column = slices.Index(fields, "idle_cur")
			continue
		}
		if len(fields) > column && column > 0 {
			backend, _, _ := strings.Cut(fields[0], "/")
			idle, err := strconv.Atoi(fields[column])
			check(t, err)
			kept[backend] += idle
		}
	}
	for backend, idle := range kept {
		if reads := strings.HasSuffix(backend, "_r"); reads != (idle > 0) {
			t.Errorf("HAProxy keeps %d idle connections of %s", idle, backend)
		}
	}
	if len(kept) != 7 {
		t.Errorf("show servers conn lists %v", kept)
	}
}
