package main

// docsMutants change the page at /docs/ and the contract.
var docsMutants = []mutant{
	{
		name: "an ETag is quoted",
		file: "cmd/orders/docs.go",
		old:  "`\"`+etag+`\"`",
		new:  "etag",
		test: "TestTheDocsAreCompressedAndRevalidatedByTheirETag",
	},
	{
		name: "a compressed file has an ETag of its own",
		file: "cmd/orders/docs.go",
		old:  `etag+"-gzip"`,
		new:  `etag`,
		test: "TestTheDocsAreCompressedAndRevalidatedByTheirETag",
	},
	{
		name: "the docs accept only GET and HEAD",
		file: "cmd/orders/docs.go",
		old:  `case !get:`,
		new:  `case false:`,
		test: "TestWhatIsNotTheDocsGoesToTheService",
	},
	{
		name: "a browser is redirected to the page behind any prefix",
		file: "cmd/orders/docs.go",
		old:  `redirect(w, "docs/", http.StatusFound)`,
		new:  `redirect(w, "/docs/", http.StatusFound)`,
		test: "TestWhatIsNotTheDocsGoesToTheService",
	},
	{
		name: "a client of the API is not redirected to the page",
		file: "cmd/orders/docs.go",
		old:  `strings.Contains(h.Get("Accept"), "text/html")`,
		new:  `h.Get("Accept") != ""`,
		test: "TestWhatIsNotTheDocsGoesToTheService",
	},
	{
		name: "the page runs no inline scripts",
		file: "cmd/orders/docs.go",
		old:  `header.Set("Content-Security-Policy", contentSecurityPolicy)`,
		new:  ``,
		test: "TestThePageLoadsItsPartsFromThisProgramOnly",
	},
	{
		name: "the pattern of texts in the contract refuses what the service refuses",
		file: "shared/api/openapi.yaml",
		old:  `\\u17b5\\u180e\\u2000-`,
		new:  `\\u17b5\\u2000-`,
		pkg:  "test/conformance",
		test: "TestTheContractAllowsTheCharactersThatTheServiceTakes",
	},
	{
		name: "amounts in the contract are strings, so that clients do not round them",
		file: "shared/api/openapi.yaml",
		old:  "          description: With 2 decimal places.\n          type: string\n",
		new:  "          description: With 2 decimal places.\n          type: number\n",
		pkg:  "test/conformance",
		test: "TestClientsSendAndGetMoneyAndIdsAsStrings",
	},
}
