// Package storetest holds every store to the contract of package store: [Run] is the conformance suite, [Model] a whole
// store in memory, [Faulty] a store that fails when told to.
//
// A store's own test calls Run with a function that opens it. The suite first tries each sentence of the contract, then
// drives the store and a Model side by side with random steps, also with the store opened anew after each step and with
// faults before and after each call.
package storetest
