package awsclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// variables is an environment as Lambda sets it, with changes.
func variables(changes map[string]string) func(string) string {
	all := map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
		"ORDERS_TABLE": "orders", "ORDERS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/orders",
		"DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/dead", "PROCESSING_TIME": "50s",
	}
	maps.Copy(all, changes)
	return func(name string) string { return all[name] }
}

func TestAllThatIsWrongWithTheEnvironmentIsToldAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		changes map[string]string
		want    string // the error
	}{
		"nothing":     {nil, ""},
		"an emulator": {map[string]string{"AWS_ENDPOINT_URL": "http://localstack:4566", "AWS_SESSION_TOKEN": ""}, ""},
		"all is missing": {map[string]string{
			"AWS_REGION": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "ORDERS_TABLE": "", "ORDERS_QUEUE_URL": "",
			"DEAD_LETTER_QUEUE_URL": "", "PROCESSING_TIME": "",
		}, "ORDERS_TABLE is not set; ORDERS_QUEUE_URL is not set; DEAD_LETTER_QUEUE_URL is not set; PROCESSING_TIME is not set; " +
			"AWS_REGION is not set; AWS_ACCESS_KEY_ID is not set; AWS_SECRET_ACCESS_KEY is not set"},
		"no URLs": {map[string]string{"ORDERS_QUEUE_URL": "orders", "AWS_ENDPOINT_URL": "localhost:4566"},
			`ORDERS_QUEUE_URL must be a URL such as https://host/path, not "orders"; ` +
				`AWS_ENDPOINT_URL must be a URL such as https://host/path, not "localhost:4566"`},
		"a bare number": {map[string]string{"PROCESSING_TIME": "50"}, `PROCESSING_TIME must be from 1ms to 15m0s, such as 50s, not "50"`},
		"a word":        {map[string]string{"INDEX_BUCKETS": "many"}, `INDEX_BUCKETS must be a number such as 16, not "many"`},
		"no buckets":    {map[string]string{"INDEX_BUCKETS": "0"}, `INDEX_BUCKETS must be a number such as 16, not "0"`},
		"buckets":       {map[string]string{"INDEX_BUCKETS": "64"}, ""},
		"too short":     {map[string]string{"PROCESSING_TIME": "0s"}, `PROCESSING_TIME must be from 1ms to 15m0s, such as 50s, not "0s"`},
		"too long":      {map[string]string{"PROCESSING_TIME": "901s"}, `PROCESSING_TIME must be from 1ms to 15m0s, such as 50s, not "901s"`},
	} {
		env := awsclient.NewEnv(variables(tt.changes))
		env.Table()
		env.QueueURL()
		env.DeadLetterQueueURL()
		env.IndexBuckets()
		env.Fulfilment()
		env.AWS()
		got := ""
		if err := env.Err(); err != nil {
			got = strings.TrimPrefix(err.Error(), "environment: ")
		}
		if got != tt.want {
			t.Errorf("%s: error %q, want %q", name, got, tt.want)
		}
	}
}

func TestTheFulfilmentIsATimerUnlessItIsExternal(t *testing.T) {
	timer := order.Timer(50 * time.Second)
	workers := order.Fulfilment{External: true, AttemptTimeout: 5 * time.Minute, MaxAttempts: 3}
	for name, tt := range map[string]struct {
		fulfilment, timeout, attempts string
		want                          order.Fulfilment
		problem                       string
	}{
		"unset":            {"", "", "", timer, ""},
		"a timer":          {"timer", "no time", "no number", timer, ""},
		"workers":          {"external", "5m", "3", workers, ""},
		"another":          {"worker", "5m", "3", order.Fulfilment{}, `FULFILMENT must be timer or external, not "worker"`},
		"no attempts":      {"external", "5m", "0", order.Fulfilment{}, `MAX_ATTEMPTS must be from 1 to 100, not "0"`},
		"too many":         {"external", "5m", "101", order.Fulfilment{}, `MAX_ATTEMPTS must be from 1 to 100, not "101"`},
		"no number":        {"external", "5m", "three", order.Fulfilment{}, `MAX_ATTEMPTS must be from 1 to 100, not "three"`},
		"too long":         {"external", "901s", "3", order.Fulfilment{}, `ATTEMPT_TIMEOUT must be from 1ms to 15m0s, such as 50s, not "901s"`},
		"nothing of these": {"external", "", "", order.Fulfilment{}, "ATTEMPT_TIMEOUT is not set; MAX_ATTEMPTS is not set"},
	} {
		env := awsclient.NewEnv(variables(map[string]string{
			"FULFILMENT": tt.fulfilment, "ATTEMPT_TIMEOUT": tt.timeout, "MAX_ATTEMPTS": tt.attempts,
		}))
		got := env.Fulfilment()
		if err := env.Err(); tt.problem != "" && (err == nil || err.Error() != "environment: "+tt.problem) || tt.problem == "" && (err != nil || got != tt.want) {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
	}
}

func TestOriginsAndBasePathMayBeEmpty(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "https://a.example": {"https://a.example"}, "https://a.example,http://b:8080": {"https://a.example", "http://b:8080"},
		"https://a.example, https://b.example": {"https://a.example", "https://b.example"},
	} {
		env := awsclient.NewEnv(variables(map[string]string{"CORS_ORIGINS": text, "BASE_PATH": text}))
		if got := env.CORSOrigins(); !slices.Equal(got, want) || env.BasePath() != text || env.Err() != nil {
			t.Errorf("%q: origins %q, base path %q, %v", text, got, env.BasePath(), env.Err())
		}
	}
}

