package webhookserver

import "net/http"

// maxHeaders is how many headers a request may have; providers send 20, and proxies add 10. It bounds what each of them
// costs beyond its bytes, which net/http counts.
const maxHeaders = 100

// tooManyHeaders counts what was sent: a name that comes twice counts twice.
func tooManyHeaders(header http.Header) bool {
	count := 0
	for _, values := range header {
		count += len(values)
	}
	return count > maxHeaders
}
