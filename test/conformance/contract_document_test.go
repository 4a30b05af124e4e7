package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/go-yaml"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"

	"orders/shared/api"
	"orders/shared/order"
)

func TestTheContractIsValidOpenAPI(t *testing.T) {
	_, broken := loadedContract().validator.ValidateDocument()
	for _, text := range texts(broken) {
		t.Error(text)
	}
}

func TestTheContractHasTheRoutesOfTheService(t *testing.T) {
	var described []string
	for path, item := range loadedContract().model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			described = append(described, strings.ToUpper(method)+" "+strings.TrimSuffix(path, "/"))
		}
	}
	equalSets(t, "routes", described, api.Routes())
}

func TestTheContractHasTheStatusesOfAnOrder(t *testing.T) {
	var names, initial, counted []string
	for _, s := range order.Statuses {
		names = append(names, s.String())
	}
	for _, s := range order.InitialStatuses {
		initial = append(initial, s.String())
	}
	c := loadedContract()
	for name := range c.schema("Metrics").Properties.GetOrZero("status_counts").Schema().Properties.FromOldest() {
		counted = append(counted, name)
	}
	equalSets(t, "statuses", enum(c.schema("Status")), names)
	equalSets(t, "initial statuses", enum(c.schema("InitialStatus")), initial)
	equalSets(t, "counted statuses", counted, names)
}

func TestTheContractHasTheLimitsOfTheService(t *testing.T) {
	c := loadedContract()
	if got := *c.model.Components.Parameters.GetOrZero("Limit").Schema.Schema().Maximum; got != 1000 {
		t.Errorf("a page has at most %v ids, want 1000", got)
	}
	if body := c.model.Components.RequestBodies.GetOrZero("OrderDraft").Description; !strings.Contains(body, fmt.Sprintf("at most %d bytes", len(largest))) {
		t.Errorf("a body has at most %d bytes, but the contract says: %s", len(largest), body)
	}
	if got := *c.schema("Text").MaxLength; got != order.MaxTextLength {
		t.Errorf("a text has at most %d characters, want %d", got, order.MaxTextLength)
	}
	if got := *c.schema("Reason").MaxLength; got != order.MaxReasonLength {
		t.Errorf("a reason has at most %d characters, want %d", got, order.MaxReasonLength)
	}
	if c.schema("Reason").Pattern != c.schema("Text").Pattern {
		t.Error("a reason and a text allow different characters")
	}
	if got := *c.schema("Order").Properties.GetOrZero("history").Schema().MaxItems; got != order.MaxHistory {
		t.Errorf("a history has at most %d entries, want %d", got, order.MaxHistory)
	}
	for _, name := range []string{"OrderDraft", "Order"} {
		if got := *c.schema(name).Properties.GetOrZero("item_ids").Schema().MaxItems; got != order.MaxItems {
			t.Errorf("%s has at most %d items, want %d", name, got, order.MaxItems)
		}
	}
	if amount := c.schema("Amount").Description; !strings.Contains(amount, "to "+order.MaxAmount.String()+" ") {
		t.Errorf("an amount is at most %s, but the contract says: %s", order.MaxAmount, amount)
	}
}

// The examples are in the contract's components. Every body must have one.
func TestEveryExampleOfTheContractIsValid(t *testing.T) {
	c, components := loadedContract(), loadedContract().model.Components
	for name, p := range components.Parameters.FromOldest() {
		c.checkExample(t, "parameter "+name, p.Schema.Schema(), p.Example)
		c.checkSchema(t, "parameter "+name, p.Schema.Schema())
	}
	for name, h := range components.Headers.FromOldest() {
		c.checkExample(t, "header "+name, h.Schema.Schema(), h.Example)
	}
	for name, s := range components.Schemas.FromOldest() {
		c.checkSchema(t, "schema "+name, s.Schema())
	}
	for name, body := range components.RequestBodies.FromOldest() {
		c.checkBody(t, "request "+name, body.Content)
	}
	for name, response := range components.Responses.FromOldest() {
		c.checkBody(t, "response "+name, response.Content)
	}
}

// checkExample checks an example, if there is one.
func (c *contract) checkExample(t *testing.T, where string, schema *base.Schema, example *yaml.Node) {
	t.Helper()
	if example == nil {
		return
	}
	var value any
	compiled, err := c.compile(schema)
	if err == nil {
		err = example.Decode(&value)
	}
	if err == nil {
		err = compiled.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v", where, err)
	}
}

