package wire

import _ "embed"

//go:embed openapi.yaml
var openAPI string // read only

// OpenAPI is the description of the public HTTP API, OpenAPI 3 in YAML.
func OpenAPI() string { return openAPI }
