package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme: each kvorum command of the README is one that this program takes, with the file that stands beside it; and a
// node that is started so gets a configuration that is whole.
func TestReadme(t *testing.T) {
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(raw), " ")
	file := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(text)
	if file == nil {
		t.Fatal("the README shows no YAML file")
	}
	config := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(config, []byte(file[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	seen, nodes := 0, 0
	for i, part := range strings.Split(text, "```") {
		if i%2 == 0 {
			continue // between two blocks
		}
		for line := range strings.SplitSeq(part, "\n") {
			for _, command := range regexp.MustCompile(`\s{3,}`).Split(strings.TrimSpace(strings.TrimPrefix(line, "$ ")), -1) { // some lines show two
				args, is := strings.CutPrefix(strings.TrimSuffix(command, " &"), "kvorum ")
				if !is {
					continue
				}
				seen++
				c := new(cli)
				parser, err := newParser(c, &bytes.Buffer{}, &bytes.Buffer{})
				if err != nil {
					t.Fatal(err)
				}
				parsed, err := parser.Parse(strings.Fields(strings.NewReplacer("cluster.yaml", config, "'still here'", "still-here").Replace(args)))
				if err != nil {
					t.Errorf("%s: %v", command, err)
					continue
				}
				if parsed.Command() == "serve" {
					nodes++
					if _, err := c.Serve.config(&bytes.Buffer{}); err != nil {
						t.Errorf("%s: %v", command, err)
					}
				}
			}
		}
	}
	if seen < 12 || nodes != 4 {
		t.Errorf("found %d commands, %d of them nodes: is the README read as it is written?", seen, nodes)
	}
}
