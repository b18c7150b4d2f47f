package faultfs

import "time"

// Faults are in force until they are set anew. The zero Faults is a healthy disk.
type Faults struct {
	SlowFsync   time.Duration // each fsync takes so much longer
	StallFsync  bool          // fsyncs do not end, until this is false again
	FailReads   bool          // EIO. The kernel's cache is dropped, so a mapped file is hit too: its process gets SIGBUS
	FailWrites  bool          // EIO
	FailFsyncs  bool          // EIO; what was to be synced stays unsynced
	ForgetOnEIO bool          // with FailFsyncs: as Linux does, the cache takes the data for written: no later fsync saves them
	Full        bool          // no more bytes than there were when this was set: ENOSPC. What is removed makes room
	CopyOnWrite bool          // with Full: as btrfs and ZFS do, it takes room to write over what is there, too
	LyingFsync  bool          // fsync says that all is well and does nothing. Beyond Raft: acknowledged writes may be lost
}

// Counters prove that faults struck. They only grow, over power cuts too.
type Counters struct {
	Fsyncs  int64 // that did what they say, of files and folders
	Delayed int64 // fsyncs that SlowFsync made late
	Stalled int64 // fsyncs that met StallFsync
	Lied    int64 // fsyncs that LyingFsync left undone although there was something to do

	ReadErrors, WriteErrors, FsyncErrors int64 // EIO given
	NoSpace                              int64 // ENOSPC given
	Forgotten                            int64 // writes that a failed fsync forgot

	Lost Loss // by power cuts
}

// Loss is what power cuts took.
type Loss struct {
	Cuts   int64
	Bytes  int64 // written, not synced, and gone
	Writes int64 // of which these did not arrive at all
	Torn   int64 // and these in part
	Names  int64 // created, renamed or removed without their folder's sync, and undone
}

// Effect is the number of times that anything struck: 0 means that a fault was asked for in vain.
func (c Counters) Effect() int64 {
	return c.Delayed + c.Stalled + c.Lied + c.ReadErrors + c.WriteErrors + c.FsyncErrors + c.NoSpace + c.Lost.Effect()
}

// Effect is the number of things that were lost.
func (l Loss) Effect() int64 { return l.Writes + l.Torn + l.Names }

// Minus is what came since before.
func (c Counters) Minus(before Counters) Counters { return c.plus(before, -1) }

func (c Counters) plus(o Counters, sign int64) Counters {
	add := func(to *int64, n int64) { *to += sign * n }
	add(&c.Fsyncs, o.Fsyncs)
	add(&c.Delayed, o.Delayed)
	add(&c.Stalled, o.Stalled)
	add(&c.Lied, o.Lied)
	add(&c.ReadErrors, o.ReadErrors)
	add(&c.WriteErrors, o.WriteErrors)
	add(&c.FsyncErrors, o.FsyncErrors)
	add(&c.NoSpace, o.NoSpace)
	add(&c.Forgotten, o.Forgotten)
	add(&c.Lost.Cuts, o.Lost.Cuts)
	add(&c.Lost.Bytes, o.Lost.Bytes)
	add(&c.Lost.Writes, o.Lost.Writes)
	add(&c.Lost.Torn, o.Lost.Torn)
	add(&c.Lost.Names, o.Lost.Names)
	return c
}

// Plan says what a power cut leaves of what was not synced. The chances are drawn for each file.
type Plan struct {
	KeepAll  float64 // chance that everything arrived
	KeepNone float64 // chance that nothing did
	Subset   float64 // otherwise: chance of any subset in place of a prefix
	Torn     float64 // chance that a write which arrives last, or in a subset, does so only in part, by sectors
	Names    bool    // unsynced names may survive: a prefix of them, in the order in which they were made

	// MidFsync is how long to wait for an fsync to strike in the middle of, one of the next few that have something to do: a
	// program that syncs all the time has next to nothing unsynced at a moment that was chosen blindly. 0: at once.
	MidFsync time.Duration
}

// DropAll leaves exactly what was synced.
func DropAll() Plan { return Plan{KeepNone: 1} }

// Mixed leaves what a drive with a cache and a journaling file system might, and strikes in the middle of an fsync if there
// is one within a second.
func Mixed() Plan {
	return Plan{KeepAll: 0.1, KeepNone: 0.3, Subset: 0.5, Torn: 0.5, Names: true, MidFsync: time.Second}
}
