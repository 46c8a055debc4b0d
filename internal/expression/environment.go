package expression

import (
	"fmt"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/library"
)

const (
	// maxText is how long an expression may be, in characters: as long as a field of the API that holds one.
	maxText = 4096
	// maxNesting is how deep the parser follows brackets.
	maxNesting = 64
	// maxLoops is how deep comprehensions such as all() may be nested.
	maxLoops = 5
)

// environment is what expressions over the same variables have in common. It is immutable.
type environment struct {
	variables Variables
	cel       *cel.Env
	// planner plans expressions over one table of functions; a cel.Program would have a table of its own, of 14 KiB.
	planner   interpreter.Interpreter
	functions map[string]*functions.Overload
}

// The environments take milliseconds to build and are the same for all, so each is built when it is first needed.
var (
	ruleEnvironment  = sync.OnceValues(func() (*environment, error) { return newEnvironment(RuleVariables) })
	itemEnvironment  = sync.OnceValues(func() (*environment, error) { return newEnvironment(ItemVariables) })
	claimEnvironment = sync.OnceValues(func() (*environment, error) { return newEnvironment(claimVariables) })
)

func environmentOf(variables Variables) (*environment, error) {
	switch variables {
	case ItemVariables:
		return itemEnvironment()
	case claimVariables:
		return claimEnvironment()
	default:
		return ruleEnvironment()
	}
}

func newEnvironment(variables Variables) (*environment, error) {
	env, err := cel.NewEnv(language()...)
	if err != nil {
		return nil, fmt.Errorf("building the CEL environment: %w", err)
	}
	declared, err := declarations(env, variables)
	if err != nil {
		return nil, err
	}
	if env, err = env.Extend(declared...); err != nil {
		return nil, fmt.Errorf("declaring the CEL variables: %w", err)
	}
	e := &environment{variables: variables, cel: env, functions: map[string]*functions.Overload{}}
	dispatcher := interpreter.NewDispatcher()
	for _, function := range env.Functions() {
		overloads, err := function.Bindings()
		if err != nil {
			return nil, fmt.Errorf("binding the CEL functions: %w", err)
		}
		if err := dispatcher.Add(overloads...); err != nil {
			return nil, fmt.Errorf("binding the CEL functions: %w", err)
		}
		for _, overload := range overloads {
			e.functions[overload.Operator] = overload
		}
	}
	factory := attributes{interpreter.NewAttributeFactory(env.Container, env.CELTypeAdapter(), env.CELTypeProvider())}
	e.planner = interpreter.NewInterpreter(dispatcher, env.Container, env.CELTypeProvider(), env.CELTypeAdapter(), factory)
	return e, nil
}

// language is CEL as the Kubernetes API server knows it, less its authorizer, which makes calls. Lists and maps may hold
// values of different types, because a template makes JSON.
func language() []cel.EnvOption {
	return []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxText),
		cel.ParserRecursionLimit(maxNesting),
		cel.EnableMacroCallTracking(), // Explain shows parts of an expression
		cel.EagerlyValidateDeclarations(true),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.OptionalTypes(),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(maxLoops),
		),
		library.URLs(),
		library.Regex(),
		library.Lists(),
		library.Quantity(),
		library.IP(),
		library.CIDR(),
		library.Format(),
		library.SemverLib(library.SemverVersion(1)),
		ext.Strings(ext.StringsVersion(2), ext.StringsMaxPrecision(maxPrecision)),
		ext.Sets(),
		ext.Lists(ext.ListsVersion(3), ext.ListsMaxRangeSize(maxRange)),
		ext.TwoVarComprehensions(),
	}
}

// declarations declares the variables, with the types of those whose fields are known.
func declarations(env *cel.Env, variables Variables) ([]cel.EnvOption, error) {
	if variables == claimVariables {
		return []cel.EnvOption{cel.Variable(varClaims, cel.DynType)}, nil
	}
	delivery := objectType("hookstorm.Delivery", (&Delivery{}).fields())
	rule := objectType("hookstorm.Rule", (&Rule{}).fields())
	options, err := apiservercel.NewDeclTypeProvider(delivery, rule).EnvOptions(env.CELTypeProvider())
	if err != nil {
		return nil, fmt.Errorf("declaring the CEL types: %w", err)
	}
	options = append(options,
		cel.Variable(varTrigger, cel.DynType),
		cel.Variable(varDelivery, delivery.CelType()),
		cel.Variable(varRule, rule.CelType()))
	if variables == ItemVariables {
		options = append(options, cel.Variable(varItem, cel.DynType))
	}
	return options, nil
}

// objectType declares an object with the fields of an example.
func objectType(name string, example map[string]any) *apiservercel.DeclType {
	fields := make(map[string]*apiservercel.DeclField, len(example))
	for field, value := range example {
		kind := apiservercel.TimestampType
		if _, ok := value.(string); ok {
			kind = apiservercel.StringType
		}
		fields[field] = apiservercel.NewDeclField(field, kind, true, nil, nil)
	}
	return apiservercel.NewObjectType(name, fields)
}
