// Package jepsenlite puts hard questions to real kvorum processes: kill -9, pauses, full and stalled disks, wrong data
// folders, under load, with real files and real sockets. The tests are the package; the harness is jepsen-lite/cluster, with
// disks whose power can be cut (jepsen-lite/faultfs) and networks that can be (jepsen-lite/netns).
//
// Some tests need a file system of their own and therefore root; they are skipped with the reason where that can't be
// had, unless KVORUM_CI=1, which makes a skip a failure. KVORUM_FULL=1 imports the whole word list instead of a part.
// The folder of a failed run (data, logs, history) is kept and named; KVORUM_RUNS says where such folders are made.
package jepsenlite
