// Package linearizability takes recorded histories of a key-value store in and gives verdicts out. It knows nothing of
// kvorum: any store whose keys are registers with revisions can be judged by it. The search itself is porcupine's.
//
// # The history format
//
// A history is a file of JSON lines, one completed (or abandoned) operation per line, in any order:
//
//		{"op":"cas","key":"x","input":{"value":"b","revision":7},"output":{"result":"ok","revision":9},
//		 "outcome":"applied","call":1200,"return":3400,"client":3,"node":"s0n1",
//		 "receipt":{"shard":0,"epoch":1,"term":4,"index":91,"consistency":"linearizable; leader"}}
//
//	  - op: put (unconditional), create (only if absent), update (only if present), cas (only at input.revision),
//	    delete (at input.revision when that is not 0, else unconditional), get.
//	  - key: text, or key_base64 for bytes that are not UTF-8. The same pair exists for every value.
//	  - input.consistency (get): what was asked for; empty means linearizable. Gets that asked for less are not judged.
//	  - output.result: ok, absent (a get or delete found nothing) or precondition-failed. Empty: nothing was learnt.
//	    output.revision: after a write the key's new revision, on a get the revision read, on precondition-failed the key's
//	    present revision (0 = absent). 0 on a delete: not told. output.value: what a get read.
//	  - outcome: applied, not-applied (a proof that it never happened and never will) or unknown (promises nothing).
//	  - call, return: nanoseconds on one clock that all clients share. The interval is closed at both ends.
//	  - client, node, receipt: who asked, which replica executed, and what that replica said of itself; for people and for
//	    reports, the verdict does not depend on them.
//
// # What is judged
//
// An operation with a result is an observation, also a refused one: precondition-failed and absent say something about the
// state. A write of unknown outcome stays open for ever, under a client id of its own: it may take effect at any time
// after its call, or never. A not-applied operation without a result and a get without one say nothing: both are dropped.
//
// Revisions of a key only grow, by one or more for each write that takes effect (the counter may be shared with other
// keys), and a get shows exactly the revision that the write it sees was given. So a write that is executed twice is a
// violation even where its value gives nothing away.
package linearizability
