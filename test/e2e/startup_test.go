package e2e_test

import (
	"context"
	"net"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A second HookStorm", func() {
	It("does not start on the data directory of the first", func(ctx context.Context) {
		ExpectRefusesToStart(ctx, hookstorm.arguments(freeAddress(), freeAddress()), "another process has "+hookstorm.dataDir+" open")
		Expect(hookstorm.Running()).To(BeTrue())
	})

	It("does not start on a port that is in use", func(ctx context.Context) {
		second := *hookstorm
		second.dataDir = filepath.Join(GinkgoT().TempDir(), "data")
		ExpectRefusesToStart(ctx, second.arguments(hookstorm.address, freeAddress()), "address already in use")

		taken, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(taken.Close)
		ExpectRefusesToStart(ctx, second.arguments(freeAddress(), taken.Addr().String()), "address already in use")
	})

	It("does not start with a flag that makes no sense", func(ctx context.Context) {
		arguments := append(hookstorm.arguments(freeAddress(), freeAddress()), "--external-url=nowhere")
		ExpectRefusesToStart(ctx, arguments, `--external-url: "nowhere" is no URL`)
	})
})
