"""`changke program simulate`: a draft over past trade, on every core."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from changke.entry import cli_program, console, simulating
from changke.entry.console import say
from changke.kernel.clock import SystemClock, check_instant
from changke.kernel.database import Database
from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.modules.programs import commands_accuracy as shadow
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import queries_versions as queries
from changke.modules.programs.terms_accuracy import SAMPLE_MAX
from changke.modules.programs.terms_simulation import Simulation, SimulationAsked

_INSTANTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"]
SinceOption = Annotated[
    datetime, typer.Option(formats=_INSTANTS, help=say("from this day (UTC) or instant on", "起始日（UTC）或时刻"))
]
UntilOption = Annotated[
    datetime, typer.Option(formats=_INSTANTS, help=say("up to this day or instant, exclusive", "截止日或时刻（不含）"))
]


with_programs = cli_program.app


@with_programs.command(help=say("Replay past trade through a draft.", "用历史交易模拟草案。"))
def simulate(
    draft: Annotated[str, typer.Argument(help=say("a folder, or CODE@VERSION", "文件夹，或 编码@版本"))],
    since: SinceOption,
    until: UntilOption,
    beside: Annotated[
        int | None, typer.Option(min=1, help=say("the version to compare with; the live one by default", "对比版本"))
    ] = None,
    prices: Annotated[str, typer.Option(help=say("shelf, or paid", "shelf（货架价）或 paid（实付价）"))] = "shelf",
    redeemed_percent: Annotated[int, typer.Option(min=1, max=100)] = 80,
    margin_percent: Annotated[int, typer.Option(min=1, max=100)] = 25,
    processes: Annotated[
        int | None, typer.Option(min=1, max=64, help=say("default: every core", "默认：全部核心"))
    ] = None,
    actor: cli_program.ActorOption = "cli",
    as_json: cli_program.JsonOption = False,
) -> None:
    """Nothing live is touched. The report stays with the draft, where the approval asks for it. Ctrl-C cancels."""
    with cli_program.at_home() as database, console.progress(quiet=as_json) as bar:
        if prices not in ("shelf", "paid"):
            raise Refusal(INVALID_VALUE, field="prices", reason="shelf, paid")
        program, version = _version(database, draft, actor)
        asked = SimulationAsked(
            program,
            version,
            check_instant(_aware(since), "since"),
            check_instant(_aware(until), "until"),
            live_version=beside,
            prices="shelf" if prices == "shelf" else "paid",
            redeemed_percent=redeemed_percent,
            margin_percent=margin_percent,
        )
        task = bar.add_task(f"{program} {version}", total=100, note="")

        def follow(step: Simulation) -> None:
            note = say("{orders:,} orders", "{orders:,} 单", orders=step.orders)
            bar.update(task, completed=100 * step.done / max(1, step.pieces), note=note)

        ran = simulating.run(database, asked, by=actor, processes=processes, progress=follow)
        with database.snapshot() as tx:
            currency = queries.document(tx, program, version).currency
    if as_json:
        console.print_json({"simulation_id": str(ran.simulation.simulation_id), "state": ran.simulation.state,
                            "orders": ran.simulation.orders, "seconds": ran.seconds,
                            "report": ran.simulation.report})  # fmt: skip
    else:
        simulating.describe(ran, currency=currency)
    raise typer.Exit(0 if ran.simulation.state == "done" else 1)


@with_programs.command(help=say("Read decisions again by an independent reading.", "用独立解释器复核触发准确率。"))
def accuracy(
    program: cli_program.ProgramArgument,
    since: SinceOption,
    until: UntilOption,
    sample: Annotated[int, typer.Option(min=1, max=SAMPLE_MAX)] = 500,
    as_json: cli_program.JsonOption = False,
) -> None:
    """Exit code 1 when something fired that should not have, or did not fire and should have."""
    begin, end = check_instant(_aware(since), "since"), check_instant(_aware(until), "until")
    with cli_program.at_home() as database, database.transaction(statement_timeout_ms=600_000) as tx:
        found = shadow.measure(tx, program, since=begin, until=end, sample=sample, at=SystemClock().now())
    if as_json:
        console.print_json({**asdict(found), "share": found.share})
    else:
        text = say(
            "{agreed:,} of {compared:,} decisions agree ({share:.2%}); {skipped:,} passed over",
            "{compared:,} 个判定中 {agreed:,} 个一致（{share:.2%}），{skipped:,} 个未复核",
            agreed=found.agreed, compared=found.compared, share=found.share, skipped=found.skipped,
        )  # fmt: skip
        console.out.print(text)
        console.print_table([{"order": str(one.order_id), "why": one.why} for one in found.differences[:20]])
    raise typer.Exit(0 if found.agreed == found.compared else 1)


def _version(database: Database, draft: str, actor: str) -> tuple[str, int]:
    """Return programme and version of what was named; a folder is kept as a draft first."""
    folder = Path(draft)
    if not folder.is_dir():
        program, mark, number = draft.partition("@")
        if not mark or not number.isdigit():
            raise Refusal(INVALID_VALUE, field="draft", reason=say("a folder, or CODE@VERSION", "文件夹，或 编码@版本"))
        return program, int(number)
    _, contents = cli_program.read_folder(folder, False)
    with database.transaction() as tx:
        kept = versions.put_draft(tx, contents.program, author=actor, at=SystemClock().now())
    return kept.program, kept.version


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
