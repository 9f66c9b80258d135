"""The part of the command line that looks into the data: import, audit, sources, rejects, keys, ledger, receipts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from changke.adapters.import_file import import_file, read_mapping
from changke.entry import checks, console, supervisor, wiring, work
from changke.entry.console import say
from changke.kernel import audit, log
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database, Tx
from changke.kernel.settings import Settings
from changke.modules.activity import commands as activity_commands
from changke.modules.activity import queries as activity
from changke.modules.activity.terms_import import Progress
from changke.modules.identity import commands as identity
from changke.modules.identity import queries as identities
from changke.modules.ledger import queries_sealing as sealing
from changke.modules.ledger.terms_trust import Malformed, Verdict
from changke.modules.programs import commands as programs

app = typer.Typer()
rejects = typer.Typer(name="rejects", no_args_is_help=True, help=say("Refused events, kept to mend.", "被拒收的事件。"))
keys = typer.Typer(name="key", no_args_is_help=True, help=say("API keys.", "API 密钥。"))
ledger = typer.Typer(name="ledger", no_args_is_help=True, help=say("The ledger's proofs.", "账本证明。"))
receipts = typer.Typer(name="receipt", no_args_is_help=True, help=say("Receipts of postings.", "入账凭证。"))
for _group in (rejects, keys, ledger, receipts):
    app.add_typer(_group)

JsonOption = Annotated[bool, typer.Option("--json", help=say("machine-readable output", "输出 JSON，供脚本使用"))]
LimitOption = Annotated[int, typer.Option(min=1, max=200, help=say("how many at the most", "最多条数"))]


@contextmanager
def _database() -> Iterator[Database]:
    with console.clear_errors(), supervisor.visit(Settings()) as house:
        database = wiring.open_database(house, application_name="changke-cli", pool_size=3)
        try:
            yield database
        finally:
            database.close()


@contextmanager
def _reading() -> Iterator[Tx]:
    with _database() as database, database.snapshot() as tx:
        yield tx


@app.command("import", help=say("Take in a CSV, JSON Lines or Parquet file.", "导入 CSV、JSONL 或 Parquet 文件。"))
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    mapping: Annotated[Path | None, typer.Option(help=say("which column is what (YAML)", "列映射文件（YAML）"))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("check, write nothing", "仅检查，不写入"))] = False,
    batch_size: Annotated[int, typer.Option(min=1, max=5000)] = 2000,
    as_json: JsonOption = False,
) -> None:
    """Stop it whenever you like: started again it goes on where it was, and nothing is doubled."""
    settings = Settings()
    with _database() as database, console.progress(quiet=as_json) as bar:
        task = bar.add_task(file.name, total=100, note="")

        def follow(step: Progress) -> None:
            rate = say("{rate:,.0f}/s", "{rate:,.0f} 条/秒", rate=step.items_per_second)
            bar.update(task, completed=100 * step.share, note=rate)

        report = import_file(
            database,
            file,
            read_mapping(mapping) if mapping else None,
            keyring=KeyRing.open(settings.home),
            clock=SystemClock(),
            decide=programs.decide,
            dry_run=dry_run,
            progress=follow,
            batch_size=batch_size,
            region=settings.default_region,
        )
        bar.update(task, completed=100)
    shown = {
        "file": report.file,
        "rows": report.rows,
        **report.counts,
        "changed": report.changed,
        "dry_run": report.dry_run,
        "seconds": round(report.seconds, 2),
        "rejects": report.rejects_path,
    }
    console.show([shown], as_json=as_json)
    for one in report.first_rejects:
        console.err.print(f"{list(one.rows)} {one.refusal.code.code}: {one.refusal.say(console.locale())}")


@app.command("audit", help=say("Check every promise on the live system.", "检查系统的全部不变量。"))
def audit_(as_json: JsonOption = False) -> None:
    """Exit code 1 when a promise is broken, with the rows that break it."""
    with _database() as database:
        report = audit.audit(database, checks.every())
    if as_json:
        broken = [{"check": one.check.name, "rows": [dict(row) for row in one.rows]} for one in report.broken]
        console.print_json({"holds": report.holds, "checks": len(report.findings), "broken": broken})
    else:
        for one in report.findings:
            mark = "[green]✓[/]" if one.holds else "[red]✗[/]"
            console.out.print(f"{mark} {one.check.module}: {one.check.text.say(console.locale())}", highlight=False)
            if not one.holds:
                console.print_table([dict(row) for row in one.rows], title=one.check.name)
        console.out.print(f"{len(report.findings)} / {report.seconds:.1f} s")
    raise typer.Exit(0 if report.holds else 1)


@app.command("sources", help=say("How far each source is, and how late.", "各数据源的水位与延迟。"))
def sources_(as_json: JsonOption = False) -> None:
    """Watermark, lag and counts of every source."""
    with _reading() as tx:
        states = activity.sources(tx, at=SystemClock().now())
    shown = ("source", "watermark", "lag_seconds", "accepted", "duplicate", "parked", "rejected")
    console.show([_row(one) for one in states], as_json=as_json, columns=shown)


@rejects.command("list", help=say("What was refused, and why.", "被拒收的事件及原因。"))
def rejects_list(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show what was refused and why."""
    with _reading() as tx:
        found = activity.rejects(tx, limit=limit)
    console.show([_row(one) for one in found], as_json=as_json, columns=("reject_id", "source", "code", "field"))


