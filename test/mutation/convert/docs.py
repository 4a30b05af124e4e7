"""Tells CONTRIBUTING.md how a fault and a mutant are written after the conversion."""

import re

with open("CONTRIBUTING.md") as page:
    text = page.read()

text, faults = re.subn(
    r"1\. Give it the next number in `faults` of `test/mutation`:.*?\n2\. ",
    """1. Give it the next number in the table of [docs/verification.md](docs/verification.md#faults): for
   each deployment, how it is caused, or in italics why it cannot happen there.
2. """,
    text,
    flags=re.S,
)
text, mutants = re.subn(
    r"A mutant is a piece of the code without one protection, and names.*?(?=    go test \./test/mutation )",
    """A mutant is the code without one protection, and names the test that must fail then. It is three
lines in one of the lists of [test/mutation/mutants](test/mutation/mutants):

    mutant: an order is not completed before it is started [F9 I6 I7]
    edit:   shared/order Order.Advance: case 2 of 4 => false
    test:   TestAnEarlyTransitionIsRefusedUntilItsTime

The first line says what the protection promises, and which faults and invariants it is for. The
second names a folder, a declaration in it, and the edit that removes the protection. The third
names the test, after its folder where that is another one. [edit.go](test/mutation/edit.go) lists
the kinds of edits; they name places by syntax, so that a variable can be renamed.

""",
    text,
    flags=re.S,
)
text, code = re.subn(
    r"The new text must compile\. `make mutate` gives it.*?improve the test\.",
    """The edited file must compile. `make mutate` gives it to the compiler in place of the original; the
tree is not changed. A mutant that survives shows that the test is missing something: improve the
test.""",
    text,
    flags=re.S,
)
text = text.replace("# by fault, invariant, name or file", "# by fault, invariant, name, folder or test")
with open("CONTRIBUTING.md", "w") as page:
    page.write(text)
if (faults, mutants, code) != (1, 1, 1):
    print("CONTRIBUTING.md has changed: see to 'Add a fault' and 'Write a mutant' by hand.")
