package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A processedTemplate is the template as SAM has transformed it: the API with its
// routes is an OpenAPI document there.
type processedTemplate struct {
	TemplateBody struct {
		Resources map[string]struct {
			Properties struct {
				Body struct {
					Paths map[string]struct {
						Any struct {
							Integration struct {
								URI struct {
									Sub string `json:"Fn::Sub"`
								} `json:"uri"`
							} `json:"x-amazon-apigateway-integration"`
						} `json:"x-amazon-apigateway-any-method"`
					} `json:"paths"`
				}
			}
		}
	}
}

// invoked finds what a route invokes: a function's ARN or a reference to its alias.
var invoked = regexp.MustCompile(`functions/\$\{(\w+)(?:\.Arn)?\}/invocations`)

// addRoutes makes the routes of the processed template: the emulator drops the
// OpenAPI document that they are in, and every path would be a 404. Its greedy routes do
// not take a path that ends where {proxy+} begins, but it has routes that end in a slash.
func (st *stack) addRoutes(ctx context.Context) error {
	api := st.physical("OrdersApi")
	var processed processedTemplate
	if err := st.aws(ctx, &processed, "cloudformation", "get-template", "--stack-name", stackName, "--template-stage", "Processed"); err != nil {
		return err
	}
	targets := map[string]string{}
	var want []string
	for path, operations := range processed.TemplateBody.Resources["OrdersApi"].Properties.Body.Paths {
		function := invoked.FindStringSubmatch(operations.Any.Integration.URI.Sub)
		if function == nil {
			return fmt.Errorf("the route %s of the processed template invokes %q", path, operations.Any.Integration.URI.Sub)
		}
		target, err := st.integration(ctx, api, function[1], targets)
		if err != nil {
			return err
		}
		for _, path := range slices.Compact([]string{path, strings.TrimSuffix(path, "{proxy+}")}) {
			key := "ANY " + path
			want = append(want, key)
			if err := st.aws(ctx, nil, "apigatewayv2", "create-route", "--api-id", api, "--route-key", key, "--target", target); err != nil {
				return err
			}
		}
	}
	return st.checkRoutes(ctx, api, want)
}

// integration makes the one integration of a function and returns its name as the
// target of a route.
func (st *stack) integration(ctx context.Context, api, function string, targets map[string]string) (string, error) {
	if target, ok := targets[function]; ok {
		return target, nil
	}
	var created struct{ IntegrationId string }
	err := st.aws(ctx, &created, "apigatewayv2", "create-integration", "--api-id", api, "--integration-type", "AWS_PROXY",
		"--payload-format-version", "2.0", "--integration-uri", st.physical(function))
	targets[function] = "integrations/" + created.IntegrationId
	return targets[function], err
}

// checkRoutes returns an error unless the API has these routes, and at least one.
func (st *stack) checkRoutes(ctx context.Context, api string, want []string) error {
	var got struct{ Items []struct{ RouteKey string } }
	if err := st.aws(ctx, &got, "apigatewayv2", "get-routes", "--api-id", api); err != nil {
		return err
	}
	var keys []string
	for _, route := range got.Items {
		keys = append(keys, route.RouteKey)
	}
	slices.Sort(keys)
	slices.Sort(want)
	if len(keys) == 0 || !slices.Equal(keys, want) {
		return fmt.Errorf("the API has the routes %q, not %q", keys, want)
	}
	return nil
}
