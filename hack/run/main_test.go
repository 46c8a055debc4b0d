package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestASecondRunIsToldWhichOneIsInItsWay(t *testing.T) {
	t.Chdir(t.TempDir())
	unlock, err := lock()
	if err != nil {
		t.Fatalf("the first run: %v", err)
	}
	if _, err := lock(); err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("the second run: got %v; want an error with the first one's process id", err)
	}
	unlock()
	unlock, err = lock()
	if err != nil {
		t.Fatalf("a run after the first: %v", err)
	}
	unlock()
}

func TestAPortInUseIsAnErrorThatNamesIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := checkFree(address); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v; want an error that names %s", err, address)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkFree(address); err != nil {
		t.Errorf("once it is free: %v", err)
	}
}

func TestEachClusterOfKUBECONFIGHasADirectoryOfItsOwn(t *testing.T) {
	const one, other = "https://192.0.2.1:6443", "https://192.0.2.2:6443"
	both := kubeconfig(t, one, other)
	first := directory(t, both)
	if filepath.Dir(first) != stateDir {
		t.Errorf("%s is not in %s", first, stateDir)
	}
	if again := directory(t, kubeconfig(t, one)); again != first {
		t.Errorf("another file that names the same cluster: got %s; want %s", again, first)
	}
	if listed := directory(t, kubeconfig(t, one)+string(filepath.ListSeparator)+kubeconfig(t, other)); listed != first {
		t.Errorf("a list of files: got %s; want %s, that of the first", listed, first)
	}
	if second := directory(t, kubeconfig(t, other)); second == first {
		t.Errorf("two clusters share %s", first)
	}
	config, err := clientcmd.LoadFromFile(both)
	if err != nil {
		t.Fatal(err)
	}
	config.CurrentContext = other
	if err := clientcmd.WriteToFile(*config, both); err != nil {
		t.Fatal(err)
	}
	if second := directory(t, both); second == first {
		t.Errorf("two contexts of one file share %s", first)
	}
}

func TestAKubeconfigThatIsNotThereIsAnError(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if got, err := directoryOf(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %q, %v; want an error that names %s", got, err, missing)
	}
}

func directory(t *testing.T, kubeconfig string) string {
	t.Helper()
	directory, err := directoryOf(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return directory
}

// kubeconfig writes a file with a context for each server; the first is the current one.
func kubeconfig(t *testing.T, servers ...string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.CurrentContext = servers[0]
	for _, server := range servers {
		config.Clusters[server] = &clientcmdapi.Cluster{Server: server}
		config.Contexts[server] = &clientcmdapi.Context{Cluster: server}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}
