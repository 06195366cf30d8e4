package inbound

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	"github.com/posthornhq/posthorn/internal/event"
)

// Bounds of expressions.
const (
	maxExpression = 4 << 10 // bytes of its text
	// maxCost bounds one evaluation, in CEL's units: room for some passes over a body of the default size.
	maxCost = 200_000
	// maxBuilt is the longest string that a function may make, in bytes. CEL's cost is counted when it is made already.
	maxBuilt = 1 << 20
	// maxTime bounds one evaluation where CEL's cost is far from the time that it takes: of a long string it counts the characters
	// whenever it is named. On a busy machine one that is meant well may take that long: the request is to come again.
	maxTime = time.Second
	// checkEvery is after how many rounds of a loop the time is looked at.
	checkEvery = 100
	// unbounded is where estimates begin that depend on the size of the body, which only an evaluation can tell.
	unbounded = 1 << 40
)

var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(append(
		functions(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(100),
		cel.OptionalTypes(),
		ext.Encoders(ext.EncodersVersion(0)),
		cel.Variable("body", cel.DynType), cel.Variable("text", cel.StringType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)), cel.Variable("query", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("method", cel.StringType), cel.Variable("path", cel.StringType),
	)...)
})

// functions are the functions of strings that expressions have besides CEL's own, bounded in what they make; their names and
// meanings are those of cel-go's extensions. json.decode reads JSON that is in a string.
func functions() []cel.EnvOption {
	text, list := cel.StringType, cel.ListType(cel.StringType)
	member := func(name, id string, args []*cel.Type, result *cel.Type, do func(s string, args []ref.Val) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload(id, args, result, cel.FunctionBinding(func(values ...ref.Val) ref.Val {
			s, ok := values[0].Value().(string)
			if !ok {
				return types.MaybeNoSuchOverloadErr(values[0])
			}
			return do(s, values[1:])
		})))
	}
	return []cel.EnvOption{
		member("lowerAscii", "in_lower", []*cel.Type{text}, text, func(s string, _ []ref.Val) ref.Val { return types.String(asciiCase(s, 'A', 'Z')) }),
		member("upperAscii", "in_upper", []*cel.Type{text}, text, func(s string, _ []ref.Val) ref.Val { return types.String(asciiCase(s, 'a', 'z')) }),
		member("trim", "in_trim", []*cel.Type{text}, text, func(s string, _ []ref.Val) ref.Val { return types.String(strings.TrimSpace(s)) }),
		member("split", "in_split", []*cel.Type{text, text}, list, split),
		member("replace", "in_replace", []*cel.Type{text, text, text}, text, replace),
		member("substring", "in_substring", []*cel.Type{text, cel.IntType}, text, substring),
		member("substring", "in_substring_to", []*cel.Type{text, cel.IntType, cel.IntType}, text, substring),
		cel.Function("join", cel.MemberOverload("in_join", []*cel.Type{list, text}, text, cel.BinaryBinding(join))),
		cel.Function("json.decode", cel.Overload("in_json_decode", []*cel.Type{text}, cel.DynType, cel.UnaryBinding(jsonDecode))),
		cel.CostModel(
			scanned("in_lower"), scanned("in_upper"), scanned("in_trim"), scanned("in_split"), scanned("in_replace"),
			scanned("in_substring"), scanned("in_substring_to"), scanned("in_join"),
			cost.Overload("in_json_decode", cost.EvalCost(cost.Sum(cost.Const(cost.CallCost), cost.Length(cost.Arg(0)))), cost.ResultSize(cost.AtMost(cost.Arg(0)))),
		),
	}
}

// scanned is the cost of a function that looks at its string and at what it makes once.
func scanned(id string) cost.OverloadModel {
	return cost.MemberOverload(id, cost.EvalCost(cost.Sum(
		cost.Const(cost.CallCost), cost.StringScan(cost.Length(cost.Target())), cost.StringScan(cost.Length(cost.Result())),
	)))
}

