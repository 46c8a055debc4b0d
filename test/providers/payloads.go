package providers

// The module ships real payloads of many providers, which the end-to-end tests post. This import keeps it among the requirements.
import _ "github.com/go-playground/webhooks/v6/gitlab" // for the payloads in its module; nothing of it is called
