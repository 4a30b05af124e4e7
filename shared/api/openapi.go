// Package orders holds the contract of the service, for programs to serve and
// for tests to hold the code to.
package orders

import _ "embed"

// OpenAPI is openapi.yaml: the HTTP interface in OpenAPI 3.0.
//
//go:embed openapi.yaml
var OpenAPI []byte