func asciiCase(s string, from, to byte) string {
	b := []byte(s)
	for i, c := range b {
		if c >= from && c <= to {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

func stringArg(v ref.Val) string {
	s, _ := v.Value().(string) // the overload's types are checked
	return s
}

func split(s string, args []ref.Val) ref.Val {
	if strings.Count(s, stringArg(args[0])) > maxMembers {
		return types.NewErr("split: makes too many parts")
	}
	return types.DefaultTypeAdapter.NativeToValue(strings.Split(s, stringArg(args[0])))
}

func replace(s string, args []ref.Val) ref.Val {
	old, with := stringArg(args[0]), stringArg(args[1])
	if n := strings.Count(s, old); len(s)+n*max(0, len(with)-len(old)) > maxBuilt {
		return types.NewErr("replace: makes too long a string")
	}
	return types.String(strings.ReplaceAll(s, old, with))
}

// substring counts characters, as CEL does.
func substring(s string, args []ref.Val) ref.Val {
	runes := []rune(s)
	from, _ := args[0].Value().(int64)
	to := int64(len(runes))
	if len(args) > 1 {
		to, _ = args[1].Value().(int64)
	}
	if from < 0 || to > int64(len(runes)) || from > to {
		return types.NewErr("substring: out of range")
	}
	return types.String(runes[from:to])
}

func join(target, separator ref.Val) ref.Val {
	list, ok := target.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(target)
	}
	var b strings.Builder
	for it := list.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().Value().(string)
		if !ok {
			return types.NewErr("join: the list holds something else than strings")
		}
		if b.Len() > 0 {
			b.WriteString(stringArg(separator))
		}
		if b.WriteString(s); b.Len() > maxBuilt {
			return types.NewErr("join: makes too long a string")
		}
	}
	return types.String(b.String())
}

func jsonDecode(v ref.Val) ref.Val {
	s := stringArg(v)
	if !strictJSON([]byte(s)) {
		return types.NewErr("json.decode: the string is not strict JSON")
	}
	return types.DefaultTypeAdapter.NativeToValue(decodeJSON([]byte(s)))
}

// expression is a compiled member of a source's map.
type expression struct {
	name string
	run  cel.Program
}

// compile checks an expression; the error names the field "map.<name>". wantBool is for those that must be true or false.
func compile(name, source string, wantBool bool) (*expression, error) {
	if source == "" {
		return nil, nil
	}
	bad := func(message string) error { return event.Invalid("map."+name, message) }
	if len(source) > maxExpression {
		return nil, bad("must be at most " + strconv.Itoa(maxExpression) + " bytes")
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(source)
	if list := issues.Errors(); len(list) > 0 {
		first := list[0]
		return nil, bad("line " + strconv.Itoa(first.Location.Line()) + ", column " + strconv.Itoa(first.Location.Column()+1) + ": " + first.Message)
	}
	if t := ast.OutputType(); wantBool && !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, bad("must be true or false, not " + t.String())
	}
	estimate, err := env.EstimateCost(ast, anySize{})
	if err != nil {
		return nil, bad("its cost cannot be estimated")
	}
	if estimate.Min > maxCost || estimate.Max > maxCost && estimate.Max < unbounded {
		return nil, bad("would cost too much: at least " + strconv.FormatUint(estimate.Min, 10) + ", the limit is " + strconv.Itoa(maxCost))
	}
	run, err := env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(checkEvery))
	if err != nil {
		return nil, bad("cannot be planned")
	}
	return &expression{name: name, run: run}, nil
}

// anySize tells the cost estimator nothing: only a request says how large things are.
type anySize struct{}

// EstimateSize knows no size.
func (anySize) EstimateSize(cost.AstNode) *cost.SizeEstimate { return nil }

// EstimateCallCost leaves functions to their models.
func (anySize) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// mapFailed refuses a request that the source's map does not fit. It says which expression, and not what of the request: CEL's own
// text may quote that.
func mapFailed(name, why string) error {
	return &event.Error{
		Kind: event.KindInvalid, Code: "map_failed", Detail: "the source's map does not fit this request",
		Fields: []event.FieldError{{Field: "map." + name, Message: why}},
	}
}

// eval runs an expression over a request.
func (x *expression) eval(in *input) (ref.Val, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	v, _, err := x.run.ContextEval(ctx, in)
	switch {
	case in.err != nil:
		return nil, in.err
	case err != nil && ctx.Err() != nil:
		return nil, event.Errorf(event.KindUnavailable, "map_slow", "the source's map takes too long")
	}
	if err != nil {
		if c, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && c.Cause == interpreter.CostLimitExceeded {
			return nil, mapFailed(x.name, "costs too much")
		}
		return nil, mapFailed(x.name, "cannot be evaluated: something that it names may not be there")
	}
	return v, nil
}

// text runs an expression whose value is text or a number; null and an absent optional are "".
func (x *expression) text(in *input) (string, error) {
	v, err := x.eval(in)
	if err != nil {
		return "", err
	}
	if o, ok := v.(*types.Optional); ok {
		if !o.HasValue() {
			return "", nil
		}
		v = o.GetValue()
	}
	switch s := v.(type) {
	case types.String:
		return strings.ToValidUTF8(string(s), "\uFFFD"), nil
	case types.Null:
		return "", nil
	case types.Int, types.Uint, types.Double, types.Bool:
		b, err := appendValue(nil, v, 0)
		if err != nil {
			return "", mapFailed(x.name, "must be text or a number")
		}
		return string(b), nil
	}
	return "", mapFailed(x.name, "must be text or a number")
}
