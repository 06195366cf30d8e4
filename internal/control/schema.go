package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/posthornhq/posthorn/internal/event"
)

const (
	// maxSchema bounds the text of a schema, in bytes.
	maxSchema = 64 << 10
	// maxSchemaDepth bounds its nesting.
	maxSchemaDepth = 64
	// maxViolations bounds what one event is told.
	maxViolations = 20
	// schemaURL is the base of a schema without an $id; nothing can be loaded from it.
	schemaURL = "posthorn:///schema"
)

// validator is a compiled schema. A compiled copy counts the work of one validation at a time, so each validation takes
// a copy of its own from the pool.
type validator struct {
	schema json.RawMessage
	size   int
	copies sync.Pool // of *compiledSchema
	check  func(data []byte) error
}

type compiledSchema struct {
	schema *jsonschema.Schema
	work   *budget
}

// newValidator compiles a JSON Schema (draft 2020-12 unless $schema names an older one, formats asserted), or says why
// it cannot. A schema must be whole: references to other documents are refused, whatever their scheme.
func newValidator(schema json.RawMessage) (*validator, string) {
	if len(schema) > maxSchema {
		return nil, fmt.Sprintf("must be at most %d bytes", maxSchema)
	}
	first, message := compileSchema(schema)
	if message != "" {
		return nil, message
	}
	v := &validator{schema: schema, size: len(schema)}
	v.check = v.checkData
	v.copies.Put(first)
	return v, ""
}

// errExternal is what the loader says to every reference that leaves the schema.
var errExternal = errors.New("external reference")

type denyLoader struct{}

// Load refuses.
func (denyLoader) Load(string) (any, error) { return nil, errExternal }

func compileSchema(schema json.RawMessage) (made *compiledSchema, message string) {
	// The library is well kept, but a schema is somebody's program: a fault in it must not end the server.
	defer func() {
		if recover() != nil {
			made, message = nil, "takes too much work to compile"
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, "must be JSON"
	}
	switch doc.(type) {
	case map[string]any, bool:
	default:
		return nil, "must be a JSON object or a boolean"
	}
	if message := checkTree(doc, maxSchemaDepth); message != "" {
		return nil, message
	}
	work := newBudget()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(denyLoader{})
	work.install(compiler)
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return nil, "is not a JSON Schema"
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		return nil, compileMessage(err)
	}
	return &compiledSchema{compiled, work}, ""
}

// compileMessage says what is wrong with a schema. The text comes from the schema's author and goes back to them.
func compileMessage(err error) string {
	if errors.Is(err, errExternal) {
		return "must not refer to other documents ($ref, $schema): put what it needs into $defs"
	}
	const pattern = "has a regular expression that is not valid (RE2 syntax) or too large"
	if errors.Is(err, errPattern) {
		return pattern
	}
	if _, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		return "must not refer to other documents ($ref, $schema): put what it needs into $defs"
	}
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if violation, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			if list := violationsOf(violation); len(list) > 0 {
				if list[0].Message == formatRegexp {
					return pattern + fmt.Sprintf(" at %q", event.Printable(list[0].Field))
				}
				return fmt.Sprintf("is not a JSON Schema: at %q it %s", event.Printable(list[0].Field), list[0].Message)
			}
		}
	}
	return "is not a JSON Schema that can be compiled: a reference, an anchor or a regular expression in it is wrong"
}

func (v *validator) checkData(data []byte) error {
	list := v.violations(data)
	if len(list) == 0 {
		return nil
	}
	for i := range list {
		list[i].Field = "data" + list[i].Field
	}
	return &event.Error{
		Kind: event.KindInvalid, Code: "schema_violation", Detail: "the data does not satisfy the schema of its event type", Fields: list,
	}
}

// violations holds data to the schema. Fields are JSON pointers; messages speak of the schema and never of values.
func (v *validator) violations(data []byte) (list []event.FieldError) {
	one := func(message string) []event.FieldError { return []event.FieldError{{Message: message}} }
	var doc any
	if len(data) > 0 {
		var err error
		if doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(data)); err != nil {
			return one("must be JSON")
		}
	}
	if message := checkTree(doc, maxSchemaDepth); message != "" {
		return one(message)
	}
	compiled, ok := v.copies.Get().(*compiledSchema)
	if !ok {
		var message string
		if compiled, message = compileSchema(v.schema); message != "" {
			return one("cannot be checked against its schema")
		}
	}
	// A copy that panicked is not used again.
	defer func() {
		if recover() != nil {
			list = one("takes too much work to check against its schema")
		}
	}()
	compiled.work.reset()
	err := compiled.schema.Validate(doc)
	v.copies.Put(compiled)
	if violation, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		list = violationsOf(violation)
	}
	if err != nil && len(list) == 0 {
		return one("does not satisfy the schema")
	}
	return list
}

// violationsOf returns the leaves of a tree of violations: the causes, not the combinations that failed by them.
func violationsOf(e *jsonschema.ValidationError) []event.FieldError {
	var list []event.FieldError
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(list) >= maxViolations {
			return
		}
		if len(e.Causes) == 0 {
			list = append(list, event.FieldError{Field: pointer(e.InstanceLocation), Message: describeViolation(e.ErrorKind)})
			return
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(e)
	return list
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// pointer writes a JSON pointer (RFC 6901).
func pointer(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		_, _ = pointerEscape.WriteString(&b, t) // a strings.Builder never fails
	}
	return b.String()
}

const (
	formatMessage = "must be of the format "
	formatRegexp  = formatMessage + "regex"
)

// describeViolation says which rule was broken without quoting what broke it.
func describeViolation(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "must be " + strings.Join(k.Want, " or ")
	case *kind.Required:
		return "lacks " + quoteAll(k.Missing)
	case *kind.DependentRequired:
		return "lacks " + quoteAll(k.Missing)
	case *kind.Dependency:
		return "lacks " + quoteAll(k.Missing)
	case *kind.Format:
		return formatMessage + event.Printable(k.Want)
	case *kind.Pattern:
		return "must match the pattern " + event.Printable(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("must be at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must be at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.AdditionalProperties, *kind.FalseSchema:
		return "has or is a property that is not allowed"
	case *kind.Enum:
		return "must be one of the values that the schema lists"
	case *kind.Const:
		return "must be the value that the schema names"
	case *kind.UniqueItems:
		return "must not have equal items"
	default:
		return "must satisfy " + keyword(k)
	}
}

func keyword(k jsonschema.ErrorKind) string {
	if path := k.KeywordPath(); len(path) > 0 {
		return path[0]
	}
	return "its schema"
}

// maxNamed is how many missing properties are named.
const maxNamed = 5

func quoteAll(names []string) string {
	quoted := make([]string, 0, maxNamed+1)
	for i, n := range names {
		if i == maxNamed {
			quoted = append(quoted, "…")
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", event.Printable(n)))
	}
	return strings.Join(quoted, ", ")
}
