// Package linearizability takes recorded histories of a key-value store in and gives verdicts out. It knows nothing of
// kvorum: any store whose keys are registers can be judged by it. The search is porcupine's; a second method replays the
// order in which the store's machines committed the writes.
//
//   - History, Reader, Writer: the history format. Commit, ReadCommits, CommitWriter: the commit log format.
//   - ReadEDN: register histories of Jepsen.
//   - Check: a verdict for each key and for the whole.
//   - WriteReport: a folder with pages for people.
//
// README.md beside this file describes the formats, what is judged and how.
package linearizability
