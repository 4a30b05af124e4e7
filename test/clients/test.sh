#!/usr/bin/env bash
# Generates clients from openapi.yaml with five generators, compiles them, and takes orders through
# their life with them, on the service at ORDERS_URL. A part that cannot run fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

contract=$PWD/../../shared/api/openapi.yaml
tools=$PWD/../../.tools
generator() { # NAME FOLDER: generate with openapi-generator
	local log
	log=$(java -jar "$tools"/openapi-generator/openapi-generator-cli-*.jar generate -i "$contract" -g "$1" -o "$2" 2>&1) ||
		{ echo "$log"; return 1; }
}
part() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

rm -rf ./*/generated
mkdir -p {go,python,typescript,java}/generated

part "Go: oapi-codegen"
cd go
go tool oapi-codegen -generate types,client -package generated -o generated/client.go "$contract"
go vet ./...
go run .
cd ..

part "Python: openapi-python-client"
PATH=$tools/openapi-python-client/bin:$PATH
openapi-python-client generate --path "$contract" --output-path python/generated --overwrite --fail-on-warning
python -m compileall -q python
PYTHONPATH=python/generated python -B python/life.py

part "TypeScript: openapi-generator and openapi-typescript"
cd typescript
npm ci --silent --no-audit --no-fund
generator typescript-fetch generated/fetch
npx --no-install openapi-typescript "$contract" -o generated/openapi.d.ts
npx --no-install tsc
node generated/js/fetch_life.js
node generated/js/openapi_life.js
cd ..

part "Java: openapi-generator"
generator java java/generated
mvn -q -B -f java/generated compile

part "done"
