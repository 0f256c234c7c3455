package push

import _ "embed" // the document

//go:embed openapi.json
var openAPI []byte

// OpenAPI is the description of the push API as OpenAPI 3.1, in JSON. The tests hold it to the decoder.
func OpenAPI() []byte { return openAPI }
