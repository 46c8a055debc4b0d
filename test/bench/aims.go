package main

import (
	"fmt"
	"io"
	"slices"
)

// allowance is what HookStorm may take beyond the disk's own time, in milliseconds, with one client.
const allowance = 0.2

// aim is a relation between two values that the project wants to keep; without a bound it is only shown.
type aim struct {
	text    string
	a, b    string
	ratio   func(a, b float64) float64
	atLeast bool
	bound   float64
}

func quotient(a, b float64) float64 { return a / b }

var aims = []aim{
	{"ack.hookstorm.c64 / ack.group.c64", "ack.hookstorm.c64", "ack.group.c64", quotient, true, 0.6},
	{"ack.hookstorm.c64 / ack.single.c64", "ack.hookstorm.c64", "ack.single.c64", quotient, true, 3},
	{
		fmt.Sprintf("(ack.hookstorm.c1.p50 - %.1f ms) / fdatasync.p50", allowance), "ack.hookstorm.c1.p50", "fdatasync.p50",
		func(a, b float64) float64 { return (a - allowance) / b }, false, 4,
	},
	{"eval.criteria / eval.bare.decode", evalCriteria, evalBareDecode, quotient, false, 2},
	{"eval.cel / eval.bare.decode", evalCEL, evalBareDecode, quotient, false, 2},
	{"eval.criteria.shared / eval.bare", evalCriteriaShared, evalBare, quotient, false, 2},
	{"eval.cel.shared / eval.bare", evalCELShared, evalBare, quotient, false, 2},
	{"drain.hookstorm / drain.create", drainHookStorm, drainCreate, quotient, true, 0.8},
	{"act.healthy.beside_hung.p50 / act.healthy.p50", actBesideHung + ".p50", actAlone + ".p50", quotient, false, 0},
	{"auth.github / auth.tokens", authPrefix + byGitHub, authPrefix + byTokens, quotient, false, 1.15},
	{"rule.live.p50, ms", ruleLive, ruleLive, func(a, _ float64) float64 { return a }, false, 1000},
}

// printRatios prints the aims whose values were measured, and whether they are kept.
func printRatios(w io.Writer, results []result) {
	fmt.Fprintln(w)
	for _, aim := range slices.Concat(aims, timingAims()) {
		a, measuredA := byName(results, aim.a)
		b, measuredB := byName(results, aim.b)
		if !measuredA || !measuredB {
			continue
		}
		ratio := aim.ratio(a, b)
		if aim.bound == 0 {
			fmt.Fprintf(w, "%s = %.2f\n", aim.text, ratio)
			continue
		}
		sign, kept := "≤", ratio <= aim.bound
		if aim.atLeast {
			sign, kept = "≥", ratio >= aim.bound
		}
		verdict := "missed"
		if kept {
			verdict = "kept"
		}
		fmt.Fprintf(w, "%s = %.2f (aim %s %g: %s)\n", aim.text, ratio, sign, aim.bound, verdict)
	}
}
