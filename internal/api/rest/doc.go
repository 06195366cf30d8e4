// Package rest is the HTTP API, version 1.
package rest
