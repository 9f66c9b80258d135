"""Two contract types for import-linter: the roles of a module's files, and libraries that stay in their room."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

MODULES = "changke.modules."
KERNEL = "changke.kernel"


class FileRoles(Contract):
    """Every file of a module has a role by its name; a role says what may be imported from inside the house.

    `exceptions` are known debts, `importer -> imported`; one that is paid has to leave the list.
    """

    roles = fields.ListField(subfield=fields.StringField())
    exceptions = fields.ListField(subfield=fields.StringField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Judge every import that starts in a module."""
        allowed = dict(parse(line) for line in self.roles)
        debts = set(self.exceptions)
        found = {f"{importer} -> {imported}": line for importer, imported, line in self._broken(graph, allowed)}
        broken = sorted(line for edge, line in found.items() if edge not in debts)
        broken += [f"{debt}: no longer an exception, take it out" for debt in sorted(debts - found.keys())]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is not allowed."""
        render(check)

    def _broken(self, graph: ImportGraph, allowed: dict[str, list[str]]) -> Iterator[tuple[str, str, str]]:
        for importer in sorted(graph.modules):
            if not importer.startswith(MODULES):
                continue
            module, role = place(importer, allowed)
            if role not in allowed:
                yield importer, "", f"{importer}: no role is called {role!r}"
                continue
            for imported in graph.find_modules_directly_imported_by(importer):
                if imported.startswith("changke.") and not any(
                    permits(word, module, imported) for word in allowed[role]
                ):
                    where = lines(graph, importer, imported)
                    yield importer, imported, f"{importer} ({role}) may not import {imported}{where}"


class OnlyIn(Contract):
    """A part of the house, or a library from outside, is imported only in the places named for it."""

    rules = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Judge every import of a part that is named."""
        broken = sorted(set(self._broken(graph)))
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is not allowed."""
        render(check)

    def _broken(self, graph: ImportGraph) -> Iterator[str]:
        for part, places in map(parse, self.rules):
            for imported in (name for name in graph.modules if matches(name, part)):
                for importer in graph.find_modules_that_directly_import(imported):
                    if not any(matches(importer, allowed) for allowed in places):
                        yield f"{importer} may not import {imported}{lines(graph, importer, imported)}"


def parse(line: str) -> tuple[str, list[str]]:
    """Read `name: word word` into the name and its words."""
    name, _, words = line.partition(":")
    return name.strip(), words.split()


def place(name: str, roles: Iterable[str] = ()) -> tuple[str, str]:
    """Return (module, role): ("ledger", "rules") of `...ledger.rules.draws` and of `...ledger.rules_draws`."""
    module, _, inside = name.removeprefix(MODULES).partition(".")
    file = inside.split(".")[0] or "__init__"
    return module, file if file in roles else file.split("_")[0] or file


def permits(word: str, module: str, imported: str) -> bool:
    """Say whether one word of a role allows `module` to import `imported`."""
    if imported.startswith(KERNEL):
        if word == "kernel":
            return not matches(imported, f"{KERNEL}.web")
        return word.startswith("kernel.") and matches(imported, f"changke.{word}")
    if not imported.startswith(MODULES):
        return False
    where, _, wanted = word.rpartition(".")
    other, role = place(imported, [wanted])
    # Which modules are lower is the business of the layers contract; here only the kind of file counts.
    near = {"": other == module, "lower": other != module, "any": True}.get(where, False)
    return near and role == wanted


def matches(name: str, pattern: str) -> bool:
    """Say whether a dotted name is what the pattern names, or something inside it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def lines(graph: ImportGraph, importer: str, imported: str) -> str:
    """Return where the import stands, as ` (l. 3, 14)`."""
    found = graph.get_import_details(importer=importer, imported=imported)
    return f" (l. {', '.join(str(one['line_number']) for one in found)})" if found else ""


def render(check: ContractCheck) -> None:
    """Print what is broken."""
    for line in check.metadata["broken"]:
        output.print_error(f"- {line}")
    output.new_line()
