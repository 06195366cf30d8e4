package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// maxWork bounds the work of one validation, in steps of about 10 ns. Without a bound a schema of a few lines whose
	// references fan out takes longer than the age of the universe on a small event.
	maxWork = 5_000_000
	// stepsOfNode is what one schema at one value costs at least.
	stepsOfNode = 50
	// stepsOfInstruction is what compiling an instruction of a regular expression costs.
	stepsOfInstruction = 100
	// maxRegexp bounds a regular expression's text, in bytes, and maxProgram its compiled form, in instructions. Matching
	// is linear in their product with the text.
	maxRegexp  = 1 << 10
	maxProgram = 2_000
	// maxDigits bounds a number's text, and maxExponent its power of ten: numbers are compared exactly, and 1e999999999
	// written out would fill the memory.
	maxDigits   = 400
	maxExponent = 400
)

// errPattern is wrapped by the refusal of a regular expression.
var errPattern = errors.New("regular expression")

// budget counts down the work of one validation and panics when it is spent; the validator recovers.
type budget struct{ left int }

func newBudget() *budget { return &budget{left: maxWork} }

func (b *budget) reset() { b.left = maxWork }

func (b *budget) spend(steps int) {
	if b.left -= steps; b.left < 0 {
		panic("control: validation takes too much work")
	}
}

// install makes a compiler's schemas charge the budget: each schema object for every value it is held to, by way of a
// vocabulary of its own, and each regular expression for every text.
func (b *budget) install(compiler *jsonschema.Compiler) {
	compiler.UseRegexpEngine(b.regexp)
	compiler.AssertVocabs()
	compiler.RegisterVocabulary(&jsonschema.Vocabulary{
		URL: "urn:posthorn:budget",
		Compile: func(_ *jsonschema.CompilerContext, obj map[string]any) (jsonschema.SchemaExt, error) {
			c := charge{budget: b, steps: stepsOfNode}
			for keyword, value := range obj {
				c.steps += stepsOfNode * width(value)
				switch keyword {
				case "uniqueItems", "enum", "const":
					c.deep = true
				}
			}
			return c, nil
		},
	})
}

// charge is what one schema object costs.
type charge struct {
	budget *budget
	steps  int
	deep   bool // it compares whole values
}

// Validate charges; it finds nothing wrong.
func (c charge) Validate(_ *jsonschema.ValidatorContext, v any) {
	c.budget.spend(c.steps + width(v))
	if c.deep {
		c.budget.spend(stepsOfNode * weigh(v))
	}
}

// width counts the members of a value.
func width(v any) int {
	switch v := v.(type) {
	case map[string]any:
		return len(v)
	case []any:
		return len(v)
	default:
		return 0
	}
}

// weigh counts all values within a value.
func weigh(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			n += weigh(member)
		}
	case []any:
		for _, item := range v {
			n += weigh(item)
		}
	}
	return n
}

// boundedRegexp charges for the text it is matched against.
type boundedRegexp struct {
	*regexp.Regexp
	budget *budget
	size   int
}

// MatchString reports whether s holds a match.
func (r boundedRegexp) MatchString(s string) bool {
	r.budget.spend(1 + len(s)*r.size/2)
	return r.Regexp.MatchString(s)
}

func (b *budget) regexp(text string) (jsonschema.Regexp, error) {
	if len(text) > maxRegexp {
		return nil, fmt.Errorf("%w of more than %d bytes", errPattern, maxRegexp)
	}
	// The format "regex" compiles during a validation too, a text for each value that has it.
	b.spend(stepsOfNode * (1 + len(text)))
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPattern, err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPattern, err)
	}
	b.spend(stepsOfInstruction * len(program.Inst))
	if len(program.Inst) > maxProgram {
		return nil, fmt.Errorf("%w of more than %d instructions", errPattern, maxProgram)
	}
	made, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPattern, err)
	}
	return boundedRegexp{made, b, len(program.Inst)}, nil
}

// checkTree reports why a decoded document cannot be worked on within bounds, or "".
func checkTree(v any, depth int) string {
	if depth == 0 {
		return fmt.Sprintf("must be at most %d levels deep", maxSchemaDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			if message := checkTree(member, depth-1); message != "" {
				return message
			}
		}
	case []any:
		for _, item := range v {
			if message := checkTree(item, depth-1); message != "" {
				return message
			}
		}
	case json.Number:
		if !isModest(string(v)) {
			return fmt.Sprintf("holds a number of more than %d digits or beyond 1e±%d", maxDigits, maxExponent)
		}
	}
	return ""
}

func isModest(number string) bool {
	if len(number) > maxDigits {
		return false
	}
	i := strings.IndexAny(number, "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.Atoi(number[i+1:])
	return err == nil && exponent <= maxExponent && exponent >= -maxExponent
}
