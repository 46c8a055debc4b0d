package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
)

const (
	// bodySize is the size of what is posted.
	bodySize = 1 << 10
	// token is the credential that every request carries, whether the server asks for it or not.
	token = "bench-0123456789abcdef"
	// tokenLine is the header that holds it.
	tokenLine = "X-Auth-Token: " + token + "\r\n"
)

// How answers begin.
const (
	status202 = "HTTP/1.1 202 "
	status401 = "HTTP/1.1 401 "
)

// sender is the least that HTTP/1.1 needs, because it shares the processors with what it measures. It knows answers with a
// Content-Length only.
type sender struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func dial(address string, request []byte) (*sender, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the server: %w", err)
	}
	return newSender(conn, request), nil
}

func newSender(conn net.Conn, request []byte) *sender {
	return &sender{conn: conn, reader: bufio.NewReader(conn), request: request}
}

// post sends the request and reads the answer, which must be 202.
func (s *sender) post() error { return s.send(s.request, status202) }

// send sends a request and reads the answer, which must begin as wanted.
func (s *sender) send(request []byte, want string) error {
	if _, err := s.conn.Write(request); err != nil {
		return err
	}
	status, err := s.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte(want)) {
		return fmt.Errorf("the server answered %q", bytes.TrimSpace(status))
	}
	length, err := s.readHeader()
	if err != nil {
		return err
	}
	_, err = s.reader.Discard(length)
	return err
}

// readHeader reads to the end of the header and returns the length of the body.
func (s *sender) readHeader() (length int, err error) {
	length = -1
	for {
		line, err := s.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) == len("\r\n") {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, fmt.Errorf("reading Content-Length: %w", err)
			}
		}
	}
	if length < 0 {
		return 0, fmt.Errorf("the answer has no Content-Length")
	}
	return length, nil
}

// requestFor returns a request with the token.
func requestFor(address, path string, body []byte) []byte {
	return requestWith(address, path, tokenLine, body)
}

// requestWith returns a request with some lines in its header.
func requestWith(address, path, lines string, body []byte) []byte {
	head := "POST " + path + " HTTP/1.1\r\n" +
		"Host: " + address + "\r\n" +
		"User-Agent: bench\r\n" +
		"Content-Type: application/json\r\n" +
		lines +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	return append([]byte(head), body...)
}

// anyNumber is the number of a body that is sent again and again.
const anyNumber = 4711

// jsonBody returns an object of bodySize bytes, of the kind that a provider sends, with a number to know it by.
func jsonBody(number int) []byte {
	front := `{"action": "opened", "number": ` + strconv.Itoa(number) + `, "draft": false, "repository": {"id": 1296269, "name": "hookstorm", ` +
		`"full_name": "example/hookstorm", "private": false}, "sender": {"login": "octocat", "id": 583231, "site_admin": false}, ` +
		`"labels": ["bug", "good first issue"], "changes": 12, "score": 0.75, "body": "`
	const back = `"}`
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", bodySize)
	return []byte(front + text[:bodySize-len(front)-len(back)] + back)
}
