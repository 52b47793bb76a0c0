package validate

import "github.com/egctl/egctl/pkg/finding"

// What validation has to say. Codes EG1020 to EG1029 are this package's.
var (
	CodeSchema = finding.Register("EG1020", finding.Error, "field violates the schema",
		`The value is not one that the API's schema allows: a required field is missing, a text does not match its pattern, a number is out of range, a list is too long or names the same thing twice. An API server would refuse the object, so it has no effect. The message gives the value and the limit.`)
	CodeRule = finding.Register("EG1021", finding.Error, "object violates a rule of the API",
		`The API has rules that reach across fields (x-kubernetes-validations, written in CEL), and this object breaks one: for example a redirect and a rewrite in the same rule of a route, or a listener with protocol HTTP that has TLS settings. An API server would refuse the object. The message is the API's own, the hint is the rule as it is written. Rules are checked only on objects that have all required fields, so more of them may follow once those are there.`)
	CodeMetadata = finding.Register("EG1022", finding.Error, "metadata is invalid",
		`The name, namespace, a label or an annotation of the object is not one that Kubernetes accepts. Names of most kinds consist of lower-case letters, digits, "-" and ".", and start and end with a letter or digit. An API server would refuse the object.`)
	CodeNotServed = finding.Register("EG1023", finding.Error, "API version or kind is not served",
		`The object is written in an API version of its kind that the Gateway API release egctl follows no longer serves (or not in the channel chosen). egctl can read it, since the fields are the same, but a cluster with that release installed refuses it. Change apiVersion to the one in the hint; without a hint, the channel lacks the kind altogether.`)
	CodeChannel = finding.Register("EG1024", finding.Warning, "field is not in this release channel",
		`The field exists only in the experimental channel of the Gateway API. A cluster with the standard channel installed drops it without a word (or refuses the object, if asked to be strict), and traffic is handled as if it were not there. Install the experimental channel, or do without.`)
	CodeInternal = finding.Register("EG1029", finding.Error, "object could not be validated",
		`egctl failed while it checked the object: this is a fault of egctl and says nothing about the object. Please report it with the object, without its secrets.`)
)
