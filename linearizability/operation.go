package linearizability

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Kind says what an operation does. The names are those of the history format.
type Kind string

const (
	Put    Kind = "put"
	Create Kind = "create"
	Update Kind = "update"
	CAS    Kind = "cas"
	Delete Kind = "delete"
	Get    Kind = "get"
	List   Kind = "list" // reads many keys; each is judged as a Get over the same interval
)

func (k Kind) valid() bool {
	switch k {
	case Put, Create, Update, CAS, Delete, Get, List:
		return true
	}
	return false
}

// reads reports whether the operation changes nothing.
func (k Kind) reads() bool { return k == Get || k == List }

// Outcome is what the client may believe about an operation.
type Outcome string

const (
	Applied    Outcome = "applied"
	NotApplied Outcome = "not-applied"
	Unknown    Outcome = "unknown"
)

// Result is what the store answered. Empty: it did not answer, or nothing that says anything about the key.
type Result string

const (
	OK                 Result = "ok"
	Absent             Result = "absent"
	PreconditionFailed Result = "precondition-failed"
)

// Input is what the client asked for.
type Input struct {
	Value          string
	Revision       uint64 // cas and conditional delete: the revision expected
	Expected       string // with ByValue: the value expected
	ByValue        bool   // cas and conditional delete compare values, not revisions: plain registers
	IdempotencyKey string // writes: operations on one key that share it are one write, executed at most once
	Consistency    string // get, list: linearizable, bounded or stale; empty means linearizable
}

// conditional: a cas or a delete that asks for a certain state.
func (i Input) conditional() bool { return i.Revision != 0 || i.ByValue }

// Output is what the client was told. See the package comment for when Revision is 0.
type Output struct {
	Result   Result
	Value    string
	Revision uint64
}

// Listing is what a list asked for and saw. It covers the keys that begin with Prefix, are greater than After (unless that
// is empty) and, with More, are not greater than the last of Items. What it covers and does not show it says is absent.
type Listing struct {
	Prefix string
	After  string
	Items  []Item // in the order of their keys, each once
	More   bool   // the listing was cut after the last item: it says nothing of later keys
}

// Item is one key that a list saw.
type Item struct {
	Key, Value string
	Revision   uint64
}

// covers reports whether the listing says something of key.
func (l *Listing) covers(key string) bool {
	if !strings.HasPrefix(key, l.Prefix) || l.After != "" && key <= l.After {
		return false
	}
	return !l.More || len(l.Items) > 0 && key <= l.Items[len(l.Items)-1].Key
}

// Receipt is what the replica that executed the operation said of itself.
type Receipt struct {
	Shard       uint32 `json:"shard"`
	Epoch       uint64 `json:"epoch,omitempty"`
	Term        uint64 `json:"term,omitempty"`
	Index       uint64 `json:"index,omitempty"`
	Consistency string `json:"consistency,omitempty"`
}

// Open is the return time of an operation whose end nobody knows.
const Open = math.MaxInt64

// Operation is one line of a history.
type Operation struct {
	Kind    Kind
	Key     string // "" for a list
	Input   Input
	Output  Output
	Listing *Listing // list only
	Outcome Outcome
	Call    int64 // nanoseconds
	Return  int64 // nanoseconds; ignored when Outcome is Unknown
	Client  int
	Node    string
	Receipt *Receipt
}

// Weak says that it is a read that asked for less than linearizable, which the order of the commits alone can judge.
func (o *Operation) Weak() bool {
	return o.Kind.reads() && o.Input.Consistency != "" && o.Input.Consistency != "linearizable"
}

// knownConsistency: a word that is misspelt would silently make a read one that is not judged.
func knownConsistency(word string) bool {
	switch word {
	case "", "linearizable", "bounded", "stale":
		return true
	}
	return false
}

