package wire

import (
	"encoding/json"
	"testing"
)

// TestBatchOperationRefusesWhatCouldBeMeantOtherwise: each of these would silently lose or ignore something.
func TestBatchOperationRefusesWhatCouldBeMeantOtherwise(t *testing.T) {
	for line, ok := range map[string]bool{
		`{"op":"put","key":"k","value":""}`:                   true,
		`{"op":"put","key":"k","value":"v","if_revision":3}`:  true,
		`{"op":"get","key":"k"}`:                              true,
		`{"op":"put","key":"k"}`:                              false,
		`{"op":"put","key":"k","value":null}`:                 false,
		`{"op":"put","key":"k","value":"v","if_revision":0}`:  false,
		`{"op":"put","key":"k","value":"v","if_absemt":true}`: false,
		`{"op":"delete","key":"k","value":"v"}`:               false,
	} {
		var o BatchOperation
		if err := json.Unmarshal([]byte(line), &o); (err == nil) != ok {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, o := range []BatchOperation{{Op: "put", Key: []byte("k"), Value: []byte{}}, {Op: "delete", Key: []byte{0xff}, IfRevision: 7}} {
		raw, err := json.Marshal(o)
		var back BatchOperation
		if err == nil {
			err = json.Unmarshal(raw, &back)
		}
		if err != nil || back.Op != o.Op || string(back.Key) != string(o.Key) || back.IfRevision != o.IfRevision {
			t.Errorf("%+v: %s gave %+v, %v", o, raw, back, err)
		}
	}
}