@rejects.command("replay", help=say("Take a reject in again, as it was or mended.", "重放被拒收的事件。"))
def rejects_replay(
    reject_id: UUID,
    body: Annotated[Path | None, typer.Option(help=say("the mended event", "修正后的事件"))] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a reject in again, as it was or mended."""
    settings = Settings()
    keyring = KeyRing.open(settings.home)
    with _database() as database, database.transaction() as tx:
        receipt = activity_commands.replay_reject(
            tx,
            reject_id,
            body.read_bytes() if body else None,
            at=SystemClock().now(),
            keyring=keyring,
            decide=programs.decide,
            region=settings.default_region,
        )
    console.show([_row(receipt)], as_json=as_json)


@app.command("dead-letters", help=say("News that a group could not handle.", "处理失败的消息。"))
def dead_letters(
    retry: Annotated[bool, typer.Option("--retry", help=say("try them again", "重试"))] = False,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List them with their error, or give them to their group again."""
    settings = Settings()
    with _database() as database:
        if retry:
            edge = wiring.make_edge(settings, database, KeyRing.open(settings.home))
            for group in work.groups(edge):
                with database.transaction() as tx:
                    log.retry_dead_letters(tx, group=group.name, handler=group.handler, limit=limit)
        with database.snapshot() as tx:
            rows = tx.raw.execute(
                "SELECT letter_id, consumer_group, topic, error, buried_at FROM kernel.dead_letter"
                " ORDER BY letter_id LIMIT %s",
                (limit,),
            ).fetchall()
    names = ("id", "group", "topic", "error", "at")
    console.show([dict(zip(names, row, strict=True)) for row in rows], as_json=as_json)


@keys.command("create", help=say("Make a key; its secret is shown once.", "创建密钥，仅显示一次。"))
def key_create(
    name: str,
    permission: Annotated[list[str], typer.Option(help=say("repeat for more; * is everything", "可重复；* 为全部"))],
    as_json: JsonOption = False,
) -> None:
    """Make an API key; its secret is shown once."""
    with _database() as database, database.transaction() as tx:
        key, secret = identity.create_api_key(tx, name=name, permissions=frozenset(permission), at=SystemClock().now())
    if as_json:
        console.print_json([{"id": key.key_id, "name": key.name, "secret": secret}])
    else:
        console.out.print(say("{name} (shown once, keep it):", "{name}（仅显示一次，请妥善保存）：", name=key.name))
        console.out.print(secret, soft_wrap=True, highlight=False)  # a table would cut it


@keys.command("list", help=say("Show keys, never their secrets.", "列出密钥（不含密文）。"))
def key_list(as_json: JsonOption = False) -> None:
    """Show keys, never their secrets."""
    with _reading() as tx:
        found = identities.api_keys(tx)
    shown = ("key_id", "name", "permissions", "last_used_at", "revoked_at")
    console.show([_row(one) for one in found], as_json=as_json, columns=shown)


@keys.command("revoke", help=say("End a key.", "吊销密钥。"))
def key_revoke(key_id: str) -> None:
    """End a key; running servers know within seconds."""
    with _database() as database, database.transaction() as tx:
        identity.revoke_api_key(tx, key_id=key_id, at=SystemClock().now())
    console.out.print(say("revoked", "已吊销"))


@ledger.command("verify", help=say("Recompute the whole log and compare its heads.", "重算整个账本日志并核对树头。"))
def ledger_verify(
    heads: Annotated[Path | None, typer.Option(help=say("heads a witness kept", "见证方保存的树头文件"))] = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute every leaf and the whole tree from the rows; compare with every signed head. Exit code 1 on a fault."""
    keyring = KeyRing.open(Settings().home)
    witnesses = _parsed(sealing.read_heads, heads) if heads else ()
    with _reading() as tx:
        report = sealing.verify_log(tx, public_keys=[keyring.public_key()], witnesses=witnesses)
    if as_json:
        console.print_json(report.wire())
    else:
        summary = {name: value for name, value in report.wire().items() if name != "reasons"}
        console.show([summary], as_json=False)
        for one in (*report.verdict.reasons, *report.verdict.notes):
            console.out.print(f"  {one.say(console.locale())}", highlight=False)
    raise typer.Exit(0 if report.holds else 1)


@ledger.command("heads", help=say("Signed tree heads, newest first.", "已签署的树头，新的在前。"))
def ledger_heads(limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """Show signed tree heads, newest first; keep them somewhere else to be a witness."""
    with _reading() as tx:
        found = sealing.heads(tx, limit=limit)
    console.show([one.wire() for one in found], as_json=as_json)


@receipts.command("get", help=say("Print the receipt of a posting.", "打印入账凭证。"))
def receipt_get(posting_id: UUID) -> None:
    """Print the receipt of a posting as JSON; save it, it verifies without us."""
    with _reading() as tx:
        console.print_json(sealing.receipt(tx, posting_id=posting_id))


@receipts.command("verify", help=say("Check a receipt, without database or server.", "离线校验凭证。"))
def receipt_verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    key: Annotated[Path | None, typer.Option(help=say("the public key, had from elsewhere", "另行获得的公钥"))] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a receipt or a consistency proof; needs no database and no server. Exit code 1 when it does not hold."""
    with console.clear_errors():
        public_key = _parsed(sealing.read_public_key, key) if key else None
        verdict: Verdict = sealing.verify_receipt(_parsed(orjson.loads, file), public_key=public_key)
    reasons = [one.say(console.locale()) for one in verdict.reasons]
    notes = [one.say(console.locale()) for one in verdict.notes]
    if as_json:
        console.print_json({"holds": verdict.holds, "reasons": reasons, "notes": notes})
    else:
        console.out.print(say("holds", "凭证有效") if verdict.holds else say("does NOT hold", "凭证无效"))
        for line in (*reasons, *notes):
            console.out.print(f"  {line}", highlight=False)
    raise typer.Exit(0 if verdict.holds else 1)


def _parsed(read: Any, path: Path) -> Any:
    try:
        return read(path.read_bytes())
    except (Malformed, orjson.JSONDecodeError) as error:
        console.fail(f"{path}: {error}")


def _row(one: Any) -> dict[str, Any]:
    """Return the fields of a view, flat enough for a table."""
    return {name: getattr(one, name) for name in one.__dataclass_fields__}
