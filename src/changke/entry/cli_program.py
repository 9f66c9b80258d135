"""The part of the command line for programmes as files: validate, plan, apply, export, and the life of versions."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from changke.adapters import program_files as files
from changke.adapters.program_files import Contents, FileFault, Folder, FolderFaulty
from changke.entry import console, program_folders, supervisor, wiring
from changke.entry.console import say
from changke.entry.program_folders import Signed
from changke.kernel.clock import SystemClock
from changke.kernel.database import Database, Tx
from changke.kernel.documents import told
from changke.kernel.errors import Refusal
from changke.kernel.settings import Settings
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import queries_documents as documents
from changke.modules.programs import queries_versions as queries
from changke.modules.programs.terms_versions import Change, Finding, Version

app = typer.Typer(name="program", no_args_is_help=True, help=say("Programmes as files.", "会员计划文件。"))

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help=say("the programme's folder", "计划文件夹"))
]
ProgramArgument = Annotated[str, typer.Argument(help=say("the programme's code", "计划编码"))]
JsonOption = Annotated[bool, typer.Option("--json", help=say("machine-readable output", "输出 JSON，供脚本使用"))]
ActorOption = Annotated[str, typer.Option(help=say("who does this", "经办人"))]
ApproverOption = Annotated[str | None, typer.Option(help=say("who approves: somebody else", "批准人，须为另一人"))]
ReasonOption = Annotated[str, typer.Option(help=say("why", "理由"))]
FromOption = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"],
                 help=say("in force from (with offset); now by default", "生效时间（含时区偏移），默认立即")),
]  # fmt: skip
_MARKS = {"added": "[green]+[/]", "removed": "[red]-[/]", "changed": "[yellow]~[/]"}
_SHOWN_MAX = 60


@contextmanager
def at_home() -> Iterator[Database]:
    """Open the house's database for one command; what the reader can mend ends in one clear line."""
    with console.clear_errors(), supervisor.visit(Settings()) as house:
        database = wiring.open_database(house, application_name="changke-program", pool_size=2)
        try:
            yield database
        finally:
            database.close()


@contextmanager
def _reading() -> Iterator[Tx]:
    with at_home() as database, database.snapshot() as tx:
        yield tx


# folders -------------------------------------------------------------------------------------------------------------


@app.command(help=say("Check a folder: form, sense, and what is unwise.", "检查文件夹：格式、逻辑与不妥之处。"))
def validate(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Needs no database. Exit code 1 for faults or errors, 0 for warnings or nothing."""
    opened, contents = read_folder(folder, as_json)
    findings = documents.lint(contents.program, program_folders.known_of(contents), at=SystemClock().now())
    errors = [one for one in findings if one.severity == "error"]
    if as_json:
        console.print_json({"valid": not errors, "faults": [], "findings": _found(opened, findings)})
    else:
        _show_findings(opened, findings)
        _summary(contents, len(errors), len(findings) - len(errors))
    raise typer.Exit(1 if errors else 0)


@app.command(help=say("Say what applying a folder would change.", "预览应用文件夹会带来的变化。"))
def plan(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Rehearses the whole application and takes it back. Exit code 2 when there is something to change, 0 if not."""
    opened, contents = read_folder(folder, as_json)
    at = SystemClock().now()
    with at_home() as database:
        with database.rehearsal() as tx:
            changes = program_folders.changes(tx, contents, at=at)
        with database.rehearsal() as tx:
            program_folders.put_others(tx, contents, actor="plan", at=at)
            known = program_folders.known_now(tx, contents.program)
    findings = documents.lint(contents.program, known, at=at)
    errors = [one for one in findings if one.severity == "error"]
    if as_json:
        console.print_json({"changes": _changed(changes), "findings": _found(opened, findings)})
    else:
        _show_changes(changes)
        _show_findings(opened, findings)
    raise typer.Exit(1 if errors else 2 if changes else 0)


@app.command(help=say("Put a folder into force.", "应用文件夹并发布。"))
def apply(
    folder: FolderArgument,
    actor: ActorOption,
    approver: ApproverOption = None,
    reason: Annotated[str | None, typer.Option(help=say("why", "理由"))] = None,
    effective_from: FromOption = None,
    acknowledge: Annotated[
        list[str] | None, typer.Option(help=say("a warning that was seen (repeatable)", "已知悉的警告（可重复）"))
    ] = None,
    without_simulation: Annotated[
        str | None, typer.Option(help=say("why there is no simulation report", "不做模拟的理由"))
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """All of it in one transaction, or nothing. Two people stand behind a change: --actor and --approver."""
    _, contents = read_folder(folder, as_json)
    signed = Signed(actor, approver or actor, reason, tuple(acknowledge or ()), without_simulation, effective_from)
    at = SystemClock().now()
    with at_home() as database, database.transaction() as tx:
        changes = program_folders.changes(tx, contents, at=at)
        found = program_folders.apply(tx, contents, signed, at=at)
    if as_json:
        console.print_json({"changes": _changed(changes), "version": _row(found)})
        return
    _show_changes(changes)
    _say_version(found)


@app.command(help=say("Write a version as a folder.", "将某一版本导出为文件夹。"))
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False)],
    program: Annotated[
        str | None, typer.Option(help=say("its code; the only one by default", "计划编码，默认唯一的计划"))
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help=say("the one in force by default", "默认当前生效版本"))
    ] = None,
) -> None:
    """Applying what was exported changes nothing."""
    at = SystemClock().now()
    with _reading() as tx:
        code = queries.named(tx, program)
        number = version or queries.in_force(tx, code, as_of=at)
        contents = program_folders.exported(tx, queries.version(tx, code, number, at=at))
        written = files.write_folder(folder, contents)
    for name in written:
        console.out.print(f"{folder / name}", highlight=False)


@app.command(help=say("Write the JSON Schemas for editors.", "生成供编辑器使用的 JSON Schema。"))
def schema(
    folder: Annotated[Path, typer.Argument(file_okay=False)] = Path("programs/schema"),
    check: Annotated[bool, typer.Option("--check", help=say("only compare", "仅比较"))] = False,
) -> None:
    """Editors that know YAML language servers then complete and check while one writes."""
    stale = []
    for name, text in schema_texts().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path))
            if not check:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if check and stale:
        console.fail(say("out of date: {files}", "已过期：{files}", files=", ".join(stale)))


def schema_texts() -> dict[str, str]:
    """Return the schema files by name."""
    return {
        f"{name}.schema.json": json.dumps(one, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        for name, one in files.schemas().items()
    }


# versions ------------------------------------------------------------------------------------------------------------


@app.command("versions", help=say("Every version of a programme.", "计划的所有版本。"))
def versions_(program: ProgramArgument, as_json: JsonOption = False) -> None:
    """Newest first, with who wrote and who approved it."""
    with _reading() as tx:
        found = queries.versions(tx, program, at=SystemClock().now())
    columns = ("version", "state", "author", "approver", "effective_from", "note")
    console.show([_row(one) for one in found], as_json=as_json, columns=columns)


@app.command(help=say("What differs between two versions.", "比较两个版本。"))
def diff(program: ProgramArgument, old: int, new: int, as_json: JsonOption = False) -> None:
    """Per campaign, rule and field."""
    with _reading() as tx:
        changes = documents.differences(queries.document(tx, program, old), queries.document(tx, program, new))
    if as_json:
        console.print_json(_changed(changes))
    else:
        _show_changes(changes)


@app.command(help=say("Publish an approved version.", "发布已批准的版本。"))
def publish(
    program: ProgramArgument,
    version: int,
    actor: ActorOption,
    reason: Annotated[str | None, typer.Option(help=say("why", "理由"))] = None,
    effective_from: FromOption = None,
) -> None:
    """At once, or from a moment on."""
    with at_home() as database, database.transaction() as tx:
        at = SystemClock().now()
        found = versions.publish(tx, program, version, actor=actor, at=at, effective_from=effective_from, reason=reason)
    _say_version(found)


@app.command(help=say("Pause a campaign at once.", "立即暂停活动。"))
def pause(program: ProgramArgument, campaign: str, actor: ActorOption, reason: ReasonOption) -> None:
    """One person is enough."""
    _set_state(program, campaign, "paused", actor, reason, None)


@app.command(help=say("Let a paused campaign go on.", "恢复活动。"))
def resume(
    program: ProgramArgument, campaign: str, actor: ActorOption, reason: ReasonOption, approver: ApproverOption = None
) -> None:
    """Needs two people; without --approver it waits in review."""
    _set_state(program, campaign, "active", actor, reason, approver)


@app.command(help=say("End a campaign for good.", "永久结束活动。"))
def end(program: ProgramArgument, campaign: str, actor: ActorOption, reason: ReasonOption) -> None:
    """One person is enough; there is no way back but a new campaign."""
    _set_state(program, campaign, "ended", actor, reason, None)


@app.command(help=say("Bring an earlier version back.", "回滚到早先版本。"))
def rollback(
    program: ProgramArgument, version: int, actor: ActorOption, reason: ReasonOption, approver: ApproverOption = None
) -> None:
    """Its document becomes a new version; without --approver it waits in review."""
    with at_home() as database, database.transaction() as tx:
        at = SystemClock().now()
        found = versions.roll_back(tx, program, version, actor=actor, approver=approver, reason=reason, at=at)
    _say_version(found)


def _set_state(
    program: str, campaign: str, state: versions.CampaignState, actor: str, reason: str, approver: str | None
) -> None:
    with at_home() as database, database.transaction() as tx:
        found = versions.set_campaign_state(
            tx, program, campaign, state, actor=actor, approver=approver, reason=reason, at=SystemClock().now()
        )
    _say_version(found)


# showing -------------------------------------------------------------------------------------------------------------


def read_folder(path: Path, as_json: bool) -> tuple[Folder, Contents]:
    """Return a programme's folder and what it says; shows every fault with its line and leaves when it has some."""
    try:
        folder = Folder(path)
        return folder, folder.contents()
    except FolderFaulty as faulty:
        _show_faults(faulty.faults, as_json)
    except Refusal as refusal:
        _show_faults([FileFault("program.yaml", 1, refusal)], as_json)


def _show_faults(faults: Sequence[FileFault], as_json: bool) -> NoReturn:
    if as_json:
        rows = [{"file": one.file, "line": one.line} | told(one.refusal, console.locale()) for one in faults]
        console.print_json({"valid": False, "faults": rows, "findings": []})
    else:
        for one in faults:
            _line("red", one.file, one.line, one.refusal.code.code, one.refusal.say(console.locale()))
        text = say("{count} faults", "{count} 处错误", count=len(faults))
        console.out.print(f"[red]✗[/] {text}")
    raise typer.Exit(1)


def _show_findings(folder: Folder, findings: Sequence[Finding]) -> None:
    for one in findings:
        file, line = folder.place(one.path)
        colour = "red" if one.severity == "error" else "yellow"
        _line(colour, file, line, one.code, one.say(console.locale()))


def _line(colour: str, file: str, line: int, code: str, text: str) -> None:
    console.out.print(f"[bold]{file}:{line}[/] [{colour}]{code}[/]", highlight=False)
    console.out.print(f"    {text}", highlight=False, markup=False, soft_wrap=True)


def _summary(contents: Contents, errors: int, warnings: int) -> None:
    program = contents.program
    rules = sum(len(one.rules) for one in program.campaigns)
    text = say(
        "{code}: {campaigns} campaigns, {rules} rules; {errors} errors, {warnings} warnings",
        "{code}：{campaigns} 个活动，{rules} 条规则；{errors} 处错误，{warnings} 处警告",
        code=program.code, campaigns=len(program.campaigns), rules=rules, errors=errors, warnings=warnings,
    )  # fmt: skip
    console.out.print(f"{'[red]✗[/]' if errors else '[green]✓[/]'} {text}", highlight=False)


def _show_changes(changes: Sequence[Change]) -> None:
    if not changes:
        console.out.print(say("nothing changes", "没有变化"))
    for one in changes:
        values = [_short(value) for value in (one.before, one.after) if value is not None]
        console.out.print(f"{_MARKS[one.kind]} [bold]{one.path}[/]", end="", highlight=False)
        console.out.print(f"  {' → '.join(values)}" if values else "", highlight=False, markup=False, soft_wrap=True)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def _say_version(found: Version) -> None:
    text = say(
        "{program} version {version} is {state}", "{program} 版本 {version}：{state}",
        program=found.program, version=found.version, state=found.state.value,
    )  # fmt: skip
    since = f" ({found.effective_from:%Y-%m-%d %H:%M %Z})" if found.effective_from else ""
    console.out.print(f"[green]✓[/] {text}{since}", highlight=False)


def _row(found: Version) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Version.__slots__}


def _changed(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [{"kind": one.kind, "path": one.path, "before": one.before, "after": one.after} for one in changes]


def _found(folder: Folder, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    rows = []
    for one in findings:
        file, line = folder.place(one.path)
        text = one.say(console.locale())
        rows.append(
            {"severity": one.severity, "code": one.code, "path": one.path, "file": file, "line": line, "text": text}
        )
    return rows
