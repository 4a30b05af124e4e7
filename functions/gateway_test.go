package functions_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/pb33f/go-yaml"

	"orders/shared/api"
	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// A gateway routes a request as API Gateway does:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html#http-api-develop-routes.evaluation.
// The page leaves open what these fields say, so the tests try all of it.
type gateway struct {
	routes map[string]string // functions by routes of the template: a path, or "$default"

	final   finalSlash
	decodes bool // whether the path is unescaped before it is compared with a route
}

// A finalSlash is how a gateway takes a slash at the end of a path.
type finalSlash string

const (
	takesEmptyRest   finalSlash = "{proxy+} takes an empty rest"
	refusesEmptyRest finalSlash = "{proxy+} refuses an empty rest"
	ignoresSlash     finalSlash = "routes match with a slash at the end" // as SAM's local API has it
)

// newGateway reads the routes of the API's functions from the template.
func newGateway(t *testing.T) gateway {
	t.Helper()
	resources, err := awstest.Template(t).Resources("AWS::Serverless::Function")
	if err != nil {
		t.Fatal(err)
	}
	g := gateway{routes: map[string]string{}}
	for _, r := range resources {
		properties := convert[struct {
			CodeURI string `json:"CodeUri"`
			Events  map[string]struct {
				Type       string
				Properties struct{ Path string }
			}
		}](t, r.Properties)
		for _, e := range properties.Events {
			route := e.Properties.Path
			if route == "" {
				route = "$default"
			}
			if e.Type == "HttpApi" {
				g.routes[route] = strings.Trim(strings.TrimPrefix(properties.CodeURI, "functions"), "/")
			}
		}
	}
	return g
}

// match returns the route for a path with its parameters.
func (g gateway) match(target *url.URL) (route string, parameters map[string]string) {
	path := target.EscapedPath()
	if g.decodes {
		path = target.Path
	}
	route, best := "$default", -1
	for candidate := range g.routes {
		if found, ok := g.parameters(candidate, path); ok && rank(candidate) > best {
			route, parameters, best = candidate, found, rank(candidate)
		}
	}
	return route, parameters
}

// rank is higher for a route that is chosen before another: one that is not greedy, and one with
// fewer parameters.
func rank(route string) int {
	rank := 10 * strings.Count(route, "/")
	rank -= strings.Count(route, "{")
	if !strings.HasSuffix(route, "+}") {
		rank += 1000
	}
	return rank
}

var parameter = regexp.MustCompile(`\{(\w+)(\+?)\}`)

// parameters returns the values of a route's parameters if the route matches a path.
func (g gateway) parameters(route, path string) (values map[string]string, ok bool) {
	rest := ".+"
	if g.final == takesEmptyRest {
		rest = ".*"
	}
	pattern := parameter.ReplaceAllStringFunc(route, func(found string) string {
		if strings.HasSuffix(found, "+}") {
			return "(" + rest + ")"
		}
		return "([^/]+)"
	})
	if g.final == ignoresSlash && !strings.HasSuffix(route, "+}") {
		pattern += "/?"
	}
	found := regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(path)
	if found == nil {
		return nil, false
	}
	values = map[string]string{}
	for i, name := range parameter.FindAllStringSubmatch(route, -1) {
		values[name[1]] = found[i+1]
		if unescaped, err := url.PathUnescape(found[i+1]); err == nil {
			values[name[1]] = unescaped
		}
	}
	return values, true
}

// event is what the gateway sends to the function of a route.
func (g gateway) event(t *testing.T, method string, target target) (function string, event []byte) {
	t.Helper()
	route, parameters := g.match(target.URL)
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RouteKey: "$default", RawPath: target.Path, PathParameters: parameters}
	if route != "$default" {
		e.RouteKey = "ANY " + route
	}
	e.Headers = map[string]string{"content-type": "application/json", "idempotency-key": "sample-order-1"}
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path, e.RequestContext.RequestID = method, target.Path, "the-request"
	if method == http.MethodPost {
		e.Body = target.body
	}
	event, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return g.routes[route], event
}

const (
	createBody     = `{"user_id":645,"item_ids":[890,563],"total_amount":1650.78}`
	transitionBody = `{"version":1,"reason":"changed my mind"}`
)

