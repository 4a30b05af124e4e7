package lambdahttp_test

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/lambdahttp"
	"orders/test/awstest"
	"orders/test/conformance"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

// The same through the whole home on AWS.
func TestHTTPOnAWS(t *testing.T) {
	conformance.RunHTTP(t, func(t *testing.T) conformance.Service {
		t.Parallel()
		home := awstest.OpenDeployment(t)
		logs := &conformance.LogBuffer{}
		log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		lambda := gateway{function: lambdahttp.New(api.New(api.Config{
			Orders: home.Store, Metrics: home.Metrics, RequestID: rand.Text, Now: time.Now, Log: log,
		}), log)}
		return conformance.Service{
			Harness: home.Harness, Logs: logs.Bytes,
			Do: func(r *http.Request) *http.Response { return lambda.do(t, r).response() },
		}
	})
}
