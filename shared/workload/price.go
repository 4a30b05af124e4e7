package workload

// AWS changes its prices now and then, so each has the page that lists it.
const (
	PricesAsOf   = "2026-11"
	PricesRegion = "us-east-1"

	lambdaPage   = "https://aws.amazon.com/lambda/pricing/"
	dynamoDBPage = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
)

const million = 1_000_000

var (
	httpRequestPrice  = newPrice("API Gateway", "HTTP API requests", 1.00, million, "https://aws.amazon.com/api-gateway/pricing/")
	invocationPrice   = newPrice("Lambda", "invocations", 0.20, million, lambdaPage)
	gbSecondPrice     = newPrice("Lambda", "GB-seconds on arm64", 0.0000133334, 1, lambdaPage)
	writeUnitPrice    = newPrice("DynamoDB", "write request units", 0.625, million, dynamoDBPage)
	readUnitPrice     = newPrice("DynamoDB", "read request units", 0.125, million, dynamoDBPage)
	queueRequestPrice = newPrice("SQS", "requests, standard queue", 0.40, million, "https://aws.amazon.com/sqs/pricing/")
	logPrice          = newPrice("CloudWatch Logs", "GB taken in", 0.50, 1, "https://aws.amazon.com/cloudwatch/pricing/")
)

// Prices that are not in the bill of an order.
var (
	// InternetPrice is for what is sent to clients.
	InternetPrice = newPrice("data transfer", "GB sent to the internet", 0.09, 1, "https://aws.amazon.com/ec2/pricing/on-demand/")
	// StoragePrice is for the table and its index.
	StoragePrice = newPrice("DynamoDB", "GB stored for a month", 0.25, 1, dynamoDBPage)
)

// A Charge is a line of a bill. PriceUSD is what AWS lists for Per units, before free tiers and
// discounts for large amounts.
type Charge struct {
	Service  string  `json:"service"`
	Quantity float64 `json:"quantity"`
	Unit     string  `json:"unit"`
	PriceUSD float64 `json:"price_usd"`
	Per      float64 `json:"per"`
	USD      float64 `json:"usd"`
	Page     string  `json:"page"`
}

// newPrice is a charge without a quantity.
func newPrice(service, unit string, usd, per float64, page string) Charge {
	return Charge{Service: service, Unit: unit, PriceUSD: usd, Per: per, Page: page}
}

// Times is the charge for a quantity at this price.
func (c Charge) Times(quantity float64) Charge {
	c.Quantity, c.USD = quantity, quantity/c.Per*c.PriceUSD
	return c
}

// Functions are what the bill of Lambda and of the access log depends on.
type Functions struct {
	Memory    int     // of a function in MB
	RequestMS float64 // billed for an HTTP request's invocation
	BatchMS   float64 // billed for a batch's invocation
	LogBytes  float64 // logged for an HTTP request
}

// UsualFunctions have the memory and the log line of template.yaml. How long they run is assumed, and
// not measured on AWS.
var UsualFunctions = Functions{Memory: 512, RequestMS: 10, BatchMS: 40, LogBytes: 134}

// Bill is what so many orders cost that each use as much.
func (u Usage) Bill(orders float64, f Functions) []Charge {
	seconds := (u.HTTPRequests*f.RequestMS + u.Batches*f.BatchMS) / 1000
	return []Charge{
		httpRequestPrice.Times(orders * u.HTTPRequests),
		invocationPrice.Times(orders * (u.HTTPRequests + u.Batches)),
		gbSecondPrice.Times(orders * seconds * float64(f.Memory) / 1024),
		writeUnitPrice.Times(orders * u.WriteUnits),
		readUnitPrice.Times(orders * u.ReadUnits),
		queueRequestPrice.Times(orders * u.QueueRequests),
		logPrice.Times(orders * (u.HTTPRequests*f.LogBytes + u.MetricBytes) / 1e9),
	}
}
