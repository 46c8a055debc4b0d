package delivery

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// full is a delivery with every field set.
func full() Delivery {
	return Delivery{
		ID:          "01jd9k3v6n8q2r4t6w8y0abcde",
		Namespace:   "ci",
		Webhook:     "github-pr",
		URL:         "github/pr",
		Trigger:     "core.st2.webhook",
		Parameters:  map[string]string{"url": "github/pr"},
		TraceTag:    "trace-1",
		Sender:      "192.0.2.7",
		Received:    time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC),
		RuleVersion: 42,
		Violation:   "/body: missing property \"x\"",
		Instance:    "asked",
		Depth:       3,
		Kin:         300,
		Payload:     []byte(`{"body":{"text":"é\u0000\n"},"headers":{}}`),
	}
}

// encode returns the encoding of deliveries, one after the other.
func encode(t testing.TB, ds ...Delivery) []byte {
	t.Helper()
	var b []byte
	for _, d := range ds {
		b = d.Append(b)
	}
	return b
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	noPayload := full()
	noPayload.Payload = nil
	longPayload := full()
	longPayload.Payload = bytes.Repeat([]byte("1"), 300)
	want := []Delivery{full(), noPayload, {}, longPayload}
	var got []Delivery
	for b := encode(t, want...); len(b) > 0; {
		d, rest, err := Decode(b)
		if err != nil {
			t.Fatalf("decoding delivery %d: %v", len(got), err)
		}
		if len(d.Payload) == 0 {
			d.Payload = nil
		}
		got, b = append(got, d), rest
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	d := full()
	b := d.Append([]byte("before"))
	if want := append([]byte("before"), encode(t, d)...); !bytes.Equal(b, want) {
		t.Errorf("appended %q, want %q", b, want)
	}
}

func TestATruncatedDeliveryIsAnError(t *testing.T) {
	b := encode(t, full())
	for n := range len(b) {
		if _, _, err := Decode(b[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are decoded", n, len(b))
		}
	}
}

func TestTruncatedFieldsAreAnError(t *testing.T) {
	d := full()
	fields := d.appendFields(nil)
	d.Instance, d.Depth, d.Kin = "", 0, 0
	earlier := len(d.appendFields(nil)) - 3 // without instance, depth and kin: an earlier version
	for n := range len(fields) {
		_, _, err := Decode(append(appendPart(nil, fields[:n]), 0))
		if n != earlier && err == nil {
			t.Errorf("the first %d of %d bytes of fields are decoded", n, len(fields))
		}
	}
}

func TestMoreNanosecondsThanASecondHasAreAnError(t *testing.T) {
	fields := make([]byte, len((&Delivery{}).texts())) // all empty
	fields = append(fields, 0, 0)                      // the version and the seconds
	for nanoseconds, want := range map[uint64]bool{999_999_999: true, 1_000_000_000: false} {
		b := append(binary.AppendUvarint(slices.Clone(fields), nanoseconds), 0) // no parameters
		if _, _, err := Decode(append(appendPart(nil, b), 0)); (err == nil) != want {
			t.Errorf("%d nanoseconds: %v", nanoseconds, err)
		}
	}
}

func TestFieldsThatAnEarlierVersionDidNotKnowAreEmpty(t *testing.T) {
	fields := (&Delivery{ID: "x"}).appendFields(nil)
	earlier := fields[:len(fields)-3] // without instance, depth and kin
	d, _, err := Decode(append(appendPart(nil, earlier), 0))
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	if diff := cmp.Diff(Delivery{ID: "x", Payload: []byte{}}, d); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestFieldsOfALaterVersionAreIgnored(t *testing.T) {
	fields := (&Delivery{ID: "x"}).appendFields(nil)
	b := appendPart(nil, appendPart(fields, "later"))
	d, rest, err := Decode(append(b, 1, '7', 'r'))
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	if diff := cmp.Diff(Delivery{ID: "x", Payload: []byte("7")}, d); diff != "" || string(rest) != "r" {
		t.Errorf("rest %q, decoded (-want +got):\n%s", rest, diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, full()))
	f.Add(encode(f, full(), Delivery{}))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, rest, err := Decode(b)
		if err != nil {
			return
		}
		if len(rest) >= len(b) {
			t.Fatalf("decoding took nothing of %d bytes", len(b))
		}
		again, _, err := Decode(encode(t, d))
		if err != nil {
			t.Fatalf("decoding again: %v", err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Errorf("decoded again (-first +second):\n%s", diff)
		}
	})
}
