package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/controllers"
)

func TestEveryFlagIsDocumentedWithItsDefault(t *testing.T) {
	declared := map[string]string{}
	(&options{history: controllers.DefaultHistoryLimits}).flags().VisitAll(func(f *flag.Flag) { declared["--"+f.Name] = f.DefValue })
	text, err := os.ReadFile("docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| flag | default | meaning |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/operating.md has no table of flags")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string]string{}
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(row, "|")
		name := strings.Trim(cells[1], " `")
		if _, twice := documented[name]; twice {
			t.Errorf("docs/operating.md has two rows of %s", name)
		}
		documented[name] = strings.Trim(cells[2], " `")
	}
	if diff := cmp.Diff(declared, documented); diff != "" {
		t.Errorf("the flags in docs/operating.md are not those of the program (-want +got):\n%s", diff)
	}
}

func TestWhatFlagsSay(t *testing.T) {
	cases := map[string]struct {
		args []string
		want controllers.Settings
	}{
		"without any, every namespace may own a short url": {nil, controllers.Settings{}},
		"an empty list leaves it at that":                  {[]string{"--short-url-namespaces="}, controllers.Settings{}},
		"blanks around a namespace do not count": {
			[]string{"--short-url-namespaces=ci, apps"}, controllers.Settings{ShortURLNamespaces: []string{"ci", "apps"}},
		},
		"of two lists the last counts": {
			[]string{"--short-url-namespaces=ci", "--short-url-namespaces=apps"}, controllers.Settings{ShortURLNamespaces: []string{"apps"}},
		},
		"a slash at the end of the external url does not count": {
			[]string{"--external-url=https://hooks.example.org/"}, controllers.Settings{ExternalURL: "https://hooks.example.org"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions(c.args)
			if err != nil {
				t.Fatal(err)
			}
			c.want.SystemNamespace = "hookstorm-system"
			if diff := cmp.Diff(c.want, o.settings); diff != "" {
				t.Errorf("%v gives other settings (-want +got):\n%s", c.args, diff)
			}
		})
	}
}

func TestAFlagThatIsWrongIsNamed(t *testing.T) {
	for _, arg := range []string{
		"--data-dir=", "--system-namespace=", "--deduplicate-window=0s", "--queue-max-bytes=-1", "--external-url=hooks", "--history-total-objects=0",
		"--nats-replicas=6", "--nats-name=a.b", "--nats-credentials=/nats/seed",
	} {
		name, _, _ := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(name, "--history"):
			name = "--history-*"
		case name == "--nats-credentials":
			name = "--nats-*" // without the servers
		}
		if _, err := parseOptions([]string{arg}); err == nil || !strings.Contains(err.Error(), name+":") {
			t.Errorf("%s: got %v; want an error that begins with %s", arg, err, name)
		}
	}
}
