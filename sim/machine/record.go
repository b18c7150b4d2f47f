package machine

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Record is one record of a trace, taken apart.
type Record struct {
	At        time.Duration // virtual
	Machine   uint32        // number of the life that called; the world's own events have none
	Function  string        // "" for an event of the world
	Arguments uint64        // a hash; of an event: of its text
	Result    uint64
}

// ParseRecord takes RecordBytes bytes of a trace apart.
func ParseRecord(b []byte) Record {
	r := Record{
		At: time.Duration(binary.LittleEndian.Uint64(b)), Machine: binary.LittleEndian.Uint32(b[8:]),
		Arguments: binary.LittleEndian.Uint64(b[16:]), Result: binary.LittleEndian.Uint64(b[24:]),
	}
	if number := binary.LittleEndian.Uint32(b[12:]); number != ^uint32(0) {
		r.Function = FunctionName(number)
	}
	return r
}

func (r Record) String() string {
	if r.Function == "" {
		return fmt.Sprintf("%s: an event of the world (%016x)", r.At, r.Arguments)
	}
	return fmt.Sprintf("%s: machine %d calls %s (%016x) = %d", r.At, r.Machine, r.Function, r.Arguments, int64(r.Result))
}
