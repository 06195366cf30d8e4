package wire

import _ "embed" // the document is a part of the program

// AsyncAPI is the AsyncAPI 3.0 document of the WebSocket, in YAML; docs/asyncapi.yaml is a copy. It must not be changed.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte
