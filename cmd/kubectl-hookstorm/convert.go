package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hookstorm/hookstorm/cmd/kubectl-hookstorm/convert"
)

// ruleFiles are the endings of the files of a directory that hold rules.
var ruleFiles = []string{".yaml", ".yml", ".json"}

func newConvert(streams genericiooptions.IOStreams) *cobra.Command {
	var paths []string
	command := &cobra.Command{
		Use:   "convert -f FILE",
		Short: "Turn StackStorm's rules into Rules",
		Long: `Turn StackStorm's rules into Rules, as YAML on the standard output.

core.http and core.inject_trigger become actions, and simple Jinja expressions such as {{ trigger.body.name }} templates
such as ${trigger.body.name}. What cannot be turned is named on the standard error with its place, and stands as a comment
where it would be.

Exit codes: 0 if everything was turned, 1 if something could not be, 2 if a file cannot be read.`,
		Example: `  kubectl hookstorm convert -f packs/mypack/rules | kubectl apply -f -`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return convertAll(paths, streams)
		},
	}
	command.Flags().StringArrayVarP(&paths, "filename", "f", nil,
		"a file with rules, a directory of such files, or - for the standard input; may be repeated")
	if err := command.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag is defined above
	}
	return command
}

// convertAll converts the files in order. One that cannot be read does not stop the others.
func convertAll(paths []string, streams genericiooptions.IOStreams) error {
	converter := convert.New()
	var errs []error
	complete := true
	for _, path := range paths {
		files, err := filesOf(path)
		errs = append(errs, err)
		for _, file := range files {
			problems, err := convertFile(converter, file, streams)
			errs = append(errs, err)
			complete = complete && problems == 0
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !complete {
		return errNo
	}
	return nil
}

// convertFile converts one file, and returns how much in it could not be turned.
func convertFile(converter *convert.Converter, file string, streams genericiooptions.IOStreams) (int, error) {
	content, err := readFile(file, streams.In)
	if err != nil {
		return 0, err
	}
	documents, problems, err := converter.File(file, content)
	for _, document := range documents {
		fmt.Fprintf(streams.Out, "---\n%s", document)
	}
	for _, problem := range problems {
		fmt.Fprintln(streams.ErrOut, problem)
	}
	return len(problems), err
}

// filesOf returns the files that a path stands for: itself, or those of the directory, by name.
func filesOf(path string) ([]string, error) {
	if path == stdin {
		return []string{path}, nil
	}
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !stat.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if !entry.IsDir() && slices.Contains(ruleFiles, filepath.Ext(entry.Name())) {
			files = append(files, filepath.Join(path, entry.Name()))
		}
	}
	return files, nil
}

// stdin is the name of the standard input where a file is named.
const stdin = "-"

// readFile reads a file, or the standard input.
func readFile(name string, in io.Reader) ([]byte, error) {
	if name != stdin {
		return os.ReadFile(name)
	}
	content, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("reading the standard input: %w", err)
	}
	return content, nil
}