// checkSchema checks the examples of a schema and of its own properties.
func (c *contract) checkSchema(t *testing.T, where string, schema *base.Schema) {
	t.Helper()
	c.checkExample(t, where, schema, schema.Example)
	for name, property := range schema.Properties.FromOldest() {
		if !property.IsReference() {
			c.checkSchema(t, where+"/"+name, property.Schema())
		}
	}
}

func (c *contract) checkBody(t *testing.T, where string, content *orderedmap.Map[string, *v3.MediaType]) {
	t.Helper()
	for _, media := range content.FromOldest() {
		if media.Example == nil && media.Examples.Len() == 0 {
			t.Errorf("%s has no example", where)
		}
		c.checkExample(t, where, media.Schema.Schema(), media.Example)
		for name, e := range media.Examples.FromOldest() {
			c.checkExample(t, where+" "+name, media.Schema.Schema(), e.Value)
		}
	}
}

// enum lists the values of an enumeration.
func enum(schema *base.Schema) (values []string) {
	for _, node := range schema.Enum {
		values = append(values, node.Value)
	}
	return values
}

// equalSets fails the test unless the contract and another source have the same elements.
func equalSets(t *testing.T, what string, contract, other []string) {
	t.Helper()
	slices.Sort(contract)
	slices.Sort(other)
	if other = slices.Compact(other); !slices.Equal(contract, other) {
		t.Errorf("%s: %q, but the contract has %q", what, other, contract)
	}
}

// Generators of clients differ in the features that they support. All support these rules.
func TestGeneratorsCanReadTheContract(t *testing.T) {
	c := loadedContract()
	if version := c.model.Version; version != "3.0.3" {
		t.Errorf("the contract is OpenAPI %s, want 3.0.3, which all generators read", version)
	}
	if !strings.Contains(string(api.OpenAPI), "\nsecurity: []\n") {
		t.Error("the contract does not say that there is no authentication")
	}
	var document yaml.Node
	if err := yaml.Unmarshal(api.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	walk(&document, func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode || n.Anchor != "" {
			t.Errorf("line %d has an alias or an anchor", n.Line)
		}
		for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
			if n.Content[i].Value == "type" && n.Content[i+1].Kind == yaml.SequenceNode {
				t.Errorf("line %d has a list of types", n.Line)
			}
		}
	})
	for name := range c.model.Components.Schemas.FromOldest() {
		if made, isConstructor := strings.CutPrefix(name, "New"); isConstructor && c.model.Components.Schemas.GetOrZero(made) != nil {
			t.Errorf("the schema %s has the name of the constructor of %s", name, made)
		}
	}
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			if operation.OperationId == "" || len(operation.Tags) != 1 {
				t.Errorf("%s %s has the operationId %q and the tags %q", method, path, operation.OperationId, operation.Tags)
			}
		}
	}
}

// walk visits a node and all below it.
func walk(n *yaml.Node, visit func(*yaml.Node)) {
	visit(n)
	for _, child := range n.Content {
		walk(child, visit)
	}
}

func TestClientsSendAndGetMoneyAndIdsAsStrings(t *testing.T) {
	c := loadedContract()
	for _, name := range []string{"OrderDraft", "Order"} {
		properties := c.schema(name).Properties
		for field, schema := range map[string]*base.Schema{
			"user_id":      properties.GetOrZero("user_id").Schema(),
			"item_ids":     properties.GetOrZero("item_ids").Schema().Items.A.Schema(),
			"total_amount": properties.GetOrZero("total_amount").Schema(),
		} {
			if len(schema.AllOf) == 1 {
				schema = schema.AllOf[0].Schema()
			}
			if !slices.Equal(schema.Type, []string{"string"}) {
				t.Errorf("%s has %s of type %s, want string", name, field, schema.Type)
			}
		}
	}
}

func TestTheContractHasTheErrorCodesOfTheService(t *testing.T) {
	described := enum(loadedContract().schema("ErrorCode"))
	source := `(?:Code: |bodyViolation\(|report\(.+?, |\{order\.Err\w+, |http\.Status\w+, )"([a-z0-9_]+)"`
	equalSets(t, "error codes", described, found(t, source, "../../shared/api/*.go"))
	row := "(?m)^\\| [45][0-9]{2} \\| `([a-z0-9_]+)` \\|"
	equalSets(t, "explained error codes", described, found(t, row, "../../docs/errors.md"))
}

// found lists what a pattern finds in files that are not tests.
func found(t *testing.T, pattern, files string) (list []string) {
	t.Helper()
	names, err := filepath.Glob(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			if !strings.HasSuffix(name, "_test.go") {
				list = append(list, string(match[1]))
			}
		}
	}
	return list
}
