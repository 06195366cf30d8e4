//go:build race

package deliver

// simSeeds is how many simulations are run. With Go 1.26 the race detector now and then crashes by itself while it moves the
// time of many long bubbles on, so there are few of them here.
const simSeeds = 1
