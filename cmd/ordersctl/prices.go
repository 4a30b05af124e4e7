package main

// pricesAsOf is when the prices were written down. AWS changes them now and then,
// and each has its page.
const (
	pricesAsOf   = "2026-11"
	pricesRegion = "us-east-1"
)

// A price is what AWS lists for one thing, before free tiers and discounts for
// large amounts.
type price struct {
	Service string
	Unit    string
	USD     float64 // for Per units
	Per     float64
	Page    string
}

const million = 1_000_000

var (
	httpRequestPrice = price{
		"API Gateway", "HTTP API requests", 1.00, million, "https://aws.amazon.com/api-gateway/pricing/",
	}
	invocationPrice = price{"Lambda", "invocations", 0.20, million, "https://aws.amazon.com/lambda/pricing/"}
	gbSecondPrice   = price{
		"Lambda", "GB-seconds on arm64", 0.0000133334, 1, "https://aws.amazon.com/lambda/pricing/",
	}
	writeUnitPrice = price{
		"DynamoDB", "write request units", 0.625, million, "https://aws.amazon.com/dynamodb/pricing/on-demand/",
	}
	readUnitPrice = price{
		"DynamoDB", "read request units", 0.125, million, "https://aws.amazon.com/dynamodb/pricing/on-demand/",
	}
	queueRequestPrice = price{"SQS", "requests, standard queue", 0.40, million, "https://aws.amazon.com/sqs/pricing/"}
	logPrice          = price{"CloudWatch Logs", "GB taken in", 0.50, 1, "https://aws.amazon.com/cloudwatch/pricing/"}
)

// leftOut is what the estimate does not count, and why.
var leftOut = []string{
	"storage of the table, its index and its backups (by GB and month)",
	"data sent to the internet (about 1 KB an order, headers included)",
	"the queue's pollers while it is empty (by time: 5 pollers, 20 s each, about 650,000 requests a month)",
	"alarms, retries, pages and metrics reads",
	"free tiers and discounts for large amounts",
	"the stream's reads: Lambda's are free",
}