// emulator is an endpoint that responds to every call alike, and tells how often it was called and
// over how many connections.
type emulator struct {
	*httptest.Server
	connections, calls atomic.Int64
	mu                 sync.Mutex
	asked              []string // what came before the first call
}

func start(t *testing.T, respond http.HandlerFunc) *emulator {
	t.Helper()
	e := &emulator{}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "" {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.asked = append(e.asked, fmt.Sprintf("%s %s %q", r.Method, r.URL.Path, r.Header.Get("Authorization")))
			fmt.Fprint(w, strings.Repeat("healthy ", 50_000)) // more than a client reads that is not interested
			return
		}
		e.calls.Add(1)
		respond(w, r)
	}))
	e.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			e.connections.Add(1)
		}
	}
	e.Start()
	t.Cleanup(e.Close)
	return e
}

func (e *emulator) aws() aws.Config {
	return awsclient.NewEnv(variables(map[string]string{"AWS_ENDPOINT_URL": e.URL})).AWS()
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	fmt.Fprint(w, "{}")
}

var discard = slog.New(slog.DiscardHandler)

func TestTheFirstCallFindsAConnectionOpen(t *testing.T) {
	e := start(t, ok)
	cfg := e.aws()
	cfg.DefaultsMode = aws.DefaultsModeStandard // in which the SDK copies a client that is not frozen
	awsclient.Prewarm(t.Context(), cfg, "dynamodb", discard)
	e.checkOpened(t)
	getItem(t.Context(), t, dynamodb.NewFromConfig(cfg), true)
	e.checkOpened(t)
}

// checkOpened makes sure that there is one connection, opened by a request that needs no
// permission.
func (e *emulator) checkOpened(t *testing.T) {
	t.Helper()
	if n := e.connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if want := []string{`GET /ping ""`}; !slices.Equal(e.asked, want) {
		t.Errorf("asked %q, want %q", e.asked, want)
	}
}

// getItem reads something, which is to succeed or not.
func getItem(ctx context.Context, t *testing.T, client *dynamodb.Client, succeed bool) {
	t.Helper()
	_, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("orders"), Key: map[string]types.AttributeValue{}},
		func(o *dynamodb.Options) { o.DisableValidateResponseChecksum = true })
	if (err == nil) != succeed {
		t.Errorf("GetItem: %v", err)
	}
}

func TestThatNoConnectionCanBeOpenedIsSaidInTheDebugLog(t *testing.T) {
	var logs strings.Builder
	log := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	refused := httptest.NewServer(nil)
	refused.Close()
	cfg := awsclient.NewEnv(variables(map[string]string{"AWS_ENDPOINT_URL": refused.URL})).AWS()
	awsclient.Prewarm(t.Context(), cfg, "dynamodb", log)
	if !strings.Contains(logs.String(), "level=DEBUG") || !strings.Contains(logs.String(), "connection refused") {
		t.Errorf("logged %s", logs.String())
	}
}

// A black hole does not respond, or stops within its response (F24, I16).
func TestACallToABlackHoleEndsInBoundedTime(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"from the beginning": func(http.ResponseWriter) {},
		"in its response": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hole := start(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
				begin(w)
				<-r.Context().Done()
			})
			client := dynamodb.NewFromConfig(hole.aws())
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			getItem(ctx, t, client, false)
			if took := time.Since(began); took > time.Second {
				t.Errorf("beyond its context it took %s", took)
			}
			hole.calls.Store(0)
			began = time.Now()
			getItem(t.Context(), t, client, false)
			if took := time.Since(began); took > 12*time.Second {
				t.Errorf("it took %s", took)
			}
			if n := hole.calls.Load(); n != 3 {
				t.Errorf("%d attempts, want 3", n)
			}
		})
	}
}

// F1, F24, I16.
func TestAFailingServiceIsAskedThreeTimes(t *testing.T) {
	failing := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	getItem(t.Context(), t, dynamodb.NewFromConfig(failing.aws()), false)
	if n := failing.calls.Load(); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
}

func TestACallIsSignedWithTheCredentialsThatLambdaGives(t *testing.T) {
	var authorization, token string
	e := start(t, func(w http.ResponseWriter, r *http.Request) {
		authorization, token = r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")
		ok(w, r)
	})
	getItem(t.Context(), t, dynamodb.NewFromConfig(e.aws()), true)
	if !strings.Contains(authorization, "Credential=key/") || !strings.Contains(authorization, "/eu-west-1/dynamodb/") || token != "token" {
		t.Errorf("signed %q, token %q", authorization, token)
	}
}

// The connection is opened to where the SDK's clients then go.
func TestWithoutAnEndpointConnectionsAreToAWS(t *testing.T) {
	for _, region := range []string{"eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1"} {
		cfg := awsclient.NewEnv(variables(map[string]string{"AWS_REGION": region, "AWS_ENDPOINT_URL": ""})).AWS()
		var asked []string
		cfg.HTTPClient = clientFunc(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Scheme+" "+r.URL.Host)
			return nil, errors.New("no network")
		})
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		awsclient.Prewarm(t.Context(), cfg, "dynamodb", discard)
		getItem(t.Context(), t, dynamodb.NewFromConfig(cfg), false)
		awsclient.Prewarm(t.Context(), cfg, "sqs", discard)
		_, _ = sqs.NewFromConfig(cfg).PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String("https://queue/")})
		if len(asked) != 4 || asked[0] != asked[1] || asked[2] != asked[3] || !strings.HasPrefix(asked[0], "https dynamodb."+region) {
			t.Errorf("%s: asked %q", region, asked)
		}
	}
}

type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }
