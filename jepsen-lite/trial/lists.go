package trial

import (
	"fmt"
	"slices"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/workload"
)

// judgeLists asks of the lists that grew what needs no search: each acknowledged append is there once, none that was refused,
// and every later version of a list begins with the earlier one. It gives what is wrong.
func judgeLists(operations []lin.Operation, keys []string) (findings []string) {
	for _, key := range keys {
		last := lastRead(operations, key)
		if last == nil {
			findings = append(findings, fmt.Sprintf("list %q was never read", key))
			continue
		}
		elements := workload.Elements(last.Output.Value)
		findings = append(findings, twice(key, elements)...)
		for i := range operations {
			o := &operations[i]
			if o.Key != key || o.Kind != lin.CAS && o.Kind != lin.Create {
				continue
			}
			asked := workload.Elements(o.Input.Value)
			there := slices.Contains(elements, asked[len(asked)-1])
			switch {
			case o.Outcome == lin.Applied && !there:
				findings = append(findings, fmt.Sprintf("list %q: the acknowledged append of %s is lost", key, asked[len(asked)-1]))
			case o.Outcome == lin.Applied && (len(elements) < len(asked) || !slices.Equal(elements[:len(asked)], asked)):
				findings = append(findings, fmt.Sprintf("list %q: its version with %d elements is no beginning of the last one", key, len(asked)))
			case o.Outcome == lin.NotApplied && there:
				findings = append(findings, fmt.Sprintf("list %q: the refused append of %s is there", key, asked[len(asked)-1]))
			}
		}
	}
	return findings
}

// lastRead is the linearizable read of the key that was called last and answered.
func lastRead(operations []lin.Operation, key string) *lin.Operation {
	var last *lin.Operation
	for i := range operations {
		o := &operations[i]
		if o.Key == key && o.Kind == lin.Get && o.Input.Consistency == "" && o.Output.Result != "" && (last == nil || o.Call > last.Call) {
			last = o
		}
	}
	return last
}

func twice(key string, elements []string) (findings []string) {
	seen := map[string]bool{}
	for _, e := range elements {
		if seen[e] {
			findings = append(findings, fmt.Sprintf("list %q holds %s twice", key, e))
		}
		seen[e] = true
	}
	return findings
}
