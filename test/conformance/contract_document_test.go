package conformance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
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
	if got := *c.schema("Text").MaxLength; got != order.MaxTextLength {
		t.Errorf("a text has at most %d characters, want %d", got, order.MaxTextLength)
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

// An example is an example value of a schema.
type example struct {
	where  string
	schema *base.Schema
	value  *yaml.Node
}

// examples lists all examples, which are in the contract's components. Every body must have one.
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

// schemaExamples lists the examples of a schema and of its own properties.
func schemaExamples(where string, schema *base.Schema) (found []example) {
	found = append(found, example{where, schema, schema.Example})
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

// enum lists the values of an enumeration.
func enum(schema *base.Schema) (values []string) {
	for _, node := range schema.Enum {
		values = append(values, node.Value)
	}
	return values
}

// equalSets reports the elements that only one of two lists has.
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
	equalSets(t, "error codes", described, codesInSource(t))
	equalSets(t, "explained error codes", described, codesInDocs(t))
}

// codesInDocs lists the error codes of the table in docs/errors.md.
func codesInDocs(t *testing.T) (codes []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| [45][0-9]{2} \\| `([a-z0-9_]+)` \\|").FindAllSubmatch(page, -1) {
		codes = append(codes, string(row[1]))
	}
	return codes
}

// codesInSource lists the error codes in the source of the handlers and of shared/lambdahttp: the
// strings that are given to a field or a parameter called code. A code that is not a literal fails
// the test, because it would be missed.
func codesInSource(t *testing.T) (codes []string) {
	t.Helper()
	files := sourceFiles(t)
	takers := map[string]int{} // functions with a parameter code, and its index
	for _, file := range files {
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				if i := position(f.Type.Params, "code"); i >= 0 {
					takers[f.Name.Name] = i
				}
			}
		}
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			for _, given := range codesGiven(n, takers) {
				if code := literal(t, given); code != "" && !slices.Contains(codes, code) {
					codes = append(codes, code)
				}
			}
			return true
		})
	}
	return codes
}

func sourceFiles(t *testing.T) (files []*ast.File) {
	t.Helper()
	var names []string
	for _, folder := range []string{"../../shared/api", "../../shared/lambdahttp"} {
		found, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(found), err)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// codesGiven lists the expressions that a node of the source gives for a code.
func codesGiven(n ast.Node, takers map[string]int) (given []ast.Expr) {
	switch n := n.(type) {
	case *ast.KeyValueExpr: // violation{Code: "required"}
		if lastName(n.Key) == "Code" {
			given = append(given, n.Value)
		}
	case *ast.CallExpr: // p.report(pointer, "required", "is missing")
		if i, ok := takers[lastName(n.Fun)]; ok {
			given = append(given, n.Args[i])
		}
	case *ast.CompositeLit: // a table of structs that have a code, like errorProblems
		table, isTable := n.Type.(*ast.ArrayType)
		if !isTable {
			break
		}
		row, isStruct := table.Elt.(*ast.StructType)
		if !isStruct || position(row.Fields, "code") < 0 {
			break
		}
		for _, element := range n.Elts {
			given = append(given, element.(*ast.CompositeLit).Elts[position(row.Fields, "code")])
		}
	}
	return given
}

// literal is the value of a string literal, "" for a variable that passes a code on.
func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	if strings.EqualFold(lastName(e), "code") {
		return ""
	}
	text, ok := e.(*ast.BasicLit)
	if !ok {
		t.Errorf("the source gives a code that is no literal: %T %s", e, lastName(e))
		return ""
	}
	code, err := strconv.Unquote(text.Value)
	if err != nil {
		t.Error(err)
	}
	return code
}

// lastName is the last part of a name such as p.report, "" for other expressions.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	default:
		return ""
	}
}

// position is the index of the string of that name among fields or parameters, -1 without one.
func position(fields *ast.FieldList, name string) int {
	i := 0
	for _, field := range fields.List {
		for _, ident := range field.Names {
			if ident.Name == name && lastName(field.Type) == "string" {
				return i
			}
			i++
		}
	}
	return -1
}
