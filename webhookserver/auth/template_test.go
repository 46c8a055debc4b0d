package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// TestASignedTextIsCutInOneWay sends the text of a signed request again, with its borders elsewhere, so that its time is fresh.
func TestASignedTextIsCutInOneWay(t *testing.T) {
	const then, text, kept = "1696400000", `{"title":"x.1700000000.`, `payload=[1]"}`
	for _, scheme := range []string{"StandardWebhooks", "GitLabSigning"} {
		s := sender{scheme: scheme, hash: sha256.New, encode: base64Text}
		signature := s.new(t, signingKey)
		mac := "v1," + s.mac(message{key: signingKey}, "msg_1."+then+"."+text+kept)
		signed := newRequest(text+kept, "webhook-id", "msg_1", "webhook-timestamp", then, "webhook-signature", mac)
		expectVerdict(t, scheme+": as it was sent, too late", signature, signed, Refused)
		signed.Now = time.Unix(1696400000, 0)
		expectVerdict(t, scheme+": as it was sent, in time", signature, signed, Admitted)
		cut := newRequest(kept, "webhook-id", "msg_1."+then+`.{"title":"x`, "webhook-timestamp", "1700000000", "webhook-signature", mac)
		expectVerdict(t, scheme+": with a longer id", signature, cut, Refused)
	}
}

func TestIDsOfProvidersAreTaken(t *testing.T) {
	for _, c := range []struct{ scheme, id string }{
		{"StandardWebhooks", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"},
		{"GitLabSigning", "908a6d9e-45fd-46c8-97e6-c4f350f219dd"},
	} {
		s := sender{scheme: c.scheme, hash: sha256.New, encode: base64Text}
		r := newRequest(jsonBody, "webhook-id", c.id, "webhook-timestamp", "1700000000",
			"webhook-signature", "v1,"+s.mac(message{key: signingKey}, c.id+".1700000000."+jsonBody))
		expectVerdict(t, c.scheme, s.new(t, signingKey), r, Admitted)
	}
}

func TestAnIDIsToldFromWhatIsBesideIt(t *testing.T) {
	for _, c := range []struct {
		name, signed, id string
		want             Verdict
	}{
		{"nothing of it", "{id}::{body}", "1", Admitted},
		{"nothing of it, after the body", "{body}::{id}", "1", Admitted},
		{"what is after it", "{id}::{body}", "1::2", Refused},
		{"what is before it", "{body}::{id}", "1::2", Refused},
		{"the begin of what is after it", "{id}::{body}", "1:", Refused},
		{"the end of what is before it", "{body}::{id}", ":1", Refused},
		{"a part of what is after it", "{id}::{body}", "a:b", Admitted},
		{"a digit, beside no digit", "{id}/{timestamp}/{body}", "17", Admitted},
		{"what is after the time", "{id}/{timestamp}.{body}", "1.7", Admitted},
	} {
		signature, err := NewSignature(SignatureOptions{
			Scheme: schemeCustom, Keys: []SigningKey{{Value: []byte(signingKey)}},
			Custom: &CustomScheme{Header: "X-Signed", Signed: c.signed, IDHeader: "X-Id", TimestampHeader: timeHeader(c.signed)},
		})
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(signingKey))
		mac.Write([]byte(strings.NewReplacer("{id}", c.id, "{timestamp}", "1700000000", "{body}", jsonBody).Replace(c.signed)))
		r := newRequest(jsonBody, "X-Id", c.id, "X-Time", "1700000000", "X-Signed", hex.EncodeToString(mac.Sum(nil)))
		expectVerdict(t, "an id with "+c.name, signature, r, c.want)
	}
}

// timeHeader is the header of the time, if it is signed.
func timeHeader(signed string) string {
	if strings.Contains(signed, "{timestamp}") {
		return "X-Time"
	}
	return ""
}
