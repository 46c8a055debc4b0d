package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

const (
	unitRate         = "req/s"
	unitMilliseconds = "ms"
	unitMicroseconds = "µs"
	unitNanoseconds  = "ns"
	unitAllocations  = "allocations"
	unitRecordRate   = "records/s"
	unitPercent      = "%"
)

// result is one value, as bench.json has it.
type result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// results are the values of all rounds, in the order in which they were first measured.
type results struct {
	names  []string
	units  map[string]string
	values map[string][]float64
}

func (r *results) add(name, unit string, value float64) {
	if r.values == nil {
		r.units, r.values = map[string]string{}, map[string][]float64{}
	}
	if _, known := r.units[name]; !known {
		r.names = append(r.names, name)
		r.units[name] = unit
	}
	r.values[name] = append(r.values[name], value)
}

// addLoad adds what a load saw, and what the server's process used in seconds of processor time.
func (r *results) addLoad(name string, o outcome, cpu float64) {
	requests := float64(len(o.latencies))
	r.add(name, unitRate, requests/o.elapsed.Seconds())
	r.add(name+".p50", unitMilliseconds, milliseconds(percentile(o.latencies, 50)))
	r.add(name+".p99", unitMilliseconds, milliseconds(percentile(o.latencies, 99)))
	r.add(name+".cpu", unitMicroseconds, cpu*1e6/requests)
}

// medians returns the median of each value over the rounds.
func (r *results) medians() []result {
	medians := make([]result, 0, len(r.names))
	for _, name := range r.names {
		values := slices.Sorted(slices.Values(r.values[name]))
		middle := len(values) / 2
		median := values[middle]
		if len(values)%2 == 0 {
			median = (values[middle-1] + median) / 2
		}
		medians = append(medians, result{name, median, r.units[name]})
	}
	return medians
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

func microseconds(d time.Duration) float64 { return d.Seconds() * 1e6 }

// byName returns a value, which the second result says is there.
func byName(results []result, name string) (float64, bool) {
	i := slices.IndexFunc(results, func(r result) bool { return r.Name == name })
	if i < 0 {
		return 0, false
	}
	return results[i].Value, true
}

// printTable prints one line for each load, and one for each of the other values.
func printTable(w io.Writer, results []result) {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "\n\treq/s\tp50 ms\tp99 ms\tcpu µs/req\t\n")
	var others []result
	for i := 0; i < len(results); i++ {
		if r := results[i]; r.Unit != unitRate {
			others = append(others, r)
			continue
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.3f\t%.3f\t%.1f\t\n",
			results[i].Name, results[i].Value, results[i+1].Value, results[i+2].Value, results[i+3].Value)
		i += 3 // p50, p99 and cpu follow
	}
	_ = table.Flush()
	fmt.Fprintln(w)
	for _, r := range others {
		fmt.Fprintf(w, "%s: %.3f %s\n", r.Name, r.Value, r.Unit)
	}
}

// writeResults writes bench.json.
func writeResults(file string, results []result) error {
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the results: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
