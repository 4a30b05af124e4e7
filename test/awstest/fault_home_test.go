package awstest_test

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/api"
	"orders/shared/order"
	"orders/test/awstest"
	"orders/tools/eventsource"
)

// A faultyHome is a whole home on AWS, with HTTP in front of it. Its calls meet faults,
// its functions can be killed, and it remembers what clients were told.
type faultyHome struct {
	*testing.T
	awstest.Home
	faults  awstest.Faults
	calls   awstest.Calls
	seen    awstest.Capture // what the bridge has brought to the functions
	handler http.Handler
	queues  *sqs.Client // meets no faults

	mu   sync.Mutex
	told map[order.ID]string // the references of acknowledged orders
	keys map[string]order.ID // the orders that keys name
}

// openFaulty opens a home beside those of other tests. A message that is being worked on is
// hidden for as long as a function may run.
func openFaulty(t *testing.T, change ...func(*awstest.Setup)) *faultyHome {
	t.Helper()
	t.Parallel()
	h := &faultyHome{T: t, told: map[order.ID]string{}, keys: map[string]order.ID{}, queues: awstest.SQS(t)}
	h.Home = awstest.OpenDeployment(t, func(s *awstest.Setup) {
		s.DynamoDB = []func(*dynamodb.Options){dynamodb.WithAPIOptions(h.calls.Middleware, h.faults.Middleware), soon}
		s.SQS = []func(*sqs.Options){sqs.WithAPIOptions(h.calls.Middleware, h.faults.Middleware), soonSQS}
		hiddenFor("10")(s)
		for _, c := range change {
			c(s)
		}
		between := s.Between
		s.Between = func(invoke eventsource.Invoke) eventsource.Invoke { return h.seen.Tee(between(awstest.Mortal(invoke))) }
	})
	h.handler = api.New(api.Config{
		Orders: h.Store, Metrics: h.Metrics, RequestID: func() string { return t.Name() }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	return h
}

// hiddenFor sets for how many seconds a message is hidden when it is being worked on.
func hiddenFor(seconds string) func(*awstest.Setup) {
	return func(s *awstest.Setup) {
		s.Queue = func(attributes map[string]string) { attributes["VisibilityTimeout"] = seconds }
	}
}

// between lets a test stand between the bridge and the functions, nearer to these than
// who stands there already.
func between(stand func(eventsource.Invoke) eventsource.Invoke) func(*awstest.Setup) {
	return func(s *awstest.Setup) {
		outer := s.Between
		s.Between = func(invoke eventsource.Invoke) eventsource.Invoke { return outer(stand(invoke)) }
	}
}

// ask asks for an order by HTTP, under a key unless that is "", and returns the answer.
// What is acknowledged is remembered.
func (h *faultyHome) ask(ctx context.Context, reference, key string) *httptest.ResponseRecorder {
	h.Helper()
	body := fmt.Sprintf(`{"user_id":645,"item_ids":["890",563],"total_amount":"1650.78","order_id":%q}`, reference)
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/orders/create/", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", strings.ReplaceAll(key, " ", "-"))
	}
	answer := httptest.NewRecorder()
	h.handler.ServeHTTP(answer, request)
	if answer.Code == http.StatusCreated {
		h.remember(answer.Body.Bytes(), reference, key)
	}
	return answer
}

// remember holds the home to the order that it has acknowledged.
func (h *faultyHome) remember(body []byte, reference, key string) {
	h.Helper()
	var created struct {
		ID     order.ID `json:"order_id"`
		Status string   `json:"status"`
	}
	if err := json.Unmarshal(body, &created); err != nil || created.Status != "Pending" {
		h.Errorf("answer %s: %v", body, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if of, taken := h.told[created.ID]; taken && (key == "" || of != reference) {
		h.Errorf("the new order %s has the id of another", reference)
	}
	if first, ok := h.keys[key]; ok && first != created.ID {
		h.Errorf("the key %s names %s and %s", key, first, created.ID)
	}
	if h.told[created.ID] = reference; key != "" {
		h.keys[key] = created.ID
	}
}

// create has n orders acknowledged, one after the other.
func (h *faultyHome) create(n int) {
	h.Helper()
	for range n {
		h.mu.Lock()
		reference := fmt.Sprint("order ", len(h.told))
		h.mu.Unlock()
		if answer := h.ask(h.Context(), reference, ""); answer.Code != http.StatusCreated {
			h.Fatalf("create: %d %s", answer.Code, answer.Body)
		}
	}
}

// sideBySide runs f n times at once.
func sideBySide(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// A gate keeps functions waiting until it is opened.
type gate chan struct{}

// before has the gate stand before functions: the bridge finds them failing.
func (g gate) before(functions ...string) func(*awstest.Setup) {
	return between(func(invoke eventsource.Invoke) eventsource.Invoke {
		return func(ctx context.Context, function string, event []byte) ([]byte, error) {
			select {
			case <-g:
				return invoke(ctx, function, event)
			default:
			}
			if slices.Contains(functions, function) {
				return nil, errDown
			}
			return invoke(ctx, function, event)
		}
	})
}

// errDown is the error of a function that cannot be invoked.
var errDown = errors.New("the function is down")
