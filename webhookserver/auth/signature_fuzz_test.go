package auth

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzSignatureHeaders verifies any headers and any body with every scheme, and finds that only what a sender signed is
// admitted.
func FuzzSignatureHeaders(f *testing.F) {
	signatures, signed := make([]*Signature, len(senders)), map[[32]byte]bool{}
	for i := range senders {
		s := &senders[i]
		signatures[i] = s.new(f, signingKey, otherKey)
		r := s.request(s.message())
		proof := signatures[i].Verify(f.Context(), r)
		if proof.Verdict != Admitted {
			f.Fatalf("%s: what was signed is refused", s.scheme)
		}
		signed[proof.Signed()] = true
		for j := range signatures[i].places {
			at := signatures[i].places[j]
			f.Add(uint8(i), r.Header.Get(at.signature), r.Header.Get(at.timestamp), r.Header.Get(at.id),
				r.Header.Get("Content-Type"), r.Target, r.Body)
		}
	}
	f.Fuzz(func(t *testing.T, scheme uint8, signature, timestamp, id, contentType, target string, body []byte) {
		s := signatures[int(scheme)%len(signatures)]
		for _, at := range s.places {
			r := &Request{Header: http.Header{at.signature: {signature}}, Body: body, Target: target, Now: signedAt}
			for name, value := range map[string]string{at.timestamp: timestamp, at.id: id, "Content-Type": contentType} {
				if name != "" {
					r.Header[name] = []string{value}
				}
			}
			proof := s.Verify(t.Context(), r)
			if proof.Verdict != Admitted || s.name == "GitLab" {
				continue // GitLab's token goes with any body
			}
			if !signed[proof.Signed()] {
				t.Fatalf("%s admits what nobody signed", s.name)
			}
		}
	})
}

// FuzzCustomSigned reads any template, and finds that what it makes of a request is the template with its parts replaced.
func FuzzCustomSigned(f *testing.F) {
	for _, seed := range []string{"{body}", "v0:{timestamp}:{body}", "{id}.{timestamp}.{body}", "{", "}", "{body", "{}{body}", "{body}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		got := bytes.Join(parsed.fill(&claim{id: "ID", timestamp: "TIME"}, []byte("BODY")), nil)
		want := strings.NewReplacer("{id}", "ID", "{timestamp}", "TIME", "{body}", "BODY").Replace(text)
		if string(got) != want {
			t.Fatalf("%q signs %q, want %q", text, got, want)
		}
	})
}