// I15: each path of the contract gets, with each method and with slashes at its end, the response of
// the whole API. So does a literal of the contract in the place of an order's id, plain or escaped,
// or its response is 404 or 405. It never matters which function serves a request, and what its role
// allows: a call that it does not allow would be a 500.
func TestAClientSeesOneAPIWhicheverFunctionServesIt(t *testing.T) {
	t.Parallel()
	h := openDeployment(t)
	store := awstest.Must(dynamostore.New(dynamostore.Config{Client: awstest.DynamoDB(t), Table: h.table, Fulfilment: order.Timer(time.Second), Now: time.Now, Random: rand.Reader}))
	whole := api.New(api.Config{Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	g := newGateway(t)
	functions := map[string]*function{}
	for _, name := range g.routes {
		if functions[name] == nil {
			functions[name] = h.startWithRole(name)
		}
	}
	for _, target := range targets(t) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			// The functions are asked first: it is they that write.
			answers := map[string]events.APIGatewayV2HTTPResponse{}
			asked := g.events(t, method, target)
			for event, name := range asked {
				answers[event] = convert[events.APIGatewayV2HTTPResponse](t, json.RawMessage(functions[name].invoke([]byte(event)).body))
			}
			request := httptest.NewRequest(method, target.String(), strings.NewReader(target.body))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Idempotency-Key", "sample-order-1")
			recorder := httptest.NewRecorder()
			whole.ServeHTTP(recorder, request)
			want := routed(recorder.Code, recorder.Header().Get)
			for event, res := range answers {
				got := routed(res.StatusCode, func(name string) string { return res.Headers[name] })
				refused := target.literal && (res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusMethodNotAllowed)
				if got != want && !refused {
					t.Errorf("%s %s: %s answers %s, want %s, to %s", method, target, asked[event], got, want, event)
				}
			}
		}
	}
}

// events are the events that the kinds of gateway may send for a request, each with its function.
func (g gateway) events(t *testing.T, method string, target target) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, g.final = range []finalSlash{takesEmptyRest, refusesEmptyRest, ignoresSlash} {
		for _, g.decodes = range []bool{true, false} {
			function, event := g.event(t, method, target)
			all[string(event)] = function
		}
	}
	return all
}

// routed are the parts of a response that depend on the route.
func routed(status int, header func(string) string) string {
	return fmt.Sprintf("%d Allow=%q Location=%q", status, header("Allow"), header("Location"))
}

// A target is a path of the contract, with the body of a POST. It is literal if it has a segment of
// such a path in the place of an order's id.
type target struct {
	*url.URL
	literal bool
	body    string
}

// targets are the paths of the contract with an order's id, and with each literal, plain and with an
// escaped letter.
func targets(t *testing.T) (all []target) {
	t.Helper()
	var contract struct {
		Paths map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(api.OpenAPI, &contract); err != nil {
		t.Fatal(err)
	}
	ids := []string{sample}
	for path := range contract.Paths {
		for segment := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			if !strings.HasPrefix(segment, "{") && !slices.Contains(ids, segment) {
				ids = append(ids, segment, fmt.Sprintf("%%%x%s", segment[0], segment[1:]))
			}
		}
	}
	for path := range contract.Paths {
		body := createBody
		if strings.Contains(path, "{order_id}") {
			body = transitionBody
		}
		for _, id := range ids {
			if id != sample && !strings.Contains(path, "{order_id}") {
				continue
			}
			slashes := []string{"", "/", "//"}
			if id != sample {
				slashes = slashes[:2]
			}
			for _, slashes := range slashes {
				u, err := url.Parse(strings.ReplaceAll(strings.TrimSuffix(path, "/"), "{order_id}", id) + slashes)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, target{u, id != sample, body})
			}
		}
	}
	if len(all) < 60 {
		t.Fatalf("the contract has only %d paths", len(all))
	}
	return all
}

// startWithRole starts a function that can make no calls but those that its role allows.
func (h *deployment) startWithRole(name string) *function {
	h.t.Helper()
	allowed := h.allowed(name)
	next := proxyTo(h.t, h.endpoint)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, isCall := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if isCall && !allowed["dynamodb:"+operation] {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"com.amazon.coral.service#AccessDeniedException"}`)
			return
		}
		next.ServeHTTP(w, r)
	}))
	h.t.Cleanup(server.Close)
	own := &deployment{t: h.t, table: h.table, queueURL: h.queueURL, deadLetterURL: h.deadLetterURL, endpoint: server.URL}
	return own.start(name)
}

// allowed are the actions of a function's role.
func (h *deployment) allowed(name string) map[string]bool {
	h.t.Helper()
	role, err := awstest.Template(h.t).Resource(strings.ToUpper(name[:1]) + name[1:] + "Role")
	if err != nil {
		h.t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, action := range regexp.MustCompile(`dynamodb:\w+`).FindAllString(fmt.Sprint(role.Properties["Policies"]), -1) {
		allowed[action] = true
	}
	return allowed
}

// convert returns a value of another type with the same JSON.
func convert[T any](t *testing.T, from any) (to T) {
	t.Helper()
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, &to)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return to
}
