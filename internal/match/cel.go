package match

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/interpreter"

	"github.com/posthornhq/posthorn/internal/event"
)

// container is the CEL container of the variables. Declaring event.type instead of type lets filters say "type" for the
// event's type although CEL has an identifier of that name.
const container = "event"

var environment = sync.OnceValues(func() (*cel.Env, error) {
	variable := func(name string, t *cel.Type) cel.EnvOption { return cel.Variable(container+"."+name, t) }
	return cel.NewEnv(
		cel.Container(container),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(100),
		variable("id", cel.StringType), variable("source", cel.StringType), variable("type", cel.StringType),
		variable("subject", cel.StringType), variable("key", cel.StringType), variable("datacontenttype", cel.StringType),
		variable("time", cel.TimestampType), variable("version", cel.IntType),
		variable("channels", cel.ListType(cel.StringType)),
		variable("ext", cel.MapType(cel.StringType, cel.DynType)), variable("data", cel.DynType),
	)
})

// compile parses and type-checks a filter.
func compile(source string) (*cel.Env, *cel.Ast, error) {
	env, err := environment()
	if err != nil {
		return nil, nil, err
	}
	ast, issues := env.Compile(source)
	if list := issues.Errors(); len(list) > 0 {
		first := list[0]
		return nil, nil, invalidFilter(first.Location.Line(), first.Location.Column()+1, first.Message)
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, nil, event.Invalid("filter", "must be true or false, not "+t.String())
	}
	return env, ast, nil
}

// unbounded is where estimates begin that depend on the size of the data, which only an evaluation can tell.
const unbounded = 1 << 40

// check compiles a filter and estimates its cost.
func check(source string, limit uint64) error {
	env, ast, err := compile(source)
	if err != nil {
		return err
	}
	estimate, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return event.Invalid("filter", "its cost cannot be estimated")
	}
	if estimate.Min > limit || estimate.Max > limit && estimate.Max < unbounded {
		return event.Invalid("filter", "would cost "+span(estimate)+", the limit is "+strconv.FormatUint(limit, 10))
	}
	if _, err := env.Program(ast, cel.CostLimit(limit)); err != nil {
		return event.Invalid("filter", "cannot be planned: "+err.Error())
	}
	return nil
}

func span(e cost.Estimate) string {
	if e.Max >= unbounded {
		return "at least " + strconv.FormatUint(e.Min, 10)
	}
	return "up to " + strconv.FormatUint(e.Max, 10)
}

// sizes tells the cost estimator how large the event's attributes are.
type sizes struct{}

// EstimateSize returns the size of a variable that is bounded by the default limits, nil for data and ext.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	p := n.Path()
	if len(p) == 0 {
		return nil
	}
	name := strings.TrimPrefix(p[0], container+".")
	switch {
	case name == "type":
		return &cost.SizeEstimate{Max: 256}
	case name == "channels" && len(p) == 1:
		return &cost.SizeEstimate{Max: 10}
	case name == "channels":
		return &cost.SizeEstimate{Max: 128}
	case name == "id" || name == "source" || name == "subject" || name == "key" || name == "datacontenttype":
		return &cost.SizeEstimate{Max: uint64(event.DefaultLimits().MaxAttribute)}
	}
	return nil
}

// EstimateCallCost leaves functions to CEL's own model.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// program is a compiled filter, or one that cannot be compiled and never matches.
type program struct{ run cel.Program }

func newProgram(source string, limit uint64) *program {
	env, ast, err := compile(source)
	if err != nil {
		return &program{}
	}
	run, err := env.Program(ast, cel.CostLimit(limit))
	if err != nil {
		return &program{}
	}
	return &program{run}
}

func (p *program) eval(v *view) Outcome {
	if p.run == nil {
		return Errored
	}
	result, _, err := p.run.Eval(v)
	if err != nil {
		if c, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && c.Cause == interpreter.CostLimitExceeded {
			return OverCost
		}
		return Errored
	}
	switch b, ok := result.Value().(bool); {
	case !ok:
		return Errored
	case b:
		return Match
	}
	return NoMatch
}

// Parent ends the chain of activations.
func (v *view) Parent() interpreter.Activation { return nil }

// ResolveName gives CEL the value of a variable.
func (v *view) ResolveName(name string) (any, bool) {
	name, ok := strings.CutPrefix(name, container+".")
	if !ok {
		return nil, false
	}
	switch name {
	case "id":
		return v.ev.ID, true
	case "source":
		return v.ev.Source, true
	case "type":
		return v.ev.Type, true
	case "subject":
		return v.ev.Subject, true
	case "key":
		return v.ev.Key, true
	case "datacontenttype":
		return v.ev.ContentType, true
	case "time":
		return v.ev.Time, true
	case "version":
		return v.ev.Version, true
	case "channels":
		if v.ev.Channels == nil {
			return []string{}, true
		}
		return v.ev.Channels, true
	case "ext", "data":
		v.decode()
		if name == "ext" {
			return v.ext, true
		}
		return v.data, true
	}
	return nil, false
}

// decode reads the data and the extensions for CEL, once.
func (v *view) decode() {
	if v.decoded {
		return
	}
	v.decoded = true
	v.ext = make(map[string]any, len(v.ev.Extensions))
	for _, x := range v.ev.Extensions {
		if n, ok := x.Value.(int32); ok {
			x.Value = int64(n)
		}
		v.ext[x.Name] = x.Value
	}
	if v.ev.Data == nil || !v.ev.IsJSON() {
		return
	}
	if data, _, ok := decode(v.ev.Data, 0, 0); ok {
		v.data = data
	}
}
