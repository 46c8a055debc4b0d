package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// window is how many bytes of a credential are looked up at once; a shorter one is a word that may stand anywhere.
const window = 8

// vault knows credentials, and finds them in what should have none: as they are, and within base64.
type vault struct {
	mu    sync.Mutex
	names map[string]string         // of the credentials, by their values
	forms map[[window]byte][]needle // by their first bytes

	searched int // bytes
}

// needle is a form of a credential that is looked for.
type needle struct {
	text []byte
	name string
}

// credentials are all of this suite: what specs make, what they send, and what Secrets hold.
var credentials vault

// canary makes a credential; what says which, for the report of a leak.
func canary(what string) string {
	random := make([]byte, 16)
	rand.Read(random)
	return secret(what, "CANARY-"+hex.EncodeToString(random))
}

// secret notes a credential, and returns it.
func secret(what, value string) string {
	credentials.add(what, value)
	return value
}

// secretKey notes a private key by the second line of its PEM, which it returns; the first tells mostly of what kind it is.
func secretKey(what string, key *pem.Block) []byte {
	encoded := pem.EncodeToMemory(key)
	credentials.add(what, strings.Split(string(encoded), "\n")[2])
	return encoded
}

func (v *vault) add(name, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.names[value]; known || len(value) < window {
		return
	}
	if v.names == nil {
		v.names, v.forms = map[string]string{}, map[[window]byte][]needle{}
	}
	v.names[value] = name
	for _, form := range append(base64Forms(value), value) {
		if len(form) >= window {
			first := [window]byte([]byte(form))
			v.forms[first] = append(v.forms[first], needle{[]byte(form), name})
		}
	}
}

// base64Forms returns what is the same in all base64 that has the value in it, wherever in a group of three bytes that begins.
func base64Forms(value string) []string {
	const group = 3
	var forms []string
	for offset := range group {
		whole := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", offset) + value))
		first := (offset*8 + 5) / 6               // characters that other bytes are part of
		last := (offset + len(value)) / group * 4 // the rest depends on what follows
		forms = append(forms, whole[min(first, last):last])
	}
	return forms
}

// String says how many credentials there are, and how much was searched for them.
func (v *vault) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return fmt.Sprintf("%d credentials, and none of them in %d MiB", len(v.names), v.searched>>20)
}

// leak is a credential that was found.
type leak struct{ Name, Place string }

// find returns what is found of the credentials, each once in a place.
func (v *vault) find(places map[string][]byte) []leak {
	v.mu.Lock()
	defer v.mu.Unlock()
	found := map[leak]bool{}
	for place, text := range places {
		v.searched += len(text)
		for i := 0; i+window <= len(text); i++ {
			for _, n := range v.forms[[window]byte(text[i:])] {
				if bytes.HasPrefix(text[i:], n.text) {
					found[leak{n.name, place}] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b leak) int { return strings.Compare(a.Place+a.Name, b.Place+b.Name) })
}

// ExpectNoCredential expects that no credential of the suite is in any of these places. Some specs send one in a body, where
// it is what they want recorded; those do not use the suite's vault for it.
func ExpectNoCredential(places map[string][]byte) {
	GinkgoHelper()
	Expect(credentials.find(places)).To(BeEmpty(), "credentials outside of their Secrets")
}

// watchSecrets notes every value of every Secret that HookStorm reads, for as long as the suite runs. Key sets and
// certificates of authorities are public.
func watchSecrets() {
	GinkgoHelper()
	clients, err := kubernetes.NewForConfig(env.Config())
	Expect(err).NotTo(HaveOccurred())
	factory := informers.NewSharedInformerFactoryWithOptions(clients, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = fmt.Sprintf("%s,%s notin (%s, %s)", v1alpha1.LabelAuth, v1alpha1.LabelAuth, v1alpha1.AuthJWT, v1alpha1.AuthCA)
	}))
	note := func(object any) {
		s := object.(*corev1.Secret)
		for key, value := range s.Data {
			if key != corev1.BasicAuthUsernameKey {
				credentials.add(fmt.Sprintf("key %s of Secret %s/%s", key, s.Namespace, s.Name), strings.TrimSpace(string(value)))
			}
		}
	}
	_, err = factory.Core().V1().Secrets().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: note, UpdateFunc: func(_, object any) { note(object) },
	})
	Expect(err).NotTo(HaveOccurred())
	ctx, stop := context.WithCancel(context.Background())
	DeferCleanup(stop)
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
}
