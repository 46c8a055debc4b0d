package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"maps"
	"mime"
	"net"
	"net/url"
	"slices"
	"strings"
)

// bodyHashQuery is the query parameter in which Twilio sends the hash of a body that is no form.
const bodyHashQuery = "bodySHA256"

// adaptTwilio makes Twilio's verifier. Twilio signs the url that it posts to, which only the owner knows for sure, and the
// fields of a form. Whether the port is part of it differs between its products, so that both are tried.
func adaptTwilio(row *scheme, o *SignatureOptions) error {
	plain, withPort, err := publicURLs(o.PublicURL)
	if err != nil {
		return err
	}
	row.verify = func(_ context.Context, s *Signature, r *Request, at *place) Proof {
		var c claim
		form := r.twilioForm()
		if !form.valid || !s.read(&c, r.Header, at) {
			return Proof{}
		}
		rest := r.Target + form.fields
		return s.prove(&c, r.Now, [][]byte{[]byte(plain + rest)}, [][]byte{[]byte(withPort + rest)})
	}
	return nil
}

// publicURLs returns a public url without a slash at its end, without a port and with one.
func publicURLs(public string) (plain, withPort string, err error) {
	u, err := url.Parse(public)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", errors.New("publicURL: Twilio signs the url that it posts to; " +
			"say what is in front of the path, such as https://hooks.example.com")
	}
	ports := map[string]string{"http": "80", "https": "443"}
	port, known := ports[u.Scheme]
	if !known {
		return "", "", errors.New("publicURL: starts with neither https:// nor http://")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	host := strings.TrimSuffix(u.Host, ":"+u.Port())
	return u.Scheme + "://" + host + path, u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port) + path, nil
}

// twilioForm is what Twilio signs of the body, if the request is one of Twilio's.
type twilioForm struct {
	fields string
	valid  bool
}

// twilioForm reads the form, which takes longer than signing it, once for all webhooks that have a key of Twilio.
func (r *Request) twilioForm() *twilioForm {
	if r.form == nil {
		r.form = &twilioForm{}
		r.form.fields, r.form.valid = twilioFields(r)
	}
	return r.form
}

// twilioFields returns what is signed after the url: nothing if the url holds the body's hash, which must then be right; else
// the names and values of the form, sorted.
func twilioFields(r *Request) (string, bool) {
	_, query, _ := strings.Cut(r.Target, "?")
	parameters, _ := url.ParseQuery(query) // an error means that some could not be read; the others are there
	switch hashes := parameters[bodyHashQuery]; len(hashes) {
	case 0:
		return formFields(r)
	case 1:
		var claimed [sha256.Size]byte
		if len(hashes[0]) != hex.EncodedLen(len(claimed)) {
			return "", false
		}
		if _, err := hex.Decode(claimed[:], []byte(hashes[0])); err != nil {
			return "", false
		}
		actual := sha256.Sum256(r.Body)
		return "", subtle.ConstantTimeCompare(claimed[:], actual[:]) == 1
	default:
		return "", false
	}
}

// formFields returns the form's fields as Twilio signs them: of a field with several values each that differs.
func formFields(r *Request) (string, bool) {
	if len(r.Body) == 0 {
		return "", true
	}
	contentType, once := single(r.Header, "Content-Type")
	kind, _, err := mime.ParseMediaType(contentType)
	if !once || err != nil || kind != "application/x-www-form-urlencoded" {
		return "", false
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return "", false
	}
	var fields strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := form[name]
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			fields.WriteString(name)
			fields.WriteString(value)
		}
	}
	return fields.String(), true
}
