package api

import _ "embed"

// OpenAPI is openapi.yaml: the HTTP interface in OpenAPI 3.0.
//
//go:embed openapi.yaml
var OpenAPI []byte
