"""The part of the command line that looks into the data: import, audit, sources, rejects, keys, ledger, receipts."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from changke.entry import checks, console, wiring
from changke.entry.console import say
from changke.kernel import audit, log
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.settings import Settings
from changke.modules.activity import queries as activity
from changke.modules.identity import commands as identity
from changke.modules.identity import queries as identities
from changke.modules.ledger import queries_sealing as sealing
from changke.modules.ledger.terms_trust import Malformed

JsonOption = Annotated[bool, typer.Option("--json", help=say("machine-readable output", "输出 JSON，供脚本使用"))]

app = typer.Typer()
keys = typer.Typer(name="key", no_args_is_help=True, help=say("API keys.", "API 密钥。"))
ledger = typer.Typer(name="ledger", no_args_is_help=True, help=say("The ledger's proofs.", "账本证明。"))
receipts = typer.Typer(name="receipt", no_args_is_help=True, help=say("Receipts of postings.", "入账凭证。"))


def _database() -> Database:
    return wiring.open_database(wiring.open_house(Settings()), application_name="changke-cli", pool_size=2)


@app.command("audit", help=say("Check every promise on the live system.", "检查系统的全部不变量。"))
def audit_(as_json: JsonOption = False) -> None:
    """Exit code 1 when a promise is broken, with the rows that break it."""
    with console.clear_errors():
        report = audit.audit(_database(), checks.every())
    here = console.locale()
    if as_json:
        broken = [{"check": one.check.name, "rows": list(one.rows)} for one in report.broken]
        console.print_json({"holds": report.holds, "checks": len(report.findings), "broken": broken})
    else:
        for one in report.findings:
            mark = "[green]✓[/]" if one.holds else "[red]✗[/]"
            console.out.print(f"{mark} {one.check.module}: {one.check.text.say(here)}")
            if not one.holds:
                console.print_table([dict(row) for row in one.rows])
        console.out.print(
            say("{count} checks in {seconds:.1f} s", "{count} 项检查，用时 {seconds:.1f} 秒").format(
                count=len(report.findings), seconds=report.seconds
            )
        )
    raise typer.Exit(0 if report.holds else 1)
