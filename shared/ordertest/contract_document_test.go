package ordertest

import (
	"slices"
	"strconv"
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
	var names, counted []string
	for _, s := range order.Statuses {
		names = append(names, s.String())
	}
	c := loadedContract()
	for name := range c.schema("Metrics").Properties.GetOrZero("status_counts").Schema().Properties.FromOldest() {
		counted = append(counted, name)
	}
	equalSets(t, "statuses", enum(c.schema("Status")), names)
	equalSets(t, "counted statuses", counted, names)
}

func TestTheContractHasTheLimitsOfAnOrder(t *testing.T) {
	c := loadedContract()
	for name, want := range map[string]int64{"Text": order.MaxTextLength, "Identifier": order.MaxTextLength} {
		if got := *c.schema(name).MaxLength; got != want {
			t.Errorf("%s has at most %d characters, want %d", name, got, want)
		}
	}
	for _, name := range []string{"NewOrder", "Order"} {
		if got := *c.schema(name).Properties.GetOrZero("item_ids").Schema().MaxItems; got != order.MaxItems {
			t.Errorf("%s has at most %d items, want %d", name, got, order.MaxItems)
		}
	}
	if got := strconv.FormatFloat(*c.schema("Amount").Maximum, 'f', -1, 64); got != order.MaxAmount.String() {
		t.Errorf("an amount is at most %s, want %s", got, order.MaxAmount)
	}
}

func TestEveryExampleOfTheContractIsValid(t *testing.T) {
	c := loadedContract()
	for _, e := range c.examples(t) {
		var value any
		if err := e.value.Decode(&value); err != nil {
			t.Errorf("%s: %v", e.where, err)
			continue
		}
		schema, err := c.compile(e.schema)
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			t.Errorf("%s: %v", e.where, err)
		}
	}
}

// An example is a value that the contract shows for a schema.
type example struct {
	where  string
	schema *base.Schema
	value  *yaml.Node
}

// examples lists all examples. All are in the contract's components, and every body
// must have one.
func (c *contract) examples(t *testing.T) (all []example) {
	t.Helper()
	components := c.model.Components
	for name, p := range components.Parameters.FromOldest() {
		all = append(all, example{"parameter " + name, p.Schema.Schema(), p.Example})
		all = append(all, schemaExamples("parameter "+name, p.Schema.Schema())...)
	}
	for name, h := range components.Headers.FromOldest() {
		all = append(all, example{"header " + name, h.Schema.Schema(), h.Example})
	}
	for name, s := range components.Schemas.FromOldest() {
		all = append(all, schemaExamples("schema "+name, s.Schema())...)
	}
	bodies := map[string]*orderedmap.Map[string, *v3.MediaType]{}
	for name, body := range components.RequestBodies.FromOldest() {
		bodies["request "+name] = body.Content
	}
	for name, response := range components.Responses.FromOldest() {
		bodies["response "+name] = response.Content
	}
	for where, content := range bodies {
		found := bodyExamples(where, content)
		if len(found) == 0 {
			t.Errorf("%s has no example", where)
		}
		all = append(all, found...)
	}
	return slices.DeleteFunc(all, func(e example) bool { return e.value == nil })
}

// schemaExamples lists the examples in a schema and in its own properties.
func schemaExamples(where string, schema *base.Schema) (found []example) {
	for _, value := range schema.Examples {
		found = append(found, example{where, schema, value})
	}
	for name, property := range schema.Properties.FromOldest() {
		if !property.IsReference() {
			found = append(found, schemaExamples(where+"/"+name, property.Schema())...)
		}
	}
	return found
}

func bodyExamples(where string, content *orderedmap.Map[string, *v3.MediaType]) (found []example) {
	for _, media := range content.FromOldest() {
		if media.Example != nil {
			found = append(found, example{where, media.Schema.Schema(), media.Example})
		}
		for name, e := range media.Examples.FromOldest() {
			found = append(found, example{where + " " + name, media.Schema.Schema(), e.Value})
		}
	}
	return found
}

// enum lists the values of a schema that has just these.
func enum(schema *base.Schema) (values []string) {
	for _, node := range schema.Enum {
		values = append(values, node.Value)
	}
	return values
}

// equalSets says which elements only one of two lists has.
func equalSets(t *testing.T, what string, contract, code []string) {
	t.Helper()
	for _, element := range contract {
		if !slices.Contains(code, element) {
			t.Errorf("%s: only the contract has %q", what, element)
		}
	}
	for _, element := range code {
		if !slices.Contains(contract, element) {
			t.Errorf("%s: the contract lacks %q", what, element)
		}
	}
}
