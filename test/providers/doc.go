// Package providers holds tests only: what the providers' own libraries sign is admitted, and what they refuse is not. It is a
// module of its own, so that their libraries are no dependencies of HookStorm.
package providers
