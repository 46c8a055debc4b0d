package identity

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/hookstorm/hookstorm/internal/outbound"
)

// maxIssuers is how many certificates are fetched that a signing certificate's chain lacks. Amazon serves the certificate
// alone; between it and the root is one.
const maxIssuers = 2

// snsBounds are those of the questions to Amazon SNS. It signs with one or two certificates in a region, for months.
func snsBounds() bounds {
	return bounds{
		yes:       24 * time.Hour,
		no:        10 * time.Second,
		size:      256,
		timeout:   3 * time.Second,
		known:     share{perSecond: 5, places: 4},
		strangers: share{perSecond: 5, places: 4},
	}
}

// SNSOptions say how Amazon SNS is asked.
type SNSOptions struct {
	// Client makes the calls.
	Client Client
	// Endpoint reports whether a url leads to Amazon SNS itself, over https and at the host sns.<region>.<domain>.
	Endpoint func(url string) bool
	// Roots are trusted to certify Amazon; nil: the system's.
	Roots *x509.CertPool
	// Logger hears of errors in this program.
	Logger logr.Logger
	// Now is the clock.
	Now func() time.Time
}

// SNS asks Amazon SNS.
type SNS struct {
	o            SNSOptions
	certificates *memory[fetched]
}

// fetched is a certificate, or why there is none.
type fetched struct {
	certificate *x509.Certificate
	err         error
}

// NewSNS returns what asks Amazon SNS; it asks nothing yet.
func NewSNS(o SNSOptions) *SNS {
	return &SNS{o: o, certificates: newMemory[fetched](snsBounds(), o.Logger, o.Now)}
}

// Certificate returns the certificate at a url of Amazon SNS: one that a trusted root certified to be that of SNS in the
// region of the url. Of what is asked about urls that are not known a source has a part, unless it is not valid. An error, which
// is remembered for a moment, says why there is none. It ends with ctx.
func (s *SNS) Certificate(ctx context.Context, source netip.Addr, location string) (*x509.Certificate, error) {
	names, err := s.signerNames(location)
	if err != nil {
		return nil, err
	}
	f, _, err := s.certificates.ask(ctx, question[fetched]{
		key: location, from: source,
		put: func(ctx context.Context) (fetched, bool, error) {
			certificate, err := s.fetch(ctx, location, names)
			return fetched{certificate, err}, err == nil, nil
		},
	})
	if err == nil {
		err = f.err
	}
	if err != nil {
		return nil, fmt.Errorf("getting a certificate of Amazon SNS: %w", err)
	}
	return f.certificate, nil
}

// Confirm visits the SubscribeURL of a message that Amazon SNS signed, which confirms the subscription. It may be repeated.
// An error quotes nothing of the url but its host. It ends with ctx.
func (s *SNS) Confirm(ctx context.Context, location string) error {
	if endpoint := s.endpoint(location); endpoint == nil || endpoint.Query().Get("Action") != "ConfirmSubscription" {
		return fmt.Errorf("confirming a subscription: it is no url of Amazon SNS for that: %w", outbound.ErrURL)
	}
	if _, err := fetch(ctx, s.o.Client, location); err != nil {
		return fmt.Errorf("confirming a subscription: %w", err)
	}
	return nil
}

// endpoint returns a url of Amazon SNS itself; nil: it is none.
func (s *SNS) endpoint(location string) *url.URL {
	parsed, err := url.Parse(location)
	if err != nil || parsed.Fragment != "" || !s.o.Endpoint(location) {
		return nil
	}
	return parsed
}

// signerNames returns the names of which a certificate at a url must have one, as in Amazon's own SDK for Java: that of all
// regions, or of this one.
func (s *SNS) signerNames(location string) ([]string, error) {
	endpoint := s.endpoint(location)
	if endpoint == nil || endpoint.RawQuery != "" || !strings.HasSuffix(endpoint.Path, ".pem") {
		return nil, fmt.Errorf("it is no url of a certificate of Amazon SNS: %w", outbound.ErrURL)
	}
	region, domain, _ := strings.Cut(strings.TrimPrefix(endpoint.Host, "sns."), ".")
	if strings.HasPrefix(region, "us-gov-") {
		return []string{endpoint.Host, "sns-us-gov-west-1." + domain}, nil
	}
	names := []string{endpoint.Host, "sns-signing." + region + "." + domain, "sns-" + region + "." + domain}
	if domain == "amazonaws.com" {
		names = append(names, "sns.amazonaws.com")
	}
	return names, nil
}

// fetch fetches a certificate and verifies it.
func (s *SNS) fetch(ctx context.Context, location string, names []string) (*x509.Certificate, error) {
	document, err := fetch(ctx, s.o.Client, location)
	if err != nil {
		return nil, err
	}
	certificates, err := parseChain(document)
	if err != nil {
		return nil, err
	}
	certificate := certificates[0]
	if !slices.ContainsFunc(names, func(name string) bool { return certificate.VerifyHostname(name) == nil }) {
		return nil, fmt.Errorf("the certificate is for none of %s", strings.Join(names, ", "))
	}
	return certificate, s.trust(ctx, certificates)
}

// trust verifies a chain. What it lacks, it fetches from where the certificates say their issuer's is.
func (s *SNS) trust(ctx context.Context, chain []*x509.Certificate) error {
	intermediates := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		intermediates.AddCert(certificate)
	}
	last := chain[len(chain)-1]
	for range maxIssuers {
		err := s.verify(chain[0], intermediates)
		if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown || len(last.IssuingCertificateURL) == 0 {
			return err
		}
		if last, err = s.issuer(ctx, last); err != nil {
			return err
		}
		intermediates.AddCert(last)
	}
	return s.verify(chain[0], intermediates)
}

func (s *SNS) verify(certificate *x509.Certificate, intermediates *x509.CertPool) error {
	_, err := certificate.Verify(x509.VerifyOptions{
		Roots:         s.o.Roots,
		Intermediates: intermediates,
		CurrentTime:   s.o.Now(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("verifying the certificate: %w", err)
	}
	return nil
}

// issuer fetches the certificate that a certificate says is its issuer's, over http mostly: the signature in the chain and
// not the way it came makes it trusted.
func (s *SNS) issuer(ctx context.Context, of *x509.Certificate) (*x509.Certificate, error) {
	document, err := fetch(ctx, s.o.Client, of.IssuingCertificateURL[0])
	if err != nil {
		return nil, fmt.Errorf("fetching the issuer's certificate: %w", err)
	}
	if block, _ := pem.Decode(document); block != nil {
		document = block.Bytes
	}
	certificate, err := x509.ParseCertificate(document)
	if err != nil {
		return nil, fmt.Errorf("reading the issuer's certificate: %w", err)
	}
	return certificate, nil
}

// parseChain reads certificates in PEM, at least one.
func parseChain(document []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, document = pem.Decode(document); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate: %w", err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in PEM")
	}
	return chain, nil
}
