// Package house holds the rules of this repository that a compiler does not know, as tests: which package may import which,
// who may open sockets, what the production binary must not contain, and some habits. Each rule is a function from source
// files to violations; one test runs it over the repository, another feeds it files that break it.
package house
