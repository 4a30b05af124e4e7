package lambdahttp_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/lambdahttp"
)

// In a main, the result of New is given to lambda.Start.
func Example() {
	function := lambdahttp.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}), discard)
	var event events.APIGatewayV2HTTPRequest
	event.RawPath, event.RequestContext.HTTP.Method = "/api/orders/ids/", http.MethodGet
	response, err := function(context.Background(), event)
	fmt.Println(response.StatusCode, response.Body, err)
	// Output: 200 GET /api/orders/ids/ <nil>
}
