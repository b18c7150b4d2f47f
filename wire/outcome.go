package wire

// Outcome says what became of an operation. Every reply carries one in the header Kvorum-Outcome. The three never mix: a
// reply that says not-applied is a proof that the operation has not happened and never will; unknown promises nothing.
type Outcome string

const (
	// Applied: a write took effect and is durable on a majority, or a read was answered (also with "absent").
	Applied Outcome = "applied"
	// NotApplied: the operation had no effect and never will have; it is safe to send it again.
	NotApplied Outcome = "not-applied"
	// Unknown: the operation may or may not take effect, now or later. Ask GET /v1/operations/{key} or repeat it under
	// its Idempotency-Key.
	Unknown Outcome = "unknown"
)

// Valid reports whether o is one of the three outcomes.
func (o Outcome) Valid() bool { return o == Applied || o == NotApplied || o == Unknown }
