package main

// docsMutants are those of the page at /docs/ and of the contract.
var docsMutants = []mutant{
	{
		name: "an ETag is quoted",
		file: "cmd/orders/docs.go",
		old:  "`\"`+etag+`\"`",
		new:  "etag",
		test: "TestTheDocsAreCompressedAndRevalidatedByTheirETag",
	},
	{
		name: "what is compressed has an ETag of its own",
		file: "cmd/orders/docs.go",
		old:  `etag+"-gzip"`,
		new:  `etag`,
		test: "TestTheDocsAreCompressedAndRevalidatedByTheirETag",
	},
	{
		name: "the page is only for reading",
		file: "cmd/orders/docs.go",
		old:  `case !get:`,
		new:  `case false:`,
		test: "TestWhatIsNotTheDocsGoesToTheService",
	},
	{
		name: "a browser is led to the page below any prefix",
		file: "cmd/orders/docs.go",
		old:  `redirect(w, "docs/", http.StatusFound)`,
		new:  `redirect(w, "/docs/", http.StatusFound)`,
		test: "TestWhatIsNotTheDocsGoesToTheService",
	},
	{
		name: "a client of the API is not led to the page",
		file: "cmd/orders/docs.go",
		old:  `strings.Contains(h.Get("Accept"), "text/html")`,
		new:  `h.Get("Accept") != ""`,
		test: "TestWhatIsNotTheDocsGoesToTheService",
	},
	{
		name: "the page runs no script that is not a file of ours",
		file: "cmd/orders/docs.go",
		old:  `header.Set("Content-Security-Policy", contentSecurityPolicy)`,
		new:  ``,
		test: "TestThePageLoadsItsPartsFromThisProgramOnly",
	},
	{
		name: "the contract's pattern of a text refuses what the service refuses",
		file: "shared/api/openapi.yaml",
		old:  `\\u17b5\\u180e\\u2000-`,
		new:  `\\u17b5\\u2000-`,
		pkg:  "test/conformance",
		test: "TestTheContractAllowsTheCharactersThatTheServiceTakes",
	},
	{
		name: "the contract has no amounts that clients round",
		file: "shared/api/openapi.yaml",
		old:  "          description: With 2 decimal places.\n          type: string\n",
		new:  "          description: With 2 decimal places.\n          type: number\n",
		pkg:  "test/conformance",
		test: "TestClientsSendAndGetMoneyAndIdsAsStrings",
	},
}
