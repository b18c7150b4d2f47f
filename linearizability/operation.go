package linearizability

import (
	"errors"
	"fmt"
	"math"
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
)

func (k Kind) valid() bool {
	switch k {
	case Put, Create, Update, CAS, Delete, Get:
		return true
	}
	return false
}

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
	Value       string
	Revision    uint64 // cas and conditional delete: the revision expected
	Consistency string // get; empty means linearizable
}

// Output is what the client was told. See the package comment for when Revision is 0.
type Output struct {
	Result   Result
	Value    string
	Revision uint64
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
	Key     string
	Input   Input
	Output  Output
	Outcome Outcome
	Call    int64 // nanoseconds
	Return  int64 // nanoseconds; ignored when Outcome is Unknown
	Client  int
	Node    string
	Receipt *Receipt
}

// Validate reports the first thing that makes the operation meaningless.
func (o *Operation) Validate() error {
	switch {
	case !o.Kind.valid():
		return fmt.Errorf("op %q is none of put, create, update, cas, delete, get", o.Kind)
	case o.Outcome != Applied && o.Outcome != NotApplied && o.Outcome != Unknown:
		return fmt.Errorf("outcome %q is none of applied, not-applied, unknown", o.Outcome)
	case o.Client < 0:
		return fmt.Errorf("client %d is negative", o.Client)
	case o.Outcome != Unknown && o.Return < o.Call:
		return fmt.Errorf("return %d is before call %d", o.Return, o.Call)
	case o.Kind == CAS && o.Input.Revision == 0:
		return errors.New("cas needs input.revision; to write only if absent use create")
	}
	return o.validateOutput()
}

// validateOutput refuses results that contradict the outcome or that the operation can't have.
func (o *Operation) validateOutput() error {
	unconditional := o.Kind == Put || o.Kind == Get || o.Kind == Delete && o.Input.Revision == 0
	read := o.Kind == Get
	switch o.Output.Result {
	case "":
		if o.Outcome == Applied {
			return errors.New("outcome applied needs output.result")
		}
		if o.Output != (Output{}) {
			return errors.New("output without output.result means nothing")
		}
		return nil
	case OK:
		if o.Outcome != Applied {
			return fmt.Errorf("result ok contradicts outcome %s", o.Outcome)
		}
		if o.Kind != Delete && o.Output.Revision == 0 {
			return fmt.Errorf("result ok of a %s needs output.revision", o.Kind)
		}
		return nil
	case Absent:
		if o.Kind != Get && o.Kind != Delete {
			return fmt.Errorf("a %s can't have the result absent", o.Kind)
		}
	case PreconditionFailed:
		if unconditional {
			return fmt.Errorf("an unconditional %s can't have the result precondition-failed", o.Kind)
		}
	default:
		return fmt.Errorf("result %q is none of ok, absent, precondition-failed", o.Output.Result)
	}
	if want := NotApplied; !read && o.Outcome != want {
		return fmt.Errorf("result %s of a %s contradicts outcome %s", o.Output.Result, o.Kind, o.Outcome)
	}
	if read && o.Outcome != Applied {
		return fmt.Errorf("result %s of a get contradicts outcome %s", o.Output.Result, o.Outcome)
	}
	return nil
}
