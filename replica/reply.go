package replica

import (
	"net/http"
	"strconv"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// Reply is the answer to a Request that was carried out here, good or bad.
type Reply struct {
	Status   int
	Outcome  wire.Outcome
	Code     wire.Code // of the problem body; "" when there is none
	Detail   string
	Revision store.Revision // the tag; on precondition-failed the key's present revision
	Value    []byte         // get and head with 200; shared with the store: read only
	Replayed bool
	Receipt  Receipt
}

// Problem is the reply's problem body. Its outcome is the reply's own: a read that found no key was answered.
func (p *Reply) Problem() wire.Problem {
	problem := wire.NewProblem(p.Code, p.Detail)
	problem.Outcome = p.Outcome
	if p.Code == wire.CodePreconditionFailed {
		problem.Revision = uint64(p.Revision)
	}
	return problem
}

// Values that many replies share. Nobody changes a header's value list in place.
var (
	octetStream = []string{"application/octet-stream"}
	zeroLength  = []string{"0"}
	yes         = []string{"true"}
	outcomes    = map[wire.Outcome][]string{wire.Applied: {string(wire.Applied)}, wire.NotApplied: {string(wire.NotApplied)}, wire.Unknown: {string(wire.Unknown)}}
)

// Write sends the reply. session is the one that the request carried.
func (p *Reply) Write(w http.ResponseWriter, op Operation, session Session) {
	h := w.Header()
	if p.Replayed {
		h[wire.HeaderReplayed] = yes
	}
	if p.Code != "" {
		p.Receipt.WriteHeaders(h, session)
		p.Problem().Write(w)
		return
	}
	h[wire.HeaderOutcome] = outcomes[p.Outcome]
	p.writeSuccess(h, op, session)
	w.WriteHeader(p.Status)
	if op == Get && p.Status == http.StatusOK {
		_ = WriteBody(w, p.Value) // the client has gone away: nobody is left to tell
	}
}

// writeSuccess fills all headers of a reply without a problem body, tag and length included.
func (p *Reply) writeSuccess(h http.Header, op Operation, session Session) {
	var scratch [192]byte
	var f numbers
	text := p.Receipt.format(scratch[:0], &f, session)
	if p.Revision != 0 && p.Status != http.StatusNoContent {
		text = strconv.AppendUint(append(text, '"'), uint64(p.Revision), 10)
		text = f.cut(append(text, '"'))
	}
	tag := f.n
	long := op == Head || len(p.Value) > bufferedBytes // net/http gives the length of what it holds back, without a header here
	if long {
		text = f.uint(text, uint64(len(p.Value)))
	}
	values := f.values(text, 2)
	p.Receipt.place(h, values)
	if tag > receiptNumbers {
		h["Etag"] = one(values, receiptNumbers)
	}
	switch {
	case op.Reads() && p.Status == http.StatusOK:
		h["Content-Type"] = octetStream
		if long {
			h["Content-Length"] = one(values, tag)
		}
	case p.Status != http.StatusNoContent && p.Status != http.StatusNotModified:
		h["Content-Length"] = zeroLength
	}
}

// Fail sends an error as its problem body. A leader hint goes into its header for other nodes.
func Fail(w http.ResponseWriter, err error) {
	failure := AsError(err)
	h := w.Header()
	if failure.Leader != "" {
		h[wire.HeaderLeader] = []string{failure.Leader}
	}
	wire.NewProblem(failure.Code, failure.Detail).Write(w)
}
