package inbound

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// maxDepth is how deep a body may nest, in JSON and in XML.
const maxDepth = 20

// maxMembers is how many elements, attributes or form fields a body may have.
const maxMembers = 10_000

var (
	errXML       = errors.New("the XML cannot be read")
	errXMLDTD    = errors.New("the XML has a document type, which is not read")
	errXMLDepth  = errors.New("the XML nests too deep")
	errXMLLength = errors.New("the XML has too many elements")
)

// element is an XML element that is being read.
type element struct {
	name    string
	members members
	text    []byte
}

// xmlToJSON reads an XML document as JSON: an object with the root element. An element that has nothing but text is that text,
// another one an object of its attributes ("@name"), its text ("#text", when there is any) and the elements in it, as a list
// where a name is repeated. Prefixes of namespaces are left out. There are no DTDs and no entities but the five of XML itself.
func xmlToJSON(body []byte) ([]byte, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = charset
	document := element{}
	stack := []*element{&document}
	count := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errXML
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.Directive:
			return nil, errXMLDTD
		case xml.StartElement:
			if count += 1 + len(t.Attr); count > maxMembers {
				return nil, errXMLLength
			}
			if len(stack) > maxDepth {
				return nil, errXMLDepth
			}
			if len(stack) == 1 && document.members.len() > 0 {
				return nil, errXML // a second root
			}
			next, err := begin(t)
			if err != nil {
				return nil, err
			}
			stack = append(stack, next)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			stack[len(stack)-1].members.add(top.name, top.json())
		case xml.CharData:
			if len(stack) > 1 {
				top.text = append(top.text, t...)
			}
		}
	}
	if len(stack) != 1 || document.members.len() == 0 {
		return nil, errXML
	}
	return document.members.json(), nil
}

func begin(t xml.StartElement) (*element, error) {
	e := &element{name: t.Name.Local}
	seen := map[xml.Name]bool{}
	for _, a := range t.Attr {
		if seen[a.Name] {
			return nil, errXML
		}
		seen[a.Name] = true
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		e.members.add("@"+a.Name.Local, quote(a.Value))
	}
	return e, nil
}

func (e *element) json() []byte {
	text := strings.TrimSpace(string(e.text))
	if e.members.len() == 0 {
		return quote(text)
	}
	if text != "" {
		e.members.add("#text", quote(text))
	}
	return e.members.json()
}

// charset reads the encodings of XML that need no tables.
func charset(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "us-ascii", "ascii":
		return r, nil
	case "iso-8859-1", "latin1":
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return strings.NewReader(string(runes)), nil
	}
	return nil, errXML
}