// Validate reports the first thing that makes the operation meaningless, whatever the model.
func (o *Operation) Validate() error {
	switch {
	case !o.Kind.valid():
		return fmt.Errorf("op %s is none of put, create, update, cas, delete, get, list", quote(string(o.Kind)))
	case o.Outcome != Applied && o.Outcome != NotApplied && o.Outcome != Unknown:
		return fmt.Errorf("outcome %s is none of applied, not-applied, unknown", quote(string(o.Outcome)))
	case o.Client < 0:
		return fmt.Errorf("client %d is negative", o.Client)
	case o.Outcome != Unknown && o.Return < o.Call:
		return fmt.Errorf("return %d is before call %d", o.Return, o.Call)
	case o.Kind == CAS && !o.Input.conditional():
		return errors.New("cas needs input.revision or input.expected; to write only if absent use create")
	case o.Input.ByValue && (o.Kind != CAS && o.Kind != Delete || o.Input.Revision != 0):
		return errors.New("input.expected is for cas and delete, and not together with input.revision")
	case !o.Input.ByValue && o.Input.Expected != "":
		return errors.New("an expected value without ByValue means nothing")
	case o.Kind.reads() && o.Input.IdempotencyKey != "":
		return fmt.Errorf("a %s can't have an idempotency key", o.Kind)
	case !knownConsistency(o.Input.Consistency):
		return fmt.Errorf("input.consistency %s is none of linearizable, bounded, stale", quote(o.Input.Consistency))
	case (o.Kind == List) != (o.Listing != nil):
		return errors.New("a list, and nothing else, has a listing")
	}
	if o.Kind == List {
		return o.validateListing()
	}
	return o.validateOutput()
}

// validateOutput refuses results that contradict the outcome or that the operation can't have.
func (o *Operation) validateOutput() error {
	unconditional := o.Kind == Put || o.Kind == Get || o.Kind == Delete && !o.Input.conditional()
	switch o.Output.Result {
	case "":
		if o.Outcome == Applied {
			return errors.New("outcome applied needs output.result (ok; of a get that found nothing: absent)")
		}
		if o.Output != (Output{}) {
			return errors.New("output without output.result means nothing")
		}
		return nil
	case OK:
		if o.Outcome != Applied {
			return fmt.Errorf("result ok contradicts outcome %s: it goes with applied", o.Outcome)
		}
		return nil
	case Absent:
		if o.Kind != Get && o.Kind != Delete {
			return fmt.Errorf("a %s can't have the result absent: a write whose condition an absent key does not meet is precondition-failed", o.Kind)
		}
	case PreconditionFailed:
		if unconditional {
			return fmt.Errorf("an unconditional %s can't have the result precondition-failed%s", o.Kind, o.ifAbsent())
		}
	default:
		return fmt.Errorf("result %s is none of ok, absent, precondition-failed", quote(string(o.Output.Result)))
	}
	right := NotApplied
	if o.Kind == Get {
		right = Applied
	}
	if o.Outcome != right {
		return fmt.Errorf("result %s of a %s contradicts outcome %s: it goes with %s", o.Output.Result, o.Kind, o.Outcome, right)
	}
	return nil
}

// ifAbsent reminds of the result that a get or delete of nothing has.
func (o *Operation) ifAbsent() string {
	if o.Kind == Put {
		return ""
	}
	return ": if it found nothing, the result is absent"
}

func (o *Operation) validateListing() error {
	l := o.Listing
	switch {
	case o.Key != "":
		return errors.New("a list has no key")
	case o.Output != (Output{}) && o.Output != (Output{Result: OK}):
		return errors.New("a list has the result ok or none")
	case (o.Outcome == Applied) != (o.Output.Result == OK):
		return fmt.Errorf("result %q of a list contradicts outcome %s", o.Output.Result, o.Outcome)
	case o.Output.Result == "" && (len(l.Items) > 0 || l.More):
		return errors.New("items without output.result mean nothing")
	}
	for i := range l.Items {
		if key := l.Items[i].Key; !l.covers(key) || i > 0 && key <= l.Items[i-1].Key {
			return fmt.Errorf("listed key %s is outside of the listing or out of order", quote(key))
		}
	}
	return nil
}

// registerHint is what to do about a history of a store that has no revisions.
const registerHint = `; for a store without revisions say --model register, or begin the file with {"format":"kvorum-history","version":1,"model":"register"}`

// validateFor adds what the model asks for.
func (o *Operation) validateFor(m Model) error {
	if m == Register {
		if o.Input.Revision != 0 {
			return errors.New("the model register compares values: give input.expected, not input.revision")
		}
		return nil
	}
	ok, written := o.Output.Result == OK, !o.Kind.reads() && o.Kind != Delete
	switch {
	case o.Input.ByValue:
		return errors.New("the model kvorum compares revisions: give input.revision, not input.expected" + registerHint)
	case ok && (written || o.Kind == Get) && o.Output.Revision == 0:
		return fmt.Errorf("result ok of a %s needs output.revision in the model kvorum%s", o.Kind, registerHint)
	case o.Kind == List && slices.ContainsFunc(o.Listing.Items, func(i Item) bool { return i.Revision == 0 }):
		return errors.New("listed keys need a revision in the model kvorum" + registerHint)
	}
	return nil
}
