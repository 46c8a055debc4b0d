package controllers_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("A token Secret", func() {
	It("is warned about when a token is short, and not otherwise", func(ctx context.Context) {
		ExpectCreated(ctx, tokenSecret("good", map[string]string{"a": "0123456789abcdef"}), tokenSecret("short", map[string]string{"a": "matoken"}))
		var list eventsv1.EventList
		Eventually(func(g Gomega) {
			g.Expect(k8s.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
			g.Expect(list.Items).To(HaveLen(1))
		}).Should(Succeed())
		event := list.Items[0]
		Expect(event.Regarding.Name).To(Equal("short"))
		Expect(event.Type).To(Equal("Warning"))
		Expect(event.Reason).To(Equal("ShortToken"))
		Expect(event.Note).To(Equal("a token of this Secret has fewer than 16 bytes and is easily guessed; replace it"))
	})
})
