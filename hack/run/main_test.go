package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
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
