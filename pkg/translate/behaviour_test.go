package translate_test

import (
	"fmt"
	"strings"
	"testing"
)

const listeners = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: eg
  listeners:
  - {name: http, protocol: HTTP, port: PORT}
  - {name: any, protocol: HTTPS, port: TLSPORT, hostname: "*.example.com", tls: {certificateRefs: [{name: cert}]}}
  - {name: second, protocol: HTTPS, port: TLSPORT, hostname: second.example.com, tls: {certificateRefs: [{name: cert}]}}
`

// routeFor is a route of the given kind for NAME.example.com.
func routeFor(kind, name, rules string) string {
	return fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: %s
metadata: {name: %s}
spec:
  parentRefs: [{name: eg}]
  hostnames: [%s.example.com]
  rules:
%s
`, kind, strings.ToLower(name), name, rules)
}

// slashes is the table of ReplacePrefixMatch in the specification, and what
// follows from it for other prefixes.
var slashes = []struct{ path, prefix, replacement, want string }{
	{"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
	{"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
	{"/foo/bar", "/foo/", "/xyz", "/xyz/bar"},
	{"/foo/bar", "/foo/", "/xyz/", "/xyz/bar"},
	{"/foo", "/foo", "/xyz", "/xyz"},
	{"/foo/", "/foo", "/xyz", "/xyz/"},
	{"/foo/bar", "/foo", "", "/bar"},
	{"/foo/", "/foo", "", "/"},
	{"/foo", "/foo", "", "/"},
	{"/foo/", "/foo", "/", "/"},
	{"/foo", "/foo", "/", "/"},
	{"/foo/bar?q=/foo", "/foo", "/", "/bar?q=/foo"},
	{"/foo?q=1", "/foo", "/xyz", "/xyz?q=1"},
	{"/bar", "/", "/xyz", "/xyz/bar"},
	{"/bar", "/", "/", "/bar"},
}

const corsRules = `  - matches: [{path: {type: PathPrefix, value: /listed}}]
    filters: [{type: CORS, cors: {allowOrigins: ["https://www.foo.com", "https://*.bar.com"], allowMethods: [GET, OPTIONS], allowHeaders: [x-header-1, x-header-2], exposeHeaders: [x-header-3, x-header-4], allowCredentials: true, maxAge: 3600}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /credentials}}]
    filters: [{type: CORS, cors: {allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"], exposeHeaders: ["*"], allowCredentials: true}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /open}}]
    filters: [{type: CORS, cors: {allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"]}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /put}, method: PUT, headers: [{name: X-Version, value: v2}]}]
    filters: [{type: CORS, cors: {allowOrigins: ["https://a.com"], allowMethods: [PUT]}}]
    backendRefs: [{name: web, port: 80}]`

// TestBehaviour sends real requests through a real Envoy: what a golden cannot
// show, because it is Envoy that decides it.
func TestBehaviour(t *testing.T) {
	objects := listeners
	for i, s := range slashes {
		objects += routeFor("HTTPRoute", fmt.Sprintf("slash%d", i), fmt.Sprintf(`  - matches: [{path: {type: PathPrefix, value: %s}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: "%s"}}}]
    backendRefs: [{name: web, port: 80}]`, s.prefix, s.replacement))
		objects += routeFor("HTTPRoute", fmt.Sprintf("moved%d", i), fmt.Sprintf(`  - matches: [{path: {type: PathPrefix, value: %s}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: x.org, port: 80, path: {type: ReplacePrefixMatch, replacePrefixMatch: "%s"}}}]`, s.prefix, s.replacement))
	}
	for name, rules := range map[string]string{
		"rewrite": `  - matches: [{path: {value: /full}}]
    filters: [{type: URLRewrite, urlRewrite: {hostname: one.example.org, path: {type: ReplaceFullPath, replaceFullPath: '/a\1b'}}}]
    backendRefs: [{name: web, port: 80}]`,
		"redirect": redirectRules,
		"split": `  - backendRefs:
    - {name: web, port: 80, weight: 1, filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /one}}}]}
    - {name: api, port: 80, weight: 2, filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /two}}}]}
    - {name: gone, port: 80, weight: 1}`,
		"weights": `  - backendRefs: [{name: web, port: 80, weight: 3}, {name: api, port: 80, weight: 1}]`,
		"cors":    corsRules,
		"mirror": `  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: api, port: 80}}}]
    backendRefs: [{name: web, port: 80}]`,
		"headers": `  - filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: '50% %PROTOCOL%'}], add: [{name: X-Add, value: added}], remove: [x-remove]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Set, value: '100%'}], add: [{name: X-Twice, value: gateway}], remove: [x-backend]}}
    backendRefs: [{name: web, port: 80}]`,
		"retry": `  - matches: [{path: {value: /codes}}]
    retry: {attempts: 2, codes: [503], backoff: 1ms}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /only500}}]
    retry: {attempts: 2, codes: [500], backoff: 1ms}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /connection}}]
    retry: {attempts: 2, backoff: 1ms}
    backendRefs: [{name: half, port: 80}]
  - matches: [{path: {value: /none}}]
    retry: {attempts: 0, codes: [503]}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /slow}}]
    retry: {attempts: 3, codes: [504], backoff: 1ms}
    timeouts: {backendRequest: 50ms, request: 10s}
    backendRefs: [{name: web, port: 80}]`,
		"timeout": `  - matches: [{path: {value: /request}}]
    timeouts: {request: 100ms}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /backend}}]
    timeouts: {backendRequest: 100ms}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /off}}]
    timeouts: {request: 0s}
    backendRefs: [{name: web, port: 80}]`,
		"broken": `  - matches: [{path: {value: /missing}}]
    backendRefs: [{name: gone, port: 80}]
  - matches: [{path: {value: /omitted}}]
  - matches: [{path: {value: /extension}}]
    filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: B, name: c}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /zero}}]
    backendRefs: [{name: web, port: 80, weight: 0}]`,
		"sticky": `  - sessionPersistence: {}
    backendRefs: [{name: web, port: 80}, {name: api, port: 80}]`,
		"stickyheader": `  - sessionPersistence: {type: Header, header: {name: X-Session}}
    backendRefs: [{name: web, port: 80}, {name: api, port: 80}]`,
		"auth": `  - matches: [{path: {value: /some}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 80}, http: {path: /check, allowedHeaders: [x-token], allowedResponseHeaders: [x-user]}}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /all}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 80}, http: {}}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /down}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: dead, port: 80}, http: {}}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /small}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 80}, http: {}, forwardBody: {maxSize: 2}}}]
    backendRefs: [{name: web, port: 80}]
  - backendRefs: [{name: web, port: 80}]`,
		"match": `  - matches: [{path: {type: RegularExpression, value: '/re/[0-9]+'}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /prefix/}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {type: Exact, value: /exact}, headers: [{type: RegularExpression, name: X-V, value: 'v[12]'}]}]
    backendRefs: [{name: web, port: 80}]`,
		"second": `  - backendRefs: [{name: web, port: 80}]`,
	} {
		objects += routeFor("HTTPRoute", name, rules)
	}
	objects += routeFor("GRPCRoute", "grpc", `  - matches: [{method: {service: gone}}]
    backendRefs: [{name: gone, port: 80}]
  - matches: [{method: {service: ext}}]
    filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: B, name: c}}]
    backendRefs: [{name: web, port: 80}]`)
	g := startGateway(t, objects)

	t.Run("slashes", g.slashes)
	t.Run("rewrite", g.rewrite)
	t.Run("redirect", g.redirect)
	t.Run("shares", g.shares)
	t.Run("cors", g.cors)
	t.Run("mirror and headers", g.mirrorAndHeaders)
	t.Run("retry", g.retry)
	t.Run("timeouts", g.timeouts)
	t.Run("broken", g.broken)
	t.Run("sessions", g.sessions)
	t.Run("authorisation", g.authorisation)
	t.Run("matches", g.matches)
	t.Run("misdirected", g.misdirected)
	t.Run("websocket", func(t *testing.T) {
		if got := websocket(t, g.http, "weights.example.com"); got != "echo ping" {
			t.Errorf("got %q", got)
		}
	})
}
