// Package patch reads unified diffs and applies them to the sources of the program and of its dependencies, for builds only:
// neither the project's files nor the module cache are changed.
//
//	# any comment
//	--- a/replica/controller/reads.go
//	+++ b/replica/controller/reads.go
//	@@ -60,7 +60,6 @@
//
// A name is relative to the project, or begins with the import path of a module that go.mod requires, such as
// a/github.com/hashicorp/raft/raft.go. What git diff and diff -u write is understood. The reader is strict where others are
// not (github.com/bluekeyes/go-gitdiff passes over text between files, takes either of two names that differ, and applies at
// exact line numbers only): a hunk that is silently left out would make a planted bug look like one that nobody can find.
//
// A hunk applies where all its old lines stand, each exactly; only the line number may be off. Sources are those as published:
// what our own build for wasip1 changes comes afterwards.
package patch
