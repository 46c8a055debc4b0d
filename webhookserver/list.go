package webhookserver

import (
	"encoding/json"
	"net/http"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// registration is a custom webhook in the shape in which StackStorm lists its triggers. A pack is a namespace.
type registration struct {
	ID          string            `json:"id"`
	Ref         string            `json:"ref"`
	UID         string            `json:"uid"`
	Name        string            `json:"name"`
	Pack        string            `json:"pack"`
	Type        string            `json:"type"`
	Parameters  map[string]string `json:"parameters"`
	Description string            `json:"description"`
}

func (r *route) registration() registration {
	return registration{
		ID:          r.UID,
		Ref:         r.Namespace + "." + r.Name,
		UID:         "trigger:" + r.Namespace + ":" + r.Name,
		Name:        r.Name,
		Pack:        r.Namespace,
		Type:        r.trigger,
		Parameters:  r.parameters,
		Description: r.Description,
	}
}

// show answers a GET: the webhooks that the caller may see, or one of them. Generic webhooks are not shown: StackStorm has
// no trigger for them.
func (x *exchange) show() {
	if x.at.collection {
		x.send(x.visible())
		return
	}
	if x.route == nil || x.route.Generic {
		x.refuse(notRegistered(x.at.url))
		return
	}
	x.send(x.route.registration())
}

// visible returns the webhooks of the namespaces whose tokens the caller has; all of them for a system token.
func (x *exchange) visible() []registration {
	list := []registration{}
	for _, r := range x.table.sorted {
		if !r.Generic && x.caller.May(auth.ScopeList, r.Namespace) {
			list = append(list, r.registration())
		}
	}
	return list
}

func (x *exchange) send(value any) {
	body, err := json.Marshal(value)
	if err != nil {
		x.log.Error(err, "encoding a list of webhooks")
		x.refuse(&internalError)
		return
	}
	x.answer(http.StatusOK, jsonType, body)
}
