package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"orders/test/service"
)

// eventuallyTimeout bounds every wait, beyond the processing time.
const eventuallyTimeout = 60 * time.Second

// A deployment is the deployment under test, as one test sees it.
type deployment struct {
	*testing.T
	*service.Client
	processingTime time.Duration
}

func open(t *testing.T) *deployment {
	t.Helper()
	url := os.Getenv("ORDERS_URL")
	if url == "" {
		t.Skip("ORDERS_URL is not set: there is no deployment to test. See `make local-test` and `make deploy-test`.")
	}
	processingTime, err := time.ParseDuration(os.Getenv("PROCESSING_TIME"))
	if err != nil {
		t.Fatalf("PROCESSING_TIME: %v", err)
	}
	return &deployment{t, service.NewClient(url, 1), processingTime}
}

// send sends a request; headers are names and values.
func (d *deployment) send(method, path, body string, headers ...string) *service.Response {
	d.Helper()
	r, err := d.Send(d.Context(), method, path, []byte(body), headers...)
	if err != nil {
		d.Fatal(err)
	}
	if r.StatusCode >= http.StatusInternalServerError { // I15
		d.Fatalf("%s %s: %s: %s", method, path, r.Status, r.Content)
	}
	return r
}

// create sends a create, which must succeed. It does not look for Idempotency-Replayed: when a
// response of the store is lost, the SDK tries again and finds the order there.
func (d *deployment) create(body, key string) service.Created {
	d.Helper()
	created, err := d.Create(d.Context(), []byte(body), key)
	if err != nil {
		d.Fatal(err)
	}
	return created
}

func (d *deployment) order(id string) service.Order {
	d.Helper()
	o, err := d.Order(d.Context(), id)
	if err != nil {
		d.Fatal(err)
	}
	return o
}

func (d *deployment) metrics() service.Metrics {
	d.Helper()
	m, err := d.Metrics(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	return m
}

// ids are all ids, page by page.
func (d *deployment) ids(limit int) []string {
	d.Helper()
	ids, err := d.IDs(d.Context(), limit)
	if err != nil {
		d.Fatal(err)
	}
	return ids
}

// await waits for an order to be completed. Meanwhile its status never goes back (I6).
func (d *deployment) await(id string) service.Order {
	d.Helper()
	statuses := []string{"Pending", "Processing", "Completed"}
	reached := 0
	d.eventually(func() error {
		status, err := d.Status(d.Context(), id)
		if err != nil {
			d.Fatal(err)
		}
		at := slices.Index(statuses, status)
		if at < reached {
			d.Fatalf("order %s is %s after %s", id, status, statuses[reached])
		}
		reached = at
		if status != "Completed" {
			return fmt.Errorf("order %s is %s", id, status)
		}
		return nil
	})
	return d.order(id)
}

// eventually waits until check returns nil.
func (d *deployment) eventually(check func() error) {
	d.Helper()
	limit := d.processingTime + eventuallyTimeout
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			d.Fatalf("not within %s: %v", limit, err)
		}
	}
}

// unique is a name that no earlier run has used in this deployment.
func unique(name string) string { return fmt.Sprintf("%s-%d", name, time.Now().UnixNano()) }
