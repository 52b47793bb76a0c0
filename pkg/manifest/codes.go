package manifest

import "github.com/egctl/egctl/pkg/finding"

// What reading has to say. Codes EG1001 to EG1019 are this package's.
var (
	CodeSyntax = finding.Register("EG1001", finding.Error, "document cannot be parsed",
		`The document is not well-formed YAML or JSON, so nothing in it has any effect. Other documents, also those of the same file, are read as if it were not there. The position is where the parser gave up; the mistake is on that line or shortly before it. Frequent causes are a tab used as indentation, a quote that is never closed, a missing space after a colon, and a list item that is indented less than its neighbours.`)
	CodeIdentity = finding.Register("EG1002", finding.Error, "document does not say which object it is",
		`Every document needs apiVersion, kind and metadata.name (as text) to be an object. This one lacks one of them and is ignored as a whole. metadata.generateName is not enough: without an API server nobody makes up the name.`)
	CodeType = finding.Register("EG1003", finding.Error, "field has the wrong type",
		`The field holds a value of a type that the API does not accept there, for example a number where text is expected. An API server would refuse the object; egctl ignores the object as a whole. In YAML, unquoted 1.10, 8080, true, yes, no, on and off are not text: put them in quotes where text is wanted.`)
	CodeUnknownField = finding.Register("EG1004", finding.Warning, "unknown field",
		`The API has no such field at this place, so it has no effect: an API server drops it (and kubectl refuses the object unless told otherwise). It is usually a spelling mistake or a line with the wrong indentation. The hint names the field that looks most like it.`)
	CodeDuplicateField = finding.Register("EG1005", finding.Warning, "field is given twice",
		`The same field appears more than once in one mapping. YAML forbids that, and kubectl refuses it; egctl uses the last one. Often two documents were pasted together without a line of three dashes between them.`)
	CodeDuplicateObject = finding.Register("EG1006", finding.Warning, "object is given twice",
		`Two documents describe the same object (same group, kind, namespace and name). The later one counts and the earlier one has no effect, as if both had been applied in this order. Remove one, or give it another name or namespace.`)
	CodeNotSupported = finding.Register("EG1007", finding.Warning, "kind is not supported yet",
		`The kind belongs to the gateway's own extensions or to the experimental x-k8s.io group, and this version of egctl does not read it. The object has no effect; the rest of the configuration works as if it were not there. Mind what that means: a SecurityPolicy without effect lets everybody in.`)
	CodeUnknownKind = finding.Register("EG1008", finding.Error, "unknown kind of the Gateway API",
		`The API group is the Gateway API's, but it has no kind of this name, so the document has no effect and a cluster would refuse it. Check the spelling; kinds are case-sensitive.`)
	CodeUnknownVersion = finding.Register("EG1009", finding.Error, "unknown API version of a known kind",
		`The kind is known, this version of it is not, so the document has no effect and a cluster would refuse it. It is either misspelt, or a version that has been removed from the API. The hint names the version to use.`)
	CodeNamespaceIgnored = finding.Register("EG1010", finding.Warning, "namespace on a cluster-scoped object",
		`Objects of this kind live in the cluster as a whole, not in a namespace. The namespace is ignored; remove it, so that nobody believes that it matters.`)
)
