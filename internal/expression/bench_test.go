package expression

import (
	"testing"

	"github.com/google/cel-go/cel"
)

// tenKiB is a condition over a payload of GitHub's.
const tenKiB = `trigger.body.action == "closed" && trigger.body.pull_request.merged && trigger.body.pull_request.base.ref == "main"`

// A condition over a 10 KiB payload, from JSON text to verdict, and for a payload that another condition has looked at.
func BenchmarkConditionOverTenKiB(b *testing.B) {
	payload := pullRequest(b)
	condition, err := CompileCondition(tenKiB)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("from text to verdict", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if held, err := condition.Holds(b.Context(), &Scope{Payload: NewPayload(payload)}); err != nil || !held {
				b.Fatal(held, err)
			}
		}
	})
	b.Run("of a payload that was read before", func(b *testing.B) {
		b.ReportAllocs()
		scope := &Scope{Payload: NewPayload(payload)}
		for b.Loop() {
			if held, err := condition.Holds(b.Context(), scope); err != nil || !held {
				b.Fatal(held, err)
			}
		}
	})
}

// Beside it, what a bare CEL program takes over a value that somebody has decoded, and with the decoding.
func BenchmarkBareProgramOverTenKiB(b *testing.B) {
	payload, program := pullRequest(b), bareProgram(b, tenKiB)
	decoded, err := decodeJSON(payload)
	if err != nil {
		b.Fatal(err)
	}
	eval := func(b *testing.B, value any) {
		if result, _, err := program.Eval(map[string]any{varTrigger: value}); err != nil || result.Value() != true {
			b.Fatal(result, err)
		}
	}
	b.Run("decoded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			eval(b, decoded)
		}
	})
	b.Run("with decoding", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			value, err := decodeJSON(payload)
			if err != nil {
				b.Fatal(err)
			}
			eval(b, value)
		}
	})
}

func bareProgram(b *testing.B, text string) cel.Program {
	b.Helper()
	env, err := cel.NewEnv(cel.Variable(varTrigger, cel.DynType))
	if err != nil {
		b.Fatal(err)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		b.Fatal(issues.Err())
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		b.Fatal(err)
	}
	return program
}

func BenchmarkIndex(b *testing.B) {
	text := pullRequest(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := index(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoop(b *testing.B) {
	scope := &Scope{Payload: NewPayload(pullRequest(b))}
	condition, err := CompileCondition(`trigger.body.pull_request.labels.exists(l, l.name == "queue")`)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("not counted", func(b *testing.B) {
		for b.Loop() {
			if held, err := condition.Holds(b.Context(), scope); err != nil || !held {
				b.Fatal(held, err)
			}
		}
	})
	b.Run("counted", func(b *testing.B) {
		condition.program.bound = 0
		for b.Loop() {
			if held, err := condition.Holds(b.Context(), scope); err != nil || !held {
				b.Fatal(held, err)
			}
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := CompileCondition(`trigger.body.action == "closed" && trigger.body.pull_request.merged`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTree(b *testing.B) {
	scope := &Scope{Payload: NewPayload(pullRequest(b))}
	tree, err := CompileTree([]byte(job), "apiVersion", "kind")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tree.Render(b.Context(), scope); err != nil {
			b.Fatal(err)
		}
	}
}
