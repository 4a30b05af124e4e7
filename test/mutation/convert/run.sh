#!/bin/sh
# Converts the lists of mutants from Go to text, and puts the new engine in the place of the old
# one. Run it once, from the root of the module; then commit. It deletes itself.
set -eu
here=test/mutation/convert
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
go test ./test/mutation                     # the old lists fit the code
mv test/mutation/*.go "$old"
mkdir test/mutation/mutants
cp $here/_engine/*.go test/mutation/
# The folders of each deployment, as they are now.
sed -n -e 's/\[\]home{/[]deployment{/' -e '/^\t\t{".*},$/p' "$old/home.go" > "$old/table"
sed -e "/the rows of home.go/{r $old/table
d
}" $here/_engine/names.go > test/mutation/names.go
gofmt -w test/mutation/*.go
OLD=$old NEW=$PWD/test/mutation/mutants go test -count=1 -v -run '^TestConvert$' ./test/mutation
rm test/mutation/convert_test.go
python3 $here/docs.py
rm -r $here
gofmt -l test/mutation
go vet ./test/mutation
go test -count=1 ./test/mutation
wc -l test/mutation/*.go test/mutation/mutants/*.txt
