package awstest_test

import (
	"context"
	"time"

	"orders/shared/sqsqueue"
)

// ofRedrive are faults of moving messages.
var ofRedrive = []string{"never arrives, any attempt", "answer lost, every attempt", "made twice"}

// redrive is an operator who moves all dead letters back to the queue, where they are
// worked off again and buried once more. When that fails, there is another attempt.
func (h *chaosHome) redrive(fault string) {
	failed := false
	h.under("redrive", fault, []string{"SendMessageBatch"}, func(d disturbance) int {
		letters := len(h.dead.read(h))
		if err := h.redriveOnce(); err != nil {
			failed = true
			if !d.fails {
				h.network.report("%v", err)
			}
		}
		return letters
	})
	if failed {
		h.redrive("")
	}
	h.workOff("")
}

func (h *chaosHome) redriveOnce() error {
	h.dead.show(h)
	_, err := sqsqueue.Redrive{
		Client: h.deployment.SQS, URL: h.deployment.QueueURL, DeadLetterURL: h.deployment.DeadLetterURL,
		Began: time.Now().Add(time.Hour), Now: time.Now,
	}.Run(context.WithoutCancel(h.Context()))
	return err
}
