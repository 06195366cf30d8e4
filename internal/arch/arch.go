// Package arch has no code: its tests hold the import rules of the module and the links of its documentation.
//
// The tests read the import clauses of every Go file and every Markdown file in the
// work tree and compare them with the table of packages in arch_test.go.
package arch
