//go:build !race

package deliver

// simSeeds is how many simulations are run.
const simSeeds = 40
