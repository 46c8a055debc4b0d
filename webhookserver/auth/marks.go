package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"slices"
)

// maxMarks is how many of a request's headers count that may hold a signature. Gitea sends the most: its own, and for
// receivers that know others those of Gogs, GitHub and Bitbucket.
const maxMarks = 4

// signatureKind is what the signatures have in common that the same requests carry, and that take the same time for a key.
type signatureKind struct {
	scheme, header string
	algorithm      Algorithm
}

func (s *Signature) kind() signatureKind {
	return signatureKind{s.name, s.places[0].signature, s.algorithm}
}

// signatureDecoy stands for the signatures of a kind.
type signatureDecoy struct {
	signatureKind
	like *Signature  // any of them
	keys []secretKey // as many as a webhook has at most
}

// mark is a header that may hold a signature.
type mark struct {
	chosen bool // by the owner of a webhook, and not by a provider that is known here
	number int  // in the order in which they were added
	decoys []*signatureDecoy
}

// compare orders marks, those first that count before others.
func (m *mark) compare(other *mark) int {
	switch {
	case m.chosen == other.chosen:
		return cmp.Compare(m.number, other.number)
	case m.chosen:
		return 1
	default:
		return -1
	}
}

// signatureDecoys are the decoys of signatures.
type signatureDecoys struct {
	marks map[string]*mark // by header
	kinds map[signatureKind]*signatureDecoy
	keys  map[Algorithm][]secretKey // of nobody; decoys share them
}

func newSignatureDecoys() signatureDecoys {
	return signatureDecoys{
		marks: map[string]*mark{}, kinds: map[signatureKind]*signatureDecoy{}, keys: map[Algorithm][]secretKey{},
	}
}

// addSignatures adds those of one webhook.
func (d *signatureDecoys) addSignatures(signatures []*Signature) {
	for _, s := range signatures {
		kind := s.kind()
		decoy := d.kinds[kind]
		if decoy == nil {
			decoy = &signatureDecoy{signatureKind: kind, like: s}
			d.kinds[kind] = decoy
			d.mark(decoy)
		}
		// One whose Secret is missing has no key, and one for those that have one.
		if n := max(1, work(signatures, kind)); n > len(decoy.keys) {
			decoy.keys = d.keysOfNobody(s, n)
		}
	}
}

func (d *signatureDecoys) mark(decoy *signatureDecoy) {
	for i := range decoy.like.places {
		name := decoy.like.places[i].signature
		m := d.marks[name]
		if m == nil {
			m = &mark{chosen: providerPlace(name) == nil, number: len(d.marks)}
			d.marks[name] = m
		}
		m.decoys = append(m.decoys, decoy)
	}
}

// keysOfNobody returns n keys for what s does.
func (d *signatureDecoys) keysOfNobody(s *Signature, n int) []secretKey {
	keys := d.keys[s.algorithm]
	for len(keys) < n {
		secret := make([]byte, sha256.Size)
		rand.Read(secret)
		keys = append(keys, s.newKey(Key{}, secret))
	}
	d.keys[s.algorithm] = keys
	return keys[:n:n]
}

// work is how often signatures of a kind do what takes the time.
func work(signatures []*Signature, kind signatureKind) int {
	n := 0
	for _, s := range signatures {
		switch {
		case s.kind() != kind:
		case s.keyless:
			n++
		default:
			n += len(s.keys)
		}
	}
	return n
}

// Marks are the signatures that a request carries, be they good or bad, of the schemes that are in use. It depends on the
// request alone, and bounds the work for it.
type Marks []*signatureDecoy

// Marks returns what a request with these headers carries. Of more than maxMarks headers those of known providers come first,
// and then those that were added first: whoever describes a scheme with a header that all senders of a provider send cannot push
// out its signature.
func (d *signatureDecoys) Marks(h http.Header) Marks {
	var found []*mark
	for name := range h {
		if m := d.marks[name]; m != nil {
			found = append(found, m)
		}
	}
	if len(found) > maxMarks {
		slices.SortFunc(found, (*mark).compare)
		found = found[:maxMarks]
	}
	var marks Marks
	for _, m := range found {
		for _, decoy := range m.decoys {
			if !slices.Contains(marks, decoy) {
				marks = append(marks, decoy)
			}
		}
	}
	return marks
}

// Verify says whether one of a webhook's own signatures is the request's, whose body has been read. If none is it does what
// those of the other webhooks would, so that it takes the same time for each: a webhook with fewer keys than another is filled
// up. The result is Unavailable too if somebody could not be asked whom they would have asked.
func (m Marks) Verify(ctx context.Context, own []*Signature, r *Request) Proof {
	var best Proof
	for _, s := range own {
		kind := s.kind()
		if !slices.ContainsFunc(m, func(d *signatureDecoy) bool { return d.signatureKind == kind }) {
			continue
		}
		if proof := s.Verify(ctx, r); proof.Verdict > best.Verdict {
			best = proof
		}
		if best.Verdict == Admitted {
			return best
		}
	}
	for _, decoy := range m {
		if decoy.verify(ctx, len(decoy.keys)-work(own, decoy.signatureKind), r) == Unavailable {
			best.Verdict = Unavailable
		}
	}
	return best
}

// verify does n times what a signature of the kind does for a key.
func (d *signatureDecoy) verify(ctx context.Context, n int, r *Request) Verdict {
	if n <= 0 {
		return Refused
	}
	s, times := *d.like, 1
	if s.keys = d.keys[:n]; s.keyless {
		s.keys, times = nil, n
	}
	verdict := Refused
	for range times {
		if s.Verify(ctx, r).Verdict == Unavailable {
			verdict = Unavailable
		}
	}
	return verdict
}
