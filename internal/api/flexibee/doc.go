// Package flexibee is the HTTP interface of ABRA FlexiBee's Changes API and web hooks, so that programs written for those
// work with Posthorn: a tenant is a company, an event that is an [event.RecordChange] a change, its version the global
// version, and an endpoint of the kind flexibee a hook.
//
// A request goes route → who → [API] method → answer in XML or JSON. What is listed is read from the log; what is
// registered is an endpoint, delivered by the lanes like any other. docs/flexibee.md describes the interface.
package flexibee
